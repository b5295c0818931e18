"""Kinks and conventions are JAX's; complex derivatives, integer leaves and other leaves without derivative too."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import minijax
import minijax.numpy as mnp
from minijax import config
from minijax.errors import MinijaxTypeError
from minijax.kinks import CONVENTIONS, namespaces

JAX = types.SimpleNamespace(grad=jax.grad, jvp=jax.jvp, vjp=jax.vjp, vmap=jax.vmap, numpy=jnp, lax=jax.lax, nn=jax.nn)

ALONE = {"integers", "conversions"}  # as constants, XLA dies of the first and NumPy converts the second


def test_table_is_jax_s():
    with config.override("evaluator", "numpy"), np.errstate(all="ignore"):
        ours = [each.evaluate(namespaces) for each in CONVENTIONS]
        compiled = iter(jax.jit(lambda: [each.evaluate(JAX) for each in CONVENTIONS if each.topic not in ALONE])())
        theirs = [each.evaluate(JAX) if each.topic in ALONE else next(compiled) for each in CONVENTIONS]
    for each, mine, other in zip(CONVENTIONS, ours, theirs, strict=True):
        mine, other = np.asarray(mine), np.asarray(other)
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype), each.expression
        np.testing.assert_allclose(mine, other, rtol=1e-6, err_msg=each.expression)


def test_table_is_printed(capsys):
    with config.override("evaluator", "numpy"):
        minijax.conventions()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(CONVENTIONS)
    assert any(line.split() == ["ties", "of", "two", "grad(maximum)(2.,", "2.)", "0.5"] for line in lines)
    assert all(len(line) < 120 for line in lines)


# ---- complex derivatives

Z = np.complex64([0.3 + 0.4j, -1 + 0.5j])


def same(ours, theirs):
    ours, theirs = jax.tree.leaves(jax.tree.map(np.asarray, ours)), jax.tree.leaves(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.dtype == other.dtype and mine.shape == other.shape
        if mine.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transform", ["jacfwd", "jacrev"])
def test_holomorphic_jacobians(transform):
    def f(np_, z):
        return np_.sin(z) * z[::-1], np_.exp(z[0] * z[1])

    with config.override("evaluator", "numpy"):
        ours = getattr(minijax, transform)(lambda z: f(mnp, z), holomorphic=True)(Z)
    same(ours, jax.jit(getattr(jax, transform)(lambda z: f(jnp, z), holomorphic=True))(Z))


def test_holomorphic_gradients_to_second_order():
    def value(np_):
        return lambda z: np_.sin(z) ** 2 / (1 + z)

    for z in Z:
        same(minijax.grad(value(mnp), holomorphic=True)(z), jax.grad(value(jnp), holomorphic=True)(z))
        twice = [m.grad(m.grad(value(n), holomorphic=True), holomorphic=True) for m, n in ((minijax, mnp), (jax, jnp))]
        same(*[f(z) for f in twice])


def test_real_functions_of_complex_numbers():
    def f(np_, z, w):
        return np_.sum(np_.abs(z * w) ** 2) + np_.real(z[0] * np_.conj(w[1])) - np_.sum(np_.imag(np_.exp(z)))

    def derivatives(m, np_):
        return (m.grad(lambda z, w: f(np_, z, w), (0, 1))(Z, Z[::-1]), m.jacrev(lambda z: f(np_, z, z))(Z),
                m.jacfwd(lambda x: np_.exp(1j * x))(0.5), m.vjp(lambda z: np_.conj(z) * z, Z)[1](np_.asarray(Z)))

    with config.override("evaluator", "numpy"):
        ours = derivatives(minijax, mnp)
    same(ours, jax.jit(lambda: derivatives(jax, jnp))())


@pytest.mark.parametrize("call, text", [
    (lambda: minijax.grad(lambda z: z * z)(1j), "real floating-point result.*holomorphic=True"),
    (lambda: minijax.grad(mnp.sin, holomorphic=True)(1.0), "differentiates complex arguments"),
    (lambda: minijax.grad(mnp.abs, holomorphic=True)(1j), "needs a complex result"),
    (lambda: minijax.jacfwd(mnp.sin)(1j), "argument .* has dtype complex64, which is complex"),
    (lambda: minijax.jacfwd(mnp.abs, holomorphic=True)(1j), "jacfwd with holomorphic=True needs complex results"),
    (lambda: minijax.jacrev(mnp.abs, holomorphic=True)(1j), "jacrev with holomorphic=True needs complex results"),
    (lambda: minijax.jacrev(mnp.sin)(1j), "jacrev needs real floating-point results"),
    (lambda: minijax.grad(mnp.sin, holomorphic=True, allow_int=True)(1), "differentiates complex arguments"),
    (lambda: minijax.grad(lambda k: 1.0, allow_int=True)(minijax.random.key(0)), "has no derivative"),
])
def test_errors(call, text):
    with config.override("evaluator", "numpy"), pytest.raises(MinijaxTypeError, match=text):
        call()


# ---- leaves without derivative

def test_integer_leaves():
    def f(np_, tree):
        return np_.sum(tree["x"] * tree["n"]) * tree["flag"]

    tree = {"x": np.float32([1, 2]), "n": np.int32([3, 4]), "flag": np.bool_(True)}
    same(minijax.grad(lambda t: f(mnp, t), allow_int=True)(tree), jax.grad(lambda t: f(jnp, t), allow_int=True)(tree))
    same(minijax.vjp(lambda t: f(mnp, t), tree)[1](1.0), jax.vjp(lambda t: f(jnp, t), tree)[1](np.float32(1)))
    zeros = {"x": tree["x"], "n": np.zeros(2, jax.dtypes.float0), "flag": np.zeros((), jax.dtypes.float0)}
    same(minijax.jvp(lambda t: f(mnp, t), (tree,), (zeros,)), jax.jvp(lambda t: f(jnp, t), (tree,), (zeros,)))


def test_integer_results_have_float0_tangents():
    def f(np_, x):
        return np_.argmax(x), x > 1, np_.floor(x)

    x = np.float32([0.5, 2])
    same(minijax.jvp(lambda x: f(mnp, x), (x,), (x,)), jax.jvp(lambda x: f(jnp, x), (x,), (x,)))


def test_jacobians_of_integers():
    tree = {"x": np.float32([1, 2]), "n": np.int32(3)}
    found = minijax.jacrev(lambda t: t["x"] * t["n"], allow_int=True)(tree)
    same(found, {"x": 3 * np.eye(2, dtype=np.float32), "n": np.zeros(2, jax.dtypes.float0)})
