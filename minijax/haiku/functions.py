"""Functions that older and newer scripts find beside the layers: dropout, one_hot, multinomial.

As Haiku's of these names, number for number.  They take their random keys as arguments: inside a transformed
function `dropout(next_rng_key(), rate, x)`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import nn, random
from minijax.errors import ConcretizationTypeError, MinijaxValueError
from minijax.tracing.source import at_line


def dropout(rng: Any, rate: Any, x: Any, broadcast_dims: Sequence[int] = ()) -> Any:
    """Elements of `x` at random, each kept with probability 1 - rate and divided by it, the others 0.

    Args: a random key; the rate, a number in [0, 1); an array of any shape and floating-point dtype; axes along which
    all elements share one fate.  Raises `MinijaxValueError` for a rate outside [0, 1) (if its value is known while
    tracing) and an axis that x lacks.  Source: Srivastava et al., JMLR 15 (2014).

    >>> dropout(random.PRNGKey(0), 0.5, jnp.ones(6))
    Array([0., 0., 2., 2., 0., 2.], dtype=float32)
    """
    try:
        if not 0 <= rate < 1:
            raise MinijaxValueError(f"dropout: rate is {rate}, outside [0, 1){at_line()}. "
                                    "Give the share of elements to drop, 0.1 for a tenth.")
        if rate == 0:
            return x
    except ConcretizationTypeError:  # a rate that is traced, which no test can look at
        pass
    sizes = list(x.shape)
    for axis in map(operator.index, broadcast_dims):
        if not -len(sizes) <= axis < len(sizes):
            raise MinijaxValueError(f"dropout: broadcast_dims={tuple(broadcast_dims)} has {axis}, which is no axis of "
                                    f"an array of shape {x.shape}{at_line()}. Use 0 to {len(sizes) - 1}.")
        sizes[axis] = 1
    keep_rate = 1.0 - rate
    return jnp.broadcast_to(random.bernoulli(rng, keep_rate, tuple(sizes)), x.shape) * x / keep_rate


def one_hot(x: Any, num_classes: int, dtype: Any = jnp.float32) -> Any:
    """Vectors of zeros with a 1 at position `x`, along a new last axis.  New code uses `minijax.nn.one_hot`.

    Args: integers of any shape; the size of the new axis; the dtype of the result.

    >>> one_hot(jnp.array([2, 0]), 3, dtype=jnp.int32)
    Array([[0, 0, 1],
           [1, 0, 0]], dtype=int32)
    """
    return nn.one_hot(x, num_classes).astype(dtype)


def multinomial(rng: Any, logits: Any, num_samples: int) -> Any:
    """Categories drawn by their unnormalized log-probabilities.  New code uses `minijax.random.categorical`.

    Args: a random key; logits of shape (..., categories); the number n of draws.  Returns int32 of shape (..., n).

    >>> multinomial(random.PRNGKey(0), jnp.log(jnp.array([0.5, 0.5, 0.0])), 4).shape
    (4,)
    """
    if num_samples == 1:
        return random.categorical(rng, logits)[..., None]
    return jnp.moveaxis(random.categorical(rng, logits, shape=(num_samples, *logits.shape[:-1])), 0, -1)
