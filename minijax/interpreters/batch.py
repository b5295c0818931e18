"""Batching: a trace whose values carry an axis that the program does not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.interpreters.evaluate import run_program
from minijax.interpreters.pairs import PairTrace, PairTracer
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops.families import broadcast_axis, moveaxis
from minijax.ops.parallel import NamedSize, runs_over
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import MappedAxis, Trace, context


class BatchTracer(PairTracer):
    """A batch and, as its companion, the batch axis; its `type` is that of one example."""

    __slots__ = ()

    def __init__(self, trace: Trace, batch: Any, axis: int) -> None:
        super().__init__(trace, batch, axis)
        self.type = unbatched_type(typeof(batch), axis)

    def describe(self) -> str:
        """Where the batched value came from."""
        inner = f" {self.inner.describe()}" if isinstance(self.inner, Tracer) else ""
        return f"It is one example ({self.type}) of a batch ({typeof(self.inner)}) under vmap.{inner}"


def unbatched_type(type: ArrayType, axis: int) -> ArrayType:
    """The type of one example of a batch."""
    return ArrayType(type.shape[:axis] + type.shape[axis + 1:], type.dtype, type.weak_type, type.varying)


def batched_type(type: ArrayType, size: int, axis: int = 0) -> ArrayType:
    """The type of a batch of examples."""
    return type.update(shape=(*type.shape[:axis], int(size), *type.shape[axis:]))


class BatchTrace(PairTrace):
    """Runs batch rules; `size` is the batch size and `axis_name` its name, if it has one."""

    __slots__ = ("size", "axis_name")
    name = "vmap"
    tracer = BatchTracer

    def __init__(self, parent: Trace, size: int, axis_name: Any = None) -> None:
        super().__init__(parent)
        self.size = int(size)
        self.axis_name = getattr(size, "name", axis_name)  # a rule hands on the name with the size

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Run the op's batch rule if an argument is batched or the op runs over this axis; else the parent's turn."""
        values, axes = self.split(args)
        size = self.size
        if self.axis_name is not None and runs_over(op, params, self.axis_name):
            size = NamedSize.of(size, self.axis_name)
        elif all([axis is None for axis in axes]):
            return self.parent.process(op, args, params)  # type: ignore[union-attr]
        try:
            return self.pair(*self.run_rule(op, op.batch, size, values, axes, **params))
        except Exception:
            if "custom" not in op.traits:  # those hold Python functions, not programs with types
                op.infer(tuple([typeof(x) for x in args]), params)  # names one example's types, if they are to blame
            raise

    def axes(self) -> tuple[MappedAxis, ...]:
        """This axis, if it has a name, and those around."""
        return (*([] if self.axis_name is None else [MappedAxis(self.axis_name, self.size)]), *super().axes())


def batch_flat(function: Callable[..., Sequence[Any]], size: int, args: Sequence[Any], axes: Sequence[int | None],
               axis_name: Any = None) -> tuple[list[Any], list[int | None]]:
    """Run a function of flat values on batches: the outputs and where their batch axes are."""
    return BatchTrace(context.trace, size, axis_name).run(function, args, axes)


def place_axis(x: Any, size: int, axis: int | None, wanted: int) -> Any:
    """The batch with its axis at `wanted`; an unbatched value is broadcast."""
    if axis is None:
        return broadcast_axis(x, size, wanted)
    return x if axis == wanted else moveaxis(x, axis, wanted)


@kept
def batch_program(jaxpr: Jaxpr, size: int, axes: tuple[int | None, ...],
                  force: tuple[bool, ...] | None = None) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The program on batches, and which of its outputs are batched, with their axes in front.

    Outputs marked in `force` are batched in any case.
    """
    out_batched: list[bool] = []

    def batched(*args: Any) -> list[Any]:
        outs, found = batch_flat(lambda *xs: run_program(jaxpr, *xs), size, args, axes)
        must = force or (False,) * len(outs)
        out_batched.extend(axis is not None or forced for axis, forced in zip(found, must, strict=True))
        return [place_axis(x, size, axis, 0) if wanted else x
                for x, axis, wanted in zip(outs, found, out_batched, strict=True)]

    in_types = [t if axis is None else batched_type(t, size, axis)
                for t, axis in zip(jaxpr.in_types, axes, strict=True)]
    return stage(batched, in_types, jaxpr.debug_name), tuple(out_batched)
