"""Reverse mode through while_loop: the gradients of the scan of as many steps, in bounded memory, with bounded work."""

import math

import jax
import numpy as np
import pytest
from error_checks import mistake
from hypothesis import given, settings, strategies as st

import minijax
from minijax import config, lax
from minijax import numpy as jnp
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir.op import Op, ops
from minijax.language import from_json, parse, to_json

X, A = np.linspace(0.1, 1.0, 3, dtype=np.float32), np.float32(1.1)
SLOTS = (1, 2, 3, 5, 16, 64)


def step(m, a, x):
    """One step, the same for both libraries."""
    return m.sin(a * x) + x * 0.3


def ours(slots):
    """The loop of n steps, as a function of its first state, a constant and n."""
    def loop(x, a, n):
        def body(carry):
            i, x = carry
            return i + 1, step(jnp, a, x)

        return jnp.sum(lax.while_loop(lambda carry: carry[0] < n, body, (0, x), checkpoint=slots)[1] ** 2)

    return loop


def theirs(longest):
    """JAX's scan of so many steps, of which only the first n do something."""
    def loop(x, a, n):
        def body(x, i):
            return jax.numpy.where(i < n, step(jax.numpy, a, x), x), None

        return jax.numpy.sum(jax.lax.scan(body, x, jax.numpy.arange(longest))[0] ** 2)

    return loop


def close(ours, theirs, rtol=1e-3):
    """Two trees of arrays agree."""
    for x, y in zip(minijax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-4)


# ---- gradients

exact = jax.jit(jax.value_and_grad(theirs(40), (0, 1)))


@pytest.mark.parametrize("slots", SLOTS)
def test_gradient_for_any_number_of_steps(slots):
    grad = minijax.jit(minijax.value_and_grad(ours(slots), (0, 1)))
    for n in (0, 1, 2, 3, 4, 5, 6, 9, 16, 17, 31, 40):
        close(grad(X, A, n), exact(X, A, n))


def test_vmap_with_other_numbers_of_steps():
    n, x = np.int32([0, 1, 4, 7]), np.stack([X * k for k in (0.5, 1.0, 1.5, 2.0)])

    def both(m, loop):
        grads = m.vmap(m.grad(loop, (0, 1)), (0, None, 0))
        return m.jit(lambda x, a: (grads(x, a, n), m.grad(
            lambda x, a: m.vmap(loop, (0, None, 0))(x, a, n).sum(), (0, 1))(x, a)))

    close(both(minijax, ours(3))(x, A), both(jax, theirs(8))(x, A))


@pytest.mark.parametrize("slots", [2, 64])
def test_second_order(slots):
    def all_of(m, loop):
        def run(a):
            def of(a):
                return loop(X, a, 5)

            first = m.grad(of)
            return (m.grad(first)(a), m.jvp(first, (a,), (a,))[1], m.linearize(of, a)[1](a),
                    m.grad(lambda a: m.jvp(of, (a,), (a,))[1])(a))

        return run

    with config.override("evaluator", "numpy"):
        found = all_of(minijax, ours(slots))(A)
    close(found, jax.jit(all_of(jax, theirs(5)))(A))


def test_second_order_under_vmap_and_jit():
    def second(m, loop):
        return m.jit(m.vmap(m.grad(lambda a, n: m.grad(loop, 1)(X, a, n)), (None, 0)))

    close(second(minijax, ours(3))(A, np.int32([0, 3, 6])), second(jax, theirs(6))(A, np.int32([0, 3, 6])))


def test_third_order():
    def third(m, loop):
        return m.grad(m.grad(m.grad(lambda a: loop(X[:1], a, 3))))

    with config.override("evaluator", "numpy"):
        found = third(minijax, ours(2))(A)
    close(found, third(jax, theirs(3))(A))


def test_eager_and_linearize():
    y, pull = minijax.vjp(lambda x: ours(3)(x, A, 7), X)
    close(pull(np.float32(1.0))[0], jax.grad(theirs(7))(X, A, 7))
    close(minijax.linearize(lambda x: ours(3)(x, A, 7), X)[1](X), jax.jvp(lambda x: theirs(7)(x, A, 7), (X,), (X,))[1])


