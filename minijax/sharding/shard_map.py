"""`shard_map`: a function of blocks, run by every device of a mesh on its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence, Set
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable, flatten_values, function_name, leaf_names
from minijax.api.boundary import boundary
from minijax.api.jit import JittedFunction
from minijax.api.pmap import put_on_mesh
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.shard_map import block_type, shard_map_p
from minijax.calls.static import JitOptions, no_static
from minijax.config import state
from minijax.errors import MinijaxValueError
from minijax.interpreters.evaluate import base_trace, run_program
from minijax.interpreters.parallel import on_devices
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ops.meshes import DeviceMesh, Spec, names_in
from minijax.ops.parallel import vary
from minijax.sharding.specs import device_mesh, flat_specs
from minijax.tracing.array import typeof
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

    def mapped(*args: Any) -> Any:
        return bind_blocks(f, args, in_specs, out_specs, mesh, axis_names, check_vma)

    functools.update_wrapper(mapped, f)
    jitted = JittedFunction(mapped, JitOptions(mapped))

    @boundary
    @functools.wraps(f)
    def call(*args: Any) -> Any:
        if context.trace is base_trace and state.evaluator == "xla" and not state.jax_disable_jit:
            return jitted(*placed(f, args, in_specs, mesh))
        return mapped(*args)

    return call


def described(f: Any) -> str:
    """What messages call the mapped function."""
    return f"shard_map of {function_name(f)}"


def arguments(f: Any, args: Sequence[Any], in_specs: Any, mesh: DeviceMesh) -> tuple[list[Any], Any, tuple[Spec, ...]]:
    """Leaves of the arguments, their structure and their specs."""
    leaves, tree = flatten_values("shard_map", f, args)
    names = [f"argument {name}" for name in leaf_names(f, args)]
    specs = tuple(in_specs) if isinstance(in_specs, list) else in_specs
    return leaves, tree, flat_specs(described(f), "in_specs", specs, tree, names, [typeof(x) for x in leaves], mesh)


def placed(f: Any, args: Sequence[Any], in_specs: Any, mesh: Any) -> Any:
    """The arguments, each where the devices of the mesh are."""
    plain = device_mesh(described(f), mesh)
    leaves, tree, specs = arguments(f, args, in_specs, plain)
    for name, x, spec in zip(leaf_names(f, args), leaves, specs, strict=True):
        block_type(f"{described(f)}: argument {name}", typeof(x), spec, plain, False)
    return tree.unflatten([put_on_mesh(x, plain, spec) for x, spec in zip(leaves, specs, strict=True)])


def bind_blocks(f: Any, args: Sequence[Any], in_specs: Any, out_specs: Any, mesh: Any, axis_names: Set[Any],
                tracked: bool) -> Any:
    """Trace the function at the types of its blocks, and bind the op."""
    who, plain = described(f), device_mesh(described(f), mesh)
    axes = mapped_axes(who, plain, axis_names)
    leaves, tree, ins = arguments(f, args, in_specs, plain)
    names = [f"argument {name}" for name in leaf_names(f, args)]
    types = tuple([block_type(f"{who}: {name}", typeof(x), spec, plain, tracked)
                   for name, x, spec in zip(names, leaves, ins, strict=True)])
    with on_devices(plain, axes, tracked):
        nested = pytree.flatten((tree.unflatten(range(tree.num_leaves)), {}))[1]
        traced = trace_cache(f).get(f, types, nested, no_static, lambda: names)
        results = [f"result{pytree.keystr(path)}" for path, _ in pytree.leaves_with_path(
            traced.out_tree.unflatten(range(traced.out_tree.num_leaves)))]
        outs = flat_specs(who, "out_specs", out_specs, traced.out_tree, results, traced.jaxpr.out_types, plain)
        if tracked:
            check_replication(who, results, traced, outs, axes)
        program = varying_results(traced.jaxpr, outs) if tracked else traced.jaxpr
    captured = tuple([((),) * typeof(x).ndim for x in traced.captured])
    return traced.out_tree.unflatten(shard_map_p.bind(
        *traced.captured, *leaves, jaxpr=program, mesh=plain, axis_names=axes, in_specs=captured + ins,
        out_specs=outs, tracked=tracked))


def mapped_axes(who: str, mesh: DeviceMesh, axis_names: Set[Any]) -> tuple[Any, ...]:
    """The axes to map over, in the mesh's order; none may be mapped already."""
    unknown = set(axis_names) - {*mesh.names}
    if unknown:
        raise MinijaxValueError(f"{who}: axis_names {sorted(map(repr, unknown))} are not in the mesh{at_line()}, whose "
                                f"axes are {', '.join(map(repr, mesh.names))}.")
    axes = tuple([name for name in mesh.names if not axis_names or name in axis_names])
    for axis in context.trace.axes():
        if axis.name in axes:
            raise MinijaxValueError(f"{who}: the axis {axis.name!r} is mapped already around this call{at_line()}. "
                                    "Map over other axes of the mesh with axis_names=, or rename one.")
    return axes


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
