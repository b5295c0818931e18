"""Branches and open loops against JAX: values, derivatives, batches, programs, and what is kept out of them."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import minijax
from minijax import config, lax
from minijax import numpy as jnp
from minijax.calls.cond import cond_p
from minijax.calls.while_loop import while_p
from minijax.inspect import trace_selects
from minijax.ir.passes import dce
from minijax.language import from_json, parse, to_json

X = np.float32([0.5, -1.5, 2.0])


def same(ours, theirs):
    """Two trees of arrays agree, dtypes included."""
    ours, theirs = minijax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.dtype == y.dtype and x.shape == y.shape, (x, y)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6)


class Ours:
    """What the functions below are written with: minijax."""

    lax, np = lax, jnp
    grad, vmap, jvp, jit, custom_vjp = minijax.grad, minijax.vmap, minijax.jvp, minijax.jit, minijax.custom_vjp
    random = minijax.random


class Theirs:
    """The same of JAX."""

    lax, np = jax.lax, jax.numpy
    grad, vmap, jvp, jit, custom_vjp = jax.grad, jax.vmap, jax.jvp, jax.jit, jax.custom_vjp
    random = jax.random


def branches(m, x, p):
    """Two branches with different non-linearities; one captures an outer value."""
    outer = m.np.cos(x)
    return m.lax.cond(p, lambda y: {"a": m.np.sin(y) * y, "b": outer}, lambda y: {"a": y, "b": m.np.exp(y) * 2.0}, x)


def switched(m, x, p):
    """Four branches; one does not depend on x smoothly, one gives it back."""
    return m.lax.switch(p, [lambda y: y * y, lambda y: y, lambda y: m.np.floor(y), lambda y: m.np.sin(y) * x], x)


def nested(m, x, p):
    """A cond in a while in a cond."""
    def loop(y):
        return m.lax.while_loop(lambda c: c[0] < 4,
                                lambda c: (c[0] + 1, m.lax.cond(c[0] % 2 == 0, m.np.sin, lambda z: z * 1.5, c[1])),
                                (0, y))

    return m.lax.cond(p, lambda y: loop(y)[1], lambda y: y * 2.0, x)


def total(m, function):
    """The sum over all results of a function: something to take the gradient of."""
    def scalar(x, p):
        return sum(leaf.sum() for leaf in jax.tree.leaves(function(m, x, p), is_leaf=lambda v: hasattr(v, "sum")))

    return scalar


PREDICATES = {branches: (True, False), switched: (0, 1, 2, 3, -5, 9)}


def each_way(m, function, x, p, q):
    """A function under the transforms and their compositions, as one tree; `q` holds three predicates."""
    scalar = total(m, function)

    def plain(x, p):
        return function(m, x, p)

    batch = m.np.stack([x, x * 0.5, x - 1.0])
    g = m.grad(scalar)
    return [plain(x, p), g(x, p), m.jvp(lambda x: plain(x, p), (x,), (x * 2.0,)),
            m.vmap(plain, (0, None))(batch, p), m.vmap(plain)(batch, q), m.vmap(plain, (None, 0))(x, q),
            m.vmap(g)(batch, q), m.vmap(g, (0, None))(batch, p), m.grad(lambda b: m.vmap(scalar)(b, q).sum())(batch),
            m.grad(lambda x: m.vmap(scalar, (None, 0))(x, q).sum())(x),
            m.grad(lambda x: (g(x, p) * x).sum())(x), m.jvp(lambda x: g(x, p), (x,), (x,)),
            m.vmap(m.grad(lambda x, p: (g(x, p) * x).sum()))(batch, q)]


@pytest.mark.parametrize("function", [branches, switched])
def test_every_composition(function):
    """cond and switch under jit, grad, vmap, jvp and two of them, for each predicate."""
    expected = jax.jit(lambda x, p, q: each_way(Theirs, function, x, p, q))
    compiled = minijax.jit(lambda x, p, q: each_way(Ours, function, x, p, q))
    for p in PREDICATES[function]:
        q = np.array([p, PREDICATES[function][0], PREDICATES[function][1]])
        theirs = expected(X, p, q)
        same(compiled(X, p, q), theirs)
        with config.override("evaluator", "numpy"):
            same(each_way(Ours, function, X, p, q), theirs)


def test_eager_calls():
    """Concrete predicates outside of jit: values, gradients, batches."""
    for p in (True, False):
        same(branches(Ours, X, p), branches(Theirs, X, p))
        same(minijax.grad(total(Ours, branches))(X, p), jax.grad(total(Theirs, branches))(X, p))
    same(minijax.vmap(lambda x: lax.cond(x > 0, jnp.sin, lambda x: x * 2.0, x))(X),
         jax.vmap(lambda x: jax.lax.cond(x > 0, jax.numpy.sin, lambda x: x * 2.0, x))(X))


# ---- loops ----

def doubling(m, x, n):
    """How often x doubles depends on x: a trip count for each example."""
    return m.lax.while_loop(lambda c: (c[1].sum() < 20.0) & (c[0] < n),
                            lambda c: (c[0] + 1, c[1] * 2.0 + m.np.sin(x), c[2]), (0, x, 3.0))[1:]


def counting(m, x, n):
    """The index of the loop is read, bounds are not known."""
    return m.lax.fori_loop(1, n, lambda i, c: (c[0] * m.np.cos(c[1]) + i, c[1] + x), (x, x * 2.0))


def loops_each_way(m, function, x, n, ns):
    """A loop under the transforms that need no reverse mode, as one tree."""
    def plain(x, n):
        return function(m, x, n)

    def derivative(x, n):
        return m.jvp(lambda x: plain(x, n), (x,), (m.np.cos(x),))

    batch = m.np.stack([x, x * 0.3, x + 7.0])
    return [plain(x, n), derivative(x, n), m.vmap(plain, (0, None))(batch, n), m.vmap(plain)(batch, ns),
            m.vmap(plain, (None, 0))(x, ns), m.vmap(derivative)(batch, ns),
            m.jvp(lambda b: m.vmap(plain)(b, ns), (batch,), (batch,)),
            m.jvp(lambda x: derivative(x, n)[1], (x,), (x * 0.5,))]


@pytest.mark.parametrize("function", [doubling, counting])
def test_loops(function):
    """while_loop and fori_loop of open length, zero trips included, under jit, jvp, vmap and two of them."""
    x = np.float32([0.5, 1.0])
    expected = jax.jit(lambda x, n, ns: loops_each_way(Theirs, function, x, n, ns))
    compiled = minijax.jit(lambda x, n, ns: loops_each_way(Ours, function, x, n, ns))
    for n in (0, 1, 5):
        ns = np.int32([n, 3, 0])
        theirs = expected(x, n, ns)
        same(compiled(x, n, ns), theirs)
        with config.override("evaluator", "numpy"):
            same(loops_each_way(Ours, function, x, n, ns), theirs)


def test_nested():
    """A cond in a while in a cond, under jvp and vmap."""
    def both(m):
        return m.jit(lambda x, p, q: [m.jvp(lambda x: nested(m, x, p), (x,), (x,)),
                                      m.vmap(lambda x, p: nested(m, x, p))(m.np.stack([x, x]), q)])

    same(both(Ours)(X, True, np.array([True, False])), both(Theirs)(X, True, np.array([True, False])))


def test_fori_loop_of_known_length_is_a_scan():
    """Its reverse mode works; unroll, no steps, and bounds of other types."""
    def f(m, x):
        return m.lax.fori_loop(2, 5, lambda i, y: m.np.sin(y) * i, x, unroll=2).sum()

    same(minijax.grad(lambda x: f(Ours, x))(X), jax.grad(lambda x: f(Theirs, x))(X))
    assert "scan" in str(minijax.make_jaxpr(lambda x: f(Ours, x))(X))
    assert lax.fori_loop(5, 2, lambda i, y: y * i, 7) == 7
    for lower, upper in ((0, np.int8(3)), (np.int16(0), 3), (np.int32(0), np.int32(3))):
        same(lax.fori_loop(lower, upper, lambda i, y: y + 1, 0), jax.lax.fori_loop(lower, upper, lambda i, y: y + 1, 0))
        same(minijax.jit(lambda a, b: lax.fori_loop(a, b, lambda i, y: y + 1, 0))(lower, upper), np.int32(3))
    same(minijax.jit(lambda n: lax.fori_loop(0, n, lambda i, y: y + i, np.int8(0)))(3), np.int8(3))


def test_carries_settle():
    """A weakly typed carry takes the type that the body gives it."""
    for body, init in ((lambda x: x * 2.0, 1), (lambda x: x * np.float32(2), 1.0), (lambda x: x * 2, np.float32(1)),
                       (lambda x: x + np.int8(1), 1), (lambda x: x * 2, 1)):
        ours, theirs = (m.lax.while_loop(lambda x: x < 10, body, init) for m in (Ours, Theirs))
        same(ours, theirs)
        assert ours.weak_type == theirs.weak_type
    ours, theirs = (m.lax.cond(True, lambda: 1, lambda: np.int32(2)) for m in (Ours, Theirs))
    assert ours.weak_type == theirs.weak_type is False
    assert lax.cond(True, lambda: 1, lambda: 2).weak_type


# ---- what is chosen, what is run ----

def test_forms():
    """One operand by name, operands of each branch, numbers as predicates, no operands, one branch."""
    for p in (True, 0, 2.0, np.float32(0), np.int8(1)):
        same(lax.cond(p, 1.0, lambda x: x + 1, 2.0, lambda x: x * 2), jax.lax.cond(p, 1.0, lambda x: x + 1, 2.0,
                                                                                   lambda x: x * 2))
        same(lax.cond(p, jnp.sin, jnp.cos, operand=3.0), jax.lax.cond(p, jax.numpy.sin, jax.numpy.cos, operand=3.0))
    assert lax.cond(False, lambda x: x, lambda x: None, operand=None) is None
    assert lax.switch(3, [lambda: 5]) == 5
    assert lax.switch(np.uint8(200), (lambda: 5, lambda: 6)) == 6
    keys = minijax.random.split(minijax.random.key(0), 2)
    chosen = lax.cond(True, lambda k: k[1], lambda k: k[0], keys)
    assert (minijax.random.key_data(chosen) == minijax.random.key_data(keys[1])).all()


def test_known_predicates_run_one_branch():
    """Under grad and jvp a concrete predicate leaves one branch; only that is compiled eagerly."""
    def f(x, p=True):
        return lax.cond(p, lambda x: jnp.sin(x), lambda x: jnp.tan(x), x)

    assert "tan" not in str(minijax.make_jaxpr(minijax.grad(f))(1.0))
    assert "tan" not in str(minijax.make_jaxpr(lambda x: minijax.jvp(f, (x,), (x,)))(1.0))
    assert "tan" in str(minijax.make_jaxpr(minijax.grad(f))(1.0, True))


def test_no_nan_from_the_other_branch():
    """A branch that is not taken reaches no gradient, though it divides by zero."""
    def f(m, q, x):
        return m.lax.cond(x > 0, lambda: q * m.np.log(x), lambda: 0.0 * x)

    x = np.float32([0.0, 1.0, 2.0])

    def all_ways(m):
        return m.jit(lambda q, x: [
            m.grad(lambda q, x: m.vmap(lambda x: f(m, q, x))(x).sum())(q, x),
            m.grad(lambda x, q: m.vmap(lambda x: f(m, q, x))(x).sum())(x, q),
            m.vmap(m.grad(lambda x: f(m, q, x)))(x),
            m.grad(lambda x: m.vmap(m.grad(lambda x: f(m, q, x)))(x).sum())(x)])

    ours = all_ways(Ours)(1.5, x)
    assert all(np.isfinite(leaf).all() for leaf in ours)
    same(ours, all_ways(Theirs)(1.5, x))


def test_a_batched_predicate_says_what_it_costs():
    """A hook is told the line and the costs of the branches; an unbatched predicate stays a cond."""
    told = []

    def f(p, x):
        return lax.cond(p, lambda x: x @ x, lambda x: x, x)

    m = np.ones((2, 5, 5), np.float32)
    with trace_selects(lambda source, costs: told.append((source, costs))):
        assert "cond" in str(minijax.make_jaxpr(minijax.vmap(f, (None, 0)))(True, m))
        assert not told
        program = minijax.make_jaxpr(minijax.vmap(f))(np.array([True, False]), m)
    (source, costs), = told
    assert "cond" not in str(program) and source.file == __file__ and costs == (0, 2 * 5 ** 3)


def test_selects_are_printed(capsys):
    """Without a hook of one's own the report is printed."""
    with trace_selects():
        minijax.vmap(lambda x: lax.cond(x > 0, jnp.sin, jnp.cos, x))(X)
    assert "all 2 branches" in capsys.readouterr().out