@settings(max_examples=25)
@given(st.integers(0, 12), st.integers(1, 6), st.floats(0.3, 1.5))
def test_any_length_and_slots(n, slots, a):
    with config.override("evaluator", "numpy"):
        found = minijax.grad(ours(slots), (0, 1))(X, np.float32(a), n)
    x, dx, da = X.astype(np.float64), np.ones(3), np.zeros(3)
    for _ in range(n):
        slope = np.cos(a * x)
        x, dx, da = np.sin(a * x) + 0.3 * x, (a * slope + 0.3) * dx, (a * slope + 0.3) * da + x * slope
    np.testing.assert_allclose(found[0], 2 * x * dx, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], np.sum(2 * x * da), rtol=2e-3, atol=1e-4)


def test_in_64_bits():
    with jax.enable_x64(True), config.override("jax_enable_x64", True):
        x, a = X.astype(np.float64), np.float64(A)
        for slots in (3, 64):
            found = minijax.jit(minijax.grad(ours(slots), (0, 1)))(x, a, 9)
            close(found, jax.grad(theirs(9), (0, 1))(x, a, 9), rtol=1e-9)
        grad = minijax.grad(lambda x: jnp.sum(
            lax.scan(lambda c, _: (step(jnp, a, c), None), x, length=7, checkpoint=3)[0]))
        exact = jax.grad(lambda x: jax.numpy.sum(
            jax.lax.scan(lambda c, _: (step(jax.numpy, a, c), None), x, None, length=7)[0]))
        close(grad(x), exact(x), rtol=1e-9)


# ---- what a carry may be

def test_integers_keys_and_branches_in_the_carry():
    def loop(m, x, key, n):
        def body(carry):
            i, key, x, seen = carry
            key, own = m.random.split(key)
            noise = m.random.uniform(own, x.shape)
            x = m.lax.cond(i % 2 == 0, lambda x: x * noise, lambda x: m.numpy.sin(x), x)
            return i + 1, key, x, seen + (x[0] > 0.1)

        out = m.lax.while_loop(lambda c: c[0] < n, body, (m.numpy.int32(0), key, x, m.numpy.int32(0)))
        return m.numpy.sum(out[2]) * (1 + out[3])

    def unrolled(x, key, n):
        seen = 0
        for i in range(n):
            key, own = jax.random.split(key)
            noise = jax.random.uniform(own, x.shape)
            x = x * noise if i % 2 == 0 else jax.numpy.sin(x)
            seen = seen + (x[0] > 0.1)
        return jax.numpy.sum(x) * (1 + seen)

    close(minijax.jit(minijax.grad(lambda x: loop(minijax, x, minijax.random.key(0), 5)))(X),
          jax.grad(lambda x: unrolled(x, jax.random.key(0), 5))(X))


def test_a_predicate_that_depends_on_the_state():
    def loop(x, a):  # Newton's square root
        return lax.while_loop(lambda y: jnp.abs(y * y - x) > 1e-4 * x, lambda y: 0.5 * (y + x / y), a)

    close(minijax.vmap(minijax.grad(loop))(np.float32([2.0, 9.0, 50.0]), np.float32([1.0, 1.0, 1.0])),
          0.5 / np.sqrt([2.0, 9.0, 50.0]), rtol=1e-2)
    assert float(minijax.grad(lambda x: loop(x, x) * 0.0)(2.0)) == 0.0


def test_loops_in_loops_and_scans():
    def loop(m, while_loop, x):
        def inner(x, n):
            return while_loop(n, lambda x: m.sin(x) * 1.2, x)

        return m.sum(while_loop(3, lambda x: inner(x, 2) + 0.1, x))

    def ours_while(n, body, x):
        return lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, body(c[1])), (0, x), checkpoint=2)[1]

    def theirs_while(n, body, x):
        return jax.lax.scan(lambda x, _: (body(x), None), x, None, length=n)[0]

    exact = jax.grad(lambda x: loop(jax.numpy, theirs_while, x))(X)
    close(minijax.jit(minijax.grad(lambda x: loop(jnp, ours_while, x)))(X), exact)
    close(minijax.jit(minijax.grad(minijax.checkpoint(lambda x: loop(jnp, ours_while, x))))(X), exact)


def test_fori_loop_with_a_traced_bound():
    def loop(x, n):
        return jnp.sum(lax.fori_loop(0, n, lambda i, x: jnp.sin(x) * (1.0 + 0.1 * i), x))

    def unrolled(x):
        for i in range(4):
            x = jax.numpy.sin(x) * (1.0 + 0.1 * i)
        return jax.numpy.sum(x)

    close(minijax.jit(minijax.grad(loop))(X, 4), jax.grad(unrolled)(X))


