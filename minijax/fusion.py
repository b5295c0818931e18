"""Library functions as one kernel when they are called eagerly."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax.api.jit import jit
from minijax.effects.handler import Handler, current
from minijax.interpreters.evaluate import base_trace
from minijax.tracing.context import context


def fused(fun: Callable[..., Any], static_argnames: tuple[str, ...] = ()) -> Callable[..., Any]:
    """`fun`, compiled as one kernel when it is called eagerly; under a trace, `fun` itself.

    For library functions made of several ops: eager calls cost one dispatch, and programs show the
    ops themselves, not a call.
    """
    @functools.cache
    def jitted() -> Any:  # made on first use: importing a namespace makes none
        return jit(fun, static_argnames=static_argnames)

    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.trace is base_trace:
            return jitted()(*args, **kwargs)
        if not evaluating():
            return fun(*args, **kwargs)
        with current(base_trace):
            return jitted()(*args, **kwargs)

    return call


def evaluating() -> bool:
    """Whether ops are evaluated at once here: only handlers are around, which have no part in library functions."""
    trace = context.trace
    while isinstance(trace, Handler):
        trace = trace.parent
    return trace is base_trace


def apart(jitted: Callable[..., Any]) -> Callable[..., Any]:
    """A jitted library function for which, where ops are evaluated at once, no handler is around."""
    @functools.wraps(jitted)
    def call(*args: Any, **kwargs: Any) -> Any:
        if context.trace is base_trace or not evaluating():
            return jitted(*args, **kwargs)
        with current(base_trace):
            return jitted(*args, **kwargs)

    return call
