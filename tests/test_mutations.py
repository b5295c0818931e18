"""Planted wrong rules, one after the other: the rule checker sees 99 of 100.

A mutant that never changes a value at any sample (a flipped axis of equal elements, a sum over one element) is
equivalent to the rule, and not counted; nor are swapped operands of a commutative op made.
"""

import pytest

from minijax import config
from minijax.testing import check_op, mutants, planted
from tests.checker_samples import checks_of, few, held_samples, samples_by_op

CHECKS_OF_RULE = {
    "eval": ("type", "staged", "backend", "differences"),
    "jvp": ("differences", "reverse", "kinks", "batched derivatives"),
    "linearize": ("reverse", "batched derivatives"),
    "transpose": ("transpose", "reverse", "batched derivatives"),
    "batch": ("batch", "batched derivatives"),
}
SAMPLES = {op: few(samples, 4) for op, samples in samples_by_op().items()} | held_samples()
LEAST = 4  # mutants of an op: there are fewest of one without derivative and operands
SURVIVORS = {  # seen at complex samples only, where differences are no help: singular vectors have any phase
    "eigh.jvp: conj number 1 done wrongly", "eigh.jvp: mul number 1 done wrongly",
    "eigh.jvp: sub number 1 done wrongly", "svd.jvp: sub number 1 done wrongly"}


def faulty(op, checks):
    """Whether the checker finds fault with the op, at its few samples."""
    return not check_op(op, SAMPLES[op], checks=checks_of(op, checks), with_variants=False, first=True,
                        raise_error=False).ok


@pytest.mark.parametrize("op", SAMPLES, ids=str)
def test_wrong_rules_are_caught(op):
    caught, survived = [], []
    with config.override("check", False):
        operands = max(len(sample.args) for sample in SAMPLES[op])
        for mutant in mutants(op, operands, lambda: faulty(op, ("reverse", "transpose", "batch"))):
            with planted(mutant) as seen:
                if faulty(op, CHECKS_OF_RULE[mutant.rule]):
                    caught.append(str(mutant))
                elif seen.differs:
                    survived.append(str(mutant))
    print(f"{op}: {len(caught)} caught", *survived, sep="\n  survived: ")
    assert set(survived) <= SURVIVORS and len(caught) >= LEAST
    assert not faulty(op, ("differences", "reverse", "transpose", "batch"))


def test_there_are_many():
    assert len(SAMPLES) * LEAST >= 500 >= 100 * len(SURVIVORS)
