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


def keystr(keys: Iterable[Any]) -> str:
    """Print a path.

    >>> keystr((DictKey("w"), SequenceKey(0)))
    "['w'][0]"
    """
    return "".join([str(key) for key in keys])


# ---- Treedefs

@dataclasses.dataclass(frozen=True)
class PyTreeDef:
    """The structure of a tree without its leaves; printed with `*` for a leaf.

    >>> structure({"a": 1, "b": (2, None)})
    PyTreeDef({'a': *, 'b': (*, None)})
    """

    node_type: type | None  # None for a leaf
    data: Any
    subtrees: tuple[PyTreeDef, ...]

    @functools.cached_property
    def num_leaves(self) -> int:
        """How many leaves the tree has."""
        return 1 if self.node_type is None else sum([child.num_leaves for child in self.subtrees])

    def children(self) -> list[PyTreeDef]:
        """Structures of the children."""
        return list(self.subtrees)

    def node_data(self) -> tuple[type, Any] | None:
        """Type and metadata of the outermost node; None for a leaf."""
        if self.node_type is None:
            return None
        return self.node_type, list(self.data) if self.node_type is dict else self.data

    def unflatten(self, leaves: Iterable[Any]) -> Any:
        """The tree of this structure with these leaves; `TreeError` if they are too many or too few."""
        leaves = list(leaves)
        if len(leaves) != self.num_leaves:
            few = "few" if len(leaves) < self.num_leaves else "many"
            raise TreeError(f"Too {few} leaves for {self}: expected {self.num_leaves}, got {len(leaves)}.")
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator[Any]) -> Any:
        if self.node_type is None:
            return next(leaves)
        return _node_of(self.node_type).unflatten(  # type: ignore[union-attr]
            self.data, [child._build(leaves) for child in self.subtrees])

    def flatten_up_to(self, tree: Any) -> list[Any]:
        """The subtrees of `tree` where this structure has leaves; `TreeError` where they differ."""
        if self.node_type is None:
            return [tree]
        if type(tree) is self.node_type:
            _, children, data = _node_of(self.node_type).flatten(tree)  # type: ignore[union-attr]
            if data == self.data and len(children) == len(self.subtrees):
                pairs = zip(self.subtrees, children, strict=True)
                return [found for child, subtree in pairs for found in child.flatten_up_to(subtree)]
        raise TreeError(f"Expected the structure {self}, got {tree!r}.")

    def __repr__(self) -> str:
        return f"PyTreeDef({self._text()})"

    def _text(self) -> str:
        cls, items = self.node_type, [child._text() for child in self.subtrees]
        joined = ", ".join(items)
        if cls is None or cls is type(None):
            return "*" if cls is None else "None"
        if cls is tuple:
            return f"({joined},)" if len(items) == 1 else f"({joined})"
        if cls is list:
            return f"[{joined}]"
        if cls is dict:
            return "{" + ", ".join([f"{key!r}: {item}" for key, item in zip(self.data, items, strict=True)]) + "}"
        name = f"namedtuple[{cls.__name__}]" if _is_namedtuple(cls) else f"{cls.__name__}[{self.data}]"
        return f"CustomNode({name}, [{joined}])"


_LEAF = PyTreeDef(None, None, ())


# ---- The registry of node types

Level = tuple[Sequence[Any], Sequence[Any], Any]


@dataclasses.dataclass(frozen=True)
class Node:
    """How one type is taken apart: `flatten(x) -> (keys, children, data)`, `unflatten(data, children) -> x`."""

    flatten: Callable[[Any], Level]
    unflatten: Callable[[Any, Sequence[Any]], Any]


def _flatten_sequence(tree: Sequence[Any]) -> Level:
    return [SequenceKey(i) for i in range(len(tree))], tree, None


def _flatten_items(tree: dict[Any, Any], keys: Iterable[Any]) -> Level:
    keys = tuple(keys)
    return [DictKey(key) for key in keys], [tree[key] for key in keys], keys


