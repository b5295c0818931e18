"""Functions with rules of their own: as in JAX, and with any subset of rules."""

import functools
import json

import jax
import jax.numpy as jjnp
import numpy as np
import pytest
from jax import custom_batching as jax_batching
from error_checks import mistake

import minijax as mj
import minijax.numpy as jnp
from minijax import config, custom_batching, custom_derivatives
from minijax.errors import (JaxprSyntaxError, MinijaxTypeError, MinijaxValueError, NonlinearError, TreeError,
                            UnexpectedTracerError)
from minijax.interpreters.evaluate import run_program
from minijax.language import from_json, parse, to_json
from minijax.testing import Mismatch, check_rules
from tests.kits import KITS, close, on_numpy  # noqa: F401

X = np.float32([0.5, -1.25, 2.0])
M = np.stack([X, 2 * X])


# ---- functions to try, made for either library ----

def cubic_jvp(lib, num):
    """A pytree in, a pytree out, an integer argument, a wrong derivative to tell the rule from the function."""
    @lib.custom_jvp
    def f(p, n):
        return {"y": p["a"] ** 3 * n, "z": num.sum(p["b"] * p["a"])}

    @f.defjvp
    def f_jvp(primals, tangents):
        (p, n), (t, _) = primals, tangents
        return f(p, n), {"y": 5.0 * p["a"] ** 2 * t["a"] * n, "z": num.sum(p["b"] * t["a"]) + 7.0 * num.sum(t["b"])}

    return lambda x: num.sum(f({"a": x, "b": num.sin(x)}, 2)["y"] * x) + f({"a": x, "b": x}, 3)["z"]


def by_argument(lib, num):
    """defjvps: one rule for each argument, one of them None."""
    @lib.custom_jvp
    def f(x, y, z):
        return x * y * z

    f.defjvps(lambda t, out, x, y, z: 3.0 * t * y * z, None, lambda t, out, x, y, z: t * out / z)
    return lambda x: num.sum(f(x, num.cos(x), x + 3.0))


def jitted_rule(lib, num):
    """The jvp rule is a jitted function: one call mixes what is known and what is linear."""
    f = lib.custom_jvp(lambda x: num.sin(x))

    @f.defjvp
    @lib.jit
    def f_jvp(primals, tangents):
        (x,), (t,) = primals, tangents
        return f(x), 2.0 * num.cos(x) * t

    return lambda x: num.sum(f(x * x))


def told_of_zeros(lib, num):
    """symbolic_zeros: the rule leaves out what does not move."""
    @lib.custom_jvp
    def f(x, y):
        return x * y, x + y

    def f_jvp(primals, tangents):
        (x, y), (t, s) = primals, tangents
        assert type(s).__name__ == "SymbolicZero" and s.shape == y.shape and s.dtype == y.dtype
        return f(x, y), (3.0 * t * y, s)

    f.defjvp(f_jvp, symbolic_zeros=True)
    return lambda x: num.sum(f(x, num.asarray(X))[0])


def clipped_vjp(lib, num):
    """A pytree, residuals with structure, a None cotangent, an integer output."""
    @lib.custom_vjp
    def f(p, y):
        return {"out": p[0] * p[1] + y, "n": 3}

    def fwd(p, y):
        return f(p, y), {"p": p}

    def bwd(saved, ct):
        a, b = saved["p"]
        return (num.clip(ct["out"], -0.5, 0.5) * b, 2.0 * a * ct["out"]), None

    f.defvjp(fwd, bwd)
    return lambda x: num.sum(num.sin(f((x, num.cos(x)), x)["out"]))


def perturbed_vjp(lib, num):
    """symbolic_zeros: fwd is told which arguments move, bwd which outputs matter."""
    @lib.custom_vjp
    def f(x, y):
        return x * y, x - y

    def fwd(x, y):
        assert x.perturbed and not y.perturbed
        return f(x.value, y.value), (x.value, y.value)

    def bwd(saved, cts):
        x, y = saved
        assert type(cts[1]).__name__ == "SymbolicZero"
        return 4.0 * cts[0] * y, None

    f.defvjp(fwd, bwd, symbolic_zeros=True)
    return lambda x: num.sum(f(num.sin(x), num.asarray(X))[0])


