"""How collectives become those of `jax.lax`, inside a function mapped over devices: one line an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from minijax.ir.op import Op
from minijax.ops import parallel


def _gather(x: Any, *, axis_name: Any, axis: int, axis_size: int, axis_index_groups: Any) -> Any:
    return lax.all_gather(x, axis_name, axis=axis, axis_index_groups=axis_index_groups)


def _scatter(x: Any, *, axis_name: Any, axis: int, axis_size: int, axis_index_groups: Any) -> Any:
    return lax.psum_scatter(x, axis_name, scatter_dimension=axis, axis_index_groups=axis_index_groups)


def _exchange(x: Any, *, axis_size: int, **params: Any) -> Any:
    return lax.all_to_all(x, **params)


rules: dict[Op, Callable[..., Any]] = {
    parallel.pvary_p: lambda x, *, axis_name: x,
    parallel.psum_p: lax.psum,
    parallel.pmax_p: lax.pmax,
    parallel.pmin_p: lax.pmin,
    parallel.all_gather_p: _gather,
    parallel.psum_scatter_p: _scatter,
    parallel.all_to_all_p: _exchange,
    parallel.ppermute_p: lambda x, *, axis_name, perm, axis_size: lax.ppermute(x, axis_name, perm),
    parallel.axis_index_p: lambda *, axis_name: lax.axis_index(axis_name),
}
