"""minijax.nn against jax.nn: values, dtypes, gradients, at ordinary and at extreme arguments."""

import jax
import ml_dtypes
import numpy as np
import pytest

import minijax.api as api
import minijax.nn as nn
import minijax.numpy as jnp
import minijax.random as random
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError

ORDINARY = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32) * 3
EXTREME = np.array([0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 1e4, -1e4, 88.0, -88.0, 1e-8, -1e-30, np.inf], np.float32)
MASK = np.array([[True, False, True, True], [True, True, True, False], [False, True, True, True]])
WEIGHTS = np.array([1.0, -0.5, 2.0, 0.0], np.float32)

ELEMENTWISE = ("relu", "relu6", "sigmoid", "softplus", "silu", "swish", "gelu", "elu", "selu", "celu", "leaky_relu",
               "hard_tanh", "hard_sigmoid", "hard_silu", "hard_swish", "log_sigmoid", "soft_sign", "squareplus", "mish",
               "sparse_plus", "sparse_sigmoid", "identity", "tanh")

CALLS = {
    "gelu exact": lambda n, x: n.gelu(x, approximate=False),
    "elu alpha": lambda n, x: n.elu(x, 0.3),
    "celu alpha": lambda n, x: n.celu(x, 0.3),
    "leaky_relu slope": lambda n, x: n.leaky_relu(x, 0.3),
    "squareplus b": lambda n, x: n.squareplus(x, 1.5),
    "log1mexp": lambda n, x: n.log1mexp(abs(x) + 0.01),
    "glu": lambda n, x: n.glu(x),
    "glu axis": lambda n, x: n.glu(x.T, axis=0),
    "softmax": lambda n, x: n.softmax(x),
    "softmax axis": lambda n, x: n.softmax(x, axis=0),
    "softmax axes": lambda n, x: n.softmax(x, axis=(0, 1)),
    "softmax all": lambda n, x: n.softmax(x, axis=None),
    "softmax where": lambda n, x: n.softmax(x, axis=1, where=MASK),
    "log_softmax": lambda n, x: n.log_softmax(x),
    "log_softmax axis": lambda n, x: n.log_softmax(x, axis=0),
    "log_softmax where": lambda n, x: n.log_softmax(x, axis=1, where=MASK)[0, 2:],
    "logsumexp": lambda n, x: n.logsumexp(x),
    "logsumexp axis": lambda n, x: n.logsumexp(x, axis=-1, keepdims=True),
    "logsumexp b": lambda n, x: n.logsumexp(x, axis=1, b=abs(WEIGHTS)),
    "logsumexp sign": lambda n, x: n.logsumexp(x, axis=1, b=WEIGHTS, return_sign=True)[0],
    "logsumexp where": lambda n, x: n.logsumexp(x, axis=0, where=MASK),
    "logmeanexp": lambda n, x: n.logmeanexp(x),
    "logmeanexp where": lambda n, x: n.logmeanexp(x, axis=1, where=MASK),
    "standardize": lambda n, x: n.standardize(x),
    "standardize axis": lambda n, x: n.standardize(x, axis=(0, 1), epsilon=0.1),
    "standardize given": lambda n, x: n.standardize(x, mean=0.5, variance=2.0),
    "standardize where": lambda n, x: n.standardize(x, where=MASK),
} | {name: lambda n, x, name=name: getattr(n, name)(x) for name in ELEMENTWISE}


def close(ours, theirs, **tolerances):
    """Equal dtype, shape, weakness; and values to rounding."""
    assert str(ours.dtype) == str(theirs.dtype) and ours.shape == theirs.shape, (ours, theirs)
    ours, theirs = (np.asarray(x) for x in (ours, theirs))
    if ours.dtype == ml_dtypes.bfloat16 or ours.dtype == np.float16:
        tolerances, ours, theirs = {"rtol": 2e-2, "atol": 2e-2}, ours.astype(np.float32), theirs.astype(np.float32)
    np.testing.assert_allclose(ours, theirs, **{"rtol": 2e-6, "atol": 2e-6, **tolerances})


