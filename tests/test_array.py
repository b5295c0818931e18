"""Operators, methods, indexing and `.at` of arrays, and NumPy's own functions on them."""

import copy
import pickle

import jax
import jax.numpy as theirs
import numpy as np
import pytest

import minijax
import minijax.numpy as ours
from minijax.errors import MinijaxError, MinijaxTypeError
from test_numpy import V4, B, F, G, I, V, assert_same

OPERATORS = [
    lambda x, y: x + y, lambda x, y: x - 2, lambda x, y: 2 - x, lambda x, y: x * 2.5, lambda x, y: x / 3, lambda x,
    y: 1 / (x + 9), lambda x, y: x // 2,
    lambda x, y: x % 3, lambda x, y: divmod(x, 2), lambda x, y: divmod(7, y + 9), lambda x, y: x ** 2, lambda x,
    y: 2 ** x, lambda x, y: x @ y.T, lambda x, y: -x,
    lambda x, y: +x, lambda x, y: abs(x), lambda x, y: round(x, 1), lambda x, y: x == y, lambda x, y: x != y, lambda x,
    y: x < y, lambda x, y: 1 <= x, lambda x, y: x > y,
    lambda x, y: x >= 0, lambda x, y: np.float32(2) * x, lambda x, y: np.ones((2, 3), np.float32) - x, lambda x, y: x +
    np.int8(1), lambda x, y: x * True,
]
BITS = [lambda x, y: x & y, lambda x, y: x | 1, lambda x, y: 1 ^ x, lambda x, y: ~x, lambda x, y: x << 2, lambda x,
        y: x >> 1, lambda x, y: 2 << abs(y)]


@pytest.mark.parametrize("number", range(len(OPERATORS)))
def test_operators(number):
    f = OPERATORS[number]
    for x, y in ((F, G), (I, I[::-1].copy())):
        assert_same(f(ours.asarray(x), ours.asarray(y)), f(theirs.asarray(x), theirs.asarray(y)), number)


@pytest.mark.parametrize("f", BITS)
def test_bits(f):
    x, y = I, I[:, ::-1].copy()
    assert_same(f(ours.asarray(x), ours.asarray(y)), f(theirs.asarray(x), theirs.asarray(y)), f)


def test_operands_that_are_not_values():
    class Other:
        def __radd__(self, other):
            return "reflected"

        def __rmatmul__(self, other):
            return "reflected"

    x = ours.ones(3)
    assert x + Other() == x @ Other() == "reflected"
    assert (x == None) is False and (x != "text") is True  # noqa: E711
    with pytest.raises(TypeError, match="unsupported operand"):
        x + [1, 2, 3]
    with pytest.raises(TypeError):
        x < "text"


METHODS = [
    lambda x: x.sum(0), lambda x: x.mean(), lambda x: x.reshape(3, 2), lambda x: x.reshape((3, -1)),
    lambda x: x.astype("int32"), lambda x: x.T, lambda x: x.mT,
    lambda x: x.flatten(), lambda x: x.ravel(), lambda x: x.dot(x.T), lambda x: x.min(axis=1), lambda x: x.max(),
    lambda x: x.argmax(1), lambda x: x.std(), lambda x: x.var(0),
    lambda x: x.transpose(1, 0), lambda x: x.transpose(), lambda x: x.transpose((0, 1)), lambda x: x[None].squeeze(0),
    lambda x: x.repeat(2), lambda x: x.take(np.array([1])),
    lambda x: x.clip(0, 1), lambda x: x.conj(), lambda x: x.real, lambda x: x.imag, lambda x: x.copy(),
    lambda x: x.cumsum(1), lambda x: x.round(1), lambda x: x.sort(), lambda x: x.argsort(0),
    lambda x: x.any(), lambda x: x.all(axis=0), lambda x: x.swapaxes(0, 1), lambda x: x.trace(),
    lambda x: x.view("int32"), lambda x: x.view("uint8"), lambda x: x.prod(), lambda x: x.diagonal(),
    lambda x: x.nonzero(), lambda x: x.ptp() if hasattr(x, "ptp") else x, lambda x: x.astype(bool),
    lambda x: x.searchsorted(0.5) if x.ndim == 1 else x, lambda x: x.argmin(),
]


@pytest.mark.parametrize("number", range(len(METHODS)))
def test_methods(number):
    f = METHODS[number]
    assert_same(f(ours.asarray(F)), f(theirs.asarray(F)), number)


INDICES = [0, -1, (1, 2), slice(1, None), (slice(None), slice(None, None, -1)), (..., 0), None, (slice(None), None, 1),
           np.array([1, 0]), ([1, 0], [2, 2]), (slice(None), [0, 2]),
           (np.array([[0], [1]]), np.array([0, 2])), (0, ..., None), B, (1, B[1]), (slice(0, 0),), [0, 1], (Ellipsis,),
           np.int32(1), True]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_indexing(index):
    x, y = ours.asarray(F), theirs.asarray(F)
    index_of_arrays = index if not isinstance(index, list) else np.array(index)
    given = tuple(np.array(e) if isinstance(e, list) else e for e in index) if isinstance(index,
                                                                                          tuple) else index_of_arrays
    assert_same(x[given], y[given], index)
    for write in ("set", "add", "multiply", "min", "max"):
        assert_same(getattr(x.at[given], write)(2.5), getattr(y.at[given], write)(2.5), (write, index))


