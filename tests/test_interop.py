"""The bridge: programs of JAX's own libraries inside minijax, and minijax's inside JAX, with the same numbers."""

import collections
import gc
import weakref

import haiku as hk
import jax
import jax.numpy as jnp
import jax.scipy as jsp
import numpy as np
import optax
import pytest
from flax import linen as nn
from jax.experimental.ode import odeint

import minijax
import minijax.numpy as mnp
from minijax.errors import MinijaxTypeError, MissingRuleError
from minijax.interop import from_jax, register, to_jax

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
SQUARE = (X.T @ X + 3 * np.eye(3)).astype(np.float32)
IMAGE = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)


def agree(ours, theirs, rtol=2e-4):
    """Both pytrees have the same leaves, to rounding."""
    theirs, tree = jax.tree.flatten(theirs)
    ours = minijax.tree.leaves(ours)
    assert len(ours) == len(theirs), tree
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = np.asarray(mine), np.asarray(other)
        assert mine.shape == other.shape and mine.dtype == other.dtype, (mine, other)
        np.testing.assert_allclose(mine, other, rtol=rtol, atol=rtol)


# ---- passengers: functions of JAX's libraries that return one number

def haiku_net(module, *inputs):
    net = hk.transform(module)
    params = net.init(jax.random.key(0), *inputs)
    return lambda params, *xs: jnp.sum(net.apply(params, jax.random.key(1), *xs) ** 2), params


def flax_net(module, *inputs):
    params = module.init(jax.random.key(0), *inputs)
    return lambda params, *xs: jnp.mean(module.apply(params, *xs) ** 2), params


def conv_net(x):
    x = jax.nn.relu(hk.Conv2D(4, 3, stride=2)(x))
    x = hk.MaxPool((2, 2, 1), (2, 2, 1), "SAME")(x)
    return hk.nets.MLP([5, 2])(hk.Flatten()(x))


def lstm(xs):
    core = hk.LSTM(4)
    return hk.dynamic_unroll(core, xs, core.initial_state(xs.shape[1]))[0]