def fixed_arguments(lib, num):
    """nondiff_argnums and nondiff_argnames, defaults, arguments by name."""
    @functools.partial(lib.custom_vjp, nondiff_argnums=(0,), nondiff_argnames=("n",))
    def f(g, x, n, y=2.0):
        return g(x) * n * y

    f.defvjp(lambda g, x, n, y: (f(g, x, n, y), (x, y)), lambda g, n, saved, ct: (g(saved[0]) * ct * n, None))

    @functools.partial(lib.custom_jvp, nondiff_argnums=(1,))
    def h(x, g):
        return g(x)

    h.defjvp(lambda g, primals, tangents: (h(primals[0], g), 9.0 * tangents[0] * g(primals[0])))
    return lambda x: num.sum(f(num.sin, x, n=3)) + num.sum(f(num.cos, y=x, x=x, n=2)) + num.sum(h(x, num.tanh))


def pulled_back(lib, num):
    """custom_gradient, whose pull-back is a closure; and of several arguments."""
    @lib.custom_gradient
    def f(x):
        y = num.sin(x)
        return y * x, lambda ct: 3.0 * ct * y

    @lib.custom_gradient
    def g(x, p):
        return x * p["w"], lambda ct: (ct * p["w"], {"w": 11.0 * ct * x})

    return lambda x: num.sum(f(x)) + num.sum(g(x, {"w": x * x}))


def converted(lib, num):
    """closure_convert: a function with a rule is told of what its function argument captures."""
    def apply(g, x):
        g, captured = lib.closure_convert(g, x)
        return call(g, x, *captured)

    @functools.partial(lib.custom_vjp, nondiff_argnums=(0,))
    def call(g, x, *captured):
        return g(x, *captured)

    def fwd(g, x, *captured):
        return call(g, x, *captured), (x, captured)

    def bwd(g, saved, ct):
        x, captured = saved
        return (ct * x, *[2.0 * num.sum(ct) + 0.0 * c for c in captured])

    call.defvjp(fwd, bwd)
    return lambda x: num.sum(apply(lambda z: z * num.sum(x), num.asarray(X)))


JVPS = (cubic_jvp, by_argument, jitted_rule, told_of_zeros)
VJPS = (clipped_vjp, perturbed_vjp, fixed_arguments, pulled_back, converted)


def compositions(lib, num, f, order):
    """Derivatives of `f`, batched, and of one another."""
    g = lib.grad(f)
    yield f(X)
    yield g(X)
    yield lib.grad(lambda x: num.sum(lib.vmap(f)(x)))(M)
    yield lib.vmap(g)(M)
    yield lib.grad(lib.jit(f))(X)
    yield lib.vmap(lib.grad(lib.jit(f)))(M)
    yield lib.grad(lambda x: num.sum(lib.jit(lib.vmap(f))(x)))(M)
    if order > 1:
        yield lib.grad(lambda x: num.sum(g(x) * x))(X)
        yield lib.grad(lambda x: num.sum(lib.jit(lib.grad(lib.jit(f)))(x)))(X)


def with_jvps(lib, num, f):
    """Forward mode too."""
    g = lib.grad(f)
    yield lib.jvp(f, (X,), (M[1],))
    yield lib.vmap(lambda x: lib.jvp(f, (x,), (x,)))(M)
    yield lib.jvp(lib.jit(lib.vmap(f)), (M,), (M,))
    yield lib.jvp(g, (X,), (X,))


@pytest.mark.parametrize("make", [*JVPS, *VJPS], ids=lambda f: f.__name__)
def test_derivatives_are_those_of_jax(make):
    order = 1 if make in (told_of_zeros, perturbed_vjp) else 2
    ours, theirs = [list(compositions(lib, num, make(lib, num), order)) for lib, num in KITS]
    for number, pair in enumerate(zip(ours, theirs, strict=True)):
        print(number)
        close(*pair)


@pytest.mark.parametrize("make", JVPS[:3], ids=lambda f: f.__name__)
def test_forward_mode_is_that_of_jax(make):
    ours, theirs = [list(with_jvps(lib, num, make(lib, num))) for lib, num in KITS]
    for pair in zip(ours, theirs, strict=True):
        close(*pair)


