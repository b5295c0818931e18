"""The coverage matrix op x interpreter, as the page docs/coverage.md.

    python -m tools.coverage            run the rule checker over every op, and print the page
    python -m tools.coverage --write    write it to docs/
    python -m tools.coverage --times    print the CPU seconds of the checks, op by op, slowest first

The head of the page says what its columns mean.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import conftest  # noqa: F401  (eight devices, and quick compiling)
import minijax.calls
import minijax.custom_rules
import minijax.numpy  # noqa: F401  (installs the backend)
import minijax.ops
from minijax.ir.op import Op, ops
from minijax.testing import Report, Sample, check_op
from minijax.testing.proofs import standing
from tests.checker_samples import CASES, all_samples, checks_of, variants_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"
RULES = ("type", "eval", "jvp", "linearize", "transpose", "batch", "dce", "cost", "lowering")
COLUMNS = ("op", *RULES, "against JAX", "checks", "proofs")
MARKS = {"proven": "✓"}  # how entries are shown
HEAD = """# Which op has which rule, proven

Every op, and what each interpreter does with it. A ✓ is a proof: the op's rule (or, for linearize and dce, what is
derived from its rules) ran in a check of `minijax.testing.check_op` that passed, and that fails where the rule is
wrong. Every other entry says why an op of its nature has no such rule:

| entry | there is no rule, because |
| --- | --- |
| `no floats` | operands or results are integers, bools or keys, which have no derivative |
| `no operands` | there is nothing to differentiate or to batch |
| `not linear` | the op is linear in none of its operands, so it is in no linear program to transpose |
| `other ops` | its derivative is made of other ops, which are transposed |
| `refused` | the rule is an error that says why: a `while` may run as long as its values say |
| `reverse only` | a `custom_vjp` function has a reverse rule and no other, as in JAX |
| `zero` | the derivative is zero on purpose, though the op is not constant |
| `of batches` | a collective has no meaning for one example; batches over its axis are proven against one in NumPy |
| `unknown function` | nothing is known of the derivative of a callback, and the rule says so |
| `draws anew` | the result is no function of the operands |
| `none in JAX` | JAX has no derivative of this decomposition either |
| `Python function` | its rules are functions in Python, whose operations nobody counts |

- *against JAX*: cases in `tests/cases` compare the op with JAX's function (`yes`), or tests of its own do.
- *checks*: how many checks it passes. They compare the NumPy meaning with the lowering, jvp with differences (at kinks,
  too), `<u, J v>` with `<transposed J u, v>`, vmap with a loop, vmap of jvp with jvp of vmap, and programs with eager
  calls; and they check types and effects.
- *proofs*: how often one of them proved a rule.

Ops that only a handler answers (`minijax/effects/ops.py`) are proven in all their surroundings by
`tests/test_effects.py`. This page is written by `python -m tools.coverage --write`.

"""


def load_all() -> None:
    """Import every module that makes ops."""
    for package in (minijax.ops, minijax.calls, minijax.custom_rules):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def listed_ops() -> list[Op]:
    """The ops of minijax, by name; those of tests are left out."""
    load_all()
    return [ops[name] for name in sorted(ops) if not name.startswith(("t_", "t-")) and rule_module(ops[name])]


def rule_module(op: Op) -> bool:
    """Whether the op's type rule is minijax's, and the op has a meaning by itself: no handler must answer it."""
    module = getattr(op.type, "__module__", "")
    return module.startswith("minijax") and not module.startswith("minijax.effects")


def against_jax(op: Op) -> str:
    """Whether cases compare the op with JAX's function."""
    return "yes" if any(case.op is op for case in CASES) else "own tests"


def report_of(op: Op, samples: Sequence[Sample]) -> Report:
    """The checker's report; raises `RuleError` if the op does not pass a check."""
    return check_op(op, samples, checks=checks_of(op), with_variants=variants_of(op))


def cells(op: Op, samples: Sequence[Sample], report: Report) -> tuple[str, ...]:
    """The op's line, but for its counts."""
    return (*standing(op, samples, report.proofs).values(), against_jax(op))


def lines() -> Iterator[tuple[str, ...]]:
    """The page's lines, each checked as it comes."""
    samples = all_samples()
    for op in listed_ops():
        report = report_of(op, samples.get(op, ()))
        yield (f"`{op}`", *cells(op, samples.get(op, ()), report), str(report.passed.total()),
               str(report.proofs.total()))


def page(rows: Iterable[tuple[str, ...]]) -> str:
    """The page's text."""
    shown = [[MARKS.get(cell, cell) for cell in row] for row in rows]
    return HEAD + "\n".join(f"| {' | '.join(line)} |" for line in (COLUMNS, ["---"] * len(COLUMNS), *shown)) + "\n"


def rows_in(text: str) -> dict[str, tuple[str, ...]]:
    """The lines of a page, by op."""
    entries = {mark: entry for entry, mark in MARKS.items()}
    rows = [tuple(entries.get(cell, cell) for cell in line.strip("| \n").split(" | "))
            for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row for row in rows if len(row) == len(COLUMNS)}


def times() -> Iterator[tuple[float, Op]]:
    """The CPU seconds that each op's checks take."""
    for op, samples in all_samples().items():
        start = time.process_time()
        report_of(op, samples)
        yield time.process_time() - start, op


def main(options: Sequence[str]) -> None:
    """Print or write the page, or print the times."""
    load_all()
    if "--times" in options:
        for seconds, op in sorted(times(), key=lambda pair: -pair[0]):
            print(f"{seconds:6.2f} s  {op}")
        return
    text = page(lines())
    if "--write" in options:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
