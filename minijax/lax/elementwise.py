"""Elementwise ops as functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import pytree
from minijax.errors import DtypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.lax.enums import RoundingMethod
from minijax.ops import arithmetic, bits, comparison, conversion, elementwise
from minijax.ops.families import add_p, at_line, mul_p
from minijax.ops.operands import operand, whole
from minijax.ops.promotion import convert, like_scalar
from minijax.tracing.array import Array, is_value, typeof


def like_arrays(*operands: Any) -> list[Any]:
    """Operands with Python scalars at the dtype of the first array, if they fit it."""
    array = next((x for x in operands if x.__class__ not in (int, float, bool, complex)), None)
    if array is None:
        return list(operands)
    type = typeof(array)
    found = []
    for x in operands:
        scalar = like_scalar(x, type)
        found.append(x if scalar is None else scalar)
    return found


# What JAX gives an `accuracy`: here it is the backend's own.
_ROUNDED = ("exp", "exp2", "expm1", "log", "log1p", "logistic", "sin", "cos", "tan", "tanh", "sqrt", "rsqrt", "cbrt")


def _unary(name: str, op: Op, meaning: str) -> Callable[..., Any]:
    if name in _ROUNDED:
        def function(x: Any, *, accuracy: Any = None) -> Any:
            return op.bind(x)[0]
    else:
        def function(x: Any) -> Any:
            return op.bind(x)[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = meaning
    return function


def _nary(name: str, op: Op, meaning: str) -> Callable[..., Any]:
    def function(x: Any, y: Any) -> Any:
        if isinstance(x, Array) and isinstance(y, Array):
            return op.bind(x, y)[0]
        return op.bind(*like_arrays(x, y))[0]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning}\n\n    Elementwise, of one dtype and shape; a scalar stands for an array.\n    "
    return function


exp, exp2 = _unary("exp", elementwise.exp_p, "e to the power x."), _unary("exp2", elementwise.exp2_p,
                                                                          "2 to the power x.")
expm1 = _unary("expm1", elementwise.expm1_p, "exp(x) - 1, exact for small x.")
log, log1p = _unary("log", elementwise.log_p, "Natural logarithm."), _unary("log1p", elementwise.log1p_p, "log(1 + x).")
logistic = _unary("logistic", elementwise.logistic_p, "1 / (1 + exp(-x)).")
sin, cos = _unary("sin", elementwise.sin_p, "Sine."), _unary("cos", elementwise.cos_p, "Cosine.")
tan = _unary("tan", elementwise.tan_p, "Tangent.")
asin, acos = _unary("asin", elementwise.asin_p, "Inverse of sin."), _unary("acos", elementwise.acos_p,
                                                                           "Inverse of cos.")
atan = _unary("atan", elementwise.atan_p, "Inverse of tan.")
sinh, cosh = _unary("sinh", elementwise.sinh_p, "Hyperbolic sine."), _unary("cosh", elementwise.cosh_p,
                                                                            "Hyperbolic cosine.")
tanh = _unary("tanh", elementwise.tanh_p, "Hyperbolic tangent.")
asinh, acosh = _unary("asinh", elementwise.asinh_p, "Inverse of sinh."), _unary("acosh", elementwise.acosh_p,
                                                                                "Inverse of cosh.")
atanh = _unary("atanh", elementwise.atanh_p, "Inverse of tanh.")
sqrt, rsqrt = _unary("sqrt", elementwise.sqrt_p, "Square root."), _unary("rsqrt", elementwise.rsqrt_p, "1 / sqrt(x).")
cbrt, square = _unary("cbrt", elementwise.cbrt_p, "Cube root."), _unary("square", elementwise.square_p, "x * x.")
erf, erfc = _unary("erf", elementwise.erf_p, "The error function."), _unary("erfc", elementwise.erfc_p, "1 - erf(x).")
erf_inv = _unary("erf_inv", elementwise.erf_inv_p, "Inverse of erf.")
abs, neg = _unary("abs", elementwise.abs_p, "Absolute value."), _unary("neg", arithmetic.neg_p, "-x.")
sign, floor = _unary("sign", arithmetic.sign_p, "-1, 0 or 1."), _unary("floor", arithmetic.floor_p, "Rounded down.")
ceil, is_finite = _unary("ceil", arithmetic.ceil_p, "Rounded up."), _unary("is_finite", arithmetic.is_finite_p,
                                                                           "Neither infinite nor NaN.")
real, imag = _unary("real", conversion.real_p, "Real part."), _unary("imag", conversion.imag_p, "Imaginary part.")
bitwise_not = _unary("bitwise_not", bits.not_p, "The other bits.")
population_count, clz = (_unary("population_count", bits.population_count_p, "Number of bits set."),
                         _unary("clz", bits.clz_p, "Number of zero bits above the highest bit set."))

add, sub = _nary("add", add_p, "x + y."), _nary("sub", arithmetic.sub_p, "x - y.")
_mul, div = _nary("mul", mul_p, "x * y."), _nary("div", arithmetic.div_p, "x / y; integers truncate.")
rem = _nary("rem", arithmetic.rem_p, "Remainder with the sign of x.")
max, min = _nary("max", arithmetic.max_p, "The larger one."), _nary("min", arithmetic.min_p, "The smaller one.")
_nextafter = _nary("nextafter", arithmetic.nextafter_p, "The next number after x towards y.")
atan2 = _nary("atan2", elementwise.atan2_p, "Angle of the point at height x and width y.")
eq, ne = _nary("eq", comparison.eq_p, "x == y."), _nary("ne", comparison.ne_p, "x != y.")
lt, le = _nary("lt", comparison.lt_p, "x < y."), _nary("le", comparison.le_p, "x <= y.")
gt, ge = _nary("gt", comparison.gt_p, "x > y."), _nary("ge", comparison.ge_p, "x >= y.")
bitwise_and, bitwise_or = _nary("bitwise_and", bits.and_p, "Bits of both."), _nary("bitwise_or", bits.or_p,
                                                                                   "Bits of either.")
bitwise_xor = _nary("bitwise_xor", bits.xor_p, "Bits of just one.")
shift_left = _nary("shift_left", bits.shift_left_p, "Bits moved up.")
shift_right_logical, shift_right_arithmetic = (
    _nary("shift_right_logical", bits.shift_right_logical_p, "Bits moved down, zeros come in."),
    _nary("shift_right_arithmetic", bits.shift_right_arithmetic_p, "Bits moved down, the sign stays."))
complex = _nary("complex", conversion.complex_p, "x + i y.")


def nextafter(x1: Any, x2: Any) -> Any:
    """The next number after x1 towards x2."""
    return _nextafter(x1, x2)


def mul(x: Any, y: Any, *, out_dtype: Any = None) -> Any:
    """x * y, elementwise, of one dtype and shape; a scalar stands for an array.

    With `out_dtype` the product is worked out in that dtype: small integers need not wrap around.

    >>> import numpy as np
    >>> mul(np.int8([100]), np.int8(2), out_dtype='int32')
    Array([200], dtype=int32)
    """
    if out_dtype is None:
        return _mul(x, y)
    return _mul(*[convert_element_type(operand, dtypes.canonical_dtype(out_dtype)) for operand in like_arrays(x, y)])


def pow(x: Any, y: Any) -> Any:
    """x to the power y, of x's dtype or an integer.

    >>> pow(2.0, 3.0)
    Array(8., dtype=float32, weak_type=True)
    """
    return elementwise.pow(x, y if dtypes.is_integer(typeof(y).dtype) and
                           isinstance(y, Array) else like_arrays(x, y)[1])


def integer_pow(x: Any, y: int) -> Any:
    """x to a whole power that is known while tracing."""
    return elementwise.integer_pow(x, whole("integer_pow", "the power", y))


def reciprocal(x: Any) -> Any:
    """1 / x."""
    return elementwise.integer_pow(x, -1)


def round(x: Any, rounding_method: RoundingMethod = RoundingMethod.AWAY_FROM_ZERO) -> Any:
    """The nearest whole number; halves go away from zero or, by TO_NEAREST_EVEN, to the even one.

    >>> round(2.5), round(2.5, RoundingMethod.TO_NEAREST_EVEN)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    return arithmetic.round(x, int(rounding_method))


