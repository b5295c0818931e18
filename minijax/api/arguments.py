"""Arguments of transformations: argnums, leaves, and the checks that name what is wrong."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.tracing.array import Array, is_value, typeof
from minijax.tracing.source import user_traceback


def boundary(function: Callable[..., Any]) -> Callable[..., Any]:
    """A public function whose errors show the user's frames only."""
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except MinijaxError as error:
            raise error.with_traceback(user_traceback(error.__traceback__))

    return call


def check_callable(transform: str, function: Any) -> None:
    """Raise `MinijaxTypeError` unless `function` can be called."""
    if not callable(function):
        raise MinijaxTypeError(f"{transform} takes a function, got {function!r} of type {type(function).__name__}. "
                               f"Pass the function itself: {transform}(f)(x), not {transform}(f(x)).")


def function_name(function: Any) -> str:
    """A function's name, for messages."""
    return getattr(function, "__name__", type(function).__name__)


def canonical_argnums(transform: str, argnums: Any, count: int) -> tuple[int, ...]:
    """Non-negative positions; raises for what is no position among `count` arguments."""
    if type(argnums) is int and 0 <= argnums < count:
        return (argnums,)
    numbers = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    try:
        found = tuple(operator.index(n) for n in numbers)
    except TypeError:
        raise MinijaxTypeError(f"{transform}: argnums is an int or several, got {argnums!r}.") from None
    for n in found:
        if not -count <= n < count:
            raise MinijaxValueError(
                f"{transform}: argnums {argnums} asks for argument {n}, but the function was called with "
                f"{count} positional argument{'s' * (count != 1)}. Pass it by position.")
    canonical = tuple(n % count for n in found)
    if len(set(canonical)) != len(canonical):
        raise MinijaxValueError(f"{transform}: argnums {argnums} names an argument twice.")
    return canonical


def parameter_name(function: Any, position: int) -> str:
    """The name of a positional parameter, or `args[i]`."""
    try:
        names = [p.name for p in inspect.signature(function).parameters.values()
                 if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    except (ValueError, TypeError):
        names = []
    return names[position] if position < len(names) else f"args[{position}]"


def leaf_path(function: Any, position: int, tree: Any, number: int) -> str:
    """The name of leaf `number` of an argument: `params['w'][2]`."""
    path, _ = pytree.leaves_with_path(tree)[number]
    return parameter_name(function, position) + pytree.keystr(path)


def flatten_values(transform: str, function: Any, args: Sequence[Any]) -> tuple[list[Any], Any]:
    """Leaves of positional arguments, each checked to be an array or a scalar."""
    leaves, tree = pytree.flatten(tuple(args))
    for x in leaves:
        if not isinstance(x, (Array, float, int)) and not is_value(x):
            raise_not_a_value(transform, function, args)
    return leaves, tree


def raise_not_a_value(transform: str, function: Any, args: Sequence[Any]) -> None:
    """Raise `MinijaxTypeError` for the first leaf that is no array."""
    for position, arg in enumerate(args):
        for path, x in pytree.leaves_with_path(arg):
            if not is_value(x):
                raise MinijaxTypeError(
                    f"{transform} of {function_name(function)}: argument {parameter_name(function, position)}"
                    f"{pytree.keystr(path)} is {x!r} of type {type(x).__name__}, not an array or a scalar. "
                    "Close over it, or mark it static.")


def check_inexact(transform: str, function: Any, args: Sequence[Any], argnums: Sequence[int], holomorphic: bool,
                  allow_int: bool) -> None:
    """Raise `MinijaxTypeError` for an argument that has no derivative of the kind asked for."""
    for position in argnums:
        for number, x in enumerate(pytree.leaves(args[position])):
            dtype = typeof(x).dtype
            if dtypes.is_float(dtype) and not holomorphic:
                continue
            if dtypes.is_complex(dtype) and (holomorphic or transform in ("vjp", "jacfwd")):
                continue
            if not dtypes.is_inexact(dtype) and allow_int:
                continue
            name = leaf_path(function, position, args[position], number)
            raise MinijaxTypeError(f"{transform} of {function_name(function)}: argument {name} has dtype {dtype}, "
                                   + _needed(dtype, holomorphic))


def _needed(dtype: Any, holomorphic: bool) -> str:
    if holomorphic:
        return "but holomorphic=True differentiates complex arguments. Convert it with .astype('complex64')."
    if dtypes.is_complex(dtype):
        return ("which is complex. Pass holomorphic=True for a holomorphic function, or differentiate real and "
                "imaginary parts.")
    return ("which has no derivative. Convert it with .astype('float32') or pass a float such as 1.0, or "
            "allow_int=True for zero gradients.")


def split_args(args: Sequence[Any], argnums: Sequence[int]) -> tuple[list[Any], Callable[[Sequence[Any]], list[Any]]]:
    """The arguments at `argnums`, and a function that puts others in their places."""
    def restore(chosen: Sequence[Any]) -> list[Any]:
        full = list(args)
        for n, x in zip(argnums, chosen, strict=True):
            full[n] = x
        return full

    return [args[n] for n in argnums], restore
