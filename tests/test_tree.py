"""minijax.tree and minijax.tree_util against jax.tree and jax.tree_util."""

import collections
import dataclasses

import jax
import numpy as np
import pytest

import minijax.tree as tree
import minijax.tree_util as tree_util
from minijax.errors import MinijaxTypeError, MinijaxValueError, TreeError
from minijax.lowering import install
from minijax.tracing import Array

install()

Point = collections.namedtuple("Point", "x y")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Layer:
    w: object
    b: object
    name: str = tree.static(default="dense")


@jax.tree_util.register_pytree_node_class
class Pair:
    def __init__(self, left, right):
        self.left, self.right = left, right

    def tree_flatten(self):
        return (self.left, self.right), "pair"

    @classmethod
    def tree_unflatten(cls, data, children):
        return cls(*children)


TREES = [
    3, None, (), [], {}, [1, (2, None)], {"b": 1, "a": [2, {"c": 3}]}, Point(1, [2, 3]), Pair(1, {"z": 2}),
    collections.OrderedDict(b=1, a=2), collections.defaultdict(list, a=[1], b=[2, 3]), Layer(1, [2, 3]),
    [Layer(Pair(1, 2), None, "relu")]]


def stops(x):
    return isinstance(x, tuple)


def stops_at(path, x):
    return len(path) == 1


@pytest.mark.parametrize("index", range(len(TREES)))
@pytest.mark.parametrize("is_leaf", [None, stops])
def test_one_tree(index, is_leaf):
    t = TREES[index]
    assert tree.leaves(t, is_leaf) == jax.tree.leaves(t, is_leaf)
    assert tree.structure(t, is_leaf) == jax.tree.structure(t, is_leaf)
    assert tree.flatten_with_path(t, is_leaf) == jax.tree.flatten_with_path(t, is_leaf)
    assert tree.leaves_with_path(t, is_leaf) == jax.tree.leaves_with_path(t, is_leaf)
    leaves, treedef = tree.flatten(t, is_leaf)
    assert tree.structure(tree.unflatten(treedef, leaves), is_leaf) == treedef
    doubled, expected = (m(lambda x: (x, x), t, is_leaf=is_leaf) for m in (tree.map, jax.tree.map))
    assert jax.tree.flatten(doubled) == jax.tree.flatten(expected)
    assert tree.all(t, is_leaf=is_leaf) == jax.tree.all(t, is_leaf=is_leaf)
    assert tree.reduce(lambda x, y: (x, y), t, 0, is_leaf) == jax.tree.reduce(lambda x, y: (x, y), t, 0, is_leaf)


@pytest.mark.parametrize("index", range(len(TREES)))
def test_paths_and_levels(index):
    t = TREES[index]
    ours = tree.flatten_with_path(t, stops_at, is_leaf_takes_path=True)
    assert ours == jax.tree.flatten_with_path(t, stops_at, is_leaf_takes_path=True)
    named, expected = (m(lambda path, x, y: (str(path), x, y), t, t, is_leaf=stops_at, is_leaf_takes_path=True)
                       for m in (tree.map_with_path, jax.tree.map_with_path))
    assert jax.tree.flatten(named) == jax.tree.flatten(expected)
    keys = [tree_util.keystr(path) for path, _ in tree.leaves_with_path(t)]
    assert keys == [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(t)]
    assert tree_util.is_tree_node(type(t)) == jax.tree_util.is_tree_node(type(t))
    if tree_util.is_tree_node(type(t)):
        ours, theirs = tree_util.flatten_one_level_with_keys(t), jax.tree_util.flatten_one_level_with_keys(t)
        assert ours[1] == theirs[1]
        if type(t) is not Point:  # jax 0.10.2 names every field of a named tuple as the first
            assert list(ours[0]) == list(theirs[0])
        ours, theirs = tree_util.flatten_one_level(t), jax.tree_util.flatten_one_level(t)
        assert (list(ours[0]), ours[1]) == (list(theirs[0]), theirs[1])


def test_names():
    for name in jax.tree.__all__ if hasattr(jax.tree, "__all__") else [n for n in dir(jax.tree) if n[0] != "_"]:
        assert hasattr(tree, name), name
    for name in [n for n in dir(jax.tree_util) if n[0] != "_"]:
        assert hasattr(tree_util, name), name
    for name in ("SequenceKey", "DictKey", "GetAttrKey", "FlattenedIndexKey", "PyTreeDef"):
        assert getattr(tree_util, name) is getattr(jax.tree_util, name)


def test_reduce_associative():
    def pair(x, y):
        return x, y

    for n in range(1, 9):
        assert tree.reduce_associative(pair, list(range(n))) == jax.tree.reduce_associative(pair, list(range(n)))
    assert tree.reduce_associative(pair, [], identity=7) == 7
    with pytest.raises(MinijaxTypeError, match="identity"):
        tree.reduce_associative(pair, [])


def test_transpose_broadcast_and_treedefs():
    outer, inner = tree.structure([0, 0]), tree.structure({"a": 0, "b": 0})
    rows = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    for inner_or_none in (inner, None):
        assert tree.transpose(outer, inner_or_none, rows) == jax.tree.transpose(outer, inner_or_none, rows)
    full = (1, {"a": 2, "b": [3, 4]})
    assert tree.broadcast((7, 8), full) == jax.tree.broadcast((7, 8), full) == (7, {"a": 8, "b": [8, 8]})
    assert tree_util.treedef_children(outer) == jax.tree_util.treedef_children(outer)
    assert tree_util.treedef_tuple([outer, inner]) == jax.tree_util.treedef_tuple([outer, inner])
    assert tree_util.all_leaves([1, 2]) and not tree_util.all_leaves([1, (2,)])


def test_arrays_are_leaves():
    x = Array(jax.numpy.arange(3.0))
    assert tree.leaves({"w": x, "b": (x, 1)})[0] is x
    assert tree_util.is_tree_node(list) and tree.structure(x) == tree.structure(0)
    assert tree.leaves_with_path([x]) == [((jax.tree_util.SequenceKey(0),), x)]


def test_classes_registered_here_work_there():
    class Box:
        def __init__(self, item):
            self.item = item

    tree_util.register_pytree_node(Box, lambda box: ((box.item,), None), lambda _, children: Box(*children))
    assert jax.tree.leaves(Box([1, 2])) == [1, 2]
    assert tree.map(lambda x: -x, Layer(1, 2)) == Layer(-1, -2)
    with pytest.raises(ValueError):
        tree_util.register_pytree_node(Box, lambda box: ((), None), lambda _, children: Box(None))


def test_partial():
    add = tree_util.Partial(np.add, 1, 2)
    assert [tree_util.keystr(path) for path, _ in tree.leaves_with_path(add)] == [".args[0]", ".args[1]"]
    assert tree.map(lambda x: 2 * x, add)() == 6
    assert tree.map(lambda x: 10 * x, tree_util.Partial(lambda x, y: x + y, 1, y=3))() == 40


def test_errors_name_what_differs():
    with pytest.raises(TreeError, match=r"\['w'\]"):
        tree.map(lambda x, y: x, {"w": (1, 2)}, {"w": (1, 2, 3)})
    with pytest.raises(MinijaxValueError, match="leaf"):
        tree_util.flatten_one_level(3)
    with pytest.raises(ValueError):
        tree.unflatten(tree.structure([0, 0]), [1])
