"""Parameters as data: the functions of hk.data_structures against dm-haiku's, FlatMap, and tables."""

import copy
import pickle

import haiku
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import minijax.numpy as jnp
from minijax import errors, tree
from minijax.haiku import data_structures as ours
from minijax.haiku import tables

theirs = haiku.data_structures
names = st.sampled_from(["a", "b", "mlp/~/linear_0", "w", ""])
structures = st.dictionaries(names, st.dictionaries(names, st.integers(-3, 3), max_size=3), max_size=3)


def odd(module_name, name, value):
    return value % 2 == 1


def by_value(module_name, name, value):
    return value % 3


def moved(module_name, name, value):
    return module_name, value + len(name)


@settings(max_examples=40)
@given(structures, structures)
def test_functions_are_those_of_haiku(x, y):
    for run in (lambda lib: list(lib.traverse(x)), lambda lib: lib.partition(odd, x), lambda lib: lib.filter(odd, x),
                lambda lib: lib.partition_n(by_value, x, 3), lambda lib: lib.map(moved, x), lambda lib: lib.merge(x, y),
                lambda lib: lib.merge(x), lambda lib: lib.is_subset(subset=x, superset=y),
                lambda lib: lib.to_haiku_dict(x), lambda lib: lib.to_mutable_dict(lib.to_immutable_dict(x))):
        got, expected = run(ours), run(theirs)
        assert got == expected and repr(got) == repr(expected)


@settings(max_examples=40)
@given(structures)
def test_what_is_taken_apart_goes_together_again(x):
    full = {module: bundle for module, bundle in x.items() if bundle}
    assert ours.merge(*ours.partition(odd, x)) == full
    assert ours.merge(*ours.partition_n(by_value, x, 3)) == full
    assert ours.is_subset(subset=ours.filter(odd, x), superset=x)


def test_sizes_of_arrays_and_of_types():
    arrays = {"linear": {"w": jnp.ones((3, 4), "bfloat16"), "b": np.zeros(4)}, "key": {"k": jnp.zeros((), "uint8")}}
    assert ours.tree_size(arrays) == theirs.tree_size(tree.map(np.asarray, arrays)) == 17
    assert ours.tree_bytes(arrays) == theirs.tree_bytes(tree.map(np.asarray, arrays)) == 57


def test_structures_that_cannot_be_put_together():
    with pytest.raises(errors.MinijaxValueError, match=r"\['a'\]\['w'\] into part 3, but there are 2 parts"):
        ours.partition_n(lambda *entry: 3, {"a": {"w": 1}}, 2)
    one, other = {"a": {"w": jnp.ones(2), "n": 1}}, {"a": {"w": jnp.ones(3), "n": 2}}
    assert ours.merge(one, other)["a"]["w"].shape == (3,)
    with pytest.raises(errors.MinijaxValueError, match=r"\['a'\]\['w'\] is there twice, as f32\[2\] and as f32\[3\]"):
        ours.merge(one, other, check_duplicates=True)


def test_flat_map_is_a_pytree_that_nobody_changes():
    flat = ours.to_immutable_dict({"b": {"w": 1}, "a": 2})
    assert ours.to_immutable_dict(flat) is flat and isinstance(flat["b"], ours.FlatMap)
    assert tree.leaves(flat) == [2, 1]
    assert tree.map(lambda x: x + 1, flat) == ours.to_immutable_dict({"b": {"w": 2}, "a": 3})
    assert [str(path[0]) for path, _ in tree.leaves_with_path(flat)] == ["['a']", "['b']"]
    assert flat == pickle.loads(pickle.dumps(flat)) == copy.deepcopy(flat) == {"a": 2, "b": {"w": 1}}
    assert hash(flat) == hash(copy.copy(flat)) and flat != {"a": 2}
    with pytest.raises(TypeError):
        flat["b"] = 3
    for change in (lambda: flat.w, lambda: setattr(flat, "w", 3)):
        with pytest.raises(errors.FrozenMapError, match="'w'"):
            change()


PARAMS = {"mlp/~/linear_0": {"w": np.ones((2, 3), "float32"), "b": np.zeros(3, "float32")}, "a<b>": {"x": np.ones(4)}}


def test_parameters_as_a_table():
    text = str(tables.parameter_table(PARAMS))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert cells[0] == ["Module", "Name", "Type", "Elements", "Bytes", "Share"]
    assert cells[2] == ["mlp/~/linear_0", "b", "f32[3]", "3", "12.00 B", "23.1%"]
    assert cells[-1] == ["Total", "", "", "13", "68.00 B", "100.0%"]
    assert len({len(line) for line in text.splitlines()}) == 1
    markdown = tables.parameter_table(PARAMS).text("github").splitlines()
    assert markdown[1] == "| :--- | :--- | :--- | ---: | ---: | ---: |" and len(markdown) == 6
    with pytest.raises(errors.MinijaxValueError, match="printed as 'latex'. Choose one of grid, plain, github, html"):
        tables.parameter_table(PARAMS).text("latex")
    assert tables.parameter_table({}).rows == [("Total", "", "", "0", "0.00 B", "0.0%")]


class Notebook:
    """What of IPython the extension speaks to."""

    def __init__(self):
        self.display_formatter, self.formatters, self.printers = self, {"text/html": self}, {}

    def for_type(self, cls, printer):
        self.printers[cls] = printer

    def pop(self, cls, default):
        return self.printers.pop(cls, default)


def test_notebooks_show_parameters_and_nothing_else_as_tables():
    notebook = Notebook()
    tables.load_ipython_extension(notebook)
    show = notebook.printers[dict]
    assert show(PARAMS).startswith("<table>") and "a&lt;b&gt;" in show(PARAMS)
    others = {}, {"a": {}}, {"a": {"w": 1.0}}, {"a": PARAMS["a<b>"]["x"]}, {1: {"w": np.ones(2)}}
    assert [show(other) for other in others] == [None] * len(others)
    tables.unload_ipython_extension(notebook)
    assert not notebook.printers
