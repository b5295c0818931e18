"""Special functions of real numbers: gamma, beta, zeta and Bessel functions, elementwise.

Derivatives are those of the tables, in the arguments that have one in closed form;
to differentiate in another one is an error, never a zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes

from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.ops import reference_special as reference
from minijax.ops.arithmetic import div, integer_pow, neg, sign, sub
from minijax.ops.comparison import gt, select_n
from minijax.ops.elementwise import abs, exp, log, log1p
from minijax.ops.families import add, binary_function, mul, nary, scalar_like, unary, unary_function
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


def _plus(x: Any, term: float) -> Any:
    return add(x, scalar_like(x, term))


def _no_derivative(name: str, argument: str) -> Callable[..., Any]:
    def rule(*args: Any) -> Any:
        raise MinijaxValueError(f"{name} has no derivative rule in its argument {argument}{at_line()}: none is known "
                                f"in closed form. Hold {argument} fixed, or give a rule with custom_jvp.")

    return rule


# ---- gamma functions ----

lgamma_p = unary("lgamma", reference.lgamma, lambda y, x: digamma(x), takes=dtypes.is_float)
digamma_p = unary("digamma", reference.digamma, lambda y, x: polygamma(scalar_like(x, 1.0), x), takes=dtypes.is_float)
polygamma_p = nary("polygamma", reference.polygamma, (
    _no_derivative("polygamma", "m"), lambda t, y, m, x: mul(t, polygamma(_plus(m, 1.0), x))), takes=dtypes.is_float)
zeta_p = nary("zeta", reference.zeta, (
    _no_derivative("zeta", "x"), lambda t, y, x, q: mul(t, mul(neg(x), zeta(_plus(x, 1.0), q)))),
    takes=dtypes.is_float)

lgamma = unary_function(lgamma_p, "Logarithm of |Gamma(x)|.")
digamma = unary_function(digamma_p, "Derivative of lgamma.")
polygamma = binary_function(polygamma_p, "The m-th derivative of digamma at x; m is a whole number of x's dtype.")
zeta = binary_function(zeta_p, "Hurwitz's zeta function: the sum of (q + n)^-x over n = 0, 1, ...")


def _gamma_density(a: Any, x: Any) -> Any:
    """Density of Gamma(a) at x: x^(a-1) exp(-x) / Gamma(a)."""
    return exp(sub(sub(mul(_plus(a, -1.0), log(x)), x), lgamma(a)))


def _log_less_digamma(a: Any, x: Any) -> Any:
    return sub(log(x), digamma(a))


def _sample_slope(a: Any, x: Any, r: Any) -> Any:
    """d/dx of r = -(dP/da) / (dP/dx), for the gamma distribution P(a, x)."""
    return neg(add(_log_less_digamma(a, x), mul(r, _plus(div(_plus(a, -1.0), x), -1.0))))


igamma_p = nary("igamma", reference.igamma, (
    lambda t, y, a, x: mul(t, igamma_grad_a(a, x)), lambda t, y, a, x: mul(t, _gamma_density(a, x))),
    takes=dtypes.is_float)
igammac_p = nary("igammac", reference.igammac, (
    lambda t, y, a, x: mul(t, neg(igamma_grad_a(a, x))), lambda t, y, a, x: mul(t, neg(_gamma_density(a, x)))),
    takes=dtypes.is_float)
igamma_grad_a_p = nary("igamma_grad_a", reference.igamma_grad_a, (
    _no_derivative("igamma_grad_a", "a"),
    lambda t, y, a, x: mul(t, mul(_gamma_density(a, x), _log_less_digamma(a, x)))), takes=dtypes.is_float)
random_gamma_grad_p = nary("random_gamma_grad", reference.random_gamma_grad, (
    _no_derivative("random_gamma_grad", "a"), lambda t, y, a, x: mul(t, _sample_slope(a, x, y))),
    takes=dtypes.is_float)

igamma = binary_function(igamma_p, "The regularized lower incomplete gamma function P(a, x).")
igammac = binary_function(igammac_p, "The regularized upper incomplete gamma function 1 - P(a, x).")
igamma_grad_a = binary_function(igamma_grad_a_p, "Derivative of igamma in a.")
random_gamma_grad = binary_function(random_gamma_grad_p, "Derivative in a of a sample x of Gamma(a).")


# ---- the beta function ----

def _beta_density(a: Any, b: Any, x: Any) -> Any:
    """Density of Beta(a, b) at x: x^(a-1) (1-x)^(b-1) Gamma(a+b) / (Gamma(a) Gamma(b))."""
    scale = sub(lgamma(add(a, b)), add(lgamma(a), lgamma(b)))
    return exp(add(add(mul(_plus(a, -1.0), log(x)), mul(_plus(b, -1.0), log1p(neg(x)))), scale))


betainc_p = nary("regularized_incomplete_beta", reference.betainc, (
    _no_derivative("betainc", "a"), _no_derivative("betainc", "b"),
    lambda t, y, a, b, x: mul(t, _beta_density(a, b, x))), takes=dtypes.is_float)


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularized incomplete beta function."""
    return betainc_p.bind(a, b, x)[0]


# ---- Bessel functions ----

def _i1e_derivative(y: Any, x: Any) -> Any:
    eps = scalar_like(x, float(ml_dtypes.finfo(typeof(x).dtype).eps))
    large = gt(abs(x), eps)  # near 0, where 1 / x is none, the slope is 1/2
    safe = select_n(large, eps, x)
    slope = sub(bessel_i0e(safe), mul(y, add(sign(safe), integer_pow(safe, -1))))
    return select_n(large, scalar_like(x, 0.5), slope)


bessel_i0e_p = unary("bessel_i0e", reference.bessel_i0e, lambda y, x: sub(bessel_i1e(x), mul(sign(x), y)),
                     takes=dtypes.is_float)
bessel_i1e_p = unary("bessel_i1e", reference.bessel_i1e, _i1e_derivative, takes=dtypes.is_float)

bessel_i0e = unary_function(bessel_i0e_p, "exp(-|x|) I0(x), I0 the modified Bessel function of order 0.")
bessel_i1e = unary_function(bessel_i1e_p, "exp(-|x|) I1(x), I1 the modified Bessel function of order 1.")
