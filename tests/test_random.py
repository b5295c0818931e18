"""minijax.random against jax.random: the same bits, for keys of both kinds, eager, under vmap and under jit."""

import jax
import ml_dtypes
import numpy as np
import pytest

import minijax.api as api
import minijax.random as random
from minijax import config
from minijax.errors import MinijaxIndexError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.lowering import install

install()

SEEDS = (0, 1, 42, 2**31 + 5, -7)
FLOATS = ("float16", "bfloat16", "float32")
LOGITS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
WEIGHTS = np.array([0.1, 0.0, 0.4, 0.3, 0.2], np.float32)
GRID = np.arange(12.0, dtype=np.float32).reshape(4, 3)

STANDARD = ("uniform", "normal", "exponential", "gumbel", "laplace", "logistic", "cauchy")

CALLS = {
    "uniform between": lambda r, key: r.uniform(key, (4, 3), minval=-2.0, maxval=LOGITS[0] + 5),
    "uniform of ints": lambda r, key: r.uniform(key, (7,), minval=1, maxval=3),
    "uniform reversed": lambda r, key: r.uniform(key, (7,), minval=3.0, maxval=1.0),
    "complex normal": lambda r, key: r.normal(key, (5,), "complex64"),
    "shape of an int": lambda r, key: r.normal(key, 5),
    "bits": lambda r, key: r.bits(key, (3, 2)),
    "bits 8": lambda r, key: r.bits(key, (5,), "uint8"),
    "bits 16": lambda r, key: r.bits(key, (), "uint16"),
    "bernoulli": lambda r, key: r.bernoulli(key),
    "bernoulli shape": lambda r, key: r.bernoulli(key, 0.3, (50,)),
    "bernoulli array": lambda r, key: r.bernoulli(key, WEIGHTS),
    "bernoulli bf16": lambda r, key: r.bernoulli(key, WEIGHTS.astype(ml_dtypes.bfloat16), (6, 5)),
    "bernoulli high": lambda r, key: r.bernoulli(key, 0.3, (50,), mode="high"),
    "rademacher": lambda r, key: r.rademacher(key, (9,)),
    "rademacher f32": lambda r, key: r.rademacher(key, (9,), "float32"),
    "randint": lambda r, key: r.randint(key, (40,), -5, 1000),
    "randint empty range": lambda r, key: r.randint(key, (3,), 5, 3),
    "randint all": lambda r, key: r.randint(key, (9,), -2**31, 2**31 - 1),
    "randint arrays": lambda r, key: r.randint(key, (2, 3), np.array([0, -4, 7]), np.array([[9], [20]], np.int8)),
    "randint floats": lambda r, key: r.randint(key, (8,), 0.5, 30.7),
    "randint i8": lambda r, key: r.randint(key, (30,), -200, 300, "int8"),
    "randint u8": lambda r, key: r.randint(key, (30,), 0, 256, "uint8"),
    "randint i16": lambda r, key: r.randint(key, (30,), -3, 30000, "int16"),
    "randint u16": lambda r, key: r.randint(key, (30,), 3, 2**16, "uint16"),
    "randint u32": lambda r, key: r.randint(key, (30,), 3, 2**31 - 1, "uint32"),
    "randint u32 beyond": lambda r, key: r.randint(key, (30,), 3, np.uint32(2**32 - 1), "uint32"),
    "randint no shape": lambda r, key: r.randint(key, (), 0, 10),
    "randint none": lambda r, key: r.randint(key, (0, 3), 0, 10),
    "permutation of int": lambda r, key: r.permutation(key, 13),
    "permutation of many": lambda r, key: r.permutation(key, 3000),
    "permutation of none": lambda r, key: r.permutation(key, 0),
    "permutation of u8": lambda r, key: r.permutation(key, np.uint8(13)),
    "permutation": lambda r, key: r.permutation(key, GRID),
    "permutation axis": lambda r, key: r.permutation(key, GRID, axis=-1),
    "permutation vector": lambda r, key: r.permutation(key, WEIGHTS),
    "permutation independent": lambda r, key: r.permutation(key, GRID, axis=1, independent=True),
    "permutation empty": lambda r, key: r.permutation(key, np.zeros((0, 3), np.float32)),
    "choice": lambda r, key: r.choice(key, 10, (4, 2)),
    "choice one": lambda r, key: r.choice(key, 10),
    "choice distinct": lambda r, key: r.choice(key, 10, (2, 3), replace=False),
    "choice slices": lambda r, key: r.choice(key, GRID, (2, 2), axis=1),
    "choice rows": lambda r, key: r.choice(key, GRID, (3,), replace=False),
    "choice weighted": lambda r, key: r.choice(key, 5, (50,), p=WEIGHTS),
    "choice weighted slices": lambda r, key: r.choice(key, GRID, (6,), p=WEIGHTS[1:], axis=0),
    "choice weighted distinct": lambda r, key: r.choice(key, 5, (4,), replace=False, p=WEIGHTS),
    "choice weighted distinct rows": lambda r, key: r.choice(key, GRID, (2, 1), replace=False, p=WEIGHTS[:4]),
    "choice nothing": lambda r, key: r.choice(key, GRID, (0, 2), axis=1),
    "categorical": lambda r, key: r.categorical(key, LOGITS),
    "categorical axis": lambda r, key: r.categorical(key, LOGITS, axis=0),
    "categorical shape": lambda r, key: r.categorical(key, LOGITS, shape=(20, 4)),
    "categorical shape axis": lambda r, key: r.categorical(key, LOGITS, axis=-2, shape=(2, 5, 3)),
    "categorical vector": lambda r, key: r.categorical(key, LOGITS[0]),
    "categorical high": lambda r, key: r.categorical(key, LOGITS, mode="high"),
    "categorical bf16": lambda r, key: r.categorical(key, LOGITS.astype(ml_dtypes.bfloat16)),
    "categorical distinct": lambda r, key: r.categorical(key, LOGITS, shape=(2, 4), replace=False),
    "categorical distinct axis": lambda r, key: r.categorical(key, LOGITS, axis=0, shape=(3, 3), replace=False),
    "categorical impossible": lambda r, key: r.categorical(key, np.array([-np.inf, 1.0, -np.inf], np.float32)),
    "truncated_normal": lambda r, key: r.truncated_normal(key, -2.0, 2.0, (50,)),
    "truncated_normal far": lambda r, key: r.truncated_normal(key, 2, 3, (50,)),
    "truncated_normal arrays": lambda r, key: r.truncated_normal(key, LOGITS - 1, LOGITS[0] + 1),
    "truncated_normal f16": lambda r, key: r.truncated_normal(key, -1.0, 0.5, (50,), "float16"),
    "truncated_normal bf16": lambda r, key: r.truncated_normal(key, -1.0, 0.5, (50,), "bfloat16"),
    "gumbel high": lambda r, key: r.gumbel(key, (30,), mode="high"),
    "gumbel high f16": lambda r, key: r.gumbel(key, (30,), "float16", mode="high"),
    "split": lambda r, key: r.split(key),
    "split many": lambda r, key: r.split(key, (2, 3)),
    "split none": lambda r, key: r.split(key, 0),
    "fold_in": lambda r, key: r.fold_in(key, 7),
    "fold_in large": lambda r, key: r.fold_in(key, 2**32 - 1),
    "fold_in array": lambda r, key: r.fold_in(key, np.int8(-1)),
    "key_data": lambda r, key: r.key_data(key),
    "clone": lambda r, key: r.clone(key),
}


