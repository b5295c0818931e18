"""Effects in every transform of every transform, against the same function with all arguments written out."""

import dataclasses
import gc
import itertools
import re

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
    if inner == "custom_vjp" and outer in ("scan", "while", "fori"):  # the state that the rule sets may depend on x
        with pytest.raises(errors.MinijaxTypeError, match="reads a parameter or a state that is being differenti"):
            gradients(apply, wanted)(*given, key, X)
        return
    agree(mj.jit(gradients(apply, wanted))(*given, key, X), gradients(apply_by_hand, wanted)(*given, key, X))
    agree(*[mj.vmap(f, in_axes=(None, None, None, 0))(*given, key, jnp.stack([X, X + 1]))
            for f in (apply, apply_by_hand)])


# ---- names and caches ----

class Scale(hk.Module):
    """One parameter, drawn."""

    def __call__(self, x):
        return x * hk.get_parameter("w", (), init=drawn)


def names(params):
    return sorted(params)


def product(params, *wanted):
    return np.prod([params[name]["w"] for name in wanted or params])


INNER = mj.jit(lambda x: Scale()(x))


def one(x):
    return Scale()(x)


def other(x):
    return Scale()(x) + 1.0


def twice_in_jit(x):
    return mj.jit(lambda x: INNER(INNER(x)))(x) + Scale()(x)


def branches_twice(x):
    return lax.cond(INDEX[0] > 0, one, other, x) + lax.switch(INDEX[0], [one, other, one], x)


def body_with_weak_carry(carry, x):
    return carry + Scale()(x), None


def loops_twice(x):
    a, _ = lax.scan(body_with_weak_carry, 0, jnp.stack([x, x]))
    b, _ = lax.scan(body_with_weak_carry, 0, jnp.stack([x, x]))
    return a + b * Scale()(x)


@pytest.mark.parametrize("function,count,value", [
    (twice_in_jit, 3, lambda w: w[0] * w[1] + w[2]),
    (branches_twice, 5, lambda w: w[0] + w[3] + 1.0),
    (loops_twice, 3, lambda w: 2 * w[0] + 2 * w[1] * w[2])])
def test_programs_found_again_take_their_names(function, count, value):
    """The second call and later ones find the programs of the first; modules are named as before."""
    pure = hk.transform(function)
    params = pure.init(random.PRNGKey(0), 1.0)
    assert names(params) == sorted(["scale", *[f"scale_{n}" for n in range(1, count)]])
    weights = [params["scale"]["w"], *[params[f"scale_{n}"]["w"] for n in range(1, count)]]
    for factor in (1.0, 1.0, 2.0):  # parameters are no constants of programs
        scaled = mj.tree.map(lambda w: w * factor, params)
        for apply in (pure.apply, mj.jit(pure.apply)):
            np.testing.assert_allclose(apply(scaled, None, 1.0), value([w * factor for w in weights]), rtol=1e-6)


def test_jitted_function_under_two_modules_and_two_instances():
    shared = mj.jit(lambda x: Scale()(x))

    class Outer(hk.Module):
        def __call__(self, x):
            return shared(x)

    class Maker(hk.Module):
        def __init__(self):
            super().__init__()
            self.part = Scale()
            self.jitted = mj.jit(self.part)

        def __call__(self, x):
            return self.jitted(self.jitted(x)) + lax.scan(lambda c, _: (self.part(c), None), x, None, length=2)[0]

    pure = hk.transform(lambda x: (Outer("a")(x) + Outer("b")(x), Maker()(x)))
    params = pure.init(random.PRNGKey(0), 1.0)
    assert names(params) == ["a/scale", "b/scale", "maker/~/scale"]
    for _ in range(2):
        found = pure.apply(params, None, 1.0)
        part = params["maker/~/scale"]["w"]
        agree(found, (params["a/scale"]["w"] + params["b/scale"]["w"], 2 * part * part))


def test_a_second_call_traces_nothing_again():
    traced = []

    @mj.jit
    def layer(x):
        traced.append(x)
        return Scale()(x)

    pure = hk.transform(lambda x: layer(x) + layer(x))
    params = pure.init(random.PRNGKey(0), 1.0)
    first = len(traced), pure.apply(params, None, 1.0), len(traced)
    again = pure.apply(mj.tree.map(lambda w: 3 * w, params), None, 1.0)
    assert len(traced) == first[2] == first[0] + 2
    np.testing.assert_allclose(again, 3 * first[1], rtol=1e-6)


def test_initializers_run_once():
    calls = []

    def init(shape, dtype):
        calls.append(shape)
        return drawn(shape, dtype)

    def f(x):
        step = lambda c, _: (c * hk.get_parameter("w", (), init=init), None)  # noqa: E731
        y = lax.scan(step, x, None, length=4)[0]
        y = lax.fori_loop(0, 3, lambda i, c: c * hk.get_parameter("u", (), init=init), y)
        return lax.while_loop(lambda c: c < 0.0, lambda c: c * hk.get_parameter("t", (), init=init), y)

    pure = hk.transform(f)
    params = pure.init(random.PRNGKey(1), 1.0)
    assert len(calls) == 3
    np.testing.assert_allclose(pure.apply(params, None, 1.0), params["~"]["w"] ** 4 * params["~"]["u"] ** 3, rtol=1e-5)


