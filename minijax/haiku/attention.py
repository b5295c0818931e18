"""Multi-head attention, the core of a transformer.

As `haiku.MultiHeadAttention`: its four linear layers are named `query`, `key`, `value` and `linear`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import minijax.numpy as jnp
from minijax import nn
from minijax.errors import MinijaxValueError
from minijax.haiku.initializers import Initializer, VarianceScaling
from minijax.haiku.linear import Linear
from minijax.haiku.module import Module, transparent
from minijax.tracing.source import at_line


class MultiHeadAttention(Module):
    """For each query a mean of values, weighted by how well their keys fit it; in several heads, side by side.

    With Q, K and V linear maps of the arguments, a head gives softmax(Q K^T / sqrt(key_size)) V; a last linear map
    combines the heads.  Args: the number of heads; the size of a head's queries and keys; how weights and biases
    begin, and whether there are biases; the size of a head's values (by default `key_size`) and of the results (by
    default num_heads * key_size).  `w_init_scale` is the older spelling of w_init=VarianceScaling(scale).
    Raises `MinijaxValueError` without `w_init`.  Source: Vaswani et al., arXiv:1706.03762.

    >>> from minijax import haiku as hk, random
    >>> def attend(x):
    ...     return hk.MultiHeadAttention(2, 4, w_init=hk.initializers.VarianceScaling())(x, x, x)
    >>> params = hk.transform(attend).init(random.PRNGKey(0), jnp.ones((5, 3)))
    >>> list(params)[0], hk.transform(attend).apply(params, None, jnp.ones((5, 3))).shape
    ('multi_head_attention/query', (5, 8))
    """

    def __init__(self, num_heads: int, key_size: int, w_init_scale: float | None = None, *,
                 w_init: Initializer | None = None, with_bias: bool = True, b_init: Initializer | None = None,
                 value_size: int | None = None, model_size: int | None = None, name: str | None = None):
        super().__init__(name)
        self.num_heads = num_heads
        self.key_size = key_size
        self.value_size = value_size or key_size
        self.model_size = model_size or key_size * num_heads
        if w_init_scale is not None:
            warnings.warn("MultiHeadAttention: w_init_scale is deprecated. Give w_init=VarianceScaling(scale).",
                          DeprecationWarning, stacklevel=2)
        if (w_init is None) == (w_init_scale is None):
            raise MinijaxValueError(f"MultiHeadAttention {self.module_name!r} takes w_init or w_init_scale, got "
                                    f"{'neither' if w_init is None else 'both'}{at_line()}. "
                                    "Give w_init=VarianceScaling().")
        self.w_init = w_init or VarianceScaling(w_init_scale)
        self.with_bias = with_bias
        self.b_init = b_init

    def __call__(self, query: Any, key: Any, value: Any, mask: Any = None) -> Any:
        """What each of T queries finds in S keys and values.

        Args: arrays of shapes (..., T, D), (..., S, E) and (..., S, F); optionally a mask, broadcastable to
        (..., heads, T, S), which is False where a query must not look.  Returns shape (..., T, model_size).
        Raises `MinijaxValueError` for a mask of another rank.
        """
        queries = self._heads(query, self.key_size, "query")  # (..., T, heads, size)
        keys = self._heads(key, self.key_size, "key")
        values = self._heads(value, self.value_size, "value")
        fit = jnp.einsum("...thd,...Thd->...htT", queries, keys) / np.sqrt(self.key_size).astype(key.dtype)
        if mask is not None:
            if mask.ndim != fit.ndim:
                raise MinijaxValueError(f"MultiHeadAttention {self.module_name!r}: the mask has shape {mask.shape}, "
                                        f"for weights of shape {fit.shape}{at_line()}. "
                                        "Give it as many axes; those of size 1 broadcast.")
            fit = jnp.where(mask, fit, -1e30)
        found = jnp.einsum("...htT,...Thd->...thd", nn.softmax(fit), values)
        return self._linear(self.model_size)(found.reshape(*query.shape[:-1], self.num_heads * self.value_size))

    @transparent
    def _heads(self, x: Any, size: int, name: str) -> Any:
        """A linear map of the last axis to (heads, size)."""
        return self._linear(self.num_heads * size, name)(x).reshape(*x.shape[:-1], self.num_heads, size)

    @transparent
    def _linear(self, size: int, name: str | None = None) -> Linear:
        return Linear(size, self.with_bias, self.w_init, self.b_init, name)
