"""JAX's primitives over named axes, and programs mapped over the devices of a mesh.

`from_jax` traces its function with the named axes around in scope, so that JAX knows their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import lax
from minijax.interop.equations import Rule, rules


def _reduction(function: Callable[..., Any]) -> Rule:
    return lambda x, *, axes, axis_index_groups=None, **_: function(x, axes, axis_index_groups=axis_index_groups)


def _all_gather(x: Any, *, all_gather_dimension: int, axis_name: Any, tiled: bool, axis_index_groups: Any = None,
                **_: Any) -> Any:
    return lax.all_gather(x, axis_name, axis=all_gather_dimension, tiled=tiled, axis_index_groups=axis_index_groups)


def _reduce_scatter(x: Any, *, scatter_dimension: int, axis_name: Any, tiled: bool, axis_index_groups: Any = None,
                    **_: Any) -> Any:
    return lax.psum_scatter(x, axis_name, scatter_dimension=scatter_dimension, tiled=tiled,
                            axis_index_groups=axis_index_groups)


def _all_to_all(x: Any, *, split_axis: int, concat_axis: int, axis_name: Any, tiled: bool,
                axis_index_groups: Any = None, **_: Any) -> Any:
    return lax.all_to_all(x, axis_name, split_axis, concat_axis, tiled=tiled, axis_index_groups=axis_index_groups)


def _ragged_all_to_all(*values: Any, axis_name: Any, axis_index_groups: Any = None, **_: Any) -> Any:
    return lax.ragged_all_to_all(*values, axis_name=axis_name, axis_index_groups=axis_index_groups)


def _same(x: Any, **_: Any) -> Any:
    """What only says over which axes a value varies."""
    return x


rules.update({
    "all_gather": _all_gather,
    "all_gather_invariant": _all_gather,
    "all_to_all": _all_to_all,
    "axis_index": lambda *, axis_name: lax.axis_index(axis_name),
    "pbroadcast": lambda x, *, axis_name, source, **_: lax.pbroadcast(x, axis_name, source),
    "pmax": _reduction(lax.pmax),
    "pmin": _reduction(lax.pmin),
    "ppermute": lambda x, *, axis_name, perm, **_: lax.ppermute(x, axis_name, perm),
    "psum": _reduction(lax.psum),
    "psum_invariant": _reduction(lax.psum),
    "pvary": _same,
    "ragged_all_to_all": _ragged_all_to_all,
    "reduce_scatter": _reduce_scatter,
})
