"""NumPy's elementwise functions of one and of two operands.

Those of Python's operators are in `ops/operators.py`.  A function that is one op at the
operands' own dtype calls the op; any other is one compiled kernel when eager (`fused`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.custom_rules import custom_jvp
from minijax.errors import MinijaxValueError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.numpy.operands import operand, refuse
from minijax.ops import arithmetic, bits, comparison, conversion, elementwise
from minijax.ops.comparison import select_n
from minijax.ops.families import broadcast_in_dim, broadcast_in_dim_p, scalar_like
from minijax.ops.operators import (absolute, add, bitwise_and, bitwise_or, bitwise_xor, divmod, equal, floor_divide,
                                   greater, greater_equal, invert, left_shift, less, less_equal, maximum, minimum,
                                   multiply, negative, not_equal, positive, power, remainder, right_shift, subtract,
                                   true_divide)
from minijax.ops.promotion import (INEXACT, broadcast_operands, harmonize, promoted_inexact, promoted_numeric,
                                   to_inexact)
from minijax.tracing.array import Array, is_value, typeof
from minijax.tracing.source import at_line

__all__ = ["absolute", "add", "bitwise_and", "bitwise_or", "bitwise_xor", "divmod", "equal", "floor_divide", "greater",
           "greater_equal", "invert", "left_shift", "less", "less_equal", "maximum", "minimum", "multiply", "negative",
           "not_equal", "positive", "power", "remainder", "right_shift", "subtract", "true_divide"]


def _inexact(name: str, op: Op, meaning: str) -> Callable[[Any], Any]:
    """NumPy's function of an op that takes floating-point numbers; integers are converted."""
    def converted(x: Any) -> Any:
        return op.bind(*promoted_inexact(name, x))[0]

    slow = fused(converted)

    def function(x: Any, /) -> Any:
        return op.bind(x)[0] if isinstance(x, Array) and x.type.dtype in INEXACT else slow(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}\n\n    Elementwise; integers and booleans are taken for floating-point.\n    "
    return function


exp = _inexact("exp", elementwise.exp_p, "e to the power x.")
exp2 = _inexact("exp2", elementwise.exp2_p, "2 to the power x.")
expm1 = _inexact("expm1", elementwise.expm1_p, "exp(x) - 1, exact for small x.")
log = _inexact("log", elementwise.log_p, "Natural logarithm.")
log1p = _inexact("log1p", elementwise.log1p_p, "log(1 + x), exact for small x.")
sin = _inexact("sin", elementwise.sin_p, "Sine of x in radians.")
cos = _inexact("cos", elementwise.cos_p, "Cosine of x in radians.")
tan = _inexact("tan", elementwise.tan_p, "Tangent of x in radians.")
arcsin = _inexact("arcsin", elementwise.asin_p, "Angle in radians whose sine is x.")
arccos = _inexact("arccos", elementwise.acos_p, "Angle in radians whose cosine is x.")
arctan = _inexact("arctan", elementwise.atan_p, "Angle in radians whose tangent is x.")
sinh = _inexact("sinh", elementwise.sinh_p, "Hyperbolic sine.")
cosh = _inexact("cosh", elementwise.cosh_p, "Hyperbolic cosine.")
tanh = _inexact("tanh", elementwise.tanh_p, "Hyperbolic tangent.")
arcsinh = _inexact("arcsinh", elementwise.asinh_p, "Inverse of sinh.")
arccosh = _inexact("arccosh", elementwise.acosh_p, "Inverse of cosh.")
arctanh = _inexact("arctanh", elementwise.atanh_p, "Inverse of tanh.")
sqrt = _inexact("sqrt", elementwise.sqrt_p, "Square root.")
cbrt = _inexact("cbrt", elementwise.cbrt_p, "Cube root.")


def _strong(x: Any, value: float) -> Any:
    """A constant of the dtype of x, which makes results strong as JAX's are."""
    return typeof(x).dtype.type(value)


@fused
def log2(x: Any, /) -> Any:
    """Logarithm to base 2.

    >>> log2(8.0)
    Array(3., dtype=float32)
    """
    x, = promoted_inexact("log2", x)
    return arithmetic.div(elementwise.log(x), elementwise.log(_strong(x, 2.0)))