def test_disable_jit_runs_python():
    """Without jit the functions run as Python, and trace what they must."""
    seen = []

    def note(x):
        seen.append(type(x))
        return x

    with config.override("jax_disable_jit", True):
        lax.cond(True, lambda: note(1), lambda: note("never"))
        lax.switch(9, [lambda: note("never"), lambda: note(2)])
        assert lax.while_loop(lambda x: x < 3, lambda x: note(x) + 1, 0) == 3
        assert lax.fori_loop(0, 2, lambda i, x: note(x) + i, 0) == 1
        assert seen == [int] * 7
        same(minijax.vmap(lambda n: lax.while_loop(lambda x: x < n, lambda x: x + 2, 0))(np.int32([1, 4])),
             np.int32([2, 4]))


# ---- programs ----

def both_programs():
    """A program with cond and while, nested, that prints weak types, bools and captured values."""
    def f(x, p, n):
        y = lax.switch(n, [lambda: x.sum(), lambda: lax.cond(p, lambda: x[0], lambda: x[1] * n), lambda: 2.0 * x[0]])
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * y), (0, x))

    return minijax.make_jaxpr(f)(X, True, 2)


def test_programs_are_text_and_json():
    """Held programs in tuples print, parse and are saved; what is read runs."""
    program = both_programs()
    text = str(program)
    assert text.count("cond[") == 2 and text.count("while[") == 1 and "branches=(" in text
    for again in (parse(text), from_json(to_json(program))):
        assert str(again) == text
        same(run(again, X, True, 2), run(program, X, True, 2))