def as_bytes(x):
    """Shape, dtype and bytes of a value; keys as their words."""
    x = getattr(x, "value", x)
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return "key", as_bytes(jax.random.key_data(x))
    x = np.asarray(x)
    return x.shape, str(x.dtype), x.tobytes()


def same(ours, theirs):
    """The values agree in every bit."""
    assert as_bytes(ours) == as_bytes(theirs), (ours, theirs)


@pytest.mark.parametrize("name", STANDARD)
@pytest.mark.parametrize("dtype", FLOATS)
def test_standard_distributions(name, dtype):
    for seed in SEEDS:
        same(getattr(random, name)(random.PRNGKey(seed), (2, 50), dtype),
             getattr(jax.random, name)(jax.random.PRNGKey(seed), (2, 50), dtype))


@pytest.mark.parametrize("shape", [(), (0,), (4, 0, 2), (1, 1, 3), 5])
def test_shapes(shape):
    for name in ("uniform", "normal"):
        same(getattr(random, name)(random.PRNGKey(3), shape), getattr(jax.random, name)(jax.random.PRNGKey(3), shape))


@pytest.mark.parametrize("call", CALLS)
def test_calls(call):
    for seed in SEEDS:
        same(CALLS[call](random, random.PRNGKey(seed)), CALLS[call](jax.random, jax.random.PRNGKey(seed)))


@pytest.mark.parametrize("call", ["uniform between", "complex normal", "randint arrays", "permutation",
                                  "choice distinct", "permutation independent", "choice weighted", "categorical shape",
                                  "bernoulli high", "truncated_normal arrays", "split many", "fold_in"])
def test_under_vmap(call):
    ours = api.vmap(lambda key: CALLS[call](random, key))(random.split(random.PRNGKey(5), 3))
    same(ours, jax.vmap(lambda key: CALLS[call](jax.random, key))(jax.random.split(jax.random.PRNGKey(5), 3)))


