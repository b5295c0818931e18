"""The matrix of effects: every transform of every transform, against the same function with all arguments written out."""

import itertools

import numpy as np
import pytest

import minijax as mj
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import errors, lax, random
from minijax.tracing.array import Tracer
from tests.kits import on_numpy  # noqa: F401  (nothing is compiled)

float0 = np.dtype([("float0", np.void, 0)])
X = jnp.array([0.4, 0.9])


# ---- a function with each effect, and by hand: (x, env) -> (y, env, taps) ----

class Leaf(hk.Module):
    """Draws a key, reads a parameter, changes a state, and taps."""

    def __init__(self, follows, name=None):
        super().__init__(name=name)
        self.follows = follows

    def __call__(self, x):
        w = hk.get_parameter("w", (2,), init=drawn)
        n = hk.get_state("n", (), init=jnp.ones)
        hk.set_state("n", n * 1.25 + (jnp.sum(x) * 0.1 if self.follows else 0.1))
        noise = random.uniform(hk.next_rng_key(), (2,))
        return mj.tap("y", jnp.sin(x * w) * n + noise * x)


def drawn(shape, dtype):
    return random.uniform(hk.next_rng_key(), shape, dtype) + 0.5


def leaf_by_hand(follows):
    def leaf(x, env):
        key, own = random.split(env["key"])
        y = jnp.sin(x * env["w"]) * env["n"] + random.uniform(own, (2,)) * x
        n = env["n"] * 1.25 + (jnp.sum(x) * 0.1 if follows else 0.1)
        return y, {**env, "n": n, "key": key}, y

    return leaf


# ---- each transform, of a function with effects and by hand ----

def pair(plain, by_hand):
    return plain, by_hand


def _grad_by_hand(g):
    def inner(x, env):
        y, *rest = g(x, env)
        return jnp.sum(y), rest

    def outer(x, env):
        dx, rest = mj.grad(inner, has_aux=True)(x, env)
        return dx, *rest

    return outer


def _value_and_grad_by_hand(g):
    def inner(x, env):
        y, *rest = g(x, env)
        return jnp.sum(y * y), rest

    def outer(x, env):
        (value, rest), dx = mj.value_and_grad(inner, has_aux=True)(x, env)
        return value * dx, *rest

    return outer


def _value_and_grad(f):
    def outer(x):
        value, dx = mj.value_and_grad(lambda x: jnp.sum(f(x) ** 2))(x)
        return value * dx

    return outer


def _vmap_by_hand(g):
    def outer(x, env):
        y, env, taps = mj.vmap(g, in_axes=(0, None))(jnp.stack([x, 2 * x]), env)
        return jnp.sum(y, 0), mj.tree.map(lambda x: x[0], env), taps

    return outer


STEPS = jnp.array([0.1, 0.2, 0.3])


def _scan(f):
    def outer(x):
        last, ys = lax.scan(lambda c, t: (f(c) + t, jnp.sum(c)), x, STEPS)
        return last + jnp.sum(ys)

    return outer


def _scan_by_hand(g):
    def step(carry, t):
        c, env = carry
        y, env, taps = g(c, env)
        return (y + t, env), (jnp.sum(c), taps)

    def outer(x, env):
        (last, env), (ys, taps) = lax.scan(step, (x, env), STEPS)
        return last + jnp.sum(ys), env, taps

    return outer


def _fori(f):
    return lambda x: lax.fori_loop(0, 2, lambda i, c: f(c) * (1.0 + i), x)


def _fori_by_hand(g):
    def step(carry, i):
        y, env, taps = g(*carry)
        return (y * (1.0 + i), env), taps

    def outer(x, env):
        (y, env), taps = lax.scan(step, (x, env), jnp.arange(2))
        return y, env, taps

    return outer


def _while(f):
    def outer(x):
        return lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, f(c[1])), (0, x))[1]

    return outer


def _while_by_hand(g):
    def outer(x, env):
        taps = zeros_of(mj.eval_shape(g, x, env)[2])
        carry = lax.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, *g(c[1], c[2])), (0, x, env, taps))
        return carry[1:]

    return outer


def zeros_of(types):
    return mj.tree.map(lambda t: jnp.zeros(t.shape, t.dtype), types)


def _switched(index):
    """A cond (index a truth value) or a switch over the function, the identity, and one that changes the state."""
    def plain(f):
        return lambda x: lax.switch(index(), [lambda x: x * 2.0, f, bump], x)

    def by_hand(g):
        def outer(x, env):
            taps = zeros_of(mj.eval_shape(g, x, env)[2])

            def bump_by_hand(x, env):
                return x * 3.0, {**env, "n": env["n"] + 1.0}, taps

            return lax.switch(index(), [lambda x, env: (x * 2.0, env, taps), g, bump_by_hand], x, env)

        return outer

    return plain, by_hand


def bump(x):
    with hk.name_scope(hk.force_name("leaf")):
        hk.set_state("n", hk.get_state("n", (), init=jnp.ones) + 1.0)
    return x * 3.0


INDEX = [jnp.int32(1)]


def _cond(f):
    return lambda x: lax.cond(INDEX[0] > 0, f, lambda x: x * 2.0, x)


def _cond_by_hand(g):
    def outer(x, env):
        taps = zeros_of(mj.eval_shape(g, x, env)[2])
        return lax.cond(INDEX[0] > 0, g, lambda x, env: (x * 2.0, env, taps), x, env)

    return outer


def _custom_jvp(f):
    ruled = mj.custom_jvp(lambda x: f(x))
    ruled.defjvp(lambda primals, tangents: (f(*primals), 3.0 * tangents[0]))
    return ruled


