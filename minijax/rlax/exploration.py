"""Noise on continuous actions, so that an agent sees what else they could be."""

from __future__ import annotations

from typing import Any

from minijax import random
from minijax.rlax.checks import typed
from minijax.tracing.array import typeof


@typed(action="float[...]")
def add_gaussian_noise(key: Any, action: Any, stddev: Any) -> Any:
    """action + stddev n, where the n are independent normal numbers.

        key              one of minijax.random
        action, result   float[...]
        stddev           float

    Raises `DtypeError` for actions of other dtypes (RLax).

    >>> import minijax.numpy as jnp
    >>> add_gaussian_noise(random.PRNGKey(0), jnp.array([1.0, 2.0]), 0.0)
    Array([1., 2.], dtype=float32)
    """
    return action + random.normal(key, typeof(action).shape) * stddev


@typed(action="float[A]", noise_tm1="float[A]")
def add_ornstein_uhlenbeck_noise(key: Any, action: Any, noise_tm1: Any, damping: Any, stddev: Any) -> Any:
    """action + noise_t, noise that drifts: normal numbers added to what is left of the noise before.

        noise_t = (1 - damping) noise_tm1 + stddev n

        time                 t-1            t
        noise, float[A]     noise_tm1 ---> noise_t = result - action
        action, result                     float[A]
        damping, stddev                    float

    Raises `ShapeError` and `DtypeError` for other arguments.
    Uhlenbeck and Ornstein, "On the Theory of the Brownian Motion", 1930.

    >>> import minijax.numpy as jnp
    >>> add_ornstein_uhlenbeck_noise(random.PRNGKey(0), jnp.array([1.0]), jnp.array([2.0]), 0.25, 0.0)
    Array([2.5], dtype=float32)
    """
    return action + ((1.0 - damping) * noise_tm1 + random.normal(key, typeof(action).shape) * stddev)
