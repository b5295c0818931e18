"""`shard_map`, the op that runs its program on every device of a mesh, each on its own blocks of the operands.

    shard_map[jaxpr mesh axis_names in_specs out_specs tracked](operands) -> results

Specs say how operands are cut into blocks, and results put together (`ops/meshes.py`).  `pmap` is this op on a
mesh of one axis.  If `tracked`, types tell over which mesh axes a value varies: one that does not is a single
value, and its cotangent the sum over the devices.  Otherwise every device has values of its own.

A residual that varies is stacked along a new first axis on its way from the known program to the linear one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.calls.jit import CallOp, check_fit, program_cost
from minijax.calls.masks import Mask, front_axes, narrowed, nonzero, present, spread
from minijax.errors import ShapeError
from minijax.interpreters.batch import batch_program
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.parallel import on_devices, run_stacked
from minijax.interpreters.programs import jvp_program, linearize_program
from minijax.interpreters.stage import stage
from minijax.interpreters.transpose import transpose_program
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Linear
from minijax.ir.types import ArrayType, zero
from minijax.ops.arithmetic import div
from minijax.ops.families import reshape, scalar_like
from minijax.ops.meshes import DeviceMesh, Spec, block_shape, names_in, uncut, whole_shape
from minijax.ops.parallel import psum
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import merge_lists, partition_list

Specs = tuple[Spec, ...]


def block_type(name: str, type: ArrayType, spec: Spec, mesh: DeviceMesh, tracked: bool) -> ArrayType:
    """The type of one device's block; raises `ShapeError` for an array that cannot be cut so."""
    if len(spec) != type.ndim:
        raise ShapeError(f"{name} has type {type}, which has {type.ndim} axes, but its spec {spec} has {len(spec)}"
                         f"{at_line()}.")
    for axis, (n, names) in enumerate(zip(type.shape, spec, strict=True)):
        if n % mesh.count(names):
            raise ShapeError(f"{name} of type {type} is cut along axis {axis}, of size {n}, over {mesh.count(names)} "
                             f"devices ({', '.join(f'{k}={mesh.sizes[k]}' for k in names)}){at_line()}: the blocks "
                             "would be unequal. Pad it to a multiple, or use fewer devices.")
    varying = type.varying | (frozenset(names_in(spec)) if tracked else frozenset())
    return type.update(shape=block_shape(type.shape, spec, mesh), varying=varying)


def _type(*types: ArrayType, jaxpr: Jaxpr, mesh: DeviceMesh, axis_names: tuple[Any, ...], in_specs: Specs,
          out_specs: Specs, tracked: bool) -> Any:
    check_fit("shard_map: the blocks of the operands", jaxpr.in_types,
              [block_type(f"shard_map: operand {n}", t, spec, mesh, tracked)
               for n, (t, spec) in enumerate(zip(types, in_specs, strict=True))])
    return [t.update(shape=whole_shape(t.shape, spec, mesh), varying=t.varying.difference(axis_names))
            for t, spec in zip(jaxpr.out_types, out_specs, strict=True)]


def _eval(*arrays: np.ndarray, jaxpr: Jaxpr, mesh: DeviceMesh, axis_names: tuple[Any, ...], in_specs: Specs,
          out_specs: Specs, tracked: bool) -> Any:
    return run_stacked(jaxpr, arrays, mesh, axis_names, in_specs, out_specs)


def _cost(*types: ArrayType, jaxpr: Jaxpr, mesh: DeviceMesh, axis_names: tuple[Any, ...], **params: Any) -> int:
    return program_cost(jaxpr=jaxpr) * mesh.count(axis_names)


# ---- derivatives ----

def chosen(mask: Sequence[bool], specs: Specs) -> Specs:
    """The specs that are marked."""
    return tuple([spec for spec, keep in zip(specs, mask, strict=True) if keep])


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, in_specs: Specs, out_specs: Specs,
         **params: Any) -> Any:
    marks = nonzero(tangents)
    with on_devices(**params):
        program, out_nonzero = jvp_program(jaxpr, marks)
    outs = shard_map_p.bind(*primals, *present(tangents), jaxpr=program, in_specs=in_specs + chosen(marks, in_specs),
                            out_specs=out_specs + chosen(out_nonzero, out_specs), **params)
    return outs[: len(out_nonzero)], spread(out_nonzero, outs[len(out_nonzero):])