def _custom_jvp_by_hand(g):
    ruled = mj.custom_jvp(lambda x, env: g(x, env))

    @ruled.defjvp
    def rule(primals, tangents):
        outs = g(*primals)
        nothing = mj.tree.map(lambda x: np.zeros(np.shape(x), float0) if x.dtype == np.uint32 else
                              jnp.zeros_like(x), outs)
        return outs, (3.0 * tangents[0], *nothing[1:])

    return ruled


def _custom_vjp(f):
    ruled = mj.custom_vjp(lambda x: f(x))
    ruled.defvjp(lambda x: (f(x), x), lambda x, ct: (3.0 * ct * x,))
    return ruled


def _custom_vjp_by_hand(g):
    ruled = mj.custom_vjp(lambda x, env: g(x, env))
    ruled.defvjp(lambda x, env: (g(x, env), (x, env)), lambda saved, cts: (3.0 * cts[0] * saved[0], None))
    return ruled


TRANSFORMS = {
    "jit": pair(mj.jit, mj.jit),
    "grad": pair(lambda f: mj.grad(lambda x: jnp.sum(f(x))), _grad_by_hand),
    "value_and_grad": pair(_value_and_grad, _value_and_grad_by_hand),
    "vmap": pair(lambda f: lambda x: jnp.sum(mj.vmap(f)(jnp.stack([x, 2 * x])), 0), _vmap_by_hand),
    "scan": pair(_scan, _scan_by_hand),
    "while": pair(_while, _while_by_hand),
    "fori": pair(_fori, _fori_by_hand),
    "cond": pair(_cond, _cond_by_hand),
    "switch": pair(*_switched(lambda: INDEX[0])),
    "checkpoint": pair(mj.checkpoint, mj.checkpoint),
    "custom_jvp": pair(_custom_jvp, _custom_jvp_by_hand),
    "custom_vjp": pair(_custom_vjp, _custom_vjp_by_hand),
}


# ---- both functions, as init and apply with the same arguments and results ----

def transformed(outer, inner):
    """(init, apply) of the function with effects."""
    follows = state_follows(outer, inner)

    def f(x):
        y = TRANSFORMS[outer][0](TRANSFORMS[inner][0](Leaf(follows)))(x)
        return y * hk.get_parameter("v", (), init=drawn), hk.get_state("n", (), init=jnp.zeros)

    pure = hk.transform_with_state(f)
    return pure.init, mj.collect(pure.apply)


def state_follows(outer, inner):
    """Whether the state may depend on x: not on an example of a batch, nor where a rule would ignore it."""
    return not {"vmap", "custom_jvp", "custom_vjp"} & {outer, inner}


def written_out(outer, inner):
    """(init, apply) by hand, with the results of the function with effects."""
    g = TRANSFORMS[outer][1](TRANSFORMS[inner][1](leaf_by_hand(state_follows(outer, inner))))

    def init(key, x):
        key, own = random.split(key)
        w = random.uniform(own, (2,)) + 0.5
        _, env, _ = g(x, {"w": w, "n": jnp.ones(()), "key": key})
        v = random.uniform(random.split(env["key"])[1], ()) + 0.5
        return {"leaf": {"w": w}, "~": {"v": v}}, {"leaf": {"n": jnp.ones(())}, "~": {"n": jnp.zeros(())}}

    def apply(params, state, key, x):
        """A tap in a loop under vmap: the steps are in front of the examples."""
        y, env, taps = g(x, {"w": params["leaf"]["w"], "n": state["leaf"]["n"], "key": key})
        result = y * params["~"]["v"], state["~"]["n"]
        return (result, {**state, "leaf": {"n": env["n"]}}), {
            "leaf/y": jnp.swapaxes(taps, 0, 1) if outer == "vmap" and inner in ("scan", "fori") else taps}

    return init, apply


def agree(ours, theirs):
    assert mj.tree.structure(ours) == mj.tree.structure(theirs)
    for x, y in zip(mj.tree.leaves(ours), mj.tree.leaves(theirs), strict=True):
        assert not isinstance(x, Tracer)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-5)


RULED = {"custom_jvp", "custom_vjp"}


def gradients(apply, wanted):
    """Results, and gradients of their sum."""
    def total(params, x, state, key):
        (result, after), taps = apply(params, state, key, x)
        return sum(map(jnp.sum, mj.tree.leaves((result, after, taps)))), (result, after, taps)

    return lambda params, state, key, x: mj.value_and_grad(total, wanted, has_aux=True)(params, x, state, key)


@pytest.mark.parametrize("outer,inner", list(itertools.product(TRANSFORMS, TRANSFORMS)))
def test_pair(outer, inner):
    key, ruled = random.PRNGKey(3), bool(RULED & {outer, inner})
    (init, apply), (init_by_hand, apply_by_hand) = transformed(outer, inner), written_out(outer, inner)
    if inner == "while" and "grad" in outer:
        with pytest.raises(errors.UnhandledEffectError, match=r"runs its steps again \(.*test_effects.py:\d+\)"):
            init(key, X)
        return
    given = init(key, X)
    agree(given, init_by_hand(key, X))
    agree(mj.jit(init)(key, X), given)
    agree(apply(*given, key, X), apply_by_hand(*given, key, X))
    wanted = 1 if ruled else (0, 1)
    if inner == "custom_vjp" and outer in ("scan", "while", "fori"):  # what the rule gives may depend on x, the state too
        with pytest.raises(errors.MinijaxTypeError, match="reads a parameter or a state that is being differenti"):
            gradients(apply, wanted)(*given, key, X)
        return
    agree(mj.jit(gradients(apply, wanted))(*given, key, X), gradients(apply_by_hand, wanted)(*given, key, X))
    agree(*[mj.vmap(f, in_axes=(None, None, None, 0))(*given, key, jnp.stack([X, X + 1]))
            for f in (apply, apply_by_hand)])