@pytest.mark.parametrize("call", ["uniform between", "permutation axis", "categorical", "split many", "fold_in"])
def test_under_jit_and_vmap_of_typed_keys(call):
    function = api.jit(api.vmap(lambda key: CALLS[call](random, key)))
    same(function(random.split(random.key(5), 3)),
         jax.jit(jax.vmap(lambda key: CALLS[call](jax.random, key)))(jax.random.split(jax.random.key(5), 3)))


@pytest.fixture
def x64():
    with config.override("jax_enable_x64", True):
        yield
    config.update("jax_enable_x64", False)


WIDE = {
    "normal": lambda r, key: r.normal(key, (5,)),
    "normal f32": lambda r, key: r.normal(key, (5,), "float32"),
    "complex normal": lambda r, key: r.normal(key, (5,), "complex128"),
    "uniform": lambda r, key: r.uniform(key, (5, 2), minval=-1.0),
    "bits": lambda r, key: r.bits(key, (5,)),
    "randint": lambda r, key: r.randint(key, (9,), -2, 2**40),
    "randint u64": lambda r, key: r.randint(key, (9,), 0, np.uint64(2**64 - 1), "uint64"),
    "randint i64": lambda r, key: r.randint(key, (9,), -2**63, 2**63 - 1, "int64"),
    "randint u32": lambda r, key: r.randint(key, (9,), -2, 2**32, "uint32"),
    "randint i32": lambda r, key: r.randint(key, (9,), -2**31, 2**31, "int32"),
    "randint i8": lambda r, key: r.randint(key, (9,), -2**31, 2**31, "int8"),
    "permutation": lambda r, key: r.permutation(key, 9),
    "choice": lambda r, key: r.choice(key, 9, (4,)),
    "choice weighted": lambda r, key: r.choice(key, 5, (4,), p=WEIGHTS.astype(np.float64)),
    "choice distinct": lambda r, key: r.choice(key, 5, (4,), replace=False, p=WEIGHTS),
    "categorical": lambda r, key: r.categorical(key, LOGITS),
    "bernoulli": lambda r, key: r.bernoulli(key, 0.5, (9,)),
    "truncated_normal": lambda r, key: r.truncated_normal(key, -1, 1, (9,)),
    "gumbel": lambda r, key: r.gumbel(key, (9,)),
    "laplace": lambda r, key: r.laplace(key, (9,)),
    "rademacher": lambda r, key: r.rademacher(key, (9,)),
}


@pytest.mark.parametrize("call", WIDE)
def test_x64(call, x64):
    for seed in SEEDS:
        same(WIDE[call](random, random.PRNGKey(seed)), WIDE[call](jax.random, jax.random.PRNGKey(seed)))


INTEGERS = (0, -1, -5, 2**31, 2**32, 2**33 + 7, 2**40, -2**31 - 1, -2**40, 2**63 - 1, -2**63, True, np.int64(2**40),
            np.uint32(2**32 - 1), np.int8(-3), np.uint64(2**63 + 1), np.array(-7, np.int16))


def check_seeds():
    for seed in INTEGERS:
        same(random.PRNGKey(seed), jax.random.PRNGKey(seed))
        same(random.key(seed), jax.random.key(seed))
    seeds = np.array([0, 3, -9], np.int32)
    same(api.vmap(random.PRNGKey)(seeds), jax.vmap(jax.random.PRNGKey)(seeds))
    same(api.jit(random.key)(5), jax.jit(jax.random.key)(5))


def test_seeds():
    check_seeds()


def test_seeds_x64(x64):
    check_seeds()


def test_keys_of_both_kinds():
    assert random.key_impl(random.key(0)) == jax.random.key_impl(jax.random.key(0))
    same(random.wrap_key_data(random.split(random.PRNGKey(0), 3)), jax.random.split(jax.random.key(0), 3))
    same(random.normal(jax.random.key(1), (3,)), jax.random.normal(jax.random.key(1), (3,)))
    same(random.normal(np.array([0, 1], np.uint32), (3,)), jax.random.normal(jax.random.PRNGKey(1), (3,)))
    assert random.key(0, impl="threefry2x32").dtype == random.key_dtype()
    assert random.key(0, dtype=random.key_dtype()).shape == ()


def test_gradient_through_parameters():
    ours = api.grad(lambda scale: random.uniform(random.PRNGKey(0), minval=scale))(0.5)
    same(ours, jax.grad(lambda scale: jax.random.uniform(jax.random.PRNGKey(0), minval=scale))(0.5))


def test_programs_show_the_draw():
    program = str(api.make_jaxpr(lambda key: random.uniform(key, (3,)))(random.PRNGKey(0)))
    assert "threefry2x32" in program and "name=_uniform" in program