@pytest.mark.parametrize("length", [0, 1, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_scan_of_any_length_while_initializing(length, reverse):
    xs = jnp.arange(float(length))

    def f(x):
        def step(c, x):
            n = hk.get_state("n", (), init=jnp.zeros)
            hk.set_state("n", n * 2.0 + x)
            return c + hk.get_parameter("w", (), init=drawn) * x, n

        return lax.scan(step, x, xs, reverse=reverse)

    pure = hk.transform_with_state(f)
    params, state = pure.init(random.PRNGKey(0), 1.0)
    assert state["~"]["n"] == 0.0
    (last, ns), after = pure.apply(params, state, None, 1.0)
    n, seen = 0.0, []
    for x in reversed(range(length)) if reverse else range(length):
        seen.append(n)
        n = n * 2.0 + x
    np.testing.assert_allclose(last, 1.0 + params["~"]["w"] * sum(range(length)), rtol=1e-6)
    np.testing.assert_allclose(ns, seen[::-1] if reverse else seen)
    assert after["~"]["n"] == n


def test_all_branches_are_initialized_and_state_goes_through_them():
    def f(index, x):
        def branch(name):
            def run(x):
                n = hk.get_state(name, (), init=jnp.ones)
                hk.set_state(name, n + x)
                return x * hk.get_parameter(name, (), init=drawn)
            return run

        return lax.switch(index, [branch("a"), branch("b"), lambda x: x], x)

    pure = hk.transform_with_state(f)
    params, state = pure.init(random.PRNGKey(0), jnp.int32(2), 5.0)
    assert names(params["~"]) == names(state["~"]) == ["a", "b"]
    for apply in (pure.apply, mj.jit(pure.apply)):
        y, after = apply(params, state, None, jnp.int32(1), 5.0)
        agree((y, after), (5.0 * params["~"]["b"], {"~": {"a": 1.0, "b": 6.0}}))


def test_modules_where_each_example_chooses():
    """Parameters are the same for all examples, so a batched predicate may decide which are used."""
    def f(xs):
        def each(x):
            y = lax.cond(x > 0.0, lambda x: Scale("a")(x), lambda x: Scale("b")(x), x)
            return lax.while_loop(lambda c: c < 2.0, lambda c: c + 1.0 + Scale("c")(c) ** 2, y)

        return mj.vmap(each)(xs)

    xs = jnp.array([-1.0, 1.0])
    pure = hk.transform(f)
    params = pure.init(random.PRNGKey(0), xs)
    a, b, c = [params[name]["w"] for name in "abc"]
    found = [b * xs[0], a * xs[1]]
    for i, y in enumerate(found):
        while y < 2.0:
            y += 1.0 + (y * c) ** 2
        found[i] = y
    agree(pure.apply(params, None, xs), jnp.stack(found))


def test_state_read_after_it_was_set_in_one_program():
    def f(x):
        def inside(x):
            hk.set_state("s", {"value": x, "count": hk.get_state("count", (), int, init=jnp.zeros)})
            found = hk.get_state("s")
            hk.set_state("s", {**found, "count": found["count"] + 1})
            return found["value"], hk.get_state("s")["count"]

        return mj.jit(inside)(x), mj.jit(lambda: hk.get_state("s"))(), hk.get_current_state()

    pure = hk.transform_with_state(f)
    _, state = pure.init(None, jnp.ones(2))
    expected = {"~": {"count": 0, "s": {"value": jnp.ones(2), "count": 1}}}
    assert mj.tree.structure(state) == mj.tree.structure(expected)
    for apply in (pure.apply, mj.jit(pure.apply)):
        ((value, count), read, now), after = apply({}, state, None, jnp.ones(2))
        agree((value, count, read, now, after), (jnp.ones(2), 1, expected["~"]["s"], expected, expected))


def others():
    """What a state of two arrays may become: other shapes and dtypes, or another structure of the same leaves."""
    a, b = jnp.ones(2), jnp.zeros(())
    return {"shape": {"a": jnp.ones(3), "b": b}, "dtype": {"a": a, "b": jnp.int32(1)}, "tuple": (a, b), "array": a,
            "one leaf": [a], "more": {"a": a, "b": b, "c": a}, "none": {}, "weak": {"a": a, "b": 1.0}}


CALLS = {"plain": lambda f: f, "jit": mj.jit, "checkpoint": mj.checkpoint, "vmap": lambda f: lambda x: mj.vmap(
    lambda _: f(x), out_axes=None)(jnp.arange(2)), "grad": mj.grad, "grad of jit": lambda f: mj.grad(mj.jit(f)),
    "jit of grad": lambda f: mj.jit(mj.grad(f)), "one step": lambda f: lambda x: lax.scan(
        lambda c, _: (f(c), None), x, None, length=1)[0]}


@pytest.mark.parametrize("call", CALLS)
def test_a_state_becomes_another_one(call):
    """Where a program runs once, a state may change its shapes, dtypes and structure in it; as often as it likes."""
    def becomes(kind):
        def inside(x):
            before = hk.get_state("s")
            hk.set_state("s", others()["tuple"])
            between = hk.get_state("s")
            hk.set_state("s", others()[kind])
            return x * jnp.sum(before["a"]) * jnp.sum(between[0])

        return inside

    def f(x):
        hk.set_state("s", {"a": jnp.ones(2), "b": jnp.zeros(())})
        for kind in others():
            hk.set_state("s", {"a": jnp.ones(2), "b": jnp.zeros(())})
            CALLS[call](becomes(kind))(x)
            yield kind, (hk.get_state("s"), mj.jit(lambda: hk.get_state("s"))(), hk.get_current_state()["~"]["s"])

    pure = hk.transform_with_state(lambda x: dict(f(x)))
    _, state = pure.init(None, 2.0)
    assert mj.tree.structure(state) == mj.tree.structure({"~": {"s": {"a": 0, "b": 0}}})  # the first is the initial one
    for apply in (pure.apply, mj.jit(pure.apply)) if call != "one step" else ():
        found, after = apply({}, state, None, 2.0)
        for kind, wanted in others().items():
            agree(found[kind], (wanted,) * 3)
        agree(after["~"]["s"], others()["weak"])


LOOPS = {"scan": lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=2),
         "while": lambda f: lambda x: lax.while_loop(lambda x: x < 9, f, x),
         "cond": lambda f: lambda x: lax.cond(x > 0, f, lambda x: x, x),
         "cond in jit": lambda f: mj.jit(lambda x: lax.cond(x > 0, f, f, x)),
         "grad of cond": lambda f: mj.grad(lambda x: lax.cond(x > 0, f, lambda x: x, x)),
         "scan in grad": lambda f: mj.grad(lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0])}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", ["shape", "dtype", "tuple", "array", "more", "none"])
