"""How collectives differ from those of `jax.lax`: JAX knows the sizes of axes inside a function mapped over devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from minijax.calls.shard_map import shard_map_p
from minijax.lowering import meshes
from minijax.lowering.table import lower, rules
from minijax.ops import parallel
from minijax.ops.placement import device_put_p, sharding_constraint_p


def _sizeless(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *, axis_size, **params: function(x, **params)


def _psum_scatter(x: Any, *, axis: int, **params: Any) -> Any:
    return lax.psum_scatter(x, scatter_dimension=axis, **params)


rules.update({
    parallel.pvary_p: lambda x, *, axis_name: x,
    parallel.all_gather_p: _sizeless(lax.all_gather),
    parallel.psum_scatter_p: _sizeless(_psum_scatter),
    parallel.all_to_all_p: _sizeless(lax.all_to_all),
    parallel.ppermute_p: _sizeless(lax.ppermute),
})
lower(shard_map_p, meshes.shard_map, meshes.evaluate)
lower(device_put_p, meshes.device_put, meshes.evaluate_placing)
lower(sharding_constraint_p, meshes.sharding_constraint, meshes.evaluate_placing)
