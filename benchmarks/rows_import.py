"""Rows of importing: what minijax adds to NumPy's and JAX's own import."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.import_time import ROUNDS
from benchmarks.import_time import rows as import_rows
from benchmarks.rows import Result, row
from benchmarks.timing import FULL, Effort


@row("import")
def imports(effort: Effort) -> Iterator[Result]:
    """Fresh processes; the target is for the time that ours adds."""
    for name, ours, theirs, limit in import_rows(ROUNDS if effort is FULL else 1):
        yield Result(name, ours, theirs, ours / theirs, target=f"+ {1000 * limit:.0f} ms",
                     reached=ours - theirs <= limit)
