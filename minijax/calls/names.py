"""What things in a call are called: functions, parameters, leaves of arguments; for messages and printed programs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from minijax import pytree


def function_name(function: Any) -> str:
    """A function's name."""
    return getattr(function, "__name__", type(function).__name__)


def signature_of(function: Any) -> inspect.Signature | None:
    """The parameters of a function, if Python knows them; a wrapper has those of what it wraps."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function; none if Python does not know them."""
    signature = signature_of(function)
    return list(signature.parameters.values()) if signature else []


def positional_names(function: Any) -> list[str]:
    """Names of the parameters that can be given by position."""
    return [p.name for p in parameters(function) if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def leaf_names(function: Any, args: Sequence[Any], kwargs: dict[str, Any] | None = None,
               positions: Sequence[int] | None = None) -> list[str]:
    """The name of each leaf of a call, in the order of `(args, kwargs)`: `params['w'][2]`.

    `positions` are those of `args` among the function's parameters, if not all are given.
    """
    names = dict(enumerate(positional_names(function)))
    trees = [(names.get(n, f"args[{n}]"), arg) for n, arg in zip(positions or range(len(args)), args, strict=True)]
    trees += sorted((kwargs or {}).items())
    return [name + pytree.keystr(path) for name, tree in trees for path, _ in pytree.leaves_with_path(tree)]
