"""Planted wrong rules: at least 500, one after the other, of which the rule checker sees 99 of 100.

A mutant that never changes a value at any sample (swapped operands of a commutative op, a flipped axis of equal
elements, a sum over one element) is equivalent to the rule, and not counted.
"""

import collections

import pytest

from minijax.config import config
from minijax.testing import check_op, mutants, planted
from tests.checker_samples import checks_of, few, held_samples, samples_by_op

CHECKS_OF_RULE = {
    "eval": ("type", "backend", "differences"),
    "jvp": ("differences", "reverse", "kinks", "batched derivatives"),
    "linearize": ("reverse", "batched derivatives"),
    "transpose": ("transpose", "reverse", "batched derivatives"),
    "batch": ("batch", "batched derivatives"),
}
SAMPLES = {op: few(samples, 5) for op, samples in samples_by_op().items()} | held_samples()
COUNTS = collections.Counter()
SURVIVORS = []


def run(op, checks):
    """Whether the checker finds fault with the op, at its few samples."""
    return not check_op(op, SAMPLES[op], checks=checks_of(op, checks), with_variants=False, first=True,
                        raise_error=False).ok


@pytest.mark.parametrize("op", SAMPLES, ids=str)
def test_wrong_rules_are_caught(op):
    with config.override("check", False):
        operands = max(len(sample.args) for sample in SAMPLES[op])
        for mutant in mutants(op, operands, lambda: run(op, ("reverse", "transpose", "batch"))):
            with planted(mutant) as seen:
                caught = run(op, CHECKS_OF_RULE[mutant.rule])
            COUNTS["caught" if caught else "survived" if seen.differs else "equivalent"] += 1
            if not caught and seen.differs:
                SURVIVORS.append(str(mutant))
    assert not run(op, ("differences", "reverse", "transpose", "batch"))


def test_almost_all_of_many_are_caught():
    print(*SURVIVORS, sep="\n")
    print(dict(COUNTS))
    if len(SAMPLES) > 1 and COUNTS:
        assert COUNTS["caught"] >= 500 and COUNTS["survived"] <= 0.01 * COUNTS["caught"], SURVIVORS
