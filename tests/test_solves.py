"""Linear solves and roots, differentiated by their equations: as in JAX, and never through the solver."""

import functools

import jax
import jax.numpy as jjnp
import numpy as np
from error_checks import mistake

import minijax as mj
import minijax.numpy as jnp
from minijax import config, lax
from minijax.errors import MinijaxTypeError, NonlinearError, TreeError
from minijax.interpreters.evaluate import run_program
from minijax.language import same_program
from minijax.language import from_json, parse, to_json
from tests import kits
from tests.kits import KITS, on_numpy  # noqa: F401

RNG = np.random.default_rng(0)
A = (RNG.normal(size=(3, 3)) + 4 * np.eye(3)).astype(np.float32)
B = RNG.normal(size=3).astype(np.float32)
AS, BS = np.stack([A, A.T + 1, 2 * A]), np.stack([B, -B, 2 * B])
close = functools.partial(kits.close, rtol=2e-4, atol=1e-4)


def inverse(num, a):
    """The inverse of a 3 x 3 matrix, with a wrong derivative: stop_gradient."""
    (lib,) = [lib for lib, n in KITS if n is num]
    rows = [num.stack([a[i][1] * a[j][2] - a[i][2] * a[j][1], a[i][2] * a[j][0] - a[i][0] * a[j][2],
                       a[i][0] * a[j][1] - a[i][1] * a[j][0]]) for i, j in ((1, 2), (2, 0), (0, 1))]
    adjugate = num.stack(rows, 1)
    return lib.lax.stop_gradient(adjugate / (a[0] @ adjugate[:, 0]))


def solver(lib, num, **options):
    """x of a @ x = b: the solver has no derivative, the equation does."""
    def solve(a, b):
        return lib.lax.custom_linear_solve(
            lambda x: a @ x, b, lambda matvec, b: inverse(num, a) @ b,
            lambda vecmat, b: inverse(num, a).T @ b, **options)

    return solve


def compositions(lib, num, f):
    """Values, derivatives and batches of f(a, b), and of one another."""
    def total(a, b):
        return num.sum(f(a, b) ** 2)

    g = lib.grad(total, (0, 1))
    yield f(A, B)
    yield g(A, B)
    yield lib.jvp(f, (A, B), (A.T, B * B))
    yield lib.vmap(f, (None, 0))(A, BS)
    yield lib.vmap(f, (0, None))(AS, B)
    yield lib.vmap(f, (2, 1), 1)(AS.T, BS.T)
    yield lib.vmap(g, (0, None))(AS, B)
    yield lib.grad(lambda b: num.sum(lib.vmap(f, (0, None))(AS, b)))(B)
    yield lib.jvp(g, (A, B), (A.T, B * B))
    yield lib.grad(lambda a: num.sum(lib.grad(total, 1)(a, B) * B))(A)
    yield lib.grad(lib.jit(lambda a: num.sum(lib.jit(lib.grad(lib.jit(total)))(a, B) * a)))(A)
    yield lib.linearize(f, A, B)[1](A, B)


def test_linear_solve():
    for pair in zip(*[list(compositions(lib, num, solver(lib, num))) for lib, num in KITS], strict=True):
        close(*pair)


def test_compiled():
    f, g = solver(mj, jnp), solver(jax, jjnp)
    with config.override("evaluator", "xla"):
        close(mj.jit(mj.grad(lambda a, b: jnp.sum(f(a, b) ** 2), (0, 1)))(A, B),
              jax.grad(lambda a, b: jjnp.sum(g(a, b) ** 2), (0, 1))(A, B))
        close(f(A, B), g(A, B))
        close(jax.grad(lambda a, b: mj.jit(f)(a, b).value.sum(), (0, 1))(A, B),
              jax.grad(lambda a, b: g(a, b).sum(), (0, 1))(A, B))