def run(program, *args):
    """Evaluate a program with NumPy."""
    from_program = minijax.interpreters.evaluate.run_program
    with config.override("evaluator", "numpy"):
        return from_program(program, *args)


def test_dead_code():
    """Results that nobody reads go from every branch and from the carry, with what only they need."""
    def f(x, p):
        a, _ = lax.cond(p, lambda x: (x["a"] * 2.0, jnp.sin(x["b"])), lambda x: (x["a"], x["c"]), x)
        i, y, _ = lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * a, c[2] + jnp.exp(c[1])), (0, a, a))
        return y

    program = dce(minijax.make_jaxpr(f)({"a": X, "b": X, "c": X}, True))
    cond, loop = (next(eqn for eqn in program.eqns if eqn.op is op) for op in (cond_p, while_p))
    assert len(cond.inputs) == 2 and len(cond.outvars) == 1 and len(loop.outvars) == 2
    assert "sin" not in str(program) and "exp" not in str(program)
    assert dce(program) is program


def test_residuals_share_slots():
    """Two branches with residuals of one type use one slot; inputs and results are not saved again."""
    def f(x, p):
        return lax.cond(p, lambda x: jnp.sin(x), lambda x: jnp.exp(jnp.tanh(x)) * x, x).sum()

    program = minijax.make_jaxpr(minijax.grad(f))(X, True)
    known = next(eqn for eqn in program.eqns if eqn.op is cond_p)
    assert len(known.outvars) <= 4