@pytest.mark.parametrize("call", CALLS)
def test_values_and_derivatives(call):
    function = CALLS[call]
    close(function(nn, ORDINARY), function(jax.nn, ORDINARY))
    close(api.jit(lambda x: function(nn, x))(ORDINARY), function(jax.nn, ORDINARY))
    weights = np.asarray(function(jax.nn, ORDINARY)) + 0.5

    def loss(n):
        return lambda x: (function(n, x) * weights).sum()

    theirs = jax.jit(lambda x, t: (jax.grad(loss(jax.nn))(x), jax.jvp(jax.grad(loss(jax.nn)), (x,), (t,))[1]))
    gradient, second = theirs(ORDINARY, ORDINARY[::-1])
    close(api.grad(loss(nn))(ORDINARY), gradient, rtol=2e-5, atol=2e-5)
    ours = api.jit(lambda x, t: api.jvp(api.grad(loss(nn)), (x,), (t,))[1])(ORDINARY, ORDINARY[::-1])
    close(ours, second, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_extreme_arguments(name):
    ours, theirs = getattr(nn, name), getattr(jax.nn, name)
    close(ours(EXTREME), theirs(EXTREME))
    gradient = api.jit(api.vmap(api.grad(ours)))(EXTREME[:-1])
    close(gradient, jax.jit(jax.vmap(jax.grad(theirs)))(EXTREME[:-1]))
    assert np.isfinite(np.asarray(gradient)).all()
    for dtype in (np.float16, ml_dtypes.bfloat16):
        close(ours(EXTREME[:7].astype(dtype)), theirs(EXTREME[:7].astype(dtype)))


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name != "tanh"])
def test_scalars_and_integers(name):
    for x in (-1.5,) if name in ("sigmoid", "silu", "swish") else (2, -1.5, np.arange(-2, 3)):
        ours, theirs = getattr(nn, name)(x), getattr(jax.nn, name)(x)
        close(ours, jax.numpy.asarray(theirs))
        assert ours.weak_type == jax.numpy.asarray(theirs).weak_type


@pytest.mark.parametrize("call", ["softmax", "log_softmax", "logsumexp axis", "standardize", "glu"])
def test_under_vmap(call):
    stack = np.stack([ORDINARY, ORDINARY[::-1], -ORDINARY])
    ours = api.jit(api.vmap(lambda x: CALLS[call](nn, x)))(stack)
    close(ours, jax.jit(jax.vmap(lambda x: CALLS[call](jax.nn, x)))(stack))


def test_derivative_of_relu_at_zero():
    assert float(api.grad(nn.relu)(0.0)) == 0.0
    assert float(api.grad(api.jit(nn.relu6))(6.0)) == 0.0


def test_large_logits():
    large = np.array([[1e30, 0.0, -1e30], [np.inf, 0.0, 1.0], [-np.inf, -np.inf, -np.inf]], np.float32)
    for name in ("softmax", "log_softmax"):
        close(getattr(nn, name)(large), getattr(jax.nn, name)(large))
    close(nn.logsumexp(large, axis=1), jax.nn.logsumexp(large, axis=1))
    close(nn.softmax(np.arange(3)), jax.nn.softmax(np.arange(3)))
    signed = np.float32([1, 2]), None, np.float32([1, -1])
    close(nn.logsumexp(*signed), jax.nn.logsumexp(*signed))
    empty = np.zeros((0, 3), np.float32)
    close(nn.logsumexp(empty, axis=0), jax.nn.logsumexp(empty, axis=0))


def test_one_hot():
    for axis in (-1, 0, 1):
        labels = np.array([[0, 3, -1], [7, 2, 1]])
        close(nn.one_hot(labels, 4, axis=axis), jax.nn.one_hot(labels, 4, axis=axis))
    close(nn.one_hot(2, 3, dtype=jnp.int8), jax.nn.one_hot(2, 3, dtype=np.int8))
    close(nn.one_hot(np.zeros((0,), np.int32), 3), jax.nn.one_hot(np.zeros((0,), np.int32), 3))


PLAIN = [("zeros", ()), ("ones", ()), ("constant", (2.5,)), ("uniform", (0.3,)), ("normal", (0.3,)),
         ("truncated_normal", (0.3,))]
SCALING = ("glorot_uniform", "glorot_normal", "lecun_uniform", "lecun_normal", "he_uniform", "he_normal",
           "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal")


def initializer(module, name, arguments):
    found = getattr(module, name)
    return found(*arguments) if arguments else found


def same_but_for_the_last_bits(ours, theirs):
    """Equal; from JAX 0.12 on, which fuses the scaling otherwise, to some units in the last place."""
    if jax.__version_info__ < (0, 12):
        return np.array_equal(np.asarray(ours), np.asarray(theirs))
    tolerance = 2.0 ** -7 if str(ours.dtype) == "bfloat16" else 5e-7
    return np.allclose(np.asarray(ours, np.float64), np.asarray(theirs, np.float64), rtol=tolerance, atol=0)


