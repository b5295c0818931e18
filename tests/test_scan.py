"""scan, map and associative_scan against JAX: values, derivatives under every composition, and what loops keep."""

import itertools
import re

import jax
import numpy as np
import pytest
from error_checks import mistake
from hypothesis import given, settings, strategies as st

import minijax
from minijax import config, lax
from minijax import numpy as jnp
from minijax.calls.scan import scan_p
from minijax.errors import JaxprCheckError, MinijaxTypeError, MinijaxValueError, TreeError
from minijax.interpreters.evaluate import run_program
from minijax.ir.check import check_jaxpr
from minijax.ir.passes import dce
from minijax.language import from_json, parse, to_json
from minijax.lowering.emit import emit

RNG = np.random.default_rng(0)
W, H, XS = (RNG.normal(size=shape).astype(np.float32) * 0.7 for shape in ((3, 3), (3,), (4, 3)))


def same(ours, theirs, weak=False):
    """Two trees of arrays agree, dtypes and structures included."""
    ours, theirs = minijax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        assert not weak or x.weak_type == y.weak_type, (x, y)
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype and x.shape == y.shape, (x, y)
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-4 * max(1, np.abs(y).max(initial=0)))


class Library:
    """What the functions below are written with: minijax, or JAX."""

    def __init__(self, library):
        self.library, self.np = library, library.numpy

    def __getattr__(self, name):
        return getattr(self.library, name)


Ours, Theirs = Library(minijax), Library(jax)


# ---- functions of (constant, initial carry, xs) that return a scalar ----

def recurrent(m, w, h, xs):
    """A recurrent network: the constant and the carry meet in a product."""
    def step(h, x):
        h = m.np.tanh(w @ h + x)
        return h, h * 2.0

    last, ys = m.lax.scan(step, h, xs)
    return (last * ys).sum()


def counting(m, w, h, xs):
    """Backwards, two steps at once, a tree of carries: a counter, a flag, a value returned as it came."""
    def step(carry, x):
        index, positive, table, state = carry["i"], carry["p"], carry["w"], carry["h"]
        row = m.lax.dynamic_index_in_dim(table, index % 3, 0, keepdims=False)
        state = {"h": m.np.where(positive, m.np.sin(state["h"]) * row, x + row)}
        return {"i": index + 1, "p": x.sum() > 0, "w": table, "h": state}, (index, state["h"], None)

    init = {"i": 0, "p": True, "w": w, "h": {"h": h}}
    last, (indices, ys, _) = m.lax.scan(step, init, xs, reverse=True, unroll=2)
    return (last["h"]["h"] * ys).sum() + indices.sum() * w.sum() + last["w"][0, 0]


def steady(m, w, h, xs):
    """No xs; a part of the step depends on constants alone, a part has no derivative."""
    def step(carry, _):
        state, old, frozen = carry
        new = m.np.cos(m.np.exp(w) @ state) + m.np.floor(frozen)
        return (new, state, m.lax.stop_gradient(state) * 3.0), old * xs[0]

    (last, old, frozen), ys = m.lax.scan(step, (h, 1.0 * h, h), length=3)
    return (last * old + frozen).sum() + (ys ** 2).sum()


def nested(m, w, h, xs):
    """A scan in a scan, with a jit between, over the rows of the outer x."""
    def outer(state, x):
        @m.jit
        def through(state, x):
            return m.lax.scan(lambda s, a: (s * m.np.sin(a) + w[0], s.sum()), state, x)

        state, sums = through(state, x)
        return m.np.tanh(state + sums.sum()), m.lax.map(lambda r: r * state.sum(), x)

    last, ys = m.lax.scan(outer, h, xs)
    return (last ** 2).sum() + (ys * xs).sum()


def forgetful(m, w, h, xs):
    """The initial carry is a constant; one step; xs and constants go into ys as they come."""
    def step(carry, x):
        return carry * x + w, (x, w)

    last, (ys, ws) = m.lax.scan(step, m.np.ones_like(w), xs[:1])
    return (last * ws).sum() + (ys * h).sum() + m.lax.scan(step, w, xs[:0])[0].sum() ** 2


