"""The own pytree registry, and what `minijax.tree` and `tree_util` build on it, against `jax.tree_util`."""

import collections
import dataclasses

import jax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minijax.tree as trees_api
import minijax.tree_util as tree_util
from minijax import pytree
from minijax.errors import MinijaxTypeError, MinijaxValueError, TreeError

Point = collections.namedtuple("Point", "x y")
own = pytree.Backend()


class Pair:
    def __init__(self, *children):
        self.children = children


class Named(Pair):
    pass


@dataclasses.dataclass
class Layer:
    w: object
    b: object
    size: int = dataclasses.field(metadata={"static": True}, default=3)


@dataclasses.dataclass(frozen=True)
class Option:
    name: str


def register_both(register):
    """Register with JAX's functions, and with ours in the own registry."""
    register(jax.tree_util)
    before = pytree.backend
    pytree.install(own)
    register(tree_util)
    pytree.install(before)


register_both(lambda to: to.register_pytree_node(Pair, lambda p: (p.children, "aux"), lambda aux, c: Pair(*c)))
register_both(lambda to: to.register_pytree_with_keys(
    Named, lambda n: (tuple((to.DictKey(i), c) for i, c in enumerate(n.children)), None), lambda aux, c: Named(*c)))
register_both(lambda to: to.register_dataclass(Layer))
register_both(lambda to: to.register_static(Option))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """Run each test on the own registry."""
    before = pytree.backend
    pytree.install(own)
    yield
    pytree.install(before)


def containers(children):
    lists = st.lists(children, max_size=3)
    dicts = st.dictionaries(st.sampled_from("abcd"), children, max_size=3)
    return st.one_of(
        lists, lists.map(tuple), dicts, dicts.map(collections.OrderedDict),
        dicts.map(lambda d: collections.defaultdict(int, d)), st.builds(Point, children, children),
        lists.map(lambda c: Pair(*c)), lists.map(lambda c: Named(*c)), st.builds(Layer, children, children))


trees = st.recursive(st.one_of(st.integers(0, 9), st.none(), st.just(Option("o"))), containers, max_leaves=12)


@given(trees)
@settings(max_examples=150, deadline=None)
def test_flatten_as_jax(tree):
    leaves, treedef = pytree.flatten(tree)
    expected, jax_treedef = jax.tree_util.tree_flatten(tree)
    assert leaves == expected
    assert str(treedef) == str(jax_treedef)
    assert treedef.num_leaves == jax_treedef.num_leaves
    assert treedef.node_data() == jax_treedef.node_data()
    assert [str(c) for c in treedef.children()] == [str(c) for c in jax_treedef.children()]
    rebuilt = treedef.unflatten(leaves)
    assert type(rebuilt) is type(tree)
    assert pytree.flatten(rebuilt) == (leaves, treedef)
    assert hash(pytree.structure(rebuilt)) == hash(treedef)


@given(trees)
@settings(max_examples=100, deadline=None)
def test_paths_as_jax(tree):
    ours, theirs = pytree.leaves_with_path(tree), jax.tree_util.tree_leaves_with_path(tree)
    assert [leaf for _, leaf in ours] == [leaf for _, leaf in theirs]
    for (path, _), (jax_path, _) in zip(ours, theirs, strict=True):
        assert pytree.keystr(path) == jax.tree_util.keystr(jax_path)
        assert tree_util.keystr(path, simple=True, separator="/") == jax.tree_util.keystr(
            jax_path, simple=True, separator="/")
        assert [repr(key) for key in path] == [repr(key) for key in jax_path]


@given(trees, trees)
@settings(max_examples=100, deadline=None)
def test_equality_and_prefixes_as_jax(a, b):
    assert (pytree.structure(a) == pytree.structure(b)) == (
        jax.tree_util.tree_structure(a) == jax.tree_util.tree_structure(b))
    try:
        expected = jax.tree_util.tree_structure(a).flatten_up_to(b)
    except (ValueError, TypeError):
        with pytest.raises(TreeError, match="pytrees differ at tree"):
            pytree.map(lambda x, y: y, a, b)
        assert pytree.prefix_error(a, b) is not None
    else:
        assert pytree.structure(a).flatten_up_to(b) == expected
        assert pytree.prefix_error(a, b) is None


@given(trees)
@settings(max_examples=50, deadline=None)
def test_is_leaf_as_jax(tree):
    for is_leaf in (lambda x: x is None, lambda x: isinstance(x, (tuple, dict)), lambda x: x is not tree):
        leaves, treedef = pytree.flatten(tree, is_leaf)
        jax_leaves, jax_treedef = jax.tree_util.tree_flatten(tree, is_leaf)
        assert [id(leaf) for leaf in leaves] == [id(leaf) for leaf in jax_leaves]
        assert str(treedef) == str(jax_treedef)


def test_map_and_its_relatives():
    tree = {"b": (1, 2), "a": [3, None]}
    assert pytree.map(lambda x, y: (x, y), (1, [2]), ("p", ["q"])) == ((1, "p"), [(2, "q")])
    assert pytree.map(lambda x: x is None, [None, 1], is_leaf=lambda x: x is None) == [True, False]
    assert trees_api.map_with_path(lambda path, x, y: (pytree.keystr(path), x + y), tree, tree) == {
        "b": (("['b'][0]", 2), ("['b'][1]", 4)), "a": [("['a'][0]", 6), None]}
    assert trees_api.reduce(lambda x, y: x - y, tree) == 3 - 1 - 2
    assert trees_api.reduce(lambda x, y: x + y, [], 5) == 5
    assert trees_api.all({"a": True, "b": [1]}) and not trees_api.all([True, 0])
    assert tree_util.all_leaves([1, 2]) and not tree_util.all_leaves([1, ()])
    assert tree_util.treedef_is_leaf(pytree.structure(1)) and not tree_util.treedef_is_leaf(pytree.structure(None))
    pair = (pytree.structure(1), pytree.structure([1]))
    assert tree_util.treedef_tuple(pair) == pytree.structure((1, [2]))