def test_at():
    x, y = ours.asarray(F), theirs.asarray(F)
    for f in (lambda x: x.at[0].divide(2.0), lambda x: x.at[0, 1].power(2.0), lambda x: x.at[1].apply(abs),
              lambda x: x.at[5].get(mode="fill", fill_value=-1.0),
              lambda x: x.at[:, 7].set(1.0, mode="drop"), lambda x: x.at[np.array([0, 9])].get(mode="clip"),
              lambda x: x.at[0].subtract(1.0), lambda x: x.at[:, 0].mul(np.float32([1, 2])),
              lambda x: x.at[np.array([0, 0])].add(1.0)):
        assert_same(f(x), f(y), f)
    assert float(minijax.grad(lambda x: x.at[0, 0].set(5.0).sum())(x)[0, 0]) == 0.0


def test_traced_index():
    table = ours.asarray(V)
    assert float(minijax.jit(lambda i: table[i])(2)) == 2.0
    np.testing.assert_array_equal(minijax.vmap(lambda i: table[i])(ours.array([3, 0])), V[[3, 0]])
    np.testing.assert_array_equal(minijax.jit(lambda i: table.at[i].set(7.0))(1), [3, 7, 2, 2])


def test_eager_static_indices_share_one_kernel():
    x = ours.asarray(V4)
    np.testing.assert_array_equal(x[0, ::2], V4[0, ::2])
    np.testing.assert_array_equal([np.asarray(row) for row in x], V4)
    a, b = ours.ones(2)
    assert float(a + b) == 2.0


NUMPY_CALLS = [
    lambda x: np.sin(x), lambda x: np.add(x, 1), lambda x: np.sum(x, axis=0), lambda x: np.concatenate([x, x]),
    lambda x: np.where(x > 0, x, 0), lambda x: np.mean(x), lambda x: np.dot(x, x.T),
    lambda x: np.reshape(x, (3, 2)), lambda x: np.stack([x, x]), lambda x: np.exp(-x), lambda x: np.max(x, axis=1),
    lambda x: np.transpose(x), lambda x: np.einsum("ij->j", x), lambda x: np.linalg.norm(x),
    lambda x: np.maximum(x, 0), lambda x: np.zeros_like(x), lambda x: np.clip(x, 0, 1),
    lambda x: np.tanh(x) @ np.ones(3, np.float32), lambda x: np.matmul(x, x.T), lambda x: np.abs(x),
    lambda x: np.ravel(x),
    lambda x: np.squeeze(x[None]), lambda x: np.argmax(x), lambda x: np.cumsum(x, axis=0),
    lambda x: np.square(x) ** 0.5, lambda x: np.tril(x), lambda x: np.array_equal(x, x), lambda x: np.divmod(x, 2.0)[0],
]


@pytest.mark.parametrize("number", range(len(NUMPY_CALLS)))
def test_numpys_functions(number):
    f = NUMPY_CALLS[number]
    eager, traced = f(ours.asarray(F)), minijax.jit(f)(F)
    assert isinstance(eager, ours.ndarray)
    np.testing.assert_allclose(eager, f(F), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(traced, f(F), rtol=2e-6, atol=1e-6)


def test_a_function_of_plain_numpy_differentiates():
    def loss(x):
        return np.sum(np.tanh(x) * np.sin(x))

    np.testing.assert_allclose(minijax.grad(loss)(ours.asarray(F)),
                               jax.grad(lambda x: (theirs.tanh(x) * theirs.sin(x)).sum())(F), rtol=1e-5)


def test_conversions():
    x = ours.asarray(F)
    assert float(x[0, 0]) == -1.0 and int(ours.int32(3)) == 3 and bool(ours.array(True)) and complex(ours.array(2)) == 2
    assert [1, 2, 3][ours.array(1)] == 2 and x.tolist() == F.tolist()
    assert x[1, 1].item() == 1.0 and len(x) == 2 and 1.5 in x
    for other in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x), ours.asarray(jax.numpy.asarray(F)),
                  ours.asarray(x)):
        np.testing.assert_array_equal(other, F)
    assert f"{ours.array(1.5):.2f}" == "1.50" and repr(ours.arange(2)) == "Array([0, 1], dtype=int32)"
    assert np.asarray(x, dtype=np.float64).dtype == np.float64 and theirs.sin(x).shape == (2, 3)


ERRORS = [(lambda x: x[7], "out of bounds"), (lambda x: x[0, 0, 0], "ind"), (lambda x: x["a"], ""),
          (minijax.jit(lambda x: np.partition(x, 1)), "not known for traced"),
          (minijax.jit(lambda x: np.add.reduce(x)), "not known for traced"), (lambda x: hash(x), "unhashable"),
          (lambda x: setattr(x, "shape", 1), ""),
          (lambda x: x.__setitem__(0, 1), r"x.at\[i\].set"), (lambda x: x.nothing, "has no attribute"),
          (lambda x: x.astype("nothing"), "does not name a dtype"),
          (lambda x: x.reshape(7), "elements"), (lambda x: x.transpose(0, 0), "twice"),
          (lambda x: x.at[0].set(np.ones(9)), "do not broadcast"), (lambda x: x & x, "integer or bool")]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, text = ERRORS[number]
    with pytest.raises((MinijaxError, TypeError, AttributeError), match=text or None):
        call(ours.asarray(F))


def test_strings_are_refused():
    with pytest.raises(MinijaxTypeError, match="numbers and bool"):
        ours.asarray(np.array(["a"]))
