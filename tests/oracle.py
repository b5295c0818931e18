"""Hold an op against its JAX counterpart: value, jvp, vjp and every pattern of batching."""

from __future__ import annotations

import itertools

import jax
import numpy as np

from minijax import config
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import evaluate_numpy
from minijax.interpreters.transpose import transpose_tape
from minijax.ir.types import zero
from minijax.lowering import install
from minijax.lowering.table import apply_rule
from minijax.lowering.values import to_device
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof

install()


def words(x):
    """A value as plain NumPy, keys as their words."""
    array = np.asarray(x)
    return array[array.dtype.names[0]] if array.dtype.names else array


def close(ours, theirs, context=""):
    """Both values agree, to rounding in floats."""
    theirs = jax.random.key_data(theirs) if jax.dtypes.issubdtype(theirs.dtype, jax.dtypes.prng_key) else theirs
    ours, theirs = words(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (context, ours, theirs)
    if ours.dtype.kind in "fcV":
        wide = np.complex128 if ours.dtype.kind == "c" else np.float64
        np.testing.assert_allclose(ours.astype(wide), theirs.astype(wide), rtol=2e-5, atol=1e-5, err_msg=str(context))
    else:
        np.testing.assert_array_equal(ours, theirs, err_msg=str(context))


def check_value(op, args, params):
    """XLA's value and NumPy's are JAX's, and of the type that the op infers."""
    theirs = apply_rule(op, [to_device(x) for x in args], params)
    types = op.infer(tuple(typeof(x) for x in args), params)
    for evaluator in (lambda: op.bind(*args, **params), lambda: evaluate_numpy(op, tuple(args), params)):
        for ours, jax_value, type in zip(evaluator(), theirs, types, strict=True):
            assert typeof(ours) == type, (typeof(ours), type)
            close(ours, jax_value, op)


def random_tangents(args, seed=0):
    """A tangent for each floating-point argument, `zero` for the others."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=x.shape).astype(x.dtype) if x.dtype.kind in "fc" else zero for x in args]


def jax_derivatives(op, args, params, floats):
    """JAX's jvp and vjp of an op by its floating-point arguments, compiled once."""
    def function(*xs):
        return apply_rule(op, [dict(zip(floats, xs, strict=True)).get(i, x) for i, x in enumerate(args)], params)

    primals = [args[i] for i in floats]
    forward = jax.jit(lambda ts: jax.jvp(function, primals, ts)[1])
    return forward, jax.jit(lambda cts: jax.vjp(function, *primals)[1](cts))


def check_derivatives(op, args, params):
    """jvp and vjp agree with JAX's, for each choice of differentiated arguments."""
    tangents = random_tangents(args)
    floats = [i for i, t in enumerate(tangents) if t is not zero]
    forward, backward = jax_derivatives(op, args, params, floats)
    cts = random_tangents([words(out) for out in op.bind(*args, **params)], 1)
    every_ct = backward(tuple(cts)) if floats else ()
    for chosen in itertools.chain.from_iterable(itertools.combinations(floats, n + 1) for n in range(len(floats))):
        def function(*xs):
            return op.bind(*xs, **params)

        expected = forward([tangents[i] if i in chosen else np.zeros_like(args[i]) for i in floats])
        with config.override("evaluator", "numpy"):
            ours = [t if i in chosen else zero for i, t in enumerate(tangents)]
            values, values_t = jvp_flat(function, args, ours)
            found_t = [words(instantiate(t, x)) for t, x in zip(values_t, values, strict=True)]
            _, tape = linearize_flat(function, args, [i in chosen for i in range(len(args))])
            found = [words(zeros_of(typeof(args[i])) if ct is zero else ct)
                     for i, ct in zip(chosen, transpose_tape(tape, cts), strict=True)]
        for value_t, out_t in zip(found_t, expected, strict=True):
            close(value_t, out_t, ("jvp", op, chosen))
        for i, ct in zip(chosen, found, strict=True):
            close(ct, every_ct[floats.index(i)], ("vjp", op, chosen))


def check_batching(op, args, params, size=3, seed=0):
    """Every choice of batched arguments equals a loop, with the batch axes anywhere."""
    rng = np.random.default_rng(seed)
    for chosen in itertools.product((False, True), repeat=len(args)):
        if not any(chosen):
            continue
        stacks = [[perturbed(x, rng) for _ in range(size)] if c else x for c, x in zip(chosen, args, strict=True)]
        places = [int(rng.integers(x.ndim + 1)) if c else None for c, x in zip(chosen, args, strict=True)]
        batched = [np.stack(s, p) if c else s for c, s, p in zip(chosen, stacks, places, strict=True)]
        with config.override("evaluator", "numpy"):
            outs, out_axes = batch_flat(lambda *xs: op.bind(*xs, **params), size, batched, places)
            outs = [words(place_axis(out, size, axis, 0)) for out, axis in zip(outs, out_axes, strict=True)]
            loop = [op.bind(*[s[i] if c else s for c, s in zip(chosen, stacks, strict=True)], **params)
                    for i in range(size)]
        for k, out in enumerate(outs):
            np.testing.assert_allclose(out, np.stack([words(each[k]) for each in loop]), rtol=1e-5, atol=1e-6,
                                       err_msg=f"{op} {chosen} {places}")


def perturbed(x, rng):
    """Another value of the type of `x` with like contents: its elements in another order."""
    flat = x.reshape(-1)
    return flat[rng.permutation(flat.size)].reshape(x.shape)


def check_op(op, args, **params):
    """Everything above, for arguments that are NumPy arrays."""
    args = [np.asarray(x) for x in args]
    check_value(op, args, params)
    if all(x.dtype.names is None for x in args):
        check_derivatives(op, args, params)
    check_batching(op, args, params)
