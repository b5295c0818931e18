"""docs/coverage.md is of today and full: every rule of every op is proven by the checker, or absent by the op's nature.

That its lines are what the checker finds today, tests/test_op_checker.py says, op by op.
"""

import jax
import pytest

from minijax.testing.proofs import HOLE, NATURE, PROVED_BY
from tests.checker_samples import CASES, all_samples
from tools import coverage

ROWS = coverage.rows_in(coverage.PAGE.read_text(encoding="utf-8"))


def test_the_page_lists_the_ops_of_today():
    text = coverage.PAGE.read_text(encoding="utf-8")
    assert text == coverage.page(ROWS.values()), "write it anew: python -m tools.coverage --write"
    assert list(ROWS) == [op.name for op in coverage.listed_ops()]


def test_it_is_full():
    assert coverage.RULES == tuple(PROVED_BY)
    allowed = {"proven", *[why for _, _, why in NATURE]}
    holes = {(name, rule) for name, row in ROWS.items() for rule, cell in zip(coverage.RULES, row[1:], strict=False)
             if cell not in allowed}
    assert not holes and HOLE not in allowed
    assert set(coverage.listed_ops()) <= set(all_samples())


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if "none in JAX" in row])
def test_what_jax_has_no_derivative_of(name):
    case = next(case for case in CASES if case.op.name == name)
    with pytest.raises(NotImplementedError, match="[Dd]ifferentiation"):
        jax.jvp(lambda *xs: case.oracle(*xs, **case.params), case.args, case.args)
