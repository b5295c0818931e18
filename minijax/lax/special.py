"""Special functions, elementwise on real numbers of one dtype and shape; a scalar stands for an array."""

from __future__ import annotations

from typing import Any

from minijax.lax.elementwise import _nary, _unary, like_arrays
from minijax.ops import bits, special

lgamma = _unary("lgamma", special.lgamma_p, "Logarithm of |Gamma(x)|.")
digamma = _unary("digamma", special.digamma_p, "Derivative of lgamma.")
bessel_i0e = _unary("bessel_i0e", special.bessel_i0e_p, "exp(-|x|) I0(x), I0 the modified Bessel function.")
bessel_i1e = _unary("bessel_i1e", special.bessel_i1e_p, "exp(-|x|) I1(x), I1 the modified Bessel function.")
mulhi = _nary("mulhi", bits.mulhi_p, "The upper half of the bits of the product of integers.")


def polygamma(m: Any, x: Any) -> Any:
    """The m-th derivative of digamma at x; m is a whole number of x's dtype."""
    return special.polygamma(*like_arrays(m, x))


def zeta(x: Any, q: Any) -> Any:
    """Hurwitz's zeta function: the sum of (q + n)^-x over n = 0, 1, ..."""
    return special.zeta(*like_arrays(x, q))


def igamma(a: Any, x: Any) -> Any:
    """The regularized lower incomplete gamma function: the distribution function of Gamma(a) at x."""
    return special.igamma(*like_arrays(a, x))


def igammac(a: Any, x: Any) -> Any:
    """The regularized upper incomplete gamma function, 1 - igamma(a, x)."""
    return special.igammac(*like_arrays(a, x))


def igamma_grad_a(a: Any, x: Any) -> Any:
    """Derivative of igamma in a."""
    return special.igamma_grad_a(*like_arrays(a, x))


def random_gamma_grad(a: Any, x: Any) -> Any:
    """Derivative in a of a sample x of Gamma(a) at a fixed quantile."""
    return special.random_gamma_grad(*like_arrays(a, x))


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularized incomplete beta function: the distribution function of Beta(a, b) at x.

    >>> betainc(2.0, 3.0, 1.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return special.betainc(*like_arrays(a, b, x))