def test_the_same_hlo():
    """A cond of two branches and a switch of three are what jax.lax makes of them."""
    def text(m, function, *args):
        return m.jit(lambda *xs: function(m, *xs)).lower(*args).as_text().replace("call", "lambda")

    def two(m, p, x):
        return m.lax.cond(p, lambda x: x + 1, lambda x: x * 2, x)

    def three(m, i, x):
        return m.lax.switch(i, [lambda x: x + 1, lambda x: x * 2, lambda x: x], x)

    def loop(m, i, x):
        return m.lax.while_loop(lambda c: c[0] < i, lambda c: (c[0] + 1, c[1] * 2), (0, x))

    for function, first in ((two, True), (three, 1), (loop, 3)):
        ours, theirs = text(Ours, function, first, X), text(Theirs, function, first, X)
        lines = [[line for line in each.splitlines() if "@" not in line] for each in (ours, theirs)]
        assert lines[0] == lines[1], ours


def test_cost():
    """A cond costs its dearest branch, a while one round."""
    def f(x, p):
        return lax.cond(p, lambda x: x * 2.0 + 1.0, lambda x: x, x)

    eqn, = minijax.make_jaxpr(f)(X, True).eqns
    assert eqn.op.cost(*[a.type for a in eqn.inputs], **eqn.params) == 6
    eqn, = minijax.make_jaxpr(lambda x: lax.while_loop(lambda c: c[0] < 3.0, lambda c: c * 2.0, x))(X).eqns
    assert while_p.cost(**eqn.params) == 4