def test_a_state_that_loops_and_branches_would_change(loop, kind):
    def step(x):
        before = hk.get_state("s")
        hk.set_state("s", others()[kind])  # the line that the error names
        return x + jnp.sum(before["a"])

    def f(x):
        hk.set_state("s", {"a": jnp.ones(2), "b": jnp.zeros(())})
        return LOOPS[loop](step)(x)

    line = step.__code__.co_firstlineno
    with pytest.raises(errors.MinijaxTypeError, match=rf"The state '~/s' is .*test_effects.py:({line + 1}|"
                                                      rf"{line + 2})\).*final ones before"):
        hk.transform_with_state(f).init(None, jnp.float32(2.0))


def test_weak_states_stay_weak_in_programs():
    def f(x):
        hk.set_state("n", 1.0)
        return [read(x) for read in (lambda x: x * hk.get_state("n"), mj.jit(lambda x: x * hk.get_state("n")))]

    found, after = hk.transform_with_state(f).apply({}, {}, None, jnp.ones((), jnp.bfloat16))
    assert [y.dtype for y in found] == [jnp.bfloat16] * 2


def test_initializers_of_trees():
    trees = [lambda s, d: {"a": jnp.zeros(s, d), "b": (jnp.ones(s, d),)}, lambda s, d: {}, lambda s, d: None]
    for number, init in enumerate(trees):
        pure = hk.transform_with_state(lambda: mj.jit(lambda: hk.get_state("s", (), init=init))())
        _, state = pure.init(None)
        assert state == {"~": {"s": init((), jnp.float32)}}
        assert pure.apply({}, state, None) == (state["~"]["s"], state)
    for run in (lambda f: f(), lambda f: mj.jit(f)()):
        with pytest.raises(errors.MinijaxValueError, match="initializer of the parameter '~/w' returned {'a'.*Return"):
            hk.transform(lambda: run(lambda: hk.get_parameter("w", (), init=trees[0]))).init(None)


def test_state_of_a_recorded_function_under_a_derivative():
    """What was recorded before, and nobody has answered yet, is found by the derivative."""
    def f(x):
        hk.set_state("n", jnp.zeros(2))
        hk.set_state("n", 0.0 * x)

        def branch(x):
            hk.set_state("n", hk.get_state("n") + x)
            return x

        def inside(x):
            lax.cond(x > 0, branch, lambda x: x, x)
            return hk.get_state("n") ** 2

        return mj.grad(inside)(x)

    pure = hk.transform_with_state(lambda x: (mj.jit(f)(x), hk.get_state("n")))
    _, state = pure.init(None, 3.0)
    for apply in (pure.apply, mj.jit(pure.apply)):
        assert apply({}, state, None, 3.0)[0] == (6.0, 3.0)


def test_gradients_go_through_state():
    def f(x):
        hk.set_state("s", x * x)
        return hk.get_state("s") ** 2

    for wrap in (lambda f: f, mj.jit, mj.checkpoint, lambda f: lambda x: mj.jvp(f, (x,), (1.0,))[0]):
        pure = hk.transform_with_state(lambda x: (mj.grad(wrap(f))(x), hk.get_state("s")))
        _, state = pure.init(None, 3.0)
        for apply in (pure.apply, mj.jit(pure.apply)):
            (slope, primal), after = apply({}, state, None, 3.0)
            assert slope == 108.0 and primal == after["~"]["s"] == 9.0
            assert mj.grad(lambda x: apply({}, state, None, x)[0][0])(3.0) == 108.0  # 12 x^2


def test_what_there_is_in_a_program_that_is_recorded():
    """Parameters and states that it makes are there; the initial value of a state that it sets is not known yet."""
    class Counted(Scale):
        def __call__(self, x):
            hk.set_state("n", x)
            y, (w,), (n,) = super().__call__(x), self.params_dict().values(), self.state_dict().values()
            return y * w + n

    def f(x):
        return Counted()(x), hk.get_params(), hk.get_current_state()

    pure = hk.transform_with_state(lambda x: (f(x), mj.jit(f)(x))[1])
    params, state = pure.init(random.PRNGKey(0), 2.0)
    assert names(params) == names(state) == ["counted", "counted_1"]
    (y, *found), after = pure.apply(params, state, None, 2.0)
    agree((y, found), (2.0 * params["counted_1"]["w"] ** 2 + 2.0, [params, state]))
    with pytest.raises(errors.MinijaxValueError, match="state 'counted/n' is first set in a program that is being rec"):
        hk.transform_with_state(lambda x: mj.jit(lambda x: (Counted()(x), hk.get_initial_state()))(x)).init(0, 2.0)


