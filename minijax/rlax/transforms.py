"""Functions of each element that squash values, beside the ones that undo it.

    sigmoid             logit
    signed_logp1        signed_expm1
    signed_hyperbolic   signed_parabolic
    power(_, p)         power(_, 1/p)

Each takes floats of any shape and gives the same shape and dtype; other dtypes raise `DtypeError`.  All have their
derivative at 0 too, which RLax's signed ones lose there.
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.rlax.checks import typed


@typed(x="float[...]")
def identity(x: Any) -> Any:
    """x, float[...] (RLax).

    >>> identity(2.0)
    Array(2., dtype=float32, weak_type=True)
    """
    return x


@typed(x="float[...]")
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), for x: float[...] (RLax).

    >>> sigmoid(jnp.array([0.0, 100.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return nn.sigmoid(x)


@typed(x="float[...]")
def logit(x: Any) -> Any:
    """log(x / (1 - x)), the inverse of sigmoid, for x: float[...] in (0, 1) (RLax).

    >>> logit(jnp.array([0.5]))
    Array([-0.], dtype=float32)
    """
    return -jnp.log(1.0 / x - 1.0)


@typed(x="float[...]")
def signed_logp1(x: Any) -> Any:
    """sign(x) log(1 + |x|), for x: float[...] (RLax).

    >>> signed_logp1(jnp.array([-1.0, 0.0])).round(4)
    Array([-0.6931,  0.    ], dtype=float32)
    """
    sign, size = _parts(x)
    return sign * jnp.log1p(size)


@typed(x="float[...]")
def signed_expm1(x: Any) -> Any:
    """sign(x) (exp(|x|) - 1), the inverse of signed_logp1, for x: float[...] (RLax).

    >>> signed_expm1(jnp.array([-1.0, 0.0])).round(4)
    Array([-1.7183,  0.    ], dtype=float32)
    """
    sign, size = _parts(x)
    return sign * jnp.expm1(size)


@typed(x="float[...]")
def signed_hyperbolic(x: Any, eps: float = 1e-3) -> Any:
    """sign(x) (sqrt(|x| + 1) - 1) + eps x, for x: float[...].

    Pohlen and others, "Observe and Look Further: Achieving Consistent Performance on Atari", 2018, with eps = 0.01.

    >>> signed_hyperbolic(jnp.array([-8.0, 3.0]), eps=0.0)
    Array([-2.,  1.], dtype=float32)
    """
    sign, size = _parts(x)
    return sign * (jnp.sqrt(size + 1) - 1) + eps * x


@typed(x="float[...]")
def signed_parabolic(x: Any, eps: float = 1e-3) -> Any:
    """sign(x) (z**2 - 1), the inverse of signed_hyperbolic, for x: float[...].

        z = (sqrt(1 + 4 eps (eps + 1 + |x|)) - 1) / (2 eps),   computed as z - 1 and z + 1, where nothing cancels

    Pohlen and others, "Observe and Look Further: Achieving Consistent Performance on Atari", 2018.

    >>> signed_parabolic(signed_hyperbolic(jnp.array([-8.0, 3.0]), eps=0.5), eps=0.5).round(4)
    Array([-8.,  3.], dtype=float32)
    """
    sign, size = _parts(x)
    beyond = 2 * size / (jnp.sqrt(1 + 4 * eps * (eps + 1 + size)) + 1 + 2 * eps)  # z - 1
    return sign * beyond * (2 + beyond)


@typed(x="float[...]")
def power(x: Any, p: float) -> Any:
    """sign(x) ((|x| / q + 1)**p - 1) / q with q = sqrt(p), which power(_, 1/p) undoes, for x: float[...] (RLax).

    >>> power(jnp.array([-3.0, 0.0]), 4.0)
    Array([-19.03125,   0.     ], dtype=float32)
    """
    q, (sign, size) = jnp.sqrt(p), _parts(x)
    return sign * (jnp.power(size / q + 1.0, p) - 1) / q


def _parts(x: Any) -> tuple[Any, Any]:
    """Sign and size of x; the sign is never 0, so that all functions of them have their derivative at 0 too."""
    sign = jnp.where(x < 0, -1.0, 1.0)
    return sign, sign * x
