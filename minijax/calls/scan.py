"""`scan`, the op that runs a program step after step: carries go from step to step, xs and ys are sliced and stacked.

    scan[jaxpr length reverse unroll num_consts num_carry](consts, init, xs) -> (carries, ys)
    jaxpr(consts, carries, x) -> (carries, y)

Every rule is the same rule for the program in the loop.  Which carries take part (have a tangent,
a cotangent, a batch axis, a reader) is a least fixpoint: what goes into a step must go in for
all of them.  A parameter `checkpoint`, if there is one, bounds the number of carries that the
derivative keeps; `calls/reverse_loop.py` gives it that meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.calls.jit import CallOp, program_cost
from minijax.errors import MinijaxTypeError
from minijax.interpreters.batch import batch_program, place_axis
from minijax.interpreters.dual import instantiate
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program, linearize_program
from minijax.interpreters.transpose import transpose_program
from minijax.ir.dtypes import numpy_dtype
from minijax.ir.jaxpr import Equation, Jaxpr, Var, kept
from minijax.ir.op import Linear
from minijax.ir.passes import dce
from minijax.ir.types import ArrayType, zero
from minijax.ops.families import add_p, moveaxis
from minijax.ops.structural import zeros_of
from minijax.util import merge_lists, partition_list, split_list

Mask = tuple[bool, ...]


def bind_scan(jaxpr: Jaxpr, consts: Sequence[Any], init: Sequence[Any], xs: Sequence[Any],
              **loop: Any) -> tuple[list[Any], list[Any]]:
    """Bind `scan`: final carries and ys.  `loop` is length, reverse, unroll, and perhaps checkpoint."""
    outs = scan_p.bind(*consts, *init, *xs, jaxpr=jaxpr, num_consts=len(consts), num_carry=len(init), **loop)
    return list(outs[: len(init)]), list(outs[len(init):])


def fixpoint(step: Callable[[Mask], Sequence[bool]], mask: Sequence[bool]) -> Mask:
    """The least mask that contains `mask` and all that `step` makes of it."""
    while True:
        after = tuple([a or b for a, b in zip(mask, step(tuple(mask)), strict=True)])
        if after == tuple(mask):
            return after
        mask = after


@kept
def regrouped(jaxpr: Jaxpr, ins: tuple[int, ...], outs: tuple[int, ...]) -> Jaxpr:
    """The program with these inputs and outputs of its own, in this order."""
    return jaxpr.replace(invars=[jaxpr.invars[i] for i in ins], outvars=[jaxpr.outvars[i] for i in outs])


def dependent(jaxpr: Jaxpr, marked: Sequence[bool]) -> set[Any]:
    """The variables that depend on the marked inputs."""
    found: set[Any] = {v for v, mark in zip(jaxpr.invars, marked, strict=True) if mark}
    for eqn in jaxpr.eqns:
        if not found.isdisjoint(eqn.inputs):
            found.update(eqn.outvars)
    return found


def readers(jaxpr: Jaxpr, used: Sequence[bool]) -> Mask:
    """Which inputs the used outputs depend on."""
    found: set[Any] = {v for v, use in zip(jaxpr.outvars, used, strict=True) if use}
    for eqn in reversed(jaxpr.eqns):
        if not found.isdisjoint(eqn.outvars):
            found.update(eqn.inputs)
    return tuple([v in found for v in jaxpr.invars])


def present(items: Sequence[Any]) -> list[Any]:
    """The items that are not the symbolic zero."""
    return [x for x in items if x is not zero]


def spread(mask: Sequence[bool], items: Sequence[Any]) -> list[Any]:
    """The items where the mask is true, the symbolic zero elsewhere."""
    return merge_lists(mask, [zero] * list(mask).count(False), items)


# ---- meaning ----

def stacked_type(type: ArrayType, length: int) -> ArrayType:
    """The type of the values of all steps."""
    return type.update(shape=(length, *type.shape))


def _type(*types: ArrayType, jaxpr: Jaxpr, length: int, num_consts: int, num_carry: int, **loop: Any) -> Any:
    fixed = num_consts + num_carry
    wanted = [t if i < fixed else stacked_type(t, length) for i, t in enumerate(jaxpr.in_types)]
    carries = zip(jaxpr.in_types[num_consts:fixed], jaxpr.out_types, strict=False)
    if len(wanted) != len(types) or not all([t.matches(u) for t, u in zip(types, wanted, strict=True)]):
        raise MinijaxTypeError(f"scan of {length} steps: its program takes ({', '.join(map(repr, wanted))}), but is "
                               f"given ({', '.join(map(repr, types))}).")
    if len(jaxpr.outvars) < num_carry or not all([t.matches(u) for t, u in carries]):
        raise MinijaxTypeError(f"scan: its program takes {num_carry} carries {jaxpr.in_types[num_consts:fixed]} and "
                               f"gives {jaxpr.out_types}. It must give the carries first, of the same types.")
    return (*jaxpr.out_types[:num_carry], *[stacked_type(t, length) for t in jaxpr.out_types[num_carry:]])


def _eval(*arrays: Any, jaxpr: Jaxpr, length: int, reverse: bool, num_consts: int, num_carry: int, **loop: Any) -> Any:
    consts, carry, xs = split_list(arrays, num_consts, num_carry)
    ys = [np.zeros((length, *t.shape), numpy_dtype(t.dtype)) for t in jaxpr.out_types[num_carry:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = run_numpy(jaxpr, [*consts, *carry, *[x[i] for x in xs]])
        carry = outs[:num_carry]
        for y, out in zip(ys, outs[num_carry:], strict=True):
            y[i] = out
    return [*carry, *ys]


def _cost(*types: ArrayType, jaxpr: Jaxpr, length: int, **loop: Any) -> int:
    """Operations of the program, times the number of steps."""
    return length * program_cost(*types, jaxpr=jaxpr)


# ---- forward mode ----

def carried(transform: Callable[..., Any], jaxpr: Jaxpr, nonzero: Sequence[bool], num_consts: int,
            num_carry: int) -> tuple[Any, Mask]:
    """`jvp_program` or `linearize_program` of a body, and which inputs have tangents: its carries at their fixpoint."""
    consts, init, xs = split_list(nonzero, num_consts, num_carry)
    carry = fixpoint(lambda mask: transform(jaxpr, (*consts, *mask, *xs))[-1][:num_carry], init)
    found = transform(jaxpr, (*consts, *carry, *xs))
    if found[-1][:num_carry] != carry:
        force = (*carry, *[False] * (len(jaxpr.outvars) - num_carry))
        found = transform(jaxpr, (*consts, *carry, *xs), force)
    return found, (*consts, *carry, *xs)


def interleaved(firsts: Sequence[Sequence[Any]], seconds: Sequence[Sequence[Any]]) -> list[Any]:
    """The first groups of both, then the second groups of both, and so on, as one list."""
    return [x for pair in zip(firsts, seconds, strict=True) for group in pair for x in group]


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, num_consts: int, num_carry: int,
         **loop: Any) -> Any:
    marks = [t is not zero for t in tangents]
    (program, out_nonzero), nonzero = carried(jvp_program, jaxpr, marks, num_consts, num_carry)
    dots = [instantiate(t, x) for n, t, x in zip(nonzero, tangents, primals, strict=True) if n]
    counts, own = (num_consts, num_carry), [sum(group) for group in split_list(nonzero, num_consts, num_carry)[:2]]
    size, outs = len(primals), len(jaxpr.outvars)
    in_order = interleaved(split_list(range(size), *counts), split_list(range(size, len(program.invars)), *own))
    out_order = interleaved(split_list(range(outs), num_carry),
                            split_list(range(outs, len(program.outvars)), own[1]))
    args = interleaved(split_list(primals, *counts), split_list(dots, *own))
    body = regrouped(program, tuple(in_order), tuple(out_order))
    results = scan_p.bind(*args, jaxpr=body, num_consts=num_consts + own[0], num_carry=num_carry + own[1], **loop)
    placed = dict(zip(out_order, results, strict=True))
    flat = [placed[i] for i in range(len(results))]
    return flat[:outs], spread(out_nonzero, flat[outs:])


# ---- linearize: a scan of what is known, and a linear scan over its residuals ----

class SplitBody(NamedTuple):
    """A body in two, and where each residual of `linear` is found.

    `invariant`: consts -> residuals that no step changes, computed once.
    `known`: (invariants, consts, carries, x) -> the body's results, and residuals that differ from step to step.
    `linear`: (fixed residuals, tangents of consts, of carries, stacked residuals, tangents of xs) -> tangents.
    A place is ('const' | 'invariant' | 'x' | 'y', number): nothing is copied that is at hand.
    """

    invariant: Jaxpr
    known: Jaxpr
    linear: Jaxpr
    fixed: tuple[tuple[str, int], ...]
    stacked: tuple[tuple[str, int], ...]
    nonzero: Mask
    out_nonzero: Mask


@kept
def split_body(jaxpr: Jaxpr, marks: Mask, num_consts: int, num_carry: int) -> SplitBody:
    """Split the body of a scan, of whose inputs the marked ones have tangents."""
    split, nonzero = carried(linearize_program, jaxpr, marks, num_consts, num_carry)
    known, linear = split.known, split.linear
    consts, _, xs = split_list(known.invars, num_consts, num_carry)
    changing = dependent(known, [i >= num_consts for i in range(len(known.invars))])
    ys = list(known.outvars[num_carry: len(jaxpr.outvars)])
    same = list(known.constvars)
    places = []
    for where, i in split.residuals:
        v = known.invars[i] if where == "input" else known.outvars[i]
        kind, group = (("const", consts) if v in consts else ("x", xs) if v in xs
                       else ("y", ys) if v in changing else ("invariant", same))
        if v not in group:
            group.append(v)
        places.append((kind, group.index(v)))
    stacks = [kind in ("x", "y") for kind, _ in places]
    counts = [sum(group) for group in split_list(nonzero, num_consts, num_carry)]
    fixed_r, stacked_r = partition_list(stacks, range(len(places)))
    consts_t, carry_t, xs_t = split_list(range(len(places), len(linear.invars)), *counts[:2])
    order = (*fixed_r, *consts_t, *carry_t, *stacked_r, *xs_t)
    invariant, step = hoisted(known.replace(outvars=[*known.outvars[:num_carry], *ys]), changing, same, num_consts)
    return SplitBody(invariant, step, regrouped(linear, order, tuple(range(len(linear.outvars)))),
                     *map(tuple, partition_list(stacks, places)), nonzero, split.out_nonzero)


def hoisted(jaxpr: Jaxpr, changing: set[Any], same: list[Any], num_consts: int) -> tuple[Jaxpr, Jaxpr]:
    """The program of consts that computes the variables `same`, and the rest of `jaxpr`, which takes them first."""
    steady = [eqn for eqn in jaxpr.eqns if changing.isdisjoint(eqn.outvars) and not eqn.op.effects_of(eqn.params)]
    made = [v for eqn in steady if not set(same).isdisjoint(eqn.outvars) for v in eqn.outvars]
    same += [v for v in made if v not in same]
    invariant = dce(jaxpr.replace(invars=jaxpr.invars[:num_consts], eqns=steady, outvars=same))
    rest = [eqn for eqn in jaxpr.eqns if not set(made).intersection(eqn.outvars)]
    return invariant, dce(jaxpr.replace(constvars=(), consts=(), invars=[*same, *jaxpr.invars], eqns=rest))


def _linearize(primals: Sequence[Any], tangents: Sequence[Any], *, checkpoint: int | None = None,
               **params: Any) -> Any:
    if checkpoint is not None:
        return linearize_checkpointed(primals, tangents, checkpoint=checkpoint, **params)
    return linearize_stacked(primals, tangents, **params)


def linearize_stacked(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, num_consts: int,
                      num_carry: int, **loop: Any) -> Any:
    """The linearize rule that keeps the residuals of every step."""
    body = split_body(jaxpr, tuple([t is not zero for t in tangents]), num_consts, num_carry)
    consts, init, xs = split_list(primals, num_consts, num_carry)
    same = run_program(body.invariant, *consts)
    carries, ys = bind_scan(body.known, [*same, *consts], init, xs, **loop)
    at = {"const": consts, "invariant": same, "x": xs, "y": ys}
    fixed, stacked = ([at[kind][i] for kind, i in places] for places in (body.fixed, body.stacked))
    dots = [instantiate(t, x) if n else zero for n, t, x in zip(body.nonzero, tangents, primals, strict=True)]
    consts_t, init_t, xs_t = map(present, split_list(dots, num_consts, num_carry))
    carries_t, ys_t = bind_scan(body.linear, [*fixed, *consts_t], init_t, [*stacked, *xs_t], **loop)
    return [*carries, *ys[: len(jaxpr.outvars) - num_carry]], spread(body.out_nonzero, [*carries_t, *ys_t])


# `calls/reverse_loop.py` puts the rule here that keeps no more than `checkpoint` carries.
linearize_checkpointed: Callable[..., Any] = lambda primals, tangents, checkpoint, **params: linearize_stacked(
    primals, tangents, **params)


# ---- transpose: the steps in the other order; cotangents of consts are carries that grow ----

def _transpose(cts: Sequence[Any], *args: Any, jaxpr: Jaxpr, num_consts: int, num_carry: int, length: int,
               reverse: bool, unroll: int, checkpoint: int | None = None) -> list[Any]:
    linear = [type(x) is Linear for x in args]
    consts_l, init_l, xs_l = split_list(linear, num_consts, num_carry)
    carry_l = fixpoint(lambda mask: _outputs_of(jaxpr, (*consts_l, *mask, *xs_l))[:num_carry], init_l)
    if not all(carry_l):
        return _transpose_mixed(cts, args, carry_l, jaxpr=jaxpr, num_consts=num_consts, num_carry=num_carry,
                                length=length, reverse=reverse, unroll=unroll)
    nonzero = tuple([ct is not zero for ct in cts])
    body, needs, gives, grow = transposed_body(jaxpr, (*consts_l, *carry_l, *xs_l), nonzero, num_consts, num_carry)
    consts, _, xs = split_list(args, num_consts, num_carry)
    filled = [zeros_of(t) if n and ct is zero else ct for n, ct, t in zip(needs, cts, jaxpr.out_types, strict=False)]
    totals, found = bind_scan(
        body, [x for x in consts if type(x) is not Linear], [*map(zeros_of, grow), *present(filled)],
        [*[x for x in xs if type(x) is not Linear], *present(cts[num_carry:])],
        length=length, reverse=not reverse, unroll=unroll)
    every = merge_lists((*consts_l, *carry_l, *xs_l), [None] * len(args), spread(gives, [*totals, *found]))
    return [ct if is_linear else None for ct, is_linear in zip(every, linear, strict=True)]


def _outputs_of(jaxpr: Jaxpr, marked: Sequence[bool]) -> list[bool]:
    """Which outputs depend on the marked inputs."""
    found = dependent(jaxpr, marked)
    return [v in found for v in jaxpr.outvars]


@kept
def transposed_body(jaxpr: Jaxpr, linear: Mask, nonzero: Mask, num_consts: int,
                    num_carry: int) -> tuple[Jaxpr, Mask, Mask, list[ArrayType]]:
    """The body that runs backwards, which carries have cotangents, which linear inputs get one, and the totals' types.

    (known consts | totals, cotangents of carries | known xs, cotangents of ys)
        -> (totals, cotangents of carries | cotangents of xs); a total is that of the cotangents of a const
    """
    end = num_consts + num_carry
    carry = fixpoint(lambda mask: readers(jaxpr, (*mask, *nonzero[num_carry:]))[num_consts:end], nonzero[:num_carry])
    force = [num_consts <= i < end and carry[i - num_consts] for i in range(len(linear))]
    program, gives = transpose_program(jaxpr, linear, (*carry, *nonzero[num_carry:]), tuple(force))
    known = [group.count(False) for group in split_list(linear, num_consts, num_carry)]
    consts, xs, carry_cts, y_cts = split_list(program.invars, known[0], known[2], sum(carry))
    parts, befores, x_cts = split_list(program.outvars, sum(gives[: num_consts - known[0]]), sum(carry))
    grow = [atom.type for atom in parts]
    before, after = [list(map(Var, grow)) for _ in range(2)]
    sums = [Equation(add_p, (x, part), (y,), {}) for x, part, y in zip(before, parts, after, strict=True)]
    body = program.replace(invars=[*consts, *before, *carry_cts, *xs, *y_cts], eqns=[*program.eqns, *sums],
                           outvars=[*after, *befores, *x_cts])
    return body, carry, gives, grow


def _transpose_mixed(cts: Sequence[Any], args: Sequence[Any], carry_l: Mask, *, jaxpr: Jaxpr, num_consts: int,
                     num_carry: int, **loop: Any) -> list[Any]:
    """Carries that depend on nothing linear are computed first; what they are in each step is known then."""
    numbers = split_list(range(len(args)), num_consts, num_carry)
    consts, init, xs = [[i for i in group if type(args[i]) is not Linear] for group in numbers]
    init = [i for i, is_linear in zip(numbers[1], carry_l, strict=True) if not is_linear]
    fixed, moving = partition_list(carry_l, range(num_carry))
    known = dce(jaxpr.replace(invars=[jaxpr.invars[i] for i in (*consts, *init, *xs)], outvars=[
        *[jaxpr.outvars[i] for i in fixed], *[jaxpr.invars[i] for i in init]]))
    _, befores = bind_scan(known, *[[args[i] for i in group] for group in (consts, init, xs)], **loop)
    carry = [numbers[1][i] for i in moving]
    body = regrouped(jaxpr, (*numbers[0], *carry, *init, *numbers[2]), (*moving, *range(num_carry, len(cts))))
    found = _transpose([*[cts[i] for i in moving], *cts[num_carry:]],
                       *[args[i] for i in (*numbers[0], *carry)], *befores, *[args[i] for i in numbers[2]],
                       jaxpr=body, num_consts=num_consts, num_carry=len(carry), **loop)
    placed = dict(zip([*numbers[0], *carry, *init, *numbers[2]], found, strict=True))
    return [placed[i] for i in range(len(args))]


# ---- batch ----

def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, jaxpr: Jaxpr, num_consts: int,
           num_carry: int, **loop: Any) -> Any:
    (consts, init, xs), (consts_a, init_a, xs_a) = [split_list(g, num_consts, num_carry) for g in (args, axes)]
    xs = [moveaxis(x, 0, 1) if axis == 0 else x for x, axis in zip(xs, xs_a, strict=True)]
    inner_a = [None if axis is None else max(axis - 1, 0) for axis in xs_a]

    def batched(mask: Mask, force: Mask | None = None) -> Any:
        return batch_program(jaxpr, size, (*consts_a, *[0 if m else None for m in mask], *inner_a), force)

    carry = fixpoint(lambda mask: [a is not None for a in batched(mask)[1][:num_carry]],
                     [a is not None for a in init_a])
    program, out_axes = batched(carry)
    if [a is not None for a in out_axes[:num_carry]] != list(carry):
        program, out_axes = batched(carry, (*carry, *[False] * (len(out_axes) - num_carry)))
    init = [place_axis(x, size, a, 0) if b else x for b, x, a in zip(carry, init, init_a, strict=True)]
    carries, ys = bind_scan(program, consts, init, xs, **loop)
    return [*carries, *ys], [*out_axes[:num_carry], *[None if a is None else 1 for a in out_axes[num_carry:]]]


# ---- dead code ----

def _dce(used: Mask, live: Callable[..., Any], *, jaxpr: Jaxpr, num_consts: int, num_carry: int, **loop: Any) -> Any:
    end = num_consts + num_carry
    carry = fixpoint(lambda mask: live(jaxpr, (*mask, *used[num_carry:]))[1][num_consts:end], used[:num_carry])
    kept = (*carry, *used[num_carry:])
    body, needed = live(jaxpr, kept)
    needed = (*needed[:num_consts], *carry, *needed[end:])
    if not all(needed):
        body = regrouped(body, tuple([i for i, need in enumerate(needed) if need]), tuple(range(len(body.outvars))))
    return needed, kept, {"jaxpr": body, "num_consts": sum(needed[:num_consts]), "num_carry": sum(carry), **loop}


scan_p = CallOp("scan", type=_type, eval=_eval, jvp=_jvp, linearize=_linearize, transpose=_transpose, batch=_batch,
                cost=_cost, dce=_dce, traits={"loop"})