@pytest.mark.parametrize("wrap", [lambda f: f, mj.jit])
def test_a_function_in_a_function_has_states_of_its_own(wrap):
    def counts(x):
        n = hk.get_state("n", (), init=jnp.zeros) + x
        hk.set_state("n", n)
        return n * hk.get_parameter("w", (), init=jnp.ones), hk.get_params(), hk.get_current_state()

    inner = hk.transform_with_state(lambda x: (wrap(counts)(x), mj.grad(lambda x: wrap(counts)(x)[0])(x)))

    def outside(x):
        hk.set_state("n", 5.0)
        hk.get_parameter("v", (), init=jnp.ones)
        given = inner.init(None, x)
        return given, inner.apply(*given, None, x), hk.get_state("n")

    own = {"~": {"w": 1.0}}, {"~": {"n": 0.0}}
    pure = hk.transform_with_state(lambda x: wrap(outside)(x))
    found, after = pure.apply({"~": {"v": 1.0}}, {"~": {"n": 0.0}}, None, 2.0)
    assert after == {"~": {"n": 5.0}}
    agree(found, (own, (((2.0, own[0], {"~": {"n": 2.0}}), 1.0), {"~": {"n": 4.0}}), 5.0))


# ---- keys ----

def test_keys_from_elsewhere():
    """with_rng around jit and inside vmap; hk.vmap splits, vmap shares."""
    def f(key, keys):
        def under(key):
            with hk.with_rng(key):
                return hk.next_rng_key(), mj.jit(hk.next_rng_key)()

        return under(key), mj.vmap(under)(keys), hk.next_rng_key(), mj.vmap(lambda _: hk.next_rng_key())(keys)

    own, key, keys = random.PRNGKey(0), random.PRNGKey(1), random.split(random.PRNGKey(2), 3)

    def two(key):
        key, first = random.split(key)
        return first, random.split(key)[1]

    after, first = random.split(own)
    expected = two(key), mj.vmap(two)(keys), first, jnp.stack([random.split(after)[1]] * 3)
    for apply in (hk.transform(f).apply, mj.jit(hk.transform(f).apply)):
        agree(apply({}, own, key, keys), expected)


# ---- functions in functions, and modules made outside ----

def test_lift_in_jit_and_vmap():
    inner = hk.transform(lambda x: Scale()(x))

    def f(xs):
        keys = hk.next_rng_keys(len(xs)) if hk.running_init() else None
        params = mj.jit(lambda xs: hk.lift(mj.vmap(inner.init) if keys is not None else inner.init, name="inner")(
            keys, xs))(xs)
        return mj.vmap(inner.apply, in_axes=(0, None, 0))(params, None, xs)

    pure = hk.transform(f)
    params = pure.init(random.PRNGKey(0), jnp.arange(3.0))
    assert params["inner/scale"]["w"].shape == (3,)
    agree(pure.apply(params, None, jnp.arange(3.0)), params["inner/scale"]["w"] * jnp.arange(3.0))


def test_modules_made_outside():
    first, second = Scale(), Scale()
    pure = hk.transform(lambda x: second(first(first(x))) + mj.jit(first)(x))
    params = pure.init(random.PRNGKey(0), 1.0)
    assert names(params) == ["scale", "scale_1"]
    a, b = params["scale"]["w"], params["scale_1"]["w"]  # named in the order of their first use
    for _ in range(2):
        np.testing.assert_allclose(pure.apply(params, None, 1.0), a * a * b + a, rtol=1e-6)
    chain = [Scale("one"), Scale("two")]
    pure = hk.transform(lambda x: chain[1](chain[0](x)))
    assert names(pure.init(random.PRNGKey(0), 1.0)) == ["one", "two"]


class Keeps(hk.Module):
    """Holds its parameter."""

    def __init__(self):
        super().__init__()
        self.w = hk.get_parameter("w", (), init=drawn)

    def __call__(self, x):
        return x * self.w


def test_modules_made_outside_tie_only_what_uses_them():
    """Programs with them are traced in each call, for they may hold its values; others are not."""
    traced = []

    def noted(name, f):
        return mj.jit(lambda x: (traced.append(name), f(x))[1])

    outside, keeps = Scale("outside"), Keeps()
    layer, tied, holds = noted("layer", lambda x: Scale("layer")(x)), noted("tied", outside), noted("holds", keeps)
    around = noted("around", lambda x: tied(x) + layer(x))
    plain = noted("plain", lambda x: 2.0 * layer(x))
    pure = hk.transform(lambda x: (outside(x), layer(x), keeps(x), holds(x), holds(x), tied(x), around(x), plain(x)))
    params = pure.init(random.PRNGKey(0), 1.0)
    assert names(params) == ["keeps", "layer", "layer_1", "layer_2", "outside"]
    pure.apply(params, None, 1.0)
    for factor in (2.0, 3.0):
        traced.clear()
        given = mj.tree.map(lambda w: factor * w, params)
        a, b, c, o, k = [given[name]["w"] for name in ("layer", "layer_1", "layer_2", "outside", "keeps")]
        np.testing.assert_allclose(pure.apply(given, None, 1.0), (o, a, k, k, k, o, o + b, 2 * c), rtol=1e-6)
        assert traced == ["holds", "tied", "around"]


