"""The current trace, and what the equations recorded now are to remember.

One thread-local object: a new thread starts with the evaluating trace, no origin
and no overriding source.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
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
    `rules_on` is the trace that is current while the op's rules run: the parent, as a rule.
    `name` is the interpreter's name in origins and messages.
    """

    __slots__ = ("parent", "rules_on", "live", "records", "__weakref__")
    name = "trace"

    def __init__(self, parent: Trace | None) -> None:
        self.parent = parent
        self.rules_on = parent
        self.live = True
        self.records: bool = parent is not None and parent.records

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Apply `op`: the one method that an interpreter of values must write."""
        raise NotImplementedError(f"the interpreter '{self.name}' must define process(op, args, params)")

    def run_rule(self, op: Op, rule: Callable[..., Any], /, *args: Any, **params: Any) -> Any:
        """Run a rule of `op` with `rules_on` current; what it records is said to derive from `op`."""
        before = context.trace
        context.trace = self.rules_on  # type: ignore[assignment]
        try:
            if not self.records:
                return rule(*args, **params)
            with deriving(self.name, op):
                return rule(*args, **params)
        finally:
            context.trace = before

    def axes(self) -> tuple[MappedAxis, ...]:
        """The mapped axes around that have names, innermost first."""
        return self.parent.axes() if self.parent is not None else ()

    def around(self) -> Any:
        """What programs traced here may lean on besides their arguments; handlers say (`effects/handler.py`)."""
        return self.parent.around() if self.parent is not None else None

    def is_ancestor_or_self(self, other: Trace) -> bool:
        """Whether `self` is `other` or one of the traces around it."""
        return other is self or other.parent is not None and self.is_ancestor_or_self(other.parent)


class Context(threading.local):
    """What is current in this thread.  `initial` is the trace that a new thread starts with.

    `attribution` is what an equation recorded now is said to come from: a source (else the user's line that
    is running), an origin, and the equation of an earlier program.
    The attributes are set for each thread: reading them is quicker than falling back on the class.
    """

    initial: Trace

    def __init__(self) -> None:
        self.trace: Trace = getattr(Context, "initial", None)  # type: ignore[assignment]
        self.attribution: tuple[Source | None, Origin | None, Equation | None] = (None, None, None)


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


class attributed:
    """Context manager: what is recorded inside comes from this source, origin and earlier equation."""

    __slots__ = ("inside", "before")

    def __init__(self, source: Source | None, origin: Origin | None, equation: Equation | None) -> None:
        self.inside = source, origin, equation

    def __enter__(self) -> None:
        self.before = context.attribution
        context.attribution = self.inside

    def __exit__(self, *exception: Any) -> None:
        context.attribution = self.before


def located(equation: Equation) -> attributed:
    """Context manager: what is recorded inside comes from this equation of an earlier program."""
    return attributed(equation.source, equation.origin, equation)


def deriving(transform: str, op: Op) -> attributed:
    """Context manager: what is recorded inside was made by a rule of `op`, for a transform."""
    source, origin, equation = context.attribution
    return attributed(source, Origin(transform, op, equation, origin), None)


def bind(op: Op, *args: Any, **params: Any) -> tuple[Any, ...]:
    """Apply `op` to values in the current trace; also `op.bind(...)`."""
    return context.trace.process(op, args, params)


Op.bind = bind  # type: ignore[method-assign, assignment]