@fused
def log10(x: Any, /) -> Any:
    """Logarithm to base 10."""
    x, = promoted_inexact("log10", x)
    return multiply(elementwise.log(x), _strong(x, 1 / math.log(10)))


def square(x: Any, /) -> Any:
    """x * x, elementwise.

    >>> square(3)
    Array(9, dtype=int32, weak_type=True)
    """
    return elementwise.square(*promoted_numeric("square", x))


def sign(x: Any, /) -> Any:
    """-1, 0 or 1, elementwise; x / |x| for complex numbers."""
    return arithmetic.sign(operand("sign", x))


def reciprocal(x: Any, /) -> Any:
    """1 / x, elementwise."""
    return elementwise.integer_pow(*promoted_inexact("reciprocal", x), -1)


# ---- rounding ----

def _rounding(name: str, round_: Callable[[Any], Any], meaning: str) -> Callable[[Any], Any]:
    def function(x: Any, /) -> Any:
        x = operand(name, x)
        return round_(x) if dtypes.is_float(x.dtype) else x

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}\n\n    Elementwise; integers and booleans are returned as they are.\n    "
    return function


def _toward_zero(x: Any) -> Any:
    return select_n(comparison.lt(x, scalar_like(x, 0.0)), arithmetic.floor(x), arithmetic.ceil(x))


floor = _rounding("floor", arithmetic.floor, "The greatest whole number up to x.")
ceil = _rounding("ceil", arithmetic.ceil, "The least whole number from x on.")
trunc = fix = _rounding("trunc", fused(_toward_zero), "x without its fraction.")


def rint(x: Any, /) -> Any:
    """The nearest whole number, elementwise; halves go to the even one."""
    x = operand("rint", x)
    return arithmetic.round(x if dtypes.is_float(x.dtype) else x.astype(to_inexact(x.dtype)), rounding_method=1)


def round(a: Any, decimals: int = 0, out: None = None) -> Any:
    """`a` rounded to `decimals` places, elementwise; halves go to the even number.

    >>> round(2.345, 1)
    Array(2.3, dtype=float32, weak_type=True)
    """
    refuse("round", out=out)
    a = operand("round", a)
    if dtypes.is_integer(a.dtype) or a.dtype == dtypes.bool_:
        if decimals < 0:
            raise NotImplementedError("round: integers are not rounded to tens. Convert with .astype(float).")
        return a
    return arithmetic.round(a, 1) if decimals == 0 and dtypes.is_float(a.dtype) else _round(a, decimals=int(decimals))


def _round_to(x: Any, decimals: int) -> Any:
    if dtypes.is_complex(x.dtype):
        return conversion.complex(_round_to(conversion.real(x), decimals), _round_to(conversion.imag(x), decimals))
    if decimals == 0:
        return arithmetic.round(x, 1)
    wide = conversion.convert_element_type(x, dtypes.float32) if x.dtype.itemsize == 2 else x
    factor = scalar_like(wide, float(10 ** decimals))
    rounded = arithmetic.div(arithmetic.round(multiply(wide, factor), 1), factor)
    return conversion.convert_element_type(rounded, x.dtype, typeof(rounded).weak_type)


_round = fused(_round_to, static_argnames=("decimals",))
around = round


# ---- complex numbers ----

def real(val: Any, /) -> Any:
    """Real part, elementwise."""
    x = operand("real", val)
    return conversion.real(x) if dtypes.is_complex(x.dtype) else x


def imag(val: Any, /) -> Any:
    """Imaginary part, elementwise; zeros for real numbers."""
    x = operand("imag", val)
    return conversion.imag(x) if dtypes.is_complex(x.dtype) else _full(x, _zero(x))


def conjugate(x: Any, /) -> Any:
    """Complex conjugate, elementwise; real numbers as they are."""
    x = operand("conjugate", x)
    return conversion.conj(x) if dtypes.is_complex(x.dtype) else x


def angle(z: Any, deg: bool = False) -> Any:
    """Angle of a complex number with the real axis, in radians or degrees."""
    return _angle(z, deg=bool(deg))