def conj(x: Any) -> Any:
    """Complex conjugate; a real x becomes complex."""
    x = operand("conj", x)
    if dtypes.is_complex(x.dtype):
        return conversion.conj(x)
    return conversion.complex(x, convert(0.0, x.dtype))


def clamp(min: Any, x: Any, max: Any) -> Any:
    """x moved into the interval from min to max."""
    array, low, high = like_arrays(x, min, max)
    return arithmetic.clamp(low, array, high)


def select(pred: Any, on_true: Any, on_false: Any) -> Any:
    """Elements of `on_true` where `pred`, else of `on_false`.

    >>> import numpy as np
    >>> select(np.array([True, False]), np.float32([1, 2]), np.float32([3, 4]))
    Array([1., 4.], dtype=float32)
    """
    return select_n(pred, on_false, on_true)


def select_n(which: Any, *cases: Any) -> Any:
    """Elements of the case that `which` names: False takes the first, True the second; or an int32 number."""
    return comparison.select_n(which, *like_arrays(*cases))


def convert_element_type(operand: Any, new_dtype: Any) -> Any:
    """The elements at another dtype, by value; None keeps it."""
    return conversion.convert_element_type(operand, typeof(operand).dtype if new_dtype is None else new_dtype)


def bitcast_convert_type(operand: Any, new_dtype: Any) -> Any:
    """The bits read as another dtype; elements that become several add a last axis.

    >>> import numpy as np
    >>> bitcast_convert_type(np.float32(1), 'uint32')
    Array(1065353216, dtype=uint32)
    """
    return conversion.bitcast_convert_type(operand, new_dtype)


def reduce_precision(operand: Any, exponent_bits: int, mantissa_bits: int) -> Any:
    """Rounded to the values of a float format with fewer bits: at least 1 of the exponent."""
    bits = [whole("reduce_precision", name, number) for name, number in (("exponent_bits", exponent_bits),
                                                                         ("mantissa_bits", mantissa_bits))]
    if bits[0] < 1 or bits[1] < 0:
        raise MinijaxValueError(f"reduce_precision: there is no format of {bits[0]} exponent and {bits[1]} mantissa "
                                f"bits{at_line()}. Give 1 and 0 at least.")
    return conversion.reduce_precision(operand, *bits)


def stop_gradient(x: Any) -> Any:
    """A pytree of values whose derivative is declared to be zero.

    >>> from minijax import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    Array(3., dtype=float32, weak_type=True)
    """
    return pytree.map(_stopped, x)


def _stopped(x: Any) -> Any:
    if not is_value(x):
        raise DtypeError(f"stop_gradient takes arrays and scalars, got {x!r}{at_line()}.")
    return conversion.stop_gradient(x) if dtypes.is_inexact(typeof(x).dtype) else x
