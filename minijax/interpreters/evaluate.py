"""Evaluation: the trace at the bottom, the NumPy evaluator, and running a program.

`run_program` is the shape of every interpreter of programs: an environment, a loop over
the equations, and for each one `read`, apply, write.  It binds each op in the current trace, so
the same function evaluates, differentiates, batches and stages a program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import config
from minijax.config import state
from minijax.errors import UnexpectedTracerError
from minijax.ir.dtypes import is_inexact, numpy_dtype
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from minijax.ir.op import Op
from minijax.tracing.array import Array, Tracer, typeof
from minijax.tracing.backend import Weak
from minijax.tracing.context import Context, Trace, context, located
from minijax.tracing.leaks import leak_message
from minijax.tracing.source import at_line

Evaluator = Callable[[Op, tuple[Any, ...], dict[str, Any]], tuple[Any, ...]]


class EvalTrace(Trace):
    """Evaluates at once: its `process` is an evaluator."""

    __slots__ = ("process",)
    name = "evaluation"

    def __init__(self, evaluate: Evaluator) -> None:
        super().__init__(None)
        self.process = evaluate  # type: ignore[method-assign]


def evaluate_numpy(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Apply the NumPy meaning of an op; results are Arrays around NumPy arrays."""
    if op in run_by_python:
        return run_by_python[op](args, params)
    types = tuple(typeof(x) for x in args)
    arrays = [to_numpy(x, type.dtype) for x, type in zip(args, types, strict=True)]
    out_types = op.infer(types, params)
    with np.errstate(all="ignore"):
        outs = op.eval(*arrays, **params)
    if state.jax_debug_nans and any(is_inexact(x.dtype) and np.isnan(x).any() for x in map(np.asarray, outs)):
        raise FloatingPointError(f"invalid value (nan) encountered in {op.name}{at_line()}. "
                                 "jax_debug_nans is on; switch it off to let NaNs pass.")
    return tuple(as_array(out, type) for out, type in zip(outs, out_types, strict=True))


def as_array(value: Any, type: Any) -> Array:
    """Wrap the NumPy value of an IR type."""
    if isinstance(value, Array):
        return value
    array = np.asarray(value, numpy_dtype(type.dtype))
    return Array(array.view(Weak) if type.weak_type else array)


def to_numpy(x: Any, dtype: Any) -> np.ndarray:
    """The NumPy array of a concrete value; keys become structured arrays of their words."""
    if isinstance(x, Tracer):
        raise UnexpectedTracerError(leak_message(x))
    array = Array.backend.to_numpy(x.value if isinstance(x, Array) else x)
    return array.astype(numpy_dtype(dtype), copy=False)


# Ops that hold a Python function: evaluated by calling it, whatever the evaluator.
run_by_python: dict[Op, Callable[[Sequence[Any], dict[str, Any]], tuple[Any, ...]]] = {}
evaluators: dict[str, Evaluator] = {"numpy": evaluate_numpy}
numpy_trace = EvalTrace(evaluate_numpy)
base_trace = EvalTrace(evaluate_numpy)
Context.initial = context.trace = base_trace


def switch_evaluator(name: str = "evaluator", value: Any = None) -> None:
    """Follow `config.evaluator`: for all threads, or by a trace of its own for a thread that overrides it."""
    if name != "evaluator":
        return
    if "evaluator" in vars(state):
        trace = EvalTrace(evaluators[state.evaluator])
    else:
        base_trace.process = evaluators[state.evaluator]
        trace = base_trace
    if isinstance(context.trace, EvalTrace):
        context.trace = trace


config.on_change(switch_evaluator)


def run_program(jaxpr: Jaxpr, *args: Any) -> list[Any]:
    """Run a program on values in the current trace."""
    env: dict[Var, Any] = dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
    env.update(zip(jaxpr.invars, args, strict=True))
    for eqn in jaxpr.eqns:
        run_equation(eqn, env)
    return [read(env, atom) for atom in jaxpr.outvars]


def run_equation(eqn: Equation, env: dict[Var, Any]) -> None:
    """Run an equation as if the user's line that made it were running, and write its results."""
    with located(eqn):
        outs = eqn.op.bind(*[read(env, atom) for atom in eqn.inputs], **eqn.params)
    env.update(zip(eqn.outvars, outs, strict=True))


def read(env: dict[Var, Any], atom: Atom) -> Any:
    """The value of a variable, or that of a literal."""
    return atom.value if type(atom) is Literal else env[atom]  # type: ignore[index]


def run_numpy(jaxpr: Jaxpr, args: Sequence[np.ndarray]) -> list[Any]:
    """Run a program on NumPy arrays with the ops' NumPy meanings; tracing plays no part."""
    env: dict[Var, Any] = dict(zip(jaxpr.invars, args, strict=True))
    env.update((v, to_numpy(x, v.type.dtype)) for v, x in zip(jaxpr.constvars, jaxpr.consts, strict=True))

    def read(atom: Atom) -> Any:
        return to_numpy(atom.value, atom.type.dtype) if type(atom) is Literal else env[atom]  # type: ignore[index]

    before = context.trace
    context.trace = numpy_trace
    try:
        for eqn in jaxpr.eqns:
            with np.errstate(all="ignore"):
                outs = eqn.op.eval(*map(read, eqn.inputs), **eqn.params)
            env.update((v, np.asarray(x, numpy_dtype(v.type.dtype))) for v, x in zip(eqn.outvars, outs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]
    finally:
        context.trace = before
