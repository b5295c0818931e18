"""The arguments of a call as a transformation sees them: some are taken apart into leaves, the others are fixed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from minijax import pytree
from minijax.calls.names import argument_names, function_name, leaf_names
from minijax.errors import MinijaxTypeError
from minijax.ir.types import ArrayType
from minijax.tracing.array import is_value, typeof


class Arguments:
    """One call of a function under a transformation: `leaves` and `tree` of the arguments that move.

    `positions` and `keywords` say which arguments move; the rest is fixed.  Without `positions` all of them move.
    The tree is that of a pair: the tuple of moving positional arguments, the dict of those by keyword.
    """

    __slots__ = ("transform", "function", "args", "kwargs", "positions", "keywords", "leaves", "tree")

    def __init__(self, transform: str, function: Callable[..., Any], args: Sequence[Any],
                 kwargs: dict[str, Any] | None = None, positions: Sequence[int] | None = None,
                 keywords: Collection[str] = ()) -> None:
        self.transform = transform
        self.function = function
        self.args = args
        self.kwargs = kwargs or {}
        self.positions = positions
        self.keywords = keywords
        if positions is None:
            moving = tuple(args), self.kwargs
        else:
            moving = tuple([args[n] for n in positions]), {k: self.kwargs[k] for k in keywords}
        self.leaves, self.tree = pytree.flatten(moving)

    @property
    def who(self) -> str:
        """The transformation and its function, as errors begin: `vmap of loss`."""
        return f"{self.transform} of {function_name(self.function)}"

    @property
    def fixed(self) -> tuple[tuple[Any, type, Any], ...]:
        """Place, type and value of what does not move: a key, if it can be hashed.  (1, 1.0 and True are equal.)"""
        if self.positions is None:
            return ()
        by_position = [(n, x) for n, x in enumerate(self.args) if n not in self.positions]
        by_name = [(k, self.kwargs[k]) for k in sorted(self.kwargs) if k not in self.keywords]
        return tuple([(where, type(x), x) for where, x in (*by_position, *by_name)])

    def types(self) -> tuple[ArrayType, ...]:
        """The types of the leaves."""
        return tuple([typeof(x) for x in self.leaves])

    def names(self) -> list[str]:
        """What the leaves are called in messages: `argument params['w'][2]`."""
        every = self.positions is None
        names = argument_names(self.function, len(self.args))
        trees = [(names[n], self.args[n]) for n in (range(len(self.args)) if every else self.positions)]
        trees += [(k, self.kwargs[k]) for k in sorted(self.kwargs if every else self.keywords)]
        return [f"argument {leaf}" for name, tree in trees for leaf in leaf_names(name, tree)]

    def checked(self) -> Arguments:
        """These arguments; raises `MinijaxTypeError` for the first leaf that is no array and no scalar."""
        if not all(map(is_value, self.leaves)):
            check_leaves(self.who, self.names, self.leaves)
        return self

    def apply(self, moving: Sequence[Any], keywords: dict[str, Any]) -> Any:
        """Call the function with other values of the arguments that move."""
        if self.positions is None:
            return self.function(*moving, **keywords)
        args = list(self.args)
        for n, x in zip(self.positions, moving, strict=True):
            args[n] = x
        return self.function(*args, **{**self.kwargs, **keywords})

    def apply_leaves(self, leaves: Sequence[Any]) -> Any:
        """Call the function with other leaves."""
        return self.apply(*self.tree.unflatten(leaves))


def check_leaves(who: str, names: Callable[[], Sequence[str]], leaves: Sequence[Any],
                 accepts: Callable[[Any], bool] = is_value) -> None:
    """Raise `MinijaxTypeError` for the first leaf of what a function is given that is no array, by its name."""
    for number, x in enumerate(leaves):
        if not accepts(x):
            raise MinijaxTypeError(f"{who}: {names()[number]} is {x!r} of type {type(x).__name__}, "
                                   "not an array or a scalar. Close over it, or mark it static.")


def check_outputs(who: str, outs: Sequence[Any], tree: Any,
                  fix: str = "Leave it out, or return it from a plain function around this one.") -> None:
    """Raise `MinijaxTypeError` for the first leaf of what a function returned that is no array, by its path."""
    for number, x in enumerate(outs):
        if not is_value(x):
            name = leaf_names("result", tree.unflatten(outs))[number]
            raise MinijaxTypeError(f"{who} returned {x!r} of type {type(x).__name__} at {name}. "
                                   f"Results are pytrees of arrays and scalars. {fix}")
