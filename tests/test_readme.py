"""README and docs: their examples run, their links lead somewhere, their numbers are of today."""

import doctest
import re
from pathlib import Path

import pytest

from tools import readme

ROOT = Path(__file__).resolve().parents[1]
README = readme.README.read_text(encoding="utf-8")
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "minijax/ir/README.md")),
         *sorted((ROOT / "docs").glob("*.md"))]


def examples(page):
    """The text of a page as one doctest; fences of code blocks are no output."""
    text = re.sub("(?m)^```.*$", "", page.read_text(encoding="utf-8"))
    return doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(examples(page), out=report.append)
    assert not runner.failures, "".join(report)


def anchors(page):
    """What links may name behind a `#`: the headings as GitHub spells them."""
    headings = re.findall("(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert link.startswith("https://") or target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link}"


def test_the_two_commands():
    commands = [line.strip() for line in README.splitlines() if line.startswith("    pip install")]
    assert commands == ['pip install -e ".[demo]" && python -m minijax', 'pip install -e ".[test]" && python -m pytest']


def test_the_size_table_is_of_today():
    kept, found = (re.findall(r"(?m)^ *(.*?)  +([\d,]+)", block)
                   for block in (readme.block(README, "size"), readme.size_block()))
    assert [name for name, _ in kept] == [name for name, _ in found]
    for (name, before), (_, now) in zip(kept, found, strict=True):
        before, now = int(before.replace(",", "")), int(now.replace(",", ""))
        assert abs(now - before) <= 20 + 0.1 * now, f"{name}: {now} lines, not {before}. Run python -m tools.readme"
