"""Reverse mode through loops in memory that does not grow with their number of steps.

The forward loop keeps the states before some of its steps, in at most `slots` rows: a `scan`, whose length is known,
where the best schedule wants them; a `while` those before every step, then, whenever the rows are full, every second
one of them.  The backward loop goes forward again from the last state that it has, keeps states in the rows that
have become free, and pulls cotangents back one step.  The schedule is Griewank's and Walther's (Algorithm 799, 2000).

All of it is `while` and ops of arrays, so batches and higher derivatives are their rules'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from minijax.calls.checkpoint import residual_atoms
from minijax.calls.jit import CallOp, jit_p, program_cost, program_eval, program_type
from minijax.calls.scan import Mask, carried, fixpoint, linearize_rules, linearize_stacked, present, readers, spread
from minijax.calls.while_loop import while_p
from minijax.interpreters.batch import batch_program, batched_type, place_axis
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.programs import linearize_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.interpreters.transpose import transpose_values
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


# ---- a loop, and its body step by step

class Loop(NamedTuple):
    """What a loop does with its body (consts, carries, x) -> (carries, y): `cond` goes on, or `length` steps."""

    num_consts: int
    num_carry: int
    slots: int
    cond: Jaxpr | None = None
    num_cond: int = 0
    length: int = 0
    reverse: bool = False

    def whole(self, types: Sequence[ArrayType], fixed: int) -> list[ArrayType]:
        """Types of all steps, but of the first `fixed` ones, which are no xs or ys."""
        return [t if i < fixed else batched_type(t, self.length) for i, t in enumerate(types)]


class Body(NamedTuple):
    """A body in parts, each a program of its inputs: the next state, what `linear` needs, and all results.

    The state is those carries that are needed to go on; `linear` maps residuals and the tangents at `nonzero`,
    `counts` of them of consts and of carries, to the tangents at `out_nonzero`.
    """

    advance: Jaxpr
    residuals: Jaxpr
    linear: Jaxpr
    needed: Mask
    nonzero: Mask
    out_nonzero: Mask
    counts: tuple[int, int]


@kept
def split_body(jaxpr: Jaxpr, loop: Loop, marks: Mask) -> Body:
    """The parts of a body of whose inputs the marked ones have tangents."""
    first, end = loop.num_consts, loop.num_consts + loop.num_carry
    split, nonzero = carried(linearize_program, jaxpr, marks, first, loop.num_carry)
    residuals = only(split.known, residual_atoms(split.known, split.residuals))
    needed = fixpoint(lambda mask: readers(jaxpr, mask)[first:end],
                      readers(residuals, [True] * len(residuals.outvars))[first:end])
    advance = only(jaxpr, list(compress(jaxpr.outvars, needed)))
    return Body(advance, residuals, split.linear, needed, nonzero, split.out_nonzero,
                (sum(nonzero[:first]), sum(nonzero[first:end])))


def only(jaxpr: Jaxpr, outvars: Values) -> Jaxpr:
    """The program that computes these variables and nothing else; effects are not repeated."""
    found, eqns = set(outvars), []
    for eqn in reversed(jaxpr.eqns):
        if not found.isdisjoint(eqn.outvars):
            eqns.append(eqn)
            found.update(eqn.inputs)
    return jaxpr.replace(eqns=eqns[::-1], outvars=outvars)


class Steps:
    """A body at its consts and xs, step by step."""

    def __init__(self, loop: Loop, body: Body, consts: Values, xs: Values) -> None:
        self.loop, self.body, self.consts, self.xs = loop, body, consts, xs

    def place(self, i: Any) -> Any:
        """Where step i finds its x."""
        return np.int32(self.loop.length - 1) - i if self.loop.reverse else i

    def inputs(self, i: Any, state: Values) -> list[Any]:
        """The inputs of the body in step i; None for a carry that is not needed."""
        carry = merge_lists(self.body.needed, [None] * self.body.needed.count(False), state)
        return [*self.consts, *carry, *[read(self.place(i), x) for x in self.xs]]

    def advance(self, i: Any, state: Values) -> Values:
        """The state after step i."""
        return run_program(self.body.advance, *self.inputs(i, state))

    def push(self, count: Any, state: Values, tangents: Values, ys_t: Values) -> Values:
        """Tangents of the final carries and of ys, from those of consts, init and xs."""
        consts_t, init_t, xs_t = split_list(tangents, *self.body.counts)

        def step(i: Any, *flat: Any) -> Values:
            state, carry_t, ys_t = split_list(flat, sum(self.body.needed), len(init_t))
            values = run_program(self.body.residuals, *self.inputs(i, state))
            outs = run_program(self.body.linear, *values, *consts_t, *carry_t, *[read(self.place(i), t) for t in xs_t])
            stacks = [write(self.place(i), *pair) for pair in zip(ys_t, outs[len(init_t):], strict=True)]
            return [i + 1, *self.advance(i, state), *outs[: len(init_t)], *stacks]

        init = [np.int32(0), *state, *init_t, *ys_t]
        return repeat(lambda i, *_: i < count, step, init, self.loop.slots)[1 + len(state):]

    def pull(self, i: Any, state: Values, cts: Values, ys_ct: Values) -> Values:
        """Cotangents of (carries, consts, xs) before step i from those after it."""
        carry_ct, consts_ct, xs_ct = split_list(cts, *reversed(self.body.counts))
        values = run_program(self.body.residuals, *self.inputs(i, state))
        types = self.body.linear.in_types[len(values):]
        found = transpose_values(self.body.linear, [*values, *map(Linear, types)],
                                 [*carry_ct, *[read(self.place(i), ct) for ct in ys_ct]])[len(values):]
        parts, carry_ct, xs_parts = split_list([zeros_of(t) if ct is zero else ct for ct, t in zip(
            found, types, strict=True)], *self.body.counts)
        return [*carry_ct, *map(add_any, consts_ct, parts),
                *[write(self.place(i), *pair) for pair in zip(xs_ct, xs_parts, strict=True)]]

    def sweep(self, count: Any, positions: Any, rows: Values, cts: Values, ys_ct: Values) -> Values:
        """Cotangents of (carries, consts, xs) before the first step."""
        width, slots = len(rows), math.isqrt(self.loop.slots)  # a state of the sweep itself holds all rows

        def backward(j: Any, positions: Any, *flat: Any) -> Values:
            def forward(i: Any, positions: Any, *flat: Any) -> Values:
                target = i + stretch(j - i + 1, free_slots(positions) + 1)
                _, *state = repeat(lambda i, *_: i < target, lambda i, *state: [i + 1, *self.advance(i, state)],
                                   [i, *flat[width:]], slots)
                positions, rows = keep(True, target, positions, flat[:width], state)
                return [target, positions, *rows, *state]

            state = [read(argmax(positions, 0), x) for x in flat[:width]]
            _, positions, *again = repeat(lambda i, *_: i < j, forward, [
                reduce_max(positions, (0,)), positions, *flat[:width], *state], slots)
            return [j - 1, select_n(positions >= j, positions, FREE), *again[:width],
                    *self.pull(j, again[width:], flat[width:], ys_ct)]

        init = [count - 1, positions, *rows, *cts]
        return repeat(lambda j, *_: j >= 0, backward, init, slots)[2 + width:]


# ---- the programs of a loop's derivative

@kept
def forward_program(jaxpr: Jaxpr, loop: Loop, body: Body) -> Jaxpr:
    """(consts of cond, consts, init, xs) -> (carries, ys, number of steps, positions, rows)."""
    width, fixed = sum(body.needed), loop.num_consts + loop.num_carry

    def forward(*flat: Any) -> Values:
        given, consts, init, xs = split_list(flat, loop.num_cond, loop.num_consts, loop.num_carry)
        steps = Steps(loop, body._replace(needed=(True,) * loop.num_carry), consts, xs)

        def proceed(i: Any, mark: Any, positions: Any, *flat: Any) -> Any:
            if loop.cond is None:
                return i < loop.length
            return run_program(loop.cond, *given, *flat[width: width + loop.num_carry])[0]

        def step(i: Any, mark: Any, positions: Any, *flat: Any) -> Values:
            rows, carry, ys = split_list(flat, width, loop.num_carry)
            if loop.cond is None:  # `mark` is the next step whose state is kept
                due = eq(i, mark)
                left = select_n(due, np.int32(0), loop.length - i)
                mark = select_n(due, mark, i + stretch(left, free_slots(positions)))
            else:  # every `mark`-th is
                mark, positions = thin_out(i, mark, positions)
                due = eq(rem(i, mark), np.int32(0))
            positions, rows = keep(due, i, positions, rows, compress(carry, body.needed))
            outs = run_program(jaxpr, *steps.inputs(i, carry))
            ys = [write(steps.place(i), *pair) for pair in zip(ys, outs[loop.num_carry:], strict=True)]
            return [i + 1, mark, positions, *rows, *outs[: loop.num_carry], *ys]

        positions, rows = empty(loop.slots, list(compress(init, body.needed)))
        ys = [placeholder(t) for t in loop.whole(jaxpr.out_types, loop.num_carry)[loop.num_carry:]]
        count, mark, positions, *flat = repeat(proceed, step, [
            np.int32(0), np.int32(loop.cond is not None), positions, *rows, *init, *ys], loop.slots)
        if loop.cond is not None:  # states that are farther apart than there are rows are of no use
            far = (mark > loop.slots) & (positions > 0) & (positions < count - 1)
            positions = select_n(far, positions, FREE)
        return [*flat[width:], count, positions, *flat[:width]]

    types = loop.cond.in_types[: loop.num_cond] if loop.cond is not None else ()
    return stage(forward, [*types, *loop.whole(jaxpr.in_types, fixed)], jaxpr.debug_name)


@kept
def linear_programs(jaxpr: Jaxpr, loop: Loop, body: Body, marks: Mask,
                    types: tuple[ArrayType, ...]) -> tuple[Jaxpr, Jaxpr]:
    """(residuals, tangents of the marked inputs) -> tangents, and (residuals, cotangents) -> cotangents.

    The residuals are consts, the first state, xs, the number of steps, positions and rows.
    """
    fixed, carries = loop.num_consts + loop.num_carry, body.counts[1]
    given = list(compress(marks, body.nonzero))
    ins = list(compress(loop.whole(jaxpr.in_types, fixed), body.nonzero))
    outs = list(compress(loop.whole(jaxpr.out_types, loop.num_carry), body.out_nonzero))

    def opened(flat: Values) -> Any:
        sizes = loop.num_consts, sum(body.needed), len(body.nonzero) - fixed, 2
        consts, state, xs, (count, positions), rows = split_list(flat[: len(types)], *sizes)
        return Steps(loop, body, consts, xs), state, count, positions, rows, flat[len(types):]

    def along(*flat: Any) -> Values:
        steps, state, count, _, _, moving = opened(flat)
        still = [zeros_of(t) for t, is_given in zip(ins, given, strict=True) if not is_given]
        return steps.push(count, state, merge_lists(given, still, moving), list(map(zeros_of, outs[carries:])))

    def back(*flat: Any) -> Values:
        steps, _, count, positions, rows, cts = opened(flat)
        consts, _, xs = split_list(list(map(zeros_of, ins)), *body.counts)
        found = steps.sweep(count, positions, rows, [*cts[:carries], *consts, *xs], cts[carries:])
        carry_ct, consts_ct, xs_ct = split_list(found, *reversed(body.counts))
        return list(compress([*consts_ct, *carry_ct, *xs_ct], given))

    return stage(along, [*types, *compress(ins, given)], "linear_loop"), stage(back, [*types, *outs], "reverse_loop")


# ---- the linear half of a loop, and the linearize rules

def _transpose(cts: Values, *args: Any, jaxpr: Jaxpr, transposed: Jaxpr) -> list[Any]:
    full = [zeros_of(t) if ct is zero else ct for ct, t in zip(cts, jaxpr.out_types, strict=True)]
    known = args[: len(transposed.invars) - len(full)]
    found = jit_p.bind(*known, *full, jaxpr=transposed, name="reverse_loop")
    return [ct if type(x) is Linear else None for x, ct in zip(args, [*known, *found], strict=True)]


def _batch(size: int, args: Values, axes: Sequence[int | None], *, jaxpr: Jaxpr, transposed: Jaxpr) -> Any:
    outs = len(jaxpr.outvars)
    known = len(transposed.invars) - outs
    tangents = [place_axis(x, size, axis, 0) for x, axis in zip(args[known:], axes[known:], strict=True)]
    along, back = [batch_program(program, size, (*axes[:known], *[0] * given), (True,) * made)[0] for
                   program, given, made in ((jaxpr, len(tangents), outs), (transposed, outs, len(tangents)))]
    return linear_loop_p.bind(*args[:known], *tangents, jaxpr=along, transposed=back), (0,) * outs


def _derivative(rule: Callable[..., Any]) -> Callable[..., Any]:
    return lambda primals, tangents, *, jaxpr, transposed: rule(primals, tangents, jaxpr=jaxpr, name="linear_loop")


linear_loop_p = CallOp("linear_loop", type=program_type, eval=program_eval, cost=program_cost, batch=_batch,
                       jvp=_derivative(jit_p.jvp), linearize=_derivative(jit_p.linearize), transpose=_transpose)


def linearize_loop(primals: Values, tangents: Values, jaxpr: Jaxpr, loop: Loop) -> Any:
    """Run a loop so that it keeps states, and bind its linear half."""
    inputs, tangents = primals[loop.num_cond:], tangents[loop.num_cond:]
    marks = tuple([t is not zero for t in tangents])
    body = split_body(jaxpr, loop, marks)
    outs, count = jit_p.bind(*primals, jaxpr=forward_program(jaxpr, loop, body), name="loop"), len(jaxpr.outvars)
    consts, init, xs = split_list(inputs, loop.num_consts, loop.num_carry)
    residuals = [*consts, *compress(init, body.needed), *xs, *outs[count:]]
    along, back = linear_programs(jaxpr, loop, body, marks, tuple(map(typeof, residuals)))
    found = linear_loop_p.bind(*residuals, *present(tangents), jaxpr=along, transposed=back)
    return outs[:count], spread(body.out_nonzero, found)


def _while(primals: Values, tangents: Values, *, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr,
           body_nconsts: int, checkpoint: int = SLOTS) -> Any:
    carries = len(body_jaxpr.outvars)
    return linearize_loop(primals, tangents, body_jaxpr,
                          Loop(body_nconsts, carries, checkpoint, cond_jaxpr, cond_nconsts))


def _scan(primals: Values, tangents: Values, *, checkpoint: int, jaxpr: Jaxpr, num_consts: int, num_carry: int,
          length: int, reverse: bool, unroll: int) -> Any:
    if length == 0:
        return linearize_stacked(primals, tangents, jaxpr=jaxpr, num_consts=num_consts, num_carry=num_carry,
                                 length=length, reverse=reverse, unroll=unroll)
    loop = Loop(num_consts, num_carry, min(checkpoint, length), None, 0, length, reverse)
    return linearize_loop(primals, tangents, jaxpr, loop)


while_p.linearize = _while
linearize_rules["checkpoint"] = _scan
