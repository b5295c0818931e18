"""Parameters and state as data: split, filter, map, merge, copy and count them.

A structure is a mapping `module name -> {name -> value}`, as `init` returns it; the functions here
take any such mappings and return new plain dicts, modules and names in sorted order.  Only
`to_immutable_dict` makes something else: a `FlatMap`, which nobody can change by accident.
The names and meanings are those of https://github.com/google-deepmind/dm-haiku, `hk.data_structures`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from minijax import pytree
from minijax.errors import FrozenMapError, MinijaxValueError
from minijax.ir.dtypes import short_name
from minijax.util import size_of

Structure = Mapping[str, Mapping[str, Any]]
Bundles = dict[str, dict[str, Any]]


# ---- walking

def traverse(structure: Structure) -> Iterator[tuple[str, str, Any]]:
    """Every (module name, name, value) of a structure, sorted by the names.

    >>> list(traverse({"linear": {"w": 1.0, "b": 0.0}}))
    [('linear', 'b', 0.0), ('linear', 'w', 1.0)]
    """
    for module_name in sorted(structure):
        for name in sorted(structure[module_name]):
            yield module_name, name, structure[module_name][name]


def partition_n(fn: Callable[[str, str, Any], int], structure: Structure, n: int) -> tuple[Bundles, ...]:
    """Split a structure into `n`: `fn(module name, name, value)` says into which, counted from 0.

    Raises `MinijaxValueError` if `fn` names a part that there is not.

    >>> partition_n(lambda module_name, name, value: value % 2, {"a": {"x": 1, "y": 2}}, 2)
    ({'a': {'y': 2}}, {'a': {'x': 1}})
    """
    parts: tuple[Bundles, ...] = tuple([{} for _ in range(n)])
    for module_name, name, value in traverse(structure):
        index = fn(module_name, name, value)
        if not 0 <= index < n:
            raise MinijaxValueError(f"partition_n: the function put [{module_name!r}][{name!r}] into part {index}, but "
                                    f"there are {n} parts. Return a number from 0 to {n - 1}, or pass a larger n.")
        parts[index].setdefault(module_name, {})[name] = value
    return parts


def partition(predicate: Callable[[str, str, Any], bool], structure: Structure) -> tuple[Bundles, Bundles]:
    """Split a structure in two: where `predicate(module name, name, value)` is true, and the rest.

    >>> partition(lambda module_name, name, value: name == "w", {"linear": {"w": 1.0, "b": 0.0}})
    ({'linear': {'w': 1.0}}, {'linear': {'b': 0.0}})
    """
    first, second = partition_n(lambda *entry: int(not predicate(*entry)), structure, 2)
    return first, second


def filter(predicate: Callable[[str, str, Any], bool], structure: Structure) -> Bundles:
    """The part of a structure where `predicate(module name, name, value)` is true.

    >>> filter(lambda module_name, name, value: name == "w", {"linear": {"w": 1.0, "b": 0.0}})
    {'linear': {'w': 1.0}}
    """
    return partition(predicate, structure)[0]


def map(fn: Callable[[str, str, Any], Any], structure: Structure) -> Bundles:
    """A structure of the results of `fn(module name, name, value)`.

    >>> map(lambda module_name, name, value: 2 * value if name == "w" else value, {"linear": {"w": 1.0, "b": 2.0}})
    {'linear': {'b': 2.0, 'w': 2.0}}
    """
    changed: Bundles = {}
    for module_name, name, value in traverse(structure):
        changed.setdefault(module_name, {})[name] = fn(module_name, name, value)
    return changed


# ---- several structures

def merge(*structures: Structure, check_duplicates: bool = False) -> Bundles:
    """One structure with the entries of all; of entries with the same names the last stays.

    With `check_duplicates`, raises `MinijaxValueError` for arrays of the same names but other shapes or dtypes.

    >>> merge({"linear": {"w": 1.0}}, {"linear": {"b": 0.0}})
    {'linear': {'w': 1.0, 'b': 0.0}}
    """
    merged: Bundles = {}
    for structure in structures:
        for module_name, name, value in traverse(structure):
            bundle = merged.setdefault(module_name, {})
            if check_duplicates and name in bundle and _shape_and_dtype(bundle[name]) != _shape_and_dtype(value):
                raise MinijaxValueError(
                    f"merge: [{module_name!r}][{name!r}] is there twice, as {_described(bundle[name])} and as "
                    f"{_described(value)}. Rename one of them, or leave check_duplicates out to keep the last.")
            bundle[name] = value
    return merged


def is_subset(*, subset: Structure, superset: Structure) -> bool:
    """Whether every (module name, name) of `subset` is one of `superset`; values play no part.

    >>> is_subset(subset={"linear": {"w": 1.0}}, superset={"linear": {"w": 2.0, "b": 0.0}})
    True
    """
    inner, outer = [{(module_name, name) for module_name, name, _ in traverse(each)} for each in (subset, superset)]
    return inner <= outer


def _shape_and_dtype(value: Any) -> Any:
    return (tuple(value.shape), value.dtype) if hasattr(value, "shape") and hasattr(value, "dtype") else None


def _described(value: Any) -> str:
    return repr(value) if _shape_and_dtype(value) is None else type_text(value)


def type_text(x: Any) -> str:
    """Shape and dtype of whatever has them, as types print: `f32[2,3]`.

    >>> import minijax.numpy as jnp
    >>> type_text(jnp.ones((2, 3)))
    'f32[2,3]'
    """
    return f"{short_name(x.dtype)}[{','.join([str(n) for n in x.shape])}]"


# ---- sizes

def tree_size(tree: Any) -> int:
    """Number of elements of all arrays of a pytree (anything with a shape).

    >>> import minijax.numpy as jnp
    >>> tree_size({"linear": {"w": jnp.ones((3, 4)), "b": jnp.zeros(4)}})
    16
    """
    return sum([size_of(x.shape) for x in pytree.leaves(tree)])


def tree_bytes(tree: Any) -> int:
    """Bytes of all arrays of a pytree (anything with a shape and a dtype), padding of devices not counted.

    >>> import minijax.numpy as jnp
    >>> tree_bytes({"linear": {"w": jnp.ones((3, 4), "bfloat16"), "b": jnp.zeros(4)}})
    40
    """
    return sum([size_of(x.shape) * x.dtype.itemsize for x in pytree.leaves(tree)])


# ---- kinds of mappings

class FlatMap(Mapping[Any, Any]):
    """A mapping that cannot be changed: a pytree node, whose keys are sorted; hashable if its values are.

    >>> FlatMap({"w": 1.0})
    FlatMap({'w': 1.0})
    """

    __slots__ = ("_items",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "_items", dict(*args, **kwargs))

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __getattr__(self, name: str) -> Any:
        raise FrozenMapError(f"a FlatMap has no attribute {name!r}. An entry is read as `x[{name!r}]`.")

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenMapError(f"a FlatMap cannot be changed, and {name!r} was assigned. "
                             "Make a dict of it with hk.data_structures.to_mutable_dict.")

    def __eq__(self, other: object) -> bool:
        return self._items == (other._items if isinstance(other, FlatMap) else other)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FlatMap({self._items!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FlatMap, (self._items,)


def _children(mapping: FlatMap) -> tuple[list[Any], tuple[Any, ...]]:
    keys = tuple(sorted(mapping))
    return [mapping[key] for key in keys], keys


def _children_with_keys(mapping: FlatMap) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
    children, keys = _children(mapping)
    paths = [pytree.DictKey(key) for key in keys]
    return list(zip(paths, children, strict=True)), keys


pytree.register_pytree_node(FlatMap, _children, lambda keys, children: FlatMap(zip(keys, children, strict=True)),
                            _children_with_keys)


def to_immutable_dict(mapping: Mapping[Any, Any]) -> FlatMap:
    """A copy that cannot be changed, dicts inside included; a `FlatMap` is returned as it is.

    >>> to_immutable_dict({"linear": {"w": 1.0}})
    FlatMap({'linear': FlatMap({'w': 1.0})})
    """
    if isinstance(mapping, FlatMap):
        return mapping
    return FlatMap({key: to_immutable_dict(value) if type(value) is dict else value for key, value in mapping.items()})


def to_mutable_dict(mapping: Mapping[Any, Any]) -> dict[Any, Any]:
    """A dict of what `to_immutable_dict` made.

    >>> to_mutable_dict(to_immutable_dict({"linear": {"w": 1.0}}))
    {'linear': {'w': 1.0}}
    """
    return {key: to_mutable_dict(value) if isinstance(value, FlatMap) else value for key, value in mapping.items()}


def to_haiku_dict(structure: Mapping[Any, Any]) -> dict[Any, Any]:
    """A copy of a structure in the mappings that `init` returns: plain dicts, all the way down.

    Values that are pytrees are copied too; arrays are shared.

    >>> to_haiku_dict(to_immutable_dict({"linear": {"w": 1.0}}))
    {'linear': {'w': 1.0}}
    """
    return {key: to_haiku_dict(value) if isinstance(value, Mapping) else pytree.map(lambda x: x, value)
            for key, value in structure.items()}
