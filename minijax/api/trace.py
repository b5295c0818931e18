"""Looking at programs: make_jaxpr, eval_shape, ShapeDtypeStruct."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.arguments import Arguments, check_leaves
from minijax.calls.jit import trace_function
from minijax.calls.static import JitOptions
from minijax.interpreters.batch import BatchTrace
from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.types import ArrayType
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.tracing.array import is_value, typeof
from minijax.tracing.context import context, running


class ShapeDtypeStruct(ArrayType):
    """A stand-in for an array: a shape and a dtype without values, as users write a type.

    >>> ShapeDtypeStruct((2, 3), 'float32')
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """

    __slots__ = ("sharding",)

    def __init__(self, shape: Sequence[int], dtype: Any, *, weak_type: bool = False, sharding: Any = None) -> None:
        super().__init__(checked_shape(shape), dtypes.canonical_dtype(dtype), weak_type)
        self.sharding = sharding

    @staticmethod
    def of(type: ArrayType) -> ShapeDtypeStruct:
        """The stand-in for values of an IR type."""
        return ShapeDtypeStruct(type.shape, type.dtype, weak_type=type.weak_type)

    def __repr__(self) -> str:
        weak = ", weak_type=True" if self.weak_type else ""
        return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype}{weak})"


def checked_shape(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of sizes; raises for what is none."""
    try:
        sizes = tuple([operator.index(n) for n in shape])
    except TypeError:
        raise MinijaxTypeError(f"ShapeDtypeStruct: a shape is a tuple of ints, got {shape!r}.") from None
    if any(n < 0 for n in sizes):
        raise MinijaxValueError(f"ShapeDtypeStruct: sizes are not negative, got the shape {sizes}.")
    return sizes


def as_type(x: Any) -> ArrayType:
    """The IR type of a value, or of a stand-in: anything with a shape and a dtype."""
    if is_stand_in(x) and not hasattr(x, "__array__"):
        return ArrayType(tuple(x.shape), dtypes.canonical_dtype(x.dtype), bool(getattr(x, "weak_type", False)))
    return typeof(x)


def is_stand_in(x: Any) -> bool:
    """Whether `x` has a shape and a dtype."""
    return hasattr(x, "shape") and hasattr(x, "dtype")


def as_types(call: Arguments) -> tuple[ArrayType, ...]:
    """The IR types of the leaves of a call; raises `MinijaxTypeError` naming the one that has none."""
    check_leaves(call.who, call.names, call.leaves, lambda x: is_value(x) or is_stand_in(x))
    return tuple([as_type(x) for x in call.leaves])


@boundary
def make_jaxpr(fun: Callable[..., Any], static_argnums: Any = (), axis_env: Any = None,
               return_shape: bool = False) -> Callable[..., Any]:
    """A function that traces `fun` and returns its program instead of its value.

    With `return_shape` it returns (program, tree of ShapeDtypeStruct).  `axis_env` lists the (name, size) of
    mapped axes that collectives in `fun` may run over.

    >>> print(make_jaxpr(lambda x: x * 2.0)(1.0))
    { lambda ; a:~f32[]. let b:~f32[] = mul a 2.0:~f32[] in (b,) }
    """
    check_callable("make_jaxpr", fun)
    options = JitOptions.of(fun, static_argnums)

    @boundary
    @functools.wraps(fun)
    def make(*args: Any, **kwargs: Any) -> Jaxpr | tuple[Jaxpr, Any]:
        call = options.arguments("make_jaxpr", fun, args, kwargs)
        types = as_types(call)
        with contextlib.ExitStack() as axes:
            for name, size in axis_env or ():
                axes.enter_context(running(BatchTrace(context.trace, size, name)))
            traced = trace_function(call, types)
        jaxpr = traced.open()
        shapes = traced.out_tree.unflatten([ShapeDtypeStruct.of(t) for t in jaxpr.out_types])
        return (jaxpr, shapes) if return_shape else jaxpr

    return make


@boundary
def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of `fun(*args)` without computing it; arguments may be `ShapeDtypeStruct`s.

    >>> eval_shape(lambda x: x * 2.0, ShapeDtypeStruct((3,), 'float32'))
    ShapeDtypeStruct(shape=(3,), dtype=float32)
    """
    return make_jaxpr(fun, return_shape=True)(*args, **kwargs)[1]