def test_what_is_traced_once_more_makes_its_modules_once_more():
    """Those made outside too: a module that comes after takes another name."""
    outside = Scale()

    def grows(x):  # the carry becomes a float, so the step is traced twice
        return lax.scan(lambda c, _: (c + outside(x), None), 0, None, length=2)[0] * Scale()(x)

    def looked_at(x):
        return hk.eval_shape(outside, x).ndim + Scale()(x) * outside(x)

    for f in (grows, looked_at):
        assert names(hk.transform(f).init(random.PRNGKey(0), 1.0)) == ["scale", "scale_1"]


def test_init_and_apply_are_methods():
    scale = Scale(name="mine")
    params = scale.init(random.PRNGKey(0), 2.0)
    agree(params, hk.transform(Scale(name="mine")).init(random.PRNGKey(0), 2.0))
    agree(scale.apply(params, None, 2.0), 2.0 * params["mine"]["w"])
    leaf = Leaf(True)
    params, state = leaf.init_with_state(random.PRNGKey(0), X)
    y, after = leaf.apply_with_state(params, state, random.PRNGKey(1), X)
    assert y.shape == (2,) and after["leaf"]["n"] != state["leaf"]["n"]
    with pytest.raises(hk.NonEmptyStateError):
        leaf.init(random.PRNGKey(0), X)


def test_a_module_with_an_init_of_its_own():
    class Own(hk.Module):
        def init(self, size):
            return hk.get_parameter("w", (size,), init=jnp.ones)

        def __call__(self, x):
            return x + self.init(3)

    @dataclasses.dataclass
    class Fields(hk.Module):
        init: object
        size: int

        def __call__(self):
            return hk.get_parameter("w", (self.size,), init=self.init)

    params = hk.transform(lambda x: Own()(x)).init(None, 1.0)
    assert params["own"]["w"].shape == (3,)
    agree(Own().apply(params, None, 1.0), 2 * jnp.ones(3))
    assert hk.transform(lambda: Fields(jnp.ones, 2)()).init(None)["fields"]["w"].shape == (2,)
    with pytest.raises(TypeError, match="init"):
        Fields(size=2)


# ---- many devices ----

def test_shard_map_inside():
    mesh = mj.make_mesh((2,), ("i",))

    def f(x):
        def local(x):
            return lax.psum(jnp.sum(Scale()(x)), "i")

        hk.get_state("n", (), init=jnp.ones)
        y = mj.shard_map(local, mesh=mesh, in_specs=mj.P("i"), out_specs=mj.P())(x)
        hk.set_state("n", y)
        return y

    pure = hk.transform_with_state(f)
    params, state = pure.init(random.PRNGKey(0), jnp.arange(4.0))
    y, after = mj.jit(pure.apply)(params, state, None, jnp.arange(4.0))
    agree((y, after["~"]["n"]), (6.0 * params["scale"]["w"],) * 2)


MESH = mj.make_mesh((2,), ("i",))


def on_devices(f):
    """A function of the halves of an array, on two devices."""
    return mj.shard_map(f, mesh=MESH, in_specs=mj.P("i"), out_specs=mj.P("i"))


def of_half(x):
    """A layer of the half that a device has."""
    w, n = hk.get_parameter("w", (2,), init=drawn), hk.get_state("n", (), init=jnp.ones)
    hk.set_state("n", n + lax.psum(jnp.sum(jnp.sin(x * w)), "i"))
    y = jnp.sin(x * w) * n + hk.Linear(2)(x[None])[0]
    return y + random.uniform(hk.next_rng_key(), (2,))  # after the parameters, which are made before the devices run


def of_both(x):
    """The same of both halves."""
    w, n = hk.get_parameter("w", (2,), init=drawn), hk.get_state("n", (), init=jnp.ones)
    halves = x.reshape(2, 2)
    hk.set_state("n", n + jnp.sum(jnp.sin(halves * w)))
    y = jnp.sin(halves * w) * n + hk.Linear(2)(halves)
    return jnp.ravel(y + random.uniform(hk.next_rng_key(), (2,)))


WRAPS = {"plain": lambda f: f, "jit": mj.jit, "checkpoint": mj.checkpoint,
         "grad": lambda f: mj.grad(lambda x: jnp.sum(f(x) ** 2)),
         "scan": lambda f: lambda x: lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0]}


@pytest.mark.parametrize("outer,inner", [(outer, inner) for outer in WRAPS for inner in WRAPS
                                         if "plain" in (outer, inner)])
def test_effects_on_devices(outer, inner):
    """Parameters, state and keys inside shard_map, with gradients through it: as without devices."""
    def slopes(f, given):
        pure = hk.transform_with_state(lambda x: (WRAPS[outer](f)(x), random.uniform(hk.next_rng_key())))

        def total(params, x):
            (y, u), after = pure.apply(params, given[1], random.PRNGKey(1), x)
            return jnp.sum(y ** 2) + u, (y, u, after)

        return pure, mj.value_and_grad(total, (0, 1), has_aux=True)

    x = jnp.arange(4.0) / 4
    given = slopes(of_both, None)[0].init(random.PRNGKey(0), x)
    pure, found = slopes(on_devices(WRAPS[inner](of_half)), given)
    agree(pure.init(random.PRNGKey(0), x), given)
    agree(mj.jit(found)(given[0], x), found(given[0], x))
    if inner in ("plain", "jit", "checkpoint"):
        agree(found(given[0], x), slopes(of_both, given)[1](given[0], x))


