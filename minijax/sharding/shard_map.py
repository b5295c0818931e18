"""`shard_map`: a function of blocks, run by every device of a mesh on its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.arguments import Arguments
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.names import function_name, leaf_names
from minijax.calls.shard_map import Specs, block_type
from minijax.calls.static import JitOptions
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interop.sharding import current_mesh
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.parallel import on_devices
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.types import ArrayType
from minijax.ops.meshes import DeviceMesh, Spec, names_in
from minijax.ops.parallel import vary
from minijax.sharding.blocks import bind_blocks, compiled_blocks, mesh_around
from minijax.sharding.specs import device_mesh, flat_specs
from minijax.tracing.context import context
from minijax.tracing.source import at_line


@boundary
def shard_map(f: Callable[..., Any] | None = None, /, *, out_specs: Any, in_specs: Any, mesh: Any = None,
              axis_names: Set[Any] = frozenset(), check_vma: bool = True) -> Callable[..., Any]:
    """A function that cuts its arguments into blocks, runs `f` on each device of a mesh, and joins the results.

    Args:
        f: takes and returns pytrees of blocks; inside, collectives run over the axes of the mesh.
        in_specs: a pytree prefix of `PartitionSpec`s for the arguments: `P('x', None)` cuts rows along `x`.
        out_specs: the same for the results.  A mesh axis that a spec does not name is one along which all
            devices give the same value.
        mesh: from `make_mesh`; by default the current one (`set_mesh`).
        axis_names: the axes to map over, by default all; along the others the compiler shards.
        check_vma: let types say along which axes a value varies (`f32[2]{x}`).  Then a value that does not vary
            is a single one, gradients with respect to it are summed over the devices, and a result that varies
            along an axis which its spec does not name is an error.  Without it every device's values are its own.

    Raises `MinijaxValueError`, `ShapeError` and `TreeError` for specs that do not fit.
    JAX's function of the same name.

    >>> import numpy as np, minijax
    >>> from minijax.sharding import PartitionSpec as P
    >>> total = shard_map(lambda x: minijax.lax.psum(x.sum(), "i"), mesh=minijax.make_mesh((1,), ("i",)),
    ...                   in_specs=P("i"), out_specs=P())
    >>> total(np.float32([1, 2]))
    Array(3., dtype=float32)
    """
    if f is None:
        return functools.partial(shard_map, out_specs=out_specs, in_specs=in_specs, mesh=mesh, axis_names=axis_names,
                                 check_vma=check_vma)
    check_callable("shard_map", f)
    axis_names = frozenset([axis_names]) if isinstance(axis_names, str) else axis_names  # one name, not its letters

    @functools.wraps(f)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        check_positional(f, kwargs)
        return on_blocks(f, args, in_specs, out_specs, mesh, axis_names, check_vma)

    def places(call: Arguments) -> tuple[DeviceMesh, Specs]:
        return prepared(call, in_specs, mesh, axis_names, False)[:2]

    def setting() -> Any:
        return current_mesh() if mesh is None else None

    return compiled_blocks(mapped, JitOptions.of(mapped), "shard_map", places, setting)


def check_positional(f: Any, kwargs: Mapping[str, Any]) -> None:
    """Raise `MinijaxTypeError` for arguments given by name, for which there are no specs."""
    if kwargs:
        raise MinijaxTypeError(f"shard_map of {function_name(f)}: {', '.join(kwargs)} is given by name{at_line()}. "
                               "Pass all arguments by position: each has its spec in in_specs.")


def prepared(call: Arguments, in_specs: Any, mesh: Any, axis_names: Set[Any],
             tracked: bool) -> tuple[DeviceMesh, tuple[Spec, ...], tuple[ArrayType, ...], tuple[Any, ...]]:
    """The mesh of a call, the specs and the types of the blocks of its leaves, and the axes to map over."""
    check_positional(call.function, call.kwargs)
    plain, names, types = device_mesh(call.who, mesh), call.names(), call.types()
    axes = mapped_axes(call.who, plain, axis_names)
    given = tuple(in_specs) if isinstance(in_specs, list) else in_specs
    specs = flat_specs(call.who, "in_specs", given, "arguments", tuple(call.args), names, types, plain)
    check_mapped(call.who, names, specs, axes)
    blocks = [block_type(f"{call.who}: {name}", t, spec, plain, tracked)
              for name, t, spec in zip(names, types, specs, strict=True)]
    return plain, specs, tuple(blocks), axes


def on_blocks(f: Any, args: Sequence[Any], in_specs: Any, out_specs: Any, mesh: Any, axis_names: Set[Any],
              tracked: bool) -> Any:
    """Trace the function at the types of its blocks, and bind the op."""
    call = Arguments("shard_map", f, args).checked()
    plain, ins, types, axes = prepared(call, in_specs, mesh, axis_names, tracked)
    with on_devices(plain, axes, tracked):
        traced = trace_cache(f).get(call, types)
        names, tree = leaf_names("result", traced.results()), traced.results()
        outs = flat_specs(call.who, "out_specs", out_specs, "result", tree, names, traced.jaxpr.out_types, plain)
        check_mapped(call.who, names, outs, axes)
        if tracked:
            check_replication(call.who, names, traced, outs, axes)
        program = varying_results(traced.jaxpr, outs) if tracked else traced.jaxpr
    return bind_blocks(traced, call.leaves, ins, jaxpr=program, mesh=plain, axis_names=axes, out_specs=outs,
                       tracked=tracked)


def mapped_axes(who: str, mesh: DeviceMesh, axis_names: Set[Any]) -> tuple[Any, ...]:
    """The axes to map over, in the mesh's order; none may be mapped already."""
    unknown = set(axis_names) - {*mesh.names}
    if unknown:
        raise MinijaxValueError(f"{who}: axis_names has {', '.join(sorted(map(repr, unknown)))}{at_line()}, but the "
                                f"axes of the mesh are {', '.join(map(repr, mesh.names))}. Name some of these.")
    axes = tuple([name for name in mesh.names if not axis_names or name in axis_names])
    for axis in context.trace.axes():
        if axis.name in axes:
            raise MinijaxValueError(f"{who}: the axis {axis.name!r} is mapped already around this call{at_line()}. "
                                    "Map over other axes of the mesh with axis_names=, or rename one.")
    around = mesh_around(context.trace)
    if around is not None and around.axes != mesh.axes:
        raise MinijaxValueError(f"{who}: the mesh {mesh.sizes} is not that of the call around it, {around.sizes}"
                                f"{at_line()}, on each of whose devices this runs. Use one mesh with all the axes.")
    return axes


