"""`pmap`: a function of examples becomes one of batches, an example to each device."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable, check_leaves, function_name
from minijax.api.boundary import boundary
from minijax.api.jit import JittedFunction
from minijax.api.vmap import batch_size, check_axis, flat_axes, flat_out_axes, vmap
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.shard_map import shard_map_p
from minijax.calls.static import JitOptions
from minijax.config import state
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.batch import unbatched_type
from minijax.interpreters.evaluate import base_trace, run_program
from minijax.interpreters.parallel import DeviceTrace, on_devices
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ops.families import broadcast_axis
from minijax.ops.meshes import DeviceMesh, Placement, Spec
from minijax.ops.structural import squeeze
from minijax.tracing.array import Array, is_value, typeof
from minijax.tracing.context import Trace, context

_unnamed = itertools.count()


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

    Raises `MinijaxValueError` for sizes that differ or exceed the number of devices.

    >>> import numpy as np
    >>> pmap(lambda x: x + 1)(np.zeros(1, 'float32'))
    Array([1.], dtype=float32)
    """
    check_callable("pmap", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    name = f"devices_{next(_unnamed)}" if axis_name is None else axis_name
    mapped = MappedFunction(fun, name, in_axes, out_axes, axis_size, devices, backend,
                            JitOptions(fun, static_broadcasted_argnums, donate_argnums=donate_argnums))
    jitted = JittedFunction(mapped, mapped.options)

    @boundary
    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.trace is base_trace and state.evaluator == "xla" and not state.jax_disable_jit:
            args, kwargs = mapped.placed(args, kwargs)
            outs = jitted(*args, **kwargs)
            return outs if mapped.processes() == 1 else pytree.map(own_part, outs)
        return mapped(*args, **kwargs)

    return call


class MappedFunction:
    """The function that `pmap` maps, with how; a call traces it and binds `shard_map`."""

    def __init__(self, fun: Callable[..., Any], axis_name: Any, in_axes: Any, out_axes: Any, axis_size: int | None,
                 devices: Sequence[Any] | None, backend: str | None, options: JitOptions) -> None:
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.axis_name = axis_name
        self.in_axes, self.out_axes, self.axis_size = in_axes, out_axes, axis_size
        self.devices, self.backend = devices, backend
        self.options = options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if inside_devices(context.trace):
            return vmap(self.fun, self.in_axes, self.out_axes, self.axis_name, self.axis_size)(*args, **kwargs)
        (dynamic, named), static = self.options.split(args, kwargs)
        leaves, in_tree = pytree.flatten((dynamic, named))
        axes, size = self.axes_and_size(dynamic, named, leaves)
        mesh = self.mesh(size)
        types = tuple([typeof(x) if axis is None else unbatched_type(typeof(x), axis)
                       for x, axis in zip(leaves, axes, strict=True)])
        with on_devices(mesh, mesh.names, False):
            names = self.options.argument_names(self.fun, args, kwargs)
            traced = trace_cache(self.fun).get(self.fun, types, in_tree, static, names)
            out_axes = [axis if axis is None else axis % (t.ndim + 1) for axis, t in zip(
                flat_out_axes(self.fun, self.out_axes, traced.out_tree), traced.jaxpr.out_types, strict=True)]
            axes = [*[None] * len(traced.captured), *axes]
            program = of_rows(traced.jaxpr, tuple(axes), tuple(out_axes))
        outs = shard_map_p.bind(*traced.captured, *leaves, jaxpr=program, mesh=mesh, axis_names=mesh.names,
                                in_specs=tuple(map(self.spec, program.in_types, axes)),
                                out_specs=tuple(map(self.spec, program.out_types, out_axes)), tracked=False)
        return traced.out_tree.unflatten(outs)

    def processes(self) -> int:
        """How many processes have the devices."""
        if self.devices:
            return len({d.process_index for d in self.devices})
        return Array.backend.process_count(self.backend)

    def axes_and_size(self, args: Any, kwargs: Any, leaves: Sequence[Any],
                      processes: int = 1) -> tuple[list[int | None], int]:
        """The mapped axis of each leaf of a call, or of each process's part, and their common size."""
        count = len(leaves) - len(pytree.leaves(kwargs))
        axes = flat_axes(self.fun, self.in_axes, args, count) + [0] * (len(leaves) - count)
        axes = [check_axis(self.fun, args, kwargs, i, x, axis) for i, (x, axis) in enumerate(zip(leaves, axes, strict=True))]
        size = self.axis_size and self.axis_size // processes
        return axes, batch_size(self.fun, args, kwargs, leaves, axes, size)

    def mesh(self, size: int) -> DeviceMesh:
        """The devices that a call uses."""
        found = list(self.devices or sorted(Array.backend.devices(self.backend), key=process_of))
        if self.processes() > 1 and size != len(found):
            raise MinijaxValueError(
                f"pmap of {function_name(self.fun)}: the mapped axes have size {size} in all, and {self.processes()} "
                f"processes have {len(found)} devices. Pass one example for each device of this process; or, where the "
                "call is traced, whole arrays with one for each device of all (make_array_from_process_local_data).")
        if size > len(found):
            raise MinijaxValueError(
                f"pmap of {function_name(self.fun)}: the mapped axes have size {size}, and there are {len(found)} "
                "devices. Map over fewer examples, or use vmap inside of pmap for several on each device.")
        ids = tuple([d.id for d in found[:size]]) if hasattr(found[0], "id") else ()
        return DeviceMesh(((self.axis_name, size),), ids, getattr(found[0], "platform", ""))

    def spec(self, type: Any, axis: int | None) -> Spec:
        """The spec of an array of this many axes, mapped along `axis`."""
        return tuple([(self.axis_name,) if k == axis else () for k in range(type.ndim)])

    def placed(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of a call, each where its devices are."""
        (dynamic, named), static = self.options.split(args, kwargs)
        leaves, tree = pytree.flatten((dynamic, named))
        if not all(map(is_value, leaves)):
            names = self.options.argument_names(self.fun, args, kwargs)
            check_leaves(f"pmap of {function_name(self.fun)}", names(), leaves)
        processes = self.processes()
        axes, size = self.axes_and_size(dynamic, named, leaves, processes)
        mesh, put = self.mesh(size * processes), put_on_mesh if processes == 1 else put_part_on_mesh
        return static.restore(*tree.unflatten([
            put(x, mesh, self.spec(typeof(x), axis)) for x, axis in zip(leaves, axes, strict=True)]))


def put_on_mesh(x: Any, mesh: DeviceMesh, spec: Spec) -> Array:
    """A concrete value cut along a mesh."""
    return Array(Array.backend.place(x, Placement(mesh, spec)))


def put_part_on_mesh(x: Any, mesh: DeviceMesh, spec: Spec) -> Array:
    """An array over the devices of several processes, of which a concrete value is the part of this one."""
    return Array(Array.backend.place_part(x, Placement(mesh, spec)))


def own_part(x: Array) -> Array:
    """The part of an array that lies with this process."""
    return Array(Array.backend.own_part(x.value))


def process_of(device: Any) -> int:
    """Which process has a device."""
    return getattr(device, "process_index", 0)


def inside_devices(trace: Trace | None) -> bool:
    """Whether what is traced runs on each device of a mesh already."""
    while trace is not None and not isinstance(trace, DeviceTrace):
        trace = trace.parent
    return trace is not None


@kept
def of_rows(jaxpr: Jaxpr, in_axes: tuple[int | None, ...], out_axes: tuple[int | None, ...]) -> Jaxpr:
    """The program with a mapped axis, of size 1 on each device, in its inputs and results."""
    def run(*blocks: Any) -> list[Any]:
        outs = run_program(jaxpr, *[x if axis is None else squeeze(x, (axis,))
                                    for x, axis in zip(blocks, in_axes, strict=True)])
        return [x if axis is None else broadcast_axis(x, 1, axis) for x, axis in zip(outs, out_axes, strict=True)]

    return stage(run, [t if axis is None else t.update(shape=(*t.shape[:axis], 1, *t.shape[axis:]))
                       for t, axis in zip(jaxpr.in_types, in_axes, strict=True)], jaxpr.debug_name)