def test_a_custom_rule_in_the_body():
    @minijax.custom_vjp
    def double(x):
        return 2.0 * x

    double.defvjp(lambda x: (2.0 * x, None), lambda _, ct: (3.0 * ct,))
    loop = minijax.grad(lambda x: lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, double(c[1])), (0, x))[1])
    assert float(loop(1.0)) == 27.0


# ---- scan with a bounded number of carries

@pytest.mark.parametrize("reverse", [False, True])
def test_scan_with_checkpoints(reverse):
    w, xs = np.float32([[0.3, 0.5, -0.2], [0.1, -0.4, 0.3], [0.6, 0.2, 0.1]]), np.linspace(-1, 1, 21).reshape(7, 3)

    def run(m, **more):
        def loss(w, h, xs):
            def body(carry, x):
                i, h = carry
                h = m.numpy.tanh(h @ w + x * (1 + i))
                return (i + 1, h), {"y": h * x, "i": i}

            (_, last), ys = m.lax.scan(body, (0, h), xs, reverse=reverse, **more)
            return m.numpy.sum(last) + m.numpy.sum(ys["y"] ** 2)

        def every(w, h, xs):
            grads = m.grad(loss, (0, 1, 2))
            first = loss(w, h, xs), grads(w, h, xs)
            return first if reverse else (*first, m.jvp(lambda w: loss(w, h, xs), (w,), (w,)),
                                          m.vmap(grads, (None, 0, None))(w, m.numpy.stack([h, -h]), xs),
                                          m.grad(lambda w: m.numpy.sum(grads(w, h, xs)[0] ** 2))(w))

        return m.jit(every)

    exact = run(jax)(w, X, xs.astype(np.float32))
    slots = 100 if reverse else 3
    close(run(minijax, checkpoint=slots)(w, X, xs.astype(np.float32)), exact)


def test_scan_of_no_steps():
    grad = minijax.grad(lambda x: jnp.sum(lax.scan(lambda c, _: (jnp.sin(c), None), x, length=0, checkpoint=2)[0]))
    close(grad(X), np.ones(3))


# ---- work and memory

SEEN = [0]


def counting(x):
    """The sine, counted."""
    SEEN[0] += 1
    return (np.sin(x),)


@pytest.fixture
def counted():
    """An op that counts how often it is evaluated."""
    op = Op("t_counted", type=lambda t: (t,), eval=counting, cost=lambda t: t.size, undeclared=("transpose",),
            batch=lambda size, args, axes: (op.bind(*args), axes),
            jvp=lambda primals, tangents: (op.bind(*primals), (tangents[0] * jnp.cos(primals[0]),)))
    with config.override("evaluator", "numpy"):
        yield lambda x: op.bind(x)[0]
    del ops[op.name]


def evaluations(function, x):
    """How often the op ran forward, and then backward; and the gradient."""
    SEEN[0] = 0
    y, pull = minijax.vjp(function, x)
    forward = SEEN[0]
    grad, = pull(np.ones_like(y))
    return forward, SEEN[0] - forward, float(grad)


def least_work(n, slots):
    """Griewank and Walther: forward steps, the first n - 1 included, that reversing n steps takes."""
    r = next(r for r in range(n + 1) if math.comb(slots + r, slots) >= n)
    return r * n - math.comb(slots + r, slots + 1)


@pytest.mark.parametrize("slots", SLOTS)
def test_steps_computed_again(slots, counted):
    for n in (0, 1, 2, 3, 5, 8, 13, 17, 40):
        forward, again, grad = evaluations(lambda x: lax.while_loop(
            lambda c: c[0] < n, lambda c: (c[0] + 1, counted(c[1])), (0, x), checkpoint=slots)[1], np.float32(0.7))
        assert forward == n and (again == 0 if n <= slots else again <= least_work(n, slots) + n), (n, again)
        scanned = evaluations(lambda x: lax.scan(lambda c, _: (counted(c), None), x, length=n, checkpoint=slots)[0],
                              np.float32(0.7))
        assert scanned == (n, max(least_work(n, slots) - (n - 1), 0) if n else 0, grad)
        x, exact = np.float32(0.7), 1.0
        for _ in range(n):
            x, exact = np.sin(x), exact * np.cos(x)
        assert grad == pytest.approx(exact, rel=1e-3)