PROGRAMS = recurrent, counting, steady, nested, forgetful
BATCHES = tuple(axes for axes in itertools.product((None, 1), (None, 0), (None, 0, 2)) if axes != (None,) * 3)


def batch_of(x, axis):
    """Two versions of an array along an axis."""
    return x if axis is None else np.stack([x, 0.5 * x], axis)


def example_of(x, axis, number):
    """One of them."""
    return x if axis is None else np.take(x, number, axis)


def everything(m, program):
    """What a program gives under compositions of transformations, as one tree."""
    def f(w, h, xs):
        return program(m, w, h, xs)

    def gradient(w, h, xs):
        return m.grad(f, (0, 1, 2))(w, h, xs)

    def size(h):
        return sum((g * m.np.cos(g)).sum() for g in gradient(W, h, XS))

    def run(args, dots, batch):
        axes = (None, 0, 2)
        return {"value": f(*args), "jvp": m.jvp(f, args, dots), "grad": gradient(*args),
                "grad of grad": m.grad(size)(args[1]), "jvp of grad": m.jvp(gradient, args, dots),
                "grad of jvp": m.grad(lambda h: m.jvp(f, (args[0], h, args[2]), dots)[1])(args[1]),
                "vmap of grad": m.vmap(gradient, axes)(*batch),
                "grad of vmap": m.grad(lambda *xs: (m.vmap(f, axes)(*xs) ** 2).sum(), (0, 1, 2))(*batch)}

    return run


DOTS = np.cos(W), np.sin(H), XS + 1
ARGS = (W, H, XS), DOTS, (W, batch_of(H, 0), batch_of(XS, 2))


@pytest.mark.parametrize("program", PROGRAMS)
def test_compositions(program):
    """Every composition, by NumPy's meaning and (of those quickly compiled) by XLA, is JAX's."""
    theirs = jax.jit(everything(Theirs, program))(*ARGS)
    if program is not nested:
        same(minijax.jit(everything(Ours, program))(*ARGS), theirs)
    with config.override("evaluator", "numpy"):
        same(everything(Ours, program)(*ARGS), theirs)


@pytest.mark.parametrize("program", PROGRAMS)
def test_batches(program):
    """vmap over each choice of constant, carry and xs is a loop over the examples; so is that of a gradient."""
    def f(*args):
        return program(Ours, *args)

    def both(*args):
        return f(*args), minijax.grad(f, 1)(*args), minijax.jvp(f, args, DOTS)[1]

    with config.override("evaluator", "numpy"):
        for axes in BATCHES:
            batch = [batch_of(x, axis) for x, axis in zip((W, H, XS), axes, strict=True)]
            rows = [both(*[example_of(x, axis, n) for x, axis in zip(batch, axes, strict=True)]) for n in range(2)]
            same(minijax.vmap(both, axes)(*batch), jax.tree.map(lambda *xs: np.stack(xs), *[
                jax.tree.map(np.asarray, row) for row in rows]))


def test_eager():
    """Without jit the op is compiled by itself; a function scanned twice is traced once."""
    traced = []

    def step(h, x):
        traced.append(1)
        return h * x, h

    for m in (Ours, Theirs):
        result = [m.lax.scan(step, np.float32(2.0), XS[:, 0]) for _ in range(2)]
        same(result[0], result[1]) if m is Ours else None
    assert len(traced) == 2
    same(lax.scan(step, np.float32(2.0), XS[:, 0]), jax.lax.scan(step, np.float32(2.0), XS[:, 0]))
    same(minijax.grad(lambda w: recurrent(Ours, w, H, XS))(W), jax.grad(lambda w: recurrent(Theirs, w, H, XS))(W))


