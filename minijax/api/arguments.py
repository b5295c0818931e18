"""Arguments of transformations: argnums, leaves, and the checks that name what is wrong."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.calls.names import function_name, leaf_names
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.tracing.array import Array, is_value, typeof


def check_callable(transform: str, function: Any) -> None:
    """Raise `MinijaxTypeError` unless `function` can be called."""
    if not callable(function):
        raise MinijaxTypeError(f"{transform} takes a function, got {function!r} of type {type(function).__name__}. "
                               f"Pass the function itself: {transform}(f)(x), not {transform}(f(x)).")


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


def flatten_values(transform: str, function: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None,
                   positions: Sequence[int] | None = None) -> tuple[list[Any], Any]:
    """Leaves of positional arguments, or of (args, kwargs); each checked to be an array or a scalar."""
    leaves, tree = pytree.flatten(tuple(args) if kwargs is None else (tuple(args), kwargs))
    for x in leaves:
        if not isinstance(x, (Array, float, int)) and not is_value(x):
            raise_not_a_value(transform, function, args, kwargs, positions)
    return leaves, tree


def raise_not_a_value(transform: str, function: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None,
                      positions: Sequence[int] | None = None) -> None:
    """Raise `MinijaxTypeError` for the first leaf that is no array."""
    names = [f"argument {name}" for name in leaf_names(function, args, kwargs, positions)]
    check_leaves(f"{transform} of {function_name(function)}", names, pytree.leaves((tuple(args), kwargs or {})))


def check_leaves(who: str, names: Sequence[str], leaves: Sequence[Any],
                 accepts: Callable[[Any], bool] = is_value) -> None:
    """Raise `MinijaxTypeError` for the first leaf that is no array, by its name."""
    for name, x in zip(names, leaves, strict=True):
        if not accepts(x):
            raise MinijaxTypeError(f"{who}: {name} is {x!r} of type {type(x).__name__}, not an array or a scalar. "
                                   "Close over it, or mark it static.")


def check_inexact(transform: str, function: Any, args: Sequence[Any], argnums: Sequence[int], holomorphic: bool,
                  allow_int: bool) -> None:
    """Raise `MinijaxTypeError` for an argument that has no derivative of the kind asked for."""
    raise_not_a_value(transform, function, [args[n] for n in argnums], positions=argnums)
    for position in argnums:
        for number, x in enumerate(pytree.leaves(args[position])):
            dtype = typeof(x).dtype
            if dtypes.is_float(dtype) and not holomorphic:
                continue
            if dtypes.is_complex(dtype) and (holomorphic or transform != "jacfwd"):
                continue
            if allow_int and not holomorphic and not dtypes.is_inexact(dtype) and not dtypes.is_key(dtype):
                continue
            name = leaf_names(function, args)[len(pytree.leaves(args[:position])) + number]
            raise MinijaxTypeError(f"{transform} of {function_name(function)}: argument {name} has dtype {dtype}, "
                                   + _needed(dtype, holomorphic))


def _needed(dtype: Any, holomorphic: bool) -> str:
    if holomorphic:
        return "but holomorphic=True differentiates complex arguments. Convert it with .astype('complex64')."
    if dtypes.is_complex(dtype):
        return ("which is complex. Pass holomorphic=True for a holomorphic function; else use jvp, or jacrev if the "
                "results are real.")
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