def _flatten_dict(tree: dict[Any, Any]) -> Level:
    try:
        keys = sorted(tree)
    except TypeError as error:
        raise TreeError(f"The keys {list(tree)} of a dictionary in a pytree cannot be sorted, since they are of "
                        "different types. Use keys of one type, or an OrderedDict.") from error
    return _flatten_items(tree, keys)


def _flatten_defaultdict(tree: Any) -> Level:
    keys, children, data = _flatten_dict(tree)
    return keys, children, (tree.default_factory, data)


_NODES: dict[type, Node] = {
    type(None): Node(lambda tree: ((), (), None), lambda data, children: None),
    tuple: Node(_flatten_sequence, lambda data, children: tuple(children)),
    list: Node(_flatten_sequence, lambda data, children: list(children)),
    dict: Node(_flatten_dict, lambda keys, children: dict(zip(keys, children, strict=True))),
    collections.OrderedDict: Node(
        lambda tree: _flatten_items(tree, tree),
        lambda keys, children: collections.OrderedDict(zip(keys, children, strict=True))),
    collections.defaultdict: Node(
        _flatten_defaultdict,
        lambda data, children: collections.defaultdict(data[0], zip(data[1], children, strict=True))),
}


def _is_namedtuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _node_of(cls: Any) -> Node | None:
    if cls in _NODES or not _is_namedtuple(cls):
        return _NODES.get(cls)
    return Node(lambda tree: ([GetAttrKey(name) for name in cls._fields], tree, None),
                lambda data, children: cls(*children))


def _flatten(tree: Any, path: tuple[Any, ...], found: list[tuple[Any, Any]], is_leaf: LeafTest) -> PyTreeDef:
    """The structure of a tree; its leaves and their paths go to `found`."""
    node = _node_of(type(tree))
    if node is None or (is_leaf is not None and is_leaf(tree)):
        found.append((path, tree))
        return _LEAF
    keys, children, data = node.flatten(tree)
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

        def flatten_level(tree: Any) -> Level:
            children, data = flatten(tree)
            children = list(children)
            if flatten_with_keys is None:
                return [FlattenedIndexKey(i) for i in range(len(children))], children, data
            return [key for key, _ in flatten_with_keys(tree)[0]], children, data

        _NODES[cls] = Node(flatten_level, lambda data, children: unflatten(data, tuple(children)))


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


def one_level(tree: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """(key, child) pairs of the outermost node and its structure; the pair (None, tree) for a leaf.

    >>> one_level({"a": (1, 2)})
    ([(DictKey(key='a'), (1, 2))], PyTreeDef({'a': *}))
    """
    pairs, treedef = flatten_with_path(tree, lambda x: x is not tree)
    return [(path[0] if path else None, child) for path, child in pairs], treedef


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
    children, treedef = one_level(prefix)
    if treedef.node_data() is None or (is_leaf is not None and is_leaf(prefix)):
        return None
    full_children, full_treedef = one_level(full)
    if treedef != full_treedef:
        return path, _describe_difference(prefix, full)
    found = [_difference((*path, key), child, full_child, is_leaf)
             for (key, child), (_, full_child) in zip(children, full_children, strict=True)]
    return next((each for each in found if each is not None), None)


def _describe_difference(prefix: Any, full: Any) -> str:
    if isinstance(prefix, dict) and type(prefix) is type(full):
        missing, extra = [k for k in prefix if k not in full], [k for k in full if k not in prefix]
        if missing or extra:
            return f"the keys differ: missing {missing}, unexpected {extra}."
    expected, got = _describe(prefix), _describe(full)
    if expected == got:
        ours, theirs = [one_level(tree)[1].node_data()[1] for tree in (prefix, full)]
        return f"the metadata of {expected} differ: expected {ours}, got {theirs}."
    return f"expected {expected}, got {got}."


def _describe(tree: Any) -> str:
    children, treedef = one_level(tree)
    if treedef.node_data() is None:
        return f"a leaf of type {type(tree).__name__}"
    return "None" if tree is None else f"a {type(tree).__name__} of {len(children)}"