def holding(m):
    """A scan whose step holds a checkpoint, a cond, a loop, custom rules; others over complex and integer values."""
    @m.custom_vjp
    def product(x, y):
        return m.np.sin(x) * y

    product.defvjp(lambda x, y: (product(x, y), (x, y)),
                   lambda saved, ct: (ct * m.np.cos(saved[0]) * saved[1], (ct * m.np.sin(saved[0])).sum()))

    def loss(w, h, xs):
        @m.checkpoint
        def step(c, x):
            c = m.lax.cond(c[0] > 0.1, lambda c: product(c, w[0, 0]), lambda c: c + w[1], c)
            n, c = m.lax.fori_loop(0, 2, lambda i, nc: (nc[0] + 1, nc[1] * m.np.cos(x)), (0, c))
            return c, c * n

        c, ys = m.lax.scan(step, h, xs)
        by_index = m.lax.scan(lambda c, i: (c * w[i, 0], i > 1), 1.0, np.arange(3))[0]
        turned = m.lax.scan(lambda c, x: (c * w[0, 1] * x, c), np.complex64(1 + 1j), xs[:, 0])[0]
        return (c * ys).sum() + by_index + m.np.abs(turned)

    return loss


def test_programs_in_steps():
    """What a step may hold is differentiated and batched with it."""
    def run(m, args, batch):
        gradient = m.grad(holding(m), (0, 1, 2))
        return gradient(*args), m.vmap(gradient, (None, 0, None))(*batch), m.vmap(lambda x: m.lax.scan(
            lambda c, t: (c + m.lax.psum(c * t, "i"), c), x, XS[0])[0], axis_name="i")(XS)

    args = (W, H, XS), (W, batch_of(H, 0), XS)
    same(minijax.jit(lambda *xs: run(Ours, *xs))(*args), jax.jit(lambda *xs: run(Theirs, *xs))(*args))


def test_custom_rule_at_every_order():
    """A rule that is not the function's own derivative is the one that counts, of the second derivative too."""
    @minijax.custom_jvp
    def square(x):
        return x * x

    square.defjvp(lambda primals, tangents: (square(*primals), 5.0 * primals[0] * tangents[0]))

    def second(f):
        return minijax.grad(minijax.grad(f))(np.float32(0.3))

    same(second(lambda x: lax.scan(lambda c, _: (square(jnp.sin(c)), None), x, None, 2)[0]),
         second(lambda x: square(jnp.sin(square(jnp.sin(x))))))


# ---- types ----

def typed(m):
    """Carries and ys whose types take some thought."""
    three = m.np.arange(3.0)
    return [m.lax.scan(lambda c, x: (c + x, c), 0.0, three), m.lax.scan(lambda c, x: (c + x, c), 0, three),
            m.lax.scan(lambda c, x: (c * 2, c), 1.0, None, length=3),
            m.lax.scan(lambda c, x: (2.0, c), np.float32(1), None, 3),
            m.lax.scan(lambda c, x: (c + x, c), 0, three[:0]), m.lax.scan(lambda c, x: (c + 0, 1), 5, (), 2),
            m.lax.scan(lambda c, x: (c * np.float16(2), None), 1.0, three),
            m.lax.scan(lambda c, x: (~c, c), True, None, 3, unroll=True),
            m.lax.scan(lambda c, x: (c + x, c), np.int8(3), np.arange(4, dtype=np.int8), unroll=False),
            m.lax.scan(lambda c, x: (c * 1j, c), np.complex64(2), None, length=np.int32(3))]


def test_types():
    """Python scalars in carries take the type that the step gives them; dtypes and weakness are JAX's."""
    same(typed(Ours), typed(Theirs), weak=True)
    with config.override("evaluator", "numpy"):
        same(typed(Ours), typed(Theirs), weak=True)


def drawing(m, seed):
    """A random key in the carry, split at each step."""
    def step(key, _):
        key, now = m.random.split(key)
        return key, m.random.uniform(now, (2,))

    key, draws = m.lax.scan(step, m.random.key(seed), length=3)
    return m.random.key_data(key), draws, m.lax.map(lambda k: m.random.bits(k), m.random.split(key, 3))


def test_keys():
    """Keys are carries, xs and ys like any other value, under vmap too."""
    theirs = [drawing(Theirs, 7), jax.vmap(lambda s: drawing(Theirs, s))(np.arange(2))]
    same(minijax.jit(lambda: [drawing(Ours, 7), minijax.vmap(lambda s: drawing(Ours, s))(np.arange(2))])(), theirs)
    with config.override("evaluator", "numpy"):
        same([drawing(Ours, 7), minijax.vmap(lambda s: drawing(Ours, s))(np.arange(2))], theirs)


