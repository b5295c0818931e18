"""x[index] and x.at[index] against NumPy and JAX: values, gradients, programs, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tests.oracle import close

import minijax
from minijax import config
from minijax.errors import (MinijaxIndexError, MinijaxTypeError, MinijaxValueError, NonConcreteBooleanIndexError,
                            ShapeError)
from minijax.interpreters.dual import linearize_flat
from minijax.interpreters.stage import stage
from minijax.interpreters.transpose import transpose_tape
from minijax.ops.elementwise import sin_p
from minijax.numpy.indexing import apply_at, factors_at, getitem, normalize_static_index, scatter_at
from minijax.tracing.array import Array, typeof

X = np.arange(60, dtype=np.float32).reshape(3, 4, 5)


def a(*values):
    return np.array(values, np.int32)


MIXES = [
    0, -1, (0, 1), (..., 0), None, (None, 0, None), slice(None, None, -2), (slice(2, 0, -1), ..., slice(None, None, 2)),
    a(0, 2), (a(0, -2), a(1, 3)), (slice(None), np.array([[0, 1], [2, 3]])), (a(0, 1), slice(None), a(0, 4)),
    (0, slice(None), a(1, 2)), (a(0), ..., 2), (None, a(1, 0), slice(None, None, -2)), X > 30, (slice(None), X[0] > 7),
    True, False, (True, 0), (a(1), True), (slice(1, 3), a(0, 1), slice(4, 0, -3)), (slice(0, 0), a(0)),
    np.zeros(0, np.int32), (np.int32(1), a(-1, -2)), (a(0, 1), None, a(1, 2)),
    (slice(1, 2), slice(None, None, -1), a(0)),
    (a(0, 1), ..., a(1, 2)), (0, ..., a(0, 1)), (slice(5, 1), 1), (..., np.array([[1], [2]]), a(0, 1, 2)), (),
]


def numpy_evaluator():
    return config.override("evaluator", "numpy")


def traced(index):
    """The index with its integer arrays as arrays of ours, which nothing knows to be static."""
    parts = index if isinstance(index, tuple) else (index,)
    return tuple(Array(e) if isinstance(e, np.ndarray) and e.dtype != bool else e for e in parts)


@pytest.mark.parametrize("index", MIXES, ids=lambda i: str(i)[:40])
def test_every_form_as_numpy(index):
    expected = X[index]
    updated = X.copy()
    updated[index] = -np.arange(expected.size).reshape(expected.shape)
    values = -np.arange(expected.size, dtype=np.float32).reshape(expected.shape)
    with numpy_evaluator():
        for form in (index, traced(index)):
            np.testing.assert_array_equal(np.asarray(getitem(X, form)), expected)
            np.testing.assert_array_equal(np.asarray(scatter_at(X, form, values, "set")), updated)


@settings(max_examples=100)
@given(st.data())
def test_basic_and_integer_indices_as_numpy(data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    if data.draw(st.booleans()):
        index = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    else:
        index = data.draw(hnp.integer_array_indices(shape))
    with numpy_evaluator():
        np.testing.assert_array_equal(np.asarray(getitem(x, index)), x[index])
        updated = x.copy()
        np.add.at(updated, index, 1)
        np.testing.assert_array_equal(np.asarray(scatter_at(x, index, 1, "add")), updated)


KINDS = ["set", "add", "multiply", "min", "max"]
GRADIENT_INDICES = [1, (slice(None, None, -2), 0), (0, slice(1, 3), slice(4, 0, -3)), a(0, 2),
                    (a(0, -2), slice(1, 3), a(1, 1)), X > 30]


def gradients(function, args, ct):
    with numpy_evaluator():
        outs, tape = linearize_flat(function, args, [True] * len(args))
        return outs, transpose_tape(tape, [ct])


@pytest.mark.parametrize("index", GRADIENT_INDICES, ids=lambda i: str(i)[:30])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_as_jax(kind, index):
    values = np.linspace(0, 50, X[index].size, dtype=np.float32).reshape(X[index].shape)
    ct = np.random.default_rng(0).normal(size=X.shape).astype(np.float32)
    unique = kind == "multiply"  # JAX knows its derivative for distinct indices only

    def update(x, v):
        return getattr(x.at[index], kind)(v, unique_indices=unique)

    out, jax_cts = jax.jit(lambda x, v, ct: (update(x, v), jax.vjp(update, x, v)[1](ct)))(X, values, ct)
    (ours,), cts = gradients(lambda x, v: [scatter_at(x, index, v, kind, unique_indices=unique)], [X, values], ct)
    close(ours, out, index)
    for ours_ct, jax_ct in zip(cts, jax_cts, strict=True):
        close(ours_ct, jax_ct, index)


@pytest.mark.parametrize("index", GRADIENT_INDICES, ids=lambda i: str(i)[:30])
def test_gradient_of_reading_as_jax(index):
    ct = np.random.default_rng(0).normal(size=X[index].shape).astype(np.float32)
    _, (ours,) = gradients(lambda x: [getitem(x, index)], [X], ct)
    close(ours, jax.jit(jax.vjp(lambda x: x[index], X)[1])(ct)[0])


@pytest.mark.parametrize("mode", [None, "clip", "fill", "drop"])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool"])
def test_out_of_bounds_as_jax(mode, dtype):
    x = X[0].astype(dtype)
    for index in ((jnp.array([0, 7, -9, -1]),), (slice(1, 3), jnp.array([[9, -2]])), (jnp.int32(9),),
                  (jnp.int32(-7), jnp.int32(2))):
        ours = tuple(Array(e) if isinstance(e, jax.Array) else e for e in index)
        expected = jnp.asarray(x).at[index].get(mode=mode)
        close(getitem(x, ours, mode), expected, (index, mode))
        close(scatter_at(x, ours, x.dtype.type(1), "set", mode),
              jnp.asarray(x).at[index].set(x.dtype.type(1), mode=mode))
    far = jnp.array([9])
    close(getitem(x, Array(far), "fill", 1), jnp.asarray(x).at[far].get(mode="fill", fill_value=1))
    if mode is None:
        close(getitem(x, Array(far)), jnp.asarray(x)[far])


def test_static_indices_out_of_bounds_follow_the_mode():
    close(getitem(X, 7, "fill"), jnp.asarray(X).at[7].get(mode="fill"))
    close(getitem(X, 7, "clip"), jnp.asarray(X).at[7].get(mode="clip"))
    close(scatter_at(X, (7, 0), 1.0, "set", "drop"), X)
    assert np.isnan(np.asarray(getitem(X, a(5), 'fill'))).all()


def names(function, *args):
    return [eqn.op.name for eqn in stage(function, [typeof(x) for x in args]).eqns]


@pytest.mark.parametrize("index, expected", [
    (0, ["slice", "squeeze"]), (slice(None), []), (slice(1, 3), ["slice"]), (slice(None, None, -1), ["rev"]),
    (None, ["broadcast_in_dim"]), ((0, slice(None, None, -2), None), ["slice", "rev", "squeeze", "broadcast_in_dim"]),
    (a(0, 1), ["gather"])])
def test_shortest_ops(index, expected):
    assert names(lambda x: [getitem(x, index)], X) == expected


def test_a_traced_scalar_is_one_dynamic_slice():
    assert names(lambda x, i: [getitem(x, (i, 0, slice(1, 3)))], X, np.int32(1)) == [
        "lt", "add", "select_n", "dynamic_slice", "squeeze"]
    assert names(lambda x, v: [scatter_at(x, 0, v, "set")], X, X[0]) == ["reshape", "dynamic_update_slice"]


def test_other_updates():
    index, values = a(0, 2), np.full((2, 4, 5), 3, np.float32)
    close(apply_at(X, index, lambda old: sin_p.bind(old)[0]), jnp.asarray(X).at[index].apply(jnp.sin))
    close(factors_at(X, index, values), jnp.ones_like(X).at[index].multiply(values))


def test_static_form():
    index = (0, slice(None, np.int32(3)), ..., None)
    spec = normalize_static_index(index)
    assert hash(spec) is not None
    close(getitem(X, spec), X[index])
    for other in (a(0), True, (0, False), [0], 1.5, Array(a(1))):
        assert normalize_static_index(other) is None


@pytest.mark.parametrize("index, error, text", [
    (3, MinijaxIndexError, "index 3 is out of bounds for axis 0 with size 3"),
    ((0, -5), MinijaxIndexError, "index -5 is out of bounds for axis 1 with size 4"),
    ((0, 0, 0, 0), MinijaxIndexError, "too many indices"), ((..., ...), MinijaxIndexError, "single ellipsis"),
    ([0, 1], MinijaxTypeError, "array\\(seq\\)"), ((0, [1]), MinijaxTypeError, "A list"),
    (1.5, MinijaxTypeError, "float32"), ("a", MinijaxIndexError, "only integers"),
    (np.ones(3, np.float32), MinijaxTypeError, "float32"), (np.ones(4, bool), MinijaxIndexError, "boolean index"),
    (slice(None, None, 0), MinijaxValueError, "zero"), ((a(0, 1), a(0, 1, 2)), MinijaxIndexError, "broadcast")])
def test_errors(index, error, text):
    with pytest.raises(error, match=text):
        getitem(X, index)
    if "out of bounds" not in text:  # an update out of bounds is dropped
        with pytest.raises(error, match=text):
            scatter_at(X, index, 0.0, "set")


def test_errors_of_values_and_traced_masks():
    with pytest.raises(ShapeError, match="broadcast"):
        scatter_at(X, 0, np.ones((2, 5), np.float32), "add")
    with pytest.raises(NonConcreteBooleanIndexError, match="where"):
        stage(lambda mask: [getitem(X, mask)], [typeof(X > 3)])
    with pytest.raises(MinijaxIndexError, match="size 0"):
        getitem(np.zeros(0, np.float32), Array(a(1)))


def test_dtypes_of_values():
    whole = np.arange(4, dtype=np.int32)
    close(scatter_at(whole, 1, 7, "set"), jnp.asarray(whole).at[1].set(7))
    close(scatter_at(whole.astype(np.float32), 1, 7, "add"), jnp.asarray(whole, jnp.float32).at[1].add(7))
    with pytest.warns(FutureWarning, match="int32"):
        close(scatter_at(whole, 1, 2.5, "set"), np.array([0, 2, 2, 3], np.int32))


def test_keys_move_as_numbers_do():
    words = np.random.default_rng(0).integers(0, 2**32, (3, 4, 2), np.uint32)
    keys = jax.random.wrap_key_data(words, impl="threefry2x32")
    for index in (0, (slice(None), -1), slice(None, None, -1), a(2, 0), (a(0, 1), a(1, 1)), None):
        moved = words[index]
        np.testing.assert_array_equal(jax.random.key_data(getitem(keys, index).value), moved)
        set_to = scatter_at(keys, index, getitem(keys, (0, 0)), "set")
        np.testing.assert_array_equal(jax.random.key_data(set_to.value),
                                      jax.random.key_data(keys.at[index].set(keys[0, 0])))


OUTSIDE = [(3,), (-4,), (0, 9), (a(0, 5), 9), (slice(None), -5, slice(None, None, 2))]


@pytest.mark.parametrize("index", OUTSIDE, ids=str)
def test_static_integers_outside_of_the_array(index):
    """`x.at` has JAX's meaning for them in every mode; x[i] raises, as NumPy does."""
    x, other = minijax.numpy.asarray(X), jnp.asarray(X)
    for mode in (None, "clip", "drop"):
        close(x.at[index].get(mode=mode), other.at[index].get(mode=mode))
        for name in ("set", "power"):
            close(getattr(x.at[index], name)(2.0, mode=mode), getattr(other.at[index], name)(2.0, mode=mode))
    close(x.at[index].apply(minijax.numpy.sin), other.at[index].apply(jnp.sin))
    with pytest.raises(MinijaxIndexError, match="out of bounds"):
        x[index]


def test_negative_integers_may_lie_outside():
    x, other = minijax.numpy.asarray(X), jnp.asarray(X)
    for index in (-1, a(-1, 0), (slice(None), -2), slice(-2, None)):
        close(x.at[index].get(wrap_negative_indices=False), other.at[index].get(wrap_negative_indices=False))
        close(x.at[index].add(1.0, wrap_negative_indices=False), other.at[index].add(1.0, wrap_negative_indices=False))


def test_apply_maps_an_element_as_often_as_it_is_named():
    for index in (a(1, 1, 2), (slice(None), a(0, 0)), (a(0, 0), slice(None), a(1, 1)), (None, 1), slice(2, 0, -1)):
        for mode in (None, "clip"):
            close(minijax.numpy.asarray(X).at[index].apply(lambda v: v * v + 1, mode=mode),
                  jnp.asarray(X).at[index].apply(lambda v: v * v + 1, mode=mode))
    with pytest.raises(MinijaxTypeError, match="'sorted' is no option"):
        minijax.numpy.asarray(X).at[0].set(1.0, sorted=True)
    found = minijax.grad(lambda x: x.at[a(1, 1)].apply(lambda v: v * v).sum())(X)
    close(found[1], 4 * X[1] ** 3)
