"""Losses of predictions, for each element."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.rlax.checks import typed


@typed(predictions="float[...]", targets="float[...]")
def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """Half the square of predictions - targets; without targets, of the predictions.

        predictions, targets, result    float[...], shapes that broadcast

    Raises `DtypeError` for other dtypes.  Bishop, "Pattern Recognition and Machine Learning", 2006, which has the half.

    >>> l2_loss(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
    Array([0., 2.], dtype=float32)
    """
    return 0.5 * (predictions if targets is None else predictions - targets) ** 2


@typed(predictions="float[...]", targets="float[...]")
def likelihood(predictions: Any, targets: Any) -> Any:
    """How probable targets are if predictions are the probabilities of 1: p**t (1 - p)**(1 - t), where 0**0 is 1.

        predictions, targets, result    float[...] in [0, 1], shapes that broadcast

    Raises `DtypeError` for other dtypes (RLax).

    >>> likelihood(jnp.array([0.75, 0.75, 0.0]), jnp.array([1.0, 0.0, 0.0]))
    Array([0.75, 0.25, 1.  ], dtype=float32)
    """
    return _power(predictions, targets) * _power(1.0 - predictions, 1.0 - targets)


def _power(x: Any, exponent: Any) -> Any:
    """x**exponent; 0**0 is 1, and x has no part in it, so that gradients are numbers there too."""
    return jnp.where((x == 0) & (exponent == 0), 1.0, x) ** exponent


@typed(predictions="float[...]", targets="float[...]")
def log_loss(predictions: Any, targets: Any) -> Any:
    """-log(likelihood(predictions, targets)).

        predictions, targets, result    float[...] in [0, 1], shapes that broadcast

    Raises `DtypeError` for other dtypes (RLax).

    >>> print(log_loss(jnp.array([0.5]), jnp.array([1.0])))
    [0.6931472]
    """
    return -jnp.log(likelihood(predictions, targets))
