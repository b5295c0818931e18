"""vmap over no examples: every op, at every case of tests/cases, has results of the types that it has for some."""

import numpy as np

import minijax
from minijax import config
from minijax.tracing.array import typeof
from tests.checker_samples import CASES

UNLIKE = {"rng_bit_generator"}  # its batch draws from the first key


def test_no_examples():
    """With every argument batched, and with each one alone."""
    with config.override("evaluator", "numpy"), config.override("check", False):
        for case in CASES:
            wanted = [(0, *t.shape) for t in case.op.infer(tuple([typeof(x) for x in case.args]), case.params)]
            alone = [tuple([0 if i == j else None for i in range(len(case.args))]) for j in range(len(case.args))]
            for axes in {(0,) * len(case.args), *alone} if case.op.name not in UNLIKE and case.args else ():
                args = [np.zeros((0, *np.shape(x)), np.asarray(x).dtype) if axis == 0 else x
                        for x, axis in zip(case.args, axes, strict=True)]
                outs = minijax.vmap(lambda *xs, case=case: case.op.bind(*xs, **case.params), axes)(*args)
                assert [np.shape(x) for x in outs] == wanted, (case.op.name, axes)