@pytest.mark.parametrize("make", [cubic_jvp, clipped_vjp, pulled_back], ids=lambda f: f.__name__)
def test_compiled(make):
    f, g = make(mj, jnp), make(jax, jjnp)
    with config.override("evaluator", "xla"):
        close([mj.jit(mj.grad(f))(X), mj.jit(mj.vmap(mj.grad(f)))(M)], [jax.grad(g)(X), jax.vmap(jax.grad(g))(M)])
        # JAX's own derivative of our compiled function
        close(jax.grad(lambda x: mj.jit(f)(x).value)(X), jax.grad(g)(X))
        close(jax.jit(jax.vmap(jax.grad(lambda x: mj.jit(f)(x).value)))(M), jax.vmap(jax.grad(g))(M))


def test_integers_have_float0_tangents():
    seen = []

    def make(lib):
        f = lib.custom_jvp(lambda x, n: (x * n, n))
        f.defjvp(lambda p, t: (seen.append(t[1]), (f(*p), (t[0] * p[1], t[1])))[1])
        g = lib.custom_vjp(lambda x, n: (x * n, n))
        g.defvjp(lambda x, n: (g(x, n), n), lambda n, ct: (seen.append(ct[1]), (ct[0] * n, None))[1])
        return lib.grad(lambda x: (f(x, 3)[0] + g(x, 4)[0]).sum())(X)

    close(make(mj), make(jax))
    assert {(np.shape(t), t.dtype == jax.dtypes.float0) for t in seen} == {((), True)}


# ---- vmap rules ----

def batched_rule(lib, batching, calls):
    """A function with a vmap rule that counts its calls; of an argument, a tree, and one that is not batched."""
    @batching.custom_vmap
    def f(x, p, n):
        return x * p["a"] * n, {"s": (x + 1.0).sum()}

    @f.def_vmap
    def f_vmap(axis_size, in_batched, x, p, n):
        calls.append((axis_size, str(in_batched)))
        x_batched, p_batched, n_batched = in_batched
        a = p["a"] if p_batched["a"] else p["a"][None]
        x = x if x_batched else x[None]
        assert not n_batched
        return ((x * a * n, {"s": (x + 1.0).sum(-1) if x_batched else (x + 1.0).sum()}),
                (True, {"s": x_batched}))

    return f


def test_custom_vmap():
    results = []
    for (lib, num), batching in zip(KITS, (custom_batching, jax_batching), strict=True):
        calls = []
        f = batched_rule(lib, batching, calls)
        x, m = num.asarray(X), num.asarray(M)
        over = lib.vmap(f, (0, None, None), out_axes=(0, {"s": 0}))
        results.append([f(x, {"a": x}, 2), over(m, {"a": x}, 2), lib.vmap(f, ({"a": 0}["a"], {"a": 1}, None))(
            m, {"a": m.T}, 2.0), lib.jit(over)(m, {"a": x}, 2),
            lib.vmap(lambda x: lib.jvp(lambda x: f(x, {"a": num.asarray(X)}, 2.0), (x,), (x,)))(m),
            lib.grad(lambda m: over(m, {"a": x}, 2)[0].sum())(m), calls])
    ours, theirs = results
    assert ours.pop() == theirs.pop()
    close(ours, theirs)
    # JAX has no reverse mode here
    f = batched_rule(mj, custom_batching, [])
    close(mj.vmap(mj.grad(lambda x: f(x, {"a": X}, 2.0)[0].sum()))(M), np.stack([2 * X, 2 * X]))
    close(mj.hessian(lambda x: (f(x, {"a": X}, 2.0)[0] ** 2).sum())(X), np.diag(8 * X * X))


def test_sequential_vmap():
    for f in (custom_batching.sequential_vmap(lambda x, p: (x @ p["w"], p["b"])),):
        x, p = np.stack([M, M]), {"w": X, "b": np.arange(2)}
        close(mj.vmap(f, (0, {"w": None, "b": 0}))(x, p), jax.vmap(lambda x, p: (x @ p["w"], p["b"]), (
            0, {"w": None, "b": 0}))(x, p))
        close(mj.vmap(mj.jit(mj.grad(lambda x: f(x, p)[0].sum())))(x), np.broadcast_to(X, x.shape))