def _angle_of(z: Any, deg: bool) -> Any:
    z, = promoted_inexact("angle", operand("angle", z))
    real_parts = _full(z, _strong(z, 0.0)), z
    parts = (conversion.imag(z), conversion.real(z)) if dtypes.is_complex(typeof(z).dtype) else real_parts
    out = elementwise.atan2(*parts)
    return multiply(out, 180 / math.pi) if deg else out


_angle = fused(_angle_of, static_argnames=("deg",))


# ---- tests of numbers ----

def _zero(x: Any) -> Any:
    return scalar_like(x, 0.0 if dtypes.is_float(x.dtype) else 0)


def _full(x: Any, value: Any) -> Any:
    """A scalar in the shape of x."""
    return broadcast_in_dim_p.bind(value, shape=x.shape, broadcast_dimensions=())[0]


def isnan(x: Any, /) -> Any:
    """Whether x is NaN, elementwise."""
    x = operand("isnan", x)
    return comparison.ne(x, x)


def isfinite(x: Any, /) -> Any:
    """Whether x is neither infinite nor NaN, elementwise."""
    x = operand("isfinite", x)
    if dtypes.is_float(x.dtype):
        return arithmetic.is_finite(x)
    if dtypes.is_complex(x.dtype):
        return bits.bitwise_and(isfinite(conversion.real(x)), isfinite(conversion.imag(x)))
    return _full(x, np.bool_(True))


@fused
def isinf(x: Any, /) -> Any:
    """Whether x is infinite, elementwise."""
    x = operand("isinf", x)
    if dtypes.is_complex(x.dtype):
        return bits.bitwise_or(isinf(conversion.real(x)), isinf(conversion.imag(x)))
    if dtypes.is_float(x.dtype):
        return comparison.eq(elementwise.abs(x), scalar_like(x, math.inf))
    return _full(x, np.bool_(False))


def isposinf(x: Any, /) -> Any:
    """Whether x is +infinity, elementwise."""
    return equal(x, math.inf)


def isneginf(x: Any, /) -> Any:
    """Whether x is -infinity, elementwise."""
    return equal(x, -math.inf)


def signbit(x: Any, /) -> Any:
    """Whether the sign bit of x is set (of -0.0 it is), elementwise."""
    return _signbit(x)


@fused
def _signbit(x: Any) -> Any:
    x = operand("signbit", x)
    if not dtypes.is_float(x.dtype):
        return less(x, 0) if dtypes.is_integer(x.dtype) else _full(x, np.bool_(False))
    signed = conversion.bitcast_convert_type(x, np.dtype(f"int{x.dtype.itemsize * 8}"))
    return comparison.lt(signed, scalar_like(signed, 0))


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """x with NaN, +infinity and -infinity replaced, by 0 and the largest numbers of its dtype.

    >>> nan_to_num(np.array([np.nan, 1.0]))
    Array([0., 1.], dtype=float32)
    """
    return _nan_to_num(x, nan, posinf, neginf)


@fused
def _nan_to_num(x: Any, nan: Any, posinf: Any, neginf: Any) -> Any:
    x = operand("nan_to_num", x)
    if dtypes.is_complex(x.dtype):
        return conversion.complex(_nan_to_num(conversion.real(x), nan, posinf, neginf),
                                  _nan_to_num(conversion.imag(x), nan, posinf, neginf))
    if not dtypes.is_float(x.dtype):
        return x
    limits = dtypes.ml_dtypes.finfo(x.dtype)
    posinf, neginf = limits.max if posinf is None else posinf, limits.min if neginf is None else neginf
    for place, value in ((isnan(x), nan), (isposinf(x), posinf), (isneginf(x), neginf)):
        value = conversion.convert_element_type(operand("nan_to_num", value), x.dtype)
        x = select_n(place, x, broadcast_in_dim(value, x.shape, range(x.ndim - value.ndim, x.ndim)))
    return x


def iscomplexobj(x: Any) -> bool:
    """Whether x is of a complex dtype."""
    return dtypes.is_complex(typeof(x).dtype) if is_value(x) else bool(np.iscomplexobj(x))


