"""Reductions over axes: prod, max, min, and, or, xor, argmax, argmin.  (sum is in `families.py`.)

Elements that tie for the maximum share its tangent equally, as in JAX.  The product's
derivative is a tree of products, which is right where elements are zero too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.ops.arithmetic import div
from minijax.ops.comparison import eq, not_a_key
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import (accepts, any_number, bitwise, broadcast_in_dim, elementwise_cost, mul, mul_p,
                                  reduce_sum, reduced_type, reduction_batch, scalar_like, shape_of, zero_derivative)
from minijax.ops.slicing import pad, slice_
from minijax.ops.structural import squeeze
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


def reduction(name: str, eval: Callable[..., Any], takes: Callable[[Any], bool], kinds: str,
              jvp: Callable[..., Any] | None = None) -> Op:
    """An op that reduces over its parameter `axes`.  Without a `jvp` rule its derivative is zero."""
    def type_rule(x: ArrayType, *, axes: tuple[int, ...]) -> tuple[ArrayType, ...]:
        accepts(name, x.dtype, takes, kinds)
        return reduced_type(name, x, axes)

    op = Op(name, type=type_rule, eval=lambda x, *, axes: (eval(x, axes),), jvp=jvp, cost=elementwise_cost(1),
            batch=reduction_batch(lambda: op), traits={"reduction"}, undeclared=("transpose",))
    if jvp is None:
        op.jvp = zero_derivative(op)
    return op


def reduction_function(op: Op, doc: str) -> Callable[..., Any]:
    """The Python function of a reduction; over no axes it is the identity."""
    def function(x: Any, axes: Sequence[int]) -> Any:
        return op.bind(x, axes=tuple(axes))[0] if axes else x

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


# ---- max and min ----

def _extremum_jvp(op: Callable[[], Op]) -> Callable[..., Any]:
    def jvp(primals: Any, tangents: Any, *, axes: tuple[int, ...]) -> Any:
        (x,), (t,) = primals, tangents
        y, = op().bind(x, axes=axes)
        kept = tuple([i for i in range(len(shape_of(x))) if i not in axes])
        where = convert_element_type(eq(x, broadcast_in_dim(y, shape_of(x), kept)), typeof(t).dtype)
        return (y,), (div(reduce_sum(mul(t, where), axes), reduce_sum(where, axes)),)

    return jvp


reduce_max_p = reduction("reduce_max", reference.reduce_max, not_a_key, "numeric or bool",
                         _extremum_jvp(lambda: reduce_max_p))
reduce_min_p = reduction("reduce_min", reference.reduce_min, not_a_key, "numeric or bool",
                         _extremum_jvp(lambda: reduce_min_p))
reduce_max = reduction_function(reduce_max_p, "The largest element along axes (non-negative); NaN if there is one.")
reduce_min = reduction_function(reduce_min_p, "The smallest element along axes (non-negative); NaN if there is one.")


# ---- prod ----

def _halves(x: Any, axis: int, filler: Any) -> tuple[Any, Any]:
    """The two halves of x along an axis, made even with a `filler`."""
    shape = shape_of(x)
    size = shape[axis] + shape[axis] % 2
    x = pad(x, filler, [(0, size - n if i == axis else 0, 0) for i, n in enumerate(shape)])
    starts = tuple([size // 2 if i == axis else 0 for i in range(len(shape))])
    middle = tuple([size // 2 if i == axis else n for i, n in enumerate(shape)])
    return slice_(x, (0,) * len(shape), middle), slice_(x, starts, shape_of(x))


def _product_tangent(x: Any, t: Any, axis: int) -> tuple[Any, Any]:
    """The product along an axis and its tangent: halves are multiplied until one element is left."""
    while shape_of(x)[axis] > 1:
        xs, ts = _halves(x, axis, scalar_like(x, 1.0)), _halves(t, axis, scalar_like(t, 0.0))
        (x,), (t,) = mul_p.jvp(xs, ts)
    return squeeze(x, (axis,)), squeeze(t, (axis,))


def _prod_jvp(primals: Any, tangents: Any, *, axes: tuple[int, ...]) -> Any:
    (x,), (t,) = primals, tangents
    outs = reduce_prod_p.bind(x, axes=axes)
    if 0 in shape_of(x):
        return outs, (zero,)
    for axis in sorted(axes, reverse=True):
        x, t = _product_tangent(x, t, axis)
    return outs, (t,)


reduce_prod_p = reduction("reduce_prod", reference.reduce_prod, any_number, "numeric", _prod_jvp)
reduce_prod = reduction_function(reduce_prod_p, "Product over axes (non-negative).")


# ---- and, or, xor ----

reduce_and_p = reduction("reduce_and", reference.reduce_and, bitwise, "integer or bool")
reduce_or_p = reduction("reduce_or", reference.reduce_or, bitwise, "integer or bool")
reduce_xor_p = reduction("reduce_xor", reference.reduce_xor, bitwise, "integer or bool")
reduce_and = reduction_function(reduce_and_p, "Bits set in all elements along axes (non-negative).")
reduce_or = reduction_function(reduce_or_p, "Bits set in any element along axes (non-negative).")
reduce_xor = reduction_function(reduce_xor_p, "Bits set in an odd number of elements along axes (non-negative).")


# ---- argmax and argmin ----

def _position(name: str, eval: Callable[..., Any]) -> Op:
    def type_rule(x: ArrayType, *, axes: tuple[int, ...], index_dtype: Any) -> tuple[ArrayType, ...]:
        accepts(name, x.dtype, not_a_key, "numeric or bool")
        result = reduced_type(name, x, axes, index_dtype)
        if len(axes) != 1 or x.shape[axes[0]] == 0:
            raise ShapeError(f"{name}: {x} has no extremal element along the axes {axes}{at_line()}. "
                             "Name one axis, of at least one element.")
        if not dtypes.is_integer(index_dtype):
            raise DtypeError(f"{name}: positions cannot be {index_dtype}{at_line()}. "
                             "Use an integer dtype such as int32.")
        return result

    def evaluate(x: np.ndarray, *, axes: tuple[int, ...], index_dtype: Any) -> tuple[np.ndarray]:
        return (eval(x, axes[0], index_dtype),)

    op = Op(name, type=type_rule, eval=evaluate, batch=reduction_batch(lambda: op), cost=elementwise_cost(1),
            traits={"reduction"}, undeclared=("transpose",))
    op.jvp = zero_derivative(op)
    return op


argmax_p = _position("argmax", reference.argmax)
argmin_p = _position("argmin", reference.argmin)


def argmax(x: Any, axis: int, index_dtype: Any = dtypes.int32) -> Any:
    """Position of the largest element along an axis (non-negative), the first one of equals; NaN is the largest."""
    return argmax_p.bind(x, axes=(axis,), index_dtype=dtypes.canonical_dtype(index_dtype))[0]


def argmin(x: Any, axis: int, index_dtype: Any = dtypes.int32) -> Any:
    """Position of the smallest element along an axis (non-negative), the first one of equals; NaN is the smallest."""
    return argmin_p.bind(x, axes=(axis,), index_dtype=dtypes.canonical_dtype(index_dtype))[0]
