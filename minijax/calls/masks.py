"""Which inputs and results of programs take part in a transform: have a tangent, a cotangent, a batch axis, a reader.

A transform of a program (`jvp_program`, `linearize_program`, `transpose_program`, `batch_program`) returns last which
results take part, and takes last which ones must.  So branches are made to agree with one another (`agreeing`),
and every step of a loop with the next (`carried`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any

from minijax.interpreters.batch import batch_program
from minijax.ir.jaxpr import Jaxpr, Var, kept
from minijax.ir.types import ArrayType, zero
from minijax.util import merge_lists, split_list

Mask = tuple[bool, ...]


def nonzero(items: Sequence[Any]) -> Mask:
    """Which items are not the symbolic zero."""
    return tuple([x is not zero for x in items])


def present(items: Sequence[Any]) -> list[Any]:
    """The items that are not the symbolic zero."""
    return [x for x in items if x is not zero]


def spread(mask: Sequence[bool], items: Sequence[Any]) -> list[Any]:
    """The items where the mask is true, the symbolic zero elsewhere."""
    return merge_lists(mask, [zero] * list(mask).count(False), items)


def union(masks: Iterable[Sequence[bool]]) -> Mask:
    """What is marked in any of several masks of one length."""
    return tuple(map(any, zip(*masks, strict=True)))


def front_axes(mask: Sequence[bool]) -> tuple[int | None, ...]:
    """The batch axes of what is batched: all in front."""
    return tuple([0 if batched else None for batched in mask])


def agreeing(transform: Callable[..., Any], programs: Sequence[Jaxpr], *args: Any) -> tuple[list[Any], Mask]:
    """A transform of each program, and the results that take part: those of any."""
    found = [transform(program, *args) for program in programs]
    every = union([one[-1] for one in found])
    return [one if one[-1] == every else transform(program, *args, every)
            for program, one in zip(programs, found, strict=True)], every


def fixpoint(step: Callable[[Mask], Sequence[bool]], mask: Sequence[bool]) -> Mask:
    """The least mask that contains `mask` and all that `step` makes of it."""
    while True:
        after = union([mask, step(tuple(mask))])
        if after == tuple(mask):
            return after
        mask = after


def carried(transform: Callable[..., Any], jaxpr: Jaxpr, marks: Sequence[bool], num_consts: int,
            num_carry: int) -> tuple[Any, Mask]:
    """A transform of the body of a loop, and which inputs take part: the carries that do in any step do in all."""
    consts, init, xs = split_list(marks, num_consts, num_carry)

    def at(carry: Mask) -> Any:
        return transform(jaxpr, (*consts, *carry, *xs), (*carry, *[False] * (len(jaxpr.outvars) - num_carry)))

    carry = fixpoint(lambda carry: at(carry)[-1][:num_carry], init)
    return at(carry), (*consts, *carry, *xs)


def batched_by(size: int) -> Callable[..., Any]:
    """`batch_program` as a transform that takes marks of what is batched, as others do of what has a tangent."""
    return lambda jaxpr, marks, force: batch_program(jaxpr, size, front_axes(marks), force)


@kept
def regrouped(jaxpr: Jaxpr, ins: tuple[int | ArrayType, ...], outs: tuple[int, ...]) -> Jaxpr:
    """The program with these inputs and outputs of its own, in this order; a type is an input that it never reads."""
    if (ins, outs) == (tuple(range(len(jaxpr.invars))), tuple(range(len(jaxpr.outvars)))):
        return jaxpr
    return jaxpr.replace(invars=[Var(i) if isinstance(i, ArrayType) else jaxpr.invars[i] for i in ins],
                         outvars=[jaxpr.outvars[i] for i in outs])


def narrowed(jaxpr: Jaxpr, needed: Mask) -> Jaxpr:
    """The program without the inputs that are not needed."""
    return regrouped(jaxpr, tuple(compress(range(len(needed)), needed)), tuple(range(len(jaxpr.outvars))))


def only(jaxpr: Jaxpr, outvars: Sequence[Any]) -> Jaxpr:
    """The program that computes these variables and nothing else; effects are not repeated."""
    found, eqns = set(outvars), []
    for eqn in reversed(jaxpr.eqns):
        if not found.isdisjoint(eqn.outvars):
            eqns.append(eqn)
            found.update(eqn.inputs)
    return jaxpr.replace(eqns=eqns[::-1], outvars=outvars)


def reads(jaxpr: Jaxpr) -> Mask:
    """Which inputs a program reads."""
    found = set(jaxpr.outvars).union(*[eqn.inputs for eqn in jaxpr.eqns])
    return tuple([v in found for v in jaxpr.invars])


def readers(jaxpr: Jaxpr, used: Sequence[bool]) -> Mask:
    """Which inputs the used outputs depend on."""
    return reads(only(jaxpr, list(compress(jaxpr.outvars, used))))
