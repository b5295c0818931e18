"""Passes that make a program smaller: equal equations once, known values computed, copies read through.

    cse      equations with the same op, inputs and parameters are computed once
    fold     equations over literals and small constants are computed now
    forward  what copies its input is read past

Like every pass they read the traits of ops, never their names; `dce` in `minijax.ir` clears away what they leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.jaxpr import Equation, Jaxpr, Literal, Var, held_programs
from minijax.ir.passes import Consts, Env, program_pass, rewrite
from minijax.ir.scalars import write_literal
from minijax.ir.text import Printer
from minijax.ir.walk import bottom_up
from minijax.language.alpha import by_identity

__all__ = ["cse", "fold", "forward"]


@program_pass("cse")
def cse(jaxpr: Jaxpr) -> Jaxpr:
    """Compute what equal equations (same op, inputs and parameters) compute once."""
    return bottom_up(jaxpr, _cse)


def _cse(program: Jaxpr) -> Jaxpr:
    seen: dict[Any, Equation] = {}
    numbers: dict[Var, int] = {}
    printer = Printer({}, opaque=by_identity)  # held programs too count by identity

    def key(eqn: Equation) -> Any:
        keys = [numbers.setdefault(x, len(numbers)) if isinstance(x, Var) else write_literal(x) for x in eqn.inputs]
        if "commutative" in eqn.op.traits:
            keys.sort(key=str)
        return eqn.op, printer.params(eqn.params), *keys

    def visit(eqn: Equation, env: Env, consts: Consts) -> Iterable[Equation]:
        if eqn.op.effects_of(eqn.params) or "impure" in eqn.op.traits:
            return [eqn]
        first = seen.setdefault(key(eqn), eqn)
        if first is eqn or [v.type for v in first.outvars] != [v.type for v in eqn.outvars]:
            return [eqn]
        env.update(zip(eqn.outvars, first.outvars, strict=True))
        return []

    return rewrite(program, visit)


@program_pass("forward")
def forward(jaxpr: Jaxpr) -> Jaxpr:
    """Read the input instead of what copies it: results of 'identity' ops, and results of calls that are inputs.

    A call keeps the results that nobody reads any more; `dce` drops them.
    """
    return bottom_up(jaxpr, lambda program: rewrite(program, _forward))


def _forward(eqn: Equation, env: Env, consts: Consts) -> Iterable[Equation]:
    if "identity" in eqn.op.traits and len(eqn.inputs) == 1 and eqn.inputs[0].type == eqn.outvars[0].type:
        env[eqn.outvars[0]] = eqn.inputs[0]
        return []
    if "call" in eqn.op.traits:
        body = eqn.params["jaxpr"]
        given = dict(zip(body.invars, eqn.inputs, strict=True))
        for var, result in zip(eqn.outvars, body.outvars, strict=True):
            source = given.get(result) if isinstance(result, Var) else result
            if source is not None and source.type == var.type:
                env[var] = source
    return [eqn]


FOLD_SIZE = 64


@program_pass("fold")
def fold(jaxpr: Jaxpr) -> Jaxpr:
    """Compute equations whose inputs are all literals or small constants, with the ops' NumPy meaning.

    Scalars become literals.  Arrays become constants if they are small and not made of scalars alone:
    `iota` and broadcasts stay.  Programs that ops hold are not run.
    """
    return bottom_up(jaxpr, _fold)


def _fold(program: Jaxpr) -> Jaxpr:
    known = {var: np.asarray(const) for var, const in zip(program.constvars, program.consts, strict=True)
             if var.type.size <= FOLD_SIZE and not dtypes.is_key(var.type.dtype)}

    def visit(eqn: Equation, env: Env, consts: Consts) -> Iterable[Equation]:
        inputs = [known.get(x) if isinstance(x, Var) else np.asarray(x.value).astype(x.type.dtype) for x in eqn.inputs]
        results = _computed(eqn, inputs) if _foldable(eqn, inputs) else None
        if results is None:
            return [eqn]
        for var, value in zip(eqn.outvars, results, strict=True):
            if var.type.shape:
                known[var] = consts[var] = value
            else:
                env[var] = Literal(value.item() if var.type.weak_type else value[()], var.type)
        return []

    return rewrite(program, visit)


def _foldable(eqn: Equation, inputs: list[Any]) -> bool:
    types = [var.type for var in eqn.outvars]
    if any(x is None for x in inputs) or not eqn.op.has("eval") or eqn.op.effects_of(eqn.params):
        return False
    if eqn.op.traits & {"host", "impure"}:
        return False
    if any(held_programs(eqn.params)) or any(t.size > FOLD_SIZE or dtypes.is_key(t.dtype) or t.varying for t in types):
        return False
    return any(x.shape for x in inputs) or not any(t.shape for t in types)


def _computed(eqn: Equation, inputs: list[Any]) -> list[Any] | None:
    with np.errstate(all="ignore"):
        results = [np.asarray(result) for result in eqn.op.eval(*inputs, **eqn.params)]
    expected = [(var.type.shape, var.type.dtype) for var in eqn.outvars]
    return results if [(r.shape, r.dtype) for r in results] == expected else None
