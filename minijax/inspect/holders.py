"""Who holds a leaked tracer: a search of the garbage collector's graph, in words for the message."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from minijax.tracing import leaks
from minijax.tracing.source import is_internal


def holders(value: Any) -> list[str]:
    """Who refers to a value: global variables, items of named containers, attributes, closures; at most three."""
    found: list[str] = []
    for referrer in gc.get_referrers(value):
        if isinstance(referrer, dict):
            found.extend(_dict_entries(referrer, value))
        elif isinstance(referrer, (list, tuple, set)):
            name = _global_name(referrer)
            found.extend(f"{name}, item {i}" for i, x in enumerate(referrer) if name and x is value)
        elif type(referrer).__name__ == "cell":
            found.extend(_functions_with_cell(referrer))
        elif hasattr(referrer, "__dict__"):
            found.extend(_attributes(referrer, value))
    return list(dict.fromkeys(found))[:3]


def _attributes(owner: Any, value: Any) -> Iterator[str]:
    for name, x in list(vars(owner).items()):
        if x is value:
            yield f"the attribute {name!r} of a {type(owner).__name__}"


def _functions_with_cell(cell: Any) -> Iterator[str]:
    for closure in gc.get_referrers(cell):
        if isinstance(closure, tuple):
            for f in gc.get_referrers(closure):
                if isinstance(f, FunctionType) and not is_internal(f.__code__.co_filename):
                    yield f"the closure of {f.__qualname__}"


def _dict_entries(entries: dict[Any, Any], value: Any) -> Iterator[str]:
    keys = [key for key, x in list(entries.items()) if x is value]
    if _is_module(entries):
        yield from (f"the global variable {key!r} of module {entries['__name__']}" for key in keys)
        return
    owner = next((o for o in gc.get_referrers(entries) if getattr(o, "__dict__", None) is entries), None)
    name = f"a {type(owner).__name__}" if owner is not None else _global_name(entries)
    if name:
        what = "attribute" if owner is not None else "key"
        yield from (f"{name}, {what} {key!r}" for key in keys)


def _is_module(entries: dict[Any, Any]) -> bool:
    return "__builtins__" in entries and not is_internal(entries.get("__file__") or "")


def _global_name(container: Any) -> str | None:
    """A container, by the global variable that holds it; None if none does."""
    for referrer in gc.get_referrers(container):
        if isinstance(referrer, dict) and _is_module(referrer):
            for name, x in list(referrer.items()):
                if x is container:
                    return f"the {type(container).__name__} {name!r} of module {referrer['__name__']}"
    return None


leaks.holders = holders
