"""Transposition: run a linear program backwards, from cotangents of outputs to those of inputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from minijax.errors import MissingRuleError, NonlinearError
from minijax.interpreters.dual import LinearTape, forced
from minijax.interpreters.evaluate import run_equation
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Origin, Var, kept
from minijax.ir.op import Linear
from minijax.ir.types import zero
from minijax.ops.elementwise import add_any
from minijax.ops.parallel import psum, vary
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import attributed, context
from minijax.util import partition_list


def backward_pass(eqns: Sequence[Equation], values: dict[Var, Any], outs: Iterable[tuple[Atom, Any]]) -> dict[Var, Any]:
    """Cotangents of every variable of a linear program that no equation makes: its linear inputs.

    `values` are the non-linear variables; `outs` pairs each output with its cotangent.
    """
    cotangents: dict[Var, Any] = {}
    accumulate(cotangents, outs)
    for eqn in reversed(eqns):
        cts = [cotangents.pop(v, zero) for v in eqn.outvars]
        if all([ct is zero for ct in cts]):
            continue
        args = [atom.value if type(atom) is Literal else values[atom] if atom in values else Linear(atom.type)
                for atom in eqn.inputs]
        with transposing(eqn):
            accumulate(cotangents, zip(eqn.inputs, transpose_equation(eqn, cts, args), strict=True))
    return cotangents


def accumulate(cotangents: dict[Var, Any], found: Iterable[tuple[Atom, Any]]) -> None:
    """Add cotangents to what their variables have already; `zero` and None add nothing, those of literals are lost.

    A value that does not vary along a mesh axis is one for all devices there: its cotangent is the sum over them.
    """
    for atom, ct in found:
        if ct is not None and ct is not zero and type(atom) is Var:
            if atom.type.varying or isinstance(ct, Tracer):
                ct = vary(psum(ct, typeof(ct).varying - atom.type.varying), atom.type.varying)
            before = cotangents.get(atom)
            cotangents[atom] = ct if before is None else add_any(before, ct)


def transposing(eqn: Equation) -> AbstractContextManager[None]:
    """Context manager: what is recorded inside, if anything is, is made by transposing this equation."""
    if not context.trace.records:
        return _unrecorded
    return attributed(eqn.source, Origin("transpose", eqn.op, eqn, eqn.origin), None)


_unrecorded = nullcontext()


def transpose_equation(eqn: Equation, cts: list[Any], args: list[Any]) -> Any:
    """Run one transpose rule."""
    try:
        return eqn.op.transpose(cts, *args, **eqn.params)
    except (NonlinearError, MissingRuleError):
        if eqn.op.has("transpose") and sum(type(x) is Linear for x in args) < 2:
            raise
        raise NonlinearError(f"'{eqn.op}' at {eqn.source} is not linear in what it is applied to, so the function has "
                             "no transpose. Differentiate it with vjp, or linearize it first.") from None


def transpose_tape(tape: LinearTape, cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the inputs of a tape, `zero` where an input does not matter."""
    residuals = {var: value for var, value, _ in tape.captured.values()}
    found = backward_pass(tape.eqns, residuals, zip(tape.out_vars, cts, strict=True))
    return [found.get(v, zero) for v in tape.invars]


def transpose_values(jaxpr: Jaxpr, args: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
    """Cotangents of the inputs of a linear program at which `args` has a `Linear`; None elsewhere.

    Equations over non-linear values only are evaluated first.
    """
    values: dict[Var, Any] = dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
    values.update((v, x) for v, x in zip(jaxpr.invars, args, strict=True) if type(x) is not Linear)
    linear_eqns = []
    for eqn in jaxpr.eqns:
        if all(type(a) is Literal or a in values for a in eqn.inputs):
            run_equation(eqn, values)
        else:
            linear_eqns.append(eqn)
    found = backward_pass(linear_eqns, values, zip(jaxpr.outvars, cts, strict=True))
    return [found.get(v, zero) if type(x) is Linear else None for v, x in zip(jaxpr.invars, args, strict=True)]


@kept
def transpose_program(jaxpr: Jaxpr, linear: tuple[bool, ...], nonzero: tuple[bool, ...],
                      force: tuple[bool, ...] | None = None) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The program (non-linear inputs, non-zero output cotangents) -> non-zero cotangents of the linear
    inputs, and which of the linear inputs those are; those marked in `force` always have one."""
    known_types, linear_types = partition_list(linear, jaxpr.in_types)
    _, ct_types = partition_list(nonzero, jaxpr.out_types)
    out_nonzero: list[bool] = []

    def transposed(*flat: Any) -> list[Any]:
        known, cts = iter(flat[: len(known_types)]), iter(flat[len(known_types):])
        args = [Linear(v.type) if is_linear else next(known) for v, is_linear in zip(jaxpr.invars, linear, strict=True)]
        found = transpose_values(jaxpr, args, [next(cts) if is_nonzero else zero for is_nonzero in nonzero])
        _, linear_cts = partition_list(linear, found)
        full = forced(force, linear_cts, linear_types)
        out_nonzero.extend(ct is not zero for ct in full)
        return [ct for ct in full if ct is not zero]

    return stage(transposed, [*known_types, *ct_types], jaxpr.debug_name), tuple(out_nonzero)