# ---- transposes ----

def test_custom_transpose():
    f = mj.custom_transpose(lambda r, x: {"y": r * x["a"]})
    f.deftranspose(lambda r, ct: {"a": 10.0 * r * ct["y"]})

    def total(r, x):
        return f(r, {"a": x})["y"].sum()

    close(mj.jvp(total, (X, X), (X, 2 * X)), (np.sum(X * X), np.sum(3 * X * X)))
    close(mj.grad(total, (0, 1))(X, M[1]), (M[1], 10 * X))
    close(mj.jit(mj.grad(total, 1))(X, X), 10 * X)
    close(mj.vmap(mj.grad(total, 1), (None, 0))(X, M), np.stack([10 * X, 10 * X]))
    close(mj.grad(lambda x: mj.vmap(total, (0, None))(M, x).sum())(X), 10 * M.sum(0))
    close(mj.linear_transpose(lambda x: f(X, x), {"a": X})({"y": X}), ({"a": 10 * X * X},))
    close(mj.grad(lambda r: mj.grad(total, 1)(r, X).sum())(X), np.full(3, 10.0))
    several = mj.custom_transpose(lambda x, r, y: (x + y) * r, linear_argnums=(0, 2))
    several.deftranspose(lambda r, ct: (ct * r, 2.0 * ct * r))
    close(mj.grad(lambda x, y: several(x, 3.0, y).sum(), (0, 1))(X, X), (np.full(3, 3.0), np.full(3, 6.0)))
    with mistake(NonlinearError, "not among its linear ones"):
        mj.linear_transpose(lambda r: f(r, {"a": X}), X)({"y": X})


def test_linear_call():
    def call(module, lib, num):
        def f(r, x):
            return r["s"] * x

        return lib.grad(lambda x: num.sum(module.linear_call(f, lambda r, ct: 3.0 * r["s"] * ct, {"s": M}, M * x)))(X)

    close(call(custom_derivatives, mj, jnp), call(jax.custom_derivatives, jax, jjnp))


# ---- any subset of rules on one function ----

def with_rules(*kinds):
    """A function of two arguments with the named rules, all of them right; the calls of each are listed."""
    calls = []

    @mj.custom
    def f(x, y):
        return jnp.sin(x) * y

    def called(kind, rule):
        def call(*args):
            calls.append(kind)
            return rule(*args)

        return call

    def jvp(primals, tangents):
        (x, y), (t, s) = primals, tangents
        return f(x, y), jnp.cos(x) * y * t + jnp.sin(x) * s

    def vmap(size, in_batched, x, y):
        x, y = [a if b else jnp.broadcast_to(a, (size, *a.shape)) for a, b in zip((x, y), in_batched, strict=True)]
        return jnp.sin(x) * y, True

    if "jvp" in kinds:
        f.defjvp(called("jvp", jvp))
    if "vjp" in kinds:
        f.defvjp(called("fwd", lambda x, y: (f(x, y), (x, y))),
                 called("bwd", lambda r, ct: (jnp.cos(r[0]) * r[1] * ct, jnp.sin(r[0]) * ct)))
    if "vmap" in kinds:
        f.defvmap(called("vmap", vmap))
    if "transpose" in kinds:
        f.deftranspose(called("transpose", lambda x, ct: jnp.sin(x) * ct))
    if "lowering" in kinds:
        f.deflowering(called("lowering", lambda x, y: jjnp.sin(x) * y))
    return f, calls


def reference(x, y):
    return jjnp.sin(x) * y


SUBSETS = [("jvp",), ("vjp",), ("vmap",), ("transpose",), ("jvp", "vjp"), ("jvp", "vmap"), ("vjp", "vmap"),
           ("vmap", "transpose"), ("jvp", "vjp", "vmap", "transpose", "lowering"), ("lowering",)]