def isrealobj(x: Any) -> bool:
    """Whether x is of a dtype that is not complex."""
    return not iscomplexobj(x)


# ---- two operands ----

def _inexact_pair(name: str, function: Callable[[Any, Any], Any], meaning: str) -> Callable[[Any, Any], Any]:
    def converted(x1: Any, x2: Any) -> Any:
        return function(*broadcast_operands(name, *promoted_inexact(name, x1, x2)))

    compiled = fused(converted)

    def call(x1: Any, x2: Any, /) -> Any:
        return compiled(x1, x2)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{meaning}\n\n    Elementwise; operands are promoted to a floating-point dtype and broadcast.\n    "
    return call


def _logaddexp_of(x: Any, y: Any) -> Any:
    gap = arithmetic.sub(x, y)
    total = add(arithmetic.max(x, y), elementwise.log1p(elementwise.exp(arithmetic.neg(elementwise.abs(gap)))))
    return select_n(comparison.ne(gap, gap), total, add(x, y))  # equal infinities, or a NaN


def _share(x: Any, z: Any) -> Any:
    """exp(x - z), the derivative of z = logaddexp(x, ...), where infinities stand for 0."""
    finite = [select_n(equal(each, math.inf), each, scalar_like(each, 0.0)) for each in (x, z)]
    return elementwise.exp(arithmetic.sub(*finite))


_logaddexp = custom_jvp(_logaddexp_of)


@_logaddexp.defjvp
def _logaddexp_jvp(primals: Any, tangents: Any) -> Any:
    (x, y), (t, s) = primals, tangents
    z = _logaddexp(x, y)
    return z, add(multiply(t, _share(x, z)), multiply(s, _share(y, z)))


def _hypot_of(x: Any, y: Any) -> Any:
    x, y = elementwise.abs(x), elementwise.abs(y)
    infinite = bits.bitwise_or(isposinf(x), isposinf(y))
    high, low = arithmetic.max(x, y), arithmetic.min(x, y)
    nothing = equal(high, 0.0)
    ratio = arithmetic.div(low, select_n(nothing, high, scalar_like(high, 1.0)))
    length = multiply(high, elementwise.sqrt(add(scalar_like(high, 1.0), elementwise.square(ratio))))
    return select_n(infinite, select_n(nothing, length, high), scalar_like(high, math.inf))


arctan2 = _inexact_pair("arctan2", elementwise.atan2, "Angle of the point at height x1 and width x2.")
float_power = _inexact_pair("float_power", elementwise.pow, "x1 to the power x2, in floating point.")
nextafter = _inexact_pair("nextafter", arithmetic.nextafter, "The next number after x1 in the direction of x2.")
logaddexp = _inexact_pair("logaddexp", _logaddexp, "log(exp(x1) + exp(x2)) without overflow.")
hypot = _inexact_pair("hypot", _hypot_of, "sqrt(x1**2 + x2**2) without overflow.")


@fused
def fmod(x1: Any, x2: Any, /) -> Any:
    """Remainder of x1 / x2 with the sign of x1, elementwise."""
    x1, x2 = broadcast_operands("fmod", *promoted_numeric("fmod", x1, x2))
    if dtypes.is_integer(typeof(x1).dtype):
        x2 = select_n(equal(x2, 0), x2, scalar_like(x2, 1))
    return arithmetic.rem(x1, x2)


@fused
def copysign(x1: Any, x2: Any, /) -> Any:
    """|x1| with the sign of x2, elementwise."""
    x1, x2 = broadcast_operands("copysign", *promoted_inexact("copysign", x1, x2))
    return select_n(signbit(x2), elementwise.abs(x1), arithmetic.neg(elementwise.abs(x1)))


@fused
def heaviside(x1: Any, x2: Any, /) -> Any:
    """0 below zero, 1 above, x2 at zero, elementwise."""
    x1, x2 = broadcast_operands("heaviside", *promoted_inexact("heaviside", x1, x2))
    above = select_n(equal(x1, 0.0), scalar_like(x1, 1.0), x2)
    return select_n(isnan(x1), select_n(less(x1, 0.0), above, scalar_like(x1, 0.0)), x1)


