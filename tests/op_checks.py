"""What must hold for an op at one list of arguments: each `check_*` takes a `Case` and raises `AssertionError`.

Our side runs on the NumPy evaluator, JAX's eagerly: nothing is compiled but JAX's own kernels.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np

from minijax import config
from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import evaluate_numpy
from minijax.interpreters.transpose import transpose_tape
from minijax.ir import dtypes
from minijax.ir.types import zero
from minijax.lowering import install
from minijax.lowering.table import apply_rule
from minijax.ops.structural import zeros_of
from minijax.testing.report import run_check
from minijax.tracing.array import typeof
from tests.checker_samples import left_out, sample_of

install()
TOLERANCE = {"bfloat16": 3e-2, "float16": 6e-3, "float32": 3e-5, "complex64": 1e-4, "float64": 1e-10,
             "complex128": 1e-9}


def on_numpy(check):
    """Run a check with the NumPy evaluator, without NumPy's and JAX's warnings on special values."""
    def checked(case):
        with config.override("evaluator", "numpy"), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check(case)

    checked.__name__ = check.__name__
    return checked


def close(ours, theirs, rtol=None, what=""):
    """Two values agree in shape, dtype and, to rounding, in elements."""
    ours, theirs = np.asarray(ours, typeof(ours).dtype), np.asarray(jnp.asarray(theirs))
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), (what, ours, theirs)
    if not dtypes.is_inexact(ours.dtype):
        np.testing.assert_array_equal(ours, theirs, err_msg=what)
        return
    wide = np.complex128 if ours.dtype.kind == "c" else np.float64
    rtol = rtol or TOLERANCE[ours.dtype.name]
    np.testing.assert_allclose(ours.astype(wide), theirs.astype(wide), rtol=rtol, atol=rtol, err_msg=what)


def function(case):
    """The case's op as a function of flat values."""
    return lambda *xs: case.op.bind(*xs, **case.params)


def oracle(case):
    """JAX's function of the arguments; always a tuple of results."""
    def of_tuple(*xs):
        outs = case.oracle(*xs, **case.params)
        return tuple(outs) if isinstance(outs, (tuple, list)) else (outs,)

    return of_tuple


def random_like(x, seed):
    """A tangent of the type of `x`, or `zero` if it has none."""
    type = typeof(x)
    if not type.differentiable:
        return zero
    rng = np.random.default_rng(seed)
    values = rng.normal(size=type.shape) + (1j * rng.normal(size=type.shape) if dtypes.is_complex(type.dtype) else 0)
    return float(values) if isinstance(x, float) else np.asarray(values).astype(type.dtype)


def tangents_of(case):
    """A tangent for each argument, `zero` where there is none."""
    return [random_like(x, i) if case.wrt is None or i in case.wrt else zero for i, x in enumerate(case.args)]


def choices(case):
    """Sets of arguments to differentiate at once: all, and each one alone."""
    floats = [i for i, t in enumerate(tangents_of(case)) if t is not zero]
    return [tuple(floats), *[(i,) for i in floats if len(floats) > 1]] if floats else []


def of_chosen(f, args, chosen):
    """`f` as a function of the chosen arguments, the others fixed."""
    return lambda *xs: f(*[dict(zip(chosen, xs, strict=True)).get(i, x) for i, x in enumerate(args)])


def at_once(case, f):
    """JAX's side as one kernel, where the derivative of the op is many; else op by op, whose kernels cases share."""
    return f if "elementwise" in case.op.traits else jax.jit(f)


# ---- type, value, lowering

@on_numpy
def check_type(case):
    """The op infers the types that JAX infers, weakness of numbers included."""
    ours = case.op.infer(tuple(typeof(x) for x in case.args), case.params)
    theirs = jax.eval_shape(oracle(case), *case.args)

    def facts(types):
        return [(t.shape, t.dtype, t.weak_type and t.dtype != bool) for t in types]

    assert facts(ours) == facts(theirs)


@on_numpy
def check_eval(case):
    """The NumPy meaning gives JAX's values."""
    for ours, theirs in zip(evaluate_numpy(case.op, case.args, case.params), oracle(case)(*case.args), strict=True):
        close(ours, theirs, case.rtol, "value")


