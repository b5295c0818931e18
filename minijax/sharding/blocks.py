"""What `pmap` and `shard_map` share: calls of functions of blocks, now or under a trace."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.api.jit import JittedFunction
from minijax.api.trace import ShapeDtypeStruct
from minijax.calls.arguments import Arguments
from minijax.calls.jit import Traced
from minijax.calls.shard_map import Specs, shard_map_p
from minijax.calls.static import Frozen, JitOptions
from minijax.config import state
from minijax.interop import runtime
from minijax.interop.pieces import own_part, placed, whole_of_parts
from minijax.interpreters.evaluate import base_trace
from minijax.interpreters.parallel import DeviceTrace
from minijax.lowering.meshes import to_sharding
from minijax.ops.meshes import DeviceMesh, Placement
from minijax.tracing.array import Array, typeof
from minijax.tracing.context import Trace, context
from minijax.util import bounded


def mesh_around(trace: Trace | None) -> DeviceMesh | None:
    """The mesh on whose devices what is traced runs; None if it is none's."""
    while trace is not None and not isinstance(trace, DeviceTrace):
        trace = trace.parent
    return trace and trace.mesh


def bind_blocks(traced: Traced, leaves: Sequence[Any], in_specs: Specs, **params: Any) -> Any:
    """Bind the op to a traced function of blocks; what it captured is the same for all devices."""
    captured = tuple([((),) * typeof(x).ndim for x in traced.captured])
    outs = shard_map_p.bind(*traced.captured, *leaves, in_specs=captured + in_specs, **params)
    return traced.out_tree.unflatten(outs)


def compiled_blocks(mapped: Callable[..., Any], options: JitOptions, transform: str,
                    places: Callable[[Arguments], tuple[DeviceMesh, Specs]],
                    setting: Callable[[], Any] = lambda: None, parts: Callable[[], int] = lambda: 1) -> Any:
    """A function that runs `mapped` compiled, on arguments that it puts where `places` says; under a trace as it is.

    Where arguments go is remembered for their types and the `setting()` of the call.  Called in one of several
    `parts`, the function takes and returns this process's parts of whole arrays.  `.lower(*args)` is that of `jit`.
    """
    jitted = JittedFunction(mapped, options)
    remembered: dict[Any, tuple[list[Any], JittedFunction]] = {}

    def prepared(found: Arguments) -> tuple[list[Any], JittedFunction]:
        key = found.tree, len(found.args), found.types(), setting()
        if key not in remembered:
            mesh, specs = places(found)
            shardings = [to_sharding(Placement(mesh, spec)) for spec in specs]
            bounded(remembered, key, (shardings, placing(jitted, found, shardings)), 256)
        return remembered[key]

    @boundary
    @functools.wraps(mapped)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.trace is not base_trace or state.evaluator != "xla" or state.jax_disable_jit:
            return mapped(*args, **kwargs)
        found = options.arguments(transform, jitted, args, kwargs).checked()
        shardings, found.function = prepared(found)
        wanted = list(zip(found.leaves, shardings, strict=True))
        if parts() > 1:
            return pytree.map(own_part, found.apply_leaves([Array(whole_of_parts(x, where)) for x, where in wanted]))
        settled = [lies_there(x, where) or found.function is not jitted and is_cut_by_call(x) for x, where in wanted]
        if all(settled):
            return found.function(*args, **kwargs)
        return found.apply_leaves([x if stays else Array(placed(x, where))
                                   for stays, (x, where) in zip(settled, wanted, strict=True)])

    call.lower = boundary(functools.partial(lowered, jitted, options, transform))  # type: ignore[attr-defined]
    return call


def lowered(jitted: JittedFunction, options: JitOptions, transform: str, *args: Any, **kwargs: Any) -> Any:
    """A function of blocks lowered for arguments, or stand-ins for them, that lie where its program takes them."""
    program = jitted.trace(*args, **kwargs).jaxpr
    call, mapping = options.arguments(transform, jitted.lower, args, kwargs), program.eqns[-1].params
    specs = mapping["in_specs"][len(mapping["in_specs"]) - len(call.leaves):]  # what it captured comes first
    return call.apply_leaves([ShapeDtypeStruct(t.shape, t.dtype, weak_type=t.weak_type,
                                               sharding=to_sharding(Placement(mapping["mesh"], spec)))
                              for t, spec in zip(program.in_types, specs, strict=True)])


def placing(jitted: JittedFunction, found: Arguments, shardings: Sequence[Any]) -> JittedFunction:
    """The compiled function for one set of types, which cuts NumPy arrays itself: that takes half the time.

    JAX does so for arguments by position, in a single process; else the function is that for all types.
    """
    if found.kwargs or runtime.process_count() > 1:
        return jitted
    wanted, _ = found.tree.unflatten(shardings)
    options = dataclasses.replace(jitted._options, placement=(("in_shardings", Frozen.of(wanted)),))
    return JittedFunction(jitted.__wrapped__, options)


def is_cut_by_call(x: Any) -> bool:
    """Whether a leaf is a NumPy array or a scalar, which a function that is `placing` takes as it is."""
    return isinstance(x, (bool, int, float, complex)) or type(x) is np.ndarray and x.dtype.names is None


def lies_there(x: Any, sharding: Any) -> bool:
    """Whether a leaf is an array that need not be moved."""
    found = x.value.sharding if isinstance(x, Array) and hasattr(x.value, "sharding") else None
    return found == sharding or found is not None and is_same_place(found, sharding, x.ndim)


@functools.lru_cache(maxsize=1024)
def is_same_place(sharding: Any, other: Any, ndim: int) -> bool:
    """Whether two shardings say the same in other words, on one mesh: for one on another, XLA would compile anew."""
    return getattr(sharding, "mesh", None) == other.mesh and sharding.is_equivalent_to(other, ndim)
