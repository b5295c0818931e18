"""L2: values, tracers, and the current trace.  `bind` is the one door to every op."""

from minijax.tracing.array import Array, Tracer, is_value, typeof
from minijax.tracing.context import Trace, bind, context, located, running
from minijax.tracing.source import hide_frames, user_source

__all__ = ["Array", "Trace", "Tracer", "bind", "context", "hide_frames", "is_value", "located", "running",
           "typeof", "user_source"]
