"""Reverse mode through loops in memory that does not grow with their number of steps.

The forward loop keeps the states before some of its steps, in at most `slots` rows: a `scan`, whose length is known,
where the best schedule wants them; a `while` those before every step, then, whenever the rows are full, every second
one of them.  The backward loop goes forward again from the last state that it has, keeps states in the rows that
have become free, and pulls cotangents back one step.  The schedule is Griewank's and Walther's (Algorithm 799, 2000).

All of it is `while` and ops of arrays, so batches and higher derivatives are their rules'.  It becomes the
linearize rule of `while`, and of a `scan` with a parameter `checkpoint`, from outside of the kernel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from minijax.calls.checkpoint import residual_atoms
from minijax.calls.custom import custom_transpose_p
from minijax.calls.jit import jit_p
from minijax.calls.masks import Mask, carried, fixpoint, nonzero, only, present, readers, reads, spread
from minijax.calls.scan import scan_p
from minijax.calls.while_loop import while_p
from minijax.errors import UnhandledEffectError
from minijax.interpreters.batch import batched_type
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.programs import linearize_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.interpreters.transpose import transpose_values
from minijax.ir.dtypes import int32
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.op import Linear
from minijax.ir.types import ArrayType, zero
from minijax.ops import arithmetic
from minijax.ops.arithmetic import div, rem
from minijax.ops.comparison import eq, select_n
from minijax.ops.elementwise import add_any
from minijax.ops.random import placeholder
from minijax.ops.reductions import argmax, reduce_max
from minijax.ops.slots import FREE, Values, empty, free_slots, keep, read, thin_out, write
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import merge_lists, split_list

SLOTS = 64


def repeat(proceed: Callable[..., Any], body: Callable[..., Values], init: Values, slots: int) -> Values:
    """Bind `while` to functions of flat values."""
    types = list(map(typeof, init))
    (cond, given), (step, consts) = [lift_constants(stage(f, types)) for f in (lambda *xs: [proceed(*xs)], body)]
    return while_p.bind(*given, *consts, *init, cond_jaxpr=cond, cond_nconsts=len(given), body_jaxpr=step,
                        body_nconsts=len(consts), checkpoint=slots)


def stretch(length: Any, slots: Any) -> Any:
    """How far to go before the next state is kept, for `length` steps to reverse with `slots` rows for states.

    b(s, r) = (s + r)! / s! r! steps can be reversed in s rows so that none is repeated more than r times.
    """
    def times(b: Any, up: Any, down: Any) -> Any:  # b * up / down, exactly
        return div(b, down) * up + div(rem(b, down) * up, down)

    r, before, _ = repeat(lambda r, before, b: (b < length) & (b > 0),
                          lambda r, before, b: [r + 1, b, times(b, slots + r + 1, r + 1)],
                          [np.int32(0), np.int32(1), np.int32(1)], 1)
    return arithmetic.min(before, length - times(before, slots, slots + r - 1))


# ---- the derivative of a loop

class Loop(NamedTuple):
    """What a loop does with its body (consts, carries, x) -> (carries, y): `cond` goes on, or `length` steps."""

    num_consts: int
    num_carry: int
    slots: int
    cond: Jaxpr | None = None
    num_cond: int = 0
    length: int = 0
    reverse: bool = False


class Derivative:
    """The programs of a loop's derivative by the marked inputs.

    `forward`: (consts of cond, consts, init, xs) -> (carries, ys, number of steps, positions, rows)
    `along`: (residuals, tangents of marked inputs) -> tangents; `back` is its transpose
    The residuals are consts, the first state, xs, the number of steps, positions and rows.  A state is the carries that
    are `needed` to go on: `following` gives the next, `values` what `linear` takes besides tangents.
    """

    def __init__(self, jaxpr: Jaxpr, loop: Loop, marks: Mask) -> None:
        first, end = loop.num_consts, loop.num_consts + loop.num_carry
        split, moving = carried(linearize_program, jaxpr, marks, first, loop.num_carry)
        self.jaxpr, self.loop, self.linear, self.out_nonzero = jaxpr, loop, split.linear, split.out_nonzero
        self.values = only(split.known, residual_atoms(split.known, split.residuals))
        self.needed = fixpoint(lambda mask: readers(jaxpr, mask)[first:end], reads(self.values)[first:end])
        self.following = only(jaxpr, list(compress(jaxpr.outvars, self.needed)))
        self.given = list(compress(marks, moving))
        self.counts = sum(moving[:first]), sum(moving[first:end])
        ins, self.outs = self.whole(jaxpr.in_types, end), self.whole(jaxpr.out_types, loop.num_carry)
        self.tangents, outs = list(compress(ins, moving)), list(compress(self.outs, self.out_nonzero))
        state = list(compress(ins[first:end], self.needed))
        known = [*ins[:first], *state, *ins[end:], ArrayType((), int32), ArrayType((loop.slots + 1,), int32),
                 *[batched_type(t, loop.slots + 1) for t in state]]
        self.sizes = first, len(state), len(ins) - end, 1, 1, len(state)
        self.forward = stage(self.run, [*(loop.cond.in_types[: loop.num_cond] if loop.cond else ()), *ins])
        self.along = stage(self.push, [*known, *compress(self.tangents, self.given)], "linear_loop")
        self.back = stage(self.sweep, [*known, *outs], "reverse_loop")

    def whole(self, types: Sequence[ArrayType], fixed: int) -> list[ArrayType]:
        """Types of all steps, but of the first `fixed` ones, which are no xs or ys."""
        return [t if i < fixed else batched_type(t, self.loop.length) for i, t in enumerate(types)]

    def place(self, i: Any) -> Any:
        """Where step i finds its x."""
        return np.int32(self.loop.length - 1) - i if self.loop.reverse else i

    def inputs(self, i: Any, state: Values, consts: Values, xs: Values) -> list[Any]:
        """The inputs of the body in step i; None for a carry that is not needed."""
        carry = merge_lists(self.needed, [None] * self.needed.count(False), state)
        return [*consts, *carry, *[read(self.place(i), x) for x in xs]]

    def written(self, i: Any, stacks: Values, values: Values) -> list[Any]:
        """Stacks of all steps with the values of step i in them."""
        return [write(self.place(i), *pair) for pair in zip(stacks, values, strict=True)]

    def run(self, *flat: Any) -> Values:
        """The loop, which keeps states as it goes."""
        loop, width, carries = self.loop, self.sizes[1], self.loop.num_carry
        given, consts, init, xs = split_list(flat, loop.num_cond, loop.num_consts, carries)

        def proceed(i: Any, mark: Any, positions: Any, *flat: Any) -> Any:
            if loop.cond is None:
                return i < loop.length
            return run_program(loop.cond, *given, *flat[width: width + carries])[0]

        def step(i: Any, mark: Any, positions: Any, *flat: Any) -> Values:
            rows, carry, ys = split_list(flat, width, carries)
            if loop.cond is None:  # `mark` is the next step whose state is kept
                due = eq(i, mark)
                left = select_n(due, np.int32(0), loop.length - i)
                mark = select_n(due, mark, i + stretch(left, free_slots(positions)))
            else:  # every `mark`-th is
                mark, positions = thin_out(i, mark, positions)
                due = eq(rem(i, mark), np.int32(0))
            positions, rows = keep(due, i, positions, rows, compress(carry, self.needed))
            outs = run_program(self.jaxpr, *consts, *carry, *[read(self.place(i), x) for x in xs])
            return [i + 1, mark, positions, *rows, *outs[:carries], *self.written(i, ys, outs[carries:])]

        positions, rows = empty(loop.slots, list(compress(init, self.needed)))
        count, mark, positions, *flat = repeat(proceed, step, [
            np.int32(0), np.int32(loop.cond is not None), positions, *rows, *init,
            *map(placeholder, self.outs[carries:])], loop.slots)
        if loop.cond is not None:  # states that are farther apart than there are rows are of no use
            far = (mark > loop.slots) & (positions > 0) & (positions < count - 1)
            positions = select_n(far, positions, FREE)
        return [*flat[width:], count, positions, *flat[:width]]

    def push(self, *flat: Any) -> Values:
        """Tangents of the results."""
        consts, state, xs, (count,), _, _, moving = split_list(flat, *self.sizes)
        still = [zeros_of(t) for t, is_given in zip(self.tangents, self.given, strict=True) if not is_given]
        consts_t, init_t, xs_t = split_list(merge_lists(self.given, still, moving), *self.counts)

        def step(i: Any, *flat: Any) -> Values:
            state, carry_t, ys_t = split_list(flat, self.sizes[1], len(init_t))
            inputs = self.inputs(i, state, consts, xs)
            outs = run_program(self.linear, *run_program(self.values, *inputs), *consts_t, *carry_t,
                               *[read(self.place(i), t) for t in xs_t])
            carry_t, y_t = split_list(outs, len(init_t))
            return [i + 1, *run_program(self.following, *inputs), *carry_t, *self.written(i, ys_t, y_t)]

        ys_t = map(zeros_of, compress(self.outs[self.loop.num_carry:], self.out_nonzero[self.loop.num_carry:]))
        init = [np.int32(0), *state, *init_t, *ys_t]
        return repeat(lambda i, *_: i < count, step, init, self.loop.slots)[1 + len(state):]

    def pull(self, i: Any, inputs: Values, cts: Values, ys_ct: Values) -> Values:
        """Cotangents of (carries, consts, xs) before step i from those after it."""
        carry_ct, consts_ct, xs_ct = split_list(cts, *reversed(self.counts))
        values = run_program(self.values, *inputs)
        types = self.linear.in_types[len(values):]
        found = transpose_values(self.linear, [*values, *map(Linear, types)],
                                 [*carry_ct, *[read(self.place(i), ct) for ct in ys_ct]])[len(values):]
        found = [zeros_of(t) if ct is zero else ct for ct, t in zip(found, types, strict=True)]
        more, carry_ct, x_ct = split_list(found, *self.counts)
        return [*carry_ct, *map(add_any, consts_ct, more), *self.written(i, xs_ct, x_ct)]

    def sweep(self, *flat: Any) -> Values:
        """Cotangents of the marked inputs: the steps from the last to the first."""
        consts, _, xs, (count,), (positions,), rows, cts = split_list(flat, *self.sizes)
        carry_ct, ys_ct = split_list(cts, self.counts[1])
        consts_ct, _, xs_ct = split_list(list(map(zeros_of, self.tangents)), *self.counts)
        width, slots = len(rows), math.isqrt(self.loop.slots)  # a state of the sweep itself holds all rows

        def onward(i: Any, *state: Any) -> Values:
            return [i + 1, *run_program(self.following, *self.inputs(i, state, consts, xs))]

        def backward(j: Any, positions: Any, *flat: Any) -> Values:
            def forward(i: Any, positions: Any, *flat: Any) -> Values:
                target = i + stretch(j - i + 1, free_slots(positions) + 1)
                _, *state = repeat(lambda i, *_: i < target, onward, [i, *flat[width:]], slots)
                positions, rows = keep(True, target, positions, flat[:width], state)
                return [target, positions, *rows, *state]

            state = [read(argmax(positions, 0), x) for x in flat[:width]]
            _, positions, *again = repeat(lambda i, *_: i < j, forward, [
                reduce_max(positions, (0,)), positions, *flat[:width], *state], slots)
            inputs = self.inputs(j, again[width:], consts, xs)
            return [j - 1, select_n(positions >= j, positions, FREE), *again[:width],
                    *self.pull(j, inputs, flat[width:], ys_ct)]

        init = [count - 1, positions, *rows, *carry_ct, *consts_ct, *xs_ct]
        found = repeat(lambda j, *_: j >= 0, backward, init, slots)[2 + width:]
        carry_ct, consts_ct, xs_ct = split_list(found, *reversed(self.counts))
        return list(compress([*consts_ct, *carry_ct, *xs_ct], self.given))

    def transpose(self, cts: Values, args: Values) -> list[Any]:
        """The transpose rule of `along`."""
        known, types = args[: sum(self.sizes)], self.along.out_types
        full = [zeros_of(t) if ct is zero else ct for ct, t in zip(cts, types, strict=True)]
        found = jit_p.bind(*known, *full, jaxpr=self.back, name="reverse_loop")
        return [ct if type(x) is Linear else None for x, ct in zip(args, [*known, *found], strict=True)]


derivative_of = kept(Derivative)


def linearize_loop(primals: Values, tangents: Values, jaxpr: Jaxpr, loop: Loop) -> Any:
    """Run a loop so that it keeps states, and bind its linear half."""
    again = jaxpr.effects & {"rng", "tap"}
    if again:
        raise UnhandledEffectError(
            f"The derivative of a loop runs its steps again{at_line()}, and what they draw or tap would be drawn or "
            "tapped twice. Use scan, or fori_loop with constant bounds, which keep it; or differentiate apply.")
    (consts, init, xs), tangents = split_list(primals[loop.num_cond:], loop.num_consts, loop.num_carry), tangents[
        loop.num_cond:]
    parts = derivative_of(jaxpr, loop, nonzero(tangents))
    outs, count = jit_p.bind(*primals, jaxpr=parts.forward, name="loop"), len(jaxpr.outvars)
    residuals, dots = [*consts, *compress(init, parts.needed), *xs, *outs[count:]], present(tangents)
    found = custom_transpose_p.bind(
        *residuals, *dots, call_jaxpr=parts.along, num_consts=0, name="linear_loop",
        linear=(False,) * len(residuals) + (True,) * len(dots), transpose=parts.transpose)
    return outs[:count], spread(parts.out_nonzero, found)


def _while(primals: Values, tangents: Values, *, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr,
           body_nconsts: int, checkpoint: int = SLOTS) -> Any:
    loop = Loop(body_nconsts, len(body_jaxpr.outvars), checkpoint, cond_jaxpr, cond_nconsts)
    return linearize_loop(primals, tangents, body_jaxpr, loop)


def _scan(stacked: Callable[..., Any], primals: Values, tangents: Values, **params: Any) -> Any:
    length, slots = params["length"], params.get("checkpoint")
    if not length or not slots:
        return stacked(primals, tangents, **params)
    loop = Loop(params["num_consts"], params["num_carry"], min(slots, length), None, 0, length, params["reverse"])
    return linearize_loop(primals, tangents, params["jaxpr"], loop)


while_p.linearize = _while
scan_p.linearize = functools.partial(_scan, scan_p.linearize)
