"""Derivative rules that users write: wrong counts, structures, shapes and dtypes are found, and named."""

import numpy as np
import pytest
from error_checks import M, X, mistake

import minijax as mj
import minijax.numpy as jnp
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError, TreeError

INTS = np.ones(3, np.int32)


def with_jvp(rule, **options):
    """A function with this jvp rule."""
    @mj.custom_jvp
    def twice(x):
        return x * 2.0

    twice.defjvp(rule)
    return twice


def with_vjp(fwd, bwd):
    """A function with these two halves of a rule."""
    @mj.custom_vjp
    def twice(x):
        return x * 2.0

    twice.defvjp(fwd, bwd)
    return twice


def graded(f):
    """The gradient of the sum of f."""
    return mj.grad(lambda x: jnp.sum(f(x)))


MODES = {"grad": graded, "jit of grad": lambda f: mj.jit(graded(f)), "grad of jit": lambda f: graded(mj.jit(f)),
         "vmap of grad": lambda f: lambda x: mj.vmap(graded(f))(np.stack([x, x])),
         "grad of vmap": lambda f: lambda x: graded(mj.vmap(f))(np.stack([x, x]))}


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("rule, kind, words", [
    (lambda p, t: p[0], MinijaxTypeError, "must return a pair (output, output tangent)"),
    (lambda p, t: (1.0, 2.0, 3.0), MinijaxTypeError, "must return a pair"),
    (lambda p, t: (p[0] * 2.0, jnp.sum(t[0])), MinijaxTypeError, "a tangent of type f32[] for an output of type f32"),
    (lambda p, t: (p[0] * 2.0, INTS), MinijaxTypeError, "a tangent of type i32[3] for an output of type f32[3]"),
    (lambda p, t: (p[0] * 2.0, (t[0],)), TreeError, "a tangent of structure PyTreeDef((*,))"),
    (lambda p, t: (p[0] * 2.0, None), TreeError, "a tangent of structure PyTreeDef(None)"),
    (lambda p, t: ("text", "text"), MinijaxTypeError, "'text' of type str"),
], ids=["one", "three", "shape", "dtype", "tree", "None", "text"])
def test_jvp_rules(rule, kind, words, mode):
    with mistake(kind, words):
        MODES[mode](with_jvp(rule))(X)


@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("fwd, bwd, kind, words", [
    (lambda x: x * 2.0, lambda r, ct: (ct,), MinijaxTypeError, "must return a pair (output, residuals), got"),
    (lambda x: (x, x), lambda r, ct: ct, MinijaxTypeError, "must return a tuple with 1 cotangents"),
    (lambda x: (x, x), lambda r, ct: (ct, ct), MinijaxTypeError, "one for each argument"),
    (lambda x: (x, x), lambda r, ct: (jnp.sum(ct),), MinijaxTypeError, "a cotangent of type f32[] for argument 0"),
    (lambda x: (x, x), lambda r, ct: (INTS,), MinijaxTypeError, "type f32[3]"),
    (lambda x: (x, x), lambda r, ct: ((ct,),), TreeError, "a cotangent of structure PyTreeDef((*,)) for argument 0"),
    (lambda x: (x, x), lambda r, ct: ("text",), MinijaxTypeError, "'text' of type str"),
], ids=["fwd", "no tuple", "count", "shape", "dtype", "tree", "text"])
def test_vjp_rules(fwd, bwd, kind, words, mode):
    with mistake(kind, words):
        MODES[mode](with_vjp(fwd, bwd))(X)


@pytest.mark.parametrize("mode", list(MODES))
def test_rules_that_cannot_be_called(mode):
    for f in (with_jvp(lambda p: p), with_vjp(lambda x, y: (x, x), lambda r, ct: (ct,)),
              with_vjp(lambda x: (x, x), lambda r: (r,))):
        with mistake(MinijaxTypeError, " rule of twice (", "test_errors_custom.py:", "arguments that do not fit"):
            MODES[mode](f)(X)
    assert np.allclose(mj.grad(lambda x: jnp.sum(x * x))(X), 2 * X)


def test_functions_without_rules():
    with mistake(MinijaxTypeError, "The custom_jvp function f has no rule yet", "f.defjvp(rule)"):
        mj.custom_jvp(_named_f)(X)
    with mistake(MinijaxTypeError, "The custom_vjp function f has no rule yet", "f.defvjp(fwd, bwd)"):
        mj.custom_vjp(_named_f)(X)
    for wrong in (3, None, "rule"):
        with mistake(MinijaxTypeError, "takes a function"):
            mj.custom_jvp(_named_f).defjvp(wrong)
        with mistake(MinijaxTypeError, "takes a function"):
            mj.custom_vjp(_named_f).defvjp(wrong, _named_f)


def _named_f(x):
    return x


_named_f.__name__ = "f"


def test_a_reverse_rule_has_no_forward_mode():
    f = with_vjp(lambda x: (x, x), lambda r, ct: (ct,))
    with mistake(MinijaxTypeError, "jvp of a custom_vjp function", "custom_jvp"):
        mj.jvp(f, (X,), (X,))
    with mistake(MinijaxTypeError, "jvp of a custom_vjp function"):
        mj.jacfwd(f)(X)


def test_nondiff_argnums():
    f = mj.custom_jvp(lambda x: x, nondiff_argnums=(5,))
    f.defjvp(lambda n, p, t: (p[0], t[0]))
    with mistake(MinijaxValueError, "asks for argument 5"):
        graded(f)(X)
    with mistake(MinijaxTypeError, "nondiff_argnums"):
        mj.custom_jvp(lambda x: x, nondiff_argnums="x")


def test_captured_values():
    def outer(scale):
        f = mj.custom_vjp(lambda x: x * scale)
        f.defvjp(lambda x: (x * scale, ()), lambda r, ct: (ct,))
        return jnp.sum(f(X))

    with mistake(MinijaxTypeError, "captures a value that is being differentiated", "Pass the value as an argument"):
        mj.jit(mj.grad(outer))(2.0)


def test_arguments_of_custom_functions():
    f = with_jvp(lambda p, t: (p[0], t[0]))
    with mistake(MinijaxTypeError, "argument x is 'text' of type str"):
        mj.jit(lambda x: f("text"))(X)
    with mistake(ShapeError, "(3,), (2, 2)", "test_errors_custom.py"):
        mj.vmap(lambda x: f(x) + np.ones((2, 2), np.float32))(M)