def check_mapped(who: str, names: Sequence[str], specs: Sequence[Spec], axes: Sequence[Any]) -> None:
    """Raise `MinijaxValueError` for a spec that names an axis of the mesh which is not mapped over."""
    for name, spec in zip(names, specs, strict=True):
        for axis in names_in(spec):
            if axis not in axes:
                raise MinijaxValueError(f"{who}: the spec of {name} names {axis!r}, but axis_names are only "
                                        f"{', '.join(map(repr, axes))}{at_line()}. Add {axis!r} to axis_names, or "
                                        "leave it out of the spec: the compiler cuts along it.")


def check_replication(who: str, results: Sequence[str], traced: Traced, specs: Sequence[Spec],
                      axes: Sequence[Any]) -> None:
    """Raise `MinijaxValueError` for a result that differs between devices which its spec takes to agree."""
    for name, t, spec in zip(results, traced.jaxpr.out_types, specs, strict=True):
        lost = [repr(axis) for axis in axes if axis in t.varying and axis not in names_in(spec)]
        if lost:
            raise MinijaxValueError(
                f"{who}: {name} has type {t}, so it varies along {', '.join(lost)}, which its spec in out_specs does "
                f"not name{at_line()}. Name the axis to join the blocks, combine them with lax.psum or lax.pmean, or "
                "pass check_vma=False to take any device's value.")


@kept
def varying_results(jaxpr: Jaxpr, specs: tuple[Spec, ...]) -> Jaxpr:
    """The program with results of types that vary along the axes that their specs name."""
    return stage(lambda *xs: [vary(x, names_in(spec)) for x, spec in zip(run_program(jaxpr, *xs), specs, strict=True)],
                 jaxpr.in_types, jaxpr.debug_name)
