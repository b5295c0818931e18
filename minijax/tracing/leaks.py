"""Leaked tracers: the message says what leaked, who made it, who still holds it, and the fix."""

from __future__ import annotations

from typing import Any

from minijax.errors import UnexpectedTracerError
from minijax.tracing.array import Tracer
from minijax.tracing.context import Trace


def owns(trace: Trace, x: Any) -> bool:
    """Whether `x` is a tracer of `trace`.

    Raises `UnexpectedTracerError` for one of a trace that has finished or is not around this one.
    """
    if not isinstance(x, Tracer):
        return False
    if x.trace is trace:
        return True
    if not x.trace.live or not x.trace.is_ancestor_or_self(trace):
        raise UnexpectedTracerError(leak_message(x))
    return False


def leak_message(tracer: Tracer) -> str:
    """The text of a leak."""
    state = "has finished" if not tracer.trace.live else "is not the one running here"
    held = "".join(f"\nIt is held by {holder}." for holder in holders(tracer))
    return (f"A traced value of type {tracer.type} was used outside the trace that made it: that trace "
            f"({tracer.trace.name}) {state}.\n{tracer.describe()}{held}\n"
            "Return the value from the traced function instead of storing it in a global, a closure or an object.")


def holders(value: Any) -> list[str]:
    """Who refers to a value, in words: unknown here; `inspect/holders.py` puts its own in this place."""
    return []
