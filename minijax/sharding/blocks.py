"""What `pmap` and `shard_map` share: calls of functions of blocks, now or under a trace."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.api.jit import JittedFunction
from minijax.calls.arguments import Arguments
from minijax.calls.jit import Traced
from minijax.calls.shard_map import Specs, shard_map_p
from minijax.calls.static import JitOptions
from minijax.config import state
from minijax.interop.pieces import own_part, whole_of_parts
from minijax.interpreters.evaluate import base_trace
from minijax.ops.meshes import DeviceMesh, Placement
from minijax.tracing.array import Array, typeof
from minijax.tracing.context import context


def bind_blocks(traced: Traced, leaves: Sequence[Any], in_specs: Specs, **params: Any) -> Any:
    """Bind the op to a traced function of blocks; what it captured is the same for all devices."""
    captured = tuple([((),) * typeof(x).ndim for x in traced.captured])
    outs = shard_map_p.bind(*traced.captured, *leaves, in_specs=captured + in_specs, **params)
    return traced.out_tree.unflatten(outs)


def compiled_blocks(mapped: Callable[..., Any], options: JitOptions,
                    places: Callable[[Callable[..., Any], Any, Any], tuple[Arguments, DeviceMesh, Specs]],
                    parts: Callable[[], int] = lambda: 1) -> Any:
    """A function that runs `mapped` compiled, on arguments that it puts where `places` says; under a trace as it is.

    Called in one of several `parts`, it takes and returns this process's parts of whole arrays.
    """
    jitted = JittedFunction(mapped, options)

    @boundary
    @functools.wraps(mapped)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.trace is not base_trace or state.evaluator != "xla" or state.jax_disable_jit:
            return mapped(*args, **kwargs)
        found, mesh, specs = places(jitted, args, kwargs)
        parted = parts() > 1
        place = whole_of_parts if parted else Array.backend.place
        outs = found.apply_leaves([Array(place(x, Placement(mesh, spec)))
                                   for x, spec in zip(found.leaves, specs, strict=True)])
        return pytree.map(own_part, outs) if parted else outs

    return call
