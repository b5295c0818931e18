"""Forward mode: dual numbers, and linearize, which is the same trace over a recorder.

A `DualTracer` is a primal and a tangent.  An op on duals runs its jvp rule with
`rules_on` current.  For `jvp` that is the parent trace.  For `linearize` it is a
`LinearTrace`: an op that touches a linear value is recorded there, in order, and
everything else goes through to the parent and runs at once, so that Python control
flow on concrete values works under `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.config import state
from minijax.interpreters.stage import StageTrace, StageTracer
from minijax.ir.jaxpr import Jaxpr, Source
from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.ops.parallel import vary
from minijax.ops.structural import zeros_of
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import Trace, context, deriving, running
from minijax.tracing.leaks import check_capture


class DualTracer(Tracer):
    """A primal value and its tangent, in the trace that differentiates."""

    __slots__ = ("primal", "tangent")

    def __init__(self, trace: Trace, primal: Any, tangent: Any) -> None:
        self.trace = trace
        self.primal = primal
        self.tangent = tangent

    @property
    def type(self) -> Any:  # type: ignore[override]
        """The IR type of the primal."""
        return typeof(self.primal)

    def concrete(self) -> Any:
        """The primal, if it is known."""
        return self.primal.concrete() if isinstance(self.primal, Tracer) else self.primal

    def describe(self) -> str:
        """Where the primal came from."""
        if isinstance(self.primal, Tracer):
            return self.primal.describe()
        return f"It is a {self.type} being differentiated ({self.trace.name})."


class DualTrace(Trace):
    """Runs jvp rules on pairs of primal and tangent."""

    __slots__ = ("rules_on", "linear")
    name = "jvp"

    def __init__(self, parent: Trace, linear: LinearTrace | None = None) -> None:
        super().__init__(parent)
        self.linear = linear is not None
        self.rules_on = linear or parent

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Run the op's rule if it touches a dual of ours, else leave it to the parent."""
        primals, tangents, differs = [], [], False
        for x in args:
            if type(x) is DualTracer and x.trace is self:
                primals.append(x.primal)
                tangents.append(x.tangent)
                differs = True
            else:
                if isinstance(x, Tracer):
                    check_capture(x, self)
                primals.append(x)
                tangents.append(zero)
        if not differs:
            return self.parent.process(op, args, params)  # type: ignore[union-attr]
        rule = op.linearize if self.linear and op.linearize is not None else op.jvp
        outs, out_tangents = self.run_rule(rule, op, primals, tangents, params)
        return tuple([x if t is zero else DualTracer(self, x, t) for x, t in zip(outs, out_tangents, strict=True)])

    def run_rule(self, rule: Callable[..., Any], op: Op, primals: list[Any], tangents: list[Any],
                 params: dict[str, Any]) -> Any:
        """Run a rule with `rules_on` current; what it records is said to derive from `op`."""
        before = context.trace
        context.trace = self.rules_on
        try:
            if not self.records:
                return rule(primals, tangents, **params)
            with deriving("linearize" if self.linear else "jvp", op):
                return rule(primals, tangents, **params)
        finally:
            context.trace = before


class LinearTrace(StageTrace):
    """Records what touches a linear value; the rest runs on the parent at once."""

    __slots__ = ()
    name = "linear"

    def __init__(self, parent: Trace) -> None:
        super().__init__(parent, "the linear program")
        self.records = parent.records

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Record the op if an argument is linear."""
        for x in args:
            if type(x) is StageTracer and x.trace is self:
                return StageTrace.process(self, op, args, params)
        return self.parent.process(op, args, params)  # type: ignore[union-attr]

    def source(self) -> Source | None:
        """Sources of an eager gradient's tape are only looked up when somebody may ask."""
        return StageTrace.source(self) if self.records or state.jax_debug_nans else None


def jvp_flat(function: Callable[..., Sequence[Any]], primals: Sequence[Any],
             tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Outputs and tangents of a function of flat values; a tangent, in or out, may be `zero`."""
    with running(DualTrace(context.trace)) as trace:
        outs = function(*[x if t is zero else DualTracer(trace, x, t)
                          for x, t in zip(primals, tangents, strict=True)])
        return split_duals(trace, outs)


def split_duals(trace: Trace, outs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Primals and tangents of values that may be duals of `trace`."""
    primals, tangents = [], []
    for x in outs:
        mine = type(x) is DualTracer and x.trace is trace
        if not mine and isinstance(x, Tracer):
            check_capture(x, trace)
        primals.append(x.primal if mine else x)
        tangents.append(x.tangent if mine else zero)
    return primals, tangents


def linearize_flat(function: Callable[..., Sequence[Any]], primals: Sequence[Any],
                   linear: Sequence[bool]) -> tuple[list[Any], LinearTape]:
    """Outputs of a function at `primals`, and its derivative as a tape over the inputs marked linear."""
    tape = LinearTrace(context.trace)
    with running(DualTrace(context.trace, tape)) as trace:
        duals = [DualTracer(trace, x, tape.new_input(typeof(x))) if is_linear else x
                 for x, is_linear in zip(primals, linear, strict=True)]
        outs, tangents = split_duals(trace, function(*duals))
    with running(tape):
        tangents = [t if t is zero else vary(t, typeof(x).varying) for t, x in zip(tangents, outs, strict=True)]
    return outs, LinearTape(tape, tangents)


class LinearTape:
    """The recorded derivative of a function at a point: equations, residuals and outputs."""

    __slots__ = ("trace", "outs")

    def __init__(self, trace: LinearTrace, outs: list[Any]) -> None:
        self.trace = trace
        self.outs = outs  # a tracer of `trace`, or `zero`

    @property
    def out_vars(self) -> list[Any]:
        """The variable of each output, or `zero`."""
        return [t if t is zero else self.trace.atom(t) for t in self.outs]

    def to_jaxpr(self, name: str = "") -> Jaxpr:
        """The tape as a program of the tangents whose constants are the residuals; zeros left out."""
        return self.trace.finish([t for t in self.outs if t is not zero], name)


def instantiate(tangent: Any, primal: Any) -> Any:
    """The tangent, with `zero` made into zeros of the primal's type."""
    return zeros_of(typeof(primal)) if tangent is zero else tangent
