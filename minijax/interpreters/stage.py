"""Staging: a trace that records every op as an equation of a new program."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from typing import Any

from minijax.config import state
from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Source, Var
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, scalar_type
from minijax.tracing.array import Array, Tracer, typeof
from minijax.tracing.context import Trace, attributed, context, running
from minijax.tracing.leaks import owns
from minijax.tracing.source import user_source


class StageTracer(Tracer):
    """A variable of the program being recorded."""

    __slots__ = ("var",)

    def __init__(self, trace: Trace, var: Var) -> None:
        self.trace = trace
        self.type = var.type
        self.var = var

    def describe(self) -> str:
        """The argument or the line that this value came from."""
        trace: Any = self.trace
        for number, v in enumerate(trace.invars):
            if v is self.var:
                path = trace.arg_names[number] if trace.arg_names else f"argument number {number}"
                return f"It is {path} of {trace.function_name}."
        for eqn in trace.eqns:
            if self.var in eqn.outvars:
                return f"It is a result of '{eqn.op.name}', computed at {eqn.source}, in {trace.function_name}."
        return f"It is a value of {trace.function_name}."


class StageTrace(Trace):
    """Records equations.  Values of enclosing traces and arrays become constants of the program."""

    __slots__ = ("eqns", "invars", "captured", "arg_names", "function_name")
    name = "staging"

    def __init__(self, parent: Trace | None, function_name: str = "the traced function",
                 arg_names: Sequence[str] = ()) -> None:
        super().__init__(parent)
        self.records = True
        self.eqns: list[Equation] = []
        self.invars: list[Var] = []
        self.captured: dict[int, tuple[Var, Any, Any]] = {}
        self.arg_names = arg_names
        self.function_name = function_name

    def new_input(self, type: ArrayType) -> StageTracer:
        """A tracer for a new input of the program."""
        var = Var(type)
        self.invars.append(var)
        return StageTracer(self, var)

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Record an equation; returns tracers of its results."""
        inputs = [x.var if type(x) is StageTracer and x.trace is self else self.atom(x) for x in args]
        outvars = [Var(t) for t in op.infer(tuple([atom.type for atom in inputs]), params)]
        source, origin, _ = context.attribution
        eqn = Equation(op, inputs, outvars, params, source or self.source(), origin)
        self.eqns.append(eqn)
        if origin is not None and origin.equation is None and origin.op is op:
            origin.equation = eqn
        return tuple([StageTracer(self, v) for v in outvars])

    def source(self) -> Source | None:
        """The user's line that is running."""
        return user_source()

    def atom(self, x: Any) -> Atom:
        """What stands for the value `x` in the program."""
        if type(x) is StageTracer and x.trace is self:
            return x.var
        scalar = None if isinstance(x, Array) else scalar_type(x)
        return self.capture(x) if scalar is None else Literal(x, scalar)

    def capture(self, x: Any) -> Var:
        """The constant that stands for an array, or for a live tracer of an enclosing trace."""
        found = self.captured.get(id(x))
        if found is None:
            owns(self, x)  # refuses tracers that have leaked
            # `x` itself is kept too: its id, the key, stays taken.
            found = self.captured[id(x)] = Var(typeof(x)), x if isinstance(x, Array) else Array(x), x
        return found[0]

    def finish(self, outs: Sequence[Any], name: str = "") -> Jaxpr:
        """The program whose results are `outs`."""
        outvars = [self.atom(x) for x in outs]
        used = {a for eqn in self.eqns for a in eqn.inputs if type(a) is Var}.union(outvars)
        constants = [(v, c) for v, c, _ in self.captured.values() if v in used]
        jaxpr = Jaxpr([v for v, _ in constants], [c for _, c in constants], self.invars, self.eqns, outvars, name)
        if state.check:
            check_jaxpr(jaxpr)
        return jaxpr


def stage(function: Callable[..., Sequence[Any]], in_types: Sequence[ArrayType], name: str = "",
          arg_names: Sequence[str] = ()) -> Jaxpr:
    """Trace a function of flat values to a program whose constants are what it captured.

    A captured constant may be a tracer of an enclosing trace; see `lift_constants`.

    Python's cyclic collector is held back: programs make many objects and no garbage, and its walks
    over them cost as much as tracing does at 10^5 equations.  Reference counting goes on.  Pauses may
    nest and overlap, over threads too: who finds the collector on switches it on again.
    """
    trace = StageTrace(context.trace, name or "the traced function", arg_names)
    collecting = gc.isenabled()
    gc.disable()
    try:
        with running(trace), attributed(None, None, None):
            return trace.finish(function(*[trace.new_input(type) for type in in_types]), name)
    finally:
        if collecting:
            gc.enable()


def lift_constants(jaxpr: Jaxpr) -> tuple[Jaxpr, tuple[Any, ...]]:
    """Turn the constants of a program into its first inputs: (closed program, values for them)."""
    if not jaxpr.consts:
        return jaxpr, ()
    return jaxpr.replace(constvars=(), consts=(), invars=jaxpr.constvars + jaxpr.invars), jaxpr.consts
