"""The stages of a jitted function, one at a time: `f.trace(...)`, `.lower()`, `.compile()`, and the executable.

    jit(f).trace(x)       the traced program: `.jaxpr`, `.out_info`
    jit(f).lower(x)       its StableHLO: `.as_text()`
    .compile()            an executable for these types: `.cost_analysis()`, `.memory_analysis()`

Calls do not pass here; the methods are filled in for who wants to look.
"""

from __future__ import annotations

from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.api.jit import JittedFunction, compiled_functions
from minijax.api.trace import ShapeDtypeStruct, as_types
from minijax.calls.jit import Traced
from minijax.errors import MinijaxTypeError
from minijax.interop import runtime
from minijax.tracing.array import Array


class TracedFunction:
    """A function traced at some types: `.jaxpr`, `.out_info`, `.lower()`."""

    def __init__(self, jitted: JittedFunction, traced: Traced, args: Any, kwargs: Any) -> None:
        self.jaxpr = traced.open()
        self.out_info = traced.out_tree.unflatten([ShapeDtypeStruct.of(t) for t in self.jaxpr.out_types])
        self._jitted, self._args, self._kwargs = jitted, args, kwargs

    def lower(self) -> Lowered:
        """Lower to StableHLO."""
        function = self._jitted._backend_function()
        if function is None:
            raise NotImplementedError("lowering needs JAX, which is not installed. Run `pip install jax`.")
        args, kwargs = pytree.map(runtime.abstract, (self._args, self._kwargs))
        return Lowered(function.lower(*args, **kwargs))


def plain(found: Any) -> Any:
    """What JAX tells of results, a tree with its own leaves in our arrays' places, without those."""
    return found if callable(found) else pytree.map(lambda x: x.value if isinstance(x, Array) else x, found)


class Lowered:
    """A program lowered to StableHLO: `.as_text()`, `.compile()`, `.cost_analysis()`."""

    def __init__(self, lowered: Any) -> None:
        self._lowered = lowered

    def __getattr__(self, name: str) -> Any:
        return plain(getattr(self._lowered, name))

    def as_text(self, dialect: str | None = None, **options: Any) -> str:
        """The program's StableHLO (or HLO) text."""
        return self._lowered.as_text(dialect, **options)

    def compile(self, **options: Any) -> Compiled:
        """Compile with XLA."""
        return Compiled(self._lowered.compile(**options))


class Compiled:
    """An executable for one set of types: call it; `.as_text()`, `.cost_analysis()`, `.memory_analysis()`."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled

    def __getattr__(self, name: str) -> Any:
        return plain(getattr(self._compiled, name))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = plain((args, kwargs))
        try:
            outs = self._compiled(*args, **kwargs)
            return Array(outs) if type(outs) in Array.backend.array_classes() else outs
        except TypeError as error:
            raise MinijaxTypeError(
                f"A compiled program was called with other arguments than it was compiled for. {error}\n"
                "Call the jitted function itself, or compile for these arguments.") from None


@boundary
def trace(self: JittedFunction, *args: Any, **kwargs: Any) -> TracedFunction:
    """The traced program for these arguments (arrays or `ShapeDtypeStruct`s), ready to `.lower()`."""
    call = self._options.arguments("jit", self.__wrapped__, args, kwargs)
    return TracedFunction(self, self._programs.get(call, as_types(call)), args, kwargs)


@boundary
def lower(self: JittedFunction, *args: Any, **kwargs: Any) -> Lowered:
    """The program lowered to StableHLO for these arguments; `.as_text()`, `.compile()`."""
    return trace(self, *args, **kwargs).lower()


@boundary
def eval_shape(self: JittedFunction, *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of the results."""
    return trace(self, *args, **kwargs).out_info


def clear_cache(self: JittedFunction) -> None:
    """Forget every compiled program and every traced one."""
    compiled_functions.pop(self.__wrapped__, None)
    self._programs.programs.clear()
    if hasattr(self._fast, "clear_cache"):
        self._fast.clear_cache()
    self._fast = self._token = None


JittedFunction.clear_cache = clear_cache  # type: ignore[attr-defined]
JittedFunction.trace, JittedFunction.lower, JittedFunction.eval_shape = trace, lower, eval_shape  # type: ignore
