"""Pytrees: containers nested in containers, flattened into a list of leaves and a `PyTreeDef`.

The functions here call the current `backend`.  The one below is small and our own, with
JAX's order and meaning; `install` moves onto another (JAX's registry) and `forward_registrations`
hands it the classes registered so far.  A backend only flattens and registers.  What users have
besides (`minijax.tree`, `minijax.tree_util`) is built on top.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any

from minijax.errors import MinijaxTypeError, MinijaxValueError, TreeError

LeafTest = Callable[[Any], bool] | None


# ---- Keys and paths

@dataclasses.dataclass(frozen=True)
class SequenceKey:
    """Position in a list or tuple; prints as `[0]`."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"


@dataclasses.dataclass(frozen=True)
class DictKey:
    """Key of a dictionary; prints as `['w']`."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"


@dataclasses.dataclass(frozen=True)
class GetAttrKey:
    """Field of an object; prints as `.w`."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"


@dataclasses.dataclass(frozen=True)
class FlattenedIndexKey:
    """Child of a node that gives its children no names; prints as `[<flat index 0>]`."""

    key: int

    def __str__(self) -> str:
        return f"[<flat index {self.key}>]"


def keystr(keys: Iterable[Any], *, simple: bool = False, separator: str = "") -> str:
    """Print a path; `simple` leaves out brackets, dots and quotes.

    >>> keystr((DictKey("w"), SequenceKey(0)))
    "['w'][0]"
    >>> keystr((DictKey("w"), SequenceKey(0)), simple=True, separator="/")
    'w/0'
    """
    return separator.join([_simple_key(key) if simple else str(key) for key in keys])


def _simple_key(key: Any) -> str:
    for name in ("idx", "key", "name"):
        if hasattr(key, name):
            return str(getattr(key, name))
    return str(key)


# ---- Treedefs

