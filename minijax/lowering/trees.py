"""JAX's pytree registry behind minijax's: classes registered there just work here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import tree_util

from minijax.tracing.array import Array


def is_array(tree: Any) -> bool:
    """Where flattening stops: to JAX, an `Array` is a node."""
    return type(tree) is Array


def or_array(is_leaf: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """The user's test for leaves, and ours."""
    return lambda tree: type(tree) is Array or is_leaf(tree)


class JaxTrees:
    """The methods of `pytree.Backend`, answered by JAX."""

    PyTreeDef = tree_util.PyTreeDef
    key_classes = tree_util.SequenceKey, tree_util.DictKey, tree_util.GetAttrKey, tree_util.FlattenedIndexKey
    treedef_tuple = staticmethod(tree_util.treedef_tuple)

    def flatten(self, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
        """Leaves and structure."""
        return tree_util.tree_flatten(tree, is_array if is_leaf is None else or_array(is_leaf))

    def flatten_with_path(self, tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], Any]:
        """(path, leaf) pairs and structure."""
        return tree_util.tree_flatten_with_path(tree, is_array if is_leaf is None else or_array(is_leaf))

    def register_node(self, cls: type, flatten: Callable[..., Any], unflatten: Callable[..., Any],
                      flatten_with_keys: Callable[..., Any] | None = None) -> None:
        """Make instances of `cls` nodes, for JAX too."""
        tree_util.register_pytree_node(cls, flatten, unflatten, flatten_with_keys)


def register_array() -> None:
    """`Array` becomes a node of one leaf to JAX: a jitted call takes it on JAX's C++ path."""
    jax.tree_util.register_dataclass(Array, data_fields=["value"], meta_fields=[])
