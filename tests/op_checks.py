"""What must hold for an op at one list of arguments: each `check_*` takes a `Case` and raises `AssertionError`.

Our side runs on the NumPy evaluator, JAX's eagerly: nothing is compiled but JAX's own kernels.
"""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np

from minijax.config import config
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import evaluate_numpy
from minijax.interpreters.transpose import transpose_tape
from minijax.ir import dtypes
from minijax.ir.types import zero
from minijax.lowering import install
from minijax.lowering.table import apply_rule
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof

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


@on_numpy
def check_numerically(case):
    """Where the op is smooth, central differences of the NumPy meaning agree with the forward derivative."""
    if not case.smooth or any(typeof(x).dtype.name in ("bfloat16", "float16") for x in case.args) or not choices(case):
        return
    tangents = tangents_of(case)
    outs, ours = jvp_flat(function(case), case.args, tangents)
    steps = [0 if t is zero else 1e-6 * widened(t) for t in tangents]

    def at(sign):
        moved = [widened(x) + sign * h if np.any(h) else widened(x) for x, h in zip(case.args, steps, strict=True)]
        return case.op.eval(*moved, **case.params)

    for out, t, high, low in zip(outs, ours, at(1), at(-1), strict=True):
        if typeof(out).differentiable:
            np.testing.assert_allclose(np.asarray(instantiate(t, out)), (high - low) / 2e-6, rtol=2e-3, atol=2e-3)


# ---- batching

def example(x, number):
    """One of several examples of the type of `x`."""
    array = np.asarray(x)
    if dtypes.is_inexact(array.dtype):
        return array * array.dtype.type(1 - number / 16)
    if array.dtype == bool and not array.shape:
        return np.asarray(number % 2 == 0)
    return np.roll(array, number)


def patterns(case):
    """Places of the batch axis for each argument: none, first, last; at least one is batched."""
    for axes in itertools.product(*[(None, 0, np.ndim(x)) if np.ndim(x) else (None, 0) for x in case.args]):
        if any(axis is not None for axis in axes):
            yield axes


def batches(case, axes, size):
    """Batched arguments and the arguments of each example."""
    stacked = [x if a is None else np.stack([example(x, i) for i in range(size)], a)
               for x, a in zip(case.args, axes, strict=True)]
    return stacked, [[x if a is None else example(x, i) for x, a in zip(case.args, axes, strict=True)]
                     for i in range(size)]


def vmapped(f, axes, size):
    """`f` over batches: results have the batch axis in front."""
    def over_batches(*xs):
        outs, places = batch_flat(f, size, xs, axes)
        return [place_axis(x, size, axis, 0) for x, axis in zip(outs, places, strict=True)]

    return over_batches


@on_numpy
def check_batch(case):
    """Batching equals a loop over examples, whichever arguments are batched and along whichever axis."""
    size = 3
    for axes in patterns(case) if case.loops else ():
        stacked, examples = batches(case, axes, size)
        ours = vmapped(function(case), axes, size)(*stacked)
        loop = [function(case)(*args) for args in examples]
        for k, mine in enumerate(ours):
            close(mine, np.stack([np.asarray(outs[k]) for outs in loop]), case.rtol, f"batch {axes}")


@on_numpy
def check_batched_derivatives(case):
    """vmap of jvp equals jvp of vmap, and the vjp of vmap the sum or stack of those of the examples."""
    size, axes = 2, tuple(0 for _ in case.args)
    for chosen in choices(case)[:1]:
        stacked, examples = batches(case, axes, size)
        tangents = [random_like(x, i) if i in chosen else zero for i, x in enumerate(stacked)]
        over = vmapped(function(case), axes, size)
        outs, of_batch = jvp_flat(over, stacked, tangents)

        def pushed(*xs):
            primals, ts = xs[:len(case.args)], dict(zip(chosen, xs[len(case.args):], strict=True))
            outs, found = jvp_flat(function(case), primals, [ts.get(i, zero) for i in range(len(primals))])
            return [instantiate(t, out) for t, out in zip(found, outs, strict=True) if typeof(out).differentiable]

        batch_of = vmapped(pushed, (*axes, *[0 for _ in chosen]), size)(*stacked, *[tangents[i] for i in chosen])
        smooth = [instantiate(t, out) for t, out in zip(of_batch, outs, strict=True) if typeof(out).differentiable]
        for mine, other in zip(smooth, batch_of, strict=True):
            close(mine, other, case.rtol, "jvp of vmap")
        cts = [random_like(out, 7 + i) for i, out in enumerate(outs)]
        found = vjp(over, stacked, chosen, cts)
        for number, args in enumerate(examples):
            own = [ct if ct is zero else ct[number] for ct in cts]
            for mine, other in zip(found, vjp(function(case), args, chosen, own), strict=True):
                close(np.asarray(mine)[number], other, case.rtol, "vjp of vmap")


CHECKS = (check_type, check_eval, check_lowering, check_jvp, check_vjp, check_second_order, check_numerically,
          check_batch, check_batched_derivatives)