def test_batch_norm_across_devices():
    """State that is first set inside shard_map, by `init`."""
    def norm(x, axis):
        return hk.BatchNorm(True, True, 0.9, cross_replica_axis=axis)(x, is_training=True)

    whole = hk.transform_with_state(lambda x: norm(x, None))
    halves = hk.transform_with_state(on_devices(lambda x: norm(x, "i")))
    x = jnp.arange(8.0).reshape(4, 2) ** 2
    given = whole.init(None, x)
    agree(halves.init(None, x), given)
    for apply in (halves.apply, mj.jit(halves.apply)):
        agree(apply(*given, None, x), whole.apply(*given, None, x))
    loss = [lambda params, x, f=f: jnp.sum(jnp.sin(f.apply(params, given[1], None, x)[0])) for f in (halves, whole)]
    agree(*[mj.grad(f, (0, 1))(given[0], x) for f in loss])


def test_state_and_taps_that_differ_between_devices_are_refused():
    def first(x):
        hk.set_state("n", jnp.sum(x))
        return x

    def later(x):
        hk.set_state("n", hk.get_state("n", (), init=jnp.ones) + jnp.sum(x))
        return x

    for f in (first, later):
        with pytest.raises(errors.UnhandledEffectError,
                           match=r"the state '~/n' would differ between the devices along i \(.*\), .*lax.pmean"):
            hk.transform_with_state(on_devices(f)).init(None, jnp.arange(4.0))
    with pytest.raises(errors.UnhandledEffectError, match="the tap 'h' would differ between the devices along i"):
        mj.collect(on_devices(lambda x: mj.tap("h", x)))(jnp.arange(4.0))
    shared = mj.collect(on_devices(lambda x: x + mj.tap("h", lax.psum(x, "i"))))
    agree(shared(jnp.arange(4.0)), (jnp.array([2.0, 5.0, 4.0, 7.0]), {"h": jnp.array([2.0, 4.0])}))

    def twice(x):
        hk.set_state("n", 1.0)
        hk.set_state("n", 2.0)
        return x

    with pytest.raises(errors.MinijaxValueError, match="'~/n' is set for the first time inside .* or shard_map"):
        hk.transform_with_state(on_devices(twice)).init(None, jnp.arange(4.0))


# ---- taps ----

def tapped(x):
    """A tap in each kind of program; the function of x and of shifts of what is tapped, by hand."""
    a = mj.tap("a", jnp.sin(x))
    b = mj.jit(lambda a: mj.tap("b", a * a))(a)
    c, _ = lax.scan(lambda c, t: (mj.tap("c", c * t + jnp.cos(c)), None), b, STEPS)
    d = lax.cond(INDEX[0] > 0, lambda c: mj.tap("d", c * 2.0), lambda c: c, c)
    e = jnp.sum(mj.vmap(lambda r: mj.tap("e", r * d))(jnp.arange(3.0)))
    return mj.checkpoint(lambda e: mj.tap("g", jnp.tanh(e)))(e) + mj.grad(lambda x: mj.tap("h", x ** 3))(x)


def test_taps_and_their_cotangents():
    value, taps = mj.collect(tapped)(0.7)
    assert names(taps) == list("abcdegh") and taps["c"].shape == taps["e"].shape == (3,)
    agree(value, tapped(0.7))
    shifts = mj.tree.map(jnp.zeros_like, taps)
    for perturbed in (mj.perturb(tapped), mj.jit(mj.perturb(tapped))):
        slopes = mj.grad(perturbed)(shifts, 0.7)
        agree(mj.grad(perturbed, argnums=1)(shifts, 0.7), mj.grad(tapped)(0.7))
    with errors_in_double():
        wide = {name: np.asarray(shift, np.float64) for name, shift in shifts.items()}
        for name in "abcdeg":
            for i in np.ndindex(wide[name].shape):
                up, down = ({**wide, name: wide[name] + sign * 1e-6 * one_at(wide[name], i)} for sign in (1, -1))
                slope = (mj.perturb(tapped)(up, np.float64(0.7)) - mj.perturb(tapped)(down, np.float64(0.7))) / 2e-6
                np.testing.assert_allclose(slopes[name][i], slope, rtol=1e-3, atol=1e-4)


def one_at(x, i):
    found = np.zeros_like(x)
    found[i] = 1.0
    return found


def errors_in_double():
    return mj.config.override("jax_enable_x64", True)


def test_taps_survive_programs_kept_from_elsewhere():
    f = mj.jit(lambda x: mj.tap("a", x * 2.0) + 1.0)
    assert mj.grad(lambda x: f(x))(1.0) == 2.0  # traced, and kept, where nobody collects
    assert mj.collect(f)(1.0) == (3.0, {"a": 2.0})
    assert mj.collect(mj.grad(lambda x: f(x)))(1.0) == (2.0, {"a": 2.0})
    assert "tap" not in str(mj.make_jaxpr(f)(1.0))


def test_taps_of_modules_have_their_names():
    class Inner(hk.Module):
        def __call__(self, x):
            return mj.tap("out", {"double": x * 2.0})["double"]

    class Outer(hk.Module):
        def __call__(self, x):
            return Inner()(x) + mj.jit(Inner())(x)

    _, taps = mj.collect(hk.transform(lambda x: Outer()(x)).apply)({}, None, 1.0)
    assert taps == {"outer/inner/out['double']": 2.0, "outer/inner_1/out['double']": 2.0}


