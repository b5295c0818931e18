"""From what users write, JAX's meshes and `PartitionSpec`s, to the plain data that programs hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.api.arguments import spread
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interop.sharding import (AxisType, NamedSharding, PartitionSpec, current_mesh, from_jax_mesh,
                                      from_partition_spec, from_sharding)
from minijax.ir.types import ArrayType
from minijax.ops.meshes import DeviceMesh, Placement, Spec, names_in
from minijax.tracing.source import at_line


def device_mesh(who: str, mesh: Any) -> DeviceMesh:
    """The plain form of a mesh, by default the current one; raises `MinijaxTypeError` and `MinijaxValueError`."""
    mesh = current_mesh() if mesh is None else mesh
    if mesh is None:
        raise MinijaxValueError(f"{who}: there is no mesh{at_line()}. Pass mesh=make_mesh(shape, names), or call it "
                                "inside `with set_mesh(mesh):`.")
    if isinstance(mesh, DeviceMesh):
        return mesh
    if not hasattr(mesh, "axis_names") or not hasattr(mesh, "shape"):
        raise MinijaxTypeError(f"{who}: mesh is {mesh!r} of type {type(mesh).__name__}, not a Mesh{at_line()}. "
                               "Make one with minijax.make_mesh((2, 4), ('x', 'y')).")
    if any(kind is not AxisType.Auto for kind in getattr(mesh, "axis_types", None) or ()):
        raise MinijaxTypeError(f"{who}: the axes of {mesh} are not all of type Auto{at_line()}. minijax's types carry "
                               "no shardings: make the mesh with minijax.make_mesh.")
    return from_jax_mesh(mesh)


def plain_spec(who: str, name: str, spec: Any, ndim: int, mesh: DeviceMesh) -> Spec:
    """The plain form of a `PartitionSpec` for an array with `ndim` axes; raises what tells its mistake."""
    if not isinstance(spec, PartitionSpec):
        raise MinijaxTypeError(f"{who}: the spec of {name} is {spec!r}, not a PartitionSpec{at_line()}. Write "
                               "P('x', None): for each axis the mesh axis along which it is cut, or None.")
    if len(spec) > ndim:
        raise MinijaxValueError(f"{who}: {spec} names {len(spec)} axes, but {name} has {ndim}{at_line()}.")
    found = from_partition_spec(spec, ndim)
    for axis in names_in(found):
        if axis not in mesh.names:
            raise MinijaxValueError(f"{who}: {spec} of {name} names the axis {axis!r}, which the mesh has not"
                                    f"{at_line()}. Its axes are {', '.join(map(repr, mesh.names))}.")
        if names_in(found).count(axis) > 1:
            raise MinijaxValueError(f"{who}: {spec} of {name} names the axis {axis!r} twice{at_line()}. Each mesh "
                                    "axis cuts one axis of an array.")
    return found


def flat_specs(who: str, option: str, specs: Any, whole: str, tree: Any, names: Sequence[str],
               types: Sequence[ArrayType], mesh: DeviceMesh) -> tuple[Spec, ...]:
    """The plain spec of each leaf of `tree`, for a pytree prefix of `PartitionSpec`s; None stands for `P()`."""
    found = spread(who, option, specs, whole, tree, lambda x: x is None or isinstance(x, PartitionSpec),
                   "PartitionSpecs and None")
    return tuple([plain_spec(who, name, PartitionSpec() if spec is None else spec, t.ndim, mesh)
                  for name, spec, t in zip(names, found, types, strict=True)])


def placement(who: str, name: str, sharding: Any, ndim: int) -> Placement:
    """Where an array is to lie, as plain data; a `PartitionSpec` is one of the current mesh."""
    if isinstance(sharding, PartitionSpec):
        mesh = device_mesh(who, None)
        return Placement(mesh, plain_spec(who, name, sharding, ndim, mesh))
    if isinstance(sharding, NamedSharding):
        plain_spec(who, name, sharding.spec, ndim, device_mesh(who, sharding.mesh))
    found = from_sharding(sharding, ndim)
    if found is None:
        raise MinijaxTypeError(f"{who}: {sharding!r} is no device or sharding{at_line()}. Pass one of "
                               "minijax.devices(), or NamedSharding(mesh, PartitionSpec(...)).")
    return found
