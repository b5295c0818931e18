"""Floating-point operations of each call of a module, forward and backward, from the ops' own cost rules.

The backward pass is what the gradient of the results with respect to the parameters computes beyond the
results.  A loop counts all its steps; a `while` loop one round, as their number is not known; `cond` its dearest
branch, shared out over all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from minijax import numpy as jnp
from minijax.api.differentiate import vjp
from minijax.api.trace import make_jaxpr
from minijax.calls.jit import program_cost
from minijax.errors import MinijaxError
from minijax.haiku.experimental.calls import Call, Record
from minijax.interpreters.evaluate import run_program
from minijax.ir.jaxpr import Jaxpr, held_programs
from minijax.ir.passes import dce


class Flops(NamedTuple):
    """Operations of the forward and of the backward pass; None where they are not known."""

    forward: int | None
    backward: int | None

    @property
    def total(self) -> int:
        """Both, as far as they are known."""
        return (self.forward or 0) + (self.backward or 0)


def flops_of_calls(record: Record) -> dict[Call | None, Flops]:
    """The operations of each call, those of the calls inside it included; under None those of the whole function."""
    forward = _counted(record, record.program)
    backward = _counted(record, _gradient(record))
    if forward is None or backward is None:
        return {call: Flops(forward and _whole(forward[call]), None) for call in (None, *record.calls)}
    return {call: Flops(_whole(forward[call]), max(_whole(backward[call] - forward[call]), 0))
            for call in (None, *record.calls)}


def _whole(count: float) -> int:
    return round(count)


def _counted(record: Record, program: Jaxpr | None) -> Counter[Call | None] | None:
    """The operations of a program by call; None for no program, and if an op does not say what it costs."""
    if program is None:
        return None
    counts: Counter[Any] = Counter()
    try:
        for call, cost in _costs(record, dce(program), 1.0, None):
            for each in (None, *(call.chain() if call is not None else ())):
                counts[each] += cost  # type: ignore[assignment]
    except MinijaxError:  # a missing rule
        return None
    return counts


def _costs(record: Record, program: Jaxpr, times: float, around: Call | None) -> Iterator[tuple[Call | None, float]]:
    """(owner, operations) of every equation that holds no program; `times` says how often the program runs."""
    for eqn in program.eqns:
        owner = record.owner(eqn, around)
        cost = times * eqn.op.cost(*[atom.type for atom in eqn.inputs], **eqn.params)
        held = list(held_programs(eqn.params))
        inside = sum([program_cost(jaxpr=inner) for inner in held])
        if not inside:
            yield owner, cost
            continue
        for inner in held:  # the op says how often they run: a scan as often as it has steps
            yield from _costs(record, inner, cost / inside, owner)


def _gradient(record: Record) -> Jaxpr | None:
    """The program of the results and the gradient with respect to the parameters; None if there is no gradient.

    Without parameters, or without a result that has a derivative, it is the program itself.  Inside a transformed
    function that runs already parameters are no inputs, and there is none.
    """
    program, count = record.program, record.num_params
    is_param = [i < count and type.differentiable for i, type in enumerate(program.in_types)]
    smooth = [type.differentiable for type in program.out_types]
    if not any(is_param) or not any(smooth):
        return None if record.params and not count else program

    def results_and_gradient(*flat: Any) -> Any:
        def results(params: list[Any]) -> list[Any]:
            given = iter(params)
            return run_program(program, *[next(given) if mine else x for mine, x in zip(is_param, flat, strict=True)])

        def smooth_results(params: list[Any]) -> tuple[list[Any], list[Any]]:
            outs = results(params)
            return ([x for x, is_smooth in zip(outs, smooth, strict=True) if is_smooth],
                    [x for x, is_smooth in zip(outs, smooth, strict=True) if not is_smooth])

        outs, pull, rest = vjp(smooth_results, [x for mine, x in zip(is_param, flat, strict=True) if mine],
                               has_aux=True)
        return outs, rest, pull([jnp.ones_like(x) for x in outs])

    try:
        return make_jaxpr(results_and_gradient)(*program.in_types)
    except MinijaxError:  # a function without a reverse mode, such as one with a while loop
        return None
