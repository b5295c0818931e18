"""Samples for the rule checker: the cases of tests/cases, without their oracles, by op."""

import dataclasses
import importlib
import pkgutil

import ml_dtypes
import numpy as np

import minijax
import minijax.numpy as jnp
import tests.cases
from minijax import config, lax
from minijax.testing import Sample, harvest
from minijax.testing.checks import CHECKS
from minijax.ops.arithmetic import nextafter_p
from minijax.ops.conversion import bitcast_convert_type_p, convert_element_type_p, reduce_precision_p
from minijax.ops.spectral import eigh_p
from tests.cases import array

BITS = (bitcast_convert_type_p, nextafter_p)  # to rounding, every result would be right
CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


def sample_of(case):
    """A case as a sample."""
    return Sample(case.args, case.params, case.smooth, case.rtol, getattr(case, "wrt", None),
                  getattr(case, "loops", True))


def symmetric(sample):
    """A sample of matrices of which the lower triangle is read; the derivative holds along symmetric directions."""
    def half_sum(x):
        return (x + np.swapaxes(x, -1, -2)) / 2

    x = half_sum(sample.args[0])
    return dataclasses.replace(sample, args=(x + np.triu(x, 1),), smooth=True, along=half_sum)


def few(samples, limit=6):
    """Some samples of an op, small ones first: of each kind of dtypes, ranks and smoothness one, then others."""
    found = {}
    for number, sample in enumerate(sorted(samples, key=lambda sample: sum(np.size(x) for x in sample.args) > 40)):
        kind = (sample.smooth, tuple((np.ndim(x), np.asarray(x).dtype.kind) for x in sample.args),
                str(sample.params.get("new_dtype")))
        found.setdefault(kind, []).append((len(found.get(kind, ())), number, sample))
    ordered = sorted((each for kind in found.values() for each in kind), key=lambda each: (
        each[0], not each[2].smooth, each[1]))
    return [sample for _, _, sample in ordered[:limit]]


def samples_by_op():
    """Samples of every op that has cases."""
    found = {}
    for case in CASES:
        found.setdefault(case.op, []).append(case)
    samples = {op: [sample_of(case) for case in cases] for op, cases in found.items()}
    for op in BITS:
        samples[op] = [dataclasses.replace(sample, rtol=0.0) for sample in samples[op]]
    samples[eigh_p] = [symmetric(each) if each.args[0].dtype == np.float32 else each for each in samples[eigh_p]]
    samples[convert_element_type_p] += [
        Sample((array((2, 3)),), {"new_dtype": dtype, "weak_type": False})
        for dtype in (np.dtype("float32"), np.dtype("complex64"), np.dtype(ml_dtypes.bfloat16))]
    samples[reduce_precision_p] = [Sample((array((2, 3)),), {"exponent_bits": 11, "mantissa_bits": 52})]
    return samples


# Checks and variants that an op does not pass on purpose, and why.
CONVENTIONS = {
    "clamp": ({"complex"}, "complex numbers by their real parts, without derivative"),
    "eig": ({"complex"}, "eigenvectors have any phase"),
    "eigh": ({"kinks", "complex"}, "reads one triangle; eigenvectors have any phase"),
    "nextafter": ({"kinks"}, "no derivative"),
    "reduce_window_max": ({"complex"}, "derivatives of real numbers only"),
    "reduce_window_min": ({"complex"}, "derivatives of real numbers only"),
    "rng_bit_generator": ({"empty batch"}, "draws from the key of the first example"),
    "sign": ({"complex"}, "no derivative, not even of complex numbers"),
    "stop_gradient": ({"kinks"}, "no derivative"),
    "svd": ({"complex"}, "singular vectors have any phase"),
    "top_k": ({"kinks"}, "of equal elements, the first has the derivative"),
}


def left_out(op):
    """Names of the checks and variants that an op need not pass."""
    return CONVENTIONS.get(op.name, (set(),))[0]


def checks_of(op, names=tuple(CHECKS)):
    """Names of the checks that an op has to pass."""
    return tuple(name for name in names if name not in left_out(op))


def variants_of(op):
    """Names of the variants that an op has to pass."""
    return tuple({"bfloat16", "complex", "0-d", "broadcast"} - left_out(op))


# ---- ops that hold programs: harvested

X = array((3,), "float64")


@minijax.custom_jvp
def cubed(x):
    return x ** 3


cubed.defjvp(lambda primals, tangents: (primals[0] ** 3, 3 * primals[0] ** 2 * tangents[0]))

PROGRAMS = (
    (lambda x: minijax.jit(lambda y: jnp.sin(y) * x)(2.0 * x), X),
    (lambda x: lax.cond(x[0] > 0, jnp.sin, lambda y: y * x[1], x), X),
    (lambda x: lax.cond(x[0] < 0, jnp.sin, lambda y: y * x[1], x), X),
    (lambda i, x: lax.switch(i, [jnp.sin, lambda y: y * y, lambda y: y[::-1]], x), np.int32(1), X),
    (lambda x: lax.scan(lambda c, a: (c * jnp.cos(a), c + a), x[0], x), X),
    (lambda x: lax.scan(lambda c, a: (c * a, (c, jnp.sin(a))), x, np.array([0.7, 1.0, 0.5]), reverse=True), X),
    (lambda x: lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, jnp.sin(s[1]) * 2.0), (0, x)), X),
    (lambda x: minijax.checkpoint(lambda y: jnp.sin(jnp.sin(y)))(x), X),
    (lambda x: cubed(x), X),
    (lambda x: lax.custom_linear_solve(lambda v: 3.0 * v, x, lambda f, b: b / 3.0, symmetric=True), X),
    (lambda x: lax.reduce((x, jnp.sin(x)), (1.0, 0.0), lambda a, b: (a[0] * b[0], a[1] + b[1]), (0,)), X),
)


def held_samples():
    """Samples of the ops that hold programs, by op."""
    found = {}
    with config.override("jax_enable_x64", True), config.override("evaluator", "numpy"):
        for function, *args in PROGRAMS:
            for op, sample in harvest(function, *args):
                if sample.holds_programs:
                    found.setdefault(op, []).append(sample)
    return found