def test_loops_are_traced_once():
    """Functions that are called again with the same types are not traced again."""
    traces = []

    def body(i, x):
        traces.append(i)
        return x * 2.0

    for n in (2, 3):
        lax.fori_loop(0, 2, body, 1.0)
    assert len(traces) == 1
    for n in (2, 3):
        minijax.jit(lambda n: lax.fori_loop(0, n, body, 1.0))(n)
    assert len(traces) == 2


# ---- together with the rest ----

def with_rule(m, x):
    """A sine whose reverse rule says ten times its argument."""
    f = m.custom_vjp(lambda x: m.np.sin(x))
    f.defvjp(lambda x: (m.np.sin(x), x), lambda x, ct: (ct * 10.0 * x,))
    return f(x)


def test_custom_rules_in_branches():
    """The rule is used in the branch that is taken, under jit, vmap and in a scan."""
    def each(m):
        def f(x, p):
            return m.lax.cond(p, lambda x: with_rule(m, x), m.np.cos, x).sum()

        def steps(x):
            def step(a, b):
                return m.lax.cond(b > 0, lambda a: with_rule(m, a), m.np.cos, a), a

            return m.lax.scan(step, x, X)[0].sum()

        return m.jit(lambda x, p: [m.grad(f)(x, p), m.vmap(m.grad(f))(x, x > 0), m.grad(steps)(x),
                                   m.grad(lambda x: m.vmap(f)(x, x > 0).sum())(x)])

    for p in (True, False):
        same(each(Ours)(X, p), each(Theirs)(X, p))


def test_keys_go_through():
    """Typed keys are operands, results, carries and residuals."""
    def each(m):
        def branch(p, k, x):
            return m.lax.cond(p, lambda k, x: m.np.sin(x) * m.random.normal(m.random.split(k)[1]),
                              lambda k, x: x * m.random.normal(k), k, x)

        def loop(n, k):
            return m.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, m.random.split(c[1])[0],
                                                                   m.random.normal(c[1])), (0, k, 0.0))[2]

        p, n = np.array([True, False]), np.int32([1, 3])
        return m.jit(lambda k: [m.vmap(branch, (0, None, None))(p, k, 1.5), m.grad(branch, 2)(n[0] == 1, k, 1.5),
                                m.vmap(m.grad(branch, 2))(p, m.random.split(k), X[:2]), m.vmap(loop, (0, None))(n, k)])

    ours = each(Ours)(minijax.random.key(0))
    same([x.astype(float) for x in ours], [x.astype(float) for x in each(Theirs)(jax.random.key(0))])


def test_effects_happen_where_they_should(capfd):
    """A print in a branch or a body: once for each time it runs, also under grad, and in dead branches of vmap."""
    def branch(x):
        return lax.cond(x > 0, lambda x: (minijax.debug.print("branch {}", x), x)[1], lambda x: x, x)

    def loop(x):
        return lax.while_loop(lambda x: x < 3, lambda x: (minijax.debug.print("body {}", x), x + 1)[1], x)

    minijax.jit(lambda x: (branch(x), branch(-x), loop(x), lax.cond(x > 0, lambda: minijax.debug.print("only"),
                                                                    lambda: None)))(1.0)
    minijax.jit(minijax.grad(branch))(2.0)
    minijax.effects_barrier()
    out = capfd.readouterr().out
    assert sorted(out.split()) == sorted("branch 1.0 body 1.0 body 2.0 only branch 2.0".split())


