"""The two tables of README.md: lines of code, and speed.

    python -m tools.readme                                         measure the size anew
    python -m benchmarks --markdown | python -m tools.readme -     the same, and take the speed table from there
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tools.size_table import measure_all, table

README = Path(__file__).resolve().parents[1] / "README.md"


def block(text: str, name: str) -> str:
    """What stands between `<!-- name -->` and `<!-- /name -->`.

    >>> block("a <!-- x -->b<!-- /x --> c", "x")
    'b'
    """
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]


def with_block(text: str, name: str, content: str) -> str:
    """The text with other content there.

    >>> with_block("a <!-- x -->b<!-- /x --> c", "x", "d")
    'a <!-- x -->d<!-- /x --> c'
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    return text.replace(f"{start}{block(text, name)}{end}", f"{start}{content}{end}")


def size_block() -> str:
    """The size table as Markdown shows it."""
    return "\n\n" + re.sub("(?m)^", "    ", table(measure_all(README.parent))) + "\n\n"


def main() -> None:
    """Write README.md anew."""
    text = with_block(README.read_text(encoding="utf-8"), "size", size_block())
    if "-" in sys.argv[1:]:
        rows = [line for line in sys.stdin.read().splitlines() if line.startswith("|")]
        text = with_block(text, "speed", "\n" + "\n".join(rows) + "\n")
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