def test_python_loop():
    """Under jax_disable_jit the steps run one by one, on values."""
    seen = []

    def step(carry, x):
        seen.append(float(carry["a"]))
        return {"a": carry["a"] + x[0], "b": None}, (carry["a"], x)

    with config.override("jax_disable_jit", True):
        ours = lax.scan(step, {"a": np.float32(1), "b": None}, (XS[:, 0],), reverse=True)
        assert len(seen) == 4
        assert lax.scan(lambda c, x: (c, x), 0.0, XS[:0])[1].shape == (0, 3)
    same(ours, jax.lax.scan(lambda c, x: ({"a": c["a"] + x[0], "b": None}, (c["a"], x)),
                            {"a": np.float32(1), "b": None}, (XS[:, 0],), reverse=True))


def test_nans():
    """A NaN made in a loop names the loop's line, or that of the step where the first one shows it."""
    xs = np.ones((2, 1), np.float32)
    with config.override("jax_debug_nans", True):
        for function in (lambda c: lax.scan(lambda c, x: (jnp.log(c) * x[0], x), c, xs)[0],
                         lambda c: lax.scan(lambda c, _: (jnp.log(c), c), c, None, 2)[0]):
            with pytest.raises(FloatingPointError, match="test_scan.py"):
                minijax.jit(function)(np.float32(-1.0))


# ---- what the programs hold ----

def scans_of(function, *args):
    """The scan equations of a traced function, after dead code is gone."""
    return [eqn for eqn in dce(minijax.make_jaxpr(function)(*args)).eqns if eqn.op is scan_p]


def shapes(variables):
    return [v.type.shape for v in variables]


def test_residuals():
    """Residuals of constants are not stacked, those of xs are the xs, those of ys are the ys."""
    def loss(h, w, xs):
        def step(h, x):
            h = m.sin(m.exp(w) @ h) * x
            return h, h

        return (lax.scan(step, h, xs)[1] ** 2).sum()

    m = jnp
    forward, backward = scans_of(minijax.grad(loss, (0, 1)), H, W, XS)
    # exp(w) comes from outside; of each step its carry and the cosine are kept beside y: x is there already
    assert sorted(shapes(forward.outvars)) == [(3,)] + [(4, 3)] * 3
    assert forward.inputs[0] is backward.inputs[0] and shapes(forward.inputs) == [(3, 3), (3,), (4, 3)]
    stacked = [v for v in backward.inputs if v.type.shape[:1] == (4,)]
    assert XS.shape in shapes(stacked) and forward.inputs[-1] in stacked
    forward, backward = scans_of(minijax.grad(lambda h: loss(h, W, XS)), H)
    assert sorted(shapes(forward.outvars)) == [(3,), (4, 3), (4, 3)]  # no derivative in w or x: the cosine is enough


def test_linear_loop_keeps_nothing():
    """A scan that is linear in what is differentiated saves no value of any step."""
    def loss(h):
        return (lax.scan(lambda h, x: (W @ h + x, None), h, XS)[0]).sum()

    backward, = scans_of(minijax.grad(loss), H)
    assert shapes(backward.inputs) == [(3, 3), (3,)] and backward.params["reverse"]


def test_known_carries_stay_known():
    """What does not depend on the differentiated arguments runs in the known scan, at once."""
    def loss(h):
        def step(carry, x):
            n, old, h = carry
            return (n + 1, old * 2.0, h * old), n

        (n, old, h), ns = lax.scan(step, (0, np.float32(1), h), None, 3)
        known.extend([n, old, ns])
        return h

    known = []
    forward, linear = minijax.linearize(loss, np.float32(2.0))
    assert [float(np.sum(x)) for x in map(minijax.lax.stop_gradient, known)] == [3.0, 8.0, 3.0]
    assert float(forward) == 16.0 and float(linear(np.float32(1.0))) == 8.0
    backward = scans_of(minijax.grad(loss), np.float32(2.0))[-1]
    assert backward.params["num_carry"] == 1


