"""Meshes of devices, and specs: how an array is cut along them.

A spec has an item for each axis of an array: the names of the mesh axes along which it is cut, outermost
first; `(('i',), ())` cuts the rows of a matrix along `i`.  Both are plain data, so that programs which hold
them print, parse and are saved: devices are named by their numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from minijax.ir.text import register_named
from minijax.util import size_of

Spec = tuple[tuple[Any, ...], ...]


@register_named
@dataclasses.dataclass(frozen=True)
class DeviceMesh:
    """Named axes with their sizes; the numbers of the devices, row by row, and their platform (else the default).

    Without devices it is as many of them as it needs.

    >>> DeviceMesh((("i", 2), ("j", 4))).sizes["j"]
    4
    """

    axes: tuple[tuple[Any, int], ...]
    devices: tuple[int, ...] = ()
    platform: str = ""

    @property
    def sizes(self) -> dict[Any, int]:
        """The size of each axis."""
        return dict(self.axes)

    @property
    def names(self) -> tuple[Any, ...]:
        """Names of the axes."""
        return tuple([name for name, _ in self.axes])

    def count(self, names: Sequence[Any]) -> int:
        """How many devices there are along these axes."""
        return size_of([self.sizes[name] for name in names])


def names_in(spec: Spec) -> tuple[Any, ...]:
    """The mesh axes that a spec names."""
    return tuple([name for names in spec for name in names])


def block_shape(shape: Sequence[int], spec: Spec, mesh: DeviceMesh) -> tuple[int, ...]:
    """The shape of one device's block of an array."""
    return tuple([n // mesh.count(names) for n, names in zip(shape, spec, strict=True)])


def whole_shape(shape: Sequence[int], spec: Spec, mesh: DeviceMesh) -> tuple[int, ...]:
    """The shape of an array whose blocks have this shape."""
    return tuple([n * mesh.count(names) for n, names in zip(shape, spec, strict=True)])


def uncut(spec: Spec, axis: int | None) -> Spec:
    """The spec of an array with a further axis, which is not cut."""
    return spec if axis is None else (*spec[:axis], (), *spec[axis:])


@register_named
@dataclasses.dataclass(frozen=True)
class Placement:
    """Where an array lies: on a mesh, cut by a spec; a mesh of no axes is one device.  None is its default memory."""

    mesh: DeviceMesh
    spec: Spec
    memory: str | None = None