@pytest.mark.parametrize("kinds", SUBSETS, ids="-".join)
def test_missing_rules_are_derived(kinds):
    f, calls = with_rules(*kinds)

    def everything(lib, num, f):
        def total(x, y):
            return num.sum(f(x, y) ** 2)

        yield lib.jvp(f, (X, X), (M[1], X))
        yield lib.grad(total, (0, 1))(X, M[1])
        yield lib.vmap(f, (0, None))(M, X)
        yield lib.vmap(f, (0, 1))(M, M.T)
        yield lib.grad(lambda y: num.sum(lib.vmap(f, (0, None))(M, y)))(X)
        yield lib.vmap(lib.grad(total, (0, 1)), (None, 0))(X, M)
        yield lib.vmap(lambda x: lib.jvp(f, (x, X), (x, X)))(M)
        yield lib.jvp(lambda x: lib.vmap(f, (0, None))(x, X), (M,), (M,))
        yield lib.grad(lambda x: num.sum(lib.jit(lib.grad(lib.jit(total)))(x, X)))(X)
        yield lib.linearize(f, X, X)[1](X, X)
        yield lib.vmap(lib.vmap(f))(num.stack([M, M]), num.stack([M, M]))

    for pair in zip(everything(mj, jnp, f), everything(jax, jjnp, reference), strict=True):
        close(*pair)
    seen = {"fwd": "vjp", "bwd": "vjp"}
    assert {seen.get(kind, kind) for kind in calls} == set(kinds) - {"lowering"} - (
        {"transpose"} if {"jvp", "vjp"} & set(kinds) else set())
    check_rules(f, X, M[1])


def test_lowering_rules_are_what_is_compiled():
    f, calls = with_rules("jvp", "lowering")
    with config.override("evaluator", "xla"):
        close(mj.jit(f)(X, X), reference(X, X))
        assert calls == ["lowering"]
        close(jax.grad(lambda x: mj.jit(f)(x, X).value.sum())(X), jax.grad(lambda x: reference(x, X).sum())(X))
        assert "jvp" in calls
    with mistake(MinijaxValueError, "The lowering rule call cannot be saved", "compiler's values", bare=True):
        to_json(mj.make_jaxpr(f)(X, X))


def planted(kind):
    """The function with one wrong rule."""
    f, _ = with_rules("jvp", "vjp", "vmap", "transpose", "lowering")
    wrong = {
        "sign of jvp": lambda: f.defjvp(lambda p, t: (f(*p), -jnp.cos(p[0]) * p[1] * t[0] + jnp.sin(p[0]) * t[1])),
        "missing term of jvp": lambda: f.defjvp(lambda p, t: (f(*p), jnp.cos(p[0]) * p[1] * t[0])),
        "jvp not linear": lambda: f.defjvp(lambda p, t: (f(*p), t[0] * t[1])),
        "output of jvp": lambda: f.defjvp(lambda p, t: (p[0], jnp.cos(p[0]) * p[1] * t[0] + jnp.sin(p[0]) * t[1])),
        "factor of bwd": lambda: f.defvjp(
            lambda x, y: (f(x, y), (x, y)), lambda r, ct: (2.0 * jnp.cos(r[0]) * r[1] * ct, jnp.sin(r[0]) * ct)),
        "zero of bwd": lambda: f.defvjp(
            lambda x, y: (f(x, y), (x, y)), lambda r, ct: (jnp.cos(r[0]) * r[1] * ct, None)),
        "output of fwd": lambda: f.defvjp(
            lambda x, y: (x, (x, y)), lambda r, ct: (jnp.cos(r[0]) * r[1] * ct, jnp.sin(r[0]) * ct)),
        "vmap of one example": lambda: f.defvmap(lambda n, b, x, y: (jnp.broadcast_to(
            f(x[0] if b[0] else x, y[0] if b[1] else y), (n, 3)), True)),
        "transpose without a factor": lambda: f.deftranspose(lambda x, ct: ct),
        "lowering": lambda: f.deflowering(lambda x, y: jjnp.sin(y) * x),
    }
    if kind is None:
        return sorted(wrong)
    wrong[kind]()
    return f


@pytest.mark.parametrize("kind", planted(None))
def test_wrong_rules_are_found(kind):
    with pytest.raises(Mismatch), config.override("evaluator", "xla" if kind == "lowering" else "numpy"):
        check_rules(planted(kind), X, M[1])


# ---- captured values ----

