"""Interpreters of pairs: a tracer is a value of the trace around, and a companion that the function does not see.

    differentiation   a primal and its tangent; no tangent is `zero`
    batching          a batch and the number of its batch axis; no axis is None

A value without a companion stays what it is: ops on such values are left to the parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.tracing.array import Tracer
from minijax.tracing.context import Trace, running
from minijax.tracing.leaks import owns


class PairTracer(Tracer):
    """A value of the parent's and its companion."""

    __slots__ = ("inner", "companion")

    def __init__(self, trace: Trace, inner: Any, companion: Any) -> None:
        self.trace = trace
        self.inner = inner
        self.companion = companion


class PairTrace(Trace):
    """Makes and takes apart pairs; `tracer` is their class, `nothing` the companion of a plain value."""

    __slots__ = ()
    tracer: type[PairTracer]
    nothing: Any = None

    def pair(self, values: Sequence[Any], companions: Sequence[Any]) -> tuple[Any, ...]:
        """A tracer for each value that has a companion; the others as they are."""
        return tuple([x if c is self.nothing else self.tracer(self, x, c)
                      for x, c in zip(values, companions, strict=True)])

    def split(self, values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """The inner values and their companions."""
        inner, companions = [], []
        for x in values:
            mine = owns(self, x)
            inner.append(x.inner if mine else x)
            companions.append(x.companion if mine else self.nothing)
        return inner, companions

    def run(self, function: Callable[..., Sequence[Any]], values: Sequence[Any],
            companions: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Run a function of flat values on pairs: its outputs and their companions."""
        with running(self):
            return self.split(function(*self.pair(values, companions)))
