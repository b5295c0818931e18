"""What transformations are told of arguments and results: functions, argnums, prefix trees; checked by name."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from minijax import pytree
from minijax.calls.arguments import Arguments
from minijax.errors import MinijaxTypeError, MinijaxValueError, TreeError
from minijax.ir import dtypes
from minijax.tracing.source import at_line


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


def spread(who: str, option: str, prefix: Any, whole: str, tree: Any, is_entry: Callable[[Any], bool],
           entries: str) -> list[Any]:
    """The entry of an option for each leaf of `tree`, of which the option is a pytree prefix.

    `is_entry` tells an entry from a subtree; `whole` and `entries` say in words what the tree and its entries
    are.  Raises `TreeError` for what is no prefix, and `MinijaxTypeError` for a leaf that is no entry.

    >>> spread("vmap of f", "in_axes", (0, 1), "arguments", ("x", ["y", "z"]), lambda x: type(x) is int, "ints")
    [0, 1, 1]
    """
    if is_entry(prefix):
        return [prefix] * len(pytree.leaves(tree))
    try:
        found = pytree.broadcast_prefix(prefix, tree, is_leaf=is_entry)
    except TreeError as error:
        raise TreeError(f"{who}: {option} is no prefix of the {whole}{at_line()}: {error} "
                        f"It holds {entries}, each for all that is in its place.") from None
    for entry in found:
        if not is_entry(entry):
            raise MinijaxTypeError(f"{who}: {option} holds {entries}, got {entry!r} in {prefix!r}{at_line()}.")
    return found


def check_inexact(call: Arguments, holomorphic: bool, allow_int: bool) -> None:
    """Raise `MinijaxTypeError` for a leaf that has no derivative of the kind asked for."""
    for number, type in enumerate(call.checked().types()):
        dtype = type.dtype
        if dtypes.is_float(dtype) and not holomorphic:
            continue
        if dtypes.is_complex(dtype) and (holomorphic or call.transform != "jacfwd"):
            continue
        if allow_int and not holomorphic and not dtypes.is_inexact(dtype) and not dtypes.is_key(dtype):
            continue
        raise MinijaxTypeError(f"{call.who}: {call.names()[number]} has dtype {dtype}, " + _needed(dtype, holomorphic))


def _needed(dtype: Any, holomorphic: bool) -> str:
    if holomorphic:
        return "but holomorphic=True differentiates complex arguments. Convert it with .astype('complex64')."
    if dtypes.is_complex(dtype):
        return ("which is complex. Pass holomorphic=True for a holomorphic function; else use jvp, or jacrev if the "
                "results are real.")
    return ("which has no derivative. Convert it with .astype('float32') or pass a float such as 1.0, or "
            "allow_int=True for zero gradients.")
