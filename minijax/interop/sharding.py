"""JAX's own classes of meshes and shardings, which minijax takes and gives as they are.

Meshes that `make_mesh` makes here have axes of type Auto: sharding is the compiler's business, or `shard_map`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import (AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec, Sharding, SingleDeviceSharding,
                          get_abstract_mesh, get_mesh)

from minijax.config import state, use_mesh
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ops.meshes import DeviceMesh, Placement, Spec
from minijax.util import size_of

__all__ = ["AbstractMesh", "AxisType", "Mesh", "NamedSharding", "PartitionSpec", "Sharding", "SingleDeviceSharding",
           "get_abstract_mesh", "get_mesh", "make_mesh", "set_mesh"]


def make_mesh(axis_shapes: Sequence[int], axis_names: Sequence[Any], axis_types: Any = None, *,
              devices: Sequence[Any] | None = None) -> Mesh:
    """A mesh of the first devices, in an order that suits their connections.

    `axis_shapes` are the sizes of the axes and `axis_names` their names; `axis_types`, if given, are all
    `AxisType.Auto`.  Raises `MinijaxValueError` for too few devices or names.

    >>> make_mesh((1,), ("i",)).axis_names
    ('i',)
    """
    shapes, names = tuple(axis_shapes), tuple(axis_names)
    if len(shapes) != len(names):
        raise MinijaxValueError(f"make_mesh: {len(shapes)} sizes {shapes} and {len(names)} names {names}. "
                                "Give one name for each size.")
    if len({*names}) < len(names):
        raise MinijaxValueError(f"make_mesh: the names {names} are not all different. Give each axis its own.")
    if any(kind is not AxisType.Auto for kind in axis_types or ()):
        raise MinijaxTypeError(f"make_mesh: axis_types {axis_types} are not all AxisType.Auto. minijax's types carry "
                               "no shardings: leave axis_types out.")
    found = list(devices) if devices is not None else jax.devices()
    if size_of(shapes) > len(found):
        raise MinijaxValueError(f"make_mesh: the mesh {dict(zip(names, shapes, strict=True))} takes {size_of(shapes)} "
                                f"devices, and there are {len(found)}. Make it smaller, or start with more devices.")
    return jax.make_mesh(shapes, names, (AxisType.Auto,) * len(shapes), devices=found[: size_of(shapes)])


class set_mesh:
    """Make a mesh the current one, for JAX too: within a `with` block, or from here on.

    >>> with set_mesh(make_mesh((1,), ("i",))):
    ...     get_mesh().axis_names
    ('i',)
    """

    def __init__(self, mesh: Mesh) -> None:
        self._before, self._in_jax = state.mesh, jax.sharding.set_mesh(mesh)
        use_mesh(mesh)

    def __enter__(self) -> None:
        self._in_jax.__enter__()

    def __exit__(self, *exception: Any) -> None:
        self._in_jax.__exit__(*exception)
        use_mesh(self._before)


def current_mesh() -> Any:
    """The mesh that `set_mesh` made current, or JAX's; None if there is none."""
    if state.mesh is not None:
        return state.mesh
    try:
        mesh = get_mesh()
    except ValueError:  # while JAX traces, it knows no more than the axes
        mesh = get_abstract_mesh()
    return None if mesh is None or mesh.empty else mesh


# ---- the plain forms that programs hold ----

def from_jax_mesh(mesh: Any) -> DeviceMesh:
    """The plain form of JAX's mesh, which may be an abstract one."""
    axes = tuple([(name, mesh.shape[name]) for name in mesh.axis_names])
    if not isinstance(mesh, Mesh):
        return DeviceMesh(axes)
    devices = list(mesh.devices.flat)
    return DeviceMesh(axes, tuple([d.id for d in devices]), devices[0].platform)


def from_partition_spec(spec: PartitionSpec, ndim: int) -> Spec:
    """The plain form of JAX's spec for an array of so many axes."""
    parts = [() if part is None else part if isinstance(part, tuple) else (part,) for part in spec]
    return (*parts, *[()] * (ndim - len(parts)))


def from_sharding(sharding: Any, ndim: int) -> Placement | None:
    """The plain form of a device or a sharding; None for one that has none."""
    if isinstance(sharding, NamedSharding):
        mesh, spec = from_jax_mesh(sharding.mesh), from_partition_spec(sharding.spec, ndim)
        return Placement(mesh, spec, beside_default(sharding.memory_kind))
    memory = None
    if isinstance(sharding, SingleDeviceSharding):
        memory, (sharding,) = beside_default(sharding.memory_kind), sharding.device_set
    if not isinstance(sharding, jax.Device):
        return None
    return Placement(DeviceMesh((), (sharding.id,), sharding.platform), ((),) * ndim, memory)


def beside_default(memory: str | None) -> str | None:
    """A kind of memory; None for the devices' own."""
    return None if memory == "device" else memory
