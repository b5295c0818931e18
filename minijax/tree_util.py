"""Pytrees by JAX's long names: `tree_map`, `register_pytree_node`, key classes, as in `jax.tree_util`.

The functions are those of `minijax.tree` and `minijax.pytree`.  `PyTreeDef`, `default_registry` and the
classes of path keys belong to the installed registry, so they are looked up when asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from minijax import pytree
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.pytree import one_level, register_pytree_node
from minijax.tree import (all as tree_all, broadcast as tree_broadcast, flatten as tree_flatten,
                          flatten_with_path as tree_flatten_with_path, leaves as tree_leaves,
                          leaves_with_path as tree_leaves_with_path, map as tree_map,
                          map_with_path as tree_map_with_path, reduce as tree_reduce,
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
Class = TypeVar("Class", bound=type)


# ---- Registration

def register_pytree_with_keys(nodetype: type, flatten_with_keys: Callable[[Any], tuple[Iterable[Any], Any]],
                              unflatten_func: Callable[[Any, Any], Any],
                              flatten_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None) -> None:
    """`register_pytree_node` for a class that names its children; `flatten_func` is a faster way without names."""
    def without_keys(tree: Any) -> tuple[list[Any], Any]:
        pairs, data = flatten_with_keys(tree)
        return [child for _, child in pairs], data

    register_pytree_node(nodetype, flatten_func or without_keys, unflatten_func, flatten_with_keys)


def register_pytree_node_class(cls: Class) -> Class:
    """Class decorator: a node taken apart by its methods `tree_flatten` and (class method) `tree_unflatten`."""
    register_pytree_node(cls, operator.methodcaller("tree_flatten"), cls.tree_unflatten)  # type: ignore[attr-defined]
    return cls


def register_pytree_with_keys_class(cls: Class) -> Class:
    """Class decorator: as `register_pytree_node_class`, with the method `tree_flatten_with_keys`."""
    flatten = operator.methodcaller("tree_flatten") if hasattr(cls, "tree_flatten") else None
    register_pytree_with_keys(cls, operator.methodcaller("tree_flatten_with_keys"),
                              cls.tree_unflatten, flatten)  # type: ignore[attr-defined]
    return cls


def register_dataclass(nodetype: Class, data_fields: Sequence[str] | None = None,
                       meta_fields: Sequence[str] | None = None, drop_fields: Sequence[str] = ()) -> Class:
    """Make a dataclass a node: its `data_fields` are children, its `meta_fields` part of the structure.

    Without lists, a field is data unless it is `field(metadata={"static": True})`.
    Raises `ValueError` if the lists do not name every field once.
    """
    if (data_fields is None) != (meta_fields is None):
        raise MinijaxTypeError("register_dataclass takes both data_fields and meta_fields, or neither.")
    if data_fields is None and not dataclasses.is_dataclass(nodetype):
        raise MinijaxTypeError(f"{nodetype} is not a dataclass: name its data_fields and meta_fields.")
    if dataclasses.is_dataclass(nodetype):
        fields = [f for f in dataclasses.fields(nodetype) if f.init and f.name not in drop_fields]
        if data_fields is None:
            data_fields = [f.name for f in fields if not f.metadata.get("static", False)]
            meta_fields = [f.name for f in fields if f.metadata.get("static", False)]
        _check_fields(nodetype, {f.name for f in fields}, [*data_fields, *meta_fields])  # type: ignore[misc]
    _register_fields(nodetype, tuple(data_fields), tuple(meta_fields))  # type: ignore[arg-type]
    return nodetype


def _check_fields(cls: type, expected: set[str], given: list[str]) -> None:
    missing, unexpected = sorted(expected - set(given)), sorted(set(given) - expected)
    if missing or unexpected:
        raise MinijaxValueError(
            f"data_fields and meta_fields must together name every init field of {cls.__name__} once. "
            f"Missing: {missing}; unexpected: {unexpected}. Fields to leave out go into drop_fields.")


def _register_fields(cls: type, data_fields: tuple[str, ...], meta_fields: tuple[str, ...]) -> None:
    def flatten(tree: Any) -> tuple[list[Any], tuple[Any, ...]]:
        return [getattr(tree, name) for name in data_fields], tuple([getattr(tree, name) for name in meta_fields])

    def flatten_with_keys(tree: Any) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        children, data = flatten(tree)
        return [(_attribute_key(name), child) for name, child in zip(data_fields, children, strict=True)], data

    def unflatten(data: tuple[Any, ...], children: Sequence[Any]) -> Any:
        return cls(**dict(zip((*meta_fields, *data_fields), (*data, *children), strict=True)))

    register_pytree_node(cls, flatten, unflatten, flatten_with_keys)


def register_static(cls: Class) -> Class:
    """Class decorator: an instance is a node without children, part of the structure; it needs == and hash."""
    register_pytree_node(cls, lambda tree: ((), tree), lambda tree, children: tree, lambda tree: ((), tree))
    return cls


# ---- What belongs to the installed registry

def __getattr__(name: str) -> Any:
    """What belongs to the installed registry."""
    keys = {cls.__name__: cls for cls in pytree.backend.key_classes}
    if name in keys:
        return keys[name]
    if name == "PyTreeDef":
        return pytree.backend.PyTreeDef
    if name == "default_registry":
        return pytree.backend
    raise AttributeError(f"module 'minijax.tree_util' has no attribute {name!r}")


def _attribute_key(name: str) -> Any:
    return __getattr__("GetAttrKey")(name)


class Partial(functools.partial[Any]):
    """`functools.partial` that is a pytree: its arguments are children, its function is part of the structure.

    >>> tree_leaves(Partial(max, 1, 2))
    [1, 2]
    """


register_pytree_with_keys(
    Partial,
    lambda tree: (((_attribute_key("args"), tree.args), (_attribute_key("keywords"), tree.keywords)), tree.func),
    lambda func, children: Partial(func, *children[0], **children[1]))


# ---- Paths, structures and levels

def keystr(keys: Iterable[KeyEntry], *, simple: bool = False, separator: str = "") -> str:
    """Print a path; `simple` leaves out brackets, dots and quotes.

    >>> path = tree_leaves_with_path({"w": [1]})[0][0]
    >>> keystr(path), keystr(path, simple=True, separator="/")
    ("['w'][0]", 'w/0')
    """
    return separator.join([_simple_key(key) if simple else str(key) for key in keys])


def _simple_key(key: KeyEntry) -> str:
    for name in ("idx", "key", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


def all_leaves(iterable: Iterable[Any], is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether no item of `iterable` is a container.

    >>> all_leaves([1, 2]), all_leaves([1, (2,)])
    (True, False)
    """
    return False not in [treedef_is_leaf(tree_structure(item, is_leaf)) for item in iterable]


def treedef_is_leaf(treedef: Any) -> bool:
    """Whether `treedef` is the structure of a single leaf."""
    return treedef.node_data() is None


def treedef_tuple(treedefs: Iterable[Any]) -> Any:
    """The structure of a tuple of trees of these structures."""
    return pytree.backend.treedef_tuple(treedefs)


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