def _linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, in_specs: Specs, out_specs: Specs,
               **params: Any) -> Any:
    marks, count = nonzero(tangents), len(out_specs)
    with on_devices(**params):
        split = linearize_program(jaxpr, marks)
        varying = [residual_axes(t, **params) for t in split.known.out_types[count:]]
        known = stage(lambda *xs: stacked(run_program(split.known, *xs), count, varying), jaxpr.in_types,
                      jaxpr.debug_name) if any(varying) else split.known
        extra = tuple([((names,) if names else ()) + ((),) * t.ndim
                       for t, names in zip(split.known.out_types[count:], varying, strict=True)])
        added = [where == "output" and i >= count and bool(varying[i - count]) for where, i in split.residuals]
        linear = unstacking(split.linear, added)
    outs = shard_map_p.bind(*primals, jaxpr=known, in_specs=in_specs, out_specs=out_specs + extra, **params)
    at_hand = {"input": list(zip(primals, in_specs, strict=True)),
               "output": list(zip(outs, out_specs + extra, strict=True))}
    residuals = [at_hand[where][i] for where, i in split.residuals]
    linear_outs = shard_map_p.bind(
        *[x for x, _ in residuals], *present(tangents), jaxpr=linear,
        in_specs=(*[spec for _, spec in residuals], *chosen(marks, in_specs)),
        out_specs=chosen(split.out_nonzero, out_specs), **params)
    return outs[:count], spread(split.out_nonzero, linear_outs)


def residual_axes(type: ArrayType, mesh: DeviceMesh, axis_names: tuple[Any, ...], tracked: bool) -> tuple[Any, ...]:
    """The mesh axes along which a residual differs, or may."""
    return tuple([name for name in axis_names if not tracked or name in type.varying])


def stacked(outs: list[Any], count: int, varying: Sequence[Any]) -> list[Any]:
    """The results, those after `count` that vary as rows."""
    rows = [reshape(x, (1, *typeof(x).shape)) if names else x for x, names in zip(outs[count:], varying, strict=True)]
    return [*outs[:count], *rows]


def unstacking(linear: Jaxpr, added: Sequence[bool]) -> Jaxpr:
    """The linear program with its residuals, where marked, as rows."""
    rest = linear.in_types[len(added):]
    rows = [t.update(shape=(1, *t.shape)) if add else t for t, add in zip(linear.in_types, added, strict=False)]
    return stage(lambda *xs: run_program(linear, *[
        reshape(x, t.shape) if add else x for x, t, add in zip(xs, linear.in_types, added, strict=False)],
        *xs[len(added):]), [*rows, *rest], linear.debug_name) if any(added) else linear


def _transpose(cts: Sequence[Any], *args: Any, jaxpr: Jaxpr, in_specs: Specs, out_specs: Specs, **params: Any) -> Any:
    linear, marks = tuple([type(x) is Linear for x in args]), nonzero(cts)
    known, _ = partition_list(linear, args)
    with on_devices(**params):
        program, out_nonzero = transpose_program(jaxpr, linear, marks)
        ct_specs = chosen(out_nonzero, chosen(linear, in_specs))
        if not params["tracked"]:
            program = summed(program, ct_specs, **params)
            cts = [ct if ct is zero else shared(ct, spec, **params) for ct, spec in zip(cts, out_specs, strict=True)]
    outs = shard_map_p.bind(*known, *present(cts), jaxpr=program, out_specs=ct_specs,
                            in_specs=chosen([not x for x in linear], in_specs) + chosen(marks, out_specs), **params)
    return merge_lists(linear, [None] * len(known), spread(out_nonzero, outs))


def summed(program: Jaxpr, specs: Specs, **params: Any) -> Jaxpr:
    """The program with its results added up over the devices along the axes that their specs do not name."""
    return stage(lambda *xs: [psum(x, unnamed(spec, **params)) for x, spec in
                              zip(run_program(program, *xs), specs, strict=True)], program.in_types, program.debug_name)


def unnamed(spec: Spec, mesh: DeviceMesh, axis_names: tuple[Any, ...], tracked: bool) -> frozenset[Any]:
    """The mesh axes that a spec does not name."""
    return frozenset(axis_names).difference(names_in(spec))


def shared(ct: Any, spec: Spec, mesh: DeviceMesh, **params: Any) -> Any:
    """Each device's part of the cotangent of a result for which any device's stands."""
    count = mesh.count(tuple(unnamed(spec, mesh, **params)))
    return ct if count == 1 else div(ct, scalar_like(ct, count))


# ---- batching, dead code ----

def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, jaxpr: Jaxpr, in_specs: Specs,
           out_specs: Specs, **params: Any) -> Any:
    with on_devices(**params):
        program, batched = batch_program(jaxpr, size, tuple(axes))
    out_axes = front_axes(batched)
    outs = shard_map_p.bind(*args, jaxpr=program, in_specs=tuple(map(uncut, in_specs, axes)),
                            out_specs=tuple(map(uncut, out_specs, out_axes)), **params)
    return outs, out_axes


def _dce(used: Mask, live: Callable[..., tuple[Jaxpr, Mask]], *, jaxpr: Jaxpr, in_specs: Specs, out_specs: Specs,
         **params: Any) -> Any:
    program, needed = live(jaxpr, used)
    return needed, used, {**params, "jaxpr": narrowed(program, needed), "in_specs": chosen(needed, in_specs),
                          "out_specs": chosen(used, out_specs)}


shard_map_p = CallOp("shard_map", type=_type, eval=_eval, jvp=_jvp, linearize=_linearize, transpose=_transpose,
                     batch=_batch, dce=_dce, cost=_cost, traits={"devices"})
