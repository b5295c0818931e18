"""Products of JAX's sparse arrays (BCOO, BCSR) with dense ones, by way of the dense array that they stand for.

The other operations on sparse arrays need no rule: JAX implements them by other primitives.
"""

from __future__ import annotations

from typing import Any

from minijax import lax, numpy as jnp
from minijax.api.vmap import vmap
from minijax.interop.equations import rules
from minijax.tracing.array import typeof


def dense_of_places(data: Any, places: Any, shape: tuple[int, ...]) -> Any:
    """The dense array [*batch, *sparse, *dense] with `data` [*batch, n, *dense] added up at its places.

    `places` [*batch, n, axes] are indices along the sparse axes; those that lie outside are padding.  Along batch
    axes of size 1 both are the same for all.
    """
    depth = typeof(places).ndim - 2
    if depth:
        data, places = [jnp.broadcast_to(x, shape[:depth] + x.shape[depth:]) for x in (data, places)]
        return vmap(lambda data, places: dense_of_places(data, places, shape[1:]))(data, places)
    axes = typeof(places).shape[1]
    return jnp.zeros(shape, data.dtype).at[tuple([places[:, k] for k in range(axes)])].add(data, mode="drop")


def places_of_rows(columns: Any, starts: Any) -> Any:
    """Pairs (row, column) of the `columns` [*batch, n] of rows that begin at `starts` [*batch, rows + 1]."""
    if typeof(columns).ndim > 1:
        return vmap(places_of_rows)(columns, starts)
    rows = jnp.searchsorted(starts, jnp.arange(columns.shape[0], dtype=starts.dtype), side="right") - 1
    return jnp.stack([rows.astype(columns.dtype), columns], -1)


def _dot(data: Any, places: Any, other: Any, *, dimension_numbers: Any, lhs_spinfo: Any, preferred_element_type: Any,
         **_: Any) -> Any:
    dense = dense_of_places(data, places, tuple(lhs_spinfo.shape))
    return lax.dot_general(dense, other, dimension_numbers, preferred_element_type=preferred_element_type)


def _dot_of_rows(data: Any, columns: Any, starts: Any, other: Any, **params: Any) -> Any:
    return _dot(data, places_of_rows(columns, starts), other, **params)


rules.update({"bcoo_dot_general": _dot, "bcsr_dot_general": _dot_of_rows})