KEY = np.array([0, 7], np.uint32)
ERRORS = [
    (lambda: random.normal(0), MinijaxTypeError, r"key.*random\.key\(seed\)"),
    (lambda: random.normal("key"), MinijaxTypeError, "'key' of type str"),
    (lambda: random.normal(np.zeros(2, np.float32)), MinijaxTypeError, r"f32\[2\]"),
    (lambda: random.normal(np.zeros(3, np.uint32)), MinijaxTypeError, r"u32\[3\]"),
    (lambda: random.normal(random.split(random.key(0))), MinijaxValueError, "vmap"),
    (lambda: random.split(np.zeros((3, 2), np.uint32)), MinijaxValueError, "vmap"),
    (lambda: random.split(KEY, 2.5), ShapeError, "2.5"),
    (lambda: random.split(KEY, -1), ShapeError, "negative"),
    (lambda: random.fold_in(KEY, np.arange(3)), MinijaxTypeError, "vmap"),
    (lambda: random.fold_in(KEY, -1), MinijaxValueError, "32 bits"),
    (lambda: random.PRNGKey(1.0), MinijaxTypeError, "seed is 1.0"),
    (lambda: random.PRNGKey(None), MinijaxTypeError, "seed is None"),
    (lambda: random.key(np.arange(2)), MinijaxTypeError, "vmap"),
    (lambda: random.PRNGKey(2**63), MinijaxValueError, "64 bits"),
    (lambda: random.key(0, impl="rbg"), MinijaxValueError, "rbg"),
    (lambda: random.wrap_key_data(np.zeros(3, np.uint32)), MinijaxTypeError, r"u32\[3\]"),
    (lambda: random.uniform(KEY, (-1,)), ShapeError, "negative"),
    (lambda: random.uniform(KEY, (3.5,)), ShapeError, "3.5"),
    (lambda: random.uniform(KEY, (2,), "int32"), MinijaxValueError, "int32"),
    (lambda: random.uniform(KEY, (2,), minval=np.zeros(3)), ShapeError, r"\(3,\)"),
    (lambda: random.uniform(KEY, (1,), maxval=np.zeros(3)), ShapeError, "maxval"),
    (lambda: random.uniform(KEY, minval="a"), MinijaxTypeError, "minval"),
    (lambda: random.randint(KEY, (2,), 0, 3, "float32"), MinijaxTypeError, "float32"),
    (lambda: random.randint(KEY, (2,), np.zeros(3, int), 3), ShapeError, r"\(3,\)"),
    (lambda: random.randint(KEY, (2,), 0, 2**70), MinijaxValueError, "maxval"),
    (lambda: random.bernoulli(KEY, 1), MinijaxTypeError, "int32"),
    (lambda: random.bernoulli(KEY, np.zeros(3, np.float32), (2,)), ShapeError, r"\(3,\)"),
    (lambda: random.bernoulli(KEY, mode="x"), MinijaxValueError, "'low' and 'high'"),
    (lambda: random.bits(KEY, (2,), "int32"), MinijaxValueError, "unsigned"),
    (lambda: random.permutation(KEY, 2.5), MinijaxTypeError, "2.5"),
    (lambda: random.permutation(KEY, [1, 2]), MinijaxTypeError, "list"),
    (lambda: random.permutation(KEY, GRID, axis=3), MinijaxValueError, "axis=3"),
    (lambda: random.choice(KEY, 0), MinijaxValueError, "a=0"),
    (lambda: random.choice(KEY, 2, (3,), replace=False), MinijaxValueError, "3 of 2"),
    (lambda: random.choice(KEY, 3, p=np.ones(2)), MinijaxValueError, r"\(2,\)"),
    (lambda: random.choice(KEY, GRID, axis=4), MinijaxValueError, "axis=4"),
    (lambda: random.categorical(KEY, np.float32(1)), MinijaxIndexError, "axis=-1"),
    (lambda: random.categorical(KEY, LOGITS, axis=4), MinijaxIndexError, "axis=4"),
    (lambda: random.categorical(KEY, LOGITS, shape=(5,)), ShapeError, r"\(5,\)"),
    (lambda: random.categorical(KEY, LOGITS, shape=(5, 4), replace=False), MinijaxValueError, "5 of 3"),
    (lambda: random.categorical(KEY, np.zeros((2, 0), np.float32)), MinijaxValueError, "no categories"),
    (lambda: random.categorical(KEY, np.zeros((2, 2), int)), MinijaxValueError, "int32"),
    (lambda: random.truncated_normal(KEY, np.zeros(3), 1.0, (2,)), ShapeError, "lower"),
    (lambda: random.gumbel(KEY, mode="mid"), MinijaxValueError, "mid"),
    (lambda: random.normal(KEY, out_sharding=1), MinijaxValueError, "out_sharding"),
]


@pytest.mark.parametrize("index", range(len(ERRORS)))
def test_errors(index):
    call, error, text = ERRORS[index]
    with pytest.raises(error, match=text):
        call()