def test_carries_returned_as_they_came():
    """A carry that no step changes is a constant of the loop, and so is not stacked for the gradient."""
    def loss(w):
        (_, h), _ = lax.scan(lambda c, x: ((c[0], jnp.tanh(c[0] @ c[1] + x)), None), (w, H), XS)
        return h.sum()

    forward, backward = scans_of(minijax.grad(loss), W)
    assert forward.params["num_consts"] == 1 and (4, 3, 3) not in shapes(forward.outvars)
    same(minijax.grad(loss)(W), jax.grad(lambda w: recurrent_sum(w))(W))


def recurrent_sum(w):
    """JAX's own form of the loss above."""
    return jax.lax.scan(lambda h, x: (jax.numpy.tanh(w @ h + x), None), H, XS)[0].sum()


def test_dead_code():
    """Results that nobody reads go, with the carries, constants and xs that only they needed."""
    def step(carry, x):
        a, b, c = carry
        return (a + x["a"], b * c + W[0, 0], c + x["b"]), (b, a * x["c"])

    def run(init, xs):
        (a, _, _), (_, ys) = lax.scan(step, init, xs)
        return a, ys

    init, xs = (np.float32(1),) * 3, dict.fromkeys("abc", XS[:, 0])
    eqn, = scans_of(run, init, xs)
    assert (eqn.params["num_consts"], eqn.params["num_carry"], len(eqn.inputs), len(eqn.outvars)) == (0, 1, 3, 2)
    eqn, = scans_of(lambda init, xs: lax.scan(step, init, xs)[0][1], init, xs)
    assert (eqn.params["num_carry"], len(eqn.outvars)) == (2, 2)  # b needs c, whose last value is not read
    program = dce(minijax.make_jaxpr(run)(init, xs))
    same(emit(program, [np.float32(1)] * 3 + [XS[:, 0]] * 3), run(init, xs))


def test_same_hlo():
    """A plain scan compiles to the program that JAX's own does."""
    def function(m):
        return lambda h, xs: m.lax.scan(lambda h, x: (m.np.sin(h) * x, h), h, xs, reverse=True, unroll=2)

    ours, theirs = minijax.jit(function(Ours)).lower(H, XS), jax.jit(function(Theirs)).lower(H, XS)
    texts = [x.compile().as_text() for x in (ours, theirs)]
    ours, theirs = ([re.sub(r"[%\w.-]+ = ", "", line.split("(")[0]).strip() for line in text.splitlines()
                     if " = " in line] for text in texts)
    assert ours == theirs


def test_language():
    """A scan prints, reads back, is saved, and is still differentiated."""
    program = minijax.make_jaxpr(lambda h, xs: recurrent(Ours, W, h, xs))(H, XS)
    for back in (parse(str(program), program.consts), from_json(to_json(program))):
        assert str(back) == str(program)
        gradient = minijax.grad(lambda h: run_program(back, h, XS)[0])(H)
        same(gradient, minijax.grad(lambda h: recurrent(Ours, W, h, XS))(H))
    assert "scan[" in str(program) and "num_carry=1" in str(program)


def test_cost():
    """The operations of a loop are those of its step, times the steps."""
    eqn, = scans_of(lambda h, xs: lax.scan(lambda h, x: (h * x + 1.0, None), h, xs)[0], H, XS)
    assert scan_p.cost(*[v.type for v in eqn.inputs], **eqn.params) == 4 * 6


def test_checker():
    """The checker refuses a scan whose program does not fit its inputs, or changes its carry."""
    program = minijax.make_jaxpr(lambda h, xs: lax.scan(lambda h, x: (h * x, h), h, xs))(H, XS)
    eqn, = program.eqns
    body = eqn.params["jaxpr"]
    for change in ({"length": 5}, {"num_carry": 2}, {"num_consts": 1}, {"jaxpr": body.replace(outvars=())}):
        wrong = eqn.replace(params={**eqn.params, **change})
        with pytest.raises(JaxprCheckError, match="scan"):
            check_jaxpr(program.replace(eqns=[wrong]))


