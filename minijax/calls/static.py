"""The options of `jit`: which arguments of a call are static, which are donated."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from minijax import pytree
from minijax.calls.arguments import Arguments
from minijax.calls.names import parameters, positional_names
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.tracing.array import Tracer


@dataclasses.dataclass(frozen=True)
class Frozen:
    """A pytree of options that can be a key."""

    leaves: tuple[Any, ...]
    tree: Any

    @staticmethod
    def of(value: Any) -> Frozen:
        """The frozen form; None is a leaf."""
        leaves, tree = pytree.flatten(value, lambda x: x is None)
        return Frozen(tuple(leaves), tree)


@dataclasses.dataclass(frozen=True)
class JitOptions:
    """The options of `jit`, complete: a parameter of the function is marked by its number and by its name."""

    static_argnums: tuple[int, ...]
    static_argnames: tuple[str, ...]
    donate_argnums: tuple[int, ...] = ()
    donate_argnames: tuple[str, ...] = ()
    keep_unused: bool = False
    inline: bool = False
    placement: tuple[tuple[str, Frozen], ...] = ()

    @staticmethod
    def of(function: Callable[..., Any], static_argnums: Any = None, static_argnames: Any = None,
           donate_argnums: Any = None, donate_argnames: Any = None, **others: Any) -> JitOptions:
        """The options as a user gives them; raises for what does not fit the function's parameters."""
        static = _complete(function, as_tuple("static_argnums", static_argnums, int),
                           as_tuple("static_argnames", static_argnames, str))
        donated = _complete(function, as_tuple("donate_argnums", donate_argnums, int),
                            as_tuple("donate_argnames", donate_argnames, str))
        both = {*static[0]} & {*donated[0]} or {*static[1]} & {*donated[1]}
        if both:
            raise MinijaxValueError(f"The argument {min(both)!r} is marked both static and donated. "
                                    "A static argument is no array: mark it one of the two.")
        return JitOptions(*static, *donated, **others)

    def for_backend(self) -> dict[str, Any]:
        """Keyword arguments for the backend's own jit."""
        names = ("static_argnums", "static_argnames", "donate_argnums", "donate_argnames", "keep_unused")
        return {name: getattr(self, name) for name in names} | {
            name: value.tree.unflatten(value.leaves) for name, value in self.placement}

    @property
    def of_arguments(self) -> bool:
        """Whether an option describes arguments or results one by one, so that it fits this function only."""
        return bool(self.donate_argnums or self.donate_argnames) or any("shardings" in k for k, _ in self.placement)

    def arguments(self, transform: str, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Arguments:
        """The arguments of a call, of which the static ones do not move."""
        if not self.static_argnums and not self.static_argnames:
            return Arguments(transform, function, args, kwargs)
        numbers = {n + len(args) if n < 0 else n for n in self.static_argnums}
        call = Arguments(transform, function, args, kwargs, [n for n in range(len(args)) if n not in numbers],
                         kwargs.keys() - {*self.static_argnames})
        for where, _, value in call.fixed:
            check_hashable(where, value)
        return call


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
    kinds = {p.name: p.kind for p in parameters(function)}
    is_open = not names or any(kind == kind.VAR_POSITIONAL for kind in kinds.values())
    for n in numbers:
        if not is_open and not -len(names) <= n < len(names):
            raise MinijaxValueError(f"argument number {n} is marked static or donated, but the function has "
                                    f"{len(names)} positional parameters: {', '.join(names)}.")
    for k in keywords:
        if names and k not in kinds and not any(kind == kind.VAR_KEYWORD for kind in kinds.values()):
            raise MinijaxValueError(f"The argument {k!r} is marked static or donated, but the function has the "
                                    f"parameters {', '.join(names)}.")
    more_names = {names[n] for n in numbers if -len(names) <= n < len(names)}
    more_numbers = {names.index(k) for k in keywords if k in names}
    return tuple(sorted({*numbers, *more_numbers})), tuple(sorted({*keywords, *more_names}))
