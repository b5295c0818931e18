"""Which arguments of a call are static, and telling a call's static part from its arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.names import leaf_names, parameters, positional_names
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.tracing.array import Tracer


class Static:
    """The static part of a call: values by position and by name.  Compares and hashes by them."""

    __slots__ = ("by_position", "by_name", "_hash")

    def __init__(self, by_position: tuple[tuple[int, Any], ...] = (),
                 by_name: tuple[tuple[str, Any], ...] = ()) -> None:
        self.by_position = by_position
        self.by_name = by_name
        self._hash = hash((by_position, by_name))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Static) or list(map(type, self.values())) != list(map(type, other.values())):
            return False
        return (self.by_position, self.by_name) == (other.by_position, other.by_name)

    def values(self) -> list[Any]:
        """The static values."""
        return [value for _, value in (*self.by_position, *self.by_name)]

    def restore(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The full call, from its dynamic part."""
        full = list(args)
        for position, value in self.by_position:
            full.insert(position, value)
        return full, {**kwargs, **dict(self.by_name)}


no_static = Static()


class JitOptions:
    """The options of `jit` that decide what is static and donated; hashable."""

    __slots__ = ("static_argnums", "static_argnames", "donate_argnums", "donate_argnames", "keep_unused",
                 "inline", "extra")

    def __init__(self, function: Callable[..., Any], static_argnums: Any = None, static_argnames: Any = None,
                 donate_argnums: Any = None, donate_argnames: Any = None, keep_unused: bool = False,
                 inline: bool = False, extra: tuple[tuple[str, Any], ...] = ()) -> None:
        self.static_argnums, self.static_argnames = _complete(
            function, as_tuple("static_argnums", static_argnums, int),
            as_tuple("static_argnames", static_argnames, str))
        self.donate_argnums, self.donate_argnames = _complete(
            function, as_tuple("donate_argnums", donate_argnums, int),
            as_tuple("donate_argnames", donate_argnames, str))
        both = {*self.static_argnums} & {*self.donate_argnums} or {*self.static_argnames} & {*self.donate_argnames}
        if both:
            raise MinijaxValueError(f"The argument {min(both)!r} is marked both static and donated. "
                                    "A static argument is no array: mark it one of the two.")
        self.keep_unused = keep_unused
        self.inline = inline
        self.extra = extra

    def key(self) -> tuple[Any, ...]:
        """A hashable summary."""
        return tuple(getattr(self, name) for name in JitOptions.__slots__)

    def for_backend(self) -> dict[str, Any]:
        """Keyword arguments for the backend's own jit."""
        return {name: getattr(self, name) for name in JitOptions.__slots__[:5]} | dict(self.extra)

    def split(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[tuple[Any, Any], Static]:
        """The dynamic part (args, kwargs) of a call, and its static part."""
        if not self.static_argnums and not self.static_argnames:
            return (tuple(args), kwargs), no_static
        numbers = {n + len(args) if n < 0 else n for n in self.static_argnums}
        by_position = tuple((i, x) for i, x in enumerate(args) if i in numbers)
        by_name = tuple(sorted((k, x) for k, x in kwargs.items() if k in self.static_argnames))
        for where, value in (*by_position, *by_name):
            check_hashable(where, value)
        dynamic = tuple(x for i, x in enumerate(args) if i not in numbers)
        named = {k: x for k, x in kwargs.items() if k not in self.static_argnames}
        return (dynamic, named), Static(by_position, by_name)

    def argument_names(self, function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[[], list[str]]:
        """A function that names each dynamic leaf: `argument params['w']`; called when a message needs it."""
        def names() -> list[str]:
            numbers = {n + len(args) if n < 0 else n for n in self.static_argnums}
            positions = [i for i in range(len(args)) if i not in numbers]
            named = {k: x for k, x in kwargs.items() if k not in self.static_argnames}
            found = leaf_names(function, [args[i] for i in positions], named, positions)
            return [f"argument {name}" for name in found]

        return names


def check_hashable(where: int | str, value: Any) -> None:
    """Raise `MinijaxTypeError` for a static argument that cannot be a cache key."""
    what = f"argument number {where}" if isinstance(where, int) else f"argument {where!r}"
    if isinstance(value, Tracer):
        raise MinijaxTypeError(f"The static {what} is a traced value ({value.type}). {value.describe()}\n"
                               "Static arguments are Python values: pass one, or do not mark the argument static.")
    try:
        hash(value)
    except TypeError:
        raise MinijaxTypeError(f"The static {what} is a {type(value).__name__}, which cannot be hashed: {value!r}. "
                               "Static arguments are keys of the cache of programs. Pass a tuple, or do not mark it "
                               "static.") from None


def as_tuple(name: str, value: Any, kind: type) -> tuple[Any, ...]:
    """An option that is one `kind` or several, as a tuple; raises `MinijaxTypeError`."""
    if value is None:
        return ()
    items = (value,) if isinstance(value, kind) else tuple(value) if isinstance(value, (list, tuple, set)) else None
    if items is None or not all(isinstance(item, kind) for item in items):
        raise MinijaxTypeError(f"{name} takes one {kind.__name__} or a tuple of them, got {value!r}.")
    return items


def _complete(function: Any, numbers: tuple[int, ...], keywords: tuple[str, ...]) -> tuple[Any, Any]:
    """Numbers and names of the same parameters: either given one implies the other."""
    names = positional_names(function)
    is_open = not names or any(p.kind == p.VAR_POSITIONAL for p in parameters(function))
    for n in numbers:
        if not is_open and not -len(names) <= n < len(names):
            raise MinijaxValueError(f"argument number {n} is marked static or donated, but the function has "
                                    f"{len(names)} positional parameters: {', '.join(names)}.")
    for k in keywords:
        if names and k not in names and all(p.kind != p.VAR_KEYWORD and p.name != k for p in parameters(function)):
            raise MinijaxValueError(f"The argument {k!r} is marked static or donated, but the function has the "
                                    f"parameters {', '.join(names)}.")
    more_names = {names[n] for n in numbers if -len(names) <= n < len(names)}
    more_numbers = {names.index(k) for k in keywords if k in names}
    return tuple(sorted({*numbers, *more_numbers})), tuple(sorted({*keywords, *more_names}))
