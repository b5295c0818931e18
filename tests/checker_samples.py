"""Samples for the rule checker: the cases of tests/cases, without their oracles, by op."""

import dataclasses
import importlib
import pkgutil

import numpy as np

import tests.cases
from minijax.testing import Sample
from minijax.testing.checks import CHECKS
from minijax.ops.arithmetic import nextafter_p
from minijax.ops.conversion import bitcast_convert_type_p, reduce_precision_p
from tests.cases import array

BITS = (bitcast_convert_type_p, nextafter_p)  # to rounding, every result would be right
CASES = [case for module in pkgutil.iter_modules(tests.cases.__path__, "tests.cases.")
         for case in importlib.import_module(module.name).CASES]


def sample_of(case):
    """A case as a sample."""
    return Sample(case.args, case.params, case.smooth, case.rtol, getattr(case, "wrt", None),
                  getattr(case, "loops", True))


def few(samples, limit=6):
    """Some samples of an op, small ones first: of each kind of dtypes, ranks and smoothness one, then others."""
    found = {}
    for number, sample in enumerate(sorted(samples, key=lambda sample: sum(np.size(x) for x in sample.args) > 40)):
        kind = (sample.smooth, tuple((np.ndim(x), np.asarray(x).dtype.kind) for x in sample.args),
                str(sample.params.get("new_dtype")))
        found.setdefault(kind, []).append((len(found.get(kind, ())), number, sample))
    ordered = sorted((each for kind in found.values() for each in kind), key=lambda each: each[:2])
    return [sample for _, _, sample in ordered[:limit]]


def samples_by_op():
    """Samples of every op that has cases."""
    found = {}
    for case in CASES:
        found.setdefault(case.op, []).append(case)
    samples = {op: [sample_of(case) for case in cases] for op, cases in found.items()}
    for op in BITS:
        samples[op] = [dataclasses.replace(sample, rtol=0.0) for sample in samples[op]]
    samples[reduce_precision_p] = [Sample((array((2, 3)),), {"exponent_bits": 11, "mantissa_bits": 52})]
    return samples


# Checks that an op does not pass on purpose, and why.
CONVENTIONS = {
    "nextafter": ("kinks", "no derivative"),
    "sign": ("differences", "no derivative, not even of complex numbers"),
    "stop_gradient": ("kinks", "no derivative"),
}


def checks_of(op, names=tuple(CHECKS)):
    """Names of the checks that an op has to pass."""
    return tuple(name for name in names if name not in CONVENTIONS.get(op.name, ()))
