"""`scan`, the op that runs a program step after step: carries go from step to step, xs and ys are sliced and stacked.

    scan[jaxpr length reverse unroll num_consts num_carry](consts, init, xs) -> (carries, ys)
    jaxpr(consts, carries, x) -> (carries, y)

Every rule is the same rule for the program in the loop.  Which carries take part (have a tangent,
a cotangent, a batch axis, a reader) is a least fixpoint: what goes into a step must go in for
all of them.  A parameter `checkpoint`, if there is one, bounds the number of carries that the
derivative keeps; `lax/reverse_loop.py` gives it that meaning.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np

from minijax.calls.jit import CallOp, check_fit, program_cost
from minijax.calls.masks import Mask, batched_by, carried, fixpoint, narrowed, nonzero, readers, regrouped, spread
from minijax.interpreters.batch import place_axis
from minijax.interpreters.dual import instantiate
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program, linearize_program
from minijax.interpreters.transpose import transpose_program
from minijax.ir.dtypes import numpy_dtype
from minijax.ir.jaxpr import Equation, Jaxpr, Var, kept
from minijax.ir.op import Linear
from minijax.ir.passes import dce
from minijax.ir.types import ArrayType, zero
from minijax.ops.families import add_p
from minijax.ops.structural import zeros_of
from minijax.util import merge_lists, split_list

CONST, CARRY, STEP = range(3)  # what an input of the body is; an output is a CARRY, or one of each STEP


def kinds_of(jaxpr: Jaxpr, num_consts: int, num_carry: int) -> tuple[list[int], list[int]]:
    """The kinds of the inputs and of the outputs of a body."""
    steps = [STEP] * (len(jaxpr.invars) - num_consts - num_carry)
    return ([CONST] * num_consts + [CARRY] * num_carry + steps,
            [CARRY] * num_carry + [STEP] * (len(jaxpr.outvars) - num_carry))


def bind_scan(jaxpr: Jaxpr, args: Sequence[Any], ins: Sequence[int], outs: Sequence[int], **loop: Any) -> list[Any]:
    """Bind `scan` to a program whose inputs and outputs are of the given kinds, in any order.

    Carries go out in the order in which they go in.  `loop` is length, reverse, unroll, and perhaps checkpoint.
    """
    in_order, out_order = (sorted(range(len(kinds)), key=kinds.__getitem__) for kinds in (ins, outs))
    found = scan_p.bind(*[args[i] for i in in_order], jaxpr=regrouped(jaxpr, tuple(in_order), tuple(out_order)),
                        num_consts=list(ins).count(CONST), num_carry=list(ins).count(CARRY), **loop)
    placed = dict(zip(out_order, found, strict=True))
    return [placed[i] for i in range(len(outs))]


def dependent(jaxpr: Jaxpr, marked: Sequence[bool]) -> set[Any]:
    """The variables that depend on the marked inputs, or on what an effect gives, which no two steps share."""
    found: set[Any] = set(compress(jaxpr.invars, marked))
    for eqn in jaxpr.eqns:
        if not found.isdisjoint(eqn.inputs) or eqn.op.effects_of(eqn.params):
            found.update(eqn.outvars)
    return found


# ---- meaning ----

def _type(*types: ArrayType, jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int, **loop: Any) -> Any:
    ins, outs = kinds_of(jaxpr, num_consts, num_carry)

    def whole(t: ArrayType, kind: int) -> ArrayType:
        return t.update(shape=(length, *t.shape)) if kind == STEP else t

    results = tuple(map(whole, jaxpr.out_types, outs))
    given, wanted = [*types, *results[:num_carry]], list(map(whole, jaxpr.in_types, ins))
    wanted += wanted[num_consts: num_consts + num_carry]
    check_fit(f"scan of {length} steps: the types of its inputs and final carries", given, wanted)
    return results


def _eval(*arrays: Any, jaxpr: Jaxpr, length: int, reverse: bool, num_consts: int, num_carry: int, **loop: Any) -> Any:
    consts, carry, xs = split_list(arrays, num_consts, num_carry)
    ys = [np.zeros((length, *t.shape), numpy_dtype(t.dtype)) for t in jaxpr.out_types[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = split_list(run_numpy(jaxpr, [*consts, *carry, *[x[i] for x in xs]]), num_carry)
        for stack, value in zip(ys, y, strict=True):
            stack[i] = value
    return [*carry, *ys]


def _cost(*types: ArrayType, jaxpr: Jaxpr, length: int, **loop: Any) -> int:
    return length * program_cost(jaxpr=jaxpr)  # that of the program, for each step


# ---- forward mode ----

def instantiated(marks: Mask, tangents: Sequence[Any], primals: Sequence[Any]) -> list[Any]:
    """The marked tangents, without symbolic zeros."""
    return [instantiate(t, x) for t, x in compress(zip(tangents, primals, strict=True), marks)]


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, num_consts: int, num_carry: int,
         **loop: Any) -> Any:
    ins, outs = kinds_of(jaxpr, num_consts, num_carry)
    (program, out_marks), marks = carried(jvp_program, jaxpr, nonzero(tangents), num_consts, num_carry)
    found = bind_scan(program, [*primals, *instantiated(marks, tangents, primals)], [*ins, *compress(ins, marks)],
                      [*outs, *compress(outs, out_marks)], **loop)
    return found[: len(outs)], spread(out_marks, found[len(outs):])


# ---- linearize: a scan of what is known, and a linear scan over its residuals ----

class SplitBody(NamedTuple):
    """A body in two.

    `invariant`: consts -> residuals that no step changes, computed once.
    `known`: (invariants, inputs) -> outputs, and residuals that each step makes.
    `linear`: (residuals, non-zero tangents of the inputs) -> non-zero tangents of the outputs.
    `residuals`: where each one is: ('input' | 'output' | 'invariant', number); nothing is copied that is at hand.
    """

    invariant: Jaxpr
    known: Jaxpr
    linear: Jaxpr
    residuals: tuple[tuple[str, int], ...]
    marks: Mask
    out_marks: Mask


@kept
def split_body(jaxpr: Jaxpr, marks: Mask, num_consts: int, num_carry: int) -> SplitBody:
    """Split the body of a scan, of whose inputs the marked ones have tangents."""
    split, marks = carried(linearize_program, jaxpr, marks, num_consts, num_carry)
    known, (ins, _) = split.known, kinds_of(jaxpr, num_consts, num_carry)
    changing = dependent(known, [kind != CONST for kind in ins])
    ys, same = [None] * num_carry + list(known.outvars[num_carry: len(jaxpr.outvars)]), list(known.constvars)
    places = []
    for where, i in split.residuals:
        if where == "output" or ins[i] == CARRY:
            v = known.invars[i] if where == "input" else known.outvars[i]
            where, group = ("output", ys) if v in changing else ("invariant", same)
            group += [] if v in group else [v]
            i = group.index(v)
        places.append((where, i))
    invariant, step = hoisted(known.replace(outvars=[*known.outvars[:num_carry], *ys[num_carry:]]), changing, same)
    return SplitBody(invariant, step, split.linear, tuple(places), marks, split.out_nonzero)


def hoisted(jaxpr: Jaxpr, changing: set[Any], same: list[Any]) -> tuple[Jaxpr, Jaxpr]:
    """The program that computes the variables `same`, which do not change, and the rest, which takes them first."""
    steady = [eqn for eqn in jaxpr.eqns if changing.isdisjoint(eqn.outvars) and not eqn.op.effects_of(eqn.params)]
    made = [v for eqn in steady if not set(same).isdisjoint(eqn.outvars) for v in eqn.outvars]
    same += [v for v in made if v not in same]
    invariant = dce(jaxpr.replace(invars=[v for v in jaxpr.invars if v not in changing], eqns=steady, outvars=same))
    rest = [eqn for eqn in jaxpr.eqns if not set(made).intersection(eqn.outvars)]
    return invariant, dce(jaxpr.replace(constvars=(), consts=(), invars=[*same, *jaxpr.invars], eqns=rest))


def _linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, num_consts: int, num_carry: int,
               **loop: Any) -> Any:
    """The linearize rule: the residuals of every step are kept."""
    ins, outs = kinds_of(jaxpr, num_consts, num_carry)
    body = split_body(jaxpr, nonzero(tangents), num_consts, num_carry)
    same = run_program(body.invariant, *primals[:num_consts])
    found = bind_scan(body.known, [*same, *primals], [CONST] * len(same) + ins,
                      outs + [STEP] * (len(body.known.outvars) - len(outs)), **loop)
    at = {"input": primals, "output": found, "invariant": same}
    kinds = {"input": ins, "output": [STEP] * len(found), "invariant": [CONST] * len(same)}
    dots = bind_scan(
        body.linear, [*[at[where][i] for where, i in body.residuals], *instantiated(body.marks, tangents, primals)],
        [*[kinds[where][i] for where, i in body.residuals], *compress(ins, body.marks)],
        [*compress(outs, body.out_marks)], **loop)
    return found[: len(outs)], spread(body.out_marks, dots)


# ---- transpose: the steps in the other order; cotangents of consts are carries that grow ----

def _transpose(cts: Sequence[Any], *args: Any, jaxpr: Jaxpr, num_consts: int, num_carry: int, length: int,
               reverse: bool, unroll: int, checkpoint: int | None = None) -> list[Any]:
    ins, outs = kinds_of(jaxpr, num_consts, num_carry)
    consts_l, init_l, xs_l = split_list([type(x) is Linear for x in args], num_consts, num_carry)
    carry_l = fixpoint(lambda mask: outputs_of(jaxpr, (*consts_l, *mask, *xs_l))[:num_carry], init_l)
    linear = (*consts_l, *carry_l, *xs_l)
    if not all(carry_l):
        stacks = known_carries(jaxpr, args, linear, ins, length=length, reverse=reverse, unroll=unroll)
        args = tuple([stacks.get(i, x) for i, x in enumerate(args)])
        ins = [STEP if i in stacks else kind for i, kind in enumerate(ins)]
    body, needs, gives = transposed_body(jaxpr, linear, nonzero(cts), num_consts, num_carry)
    totals = [zeros_of(v.type) for v in body.invars[: sum(gives[: sum(consts_l)])]]
    filled = [zeros_of(t) if ct is zero else ct for ct, t in compress(zip(cts, jaxpr.out_types, strict=True), needs)]
    known = [not is_linear for is_linear in linear]
    found = bind_scan(
        body, [*totals, *compress(args, known), *filled],
        [CARRY] * len(totals) + [*compress(ins, known), *compress(outs, needs)],
        [max(kind, CARRY) for kind in compress(compress(ins, linear), gives)],
        length=length, reverse=not reverse, unroll=unroll)
    every = merge_lists(linear, [None] * len(args), spread(gives, found))
    return [ct if type(x) is Linear else None for ct, x in zip(every, args, strict=True)]


def outputs_of(jaxpr: Jaxpr, marked: Sequence[bool]) -> list[bool]:
    """Which outputs depend on the marked inputs."""
    found = dependent(jaxpr, marked)
    return [v in found for v in jaxpr.outvars]


@kept
def transposed_body(jaxpr: Jaxpr, linear: Mask, marks: Mask, num_consts: int,
                    num_carry: int) -> tuple[Jaxpr, Mask, Mask]:
    """The body that runs backwards, which outputs it takes cotangents of, and which linear inputs it gives those of.

    (totals, known inputs, cotangents) -> (totals, cotangents of carries and xs); the totals are those of consts.
    """
    carries = slice(num_consts, num_consts + num_carry)

    def step(mask: Sequence[bool]) -> Any:
        return map(operator.and_, readers(jaxpr, (*mask, *marks[num_carry:]))[carries], linear[carries])

    carry = fixpoint(step, list(map(operator.and_, marks, linear[carries])))
    needs = (*carry, *marks[num_carry:])
    force = tuple(compress((*[False] * num_consts, *carry, *[False] * (len(linear) - carries.stop)), linear))
    program, gives = transpose_program(jaxpr, linear, needs, force)
    parts, rest = split_list(program.outvars, sum(gives[: sum(linear[:num_consts])]))
    before, after = [[Var(part.type) for part in parts] for _ in range(2)]
    sums = [Equation(add_p, (x, part), (y,), {}) for x, part, y in zip(before, parts, after, strict=True)]
    body = program.replace(invars=[*before, *program.invars], eqns=[*program.eqns, *sums], outvars=[*after, *rest])
    return body, needs, gives


def known_carries(jaxpr: Jaxpr, args: Sequence[Any], linear: Mask, ins: list[int], **loop: Any) -> dict[int, Any]:
    """Carries that depend on nothing linear, computed first: their values in every step, by input number."""
    known = [i for i, is_linear in enumerate(linear) if not is_linear]
    carry = [i for i in known if ins[i] == CARRY]
    program = dce(jaxpr.replace(invars=[jaxpr.invars[i] for i in known], outvars=[
        *[jaxpr.outvars[i - ins.count(CONST)] for i in carry], *[jaxpr.invars[i] for i in carry]]))
    found = bind_scan(program, [args[i] for i in known], [ins[i] for i in known],
                      [CARRY] * len(carry) + [STEP] * len(carry), **loop)
    return dict(zip(carry, found[len(carry):], strict=True))


# ---- batch ----

def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, jaxpr: Jaxpr, num_consts: int,
           num_carry: int, **loop: Any) -> Any:
    ins, outs = kinds_of(jaxpr, num_consts, num_carry)
    given = [axis is not None for axis in axes]
    (program, out_marks), marks = carried(batched_by(size), jaxpr, given, num_consts, num_carry)
    placed = [place_axis(x, size, axis, int(kind == STEP)) if batched else x
              for x, axis, kind, batched in zip(args, axes, ins, marks, strict=True)]
    found = bind_scan(program, placed, ins, outs, **loop)
    return found, [int(kind == STEP) if batched else None for kind, batched in zip(outs, out_marks, strict=True)]


# ---- dead code ----

def _dce(used: Mask, live: Callable[..., Any], *, jaxpr: Jaxpr, num_consts: int, num_carry: int, **loop: Any) -> Any:
    end = num_consts + num_carry
    carry = fixpoint(lambda mask: live(jaxpr, (*mask, *used[num_carry:]))[1][num_consts:end], used[:num_carry])
    kept_outs = (*carry, *used[num_carry:])
    body, needed = live(jaxpr, kept_outs)
    needed = (*needed[:num_consts], *carry, *needed[end:])
    return needed, kept_outs, {"jaxpr": narrowed(body, needed), "num_consts": sum(needed[:num_consts]),
                               "num_carry": sum(carry), **loop}


scan_p = CallOp("scan", type=_type, eval=_eval, jvp=_jvp, linearize=_linearize, transpose=_transpose, batch=_batch,
                cost=_cost, dce=_dce, traits={"control"})