def test_linear_transpose():
    """A linear loop is transposed, a counter beside the linear carry and all."""
    def linear(m):
        def step(carry, x):
            n, total, state = carry
            return (n + 1, total * 2.0, state * total + x), (state * n, n)

        return lambda h, xs: [m.lax.scan(step, (0, np.float32(1.5), h), xs)[i][j] for i, j in ((0, 2), (1, 0))]

    h, xs, cts = H, XS, [np.cos(H), np.sin(XS)]
    theirs = jax.vjp(linear(Theirs), h, xs)[1](cts)
    for evaluator in ("xla", "numpy"):
        with config.override("evaluator", evaluator):
            same(minijax.linear_transpose(linear(Ours), h, xs)(cts), theirs)
    once = minijax.linear_transpose(lambda x: lax.scan(lambda c, _: (c, c), x, None, 3)[1], H)
    same(once(XS[:3])[0], XS[:3].sum(0))


# ---- map and associative_scan ----

def mapped(m, x):
    """map by elements and by batches that do and do not divide the length."""
    def one(tree):
        return {"y": tree["x"] * m.np.sin(tree["x"]).sum()}

    return [m.lax.map(one, {"x": x}, **options) for options in ({}, *({"batch_size": n} for n in (1, 2, 3, 4, 9)))]


def test_map():
    """map is JAX's, and so is its gradient."""
    def loss(m):
        return lambda x: sum(each["y"].sum() * n for n, each in enumerate(mapped(m, x), 1))

    theirs = jax.jit(lambda x: (mapped(Theirs, x), jax.grad(loss(Theirs))(x)))(XS)
    same(minijax.jit(lambda x: (mapped(Ours, x), minijax.grad(loss(Ours))(x)))(XS), theirs)
    assert lax.map(lambda x: x + 1, np.zeros((0, 2), np.float32)).shape == (0, 2)


def combined(m, left, right):
    """Composition of linear functions x -> a x + b."""
    return {"a": left["a"] * right["a"], "b": right["a"] * left["b"] + right["b"]}


@settings(max_examples=6)
@given(st.integers(0, 17), st.booleans(), st.integers(-2, 1))
def test_associative_scan_by_numpy(n, reverse, axis):
    """Any length, direction and axis: a loop over the elements gives the same."""
    shape = (n, 2) if axis in (0, -2) else (2, n)
    tree = {"a": RNG.uniform(0.5, 1.0, shape).astype(np.float32), "b": RNG.normal(size=shape).astype(np.float32)}
    with config.override("evaluator", "numpy"):
        ours = lax.associative_scan(lambda x, y: combined(Ours, x, y), tree, reverse, axis)
    parts = [{k: np.take(v, i, axis) for k, v in tree.items()} for i in range(n)]
    rows = list(itertools.accumulate(parts[::-1] if reverse else parts, lambda x, y: combined(None, x, y)))
    rows = rows[::-1] if reverse else rows
    expected = {k: np.stack([row[k] for row in rows], axis) if rows else tree[k] for k in tree}
    same(ours, expected)


def test_associative_scan():
    """Values and derivatives are JAX's; max and bool have no zero to be padded with."""
    def run(m, x):
        return m.lax.associative_scan(m.np.maximum, x), m.lax.associative_scan(
            m.np.logical_or, x > 0.5, reverse=True, axis=1), m.lax.associative_scan(
            lambda p, q: m.np.einsum("...ij,...jk->...ik", p, q), m.np.stack([x[:, :2], x[:, 1:]], 1))

    def both(m, x):
        return run(m, x), m.grad(lambda x: sum(y.sum() for y in run(m, x)[::2]))(x)

    same(minijax.jit(lambda x: both(Ours, x))(XS), jax.jit(lambda x: both(Theirs, x))(XS))


# ---- mistakes ----

def fine(carry, x):
    return carry, x


