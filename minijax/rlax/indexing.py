"""Picking entries along the last axis, and marking them."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.rlax.checks import typed


@typed(values="any[..., A]", indices="int[...]")
def batched_index(values: Any, indices: Any, keepdims: bool = False) -> Any:
    """One entry of each row: values[..., indices[...]].

        axes           ...    A
        values        [...,   A]    rows of A entries
        indices    int[...]         which entry of each row
        result        [...]         or [..., 1] with `keepdims`

    Raises `DtypeError` for indices that are no integers, `ShapeError` for axes that do not fit (RLax).

    >>> batched_index(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, 0]))
    Array([2., 3.], dtype=float32)
    """
    picked = jnp.take_along_axis(values, indices[..., None], axis=-1)
    return picked if keepdims else jnp.squeeze(picked, axis=-1)


@typed(indices="any[...]")
def one_hot(indices: Any, num_classes: int, dtype: Any = jnp.float32) -> Any:
    """1 at the entry of each index, 0 at the others; all 0 for an index outside.

        axes          ...   num_classes
        indices      [...]                  integers, or floats of whole value
        result       [...,  num_classes]    of `dtype`

    Raises `MinijaxTypeError` for what is no array (RLax).

    >>> one_hot(jnp.array([2, 0]), 3)
    Array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    return (indices[..., None] == jnp.arange(num_classes)).astype(dtype)
