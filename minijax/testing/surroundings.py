"""Checks of ops that see more than their operands: collectives, which see the batch, and callbacks, which are seen.

    check_inside    rules of a collective that run below its axis: derivatives and batches of one example
    check_effects   who is called, and with what, when a callback is evaluated, compiled, differentiated, batched
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.interop import runtime
from minijax.interpreters.dual import jvp_flat, linearize_flat
from minijax.interpreters.evaluate import run_numpy, to_numpy
from minijax.interpreters.stage import stage
from minijax.interpreters.transpose import transpose_tape
from minijax.ir.op import Op
from minijax.ir.passes import dce
from minijax.ir.types import zero
from minijax.ops.families import moveaxis
from minijax.testing.checks import (agree_pulled, batch_of, choices, compare_pushed, examples_of, pulled_back,
                                    run_compiled, tangents_of, vmapped)
from minijax.testing.compare import Mismatch, agree
from minijax.testing.samples import Sample, function_of
from minijax.tracing.array import typeof

SIZE = 3


# ---- collectives: derivative and batch of one example, mapped over the collective's axis

def check_inside(op: Op, sample: Sample) -> None:
    """Derivatives and batches taken of one example are those of the whole batch."""
    if "collective" not in op.traits or not sample.args:
        return
    assert sample.around is not None
    around, whole = sample.around, function_of(op, sample)

    def one(*xs: Any) -> Sequence[Any]:
        return op.bind(*xs, **sample.params)

    for chosen in choices(sample):
        compare_pushed(op, sample, whole, sample.args, chosen, lambda f, count: around(f), one)
        cts = tangents_of(whole(*sample.args), 70)
        count = len(sample.args)
        each = around(lambda *xs, chosen=chosen: pulled_back(one, xs[:count], chosen, xs[count:]))(*sample.args, *cts)
        agree_pulled("vjp inside, against that of the whole", chosen, sample.args, each,
                     pulled_back(whole, sample.args, chosen, cts), sample.rtol)
    for axis in range(1, np.ndim(sample.args[0]) + 1):
        axes = tuple([axis - 1] * len(sample.args))
        batches = [batch_of(x, axis, SIZE) for x in sample.args]
        inside = around(vmapped(one, axes, SIZE))(*batches)
        outside = vmapped(whole, tuple([axis] * len(batches)), SIZE)(*batches)
        for number, (mine, other) in enumerate(zip(inside, outside, strict=True)):
            agree("batch", f"result {number} for another batch axis {axes}, inside against outside",
                  moveaxis(mine, 1, 0), other, sample.rtol)


# ---- callbacks: what they see

def check_effects(op: Op, sample: Sample) -> None:
    """A callback with an effect sees the operands once, or once an example, however the program is run."""
    calls = sample.calls
    if calls is None or not op.effects_of(sample.params):
        return
    f, program = function_of(op, sample), stage(function_of(op, sample), sample.types)
    arrays = [to_numpy(x, t.dtype) for x, t in zip(sample.args, sample.types, strict=True)]
    once = [arrays]
    seen("eval", "evaluated", calls, lambda: f(*arrays), once)
    seen("eval", "in a program of which nothing is read", calls,
         lambda: run_numpy(dce(program, [False] * len(program.outvars)), arrays), once)
    seen("lowering", "compiled", calls, lambda: run_compiled(program)(*arrays), once)
    for chosen in choices(sample)[:1]:
        tangents = [t if i in chosen else zero for i, t in enumerate(tangents_of(arrays))]
        seen("jvp", "differentiated", calls, lambda: jvp_flat(f, arrays, tangents), once)  # noqa: B023
        seen("linearize", "pulled back", calls, lambda: transposed(f, arrays, tangents), once)  # noqa: B023
    if sample.loops:
        stacked = [batch_of(x, 0, SIZE) for x in arrays]
        examples = examples_of(sample, (0,) * len(arrays), SIZE)
        seen("batch", "batched", calls, lambda: vmapped(f, (0,) * len(arrays), SIZE)(*stacked), examples)


def transposed(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> None:
    """Take a reverse derivative and use it."""
    outs, tape = linearize_flat(f, args, [t is not zero for t in tangents])
    transpose_tape(tape, tangents_of(outs))


def seen(rule: str, what: str, calls: list[Any], run: Callable[[], Any], expected: Sequence[Any]) -> None:
    """Raise `Mismatch` unless the callback is called with the operands that are expected, in order."""
    calls.clear()
    run()
    runtime.effects_barrier()
    if len(calls) != len(expected):
        raise Mismatch(rule, f"number of calls when {what}", None, len(calls), len(expected))
    for number, (mine, other) in enumerate(zip(calls, expected, strict=True)):
        for place, (x, y) in enumerate(zip(mine, other, strict=True)):
            agree(rule, f"operand {place} of call {number} when {what}", np.asarray(x), np.asarray(y, typeof(y).dtype))
