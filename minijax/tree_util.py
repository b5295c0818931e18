"""Pytrees by JAX's long names: `tree_map`, `register_pytree_node`, key classes, as in `jax.tree_util`.

The functions are those of `minijax.tree` and `minijax.pytree`.  `PyTreeDef`, `default_registry` and the
classes of path keys belong to the installed registry, so they are looked up when asked for.
"""

from __future__ import annotations

from typing import Any

from minijax import pytree
from minijax.errors import MinijaxValueError
from minijax.pytree import (Partial, all_leaves, keystr, register_dataclass, register_pytree_node,
                            register_pytree_node_class, register_pytree_with_keys, register_pytree_with_keys_class,
                            register_static, treedef_is_leaf, treedef_tuple)
from minijax.tree import (all as tree_all, broadcast as tree_broadcast, flatten as tree_flatten,
                          flatten_with_path as tree_flatten_with_path, leaves as tree_leaves,
                          leaves_with_path as tree_leaves_with_path, map as tree_map,
                          map_with_path as tree_map_with_path, one_level, reduce as tree_reduce,
                          reduce_associative as tree_reduce_associative, structure as tree_structure,
                          transpose as tree_transpose, unflatten as tree_unflatten)

__all__ = [  # noqa: F822 (some by __getattr__)
    "DictKey", "FlattenedIndexKey", "GetAttrKey", "KeyEntry", "KeyPath", "Partial", "PyTreeDef", "SequenceKey",
    "all_leaves", "default_registry", "flatten_one_level", "flatten_one_level_with_keys", "is_tree_node", "keystr",
    "register_dataclass", "register_pytree_node", "register_pytree_node_class", "register_pytree_with_keys",
    "register_pytree_with_keys_class", "register_static", "tree_all", "tree_broadcast", "tree_flatten",
    "tree_flatten_with_path", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_with_path", "tree_reduce",
    "tree_reduce_associative", "tree_structure", "tree_transpose", "tree_unflatten", "treedef_children",
    "treedef_is_leaf", "treedef_tuple"]

KeyEntry = Any
KeyPath = tuple[KeyEntry, ...]


class _Unnamed:
    """A node that gives its child no name: its key is a `FlattenedIndexKey`."""

    def __init__(self, child: Any) -> None:
        self.child = child


class _Named(_Unnamed):
    """A node that names its child as an attribute: its key is a `GetAttrKey`."""


pytree.register_pytree_node(_Unnamed, lambda x: ((x.child,), None), lambda _, children: _Unnamed(*children))
pytree.register_dataclass(_Named, ["child"], [])
_key_examples = {"SequenceKey": [0], "DictKey": {"k": 0}, "GetAttrKey": _Named(0), "FlattenedIndexKey": _Unnamed(0)}


def __getattr__(name: str) -> Any:
    """What belongs to the installed registry."""
    if name in _key_examples:
        ((key,), _), = pytree.leaves_with_path(_key_examples[name])
        return type(key)
    if name == "PyTreeDef":
        return pytree.backend.PyTreeDef
    if name == "default_registry":
        return pytree.backend
    raise AttributeError(f"module 'minijax.tree_util' has no attribute {name!r}")


def treedef_children(treedef: Any) -> list[Any]:
    """Structures of the children of a structure.

    >>> treedef_children(tree_structure((1, [2])))
    [PyTreeDef(*), PyTreeDef([*])]
    """
    return list(treedef.children())


def flatten_one_level(tree: Any) -> tuple[Any, Any]:
    """Children of the outermost node and its metadata; raises `MinijaxValueError` for a leaf.

    >>> flatten_one_level({"b": 1, "a": [2, 3]})
    (([2, 3], 1), ('a', 'b'))
    """
    pairs, data = flatten_one_level_with_keys(tree)
    return tuple([child for _, child in pairs]), data


def flatten_one_level_with_keys(tree: Any) -> tuple[Any, Any]:
    """(key, child) pairs of the outermost node and its metadata; raises `MinijaxValueError` for a leaf.

    >>> [(keystr((key,)), child) for key, child in flatten_one_level_with_keys([1, (2,)])[0]]
    [('[0]', 1), ('[1]', (2,))]
    """
    pairs, treedef = one_level(tree)
    if treedef_is_leaf(treedef):
        raise MinijaxValueError(f"flatten_one_level of a leaf, of type {type(tree).__name__}: it has no children. "
                                "Pass a container, or register the class as a pytree node.")
    if _is_namedtuple(type(tree)):
        return tuple(pairs), type(tree)
    data = treedef.node_data()[1]
    return tuple(pairs), tuple(data) if type(tree) is dict else data


def is_tree_node(typ: Any) -> bool:
    """Whether instances of a class are nodes: built-in containers, named tuples, registered classes.

    >>> is_tree_node(list), is_tree_node(int)
    (True, False)
    """
    if not isinstance(typ, type):
        return False
    if _is_namedtuple(typ):
        return True
    try:
        blank = typ.__new__(typ)
    except TypeError:
        blank = object.__new__(typ)
    return _is_taken_apart(blank)


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _is_taken_apart(blank: Any) -> bool:
    """Whether the registry tries to flatten an instance, which may fail since it has no attributes yet."""
    try:
        return not treedef_is_leaf(one_level(blank)[1])
    except Exception:
        return True
