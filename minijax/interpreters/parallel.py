"""Programs that every device of a mesh runs on its own block (SPMD): the axes around them, and what they mean.

The meaning of such a program is that of a batch: stack the blocks along one axis for each axis of the mesh,
give these axes the names of the mesh's, and batch the program over them.  Collectives then are ops along the
batch axes, and blocks put together again are the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.interpreters.batch import batch_program
from minijax.interpreters.evaluate import run_numpy
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.ops.meshes import DeviceMesh, Spec, names_in
from minijax.ops.parallel import NamedSize
from minijax.tracing.context import MappedAxis, Trace, context, running


class DeviceTrace(Trace):
    """What is traced inside runs on each device of a mesh; ops are the parent's turn."""

    __slots__ = ("mesh", "mapped")
    name = "shard_map"

    def __init__(self, parent: Trace, mesh: DeviceMesh, axis_names: Sequence[Any], tracked: bool) -> None:
        super().__init__(parent)
        self.mesh = mesh
        self.mapped = tuple([MappedAxis(name, mesh.sizes[name], tracked) for name in axis_names])

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Leave it to the parent."""
        return self.parent.process(op, args, params)  # type: ignore[union-attr]

    def axes(self) -> tuple[MappedAxis, ...]:
        """The axes of the mesh, and those around."""
        return (*self.mapped, *super().axes())


def on_devices(mesh: DeviceMesh, axis_names: Sequence[Any], tracked: bool) -> running:
    """Context manager: programs traced inside run on each device along these axes of a mesh."""
    return running(DeviceTrace(context.trace, mesh, axis_names, tracked))


def run_stacked(jaxpr: Jaxpr, arrays: Sequence[np.ndarray], mesh: DeviceMesh, names: Sequence[Any],
                in_specs: Sequence[Spec], out_specs: Sequence[Spec]) -> list[np.ndarray]:
    """The results of running the program on every device, with NumPy, one after the other."""
    program, in_batches, out_batches = jaxpr, [[] for _ in in_specs], [[] for _ in out_specs]  # names of axes in front
    for name in reversed(names):
        axes = tuple([0 if name in names_in(spec) else None for spec in in_specs])
        program, batched = batch_program(program, NamedSize.of(mesh.sizes[name], name), axes)
        for batches, found in ((in_batches, [axis is not None for axis in axes]), (out_batches, batched)):
            for own, has_axis in zip(batches, found, strict=True):
                own[:0] = [name] * has_axis
    blocks = [stack_blocks(x, spec, mesh, own) for x, spec, own in zip(arrays, in_specs, in_batches, strict=True)]
    return [join_blocks(x, spec, mesh, own)
            for x, spec, own in zip(run_numpy(program, blocks), out_specs, out_batches, strict=True)]


def stack_blocks(x: np.ndarray, spec: Spec, mesh: DeviceMesh, batches: Sequence[Any]) -> np.ndarray:
    """The blocks of an array, stacked along an axis in front for each mesh axis in `batches`."""
    shape, places = [], {}
    for n, names in zip(x.shape, spec, strict=True):
        places.update({name: len(shape) + k for k, name in enumerate(names)})
        shape += [*[mesh.sizes[name] for name in names], n // mesh.count(names)]
    front = [places[name] for name in batches]
    return x.reshape(shape).transpose([*front, *[k for k in range(len(shape)) if k not in front]])


def join_blocks(x: np.ndarray, spec: Spec, mesh: DeviceMesh, batches: Sequence[Any]) -> np.ndarray:
    """Undo `stack_blocks`; along axes that the spec does not name the first block stands for all."""
    x = x[tuple([slice(None) if name in names_in(spec) else 0 for name in batches])]
    found = [name for name in batches if name in names_in(spec)]
    absent = [name for name in names_in(spec) if name not in found]  # one block for all devices along these
    x = np.broadcast_to(x, (*[mesh.sizes[name] for name in absent], *x.shape))
    front, order, shape = [*absent, *found], [], []
    for k, names in enumerate(spec):
        order += [*[front.index(name) for name in names], len(front) + k]
        shape.append(x.shape[len(front) + k] * mesh.count(names))
    return x.transpose(order).reshape(shape)
