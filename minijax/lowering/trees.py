"""JAX's pytree registry behind minijax's: classes registered there just work here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

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


class Results(NamedTuple):
    """What a compiled function gives JAX to return: bare values, and the structure in which the user gets them."""

    values: Sequence[Any]
    tree: Any


def given(tree: Any, values: Sequence[Any]) -> Any:
    """Results as Arrays; JAX's tracers stay as they are, so that `jax.grad(jit(f))` works."""
    classes = Array.backend.array_classes()
    arrays = [Array(x) for x in values if type(x) in classes]
    return tree.unflatten(arrays if len(arrays) == len(values) else values)


def register() -> None:
    """`Array` and `Results` become nodes to JAX: a jitted call takes and makes them on JAX's C++ path."""
    tree_util.register_dataclass(Array, data_fields=["value"], meta_fields=[])
    tree_util.register_pytree_node(Results, lambda results: results, given)
