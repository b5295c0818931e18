"""Programs over a mesh of devices become `jax.shard_map`; our plain meshes and specs, JAX's own."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding

from minijax.errors import MinijaxValueError
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.eager import kept_kernel
from minijax.lowering.emit import emit
from minijax.lowering.values import bare
from minijax.ops.meshes import DeviceMesh, Placement, Spec
from minijax.tracing.array import Array


@functools.lru_cache(maxsize=256)
def to_jax_mesh(mesh: DeviceMesh) -> Mesh:
    """JAX's mesh; raises `MinijaxValueError` if there are not enough devices."""
    there = {d.id: d for d in jax.devices(mesh.platform or None)}
    count = mesh.count(mesh.names)
    if len(there) < count or not there.keys() >= {*mesh.devices}:
        raise MinijaxValueError(f"The mesh {dict(mesh.axes)} takes {count} devices, and there are {len(there)}. Map "
                                "over fewer, or start with more (XLA_FLAGS=--xla_force_host_platform_device_count="
                                f"{count} makes so many of a CPU).")
    chosen = [there[n] for n in mesh.devices] or list(there.values())[:count]
    grid = np.array(chosen).reshape(list(mesh.sizes.values()))
    return Mesh(grid, mesh.names, axis_types=(AxisType.Auto,) * grid.ndim)


def to_partition_spec(spec: Spec) -> PartitionSpec:
    """JAX's spec."""
    return PartitionSpec(*[names[0] if len(names) == 1 else names or None for names in spec])


@functools.lru_cache(maxsize=1024)
def to_sharding(placement: Placement) -> Sharding:
    """JAX's sharding of an array that lies so."""
    mesh, memory = placement.mesh, placement.memory
    if not mesh.axes:
        device, = [d for d in jax.devices(mesh.platform or None) if d.id == mesh.devices[0]]
        return SingleDeviceSharding(device, memory_kind=memory)
    return NamedSharding(to_jax_mesh(mesh), to_partition_spec(placement.spec), memory_kind=memory)


def put(x: Any, placement: Placement) -> Any:
    """The device value of a concrete operand where it is to lie; itself if it lies there already."""
    value, sharding = bare(x), to_sharding(placement)
    return value if getattr(value, "sharding", None) == sharding else jax.device_put(value, sharding)


def device_put(x: Any, *, placement: Placement, source: Placement | None) -> Any:
    """The lowering rule."""
    return jax.device_put(x, to_sharding(placement))


def sharding_constraint(x: Any, *, placement: Placement) -> Any:
    """The lowering rule."""
    return jax.lax.with_sharding_constraint(x, to_sharding(placement))


def evaluate_placing(op: Op, args: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """Put a value elsewhere now: a compiled program runs on its own devices only."""
    return (Array(put(args[0], params["placement"])),)


def evaluate(op: Op, args: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run a mapped program, compiled; the compiled form is kept by the program."""
    values = [put(x, Placement(params["mesh"], spec)) for x, spec in zip(args, params["in_specs"], strict=True)]
    return tuple(map(Array, kept_kernel(op, params, params["jaxpr"])(*values)))


def shard_map(*values: Any, jaxpr: Jaxpr, mesh: DeviceMesh, axis_names: tuple[Any, ...], in_specs: tuple[Spec, ...],
              out_specs: tuple[Spec, ...], tracked: bool) -> tuple[Any, ...]:
    """The lowering rule.  JAX's own check of what varies is off: ours has been made, and it refuses less."""
    inside = AxisType.Manual in jax.sharding.get_abstract_mesh().axis_types  # of another one, on the same mesh
    mapped = jax.shard_map(lambda *blocks: tuple(emit(jaxpr, blocks)), mesh=None if inside else to_jax_mesh(mesh),
                           in_specs=tuple(map(to_partition_spec, in_specs)), axis_names={*axis_names},
                           out_specs=tuple(map(to_partition_spec, out_specs)), check_vma=False)
    return tuple(mapped(*values))
