"""Losses and gradients that do not grow without bound."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import tree
from minijax.custom_rules import custom_gradient
from minijax.errors import DtypeError
from minijax.ir import dtypes
from minijax.numpy.operands import operand
from minijax.rlax.checks import typed
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.tree_util import keystr


@typed(x="float[...]")
def huber_loss(x: Any, delta: float = 1.0) -> Any:
    """Half the square of small errors, the size of large ones; its derivative is x moved into [-delta, delta].

        x**2 / 2                          where |x| <= delta
        delta**2 / 2 + delta (|x| - delta)   elsewhere

        x, result    float[...]
        delta        float

    Raises `DtypeError` for other dtypes.  Huber, "Robust Estimation of a Location Parameter", 1964.

    >>> huber_loss(jnp.array([-0.5, 3.0]))
    Array([0.125, 2.5  ], dtype=float32)
    """
    size = jnp.abs(x)
    quadratic = jnp.minimum(size, delta)
    linear = size - quadratic  # what is beyond delta: adding it does not count the gradient at the border twice
    return 0.5 * quadratic ** 2 + delta * linear


def clip_gradient(x: Any, gradient_min: float, gradient_max: float) -> Any:
    """x itself, whose gradient is moved into [gradient_min, gradient_max] on its way back.

        x, result                    a pytree of float[...]
        gradient_min, gradient_max   float; no gradient goes to them

    Raises `DtypeError` for leaves of other dtypes.  As all functions with a rule for the reverse mode, it has no
    forward mode.  Mnih and others, "Human-level control through deep reinforcement learning", 2015.

    >>> import minijax
    >>> minijax.grad(lambda x: 5.0 * clip_gradient(x, -1.0, 1.0))(2.0)
    Array(1., dtype=float32, weak_type=True)
    """
    for path, leaf in tree.leaves_with_path(x):
        if not dtypes.is_float(typeof(operand("rlax.clip_gradient: x", leaf)).dtype):
            raise DtypeError(f"rlax.clip_gradient takes x: a tree of float[...], got {typeof(leaf)} at "
                             f"x{keystr(path)}{at_line()}. Integers have no gradient to clip.")
    return _clip_gradient(x, gradient_min, gradient_max)


@custom_gradient
def _clip_gradient(x: Any, low: Any, high: Any) -> Any:
    def pull_back(ct: Any) -> Any:
        return tree.map(lambda g: jnp.clip(g, low, high), ct), jnp.zeros_like(low), jnp.zeros_like(high)

    return x, pull_back
