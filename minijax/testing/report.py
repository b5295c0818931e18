"""`check_op`: every check at every sample, and a report that says which rule of which op fails where."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from minijax import config
from minijax.errors import RuleError
from minijax.ir.op import Op
from minijax.testing import checks as of
from minijax.testing import surroundings
from minijax.testing.compare import Mismatch
from minijax.testing.proofs import proved, watched
from minijax.testing.samples import Sample, generated_samples, variants

Check = Callable[[Op, Sample], None]
CHECKS: dict[str, tuple[Check, bool]] = {  # the check, and whether it needs double precision
    "type": (of.check_type, False), "staged": (of.check_staged, False), "meaning": (of.check_meaning, False),
    "backend": (of.check_backend, False), "differences": (of.check_differences, True),
    "kinks": (of.check_kinks, True), "reverse": (of.check_reverse, True), "transpose": (of.check_transpose, True),
    "batch": (of.check_batch, False), "empty batch": (of.check_empty_batch, False),
    "batched derivatives": (of.check_batched_derivatives, False), "inside": (surroundings.check_inside, False),
    "effects": (surroundings.check_effects, False)}

ON_VARIANTS = ("type", "staged", "differences", "reverse", "transpose", "batch")


@dataclass(frozen=True)
class Failure:
    """One check of one op that failed: the rule to look at, the sample, and what was found."""

    rule: str
    check: str
    sample: str
    message: str
    index: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"  rule '{self.rule}' is wrong, by the check '{self.check}' at {self.sample}:\n    {self.message}"


@dataclass
class Report:
    """What `check_op` found: failures, how often each check was passed, and how often each rule was proven by one."""

    op: Op
    passed: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    proofs: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def __str__(self) -> str:
        total = sum(self.passed.values()) + len(self.failures)
        head = f"op '{self.op}': {len(self.failures)} of {total} checks failed"
        return "\n".join([head, *map(str, self.failures)])


def check_op(op: Op, samples: Sequence[Sample] | None = None, *, checks: Sequence[str] = tuple(CHECKS),
             with_variants: bool | Sequence[str] = True, first: bool = False, raise_error: bool = True) -> Report:
    """Check the rules of an op against each other, against differences, and against the compiled lowering.

    Args:
        op: any op, yours too.
        samples: where to check it; by default made up from its type rule, which needs an op without parameters.
        checks: names of checks, by default all: 'type', 'staged' (program against eager), 'backend' (NumPy meaning
            against the lowering), 'differences' (jvp), 'kinks', 'reverse' (linearize, <u, J v> = <transposed J u, v>),
            'transpose' (where the op itself is linear), 'batch' (against a loop), 'empty batch', 'batched derivatives',
            'meaning' (of what a sample makes of the op), 'inside' (rules of collectives below their axis), 'effects'.
        with_variants: check 'bfloat16', 'complex', '0-d' and 'broadcast' operands too, where the op takes them; or
            the names of some of these.
        first: stop at the first failure.
        raise_error: raise `RuleError` with the report, rather than return a report with failures.

    Returns:
        The report.

    >>> from minijax.ops.elementwise import sin_p
    >>> print(check_op(sin_p, checks=("differences", "reverse", "batch")))
    op 'sin': 0 of 18 checks failed
    """
    report = Report(op)
    given = generated_samples(op) if samples is None else list(samples)
    todo = [(f"sample {i} {sample}", sample, tuple(checks)) for i, sample in enumerate(given)]
    if with_variants:
        fewer = tuple(name for name in checks if name in ON_VARIANTS)
        todo += [(f"sample {i} as {name} {variant}", variant, fewer) for i, sample in enumerate(given)
                 for name, variant in variants(op, sample) if with_variants is True or name in with_variants]
    for where, sample, names in todo:
        for name in names:
            with watched(op) as ran:
                failure = run_check(op, name, sample, where)
            if failure is None:
                report.passed[name] += 1
                report.proofs.update(proved(op, name, ran))
                continue
            report.failures.append(failure)
            if first:
                break
        if first and report.failures:
            break
    if raise_error and report.failures:
        raise RuleError(str(report))
    return report


def run_check(op: Op, name: str, sample: Sample, where: str) -> Failure | None:
    """Run one check with the NumPy evaluator, in double precision if it needs that; None if it passes."""
    check, double = CHECKS[name]
    double = sample.is_double or config.jax_enable_x64 or double and not sample.holds_programs
    with (config.override("evaluator", "numpy"), config.override("jax_enable_x64", double),
          warnings.catch_warnings(), np.errstate(all="ignore")):
        warnings.simplefilter("ignore")
        try:
            check(op, sample)
        except Mismatch as error:
            return Failure(error.rule, name, where, str(error), error.index)
        except Exception as error:  # a wrong rule may fail in any way
            return Failure(BLAMED[name], name, where, f"{type(error).__name__}: {error}")
    return None


BLAMED = {"type": "type", "staged": "eval", "meaning": "batch", "backend": "lowering", "differences": "jvp",
          "kinks": "jvp", "reverse": "linearize or transpose", "transpose": "transpose", "batch": "batch",
          "empty batch": "batch", "batched derivatives": "batch", "inside": "jvp, transpose or batch",
          "effects": "eval"}
