"""Ops between dtypes, and the identities: convert_element_type, bitcast_convert_type,
reduce_precision, complex numbers and their parts, copy, stop_gradient.

Derivatives are linear over the reals.  Transposition pairs a cotangent with a tangent
without conjugation, as JAX does: the transpose of `imag` is ct -> -i ct.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.ops.arithmetic import neg
from minijax.ops.families import (binary_function, elementwise_batch, moveaxis, nary, no_cost, scalar_like,
                                  shape_of, unary, unary_function, unbroadcast, zero_derivative)
from minijax.tracing.array import Array, typeof
from minijax.tracing.source import at_line


# ---- convert_element_type ----

def _convert_type(x: ArrayType, *, new_dtype: Any, weak_type: bool) -> tuple[ArrayType]:
    return (ArrayType(x.shape, new_dtype, bool(weak_type), x.varying),)


def _convert_jvp(primals: Any, tangents: Any, *, new_dtype: Any, weak_type: bool) -> Any:
    outs = convert_element_type_p.bind(*primals, new_dtype=new_dtype, weak_type=weak_type)
    if not dtypes.is_inexact(new_dtype):
        return outs, (zero,)
    return outs, convert_element_type_p.bind(*tangents, new_dtype=new_dtype, weak_type=weak_type)


def _convert_transpose(cts: Any, x: Any, *, new_dtype: Any, weak_type: bool) -> Any:
    return (convert_element_type(cts[0], x.dtype, x.type.weak_type),)


convert_element_type_p = Op(
    "convert_element_type", type=_convert_type, jvp=_convert_jvp, transpose=_convert_transpose, cost=no_cost,
    eval=lambda x, *, new_dtype, weak_type: (reference.convert_element_type(x, new_dtype),), traits={"elementwise"})
convert_element_type_p.batch = elementwise_batch(convert_element_type_p)


def convert_element_type(x: Any, new_dtype: Any, weak_type: bool = False) -> Any:
    """x at another dtype, by value: floats are truncated toward zero, complex numbers lose their imaginary part.

    An array that has the dtype (and weakness) already is returned as it is.
    """
    type, dtype = typeof(x), dtypes.canonical_dtype(new_dtype)
    if isinstance(x, Array) and type.dtype == dtype and type.weak_type == weak_type:
        return x
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=weak_type)[0]


# ---- bitcast_convert_type ----

def _bitcast_type(x: ArrayType, *, new_dtype: Any) -> tuple[ArrayType]:
    old, new = x.dtype.itemsize, new_dtype.itemsize
    if old == new:
        return (ArrayType(x.shape, new_dtype, False, x.varying),)
    if old > new:
        return (ArrayType((*x.shape, old // new), new_dtype, False, x.varying),)
    if not x.shape or x.shape[-1] != new // old:
        raise ShapeError(f"bitcast_convert_type: {x} to the wider {new_dtype} needs a last axis of size {new // old}"
                         f"{at_line()}. Reshape the operand so that it has one.")
    return (ArrayType(x.shape[:-1], new_dtype, False, x.varying),)


def _bitcast_batch(size: int, args: Any, axes: Any, *, new_dtype: Any) -> Any:
    (x,), (axis,) = args, axes
    last = axis == len(shape_of(x)) - 1  # where axes come and go
    x, axis = (moveaxis(x, axis, 0), 0) if last else (x, axis)
    return bitcast_convert_type_p.bind(x, new_dtype=new_dtype), (axis,)


bitcast_convert_type_p = Op(
    "bitcast_convert_type", type=_bitcast_type, batch=_bitcast_batch, cost=no_cost, undeclared=("transpose",),
    eval=lambda x, *, new_dtype: (reference.bitcast_convert_type(x, new_dtype),))
bitcast_convert_type_p.jvp = zero_derivative(bitcast_convert_type_p)


def bitcast_convert_type(x: Any, new_dtype: Any) -> Any:
    """Read the bits of x as another dtype; elements that become several (or one) add (or use up) a last axis."""
    return bitcast_convert_type_p.bind(x, new_dtype=dtypes.canonical_dtype(new_dtype))[0]


# ---- reduce_precision ----

def _reduce_precision_transpose(cts: Any, x: Any, **bits: int) -> Any:
    return reduce_precision_p.bind(cts[0], **bits)


reduce_precision_p = unary(
    "reduce_precision", reference.reduce_precision, takes=dtypes.is_float, transpose=_reduce_precision_transpose,
    jvp=lambda primals, tangents, **bits: (reduce_precision_p.bind(*primals, **bits),
                                           reduce_precision_p.bind(*tangents, **bits)))


def reduce_precision(x: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Round x to the values of a float format with fewer bits; the dtype stays."""
    return reduce_precision_p.bind(x, exponent_bits=exponent_bits, mantissa_bits=mantissa_bits)[0]


# ---- complex numbers and their parts ----

def _makes_complex(dtype: Any) -> bool:
    return dtype in (dtypes.float32, dtypes.float64)


def _nothing(x: Any) -> Any:
    return scalar_like(x, 0.0)


real_p = unary("real", np.real, takes=dtypes.is_complex, result=dtypes.real_dtype,
               jvp=lambda primals, tangents: (real_p.bind(*primals), real_p.bind(*tangents)),
               transpose=lambda cts, x: (complex(cts[0], _nothing(cts[0])),))
imag_p = unary("imag", np.imag, takes=dtypes.is_complex, result=dtypes.real_dtype,
               jvp=lambda primals, tangents: (imag_p.bind(*primals), imag_p.bind(*tangents)),
               transpose=lambda cts, x: (complex(_nothing(cts[0]), neg(cts[0])),))
conj_p = unary("conj", np.conj, takes=dtypes.is_complex,
               jvp=lambda primals, tangents: (conj_p.bind(*primals), conj_p.bind(*tangents)),
               transpose=lambda cts, x: (conj(cts[0]),))


def _complex_transpose(cts: Any, x: Any, y: Any) -> Any:
    return (unbroadcast(real(cts[0]), x) if type(x) is Linear else None,
            unbroadcast(neg(imag(cts[0])), y) if type(y) is Linear else None)


complex_p = nary("complex", reference.complex_, takes=_makes_complex, result=dtypes.complex_dtype,
                 tangents=(lambda t, z, x, y: complex(t, _nothing(t)), lambda t, z, x, y: complex(_nothing(t), t)),
                 transpose=_complex_transpose)

real = unary_function(real_p, "Real part of a complex x.")
imag = unary_function(imag_p, "Imaginary part of a complex x.")
conj = unary_function(conj_p, "Complex conjugate of a complex x.")
complex = binary_function(complex_p, "x + i y, of real parts and imaginary parts.")


# ---- identities ----

def _copy_jvp(primals: Any, tangents: Any) -> Any:
    return copy_p.bind(*primals), copy_p.bind(*tangents)


copy_p = unary("copy", np.copy, takes=None, jvp=_copy_jvp, transpose=lambda cts, x: (cts[0],), traits=("identity",))
stop_gradient_p = unary("stop_gradient", lambda x: x, takes=None, traits=("identity",))

copy = unary_function(copy_p, "A new array of the same elements.")
stop_gradient = unary_function(stop_gradient_p, "x, whose derivative is declared to be zero.")
copy_p.cost = stop_gradient_p.cost = no_cost
