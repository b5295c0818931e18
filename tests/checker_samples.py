"""Samples for the rule checker, by op: the cases of tests/cases, without their oracles, and those of other ops."""

import dataclasses
import importlib
import pkgutil

import ml_dtypes
import numpy as np

import tests.cases
from minijax.testing import Sample
from minijax.testing.report import CHECKS
from minijax.testing.samples import over_axis
from minijax.ops import special
from minijax.ops.arithmetic import nextafter_p
from minijax.ops.generators import rng_bit_generator_p
from minijax.ops.conversion import bitcast_convert_type_p, convert_element_type_p, reduce_precision_p
from minijax.ops.solving import cholesky_update_p
from minijax.ops.spectral import eigh_p
from tests.cases import array
from tests.checker_programs import callback_samples, collective_samples, held_samples, key_samples, placement_samples

LONG = (special.igamma_p, special.igammac_p, special.igamma_grad_a_p, special.random_gamma_grad_p)  # to compile
BITS = (bitcast_convert_type_p, nextafter_p)  # to rounding, every result would be right
CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


def drawn_from_first(keys):
    """What a batch of keys draws: all from its first key, which alone moves on."""
    key, bits = rng_bit_generator_p.eval(keys[0], **{**WORDS, "shape": (3, *WORDS["shape"])})
    return np.concatenate([key[None], keys[1:]]), bits


WORDS = {"shape": (2,), "dtype": np.dtype("uint32"), "algorithm": "default"}
FROM_FIRST_KEY = Sample((array((3, 4), "uint32", 0, 99),), WORDS, around=over_axis("keys", 3), loops=False,
                        meaning=drawn_from_first)


def sample_of(case):
    """A case as a sample."""
    return Sample(case.args, case.params, case.smooth, case.rtol, getattr(case, "wrt", None),
                  getattr(case, "loops", True))


def upper(t):
    """The direction along which a triangular factor can move, of a matrix; any, of a vector."""
    return np.triu(t) if np.ndim(t) == 2 else t


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
    samples[cholesky_update_p] = [dataclasses.replace(each, wrt=None, smooth=True, along=upper)
                                  if each.args[0].ndim == 2 else each for each in samples[cholesky_update_p]]
    for op in (special.zeta_p, special.igamma_grad_a_p, special.random_gamma_grad_p):  # JAX has no derivative of these
        samples[op] = [dataclasses.replace(sample, wrt=(1,)) for sample in samples[op]]
    samples[rng_bit_generator_p].append(FROM_FIRST_KEY)
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
    "pvary": ({"inside"}, "its cotangents are of another type outside than on the devices"),
    "reduce_window_max": ({"complex"}, "derivatives of real numbers only"),
    "reduce_window_min": ({"complex"}, "derivatives of real numbers only"),
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


def all_samples():
    """Some samples of every op: those of its cases, or else those made for it alone."""
    of_cases = {op: few(samples, 2 if op in LONG else 4) for op, samples in samples_by_op().items()}
    return of_cases | held_samples() | collective_samples() | callback_samples() | key_samples() | placement_samples()
