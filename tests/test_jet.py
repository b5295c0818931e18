"""Taylor mode against repeated forward mode, for every op and through ops that hold programs; and against JAX's."""

import importlib
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet as jax_jet

import minijax
import minijax.numpy as mnp
import tests.cases
from minijax import config, jet, laplacian, lax
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.dual import instantiate, jvp_flat
from minijax.ir.types import zero
from minijax.tracing.array import typeof
from tests.op_checks import tangents_of, widened

ORDER = 3
CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


def along(f, xs, directions):
    """f along the curve x(t) = x + t v + t^2 v / 2, as a function of t."""
    return lambda t: f(*[x if v is zero else x + t * v + t * t * v / 2 for x, v in zip(xs, directions, strict=True)])


def repeated(f, t, order):
    """Values and derivatives of the results of f(t), by forward mode of forward mode."""
    if order == 0:
        return [[y] for y in f(t)]

    def slope(t):
        outs, tangents = jvp_flat(f, [t], [np.ones_like(t)])
        return [instantiate(s, y) for s, y in zip(tangents, outs, strict=True) if typeof(y).differentiable]

    return [[y, *rest] for y, rest in zip([y for y in f(t) if typeof(y).differentiable],
                                          repeated(slope, t, order - 1), strict=True)]


def chosen():
    """For each op, the first case with derivatives, and one more."""
    seen = {}
    for case in CASES:
        narrow = any(typeof(x).dtype.itemsize < 4 for x in case.args if typeof(x).differentiable)
        if case.smooth and not narrow and any(t is not zero for t in tangents_of(case)):
            seen.setdefault(case.op, []).append(case)
    return [case for found in seen.values() for case in found[:2]]


@pytest.mark.parametrize("case", chosen(), ids=str)
def test_every_op(case):
    with config.override("evaluator", "numpy"), config.override("jax_enable_x64", True), np.errstate(all="ignore"):
        xs = [widened(x) for x in case.args]
        directions = [zero if t is zero else widened(t) for t in tangents_of(case)]

        def f(*xs):
            return [y for y in case.op.bind(*xs, **case.params) if typeof(y).differentiable]

        numbers = [i for i, v in enumerate(directions) if v is not zero]
        expected = repeated(along(f, xs, directions), np.float64(0), ORDER)

        def of_some(*some):
            return f(*[dict(zip(numbers, some, strict=True)).get(i, x) for i, x in enumerate(xs)])

        values, series = jet(of_some, [xs[i] for i in numbers],
                             [[directions[i], directions[i], 0 * directions[i]] for i in numbers])
        for value, terms, wanted in zip(values, series, expected, strict=True):
            for k, (mine, other) in enumerate(zip([value, *terms], wanted, strict=True)):
                np.testing.assert_allclose(np.asarray(mine), np.asarray(other), rtol=1e-6, atol=1e-6 * 10**k)


def test_a_planted_wrong_rule_is_caught(monkeypatch):
    case = next(case for case in chosen() if case.op.name == "exp")
    rule = minijax.taylor.trace.rules[case.op]
    monkeypatch.setitem(minijax.taylor.trace.rules, case.op,
                        lambda x, **params: [[*rule(x, **params)[0][:-1], rule(x, **params)[0][-1] * 1.01]])
    with pytest.raises(AssertionError):
        test_every_op(case)


