"""Staging: a trace that records every op as an equation of a new program."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minijax.config import state
from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Source, Var
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, scalar_type
from minijax.tracing.array import Array, Tracer, typeof
from minijax.tracing.context import Trace, context, running
from minijax.tracing.leaks import check_capture
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
        trace = self.trace
        assert isinstance(trace, StageTrace)
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
        """Record one equation."""
        inputs = [x.var if type(x) is StageTracer and x.trace is self else self.atom(x) for x in args]
        return self.record(op, inputs, params)

    def record(self, op: Op, inputs: list[Atom], params: dict[str, Any]) -> tuple[Any, ...]:
        """Add the equation and return tracers of its results."""
        outvars = [Var(t) for t in op.infer(tuple([atom.type for atom in inputs]), params)]
        origin = context.origin
        eqn = Equation(op, inputs, outvars, params, context.source or self.source(), origin)
        self.eqns.append(eqn)
        if origin is not None and origin.equation is None and origin.op is op:
            origin.equation = eqn
        return tuple([StageTracer(self, v) for v in outvars])

    def source(self) -> Source | None:
        """The user's line that is running."""
        return user_source()

    def atom(self, x: Any) -> Atom:
        """What stands for the value `x` in the program."""
        if isinstance(x, Array):
            return x.var if type(x) is StageTracer and x.trace is self else self.capture(x)
        scalar = scalar_type(x)
        return Literal(x, scalar) if scalar is not None else self.capture(x)

    def capture(self, x: Any) -> Var:
        """The constant that stands for an array, or for a live tracer of an enclosing trace."""
        found = self.captured.get(id(x))
        if found is None:
            if isinstance(x, Tracer):
                check_capture(x, self)
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
    """
    with paused_garbage_collection(), running(StageTrace(context.trace, name or "the traced function", arg_names)) as t:
        assert isinstance(t, StageTrace)
        before = context.source, context.origin, context.equation
        context.source = context.origin = context.equation = None
        try:
            outs = function(*[t.new_input(type) for type in in_types])
            return t.finish(outs, name)
        finally:
            context.source, context.origin, context.equation = before


def lift_constants(jaxpr: Jaxpr) -> tuple[Jaxpr, tuple[Any, ...]]:
    """Turn the constants of a program into its first inputs: (closed program, values for them)."""
    if not jaxpr.consts:
        return jaxpr, ()
    return jaxpr.replace(constvars=(), consts=(), invars=jaxpr.constvars + jaxpr.invars), jaxpr.consts


class _Pauses:
    """How many pauses are open, and whether the collector was on before the first."""

    lock = threading.Lock()
    count = 0
    enabled = False


@contextlib.contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Hold back Python's cyclic collector while tracing.

    Programs make many objects and no garbage; the collector's walks over them cost as much
    as tracing does at 10^5 equations.  Reference counting goes on.  Pauses nest, over threads too.
    """
    with _Pauses.lock:
        if _Pauses.count == 0:
            _Pauses.enabled = gc.isenabled()
            gc.disable()
        _Pauses.count += 1
    try:
        yield
    finally:
        with _Pauses.lock:
            _Pauses.count -= 1
            if _Pauses.count == 0 and _Pauses.enabled:
                gc.enable()
