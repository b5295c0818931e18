"""JAX's pytree registry behind minijax's: classes registered there just work here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
from jax import tree_util

from minijax.tracing.array import Array


class JaxTrees:
    """The methods of `pytree.Backend`, answered by JAX."""

    needs_leaf_test = True
    PyTreeDef = tree_util.PyTreeDef
    flatten = staticmethod(tree_util.tree_flatten)
    flatten_with_path = staticmethod(tree_util.tree_flatten_with_path)
    treedef_tuple = staticmethod(tree_util.treedef_tuple)

    def register_node(self, cls: type, flatten: Callable[..., Any], unflatten: Callable[..., Any],
                      flatten_with_keys: Callable[..., Any] | None = None) -> None:
        """Make instances of `cls` nodes, for JAX too."""
        if flatten_with_keys is None:
            tree_util.register_pytree_node(cls, flatten, unflatten)
        else:
            tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)

    def register_dataclass(self, cls: type, data_fields: Sequence[str], meta_fields: Sequence[str],
                           drop_fields: Iterable[str]) -> None:
        """Make instances of a dataclass nodes, for JAX too."""
        tree_util.register_dataclass(cls, list(data_fields), list(meta_fields), list(drop_fields))


def register_array() -> None:
    """`Array` becomes a node of one leaf to JAX: a jitted call takes it on JAX's C++ path."""
    jax.tree_util.register_dataclass(Array, data_fields=["value"], meta_fields=[])