def test_taps_in_loops_that_may_not_run():
    def f(n, x):
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, mj.tap("c", c[1] * 2.0)), (0, x))[1]

    assert mj.collect(f)(3, 1.0) == (8.0, {"c": 8.0})
    assert mj.collect(f)(0, 1.0) == (1.0, {"c": 0.0})


# ---- no tracer is left ----

def test_no_tracer_is_left():
    def f(x):
        y = mj.grad(lambda x: jnp.sum(mj.jit(Leaf(True))(x)))(x)
        return lax.scan(lambda c, _: (Leaf(True)(c), None), y, None, length=2)[0]

    pure = hk.transform_with_state(f)
    gc.collect()
    before = sum(isinstance(x, Tracer) for x in gc.get_objects())
    given = mj.jit(pure.init)(random.PRNGKey(0), X)
    results = given, pure.apply(*given, random.PRNGKey(0), X)
    gc.collect()
    assert sum(isinstance(x, Tracer) for x in gc.get_objects()) == before
    assert not any(isinstance(x, Tracer) for x in mj.tree.leaves(results))


# ---- what is refused ----

def refused(function, *args, state=None, rng=None):
    pure = hk.transform_with_state(function)
    with pytest.raises(errors.MinijaxError) as found:
        pure.init(rng, *args)
    return str(found.value)


def set_by_example(x):
    def each(x):
        hk.set_state("s", x)
        return x

    hk.get_state("s", (), init=jnp.zeros)
    return mj.vmap(each)(x)


def drawn_in_condition(x):
    return lax.while_loop(lambda c: random.uniform(hk.next_rng_key()) < 0.5, lambda c: c + 1.0, x)


def state_grows(x):
    hk.set_state("s", jnp.ones(2))

    def step(c, _):
        hk.set_state("s", jnp.concatenate([hk.get_state("s"), jnp.ones(1)]))
        return c, None

    return lax.scan(step, x, None, length=2)


def first_set_in_branch(x):
    def branch(x):
        hk.set_state("s", x)
        return x

    return lax.cond(INDEX[0] > 0, branch, lambda x: x, x)


def parameter_under_rule(x):
    ruled = mj.custom_jvp(lambda x: x * hk.get_parameter("w", (), init=jnp.ones))
    ruled.defjvp(lambda primals, tangents: (primals[0] * hk.get_parameter("w", ()), tangents[0]))
    return ruled(x)


@pytest.mark.parametrize("function,arg,text", [
    (set_by_example, jnp.arange(3.0), r"vmap: the state '~/s' would depend on an example of the batch \(.*:\d+\), and "
     r"there is one state for all. Give the axis a name .* lax.pmean.*"),
    (drawn_in_condition, 1.0, "while_loop: random keys .*:\\d+. can neither change in the condition of a loop"),
    (state_grows, 1.0, r"The state '~/s' is f32\[2\] before a loop or a branch, which sets it to f32\[3\] \(.*:\d+\)"),
    (first_set_in_branch, 1.0, "'~/s' is set for the first time inside a branch of cond, a loop that may not run, or")])
def test_refused(function, arg, text):
    assert re.match(text, refused(function, arg, rng=random.PRNGKey(0)), re.DOTALL)


def test_a_parameter_differentiated_through_a_rule_is_refused():
    pure = hk.transform(parameter_under_rule)
    params = pure.init(None, 1.0)
    assert mj.grad(pure.apply, argnums=2)(params, None, 1.0) == 1.0
    with pytest.raises(errors.MinijaxTypeError, match="has a derivative rule and reads a parameter .*Read it outside"):
        mj.grad(pure.apply)(params, None, 1.0)


# ---- what rules of derivatives do besides ----

def ruled(kind, function, rule):
    """A function of x whose rule multiplies by rule(x)."""
    if kind == "jvp":
        f = mj.custom_jvp(lambda x: function(x))
        f.defjvp(lambda primals, tangents: (function(*primals), tangents[0] * rule(*primals)))
        return f
    f = mj.custom_vjp(lambda x: function(x))
    if kind == "fwd":
        f.defvjp(lambda x: (function(x), rule(x)), lambda saved, ct: (saved * ct,))
    else:
        f.defvjp(lambda x: (function(x), x), lambda x, ct: (rule(x) * ct,))
    return f


def read(what):
    return {"nothing": lambda x: x, "parameter": lambda x: x * hk.get_parameter("u", (), init=drawn),
            "state": lambda x: x * hk.get_state("n", (), init=jnp.zeros),
            "set": lambda x: (hk.set_state("n", 7.0), x)[1], "tap": lambda x: mj.tap("h", x),
            "key": lambda x: x * random.uniform(hk.next_rng_key())}[what]


def with_rule(kind, function, rule, wrap):
    """A function of modules that calls one with a rule; u and n (5.0) are there."""
    f = ruled(kind, read(function), read(rule))

    def run(x):
        hk.get_parameter("u", (), init=drawn)
        hk.set_state("n", 5.0)
        return wrap(f)(x) + 0.0 * hk.get_state("n")

    pure = hk.transform_with_state(run)
    given = pure.init(random.PRNGKey(0), 2.0)
    return lambda x: pure.apply(*given, random.PRNGKey(1), x), given[0]["~"]["u"]


