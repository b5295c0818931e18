"""Flax's modules among ours and ours among flax's, against dm-haiku's own bridge."""

import flax.errors
import flax.linen as nn
import haiku
import haiku.experimental.flax as their_flax
import jax
import numpy as np
import pytest

import minijax
import minijax.haiku as hk
from minijax.haiku.experimental import flax as our_flax

X = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x, training):
        x = nn.BatchNorm(use_running_average=not training)(nn.Dense(5, name="first")(x))
        x = nn.Dropout(0.5, deterministic=not training)(x)
        calls = self.variable("counts", "calls", lambda: jax.numpy.zeros(()))
        calls.value += 1.0
        return x * self.param("scale", nn.initializers.ones, (5,))


def lifted(library, bridge, random):
    f = library.transform_with_state(lambda x, training, rngs: bridge.lift(Net(), name="net")(x, training, rngs=rngs))
    rngs = {"dropout": random.PRNGKey(7)}
    params, state = f.init(random.PRNGKey(0), X, True, rngs)
    return params, state, f.apply(params, state, None, X, True, rngs), f.apply(params, state, None, X, False, {})


def same(ours, theirs):
    assert minijax.tree.structure(ours) == minijax.tree.structure(minijax.tree.map(np.asarray, theirs))
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=2e-6)


def test_flax_inside_ours_as_inside_haiku():
    theirs = lifted(haiku, their_flax, jax.random)
    same(lifted(hk, our_flax, minijax.random), theirs)
    assert "net/~" in theirs[0] and "net/batch_stats/BatchNorm_0" in theirs[1]


def wrapped(library, bridge, numpy):
    def f(x, training):
        library.set_state("calls", library.get_state("calls", (), init=numpy.zeros) + 1) if training else None
        return x @ library.get_parameter("w", (3, 2), init=numpy.ones)

    net = bridge.Module(library.transform_with_state(f))
    variables = net.init(jax.random.PRNGKey(0), X, True)
    with pytest.raises(flax.errors.ModifyScopeVariableError):
        net.apply(variables, X, True)
    gradient = jax.grad(lambda v: net.apply(v, X, False).sum())({"params": variables["params"], "state": {
        "~": {"calls": variables["state"]["~"]["calls"]}}})
    return variables, net.apply(variables, X, True, mutable=["state"]), gradient


def test_ours_inside_flax_as_haiku_inside_flax():
    same(wrapped(hk, our_flax, minijax.numpy), wrapped(haiku, their_flax, jax.numpy))
    plain = our_flax.Module(hk.transform(lambda x: x * hk.get_parameter("w", (), init=minijax.numpy.ones)))
    out = plain.apply(plain.init(jax.random.key(0), X), X, rngs={"apply": jax.random.key(1)})
    np.testing.assert_array_equal(out, X)


def test_names_go_and_come_back():
    collection = {"a": {"b": {"w": 1}, "x": 2}, "y": 3}
    flat = our_flax.flatten_flax_to_haiku(collection)
    assert flat == their_flax.flatten_flax_to_haiku(collection) and our_flax.nested(flat) == collection
