"""Pytrees by short names: `minijax.tree.map(f, params)` and its relatives, as in `jax.tree`.

Everything works on the installed registry: under XLA that is JAX's own, so that classes
registered with `jax.tree_util` are nodes here too.  Arrays are leaves.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

from minijax import pytree
from minijax.errors import MinijaxTypeError
from minijax.pytree import flatten, leaves, map, one_level, structure

__all__ = ["all", "broadcast", "flatten", "flatten_with_path", "leaves", "leaves_with_path", "map", "map_with_path",
           "reduce", "reduce_associative", "static", "structure", "transpose", "unflatten"]

_UNSET: Any = object()


class _Marked:
    """A subtree at which flattening stops, whatever it is."""

    def __init__(self, path: tuple[Any, ...], tree: Any) -> None:
        self.path = path
        self.tree = tree


def _mark_leaves(path: tuple[Any, ...], tree: Any, is_leaf: Callable[[Any, Any], bool]) -> Any:
    """The tree with every leaf, and every subtree that `is_leaf(path, subtree)` names, marked."""
    if is_leaf(path, tree):
        return _Marked(path, tree)
    children, treedef = one_level(tree)
    if treedef.node_data() is None:
        return _Marked(path, tree)
    return treedef.unflatten([_mark_leaves((*path, key), child, is_leaf) for key, child in children])


def unflatten(treedef: Any, leaves: Iterable[Any]) -> Any:
    """Undo `flatten`.

    >>> unflatten(structure([0, (0,)]), [1, 2])
    [1, (2,)]
    """
    return treedef.unflatten(leaves)


def flatten_with_path(tree: Any, is_leaf: Callable[..., bool] | None = None,
                      is_leaf_takes_path: bool = False) -> tuple[list[tuple[Any, Any]], Any]:
    """(path, leaf) pairs and structure; `minijax.tree_util.keystr` prints a path.

    With `is_leaf_takes_path`, `is_leaf` is called with a path and the subtree there.

    >>> pairs, treedef = flatten_with_path({"w": [1, 2]})
    >>> [(pytree.keystr(path), leaf) for path, leaf in pairs]
    [("['w'][0]", 1), ("['w'][1]", 2)]
    """
    if is_leaf is None or not is_leaf_takes_path:
        return pytree.flatten_with_path(tree, is_leaf)
    marked, treedef = pytree.flatten(_mark_leaves((), tree, is_leaf))
    return [(leaf.path, leaf.tree) for leaf in marked], treedef


def leaves_with_path(tree: Any, is_leaf: Callable[..., bool] | None = None,
                     is_leaf_takes_path: bool = False) -> list[tuple[Any, Any]]:
    """(path, leaf) pairs.

    >>> [leaf for path, leaf in leaves_with_path((1, [2]))]
    [1, 2]
    """
    return flatten_with_path(tree, is_leaf, is_leaf_takes_path)[0]


def map_with_path(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[..., bool] | None = None,
                  is_leaf_takes_path: bool = False) -> Any:
    """As `map`, with the leaf's path as first argument of `f`.

    >>> map_with_path(lambda path, x: len(path) * x, (1, [10]))
    (1, [20])
    """
    pairs, treedef = flatten_with_path(tree, is_leaf, is_leaf_takes_path)
    columns = [pytree.flatten_up_to(treedef, tree, other, None if is_leaf_takes_path else is_leaf) for other in rest]
    return treedef.unflatten([f(*pair, *row) for pair, *row in zip(pairs, *columns, strict=True)])


def all(tree: Any, *, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether every leaf is true.

    >>> all({"a": True, "b": [1, 0]})
    False
    """
    return False not in [bool(leaf) for leaf in leaves(tree, is_leaf)]


def reduce(function: Callable[[Any, Any], Any], tree: Any, initializer: Any = _UNSET,
           is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """`functools.reduce` over the leaves.

    >>> reduce(max, {"a": 3, "b": [5, 4]})
    5
    """
    start = () if initializer is _UNSET else (initializer,)
    return functools.reduce(function, leaves(tree, is_leaf), *start)


def reduce_associative(operation: Callable[[Any, Any], Any], tree: Any, *, identity: Any = _UNSET,
                       is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Combine the leaves in a balanced tree of calls; `identity` is the result for no leaves.

    Raises `MinijaxTypeError` for a tree of no leaves without an identity.

    >>> reduce_associative(lambda x, y: f"({x}{y})", ["a", "b", "c", "d"])
    '((ab)(cd))'
    """
    items = leaves(tree, is_leaf)
    if not items:
        if identity is _UNSET:
            raise MinijaxTypeError("reduce_associative of a tree without leaves. Pass identity=, the result for none.")
        return identity
    return _combine(operation, items)


def _combine(operation: Callable[[Any, Any], Any], items: list[Any]) -> Any:
    if len(items) == 1:
        return items[0]
    half = len(items) // 2
    return operation(_combine(operation, items[:half]), _combine(operation, items[half:]))


def static(**kwargs: Any) -> Any:
    """A dataclass field that `register_dataclass` makes part of the structure; arguments as `dataclasses.field`'s.

    >>> static(default="add").metadata["static"]
    True
    """
    metadata = {**(kwargs.pop("metadata", None) or {}), "static": True}
    return dataclasses.field(metadata=metadata, **kwargs)


def transpose(outer_treedef: Any, inner_treedef: Any, pytree_to_transpose: Any) -> Any:
    """Turn a tree of trees inside out; `inner_treedef` may be None, then it is the first inner tree's.

    >>> transpose(structure([0, 0]), None, [{"a": 1}, {"a": 2}])
    {'a': [1, 2]}
    """
    rows = outer_treedef.flatten_up_to(pytree_to_transpose)
    inner = structure(rows[0] if rows else None) if inner_treedef is None else inner_treedef
    columns = zip(*[inner.flatten_up_to(row) for row in rows], strict=True)
    transposed = [outer_treedef.unflatten(column) for column in columns]
    return inner.unflatten(transposed if rows else [outer_treedef.unflatten(())] * inner.num_leaves)


def broadcast(prefix_tree: Any, full_tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Repeat each leaf of a prefix for all leaves in its place; the result has `full_tree`'s structure.

    >>> broadcast((1, 2), (0, [0, 0]))
    (1, [2, 2])
    """
    return structure(full_tree).unflatten(pytree.broadcast_prefix(prefix_tree, full_tree, is_leaf))