def deg2rad(x: Any, /) -> Any:
    """Degrees to radians."""
    return _scaled("deg2rad", x, math.pi / 180)


def rad2deg(x: Any, /) -> Any:
    """Radians to degrees."""
    return _scaled("rad2deg", x, 180 / math.pi)


def _scaled(name: str, x: Any, factor: float) -> Any:
    x, = promoted_inexact(name, x)
    return multiply(x, scalar_like(x, factor))


# ---- logic ----

def as_bool(x: Any) -> Any:
    """Whether x is not zero, elementwise."""
    x = operand("logical functions", x)
    return x if x.dtype == dtypes.bool_ else comparison.ne(x, scalar_like(x, 0))


def _logical(name: str, op: Op, meaning: str) -> Callable[[Any, Any], Any]:
    def converted(x: Any, y: Any) -> Any:
        return op.bind(*broadcast_operands(name, as_bool(x), as_bool(y)))[0]

    slow = fused(converted)

    def function(x: Any, y: Any, /) -> Any:
        plain = isinstance(x, Array) and isinstance(y, Array) and x.shape == y.shape and (
            x.dtype == y.dtype == dtypes.bool_)
        return op.bind(x, y)[0] if plain else slow(x, y)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}\n\n    Elementwise; numbers other than 0 are true.\n    "
    return function


logical_and = _logical("logical_and", bits.and_p, "x and y.")
logical_or = _logical("logical_or", bits.or_p, "x or y.")
logical_xor = _logical("logical_xor", bits.xor_p, "Either x or y, not both.")


def logical_not(x: Any, /) -> Any:
    """not x, elementwise; numbers other than 0 are true."""
    x = operand("logical_not", x)
    return bits.bitwise_not(x) if x.dtype == dtypes.bool_ else comparison.eq(x, scalar_like(x, 0))


def clip(arr: Any = None, /, min: Any = None, max: Any = None) -> Any:
    """Elements moved into the interval from `min` to `max`; either may be None.  Raises for complex numbers.

    >>> clip(np.array([-1.0, 0.5, 2.0]), 0, 1)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return _clip(arr, min, max)


@fused
def _clip(x: Any, low: Any, high: Any) -> Any:
    x = operand("clip", x)
    if any([dtypes.is_complex(typeof(value).dtype) for value in (x, low, high) if value is not None]):
        raise MinijaxValueError(f"clip: complex numbers have no order{at_line()}. Clip the real and imaginary parts, "
                                "or the absolute value.")
    x = x if low is None else maximum(low, x)
    return x if high is None else minimum(high, x)


# ---- closeness ----

def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether |a - b| <= atol + rtol |b|, elementwise.

    >>> isclose(1.0, 1.0 + 1e-7)
    Array(True, dtype=bool)
    """
    return _isclose(a, b, rtol, atol, equal_nan=bool(equal_nan))


def _isclose_of(a: Any, b: Any, rtol: Any, atol: Any, equal_nan: bool) -> Any:
    a, b = harmonize("isclose", operand("isclose", a), operand("isclose", b))
    if not dtypes.is_inexact(a.dtype):
        a, b = promoted_inexact("isclose", a, b)
    rtol, atol = (conversion.convert_element_type(operand("isclose", r), dtypes.real_dtype(a.dtype)) for r in (rtol,
                                                                                                               atol))
    near = less_equal(absolute(subtract(a, b)), add(atol, multiply(rtol, absolute(b))))
    same = bits.bitwise_and(isfinite(b), near)
    same = bits.bitwise_or(same, equal(a, b))
    return bits.bitwise_or(same, bits.bitwise_and(isnan(a), isnan(b))) if equal_nan else same


_isclose = fused(_isclose_of, static_argnames=("equal_nan",))

abs, conj, divide, mod, pow = absolute, conjugate, true_divide, remainder, power
acos, acosh, asin, asinh, atan, atanh, atan2 = arccos, arccosh, arcsin, arcsinh, arctan, arctanh, arctan2
bitwise_not = bitwise_invert = invert
bitwise_left_shift, bitwise_right_shift = left_shift, right_shift
degrees, radians, fabs = rad2deg, deg2rad, absolute
