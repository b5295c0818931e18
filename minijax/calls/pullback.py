"""Reverse mode at the bottom: a small tape is transposed once, compiled, and kept by its shape.

A tape of few equations compiles in about the time that its kernels would one by one, and from
then on the whole backward pass of an eager gradient is one dispatch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.calls.jit import jit_p
from minijax.calls.masks import nonzero, present, spread
from minijax.config import state
from minijax.interpreters.dual import LinearTape
from minijax.interpreters.evaluate import base_trace
from minijax.interpreters.transpose import transpose_program, transpose_tape
from minijax.ir.jaxpr import Jaxpr, Literal, Var
from minijax.ir.types import zero
from minijax.tracing.context import context
from minijax.util import bounded

SMALL = 16
UNFIT = frozenset({"custom", "devices"})  # Python functions, and values on several devices
# Keyed by the tape's equations with numbers for variables, the types, and which cotangents are not zero.
_programs: dict[Any, tuple[Jaxpr, tuple[bool, ...]]] = {}


def pull_tape(tape: LinearTape, cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the inputs of a tape, `zero` where an input does not matter."""
    eqns, outs = tape.eqns, tape.out_vars
    eager = context.trace is base_trace and state.evaluator == "xla" and not state.jax_debug_nans
    if not eager or not 1 < len(eqns) <= SMALL or any([not UNFIT.isdisjoint(eqn.op.traits) for eqn in eqns]):
        return transpose_tape(tape, cts)
    needed = [ct for v, ct in zip(outs, cts, strict=True) if v is not zero]
    marks = nonzero(needed)
    shape, scalars = _shape(tape, outs)
    try:
        found = _programs.get((shape, marks))
    except TypeError:  # a parameter that cannot be hashed
        return transpose_tape(tape, cts)
    if found is None:
        program, linear = _opened(tape, outs)
        found = bounded(_programs, (shape, marks), transpose_program(program, linear, marks))
    residuals = [value for _, value, _ in tape.captured.values()]
    pulled = jit_p.bind(*residuals, *scalars, *present(needed), jaxpr=found[0], name="pull_back")
    return spread(found[1], pulled)


def _shape(tape: LinearTape, outs: Sequence[Any]) -> tuple[Any, list[Any]]:
    """What two tapes with one backward program have in common; and the tape's scalars, which may differ."""
    known = [v for v, _, _ in tape.captured.values()] + tape.invars
    number: dict[Any, int] = {v: i for i, v in enumerate(known)}
    scalars, parts = [], [tuple([v.type for v in known])]
    for eqn in tape.eqns:
        places: list[Any] = [eqn.op, *eqn.params.items()]
        for atom in eqn.inputs:
            if type(atom) is Literal:
                scalars.append(atom.value)
            places.append(atom.type if type(atom) is Literal else number[atom])
        parts.append(tuple(places))
        for v in eqn.outvars:
            number[v] = len(number)
    return (*parts, tuple([number.get(v, v) for v in outs])), scalars


def _opened(tape: LinearTape, outs: Sequence[Any]) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The tape as a program of its residuals, its scalars and its tangents; and which of these are linear."""
    known: list[Any] = [v for v, _, _ in tape.captured.values()]
    eqns = []
    for eqn in tape.eqns:
        inputs = [Var(atom.type) if type(atom) is Literal else atom for atom in eqn.inputs]
        known.extend(new for new, old in zip(inputs, eqn.inputs, strict=True) if new is not old)
        eqns.append(eqn.replace(inputs=inputs))
    linear = (False,) * len(known) + (True,) * len(tape.invars)
    return Jaxpr((), (), [*known, *tape.invars], eqns, present(outs)), linear