@pytest.mark.parametrize("wrap", [lambda f: f, mj.jit], ids=["eager", "jit"])
def test_a_rule_has_what_its_function_has(wrap):
    """Or an error says so; nothing that it does is lost."""
    did = {"parameter": "reads the parameter '~/u'", "state": "reads the state '~/n'", "key": "draws a random key",
           "set": "sets the state '~/n'"}
    for kind, rule in itertools.product(("jvp", "fwd", "bwd"), did):
        for function in {"nothing", "parameter", "key"} - {rule}:
            apply, _ = with_rule(kind, function, rule, wrap)
            without = kind == "bwd" or function == "nothing"
            text = "was called by a rule for derivatives" if without else f"A rule of the function <lambda> {did[rule]}"
            with pytest.raises(errors.MinijaxError, match=rf"{text} \(.*test_effects.py:\d+\)"):
                mj.grad(lambda x: apply(x)[0])(2.0)
    for kind in ("jvp", "fwd"):
        apply, u = with_rule(kind, "parameter", "parameter", wrap)
        assert mj.grad(lambda x: apply(x)[0])(2.0) == 2.0 * u
        apply, _ = with_rule(kind, "state", "state", wrap)
        assert mj.grad(lambda x: apply(x)[0])(2.0) == 10.0
        f = wrap(ruled(kind, lambda x: mj.tap("a", x), read("tap")))
        with pytest.raises(errors.UnhandledEffectError, match="taps 'h' .*the function itself does not"):
            mj.grad(lambda x: mj.collect(f)(x)[0])(2.0)


@pytest.mark.parametrize("wrap", [mj.grad, lambda f: mj.grad(mj.jit(f)), lambda f: mj.jit(mj.grad(f))])
def test_a_rule_inside_has_all(wrap):
    """Where the derivative is taken inside, whoever answers is there, in bwd too."""
    for kind, function in itertools.product(("jvp", "fwd", "bwd"), ("nothing", "parameter", "key")):
        apply, u = with_rule(kind, function, "parameter", wrap)
        np.testing.assert_allclose(apply(2.0)[0], 2.0 * u, rtol=1e-6)
        assert with_rule(kind, function, "state", wrap)[0](2.0)[0] == 10.0
        assert with_rule(kind, function, "set", wrap)[0](2.0)[1]["~"]["n"] == 7.0
    with pytest.raises(errors.UnhandledEffectError, match="sets the state '~/n'.*the function itself does not"):
        with_rule("jvp", "state", "set", wrap)[0](2.0)


def test_a_rule_of_a_function_that_creates_is_not_forgotten():
    """Such a function is run equation by equation: nobody knows then what its rule would have given."""
    ruled = mj.custom_jvp(lambda x: x * hk.get_parameter("w", (), init=jnp.ones))
    ruled.defjvp(lambda primals, tangents: (ruled(*primals), 3.0 * tangents[0]))

    def f(x):
        hk.set_state("n", mj.grad(ruled)(x) + ruled(x))

    pure = hk.transform_with_state(f)
    for init in (pure.init, mj.jit(pure.init)):
        assert init(None, 2.0) == ({"~": {"w": 1.0}}, {"~": {"n": 5.0}})
    apply = mj.grad(lambda x: pure.apply(*pure.init(None, 2.0), None, x)[1]["~"]["n"])
    assert apply(2.0) == 3.0
    with pytest.raises(errors.MinijaxTypeError, match="has rules of its own, and is differentiated where it makes a"):
        mj.grad(lambda x: pure.init(None, x)[1]["~"]["n"])(2.0)


def test_taps_where_each_example_chooses():
    """What collects is mapped with the function; else all would tap what one of them chooses."""
    def f(x):
        y = lax.cond(x > 1, lambda x: mj.tap("a", x * x), lambda x: x, x)
        return lax.while_loop(lambda c: c < 3, lambda c: mj.tap("b", c + 1), y)

    xs = jnp.arange(4.0)
    agree(mj.vmap(mj.collect(f))(xs), (np.array([3.0, 3.0, 4.0, 9.0]), {"a": xs ** 2 * (xs > 1), "b": 3.0 * (xs < 2)}))
    with pytest.raises(errors.UnhandledEffectError, match=r"the effect 'tap' .*map the handler: vmap\(collect\(f"):
        mj.collect(mj.vmap(f))(xs)


def test_two_taps_of_one_name():
    with pytest.raises(errors.MinijaxValueError, match="tap: the name 'a' is used twice .*Give each tap a name"):
        mj.collect(lambda x: mj.tap("a", x) + mj.tap("a", x))(1.0)
    with pytest.raises(errors.MinijaxValueError, match="perturb: no shift for the tap 'a'"):
        mj.perturb(lambda x: mj.tap("a", x))({}, 1.0)


def test_shifts_that_do_not_fit():
    f = mj.perturb(lambda x: lax.scan(lambda c, _: (mj.tap("a", 2.0 * c), None), x, None, length=2)[0])
    x = jnp.float32(1.0)
    assert f({"a": np.ones(2, np.float32)}, x) == 7.0
    assert mj.perturb(lambda x: mj.tap("a", x))({"a": 1}, jnp.bfloat16(1.0)).dtype == jnp.bfloat16
    for shift, text in ((jnp.zeros(3), r"f32\[3\]"), (jnp.zeros(2, int), r"i32\[2\]"), ([0.0], r"\[0.0\]")):
        with pytest.raises(errors.MinijaxTypeError, match=rf"shift of the tap 'a' is {text} .*; expected f32\[2\]"):
            f({"a": shift}, x)
    with pytest.raises(errors.MinijaxTypeError, match="the shifts are a dict of arrays by the names of taps, got 1.0"):
        f(1.0)