@pytest.mark.parametrize("name, arguments", PLAIN)
@pytest.mark.parametrize("dtype", [None, "bfloat16"])
def test_initializers(name, arguments, dtype):
    ours = initializer(nn.initializers, name, arguments)(random.key(3), (5, 4), dtype)
    theirs = initializer(jax.nn.initializers, name, arguments)(jax.random.key(3), (5, 4), dtype)
    assert str(ours.dtype) == str(theirs.dtype) and same_but_for_the_last_bits(ours, theirs)


@pytest.mark.parametrize("name", SCALING)
def test_variance_scaling_by_name(name):
    for options in ({}, {"in_axis": 0, "out_axis": (1, 2)}):
        ours = getattr(nn.initializers, name)(**options)(random.PRNGKey(3), (3, 4, 2))
        theirs = getattr(jax.nn.initializers, name)(**options)(jax.random.PRNGKey(3), (3, 4, 2))
        assert same_but_for_the_last_bits(ours, theirs)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
def test_variance_scaling_modes(mode):
    for distribution in ("normal", "uniform", "truncated_normal"):
        ours, theirs = (m.variance_scaling(1.7, mode, distribution) for m in (nn.initializers, jax.nn.initializers))
        ours, theirs = ours(random.PRNGKey(3), (4, 3)), theirs(jax.random.PRNGKey(3), (4, 3))
        assert same_but_for_the_last_bits(ours, theirs)


@pytest.mark.parametrize("name, shape, options", [
    ("orthogonal", (5, 4), {}), ("orthogonal", (2, 3, 4), {"scale": 2.0, "column_axis": 0}), ("orthogonal", (0, 3), {}),
    ("delta_orthogonal", (3, 2, 4), {}), ("delta_orthogonal", (4, 3, 2, 2), {"scale": 0.5})])
def test_orthogonal(name, shape, options):
    ours = getattr(nn.initializers, name)(**options)(random.key(3), shape)
    theirs = getattr(jax.nn.initializers, name)(**options)(jax.random.key(3), shape)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_orthogonal_matrices():
    q = np.asarray(random.orthogonal(random.key(3), 3, (2,), "complex64", 4))
    np.testing.assert_allclose(q, jax.random.orthogonal(jax.random.key(3), 3, (2,), "complex64", 4), atol=1e-6)
    np.testing.assert_allclose(q @ np.swapaxes(q.conj(), 1, 2), [np.eye(3)] * 2, atol=1e-5)


ERRORS = [
    (lambda: nn.initializers.orthogonal()(random.PRNGKey(0), (3,)), ShapeError, "two axes"),
    (lambda: nn.initializers.delta_orthogonal()(random.PRNGKey(0), (3, 4, 2)), ShapeError, "as many outputs"),
    (lambda: random.orthogonal(random.PRNGKey(0), -1), MinijaxValueError, "not sizes"),
    (lambda: nn.relu([1.0]), MinijaxTypeError, "list"),
    (lambda: nn.softmax("a"), MinijaxTypeError, "str"),
    (lambda: nn.glu(np.ones(3, np.float32)), ShapeError, "odd"),
    (lambda: nn.glu(np.ones(4, np.float32), axis=2), MinijaxValueError, "axis=2"),
    (lambda: nn.one_hot(np.arange(3), 2.5), MinijaxTypeError, "2.5"),
    (lambda: nn.one_hot(np.arange(3), 2, axis=5), MinijaxValueError, "axis=5"),
    (lambda: nn.softmax(np.ones(3, np.float32), axis=2), ValueError, "2"),
    (lambda: nn.initializers.variance_scaling(1.0, "fan", "normal"), MinijaxValueError, "'fan'"),
    (lambda: nn.initializers.variance_scaling(1.0, "fan_in", "cauchy"), MinijaxValueError, "'cauchy'"),
    (lambda: nn.initializers.he_normal()(random.PRNGKey(0), (3,)), ShapeError, "two axes|input and an output"),
    (lambda: nn.initializers.zeros(None, (2,), out_sharding=1), MinijaxValueError, "out_sharding"),
]


@pytest.mark.parametrize("index", range(len(ERRORS)))
def test_errors(index):
    call, error, text = ERRORS[index]
    with pytest.raises(error, match=text):
        call()