def test_64_bits():
    """Indices, counters and bounds of 64 bits."""
    with minijax.enable_x64(True), jax.enable_x64(True):
        for f in (lambda m: m.lax.switch(np.int64(1), [lambda: 1, lambda: 2]),
                  lambda m: m.lax.fori_loop(0, 3, lambda i, x: x + i, 0),
                  lambda m: m.jit(lambda n: m.lax.fori_loop(0, n, lambda i, x: x + i, np.int32(0)))(3),
                  lambda m: m.grad(lambda x: m.lax.cond(x > 0, m.np.sin, m.np.cos, x))(1.0)):
            same(f(Ours), f(Theirs))


def test_inside_jax():
    """Eager calls on values that JAX traces: every branch is compiled."""
    def f(p, x):
        return lax.cond(p, lambda x: 2.0 * x, lambda x: x, x).value

    def g(p, x):
        return minijax.grad(lambda x: lax.cond(p, lambda x: x * x, lambda x: x, x).sum())(x).value

    for ours, theirs in ((f, (2.0 * X, X)), (g, (2.0 * X, np.ones_like(X)))):
        same([jax.jit(ours)(True, X), jax.jit(ours)(False, X)], theirs)
        same(jax.vmap(ours, (0, None))(np.array([True, False]), X), np.stack(theirs))
    same(jax.jit(lambda x: lax.while_loop(lambda x: x.sum() < 10, lambda x: x * 2, x).value)(X), 16.0 * X)


# ---- random programs ----

OPS = (lambda m, x, y: x * y, lambda m, x, y: m.np.sin(x) + y, lambda m, x, y: x / (2.0 + y * y), lambda m, x, y: x)


def random_program(m, steps, x, y, p):
    """Straight-line code of conds and short loops, as `steps` say."""
    for kind, first, second, swap in steps:
        f, g = OPS[first], OPS[second]
        a, b = (y, x) if swap else (x, y)
        if kind == 0:
            x, y = b, m.lax.cond(a.sum() > p, lambda a, b: f(m, a, b), lambda a, b: g(m, b, a), a, b)
        elif kind == 1:
            y = m.lax.switch((a[0] * 2).astype("int32"), [lambda: f(m, a, b), lambda: g(m, a, b), lambda: b])
        else:
            x, y, _ = m.lax.while_loop(lambda c: c[2] < second, lambda c: (f(m, c[0], c[1]), c[0] * 0.5, c[2] + 1),
                                       (a, b, 0))
    return x, y


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3), st.booleans()), min_size=1,
                max_size=3), st.sampled_from([-1.0, 0.3]))
def test_random_programs(steps, p):
    """Values, jvp, vmap and vmap of jvp of random programs."""
    y = np.float32([1.0, 0.25, -0.5])

    def each(m):
        def f(x, y, p):
            return random_program(m, steps, x, y, p)

        def df(x, y, p):
            return m.jvp(lambda x, y: f(x, y, p), (x, y), (y, x))

        return df(X, y, p), m.vmap(df, (0, None, 0))(np.stack([X, y, X * 2]), y, np.float32([p, 0.0, 1.0]))

    theirs = jax.jit(lambda: each(Theirs))()
    with config.override("evaluator", "numpy"):
        same(each(Ours), theirs)


def test_weak_carries_stay_weak_inside():
    """A carry whose weakness alone the body changes goes into the body weak, as in JAX; the result is the body's."""
    def ours_and_theirs(run):
        return [run(lax, minijax.jit), run(jax.lax, jax.jit)]

    def body(c):
        return c[0] + np.float32(1), c[1] * c[0]

    for run in (lambda lax, jit: lax.while_loop(lambda c: c[0] < 4.0, body, (1.0, np.float16(1))),
                lambda lax, jit: jit(lambda n: lax.fori_loop(0, n, lambda i, c: body(c), (1.0, np.float16(1))))(3),
                lambda lax, jit: lax.while_loop(lambda c: c[0] < 9.0, lambda c: (c[1] * 2, body(c)[0]), (1.0, 2.0))):
        for x, y in zip(*ours_and_theirs(run), strict=True):
            assert (x.dtype, x.weak_type) == (y.dtype, y.weak_type) and x == y
