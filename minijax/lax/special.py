"""Special functions, elementwise on real numbers of one dtype and shape; a scalar stands for an array."""

from __future__ import annotations

from typing import Any

from minijax.lax.elementwise import _nary, _unary, like_arrays
from minijax.ops import bits, special

lgamma = _unary("lgamma", special.lgamma_p, "Logarithm of |Gamma(x)|.")
digamma = _unary("digamma", special.digamma_p, "Derivative of lgamma.")
bessel_i0e = _unary("bessel_i0e", special.bessel_i0e_p, "exp(-|x|) I0(x), I0 the modified Bessel function.")
bessel_i1e = _unary("bessel_i1e", special.bessel_i1e_p, "exp(-|x|) I1(x), I1 the modified Bessel function.")
polygamma = _nary("polygamma", special.polygamma_p, "The m-th derivative of digamma, for m = x, at y.")
zeta = _nary("zeta", special.zeta_p, "Hurwitz's zeta function: the sum of (y + n)^-x over n = 0, 1, ...")
igamma = _nary("igamma", special.igamma_p, "The regularized lower incomplete gamma function P(x, y).")
igammac = _nary("igammac", special.igammac_p, "The regularized upper incomplete gamma function 1 - P(x, y).")
igamma_grad_a = _nary("igamma_grad_a", special.igamma_grad_a_p, "Derivative of igamma in its first argument.")
random_gamma_grad = _nary("random_gamma_grad", special.random_gamma_grad_p,
                          "Derivative in the shape x of a gamma-distributed sample y.")
mulhi = _nary("mulhi", bits.mulhi_p, "The upper half of the bits of the product of integers.")


def betainc(a: Any, b: Any, x: Any) -> Any:
    """The regularized incomplete beta function: the distribution function of Beta(a, b) at x.

    >>> betainc(2.0, 3.0, 1.0)
    Array(1., dtype=float32, weak_type=True)
    """
    return special.betainc(*like_arrays(a, b, x))