@on_numpy
def check_lowering(case):
    """The lowering gives the very program that JAX's function gives, or at least its values."""
    def program(f):
        def lowered(*xs):
            return f(*xs)

        return jax.jit(lowered).lower(*case.args).as_text()

    def ours(*xs):
        return apply_rule(case.op, xs, case.params)

    if case.same_hlo:
        assert program(ours) == program(oracle(case))
        return
    for mine, theirs in zip(ours(*case.args), oracle(case)(*case.args), strict=True):
        close(mine, theirs, case.rtol, "lowered value")


# ---- derivatives

@on_numpy
def check_jvp(case):
    """Forward derivatives are JAX's, for all arguments at once and each alone."""
    tangents = tangents_of(case)
    for chosen in choices(case):
        f = of_chosen(oracle(case), case.args, chosen)
        pushed = at_once(case, lambda xs, ts, f=f: jax.jvp(f, xs, ts)[1])
        theirs = pushed([case.args[i] for i in chosen], [tangents[i] for i in chosen])
        outs, ours = jvp_flat(function(case), case.args, [t if i in chosen else zero for i, t in enumerate(tangents)])
        for out, mine, other in zip(outs, ours, theirs, strict=True):
            if not typeof(out).differentiable:
                assert mine is zero
                continue
            close(instantiate(mine, out), other, case.rtol, f"jvp {chosen}")


def vjp(f, args, chosen, cts):
    """Cotangents of the chosen arguments, by linearize and transpose."""
    outs, tape = linearize_flat(f, args, [i in chosen for i in range(len(args))])
    found = transpose_tape(tape, cts)
    return [zeros_of(typeof(args[i])) if ct is zero else ct for i, ct in zip(chosen, found, strict=True)]


@on_numpy
def check_vjp(case):
    """Reverse derivatives are JAX's, for all arguments at once and each alone."""
    for chosen in choices(case):
        f = of_chosen(oracle(case), case.args, chosen)
        types = case.op.infer(tuple(typeof(x) for x in case.args), case.params)
        cts = [random_like(np.zeros(t.shape, t.dtype), 7 + i) for i, t in enumerate(types)]
        floats = tuple(np.zeros(t.shape, jax.dtypes.float0) if ct is zero else ct
                       for t, ct in zip(types, cts, strict=True))
        pulled = at_once(case, lambda *xs, f=f, floats=floats: jax.vjp(f, *xs)[1](floats))
        theirs = pulled(*[case.args[i] for i in chosen])
        for mine, other in zip(vjp(function(case), case.args, chosen, cts), theirs, strict=True):
            close(mine, other, case.rtol, f"vjp {chosen}")


@on_numpy
def check_second_order(case):
    """Where the op is smooth, the forward derivative of its reverse derivative is JAX's."""
    types = [typeof(x) for x in case.args]
    narrow = any(t.dtype.name in ("bfloat16", "float16") for t in types)
    if not case.smooth or narrow or not all(t.differentiable for t in case.op.infer(tuple(types), case.params)):
        return
    for chosen in choices(case)[:1]:
        primals, tangents = [case.args[i] for i in chosen], [tangents_of(case)[i] for i in chosen]
        f, g = of_chosen(oracle(case), case.args, chosen), of_chosen(function(case), case.args, chosen)
        cts = tuple(random_like(np.asarray(out), 7 + i) for i, out in enumerate(g(*primals)))
        every = tuple(range(len(chosen)))
        pulled = at_once(case, lambda xs, ts: jax.jvp(lambda *xs: jax.vjp(f, *xs)[1](cts), xs, ts)[1])
        theirs = pulled(primals, tangents)
        ours = jvp_flat(lambda *xs: vjp(g, xs, every, cts), primals, tangents)
        for value, mine, other in zip(*ours, theirs, strict=True):
            close(instantiate(mine, value), other, case.rtol, "second order")


def widened(x):
    """`x` in double precision."""
    x = np.asarray(x)
    return x.astype({"float32": "float64", "complex64": "complex128"}.get(x.dtype.name, x.dtype))


# ---- what needs no JAX: the rule checker's

def by_checker(name):
    """A check of the rule checker as one of a case, unless the op does not pass it on purpose."""
    def check(case):
        if name not in left_out(case.op):
            failure = run_check(case.op, name, sample_of(case), str(case))
            assert failure is None, str(failure)

    check.__name__ = f"check_{name.replace(' ', '_')}"
    return check


check_numerically, check_batch, check_batched_derivatives = map(by_checker, (
    "differences", "batch", "batched derivatives"))
CHECKS = (check_type, check_eval, check_lowering, check_jvp, check_vjp, check_second_order, check_numerically,
          check_batch, check_batched_derivatives)
