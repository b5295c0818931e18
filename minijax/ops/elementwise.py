"""The usual functions, elementwise: exp to atanh, powers, abs, erf.

The other elementwise ops are in `arithmetic`, `comparison`, `bits` and `conversion`.
A derivative is written as in a table of derivatives: y is the result, x the operand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minijax.errors import DtypeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.ops import reference
from minijax.ops.arithmetic import (add_any, clamp, div, integer_pow, max, min, neg, sign,
                                    sub)
from minijax.ops.comparison import eq, ge, gt, le, lt, ne, select_n
from minijax.ops.conversion import conj, convert_element_type, copy, real, stop_gradient
from minijax.ops.families import (accepts, add, any_number, binary_function, elementwise_shape, mul, nary,
                                  scalar_like, unary, unary_function)
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

__all__ = ["abs", "acos", "acosh", "add", "add_any", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "clamp",
           "convert_element_type", "copy", "cos", "cosh", "div", "eq", "erf", "erf_inv", "erfc", "exp", "exp2",
           "expm1", "ge", "gt", "integer_pow", "le", "log", "log1p", "logistic", "lt", "max", "min", "mul", "ne",
           "neg", "pow", "rsqrt", "select_n", "sign", "sin", "sinh", "sqrt", "square", "stop_gradient", "sub", "tan",
           "tanh"]


def _times(factor: float, x: Any) -> Any:
    return mul(scalar_like(x, factor), x)


def _plus(x: Any, term: float) -> Any:
    return add(x, scalar_like(x, term))


def _one_minus(x: Any) -> Any:
    return sub(scalar_like(x, 1.0), x)


def _over(numerator: float, x: Any) -> Any:
    return div(scalar_like(x, numerator), x)


# ---- exponentials and logarithms ----

exp_p = unary("exp", np.exp, lambda y, x: y)
exp2_p = unary("exp2", np.exp2, lambda y, x: _times(math.log(2), y))
expm1_p = unary("expm1", np.expm1, lambda y, x: _plus(y, 1.0))
log_p = nary("log", np.log, (lambda t, y, x: div(t, x),), takes=dtypes.is_inexact)
log1p_p = nary("log1p", np.log1p, (lambda t, y, x: div(t, _plus(x, 1.0)),), takes=dtypes.is_inexact)
logistic_p = unary("logistic", reference.logistic, lambda y, x: mul(y, _one_minus(y)))

exp = unary_function(exp_p, "e to the power x.")
exp2 = unary_function(exp2_p, "2 to the power x.")
expm1 = unary_function(expm1_p, "exp(x) - 1, exact for small x.")
log = unary_function(log_p, "Natural logarithm.")
log1p = unary_function(log1p_p, "log(1 + x), exact for small x.")
logistic = unary_function(logistic_p, "1 / (1 + exp(-x)).")


# ---- trigonometric and hyperbolic functions ----

sin_p = unary("sin", np.sin, lambda y, x: cos(x))
cos_p = unary("cos", np.cos, lambda y, x: neg(sin(x)))
tan_p = unary("tan", np.tan, lambda y, x: _plus(square(y), 1.0))
asin_p = unary("asin", np.arcsin, lambda y, x: rsqrt(_one_minus(square(x))))
acos_p = unary("acos", np.arccos, lambda y, x: neg(rsqrt(_one_minus(square(x)))))
atan_p = nary("atan", np.arctan, (lambda t, y, x: div(t, _plus(square(x), 1.0)),), takes=dtypes.is_inexact)
sinh_p = unary("sinh", np.sinh, lambda y, x: cosh(x))
cosh_p = unary("cosh", np.cosh, lambda y, x: sinh(x))
tanh_p = unary("tanh", np.tanh, lambda y, x: mul(_one_minus(y), _plus(y, 1.0)))
asinh_p = unary("asinh", np.arcsinh, lambda y, x: rsqrt(_plus(square(x), 1.0)))
acosh_p = unary("acosh", np.arccosh, lambda y, x: rsqrt(_plus(square(x), -1.0)))
atanh_p = nary("atanh", np.arctanh, (lambda t, y, x: div(t, mul(_one_minus(x), _plus(x, 1.0))),),
               takes=dtypes.is_inexact)

sin = unary_function(sin_p, "Sine of x in radians.")
cos = unary_function(cos_p, "Cosine of x in radians.")
tan = unary_function(tan_p, "Tangent of x in radians.")
asin = unary_function(asin_p, "Angle in radians whose sine is x.")
acos = unary_function(acos_p, "Angle in radians whose cosine is x.")
atan = unary_function(atan_p, "Angle in radians whose tangent is x.")
sinh = unary_function(sinh_p, "Hyperbolic sine.")
cosh = unary_function(cosh_p, "Hyperbolic cosine.")
tanh = unary_function(tanh_p, "Hyperbolic tangent.")
asinh = unary_function(asinh_p, "Inverse of sinh.")
acosh = unary_function(acosh_p, "Inverse of cosh.")
atanh = unary_function(atanh_p, "Inverse of tanh.")


def _square_of_radius(x: Any, y: Any) -> Any:
    return add(square(x), square(y))


atan2_p = nary("atan2", np.arctan2, (lambda t, z, x, y: mul(t, div(y, _square_of_radius(x, y))),
                                     lambda t, z, x, y: mul(t, div(neg(x), _square_of_radius(x, y)))),
               takes=dtypes.is_float)
atan2 = binary_function(atan2_p, "Angle of the point at height x and width y.")


# ---- error functions ----

erf_p = unary("erf", reference.erf, lambda y, x: _times(2 / math.sqrt(math.pi), _bell(x)), takes=dtypes.is_float)
erfc_p = unary("erfc", reference.erfc, lambda y, x: _times(-2 / math.sqrt(math.pi), _bell(x)), takes=dtypes.is_float)
erf_inv_p = unary("erf_inv", reference.erf_inv, lambda y, x: _times(math.sqrt(math.pi) / 2, exp(square(y))),
                  takes=dtypes.is_float)

erf = unary_function(erf_p, "Integral of 2/sqrt(pi) exp(-t^2) from 0 to x.")
erfc = unary_function(erfc_p, "1 - erf(x), exact for large x.")
erf_inv = unary_function(erf_inv_p, "Inverse of erf.")


def _bell(x: Any) -> Any:
    return exp(neg(square(x)))


# ---- roots and powers ----

sqrt_p = unary("sqrt", np.sqrt, lambda y, x: _over(0.5, y))
rsqrt_p = unary("rsqrt", reference.rsqrt, lambda y, x: _times(-0.5, div(y, x)))
cbrt_p = unary("cbrt", reference.cbrt, lambda y, x: _times(1 / 3, integer_pow(y, -2)), takes=dtypes.is_float)
square_p = unary("square", np.square, lambda y, x: _times(2.0, x), takes=any_number)

sqrt = unary_function(sqrt_p, "Square root.")
rsqrt = unary_function(rsqrt_p, "1 / sqrt(x).")
cbrt = unary_function(cbrt_p, "Cube root.")
square = unary_function(square_p, "x * x.")


def _pow_type(x: ArrayType, y: ArrayType) -> tuple[ArrayType]:
    accepts("pow", x.dtype, dtypes.is_inexact, "real or complex floating-point")
    if y.dtype != x.dtype and not dtypes.is_integer(y.dtype):
        raise DtypeError(f"pow: the exponent's dtype {y.dtype} is neither {x.dtype} nor an integer{at_line()}. "
                         "Convert it with .astype(...).")
    return (ArrayType(elementwise_shape("pow", (x, y)), x.dtype, x.weak_type and y.weak_type),)


def _nonzero(x: Any) -> Any:
    return select_n(eq(x, scalar_like(x, 0)), x, scalar_like(x, 1))


def _pow_of_base(t: Any, z: Any, x: Any, y: Any) -> Any:
    if not dtypes.is_integer(typeof(y).dtype):
        return mul(t, mul(y, pow(x, _plus(y, -1.0))))
    y = convert_element_type(y, typeof(x).dtype)
    slope = mul(_nonzero(y), pow(x, _plus(y, -1.0)))  # at y = 0 a number, which the mask then drops
    return mul(t, select_n(eq(y, scalar_like(y, 0.0)), slope, scalar_like(y, 0.0)))


pow_p = nary("pow", reference.pow_, (_pow_of_base, lambda t, z, x, y: mul(t, mul(log(_nonzero(x)), z))), type=_pow_type)
pow = binary_function(pow_p, "x to the power y, of x's dtype or an integer.")


# ---- abs ----

def _abs_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    y, = abs_p.bind(x)
    if not dtypes.is_complex(typeof(x).dtype):
        slope = select_n(ge(x, scalar_like(x, 0.0)), scalar_like(x, -1.0), scalar_like(x, 1.0))  # 1 at 0, as in JAX
        return (y,), (mul(t, slope),)
    direction = div(conj(x), convert_element_type(_nonzero(y), typeof(x).dtype))
    return (y,), (real(mul(t, direction)),)


abs_p = unary("abs", np.abs, takes=any_number, result=dtypes.real_dtype, jvp=_abs_jvp)
abs = unary_function(abs_p, "Absolute value; the modulus of a complex x, which is real.")
