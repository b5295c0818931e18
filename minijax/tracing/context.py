"""The current trace, and what the equations recorded now are to remember.

One thread-local object: a new thread starts with the evaluating trace, no origin
and no overriding source.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

from minijax.ir.jaxpr import Equation, Origin, Source
from minijax.ir.op import Op


class MappedAxis(NamedTuple):
    """A named axis of examples or devices; `tracked` if types say which values vary along it (else all may)."""

    name: Any
    size: int
    tracked: bool = False


class Trace:
    """One running interpreter.  A trace holds its parent and runs rules with the parent current.

    `live` turns False when the trace is closed: its tracers then are leaks.
    `records` tells whether this trace, or one around it, records equations.
    `name` is the interpreter's name in origins and messages.
    """

    __slots__ = ("parent", "live", "records", "__weakref__")
    name = "trace"

    def __init__(self, parent: Trace | None) -> None:
        self.parent = parent
        self.live = True
        self.records: bool = parent is not None and parent.records

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Apply `op`: the one method that an interpreter of values must write."""
        raise NotImplementedError(f"the interpreter '{self.name}' must define process(op, args, params)")

    def axes(self) -> tuple[MappedAxis, ...]:
        """The mapped axes around that have names, innermost first."""
        return self.parent.axes() if self.parent is not None else ()

    def is_ancestor_or_self(self, other: Trace) -> bool:
        """Whether `self` is `other` or one of the traces around it."""
        trace: Trace | None = other
        while trace is not None and trace is not self:
            trace = trace.parent
        return trace is self


class Context(threading.local):
    """What is current in this thread.  `initial` is the trace that a new thread starts with.

    The attributes are set for each thread: reading them is quicker than falling back on the class.
    """

    initial: Trace

    def __init__(self) -> None:
        self.trace: Trace = getattr(Context, "initial", None)  # type: ignore[assignment]
        self.origin: Origin | None = None
        self.source: Source | None = None
        self.equation: Equation | None = None


context = Context()


class running:
    """Context manager: `trace` is current inside and closed on exit, on error too.

    A class rather than a generator: it is entered on every transformation.
    """

    __slots__ = ("trace", "before")

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __enter__(self) -> Trace:
        self.before = context.trace
        context.trace = self.trace
        return self.trace

    def __exit__(self, *exception: Any) -> None:
        context.trace = self.before
        self.trace.live = False


class located:
    """Context manager: what is recorded inside comes from this equation of an earlier program."""

    __slots__ = ("equation", "before")

    def __init__(self, equation: Equation) -> None:
        self.equation = equation

    def __enter__(self) -> None:
        self.before = context.source, context.origin, context.equation
        context.source, context.origin, context.equation = self.equation.source, self.equation.origin, self.equation

    def __exit__(self, *exception: Any) -> None:
        context.source, context.origin, context.equation = self.before


class deriving:
    """Context manager: what is recorded inside was made by a rule of `op`, for a transform."""

    __slots__ = ("transform", "op", "before")

    def __init__(self, transform: str, op: Op) -> None:
        self.transform = transform
        self.op = op

    def __enter__(self) -> None:
        self.before = context.origin, context.equation
        context.origin = Origin(self.transform, self.op, context.equation, context.origin)
        context.equation = None

    def __exit__(self, *exception: Any) -> None:
        context.origin, context.equation = self.before


def bind(op: Op, *args: Any, **params: Any) -> tuple[Any, ...]:
    """Apply `op` to values in the current trace; also `op.bind(...)`."""
    return context.trace.process(op, args, params)


Op.bind = bind  # type: ignore[method-assign, assignment]
