"""Taylor mode: a trace whose values are truncated power series in one real variable t.

A `JetTracer` holds the coefficients x[0], x[1], ..., x[K] of x(t) = sum of x[k] t^k ("normal" coefficients,
not multiplied by k!); all but x[0] may be `zero`.  An op either has a rule in `rules`, or its series is found
from its jvp rule, which is a differential equation for it:

    y'(t) = jvp(x(t); x'(t)),   so   y[k] = coefficient k - 1 of jvp(x; x'), divided by k,

where the jvp rule runs on series of one order less.  So every op that has a derivative has a series.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.ops.families import add, broadcast_in_dim, mul, scalar_like, shape_of
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import Trace, context, running
from minijax.tracing.leaks import owns

Series = list[Any]
# rules[op](*series, order=K, op=op, **params) gives the series of the results.
Rule = Callable[..., Sequence[Series]]
rules: dict[Op, Rule] = {}
# Ops that run a program: inlined[op](*args, **params) runs it on series, or says with None that the op has a rule.
inlined: dict[Op, Callable[..., Sequence[Any] | None]] = {}


class JetTracer(Tracer):
    """A truncated power series, of the type of its value at t = 0."""

    __slots__ = ("series",)

    def __init__(self, trace: Trace, series: Series) -> None:
        self.trace = trace
        self.series = series

    @property
    def type(self) -> Any:  # type: ignore[override]
        """The IR type of the value."""
        return typeof(self.series[0])

    def concrete(self) -> Any:
        """The value at t = 0, if it is known."""
        value = self.series[0]
        return value.concrete() if isinstance(value, Tracer) else value

    def describe(self) -> str:
        """Where the value came from."""
        value = self.series[0]
        return value.describe() if isinstance(value, Tracer) else f"It is a {self.type} expanded in a series (jet)."


class JetTrace(Trace):
    """Runs ops on series up to the power `order`."""

    __slots__ = ("order",)
    name = "jet"

    def __init__(self, parent: Trace, order: int) -> None:
        super().__init__(parent)
        self.order = order

    def tracer(self, series: Series) -> Any:
        """A value for a series; the plain value if it is constant."""
        return series[0] if all([x is zero for x in series[1:]]) else JetTracer(self, series)

    def series_of(self, x: Any) -> Series:
        """The coefficients of a value."""
        if owns(self, x):
            return x.series
        return [x] + [zero] * self.order

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Run the op's rule if an argument varies with t, else leave it to the parent."""
        series = [self.series_of(x) for x in args]
        if all([x is zero for each in series for x in each[1:]]):
            return self.parent.process(op, args, params)  # type: ignore[union-attr]
        results = inlined[op](*args, **params) if op in inlined else None
        if results is not None:
            return tuple(results)
        outs = self.run_rule(op, series_rule, op, series, self.order, params)
        return tuple([self.tracer(each) for each in outs])


def series_rule(op: Op, series: Sequence[Series], order: int, params: dict[str, Any]) -> Sequence[Series]:
    """The series of an op's results, all coefficients of the results' shape."""
    rule = rules.get(op, by_derivative)
    found = rule(*series, op=op, order=order, **params)
    return [[each[0], *[fitted(x, each[0]) for x in each[1:]]] for each in found]


def fitted(x: Any, value: Any) -> Any:
    """A coefficient in the shape of the value; `zero` for a value that has no derivative."""
    if x is zero or not typeof(value).differentiable:
        return zero
    return broadcast_in_dim(x, shape_of(value), range(len(shape_of(x))))


# ---- the rule of every op

def by_derivative(*series: Series, op: Op, order: int, **params: Any) -> Sequence[Series]:
    """The series from the op's jvp rule; the header of this module says how."""
    values = op.bind(*[x[0] for x in series], **params)
    if not any([typeof(y).differentiable for y in values]):
        return [[y] + [zero] * order for y in values]
    with running(JetTrace(context.trace, order - 1)) as trace:
        assert isinstance(trace, JetTrace)
        primals = [trace.tracer(x[:order]) for x in series]
        tangents = [zero if all([c is zero for c in x[1:]]) else trace.tracer(slopes(x)) for x in series]
        _, found = op.jvp(primals, tangents, **params)
        slopes_out = [[zero] * order if t is zero else trace.series_of(t) for t in found]
    return [[y, *[scaled(each[k], 1 / (k + 1)) for k in range(order)]]
            for y, each in zip(values, slopes_out, strict=True)]


def slopes(x: Series) -> Series:
    """The series of x'(t); its value at 0 is an array, zeros if need be."""
    found = [scaled(c, k + 1.0) for k, c in enumerate(x[1:])]
    return [scaled(x[0], 0.0) if found[0] is zero else found[0], *found[1:]]


# ---- sums of coefficients, of which any may be `zero`

def scaled(x: Any, factor: float) -> Any:
    """factor * x."""
    return x if x is zero or factor == 1 else mul(x, scalar_like(x, float(factor)))


def times(x: Any, y: Any) -> Any:
    """x * y."""
    return zero if x is zero or y is zero else mul(x, y)


def plus(*terms: Any) -> Any:
    """The sum of the terms."""
    total = zero
    for x in terms:
        total = x if total is zero else total if x is zero else add(total, x)
    return total