def same(ours, theirs, rtol=1e-4):
    for mine, other in zip(jax.tree.leaves(jax.tree.map(np.asarray, ours)), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(mine, np.asarray(other), rtol=rtol, atol=1e-4)


X = np.float32([0.3, 0.8, -0.4])
TERMS = [np.float32([1, -1, 2]), np.float32([0.5, 0, 1]), np.float32([0, 1, -1])]


@pytest.mark.parametrize("factorial_scaled", [True, False])
def test_both_conventions_are_jax_s(factorial_scaled):
    def f(np_, x, y):
        return {"a": np_.sin(x) * np_.exp(y), "b": (np_.log1p(x * x) / (1 + y), np_.sum(np_.tanh(x @ x)))}

    args = (X, 2 * X), (TERMS, TERMS[::-1])
    ours = jet(lambda x, y: f(mnp, x, y), *args, factorial_scaled=factorial_scaled)
    same(ours, jax.jit(lambda: jax_jet(lambda x, y: f(jnp, x, y), *args, factorial_scaled=factorial_scaled))())


def test_pytrees_integers_and_constants():
    value, terms = jet(lambda d: (d["x"] * d["n"], 7.0), ({"x": 2.0, "n": 3},), ([{"x": 1.0, "n": 0}] * 2,))
    same(value, (6.0, 7.0))
    same(terms, ([3.0, 3.0], [0.0, 0.0]))


PROGRAMS = {
    "jit": lambda x: minijax.jit(lambda y: mnp.sin(y) * y)(x),
    "checkpoint": lambda x: minijax.checkpoint(lambda y: mnp.exp(mnp.sin(y)))(x),
    "cond": lambda x: lax.cond(x[0] > 0, lambda y: y * y, mnp.sin, x),
    "traced cond": lambda x: minijax.jit(lambda y: lax.cond(y[0] > 0, lambda z: z * z, mnp.sin, y))(x),
    "scan": lambda x: lax.scan(lambda c, y: (mnp.sin(c) * y, c * c), x[0], x),
    "scan of integers": lambda x: lax.scan(lambda c, n: ((c[0] * n, c[1] + 1), c[0]), (x, 0), np.arange(1.0, 3)),
    "while": lambda x: lax.while_loop(lambda c: c[1] < 3, lambda c: (mnp.sin(c[0]) * x, c[1] + 1), (x, 0))[0],
    "fori": lambda x: lax.fori_loop(0, 3, lambda i, y: y * mnp.cos(y), x),
    "grad": lambda x: minijax.grad(lambda y: mnp.sum(mnp.sin(y) ** 3))(x),
    "vmap": lambda x: minijax.vmap(lambda y: y * mnp.exp(y))(x),
    "linear algebra": lambda x: mnp.linalg.norm(lax.linalg.cholesky(mnp.outer(x, x) + 3 * mnp.eye(3)) @ x),
    "custom_jvp": lambda x: tripled(x) * x,
    "custom_vjp": lambda x: backward_only(x) * x,
    "sort": lambda x: mnp.sort(x ** 2) * mnp.arange(3.0),
}


@minijax.custom_jvp
def tripled(x):
    return mnp.sin(x)


tripled.defjvp(lambda primals, tangents: (tripled(*primals), 3 * mnp.cos(primals[0]) * tangents[0]))


@minijax.custom_vjp
def backward_only(x):
    return mnp.sin(x)


backward_only.defvjp(lambda x: (mnp.sin(x), x), lambda x, ct: (mnp.cos(x) * ct,))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("staged", [False, True])
def test_programs(name, staged):
    f = (lambda x: mnp.sin(x) * x) if name == "custom_vjp" else PROGRAMS[name]
    with config.override("evaluator", "numpy"):
        g = along(lambda x: minijax.tree.leaves(f(x)), [X], [TERMS[0]])
        expected = repeated(g, np.float32(0), 3)
        run = minijax.make_jaxpr(PROGRAMS[name])(X) if staged else None
        function = PROGRAMS[name] if run is None else lambda x: minijax.interpreters.evaluate.run_program(run, x)
        value, terms = jet(function, (X,), ([TERMS[0], TERMS[0], 0 * X],))
    values = [v for v in minijax.tree.leaves(value) if np.asarray(v).dtype.kind == "f"]
    series = [t for v, t in zip(minijax.tree.leaves(value), rows(terms, value), strict=True)
              if np.asarray(v).dtype.kind == "f"]
    for v, t, wanted in zip(values, series, expected, strict=True):
        same([v, *t], wanted, 2e-3)


def rows(terms, value):
    """The list of terms of each leaf."""
    leaves, count = minijax.tree.leaves(terms), 3
    return [leaves[i * count:(i + 1) * count] for i in range(len(minijax.tree.leaves(value)))]


def test_under_other_transformations():
    def third(x):
        return jet(lambda y: mnp.sin(y) * y, (x,), ([1.0, 0.0, 0.0],))[1][2]

    def jax_third(x):
        return jax.grad(jax.grad(jax.grad(lambda y: jnp.sin(y) * y)))(x)

    same(minijax.jit(third)(0.7), jax_third(0.7))
    same(minijax.vmap(third)(X), jax.vmap(jax_third)(X))
    same(minijax.grad(third)(0.7), jax.grad(jax_third)(0.7))
    same(minijax.vmap(minijax.grad(third))(X), jax.vmap(jax.grad(jax_third))(X))


@pytest.mark.parametrize("f", [mnp.abs, lambda x: mnp.maximum(x, 0 * x), lambda x: mnp.clip(x, 0.0, 1.0),
                               lambda x: x ** 2.0, lambda x: x ** 3, lambda x: mnp.where(x > 0, x, 2 * x)])
def test_kinks_are_those_of_forward_mode(f):
    x = np.float32([0.0, 1.0])
    with config.override("evaluator", "numpy"):
        expected, = repeated(along(lambda y: [f(y)], [x], [np.ones(2, np.float32)]), np.float32(0), 2)
        value, terms = jet(f, (x,), ([np.ones(2, np.float32)] * 2,))
    same([value, *terms], expected)


def test_a_series_costs_a_polynomial_of_its_order():
    def count(order):
        def f(x):
            return jet(lambda y: mnp.arctan(mnp.sin(mnp.exp(y))), (x,), ([1.0] + [0.0] * (order - 1),))

        return len(minijax.make_jaxpr(f)(0.5).eqns)

    assert count(8) < 12 * count(4)  # a power of two would be 16 times as many


def test_laplacian():
    a = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)

    def f(np_, x):
        return np_.sum(np_.tanh(a @ x["p"]) ** 2) * x["q"], np_.sin(x["p"])

    x = {"p": np.float32([0.1, -0.2, 0.3, 0.5]), "q": np.float32(1.5)}
    hessian = jax.hessian(lambda x: f(jnp, x))(x)
    expected = [np.trace(h["p"]["p"], axis1=-2, axis2=-1) + h["q"]["q"] for h in hessian]
    same(minijax.laplacian(lambda x: f(mnp, x))(x), expected)
    same(minijax.jit(laplacian(lambda c, x: f(mnp, x)[0] * c, argnums=1))(2.0, x), 2 * expected[0])


@pytest.mark.parametrize("call, error, text", [
    (lambda: jet(mnp.sin, (1.0,), ([1.0], [1.0])), MinijaxValueError, "1 arguments have series of lengths"),
    (lambda: jet(mnp.add, (1.0, 2.0), ([1.0], [1.0, 2.0])), MinijaxValueError, r"lengths \[1, 2\]"),
    (lambda: jet(mnp.sin, (1.0,), (1.0,)), MinijaxTypeError, "jet takes a tuple of primals"),
    (lambda: jet(mnp.sin, (X,), ([1.0],)), MinijaxTypeError, r"coefficient 1 of an argument is ~f32\[\]"),
    (lambda: jet(lambda x: "text", (1.0,), ([1.0],)), MinijaxTypeError, "returned 'text'"),
    (lambda: laplacian(mnp.sum)(np.arange(3)), MinijaxTypeError, "laplacian of sum: argument 0 holds"),
    (lambda: minijax.jit(lambda y: jet(lambda x: float(x), (y,), ([1.0],)))(1.0), MinijaxTypeError, "float"),
])
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()