def test_transpose():
    rows = [{"a": 1, "b": (2,)}, {"a": 3, "b": (4,)}]
    expected = {"a": [1, 3], "b": ([2, 4],)}
    assert trees_api.transpose(pytree.structure([0, 0]), pytree.structure(rows[0]), rows) == expected
    assert trees_api.transpose(pytree.structure([0, 0]), None, rows) == expected
    assert trees_api.transpose(pytree.structure([]), pytree.structure((0, 0)), []) == ([], [])
    with pytest.raises(TreeError):
        trees_api.transpose(pytree.structure([0, 0]), None, [{"a": 1}, {"b": 2}])


@pytest.mark.parametrize("prefix, full", [
    ((1, 2), (3, [4, {"a": 5}])), (1, {"a": [1, 2]}), ((1, None), (2, None)), ([1, (2, 3)], [(), ([1, 2], None)])])
def test_broadcast_as_jax(prefix, full):
    assert trees_api.broadcast(prefix, full) == jax.tree.broadcast(prefix, full)
    assert pytree.broadcast_prefix(prefix, full) == jax.tree_util.tree_leaves(jax.tree.broadcast(prefix, full))


def test_broadcast_prefix_with_none_as_a_leaf():
    assert pytree.broadcast_prefix((None, 0), ([1, 2], 3), is_leaf=lambda x: x is None) == [None, None, 0]


@pytest.mark.parametrize("prefix, full, message", [
    ({"w": (1, 2)}, {"w": [1, 2]}, r"at params\['w'\]: expected a tuple of 2, got a list of 2\."),
    ([1, [2]], [1, [2, 3]], r"at params\[1\]: expected a list of 1, got a list of 2\."),
    ({"a": {"b": 1}}, {"a": {"c": 1}}, r"at params\['a'\]: the keys differ: missing \['b'\], unexpected \['c'\]\."),
    (Point(1, (2,)), Point(1, 2), r"at params\.y: expected a tuple of 1, got a leaf of type int\."),
    (None, 3, r"at params: expected None, got a leaf of type int\."),
    (Layer(1, 2, 3), Layer(1, 2, 4), r"at params: the metadata of a Layer of 2 differ: expected \(3,\), got \(4,\)\."),
])
def test_where_trees_differ(prefix, full, message):
    with pytest.raises(TreeError, match=message):
        raise pytree.prefix_error(prefix, full, name="params")
    with pytest.raises(TreeError, match="pytrees differ at tree"):
        pytree.broadcast_prefix(prefix, full)


def test_errors():
    with pytest.raises(TreeError, match=r"keys \[1, 'a'\] .* cannot be sorted"):
        pytree.flatten({1: 1, "a": 2})
    with pytest.raises(TreeError, match="Too few leaves for PyTreeDef.*expected 2, got 1"):
        pytree.structure([1, 2]).unflatten([1])
    with pytest.raises(TreeError, match="Too many leaves"):
        pytree.structure([1]).unflatten([1, 2])
    with pytest.raises(MinijaxValueError, match="registered as a pytree node already"):
        pytree.register_pytree_node(Pair, lambda p: (p.children, None), lambda aux, c: Pair(*c))
    with pytest.raises(MinijaxTypeError, match="takes a class and two functions"):
        pytree.register_pytree_node(Pair, 1, 2)
    with pytest.raises(MinijaxValueError, match=r"Missing: \['b', 'size'\]; unexpected: \['z'\]"):
        tree_util.register_dataclass(Layer, ["w"], ["z"])
    with pytest.raises(TypeError):
        trees_api.reduce(lambda x, y: x, [])


def test_class_decorators():
    @tree_util.register_pytree_node_class
    class Box:
        def __init__(self, value):
            self.value = value

        def tree_flatten(self):
            return (self.value,), "box"

        @classmethod
        def tree_unflatten(cls, aux, children):
            return cls(*children)

    @tree_util.register_pytree_with_keys_class
    class KeyedBox(Box):
        def tree_flatten_with_keys(self):
            return ((pytree.GetAttrKey("value"), self.value),), "box"

    assert pytree.map(lambda x: x + 1, Box((1, 2))).value == (2, 3)
    assert pytree.keystr(pytree.leaves_with_path(Box([1]))[0][0]) == "[<flat index 0>][0]"
    assert pytree.keystr(pytree.leaves_with_path(KeyedBox([1]))[0][0]) == ".value[0]"


def test_another_backend_takes_over_registrations():
    class Recorder(pytree.Backend):
        def __init__(self):
            self.classes = []

        def register_node(self, cls, *functions):
            self.classes.append(cls)

    recorder = Recorder()
    pytree.forward_registrations(recorder)
    assert tree_util.Partial in recorder.classes
    pytree.install(recorder)
    tree_util.register_pytree_node(frozenset, lambda s: (tuple(s), None), lambda data, children: frozenset(children))
    assert frozenset in recorder.classes and pytree.leaves(frozenset([1])) == [frozenset([1])]