def scaled(s, kind):
    """A function with a rule, which captures `s`; so does the rule."""
    if kind == "jvp":
        f = mj.custom_jvp(lambda x: x * s)
        f.defjvp(lambda p, t: (p[0] * s, 2.0 * t[0] * s))
    else:
        f = mj.custom_vjp(lambda x: x * s)
        f.defvjp(lambda x: (x * s, ()), lambda r, ct: (2.0 * ct * s,))
    return f


@pytest.mark.parametrize("kind", ["jvp", "vjp"])
def test_captured_values(kind):
    close(mj.vmap(lambda s: scaled(s, kind)(X))(X), np.outer(X, X))
    close(mj.jit(lambda s: mj.grad(lambda x: scaled(s, kind)(x).sum())(X))(3.0), np.full(3, 6.0))
    close(mj.vmap(lambda s: mj.grad(lambda x: scaled(s, kind)(x).sum())(X))(X), np.outer(2 * X, np.ones(3)))
    for f in (lambda s: scaled(s, kind)(X).sum(), lambda s: scaled(s, kind)(X * s).sum()):
        for g in (mj.grad(f), mj.jit(mj.grad(f)), mj.grad(mj.jit(f))):
            with mistake(MinijaxTypeError, "captures a value that is being differentiated", "Pass the value as an arg"):
                g(2.0)


# ---- programs: printed, saved, in loops ----

def test_printing():
    f = mj.custom_jvp(lambda x: x * 2.0)

    @f.defjvp
    def rule(p, t):
        return f(*p), t[0]

    text = str(mj.make_jaxpr(f)(1.0))
    assert text == """\
{ lambda ; a:~f32[]. let
    b:~f32[] = custom_jvp_call[
      jvp=<callable rule>
      name="<lambda>"
      num_consts=0
      call_jaxpr={ lambda ; a:~f32[]. let
          b:~f32[] = mul a 2.0:~f32[]
        in (b,) }
    ] a
  in (b,) }"""
    with mistake(JaxprSyntaxError, "<callable rule> stands for a Python object", bare=True):
        parse(text)


def stored(x):
    """Custom functions of every kind that can be saved; rules call their own functions."""
    cube = mj.custom_jvp(lambda x: x * x * x)
    cube.defjvp(lambda p, t: (cube(*p), 10.0 * t[0] * cube(p[0])))
    pair = mj.custom_vjp(lambda x, n: {"a": x * n})
    pair.defvjp(lambda x, n: (pair(x, n), (x, n)), lambda r, ct: (7.0 * ct["a"] * pair(*r)["a"], None))
    line = mj.custom_transpose(lambda r, x: r * x)
    line.deftranspose(lambda r, ct: 100.0 * r * ct)
    both, _ = with_rules("jvp", "vjp")
    return cube(x) + pair(x, 2)["a"] + line(x, x) + both(x, x)


@pytest.mark.parametrize("transform", [lambda f: f, mj.vmap, lambda f: mj.vmap(mj.grad(lambda x: f(x).sum())),
                                       lambda f: lambda x: mj.linearize(f, x)[1].jaxpr and f(x)],
                         ids=["plain", "vmap", "vmap of grad", "linearize"])
def test_rules_are_saved(transform):
    program = mj.make_jaxpr(transform(stored))(M)
    loaded = from_json(to_json(program))
    assert to_json(from_json(to_json(loaded))) == to_json(loaded)

    def derivatives(p):
        f = lambda x: run_program(p, x)[0].sum()  # noqa: E731
        return [f(M), mj.grad(f)(M), mj.grad(lambda x: mj.grad(f)(x).sum())(M), mj.vmap(mj.grad(f))(np.stack([M, M]))]

    close(derivatives(loaded), [np.asarray(x) for x in derivatives(program)])


def test_saved_linear_programs():
    f = mj.custom(lambda x: x * x)
    f.defvjp(lambda x: (f(x), x), lambda x, ct: (3.0 * x * ct,))
    linear = mj.linearize(f, X)[1].jaxpr
    loaded = from_json(to_json(linear))
    close(mj.linear_transpose(lambda t: run_program(loaded, t)[0], X)(X), (3 * X * X,))
    close(run_program(loaded, X), [3 * X * X])