def test_trees_auxiliary_data_and_symmetry():
    def make(lib, num, symmetric):
        def f(d, b):
            def matvec(x):
                return {"u": d * x["u"] + x["v"], "v": x["u"] + 3.0 * x["v"]}

            def solve(_, b):
                scale = 3.0 * d - 1.0
                x = {"u": (3.0 * b["u"] - b["v"]) / scale, "v": (d * b["v"] - b["u"]) / scale}
                return x, {"scale": scale}

            transposed = {} if symmetric else {"transpose_solve": solve}
            x, aux = lib.lax.custom_linear_solve(matvec, b, solve, symmetric=symmetric, has_aux=True, **transposed)
            return num.sum(x["u"] * x["v"]) + num.sum(lib.lax.stop_gradient(aux["scale"]))

        return f

    for symmetric in (True, False):
        results = []
        for lib, num in KITS:
            f = make(lib, num, symmetric)
            g = lib.grad(f, (0, 1))  # JAX cannot differentiate with respect to d alone
            b = {"u": num.asarray(B), "v": num.asarray(2 * B)}
            d = num.asarray(B * B + 1)
            results.append([f(d, b), g(d, b), lib.jvp(f, (d, b), (d, b)),
                            lib.vmap(g, (0, None))(num.stack([d, 2 * d]), b)])
        close(*results)
        close(mj.grad(make(mj, jnp, symmetric))(B * B + 1, b), results[1][1][0])


def test_in_loops():
    def make(lib, num):
        f = solver(lib, num)

        def step(x, a):
            return lib.lax.cond(num.sum(x) > 0, lambda x: f(a, x), lambda x: f(a.T, 2 * x), x), x

        return lambda b: num.sum(lib.lax.scan(step, b, num.asarray(AS))[0] ** 2)

    results = []
    for lib, num in KITS:
        f = make(lib, num)
        results.append([f(B), lib.grad(f)(B), lib.jit(lib.vmap(lib.grad(f)))(BS)])
    close(*results)


def test_programs():
    program = mj.make_jaxpr(solver(mj, jnp))(A, B)
    text = str(program)
    assert all(word in text for word in ("custom_linear_solve[", "matvec={", "vecmat={", "transpose_solve={"))
    for again in (parse(text), from_json(to_json(program))):
        assert same_program(again, program)
        close(mj.grad(lambda b: jnp.sum(run_program(again, A, b)[0] ** 2))(B),
              jax.grad(lambda b: jjnp.sum(solver(jax, jjnp)(A, b) ** 2))(B))


def test_mistakes_in_solves():
    def solve(matvec=lambda x: A @ x, b=B, solve=lambda mv, b: b, transpose_solve=None, **options):
        return lax.custom_linear_solve(matvec, b, solve, transpose_solve, **options)

    with mistake(MinijaxTypeError, "custom_linear_solve: matvec returned f32[2] at result", "argument of type f32[3]"):
        solve(lambda x: x[:2])
    with mistake(TreeError, "matvec returned the structure PyTreeDef((*,))"):
        solve(lambda x: (x,))
    with mistake(MinijaxTypeError, "solve returned i32[3] at result['a']"):
        solve(lambda x: x, {"a": B}, lambda mv, b: {"a": np.arange(3)})
    with mistake(TreeError, "transpose_solve returned the structure"):
        solve(transpose_solve=lambda vm, b: [b])
    with mistake(MinijaxTypeError, "solve must return a pair (x, aux)"):
        solve(has_aux=True)
    with mistake(MinijaxTypeError, "custom_linear_solve: ", "not a function"):
        solve(3)
    with mistake(NonlinearError, "not linear"):
        solve(lambda x: x * x, transpose_solve=lambda vm, b: b)
    for f in (lambda b: jnp.sum(solve(b=b)), mj.jit(lambda b: jnp.sum(solve(b=b)))):
        with mistake(NonlinearError, "no transpose_solve", "symmetric=True"):
            mj.grad(f)(B)
    close(mj.jvp(lambda b: solve(b=b), (B,), (B,)), (B, B))


# ---- roots ----

def cube_root(lib, num):
    """x of x^3 = a, by Newton's steps that nobody differentiates; with auxiliary data."""
    def f(a, has_aux=False):
        def solve(f, x):
            for _ in range(30):
                x = x - lib.lax.stop_gradient(f(x) / (3.0 * x * x))
            x = lib.lax.stop_gradient(x)
            return (x, {"error": f(x)}) if has_aux else x

        return lib.lax.custom_root(lambda x: x ** 3 - a, num.ones_like(a), solve,
                                   lambda g, y: y / g(num.ones_like(y)), has_aux)

    return f