class Transformer(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(nn.LayerNorm()(x))
        return x + nn.Dense(6)(nn.gelu(nn.Dense(12)(nn.LayerNorm()(x))))


class Remat(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.remat(nn.Dense)(3)(nn.tanh(x))


def train_step(optimizer):
    def step(params, x):
        state = optimizer.init(params)
        updates, _ = optimizer.update(jax.grad(lambda p: jnp.sum((x @ p["w"] + p["b"]) ** 2))(params), state, params)
        return sum(jnp.sum(leaf ** 2) for leaf in jax.tree.leaves(optax.apply_updates(params, updates)))

    return step, {"w": X.T[:, :2], "b": X[0, :2]}


def decay(t0):
    return jnp.sum(odeint(lambda y, t, k: -k * y, jnp.ones(2), jnp.linspace(0.0, 1.0, 3), t0))


SEQUENCE = np.random.default_rng(2).normal(size=(5, 2, 3)).astype(np.float32)
TOKENS = np.random.default_rng(3).normal(size=(2, 4, 6)).astype(np.float32)
PASSENGERS = {
    "haiku MLP": lambda: (*haiku_net(lambda x: hk.nets.MLP([5, 2])(x), X), X),
    "haiku convolutions": lambda: (*haiku_net(conv_net, IMAGE), IMAGE),
    "haiku LSTM": lambda: (*haiku_net(lstm, SEQUENCE), SEQUENCE),
    "haiku batch statistics": lambda: (*haiku_net(lambda x: hk.LayerNorm(-1, True, True)(hk.Linear(4)(x)), X), X),
    "flax attention": lambda: (*flax_net(Transformer(), TOKENS), TOKENS),
    "flax remat": lambda: (*flax_net(Remat(), X), X),
    "optax adam": lambda: (*train_step(optax.adam(0.1)), X),
    "optax clipped": lambda: (*train_step(optax.chain(optax.clip_by_global_norm(0.1), optax.rmsprop(0.1))), X),
    "optax losses": lambda: (lambda x: jnp.sum(optax.softmax_cross_entropy_with_integer_labels(x, jnp.arange(4) % 3))
                             + jnp.sum(optax.huber_loss(x)) + jnp.sum(optax.sigmoid_binary_cross_entropy(x, x > 0)), X),
    "special functions": lambda: (lambda x: jnp.sum(jsp.special.gammaln(jnp.exp(x)) + jsp.special.erf(x)
                                                    + jsp.special.i0e(x)
                                                    + jsp.special.betainc(2., 3., jax.nn.sigmoid(x))), X),
    "multivariate normal": lambda: (lambda s: jsp.stats.multivariate_normal.logpdf(jnp.ones(3), jnp.zeros(3), s),
                                    SQUARE),
    "linear solve": lambda: (lambda s: jnp.sum(jnp.linalg.solve(s, jnp.ones(3)) ** 2) + jnp.linalg.slogdet(s)[1],
                             SQUARE),
    "eigenvalues": lambda: (lambda s: jnp.sum(jnp.linalg.eigh(s)[0] ** 3) + jnp.sum(jnp.linalg.qr(s)[1] ** 2), SQUARE),
    "matrix exponential": lambda: (lambda s: jnp.sum(jsp.linalg.expm(s / 9)), SQUARE),
    "signal": lambda: (lambda x: jnp.sum(jsp.signal.convolve(x, x[:2, :2]) ** 2)
                       + jnp.sum(jnp.abs(jnp.fft.fft(x)) ** 2), X),
    "image": lambda: (lambda x: jnp.sum(jax.image.resize(x, (2, 5, 5, 3), "linear") ** 2), IMAGE),
    "interpolation": lambda: (lambda x: jnp.sum(jsp.ndimage.map_coordinates(x, [x[0] % 3, x[1] % 2], 1)), X),
    "attention": lambda: (lambda x: jnp.sum(jax.nn.dot_product_attention(*[x[:, :, None]] * 3)), TOKENS),
    "sorting": lambda: (lambda x: jnp.sum(jnp.sort(x, 0) * jnp.arange(3.)) + jnp.median(x)
                        + jnp.sum(jax.lax.top_k(x, 2)[0]), X),
    "loops": lambda: (lambda x: jnp.sum(jax.lax.fori_loop(0, 3, lambda i, c: jnp.sin(c) * i + c, x))
                      + jnp.sum(jax.lax.associative_scan(jnp.multiply, x)) + jnp.sum(jax.lax.map(jnp.tanh, x)), X),
    "branches": lambda: (lambda x: jax.lax.cond(x[0, 0] > 0, jnp.sum, lambda x: jnp.sum(x ** 2), x)
                         + jax.lax.switch(jnp.argmax(x[0]), [jnp.sum, jnp.max, jnp.min], x), X),
    "random": lambda: (lambda x: jnp.sum(x * jax.random.normal(jax.random.fold_in(jax.random.key(3), 1), x.shape)
                                         * jax.random.bernoulli(jax.random.key(2), 0.5, x.shape)), X),
    "differential equation": lambda: (decay, np.float32(0.7)),
}


@pytest.mark.parametrize("name", PASSENGERS)
def test_passenger(name):
    f, *args = PASSENGERS[name]()
    ours = from_jax(f)
    value, gradient = jax.jit(jax.value_and_grad(f))(*args)
    agree(minijax.jit(minijax.value_and_grad(ours))(*args), (value, gradient))
    agree(ours(*args), value)


# ---- transforms of what crosses over

def smooth(x):
    return jnp.sum(jnp.sin(x) * jax.nn.softplus(x)) + jax.nn.logsumexp(x)


@pytest.mark.parametrize("transform", [
    lambda m, f: m.vmap(m.grad(f)), lambda m, f: m.grad(lambda x: m.vmap(f)(x).sum()), lambda m, f: m.jit(m.grad(f)),
    lambda m, f: m.hessian(f), lambda m, f: m.jacfwd(m.grad(f)), lambda m, f: lambda x: m.jvp(f, (x,), (x,))])
def test_transforms(transform):
    agree(transform(minijax, from_jax(smooth))(X), transform(jax, smooth)(X))
    agree(transform(minijax, minijax.jit(from_jax(jax.jit(smooth))))(X), transform(jax, smooth)(X))


def ours_smooth(x):
    y = minijax.nn.relu(x) * minijax.lax.stop_gradient(x) + mnp.sin(x)
    return mnp.sum(minijax.checkpoint(mnp.tanh)(y) ** 2) + minijax.nn.silu(x).sum()


@pytest.mark.parametrize("transform", [
    lambda m, f: m.vmap(m.grad(f)), lambda m, f: m.jit(m.grad(f)), lambda m, f: m.hessian(f),
    lambda m, f: lambda x: m.jvp(f, (x,), (x,)),
    lambda m, f: m.value_and_grad(lambda x: (f(x), {"aux": x}), has_aux=True)])
def test_jax_transforms_ours(transform):
    expected = transform(minijax, ours_smooth)(X)
    agree(expected, transform(jax, to_jax(ours_smooth))(X))
    agree(expected, transform(jax, minijax.jit(ours_smooth))(X))


def test_there_and_back():
    agree(minijax.grad(from_jax(to_jax(ours_smooth)))(X), jax.grad(to_jax(ours_smooth))(X))
    agree(jax.grad(to_jax(from_jax(smooth)))(X), jax.grad(smooth)(X))


def test_export():
    exported = jax.export.export(jax.jit(to_jax(ours_smooth)))(jax.ShapeDtypeStruct((4, 3), np.float32))
    agree(minijax.jit(ours_smooth)(X), exported.call(X))


# ---- custom rules are kept

@jax.custom_vjp
def scaled(x, n):
    return x * 2.0 * n, n


scaled.defvjp(lambda x, n: (scaled(x, n), (x, n)), lambda saved, cts: (cts[0] * saved[0] * 7.0, None))


@jax.custom_jvp
def tripled(x, n):
    return x * n


@tripled.defjvp
def _tripled_jvp(primals, tangents):
    return primals[0] * primals[1], tangents[0] * 3.0


def captures(x):
    total = jax.lax.stop_gradient(x.sum())

    @jax.custom_vjp
    def inner(x):
        return x * total

    inner.defvjp(lambda x: (x * x.sum(), (x,)), lambda saved, ct: (ct * saved[0] * 5.0,))
    return jnp.sum(inner(x))


@pytest.mark.parametrize("f", [lambda x: jnp.sum(scaled(x, 3)[0] * scaled(x, 2)[1]),
                               lambda x: jnp.sum(tripled(x, 3) ** 2), lambda x: jnp.sum(jax.jit(tripled)(x, 3)),
                               captures, jax.jit(captures)])
def test_custom_rules(f):
    agree(minijax.grad(from_jax(f))(X), jax.grad(f)(X))
    agree(minijax.jit(minijax.vmap(minijax.grad(from_jax(f))))(X), jax.vmap(jax.grad(f))(X))


def test_functions_that_are_primitives_in_the_newest_jax():
    def f(x):
        polynomial = jnp.polyval(jnp.array([2.0, -1.0, 3.0]), x)
        return jnp.sum(jnp.log2(x) + polynomial + jnp.arctanh(x / 9) + jnp.arccos(x / 9))

    x = np.abs(X) + 0.5
    agree(minijax.value_and_grad(from_jax(f))(x), jax.value_and_grad(f)(x))


def test_custom_vmap():
    @jax.custom_batching.custom_vmap
    def f(x, y):
        return jnp.sin(x) * y

    @f.def_vmap
    def rule(size, in_batched, x, y):
        assert in_batched == [True, False]
        return jnp.cos(x) * y + size, True

    g = from_jax(lambda x, y: f(x, y))
    agree(g(X, X), np.sin(X) * X)
    agree(minijax.jit(minijax.vmap(g, in_axes=(0, None)))(X, X[0]), jax.vmap(f, in_axes=(0, None))(X, X[0]))


# ---- calls back to Python

def test_callbacks(capsys):
    seen = []

    def f(x):
        jax.debug.print("x = {} {y}", "the sum", y=x.sum())
        jax.debug.callback(lambda v: seen.append(float(v)), x[0, 0], ordered=True)
        y = jax.pure_callback(np.cumsum, jax.ShapeDtypeStruct((3,), np.float32), x[0], vmap_method="sequential")
        return jnp.sum(x ** 2) + jax.lax.platform_dependent(jax.lax.stop_gradient(y), default=jnp.sum)

    ours = from_jax(f)
    agree(minijax.jit(ours)(X), jax.jit(f)(X))
    agree(minijax.grad(lambda x: from_jax(lambda x: jnp.sum(jax.jit(jnp.square)(x)))(x))(X), 2 * X)
    minijax.effects_barrier()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 and printed[0] == printed[1] and printed[0].startswith("x = the sum ")
    assert seen == [float(X[0, 0])] * 2


# ---- trees, static arguments, caches, sources

Pair = collections.namedtuple("Pair", "left right")


def test_trees_and_static_arguments():
    f = from_jax(lambda pair, power=1, *, mode: {"out": pair.left ** power, "mode": pair.right[mode]},
                 static_argnums=1, static_argnames="mode")
    out = f(Pair(X, {"a": 1.0, "b": 2}), 3, mode="b")
    agree(out, {"mode": np.int32(2), "out": X ** 3})


def test_traced_once_per_types():
    calls = []

    def f(x):
        calls.append(x.shape)
        return x + 1

    ours = from_jax(f)
    for x in (X, X * 2, X[0], X[1]):
        ours(x)
    assert calls == [(4, 3), (3,)]


def test_a_function_dies_with_its_bridge():
    def f(x):
        return x + 1

    ours, alive = from_jax(f), weakref.ref(f)
    ours(X)
    del f, ours
    gc.collect()
    assert alive() is None


def test_equations_remember_the_lines_of_jax():
    program = minijax.make_jaxpr(from_jax(smooth))(X)
    assert {(eqn.source.file, eqn.source.function) for eqn in program.eqns} == {(__file__, "smooth")}


def test_nested_jit_is_one_call():
    program = minijax.make_jaxpr(from_jax(lambda x: jax.jit(jnp.sin)(jax.jit(jnp.sin)(x))))(X)
    first, second = program.eqns
    assert first.op.name == "jit" and first.params["jaxpr"] is second.params["jaxpr"]


# ---- errors

def test_an_unknown_primitive_is_named():
    primitive = jax.extend.core.Primitive("whirl")
    primitive.def_abstract_eval(lambda x: x)

    def f(x):
        return primitive.bind(x) * 2

    with pytest.raises(MissingRuleError, match=r"'whirl' at .*test_interop.*register\('whirl', rule\)"):
        from_jax(f)(X)
    register(primitive, lambda x: mnp.sin(x))
    agree(minijax.grad(lambda x: from_jax(f)(x).sum())(X), 2 * np.cos(X))


@pytest.mark.parametrize("bad", [lambda: from_jax(3), lambda: to_jax(None), lambda: register(3, abs),
                                 lambda: from_jax(smooth)("text")])
def test_bad_arguments(bad):
    with pytest.raises(MinijaxTypeError):
        bad()
