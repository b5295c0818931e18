"""`jit`: compile a function once for the types it is called with.

At the bottom (no minijax trace running) a call goes, as it came, to the installed backend's
compiled function.  Under a trace the function is traced once per types, and the op `jit` is
bound to its program.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary, explain, shown
from minijax.calls.jit import Traced, call_traced, trace_cache
from minijax.calls.names import function_name
from minijax.calls.static import Frozen, JitOptions
from minijax.config import state
from minijax.errors import DonatedArrayError, MinijaxError, UnexpectedTracerError
from minijax.interpreters.evaluate import base_trace
from minijax.tracing.array import Array, Tracer, check_not_donated
from minijax.tracing.context import context
from minijax.tracing.leaks import leak_message
from minijax.tracing.source import at_line
from minijax.util import bounded

# function -> {(options, context token): the backend's compiled function}; so `jit(f)(x)` in a loop compiles once.
compiled_functions: weakref.WeakKeyDictionary[Any, dict[Any, Any]] = weakref.WeakKeyDictionary()


class JittedFunction:
    """A function compiled per types of its arguments; `jit` makes it."""

    def __init__(self, function: Callable[..., Any], options: JitOptions) -> None:
        functools.update_wrapper(self, function)
        self.__wrapped__ = function
        self._options = options
        self._programs = trace_cache(function)
        self._fast: Any = None
        self._token: Any = None
        self._array_classes: tuple[type, ...] = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if context.trace is base_trace and state.token is self._token:
                outs = self._fast(*args, **kwargs)
                return Array(outs) if type(outs) in self._array_classes else outs
            return self._call(args, kwargs)
        except Exception as error:
            raise shown(error, self._explain(error, args, kwargs))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __repr__(self) -> str:
        return f"<jit of {self.__wrapped__!r}>"

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if state.jax_disable_jit:
            return self.__wrapped__(*args, **kwargs)
        if context.trace is base_trace and state.evaluator == "xla":
            self._check(args, kwargs)
            fast = self._backend_function()
            if fast is not None:
                self._fast, self._token, self._array_classes = fast, state.token, Array.backend.array_classes()
                return self(*args, **kwargs)
        args = self._cut("in_shardings", args)
        traced, leaves = self._traced(args, kwargs)
        outs = call_traced(traced, leaves, function_name(self.__wrapped__), self._options.inline)
        return self._cut("out_shardings", outs)

    def _cut(self, option: str, tree: Any) -> Any:
        """Arguments or results under a trace, constrained as the options say."""
        shardings = self._options.for_backend().get(option)
        return tree if shardings is None else Array.backend.constrain(tree, shardings)

    def _backend_function(self) -> Any:
        function = self.__wrapped__
        key = self._options, state.token
        try:
            found = compiled_functions.setdefault(function, {})
        except TypeError:
            found = {}
        if key not in found:
            bounded(found, key, Array.backend.compile(function, self._options), 256)
        return found[key]

    def _traced(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Traced, list[Any]]:
        call = self._options.arguments("jit", self.__wrapped__, args, kwargs).checked()
        return self._programs.get(call, call.types()), call.leaves

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise the error that names what is wrong with the arguments of a call, if something is."""
        call = self._options.arguments("jit", self.__wrapped__, args, kwargs)
        for x in call.leaves:
            if isinstance(x, Tracer) and context.trace is base_trace:
                raise UnexpectedTracerError(leak_message(x))
        call.checked()
        check_not_donated(call.leaves)

    def _explain(self, error: Exception, args: tuple[Any, ...], kwargs: dict[str, Any]) -> MinijaxError | None:
        """Our own error for an exception that the call is to blame for."""
        if isinstance(error, MinijaxError):
            return None
        try:
            self._check(args, kwargs)
        except MinijaxError as better:
            return better.with_traceback(None)
        if "donated in the same call" in str(error):
            return DonatedArrayError(
                f"jit of {function_name(self.__wrapped__)}: an array is passed twice in one call{at_line()}, and its "
                "memory is donated. Pass a copy, or leave it out of donate_argnums.")
        return explain(error, self.__wrapped__, args, kwargs)


@boundary
def jit(fun: Callable[..., Any] | None = None, *, static_argnums: Any = None, static_argnames: Any = None,
        donate_argnums: Any = None, donate_argnames: Any = None, keep_unused: bool = False, device: Any = None,
        backend: str | None = None, inline: bool = False, in_shardings: Any = None, out_shardings: Any = None) -> Any:
    """Compile `fun` with XLA, once for each combination of argument types.

    `static_argnums`/`static_argnames` mark arguments that are Python values, part of the cache's key;
    `donate_argnums`/`donate_argnames` those whose memory the results may reuse.  With `inline` the
    program's equations join the caller's instead of staying a `jit` equation.  `in_shardings` and
    `out_shardings`, pytree prefixes of the arguments and the result, say how they are cut along a mesh;
    under another transformation they are constraints.

    >>> jit(lambda x: x + 1)(2.0)
    Array(3., dtype=float32, weak_type=True)
    """
    if fun is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, donate_argnums=donate_argnums,
            donate_argnames=donate_argnames, keep_unused=keep_unused, device=device, backend=backend, inline=inline,
            in_shardings=in_shardings, out_shardings=out_shardings)
    check_callable("jit", fun)
    options = {"device": device, "backend": backend, "in_shardings": in_shardings, "out_shardings": out_shardings}
    placement = tuple([(k, Frozen.of(v)) for k, v in options.items() if v is not None])
    return JittedFunction(fun, JitOptions.of(fun, static_argnums, static_argnames, donate_argnums, donate_argnames,
                                             keep_unused=keep_unused, inline=inline, placement=placement))


# ---- transforms of jitted functions ----

_transformed: weakref.WeakKeyDictionary[Any, dict[Any, JittedFunction]] = weakref.WeakKeyDictionary()


def eagerly_jitted(fun: Any, key: tuple[Any, ...], transform: Callable[[Any], Any]) -> Callable[..., Any]:
    """`transform(fun)`; of a jitted function it is, called eagerly, one compiled program too.

    `key` names the transform and its options.  The compiled program is kept with the function itself,
    so that `grad(jit(f))(x)` in a loop compiles once.
    """
    plain: Callable[..., Any] = boundary(transform(fun))
    if not isinstance(fun, JittedFunction) or fun._options.of_arguments:
        return plain
    key = *key, fun._options
    try:
        known = _transformed.setdefault(fun.__wrapped__, {})
        if key not in known:
            bounded(known, key, JittedFunction(transform(_held_weakly(fun.__wrapped__)), fun._options), 256)
        jitted = known[key]
    except TypeError:  # not hashable: nothing can be kept
        return plain

    @functools.wraps(fun.__wrapped__)
    def call(*args: Any, **kwargs: Any) -> Any:
        return (jitted if context.trace is base_trace else plain)(*args, **kwargs)

    return call


def _held_weakly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that calls another without keeping it alive; by its name and signature it is the same."""
    reference = weakref.ref(function)

    def call(*args: Any, **kwargs: Any) -> Any:
        return reference()(*args, **kwargs)  # type: ignore[misc]

    call.__name__ = call.__qualname__ = function_name(function)
    call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return call
