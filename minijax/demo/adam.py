"""Adam: steps scaled by running means of the gradient and of its square (Kingma and Ba, 2015)."""

from __future__ import annotations

from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import Array, tree


class AdamState(NamedTuple):
    """How many steps were taken, and the running means, trees like the parameters."""

    step: Array
    mean: Any
    square: Any


def init(params: Any) -> AdamState:
    """The state before the first step."""
    return AdamState(jnp.zeros((), "int32"), tree.map(jnp.zeros_like, params), tree.map(jnp.zeros_like, params))


def update(params: Any, gradient: Any, state: AdamState, learning_rate: float,
           keep: float = 0.9, keep_square: float = 0.999, epsilon: float = 1e-8) -> tuple[Any, AdamState]:
    """Parameters and state after one step."""
    step = state.step + 1
    mean = tree.map(lambda m, g: keep * m + (1 - keep) * g, state.mean, gradient)
    square = tree.map(lambda s, g: keep_square * s + (1 - keep_square) * g**2, state.square, gradient)
    # The means start at zero; dividing by 1 - keep**step undoes that.
    t = step.astype(jnp.float32)
    rate = learning_rate * jnp.sqrt(1 - keep_square**t) / (1 - keep**t)
    params = tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(s) + epsilon), params, mean, square)
    return params, AdamState(step, mean, square)