def roots(lib, num, f):
    """Values, derivatives and batches of f(a), and of one another."""
    def total(a):
        return num.sum(f(a) * a)

    a = num.asarray(np.float32([1.5, 8.0]))
    yield f(a), f(a, has_aux=True)
    yield lib.grad(total)(a)
    yield lib.jvp(lib.grad(total), (a,), (a,))
    yield lib.vmap(lib.grad(total))(num.stack([a, 2 * a]))
    yield lib.grad(lambda a: num.sum(lib.vmap(f)(num.stack([a, 2 * a]))))(a)
    yield lib.grad(lambda a: num.sum(lib.grad(lib.jit(total))(a)))(a)
    yield lib.grad(lambda a: num.sum(f(a, has_aux=True)[0]))(a)


def test_root():
    for pair in zip(*[list(roots(lib, num, cube_root(lib, num))) for lib, num in KITS], strict=True):
        close(*pair)


def test_root_of_a_tree():
    def make(lib, num):
        def f(p):
            def equation(x):
                return {"u": p["m"] @ x["u"] - p["c"] * x["v"], "v": x["v"] - num.sin(p["c"])}

            def solve(f, guess):
                v = num.sin(p["c"])
                return {"u": inverse(num, p["m"]) @ (p["c"] * v * num.ones(3)), "v": v}

            def tangent_solve(g, y):
                zero, one = num.zeros(3), num.ones(())
                v = y["v"]
                shift = g({"u": zero, "v": v})["u"]
                columns = [g({"u": e, "v": 0 * one})["u"] for e in num.eye(3)]
                return {"u": inverse(num, num.stack(columns, 1)) @ (y["u"] - shift), "v": v}

            x = lib.lax.custom_root(equation, {"u": num.zeros(3), "v": num.ones(())}, solve, tangent_solve)
            return num.sum(x["u"] ** 2) * x["v"]

        return f

    results = []
    for lib, num in KITS:
        p = {"m": num.asarray(A), "c": num.asarray(np.float32(0.7))}
        f = make(lib, num)
        results.append([f(p), lib.grad(f)(p), lib.jit(lib.grad(lib.jit(f)))(p)])
    close(*results)


def test_compiled_root():
    with config.override("evaluator", "xla"):
        a = np.float32(5.0)
        f, g = cube_root(mj, jnp), cube_root(jax, jjnp)
        close(mj.jit(mj.grad(mj.grad(f)))(a), jax.grad(jax.grad(g))(a))
        close(jax.grad(lambda a: mj.jit(f)(a).value)(a), jax.grad(g)(a))


def test_roots_are_saved():
    f = cube_root(mj, jnp)
    program = from_json(to_json(mj.make_jaxpr(f)(np.float32(5.0))))
    close(mj.grad(mj.grad(lambda a: run_program(program, a)[0]))(np.float32(5.0)),
          jax.grad(jax.grad(cube_root(jax, jjnp)))(np.float32(5.0)))


def test_mistakes_in_roots():
    def root(f=lambda x: x * x - B, guess=B, solve=lambda f, x: x, tangent=lambda g, y: y, **options):
        return lax.custom_root(f, guess, solve, tangent, **options)

    with mistake(MinijaxTypeError, "custom_root: f returned f32[] at result"):
        root(jnp.sum)
    with mistake(TreeError, "custom_root: solve returned the structure"):
        root(solve=lambda f, x: (x, x))
    with mistake(MinijaxTypeError, "custom_root: tangent_solve returned f32[2]"):
        root(tangent=lambda g, y: y[:2])
    with mistake(MinijaxTypeError, "solve must return a pair (x, aux)"):
        root(has_aux=True)
    with mistake(MinijaxTypeError, "custom_root: ", "not a function"):
        root(tangent=None)
    with mistake(NonlinearError, "not linear"):
        mj.grad(lambda a: jnp.sum(root(lambda x: x * x - a, tangent=lambda g, y: y * y)))(B)
