"""Forward mode: dual numbers, and linearize, which is the same trace over a recorder.

A `DualTracer` is a primal and a tangent.  An op on duals runs its jvp rule with
`rules_on` current.  For `jvp` that is the parent trace.  For `linearize` it is a
`LinearTape`: an op that touches a linear value is recorded there, in order, and
everything else goes through to the parent and runs at once, so that Python control
flow on concrete values works under `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.config import state
from minijax.interpreters.pairs import PairTrace, PairTracer
from minijax.interpreters.stage import StageTrace, StageTracer
from minijax.ir.jaxpr import Jaxpr, Source
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops.parallel import vary
from minijax.ops.structural import zeros_of
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import Trace, context, running


class DualTracer(PairTracer):
    """A primal value and, as its companion, the tangent."""

    __slots__ = ()

    @property
    def type(self) -> Any:  # type: ignore[override]
        """The IR type of the primal."""
        return typeof(self.inner)

    def concrete(self) -> Any:
        """The primal, if it is known."""
        return self.inner.concrete() if isinstance(self.inner, Tracer) else self.inner

    def describe(self) -> str:
        """Where the primal came from."""
        if isinstance(self.inner, Tracer):
            return self.inner.describe()
        return f"It is a {self.type} being differentiated ({self.trace.name})."


class DualTrace(PairTrace):
    """Runs jvp rules on pairs of primal and tangent."""

    __slots__ = ()
    name = "jvp"
    tracer = DualTracer
    nothing = zero

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Run the op's rule if it touches a dual of ours, else leave it to the parent."""
        primals, tangents = self.split(args)
        if all([t is zero for t in tangents]):
            return self.parent.process(op, args, params)  # type: ignore[union-attr]
        return self.pair(*self.run_rule(op, self.rule(op), primals, tangents, **params))

    def rule(self, op: Op) -> Callable[..., Any]:
        """The rule to run."""
        return op.jvp


class LinearizeTrace(DualTrace):
    """A dual trace whose tangents are variables of a tape, where the rules record."""

    __slots__ = ()
    name = "linearize"

    def __init__(self, parent: Trace, tape: LinearTape) -> None:
        super().__init__(parent)
        self.rules_on = tape

    def rule(self, op: Op) -> Callable[..., Any]:
        """The rule of an op that holds programs tells known from linear work; for others, jvp rules do."""
        return op.linearize or op.jvp


class LinearTape(StageTrace):
    """The derivative of a function at a point: what touches a linear value is recorded, the rest runs at once.

    `outs` are, in the end, the output tangents: tracers of this trace, or `zero`.
    """

    __slots__ = ("outs",)
    name = "linear"

    def __init__(self, parent: Trace) -> None:
        super().__init__(parent, "the linear program")
        self.records = parent.records
        self.outs: list[Any] = []

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Record the op if an argument is linear."""
        for x in args:
            if type(x) is StageTracer and x.trace is self:
                return StageTrace.process(self, op, args, params)
        return self.parent.process(op, args, params)  # type: ignore[union-attr]

    def source(self) -> Source | None:
        """Sources of an eager gradient's tape are only looked up when somebody may ask."""
        return StageTrace.source(self) if self.records or state.jax_debug_nans else None

    @property
    def out_vars(self) -> list[Any]:
        """The variable of each output, or `zero`."""
        return [t if t is zero else self.atom(t) for t in self.outs]

    def to_jaxpr(self, name: str = "") -> Jaxpr:
        """The program of the tangents whose constants are the residuals; zeros left out."""
        return self.finish([t for t in self.outs if t is not zero], name)


def jvp_flat(function: Callable[..., Sequence[Any]], primals: Sequence[Any],
             tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Outputs and tangents of a function of flat values; a tangent, in or out, may be `zero`."""
    return DualTrace(context.trace).run(function, primals, tangents)


def linearize_flat(function: Callable[..., Sequence[Any]], primals: Sequence[Any],
                   linear: Sequence[bool]) -> tuple[list[Any], LinearTape]:
    """Outputs of a function at `primals`, and its derivative as a tape over the inputs marked linear."""
    tape = LinearTape(context.trace)
    tangents = [tape.new_input(typeof(x)) if is_linear else zero for x, is_linear in zip(primals, linear, strict=True)]
    outs, tangents = LinearizeTrace(context.trace, tape).run(function, primals, tangents)
    with running(tape):
        tape.outs = [t if t is zero else vary(t, typeof(x).varying) for t, x in zip(tangents, outs, strict=True)]
    return outs, tape


def instantiate(tangent: Any, primal: Any) -> Any:
    """The tangent, with `zero` made into zeros of the primal's type."""
    return zeros_of(typeof(primal)) if tangent is zero else tangent


def forced(force: Sequence[bool] | None, tangents: list[Any], types: Sequence[ArrayType]) -> list[Any]:
    """Tangents or cotangents of these types, varying over mesh axes as they do; `zero` is made zeros where `force`."""
    if force is not None:
        tangents = [zeros_of(type) if must and t is zero else t
                    for must, t, type in zip(force, tangents, types, strict=True)]
    return [t if t is zero else vary(t, type.varying) for t, type in zip(tangents, types, strict=True)]
