"""Arithmetic: neg, sub, div, integer_pow, rem, sign, rounding, max, min, clamp.  (add and mul are in `families.py`.)

At kinks derivatives follow JAX: operands that tie for `max` or `min` share the
tangent, `sign` and the roundings have derivative zero, and `clamp` passes the
tangent strictly inside the bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.errors import DtypeError
from minijax.ir import dtypes
from minijax.ir.op import Linear
from minijax.ir.types import ArrayType
from minijax.ops import reference
from minijax.ops.bits import bitwise_and
from minijax.ops.comparison import eq, gt, not_a_key, select_n
from minijax.ops.families import (accepts, add_p, any_number, binary_function, mul, nary, scalar_like, unary,
                                  unary_function, unbroadcast)
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


def _real_or_integer(dtype: Any) -> bool:
    return dtypes.is_float(dtype) or dtypes.is_integer(dtype)


# ---- integer_pow ----

def _integer_pow_type(x: ArrayType, *, y: int) -> tuple[ArrayType]:
    accepts("integer_pow", x.dtype, any_number, "numeric")
    if y < 0 and dtypes.is_integer(x.dtype):
        raise DtypeError(f"integer_pow: integers have no power {y}{at_line()}. Convert with .astype('float32').")
    return (x,)


def _integer_pow_derivative(z: Any, x: Any, *, y: int) -> Any:
    if y in (0, 1):
        return scalar_like(x, float(y))
    return mul(scalar_like(x, float(y)), x if y == 2 else integer_pow(x, y - 1))


integer_pow_p = unary("integer_pow", reference.integer_pow, _integer_pow_derivative)
integer_pow_p.type = _integer_pow_type


def integer_pow(x: Any, y: int) -> Any:
    """x to a whole power, known while tracing."""
    return integer_pow_p.bind(x, y=y)[0]


# ---- neg, sub, div ----

def _neg_transpose(cts: Any, x: Any) -> Any:
    return (neg(cts[0]),)


def _sub_transpose(cts: Any, x: Any, y: Any) -> Any:
    return (unbroadcast(cts[0], x) if type(x) is Linear else None,
            unbroadcast(neg(cts[0]), y) if type(y) is Linear else None)


def _div_transpose(cts: Any, x: Any, y: Any) -> Any:
    return unbroadcast(div(cts[0], y), x), None


neg_p = unary("neg", np.negative, jvp=lambda primals, tangents: (neg_p.bind(*primals), neg_p.bind(*tangents)),
              takes=any_number, transpose=_neg_transpose)
sub_p = nary("sub", np.subtract, (lambda t, z, x, y: t, lambda t, z, x, y: neg(t)), transpose=_sub_transpose)


def _div_divisor_jvp(t: Any, z: Any, x: Any, y: Any) -> Any:
    """-t x / y^2; by y^-2, which a compiler need not work out for every element of a broadcast y."""
    return mul(mul(neg(t), x), integer_pow(y, -2))


div_p = nary("div", reference.div, (lambda t, z, x, y: div(t, y), _div_divisor_jvp), transpose=_div_transpose)

neg = unary_function(neg_p, "-x.")
sub = binary_function(sub_p, "x - y.")
div = binary_function(div_p, "x / y; of integers truncated toward zero.")


def add_any(x: Any, y: Any) -> Any:
    """Sum of two cotangents of one value."""
    return add_p.bind(x, y)[0]


# ---- sign and roundings ----

sign_p = unary("sign", reference.sign, takes=any_number)
floor_p = unary("floor", np.floor, takes=dtypes.is_float)
ceil_p = unary("ceil", np.ceil, takes=dtypes.is_float)
round_p = unary("round", reference.round_, takes=dtypes.is_float)
is_finite_p = unary("is_finite", np.isfinite, takes=dtypes.is_float, result=lambda dtype: dtypes.bool_)
nextafter_p = nary("nextafter", reference.nextafter, takes=dtypes.is_float)

sign = unary_function(sign_p, "-1, 0 or 1; x / |x| for complex x.")
floor = unary_function(floor_p, "The greatest whole number up to x.")
ceil = unary_function(ceil_p, "The least whole number from x on.")
is_finite = unary_function(is_finite_p, "Whether x is neither infinite nor NaN.")
nextafter = binary_function(nextafter_p, "The next number after x in the direction of y.")


def round(x: Any, rounding_method: int = 0) -> Any:
    """The nearest whole number; halves go away from zero (method 0) or to the even one (method 1)."""
    return round_p.bind(x, rounding_method=int(rounding_method))[0]


# ---- rem ----

def _whole_quotient(x: Any, y: Any) -> Any:
    quotient = div(x, y)
    return mul(sign(quotient), floor(mul(sign(quotient), quotient)))


rem_p = nary("rem", reference.rem, (lambda t, z, x, y: t, lambda t, z, x, y: mul(neg(t), _whole_quotient(x, y))),
             takes=_real_or_integer)
rem = binary_function(rem_p, "Remainder of x / y with the sign of x.")


# ---- max, min, clamp ----

def _share(x: Any, z: Any, y: Any) -> Any:
    """1 where z came from x, 1/2 where x and y tie, else 0."""
    nothing, half, all = scalar_like(z, 0.0), scalar_like(z, 0.5), scalar_like(z, 1.0)
    return select_n(eq(x, z), nothing, select_n(eq(y, z), all, half))


_choices = (lambda t, z, x, y: mul(t, _share(x, z, y)), lambda t, z, x, y: mul(t, _share(y, z, x)))
max_p = nary("max", np.maximum, _choices, takes=not_a_key, traits=("commutative",))
min_p = nary("min", np.minimum, _choices, takes=not_a_key, traits=("commutative",))
max = binary_function(max_p, "The larger of x and y; NaN if one is.")
min = binary_function(min_p, "The smaller of x and y; NaN if one is.")


def _where(mask: Any, t: Any) -> Any:
    return select_n(mask, scalar_like(t, 0.0), t)


def _above(x: Any, y: Any) -> Any:
    if dtypes.is_complex(typeof(x).dtype):
        raise DtypeError(f"clamp of complex numbers, which compares their real parts, has no derivative{at_line()}. "
                         "Clamp lax.real(x) and lax.imag(x).")
    return gt(x, y)


clamp_p = nary("clamp", reference.clamp, (
    lambda t, z, low, x, high: _where(bitwise_and(_above(low, x), _above(high, low)), t),
    lambda t, z, low, x, high: _where(bitwise_and(_above(x, low), _above(high, x)), t),
    lambda t, z, low, x, high: _where(_above(x, high), t)), takes=not_a_key)


def clamp(low: Any, x: Any, high: Any) -> Any:
    """x moved into the interval from low to high."""
    return clamp_p.bind(low, x, high)[0]
