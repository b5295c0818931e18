"""What things in a call are called: functions, parameters, leaves of trees; for messages and printed programs."""

from __future__ import annotations

import inspect
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


def argument_names(function: Any, count: int) -> list[str]:
    """Names of the parameters that take the first `count` arguments; `args[2]` for one that has none."""
    names = positional_names(function)[:count]
    return [*names, *[f"args[{n}]" for n in range(len(names), count)]]


def leaf_names(name: str, tree: Any) -> list[str]:
    """The name of each leaf of a tree that is called `name`: `params['w'][2]`."""
    return [name + pytree.keystr(path) for path, _ in pytree.leaves_with_path(tree)]
