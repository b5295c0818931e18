"""The coverage matrix op x interpreter, as the page docs/coverage.md.

    python -m tools.coverage            print the page
    python -m tools.coverage --write    run the rule checker over every op, and write the page

The head of the page says what its columns mean.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

import minijax.calls
import minijax.custom_rules
import minijax.numpy  # noqa: F401  (installs the backend)
import minijax.ops
from minijax.ir.op import Op, ops
from minijax.lowering.table import rules as lowerings
from minijax.testing import check_op
from tests.checker_samples import CASES, checks_of, few, held_samples, samples_by_op, variants_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"
RULES = ("type", "eval", "jvp", "linearize", "transpose", "batch", "dce", "cost")
COLUMNS = ("op", *RULES, "lowering", "against JAX", "checked")
HEAD = """# Which op has which rule

Every op, and what each interpreter does with it: `yes`, the op has the rule; `own`, it has one where others make do
with what is derived; `derived`, the interpreter makes it of another rule (linearize of jvp); `-`, the op declares that
it has none. *against JAX* says whether cases in `tests/cases` compare it with JAX's function, or tests of its own do;
*checked* counts the checks of `minijax.testing.check_op` that it passes: type, NumPy meaning against the lowering, jvp
against differences and at kinks, <u, J v> against <transposed J u, v>, vmap against a loop, vmap of jvp against jvp of
vmap, programs against eager calls.  Written by `python -m tools.coverage --write`.

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
    """Whether the op's type rule is minijax's."""
    return getattr(op.type, "__module__", "").startswith("minijax")


def mark(op: Op, rule: str) -> str:
    """What the matrix says of one rule of an op."""
    if rule in ("linearize", "dce"):
        other = "derived" if rule == "linearize" and op.has("jvp") else "yes" if rule == "dce" else "-"
        return "own" if getattr(op, rule) is not None else other
    return "yes" if op.has(rule) else "-"


def structure() -> dict[str, tuple[str, ...]]:
    """By op: its rules, its lowering, and whether cases compare it with JAX."""
    found = {}
    for op in listed_ops():
        lowering = "yes" if op in lowerings else "-"
        compared = "yes" if any(case.op is op for case in CASES) else "own tests"
        found[op.name] = (*[mark(op, rule) for rule in RULES], lowering, compared)
    return found


def checked() -> dict[str, str]:
    """By op: how many checks it passes; raises `RuleError` if it does not pass one."""
    load_all()
    samples = {op: few(found, 4) for op, found in samples_by_op().items()} | held_samples()
    return {op.name: str(sum(check_op(op, found, checks=checks_of(op), with_variants=variants_of(op)).passed.values()))
            for op, found in samples.items()}


def page(counts: dict[str, str]) -> str:
    """The page's text."""
    rows = [(f"`{name}`", *cells, counts.get(name, "-")) for name, cells in structure().items()]
    lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
    return HEAD + "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def counts_in(text: str) -> dict[str, str]:
    """The last column of a page, by op."""
    rows = [line.strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[-1] for row in rows}


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(checked()), encoding="utf-8")
    else:
        print(page(counts_in(PAGE.read_text(encoding="utf-8"))))
