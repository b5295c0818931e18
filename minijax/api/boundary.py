"""The door between user code and the library: what an exception looks like from outside.

Nothing here costs anything until something is raised.  Our own errors lose the library's
frames; Python's own are explained where they come from a call that does not fit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from minijax.calls.names import function_name, signature_of
from minijax.errors import IntegerOverflowError, MinijaxError, MinijaxTypeError, TracerArrayConversionError
from minijax.tracing.source import is_internal, user_traceback


def boundary(function: Callable[..., Any]) -> Callable[..., Any]:
    """A public function whose errors show the user's frames only.

    The user's function is what `functools.wraps` wrapped, or else the first argument.
    """
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise shown(error, explain(error, function, args, kwargs))

    return call


def explain(error: Exception, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> MinijaxError | None:
    """Our own error for an exception that a wrong call, or a call of JAX on a tracer, is to blame for."""
    if isinstance(error, MinijaxError):
        return None
    if "__jax_array__" in str(error):
        return TracerArrayConversionError(
            f"A function of JAX was called with a value that minijax is tracing ({last_line(error.__traceback__)}). "
            "Use minijax's own function of the same name, or bring JAX's in with minijax.interop.")
    if isinstance(error, OverflowError):
        return IntegerOverflowError(f"A Python integer is too large for its dtype ({last_line(error.__traceback__)}): "
                                    f"{error}. Use a float, or 64-bit integers with jax_enable_x64.")
    if isinstance(error, TypeError) and not raised_by_user(error.__traceback__):
        return explain_call(function, args, kwargs)
    return None


def explain_call(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> MinijaxTypeError | None:
    """The error of a call whose arguments do not fit the function's parameters; None if they fit.

    `vjp(f, *args)` and others like it call f with the rest of their arguments.
    """
    signature = signature_of(function)
    if signature is None:
        return None
    passes_on = not hasattr(function, "__wrapped__") and any(
        p.kind == p.VAR_POSITIONAL for p in signature.parameters.values())
    if passes_on and args:
        return explain_call(args[0], args[1:], kwargs)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = function_name(function)
        return MinijaxTypeError(f"{name}({', '.join(signature.parameters)}) was called with arguments that do not fit: "
                                f"{error}. Pass one argument for each parameter.")
    return None


def shown(error: Exception, better: MinijaxError | None = None) -> Exception:
    """What to raise: the better error, if there is one; else this one, with the user's frames alone.

    JAX's note on its own frames is left out.  An exception of Python's that the library raised keeps
    all frames: the library is at fault.
    """
    if better is not None:
        better.__suppress_context__ = True
        return better
    notes = getattr(error, "__notes__", None)
    if notes:
        error.__notes__ = [note for note in notes if "JAX has removed its internal frames" not in note]
    if isinstance(error, MinijaxError) or raised_by_user(error.__traceback__):
        return error.with_traceback(user_traceback(error.__traceback__))
    return error


def raised_by_user(traceback: TracebackType | None) -> bool:
    """Whether the innermost frame is the user's, or the look-up of an attribute for the user."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback and traceback.tb_frame.f_code
    return code is not None and (code.co_name == "__getattr__" or not is_internal(code.co_filename))


def last_line(traceback: TracebackType | None) -> str:
    """`file:line` of the innermost user frame."""
    frame = user_traceback(traceback)
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "line unknown"
