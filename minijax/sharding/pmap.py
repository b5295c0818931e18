"""`pmap`: a function of examples becomes one of batches, an example to each device."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax.api.arguments import check_callable, spread
from minijax.api.boundary import boundary
from minijax.api.vmap import argument_axes, batch_size, is_axis, vmap
from minijax.calls.arguments import Arguments
from minijax.calls.jit import trace_cache
from minijax.calls.shard_map import Specs
from minijax.calls.static import JitOptions
from minijax.errors import MinijaxValueError
from minijax.interop import runtime
from minijax.interpreters.batch import batched_type, place_axis, unbatched_type
from minijax.interpreters.evaluate import base_trace, run_program
from minijax.interpreters.parallel import on_devices
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.types import ArrayType
from minijax.ops.meshes import DeviceMesh
from minijax.ops.structural import squeeze
from minijax.sharding.blocks import bind_blocks, compiled_blocks, mesh_around
from minijax.tracing.context import context
from minijax.tracing.source import at_line

UNNAMED = "_devices"  # one name for all: what one `pmap` returns lies where the next one takes it

OF_PARTS = "Pass one example for each device of this process."
OF_WHOLES = ("Under jit, grad or another transformation a call takes the examples of all processes: make whole arrays "
             "of this process's parts with make_array_from_process_local_data, or transform inside: pmap(grad(f)).")


@boundary
def pmap(fun: Callable[..., Any], axis_name: Any = None, *, in_axes: Any = 0, out_axes: Any = 0,
         static_broadcasted_argnums: Any = (), devices: Sequence[Any] | None = None, backend: str | None = None,
         axis_size: int | None = None, donate_argnums: Any = ()) -> Callable[..., Any]:
    """A function that applies `fun` to each example of a batch, each on a device of its own, compiled.

    `in_axes` and `out_axes` are as in `vmap`; the size of the mapped axes is the number of devices used, the
    first of `devices` or of the platform `backend`.  Inside, collectives such as `lax.psum(x, axis_name)` run over
    the devices.  Every device has its own values, also of arguments that are not mapped: a derivative taken
    inside is that of the sum of all devices' results.  `static_broadcasted_argnums` marks Python values,
    `donate_argnums` arguments whose memory results may reuse.  A `pmap` inside another one is a `vmap` on each device.

    With several processes each passes the examples for its own devices, one for each, and gets their results;
    collectives run over the devices of all.  `axis_size` is that of all.

    `pmap(f).lower(x)` is the program as `jit(f).lower(x)` gives it: `.as_text()`, `.compile()`.

    Raises `MinijaxValueError` for sizes that differ or exceed the number of devices.

    >>> import numpy as np
    >>> pmap(lambda x: x + 1)(np.zeros(1, 'float32'))
    Array([1.], dtype=float32)
    """
    check_callable("pmap", fun)
    in_axes, out_axes = (tuple(axes) if isinstance(axes, list) else axes for axes in (in_axes, out_axes))
    name = UNNAMED if axis_name is None else axis_name
    options = JitOptions.of(fun, static_broadcasted_argnums, donate_argnums=donate_argnums)

    def prepared(call: Arguments, parts: int = 1) -> tuple[list[int | None], DeviceMesh]:
        axes = argument_axes(call, in_axes)
        size = batch_size(call, axes, axis_size and axis_size // parts) * parts
        return axes, device_row(call.who, name, size, devices, backend)

    @functools.wraps(fun)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        if mesh_around(context.trace) is not None:
            return vmap(fun, in_axes, out_axes, axis_name, axis_size)(*args, **kwargs)
        call = options.arguments("pmap", fun, args, kwargs).checked()
        axes, mesh = prepared(call)
        types = tuple([t if axis is None else unbatched_type(t, axis)
                       for t, axis in zip(call.types(), axes, strict=True)])
        with on_devices(mesh, mesh.names, False):
            traced = trace_cache(fun).get(call, types)
            wanted = spread(call.who, "out_axes", out_axes, "result", traced.results(), is_axis, "ints and None")
            out = [axis if axis is None else axis % (t.ndim + 1)
                   for axis, t in zip(wanted, traced.jaxpr.out_types, strict=True)]
            program = of_rows(traced.jaxpr, (*[None] * len(traced.captured), *axes), tuple(out))
        return bind_blocks(traced, call.leaves, jaxpr=program, mesh=mesh, axis_names=mesh.names, tracked=False,
                           in_specs=row_specs(name, call.types(), axes),
                           out_specs=row_specs(name, program.out_types, out))

    def places(call: Arguments) -> tuple[DeviceMesh, Specs]:
        axes, mesh = prepared(call, parts())
        return mesh, row_specs(name, call.types(), axes)

    def parts() -> int:
        return process_count(devices, backend)

    return compiled_blocks(mapped, options, "pmap", places, parts=parts)


def device_row(who: str, name: Any, size: int, devices: Sequence[Any] | None, backend: str | None) -> DeviceMesh:
    """The first devices as a mesh of one axis; raises `MinijaxValueError` if there are not enough."""
    found, processes = list(devices or runtime.devices(backend)), process_count(devices, backend)
    if processes > 1:
        found.sort(key=lambda d: d.process_index)  # those of a process side by side
    if processes > 1 and size != len(found):
        fix = OF_PARTS if context.trace is base_trace else OF_WHOLES
        raise MinijaxValueError(f"{who}: the mapped axes have size {size} in all, and {processes} processes have "
                                f"{len(found)} devices{at_line()}. {fix}")
    if size > len(found):
        raise MinijaxValueError(f"{who}: the mapped axes have size {size}, and there are {len(found)} devices"
                                f"{at_line()}. Map over fewer examples, or use vmap inside of pmap for several on "
                                "each device.")
    ids = tuple([d.id for d in found[:size]]) if hasattr(found[0], "id") else ()
    return DeviceMesh(((name, size),), ids, getattr(found[0], "platform", ""))


def process_count(devices: Sequence[Any] | None, backend: str | None) -> int:
    """How many processes have the devices."""
    return len({d.process_index for d in devices}) if devices else runtime.process_count(backend)


def row_specs(name: Any, types: Sequence[ArrayType], axes: Sequence[int | None]) -> Specs:
    """The specs of arrays that are cut along one axis each, or none."""
    return tuple([tuple([(name,) if k == axis else () for k in range(t.ndim)])
                  for t, axis in zip(types, axes, strict=True)])


@kept
def of_rows(jaxpr: Jaxpr, in_axes: tuple[int | None, ...], out_axes: tuple[int | None, ...]) -> Jaxpr:
    """The program with a mapped axis, of size 1 on each device, in its inputs and results."""
    def run(*blocks: Any) -> list[Any]:
        outs = run_program(jaxpr, *[x if axis is None else squeeze(x, (axis,))
                                    for x, axis in zip(blocks, in_axes, strict=True)])
        return [x if axis is None else place_axis(x, 1, None, axis) for x, axis in zip(outs, out_axes, strict=True)]

    return stage(run, [t if axis is None else batched_type(t, 1, axis)
                       for t, axis in zip(jaxpr.in_types, in_axes, strict=True)], jaxpr.debug_name)