def test_saved_rules_that_do_not_fit():
    document = json.loads(to_json(mj.make_jaxpr(stored)(X)))
    rules = document["programs"][-1]["equations"][0]["rules"]
    for place, words in (("@0", "the jvp rule of 'custom_jvp_call' maps"), ("@99", "is not among the programs"),
                         ("@-1", "is not among the programs"), ("text", "no saved program")):
        if place != rules["jvp"][1]:
            rules["jvp"][1] = place
            with mistake(JaxprSyntaxError, words, bare=True):
                from_json(json.dumps(document))
    with mistake(MinijaxValueError, "vmap rule", "size of the batch", bare=True):
        to_json(mj.make_jaxpr(with_rules("vmap")[0])(X, X))


def test_in_loops():
    def body(lib, num, f, control):
        def step(carry, x):
            return control.cond(num.sum(x) > 0, f, lambda y: -y, carry * x), num.sum(f(x))

        return lambda x: num.sum(control.scan(step, x, num.stack([x, -x, 2 * x]))[0] ** 2)

    results = []
    for (lib, num), control in zip(KITS, (mj.lax, jax.lax), strict=True):
        f = lib.custom_vjp(lambda x: num.sin(x))
        f.defvjp(lambda x: (num.sin(x), x), lambda x, ct: (2.0 * num.cos(x) * ct,))
        g = lib.custom_jvp(lambda x: num.sin(x))
        g.defjvp(lambda p, t: (num.sin(p[0]), 3.0 * num.cos(p[0]) * t[0]))
        made = [body(lib, num, each, control) for each in (f, g)]
        results.append([lib.grad(made[0])(X), lib.vmap(lib.grad(made[0]))(M), lib.grad(made[1])(X),
                        lib.jvp(lib.grad(made[1]), (X,), (X,)), lib.jit(lib.grad(lib.jit(made[0])))(X)])
    close(*results)


# ---- mistakes ----

def graded(f):
    return mj.grad(lambda x: jnp.sum(f(x)))(X)


def test_outputs_of_rules_are_the_functions():
    f = mj.custom_jvp(lambda p: {"a": p["a"] * 2.0})
    for out, kind, words in (
            ({"b": X}, TreeError, "returned an output of structure"),
            ({"a": X[:2]}, MinijaxTypeError, "f32[2] at result['a'], where the function returns f32[3]"),
            ({"a": np.arange(3)}, MinijaxTypeError, "at result['a'], where the function returns f32[3]"),
            ({"a": "text"}, MinijaxTypeError, "'text' of type str at result['a']")):
        f.defjvp(lambda p, t, out=out: (out, out))
        with mistake(kind, words):
            mj.grad(mj.jit(lambda x: f({"a": x})["a"].sum()))(X)
    g = mj.custom_vjp(lambda p: p["a"] * 2.0)
    g.defvjp(lambda p: (p["a"] * 2.0, object()), lambda r, ct: (None,))
    with mistake(MinijaxTypeError, "The fwd rule of <lambda> (", "returned as residuals", "of type object"):
        graded(lambda x: g({"a": x}))
    g.defvjp(lambda p: (p["a"] * 2.0, ()), lambda r, ct: ({"a": ct[:2]},))
    with mistake(MinijaxTypeError, "a cotangent of type f32[2] for argument 0 (p['a']), which has type f32[3]"):
        graded(lambda x: g({"a": x}))


def test_vmap_rules():
    for rule, kind, words in (
            (lambda n, b, x: {"y": x}, MinijaxTypeError, "must return a pair (output, out_batched)"),
            (lambda n, b, x: ({"y": x}, [True]), TreeError, "True or False for each leaf"),
            (lambda n, b, x: ({"y": x}, {"y": 0}), TreeError, "True or False for each leaf"),
            (lambda n, b, x: ({"y": x.T}, {"y": True}), MinijaxTypeError, "returned f32[3,2] at result['y'], expected"),
            (lambda n, b, x: ({"z": x}, {"z": True}), TreeError, "the function returns PyTreeDef({'y': *})"),
            (lambda n, b, x: ({"y": x.sum()}, {"y": False}), MinijaxTypeError, "returned f32[] at result['y']"),
            (lambda n, b, x: ({"y": "text"}, {"y": False}), MinijaxTypeError, "'text' of type str at result['y']")):
        f = custom_batching.custom_vmap(lambda x: {"y": x * 2.0})
        f.def_vmap(rule)
        with mistake(kind, words):
            mj.vmap(mj.jit(f))(M)