class PyTreeDef:
    """The structure of a tree without its leaves; printed with `*` for a leaf.

    >>> structure({"a": 1, "b": (2, None)})
    PyTreeDef({'a': *, 'b': (*, None)})
    """

    __slots__ = ("num_leaves", "num_nodes", "_type", "_data", "_children")

    def __init__(self, node_type: type | None, data: Any, children: tuple[PyTreeDef, ...]) -> None:
        self._type = node_type  # None for a leaf
        self._data = data
        self._children = children
        self.num_leaves: int = sum([child.num_leaves for child in children]) if node_type is not None else 1
        self.num_nodes: int = 1 + sum([child.num_nodes for child in children])

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves; `TreeError` if they are too many or too few."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            few = "few" if len(leaves) < self.num_leaves else "many"
            raise TreeError(f"Too {few} leaves for {self}: expected {self.num_leaves}, got {len(leaves)}.")
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self._type is None:
            return next(leaves)
        children = [child._build(leaves) for child in self._children]
        return _node_of(self._type).unflatten(self._data, children)  # type: ignore[union-attr]

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` where this structure has leaves; `TreeError` where they differ."""
        subtrees: list[Any] = []
        self._cut(tree, subtrees)
        return subtrees

    def _cut(self, tree: Any, subtrees: list[Any]) -> None:
        if self._type is None:
            subtrees.append(tree)
            return
        if type(tree) is not self._type:
            raise TreeError(f"Expected {_type_name(self._type)}, got {tree!r}.")
        children, data = _node_of(self._type).flatten(tree)  # type: ignore[union-attr]
        if data != self._data or len(children) != len(self._children):
            raise TreeError(f"Expected the structure {self}, got {tree!r}.")
        for child, subtree in zip(self._children, children, strict=True):
            child._cut(subtree, subtrees)

    def children(self) -> list[PyTreeDef]:
        """Structures of the children."""
        return list(self._children)

    def node_data(self) -> tuple[type, Any] | None:
        """Type and metadata of the outermost node; None for a leaf."""
        if self._type is None:
            return None
        return self._type, list(self._data) if self._type is dict else self._data

    def compose(self, inner: PyTreeDef) -> PyTreeDef:
        """This structure with `inner` in place of every leaf."""
        if self._type is None:
            return inner
        return PyTreeDef(self._type, self._data, tuple([child.compose(inner) for child in self._children]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PyTreeDef):
            return NotImplemented
        return self is other or (self._type is other._type and self.num_nodes == other.num_nodes
                                 and self._data == other._data and self._children == other._children)

    def __hash__(self) -> int:
        return hash((self._type, self._data, self._children))

    def __repr__(self) -> str:
        return f"PyTreeDef({self._text()})"

    def _text(self) -> str:
        if self._type is None:
            return "*"
        items = [child._text() for child in self._children]
        if self._type is dict:
            return "{" + ", ".join([f"{key!r}: {item}" for key, item in zip(self._data, items, strict=True)]) + "}"
        joined = ", ".join(items)
        if self._type is tuple:
            return f"({joined},)" if len(items) == 1 else f"({joined})"
        if self._type in (list, type(None)):
            return f"[{joined}]" if self._type is list else "None"
        name = f"namedtuple[{self._type.__name__}]" if _is_namedtuple(self._type) else (
            f"{self._type.__name__}[{self._data}]")
        return f"CustomNode({name}, [{joined}])"


_LEAF = PyTreeDef(None, None, ())


# ---- The registry of node types

@dataclasses.dataclass(frozen=True)
class Node:
    """How one type is taken apart: `flatten(x) -> (children, data)`, `unflatten(data, children) -> x`.

    `keys(x)` names the children; None means that they have no names.
    """

    flatten: Callable[[Any], tuple[Sequence[Any], Any]]
    unflatten: Callable[[Any, Sequence[Any]], Any]
    keys: Callable[[Any], Sequence[Any]] | None = None


def _sorted_keys(tree: dict[Any, Any]) -> tuple[Any, ...]:
    try:
        return tuple(sorted(tree))
    except TypeError as error:
        raise TreeError(f"The keys {list(tree)} of a dictionary in a pytree cannot be sorted, since they are of "
                        "different types. Use keys of one type, or an OrderedDict.") from error


def _flatten_dict(tree: dict[Any, Any]) -> tuple[list[Any], Any]:
    keys = _sorted_keys(tree)
    return [tree[key] for key in keys], keys


def _flatten_defaultdict(tree: Any) -> tuple[list[Any], Any]:
    children, keys = _flatten_dict(tree)
    return children, (tree.default_factory, keys)


def _sequence_keys(tree: Sequence[Any]) -> list[SequenceKey]:
    return [SequenceKey(i) for i in range(len(tree))]


_NODES: dict[type, Node] = {
    type(None): Node(lambda tree: ((), None), lambda data, children: None),
    tuple: Node(lambda tree: (tree, None), lambda data, children: tuple(children), _sequence_keys),
    list: Node(lambda tree: (tree, None), lambda data, children: list(children), _sequence_keys),
    dict: Node(_flatten_dict, lambda keys, children: dict(zip(keys, children, strict=True)),
               lambda tree: [DictKey(key) for key in _sorted_keys(tree)]),
    collections.OrderedDict: Node(
        lambda tree: (list(tree.values()), tuple(tree)),
        lambda keys, children: collections.OrderedDict(zip(keys, children, strict=True)),
        lambda tree: [DictKey(key) for key in tree]),
    collections.defaultdict: Node(
        _flatten_defaultdict,
        lambda data, children: collections.defaultdict(data[0], zip(data[1], children, strict=True)),
        lambda tree: [DictKey(key) for key in _sorted_keys(tree)]),
}


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


@functools.lru_cache(maxsize=1024)
def _namedtuple_node(cls: Any) -> Node:
    return Node(lambda tree: (tree, None), lambda data, children: cls(*children),
                lambda tree: [GetAttrKey(name) for name in cls._fields])


def _node_of(cls: type) -> Node | None:
    node = _NODES.get(cls)
    return _namedtuple_node(cls) if node is None and _is_namedtuple(cls) else node


def _flatten(tree: Any, path: tuple[Any, ...], found: list[tuple[Any, Any]], is_leaf: LeafTest) -> PyTreeDef:
    """The structure of a tree; its leaves and their paths go to `found`."""
    node = _node_of(type(tree))
    if node is None or (is_leaf is not None and is_leaf(tree)):
        found.append((path, tree))
        return _LEAF
    children, data = node.flatten(tree)
    keys = node.keys(tree) if node.keys else [FlattenedIndexKey(i) for i in range(len(children))]
    return PyTreeDef(type(tree), data, tuple([
        _flatten(child, (*path, key), found, is_leaf) for key, child in zip(keys, children, strict=True)]))


class Backend:
    """A registry of node types: all that another registry must offer to be installed.

    Treedefs have the methods of `PyTreeDef`; minijax arrays are leaves.
    """

    PyTreeDef: type = PyTreeDef
    key_classes: tuple[type, ...] = SequenceKey, DictKey, GetAttrKey, FlattenedIndexKey

    def flatten(self, tree: Any, is_leaf: LeafTest = None) -> tuple[list[Any], Any]:
        """Leaves and structure."""
        pairs, treedef = self.flatten_with_path(tree, is_leaf)
        return [leaf for _, leaf in pairs], treedef

    def flatten_with_path(self, tree: Any, is_leaf: LeafTest = None) -> tuple[list[tuple[Any, Any]], Any]:
        """(path, leaf) pairs and structure."""
        pairs: list[tuple[Any, Any]] = []
        return pairs, _flatten(tree, (), pairs, is_leaf)

    def treedef_tuple(self, treedefs: Iterable[Any]) -> Any:
        """The structure of a tuple of trees of these structures."""
        return PyTreeDef(tuple, None, tuple(treedefs))

    def register_node(self, cls: type, flatten: Callable[[Any], tuple[Iterable[Any], Any]],
                      unflatten: Callable[[Any, Any], Any],
                      flatten_with_keys: Callable[[Any], tuple[Iterable[tuple[Any, Any]], Any]] | None = None) -> None:
        """Make instances of `cls` nodes; `ValueError` if they are already."""
        if _node_of(cls) is not None:
            raise MinijaxValueError(f"{cls} is registered as a pytree node already. Register a class once.")

        def flatten_to_list(tree: Any) -> tuple[list[Any], Any]:
            children, data = flatten(tree)
            return list(children), data

        keys = None if flatten_with_keys is None else (lambda tree: [key for key, _ in flatten_with_keys(tree)[0]])
        _NODES[cls] = Node(flatten_to_list, lambda data, children: unflatten(data, tuple(children)), keys)


# ---- The installed backend

backend: Backend = Backend()
_registrations: list[tuple[Any, ...]] = []


def install(new_backend: Any) -> None:
    """Use another registry from now on; it has the methods of `Backend`."""
    global backend
    backend = new_backend


def forward_registrations(to: Any) -> None:
    """Make every registration made here so far in the registry `to` as well."""
    for arguments in _registrations:
        to.register_node(*arguments)


# ---- Registration

def register_pytree_node(nodetype: type, flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
                         unflatten_func: Callable[[Any, Any], Any],
                         flatten_with_keys_func: Callable[[Any], tuple[Iterable[Any], Any]] | None = None) -> None:
    """Make instances of `nodetype` nodes of pytrees.

    `flatten_func(x)` returns (children, hashable data); `unflatten_func(data, children)` undoes it;
    `flatten_with_keys_func(x)` returns ((key, child) pairs, data).  Raises `ValueError` if it is a node already.
    """
    if not isinstance(nodetype, type) or not callable(flatten_func) or not callable(unflatten_func):
        raise MinijaxTypeError("register_pytree_node takes a class and two functions, got "
                               f"{nodetype!r}, {flatten_func!r}, {unflatten_func!r}.")
    arguments = nodetype, flatten_func, unflatten_func, flatten_with_keys_func
    backend.register_node(*arguments)
    _registrations.append(arguments)


# ---- Flattening and what follows from it

def flatten(tree: Any, is_leaf: LeafTest = None) -> tuple[list[Any], Any]:
    """Leaves of a tree, from left to right, and its structure.

    `is_leaf(subtree)` tells at which subtrees to stop.

    >>> flatten({"b": 1, "a": (2, 3)})
    ([2, 3, 1], PyTreeDef({'a': (*, *), 'b': *}))
    """
    return backend.flatten(tree, is_leaf)


def unflatten(treedef: Any, leaves: Iterable[Any]) -> Any:
    """Undo `flatten`.

    >>> unflatten(structure([0, (0,)]), [1, 2])
    [1, (2,)]
    """
    return treedef.unflatten(leaves)


def leaves(tree: Any, is_leaf: LeafTest = None) -> list[Any]:
    """Leaves of a tree."""
    return flatten(tree, is_leaf)[0]


def structure(tree: Any, is_leaf: LeafTest = None) -> Any:
    """Structure of a tree."""
    return flatten(tree, is_leaf)[1]


def flatten_with_path(tree: Any, is_leaf: LeafTest = None) -> tuple[list[tuple[Any, Any]], Any]:
    """(path, leaf) pairs and structure; `keystr` prints a path."""
    return backend.flatten_with_path(tree, is_leaf)


def leaves_with_path(tree: Any, is_leaf: LeafTest = None) -> list[tuple[Any, Any]]:
    """(path, leaf) pairs.

    >>> [(keystr(path), leaf) for path, leaf in leaves_with_path({"w": [1, 2]})]
    [("['w'][0]", 1), ("['w'][1]", 2)]
    """
    return flatten_with_path(tree, is_leaf)[0]


def map(f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: LeafTest = None) -> Any:
    """Apply `f` to the leaves of `tree` and the corresponding subtrees of `rest`; the result has `tree`'s structure.

    Raises `TreeError` where a tree of `rest` does not begin with that structure.

    >>> map(lambda x, y: x + y, (1, [2]), (10, [20]))
    (11, [22])
    """
    first, treedef = flatten(tree, is_leaf)
    columns = [first, *[flatten_up_to(treedef, tree, other, is_leaf) for other in rest]]
    return treedef.unflatten([f(*row) for row in zip(*columns, strict=True)])


def broadcast_prefix(prefix_tree: Any, full_tree: Any, is_leaf: LeafTest = None) -> list[Any]:
    """Repeat each leaf of `prefix_tree` for all leaves of the subtree of `full_tree` in its place.

    `is_leaf` is asked about subtrees of the prefix.  Raises `TreeError` if it is not a prefix.

    >>> broadcast_prefix((1, 2), ("x", {"a": "y", "b": "z"}))
    [1, 2, 2]
    """
    prefix_leaves, treedef = flatten(prefix_tree, is_leaf)
    subtrees = flatten_up_to(treedef, prefix_tree, full_tree, is_leaf)
    return [leaf for leaf, subtree in zip(prefix_leaves, subtrees, strict=True) for _ in leaves(subtree)]


# ---- Where two structures differ

def flatten_up_to(treedef: Any, prefix_tree: Any, full_tree: Any, is_leaf: LeafTest = None) -> list[Any]:
    """The subtrees of `full_tree` at the leaves of `prefix_tree`, whose structure is `treedef`; `TreeError` if none."""
    try:
        return list(treedef.flatten_up_to(full_tree))
    except (ValueError, TypeError) as error:
        found = prefix_error(prefix_tree, full_tree, is_leaf)
        raise found or error from None


def prefix_error(prefix_tree: Any, full_tree: Any, is_leaf: LeafTest = None, name: str = "tree") -> TreeError | None:
    """A `TreeError` naming the first path at which `prefix_tree` is no prefix of `full_tree`; None if it is one.

    >>> prefix_error({"w": (1, 2)}, {"w": [1, 2]}, name="params")
    TreeError("pytrees differ at params['w']: expected a tuple of 2, got a list of 2.")
    """
    difference = _difference((), prefix_tree, full_tree, is_leaf)
    return difference and TreeError(f"pytrees differ at {name}{keystr(difference[0])}: {difference[1]}")


def _difference(path: tuple[Any, ...], prefix: Any, full: Any, is_leaf: LeafTest) -> tuple[Any, str] | None:
    keys, children, data = _one_level(prefix)
    if data is None or (is_leaf is not None and is_leaf(prefix)):
        return None
    _, full_children, full_data = _one_level(full)
    if data != full_data or len(children) != len(full_children):
        return path, _describe_difference(prefix, full)
    found = [_difference((*path, key), child, full_child, is_leaf)
             for key, child, full_child in zip(keys, children, full_children, strict=True)]
    return next((each for each in found if each is not None), None)


def _one_level(tree: Any) -> tuple[list[Any], list[Any], Any]:
    """Keys, children and node data of the outermost node; a leaf has itself for a child."""
    pairs, treedef = flatten_with_path(tree, lambda x: x is not tree)
    return [path[0] if path else None for path, _ in pairs], [child for _, child in pairs], treedef.node_data()


def _describe_difference(prefix: Any, full: Any) -> str:
    if isinstance(prefix, dict) and type(prefix) is type(full):
        missing, extra = [k for k in prefix if k not in full], [k for k in full if k not in prefix]
        if missing or extra:
            return f"the keys differ: missing {missing}, unexpected {extra}."
    expected, got = _describe(prefix), _describe(full)
    if expected == got:
        ours, theirs = _one_level(prefix)[2], _one_level(full)[2]
        return f"the metadata of {expected} differ: expected {ours[1]}, got {theirs[1]}."
    return f"expected {expected}, got {got}."


def _describe(tree: Any) -> str:
    if tree is None:
        return "None"
    if _one_level(tree)[2] is None:
        return f"a leaf of type {type(tree).__name__}"
    return f"a {_type_name(type(tree))} of {len(_one_level(tree)[1])}"


def _type_name(cls: type) -> str:
    return "None" if cls is type(None) else cls.__name__