def held(function, x):
    """Bytes of the arrays that a vjp function holds."""
    _, pull = minijax.vjp(function, x)
    return sum(np.asarray(value).nbytes for _, value, _ in pull.tape.captured.values())


def test_memory_depends_on_the_slots_alone():
    x = np.ones(100, np.float32)

    def loop(n, slots):
        return lambda x: lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, jnp.sin(c[1])), (0, x),
                                        checkpoint=slots)[1]

    assert held(loop(10, 4), x) == held(loop(1000, 4), x) <= 4 * (4 + 3) * (100 + 3)
    assert held(loop(10, 9), x) > held(loop(10, 4), x)
    rows = minijax.saved_residuals(loop(10, 4), jnp.asarray(x))
    assert sum(row.nbytes for row in rows) == held(loop(10, 4), jnp.asarray(x))


def test_xla_needs_no_memory_for_more_steps():
    def temporary(length):
        grad = minijax.jit(minijax.grad(lambda x: jnp.sum(lax.scan(
            lambda c, _: (jnp.sin(c), None), x, length=length, checkpoint=4)[0])))
        return grad.lower(np.ones(1000, np.float32)).compile().memory_analysis().temp_size_in_bytes

    assert temporary(1000) <= temporary(20) * 1.1 + 1000


def test_carries_that_the_derivative_does_not_need_are_not_kept():
    def loop(x):
        def body(carry):
            i, x, trace = carry
            return i + 1, x * 2.0, trace.at[i % 500].set(x[0])

        return jnp.sum(lax.while_loop(lambda c: c[0] < 3, body, (0, x, jnp.zeros(500)), checkpoint=8)[1])

    assert held(loop, X) < 500
    close(minijax.grad(loop)(X), np.full(3, 8.0))


# ---- the language, and errors

def test_programs_print_and_are_saved():
    program = minijax.make_jaxpr(minijax.grad(ours(5)))(X, A, 3)
    assert "checkpoint=5" in str(minijax.make_jaxpr(ours(5))(X, A, 3))
    assert "checkpoint" not in str(minijax.make_jaxpr(ours(64))(X, A, 3))
    for again in (parse(str(program)), from_json(to_json(program))):
        assert str(again) == str(program)


def test_errors():
    for wrong in (0, -1):
        with mistake(MinijaxValueError, "while_loop", f"checkpoint={wrong}", "1 or more", "test_reverse_while.py"):
            ours(wrong)(X, A, 3)
    for wrong in (2.5, True, "all"):
        with mistake(MinijaxTypeError, "while_loop", "checkpoint", repr(wrong)):
            ours(wrong)(X, A, 3)


def shrink(x, c, w):
    """A loop whose body is infinite or NaN at most values on which it does not run."""
    return lax.while_loop(lambda x: x > 1.0, lambda x: x - w * jnp.sqrt(x - 1.0) / c, x)


def test_stopped_rows_leave_no_trace_in_constants():
    """Rows that never run, and rows that have stopped, neither infect shared constants nor their own."""
    xs, cs, w = np.float32([9, 0.5, 4, 0.1]), np.float32([2, 0, 1, -1]), np.float32(0.9)
    for f in (lambda xs, cs, w: minijax.vmap(shrink, (0, 0, None))(xs, cs, w).sum(),
              lambda xs, cs, w: minijax.vmap(minijax.vmap(shrink, (0, 0, None)), (0, 0, None))(
                  xs.reshape(2, 2), cs.reshape(2, 2), w).sum()):
        found = minijax.grad(f, (0, 1, 2))(xs, cs, w)
        rows = [minijax.grad(shrink, (0, 1, 2))(x, c, w) for x, c in zip(xs, cs, strict=True)]
        for number, parts in enumerate(zip(*rows, strict=True)):
            wanted = np.stack(parts).sum() if number == 2 else np.stack(parts)
            np.testing.assert_allclose(found[number], wanted, rtol=1e-5)


def test_a_batch_of_no_rows():
    none = np.zeros((0,), np.float32)
    assert minijax.vmap(shrink, (0, 0, None))(none, none, 1.0).shape == (0,)
    assert minijax.grad(lambda w: minijax.vmap(shrink, (0, 0, None))(none, none, w).sum())(1.0) == 0