def test_lengths():
    """Lengths that differ name the leaves; a length that is not known or makes no sense says so."""
    with mistake(MinijaxValueError, "xs['a']: 4", "xs['b'][0]: 3", "one element for each step"):
        lax.scan(fine, 0.0, {"a": XS, "b": (H,)})
    with mistake(MinijaxValueError, "xs: 4", "length: 5"):
        lax.scan(fine, 0.0, XS, length=5)
    with mistake(MinijaxValueError, "neither xs nor length", "length=n"):
        lax.scan(fine, 0.0)
    with mistake(MinijaxValueError, "length is -1", "0 or more"):
        lax.scan(fine, 0.0, length=-1)
    with mistake(MinijaxTypeError, "length is 2.5", "not an int"):
        lax.scan(fine, 0.0, length=2.5)
    with mistake(MinijaxTypeError, "known when a program is traced"):
        minijax.jit(lambda n: lax.scan(fine, 0.0, length=n))(3)
    with mistake(MinijaxValueError, "xs[1] is a scalar of type ~f32[]", "no leading axis"):
        lax.scan(fine, 0.0, (XS, 1.0))
    with mistake(MinijaxValueError, "map", "xs[0]: 4", "xs[1]: 3"):
        lax.map(lambda x: x, [XS, H])
    with mistake(MinijaxValueError, "map: neither"):
        lax.map(lambda x: x, ())


def test_carries():
    """A carry that changes names the leaf, both types, the function and its line."""
    def widens(carry, x):
        return {"h": (carry["h"][0], jnp.concatenate([carry["h"][1], x]))}, None

    with mistake(MinijaxTypeError, "init['h'][1] is f32[3] when it goes", "f32[6] when it comes out of widens",
                 "test_scan.py", "the shapes differ", "Reshape"):
        lax.scan(widens, {"h": (H, H)}, XS)
    with mistake(MinijaxTypeError, "init is i32[]", "f32[]", "the dtypes differ"):
        lax.scan(lambda c, x: (c + x[0], None), np.int32(1), XS)
    with mistake(TreeError, "init", "<lambda>", "is one leaf in the first, but not in the second",
                 "keeps its structure"):
        lax.scan(lambda c, x: ((c, c), None), H, XS)
    with mistake(TreeError, "missing ['b']", "<lambda>"):
        lax.scan(lambda c, x: ({"a": c["a"]}, None), {"a": H, "b": H}, XS)


def test_functions():
    """What is no function, or returns no pair, or is called with what is no array."""
    with mistake(MinijaxTypeError, "scan: f is"):
        lax.scan(H, H, XS)
    with mistake(MinijaxTypeError, "<lambda>", "not a pair (carry, y)", "return carry, None"):
        lax.scan(lambda c, x: c, H, XS)
    with mistake(MinijaxTypeError, "not a pair (carry, y)"):
        lax.scan(lambda c, x: (c, x, x), H, XS)
    with mistake(MinijaxTypeError, "init['a']", "'text'"):
        lax.scan(fine, {"a": "text"}, XS)
    with mistake(MinijaxTypeError, "result[1]", "'text'"):
        lax.scan(lambda c, x: (c, "text"), H, XS)
    with mistake(MinijaxTypeError, "only_carry"):
        lax.scan(only_carry, H, XS)
    with mistake(MinijaxValueError, "unroll", "is 0", "1 or more"):
        lax.scan(fine, H, XS, unroll=0)
    with mistake(MinijaxTypeError, "unroll", "'all'"):
        lax.scan(fine, H, XS, unroll="all")
    with mistake(MinijaxValueError, "checkpoint", "is 0"):
        lax.scan(fine, H, XS, checkpoint=0)
    with mistake(MinijaxValueError, "batch_size is -2"):
        lax.map(lambda x: x, XS, batch_size=-2)


def only_carry(carry):
    return carry, None


def test_combining():
    """associative_scan names leaves of other sizes, and results of another structure or type."""
    with mistake(MinijaxTypeError, "associative_scan: fn is"):
        lax.associative_scan(1, XS)
    with mistake(MinijaxValueError, "elems[0]: 4", "elems[1]: 3"):
        lax.associative_scan(lambda x, y: x, (XS, H))
    with mistake(MinijaxValueError, "no leaves"):
        lax.associative_scan(lambda x, y: x, ())
    with mistake(MinijaxValueError, "axis 2 is out of bounds"):
        lax.associative_scan(jnp.add, XS, axis=2)
    with mistake(TreeError, "is one leaf in the first, but not in the second"):
        lax.associative_scan(lambda x, y: (x, y), XS)
    with mistake(MinijaxTypeError, "elems is f32[2,3] before", "f32[2] after", "<lambda>"):
        lax.associative_scan(lambda x, y: x.sum(1), XS)
