"""How collectives differ from those of `jax.lax`: JAX knows the sizes of axes inside a function mapped over devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from minijax.lowering.table import rules
from minijax.ops import parallel


def _sizeless(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *, axis_size, **params: function(x, **params)


def _psum_scatter(x: Any, *, axis: int, **params: Any) -> Any:
    return lax.psum_scatter(x, scatter_dimension=axis, **params)


rules.update({
    parallel.all_gather_p: _sizeless(lax.all_gather),
    parallel.psum_scatter_p: _sizeless(_psum_scatter),
    parallel.all_to_all_p: _sizeless(lax.all_to_all),
    parallel.ppermute_p: _sizeless(lax.ppermute),
})