def test_transpose_and_lowering_rules():
    f = mj.custom_transpose(lambda r, x: r * x)
    for rule, kind, words in (
            (lambda r, ct: ct[:2], MinijaxTypeError, "f32[2] for argument 1 (x), which has type f32[3]"),
            (lambda r, ct: (ct,), TreeError, "a cotangent of structure PyTreeDef((*,)) for argument 1")):
        f.deftranspose(rule)
        with mistake(kind, words):
            graded(lambda x: f(2.0, x))
    g = mj.custom_transpose(lambda x, y: x + y, linear_argnums=(0, 1))
    g.deftranspose(lambda ct: ct)
    with mistake(MinijaxTypeError, "must return a tuple with 2 cotangents"):
        graded(lambda x: g(x, x))
    with config.override("evaluator", "xla"):
        for rule, kind, words in ((lambda x: (x,), TreeError, "returned the structure"),
                                  (lambda x: x[:2], MinijaxTypeError, "returned an array of shape (2,)")):
            h = mj.custom(lambda x: x + 1.0)
            h.deflowering(rule)
            with mistake(kind, words, bare=True):
                mj.jit(h)(X)


def test_wrong_calls():
    f = mj.custom_jvp(lambda x, *, n: x * n)
    f.defjvp(lambda p, t: (p[0], t[0]))
    with mistake(MinijaxTypeError, "takes n by name only"):
        mj.jit(lambda x: f(x, n=2))(X)
    g = mj.custom_jvp(lambda x, y: x * y)
    g.defjvps(lambda t, out, x, y: t)
    with mistake(MinijaxTypeError, "was given 1 rules for 2 arguments"):
        graded(lambda x: g(x, x))
    with mistake(MinijaxTypeError, "with nondiff_argnums, use defjvp"):
        mj.custom_jvp(lambda x, y: x, nondiff_argnums=0).defjvps(None)
    h = mj.custom_vjp(lambda x, n: x * n, nondiff_argnums=(1,))
    h.defvjp(lambda x, n: (x * n, ()), lambda n, r, ct: (ct * n,))
    with mistake(UnexpectedTracerError, "Argument 1 of the custom_vjp function <lambda>", "nondiff_argnums"):
        mj.jit(lambda x: h(x, x))(X)
    with mistake(MinijaxTypeError, "custom_gradient: <lambda> must return a pair (output, pull_back)"):
        mj.custom_gradient(lambda x: x)(X)
    with mistake(TreeError, "was converted for"):
        mj.closure_convert(lambda x: x * 2.0, X)[0](X[:2])
    with mistake(MinijaxTypeError, "takes a function made with minijax.custom", bare=True):
        check_rules(lambda x: x, X)
    for make in (mj.custom, mj.custom_transpose, custom_batching.custom_vmap):
        with mistake(MinijaxTypeError, "has no rule yet"):
            make(lambda x: x)(X)
    with mistake(MinijaxTypeError, "custom_vmap takes a function"):
        custom_batching.custom_vmap(3)


def test_a_rule_that_captures_a_finished_trace():
    f = mj.grad(mj.jit(lambda s: scaled(mj.lax.stop_gradient(s), "jvp")(s * X).sum()))
    with mistake(UnexpectedTracerError, "The jvp rule of <lambda> (", "uses a traced value that it captured"):
        f(2.0)


def test_a_rule_whose_output_moves_with_tangents():
    f = mj.custom_jvp(lambda x: x * 2.0)
    f.defjvp(mj.jit(lambda p, t: (p[0] + t[0], t[0])))
    with mistake(NonlinearError, "computes its output from the tangents"):
        graded(f)


def test_rules_of_no_module():
    names = {"__name__": None, "mj": mj}
    exec("f = mj.custom_jvp(lambda x: x * x)\nf.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))", names)
    assert float(mj.grad(names["f"])(3.0)) == 1.0
