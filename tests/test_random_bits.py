"""Random bits, keys and seeds are those of jax.random, bit for bit."""

import jax
import numpy as np
import pytest

from minijax import config
from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.interpreters.batch import batch_flat
from minijax.interpreters.stage import stage
from minijax.ops import random
from minijax.tracing.array import Array, typeof
from tests.oracle import check_batching, check_value, close

SEEDS = [0, 1, 42, -1, 2**31 - 1, 2**32 + 5, -2**40]


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("value", SEEDS)
def test_seed(value, x64):
    with jax.enable_x64(x64), config.override("jax_enable_x64", x64):
        close(random.seed(value), jax.random.PRNGKey(value))
        if abs(value) < 2**31:
            close(random.seed(np.int32(value)), jax.random.PRNGKey(np.int32(value)))
            close(random.seed(Array(jax.numpy.asarray(value))), jax.random.PRNGKey(jax.numpy.asarray(value)))


@pytest.mark.parametrize("shape", [(), (0,), (5,), (3, 4), (2, 0, 3), (1, 2, 3)])
@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_bits(width, shape):
    key = jax.random.PRNGKey(7)
    with jax.enable_x64(True), config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        close(random.random_bits(np.asarray(key), width, shape), jax.random.bits(key, shape, f"uint{width}"))


def test_bits_on_xla():
    key = jax.random.PRNGKey(7)
    close(random.random_bits(np.asarray(key), 32, (3, 4)), jax.random.bits(key, (3, 4)))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,)])
def test_split_and_fold_in(shape):
    key = jax.random.PRNGKey(3)
    with config.override("evaluator", "numpy"):
        close(random.split(np.asarray(key), shape), jax.random.split(key, shape))
        for data in (0, 9, 2**31 - 1):
            close(random.fold_in(np.asarray(key), data), jax.random.fold_in(key, data))
            close(random.fold_in(np.asarray(key), np.int32(data)), jax.random.fold_in(key, data))


def test_batched_keys():
    keys = np.asarray(jax.random.split(jax.random.PRNGKey(0), 4))
    (bits,), (axis,) = batch_flat(lambda key: [random.random_bits(key, 32, (3,))], 4, [keys], [0])
    assert axis == 0
    close(bits, jax.vmap(lambda key: jax.random.bits(key, (3,)))(jax.numpy.asarray(keys)))


def test_typed_keys_wrap_and_unwrap():
    words = np.asarray(jax.random.split(jax.random.PRNGKey(0), 6)).reshape(2, 3, 2)
    check_value(random.random_wrap_p, [words], {"impl": "fry"})
    check_batching(random.random_wrap_p, [words], {"impl": "fry"})
    keys = words.view(np.dtype([("fry", np.uint32, (2,))])).reshape(2, 3)
    check_value(random.random_unwrap_p, [keys], {})
    check_batching(random.random_unwrap_p, [keys], {})
    assert str(typeof(random.random_wrap(words))) == "key<fry>[2,3]"


def test_few_equations():
    jaxpr = stage(lambda key: [random.random_bits(key, 32, (8,))], [typeof(np.zeros(2, np.uint32))])
    assert [eqn.op.name for eqn in jaxpr.eqns] == ["iota", "split", "reshape", "reshape", "threefry2x32", "xor"]


@pytest.mark.parametrize("call, error", [
    (lambda key: random.random_bits(key, 12, ()), MinijaxValueError),
    (lambda key: random.random_bits(key[:1], 32, ()), ShapeError),
    (lambda key: random.random_bits(key, 32, (2**17, 2**17)), MinijaxValueError),
    (lambda key: random.seed(1.5), DtypeError), (lambda key: random.seed(key), DtypeError),
    (lambda key: random.random_unwrap(key), DtypeError), (lambda key: random.random_wrap(key[:1]), ShapeError),
    (lambda key: random.random_wrap(key, "rbg"), MinijaxValueError),
    (lambda key: random.threefry2x32_p.bind(key, key, unroll=True), DtypeError)])
def test_errors(call, error):
    with pytest.raises(error), config.override("evaluator", "numpy"):
        call(np.zeros(2, np.uint32))
