"""Import times: what minijax adds to NumPy's own import, and its first public name to JAX's.

    python -m benchmarks.import_time

Each time is that of a fresh Python process, measured inside it around the statement,
so that starting the interpreter does not count.  Ours and theirs alternate, and the
medians are compared: a busy moment of the machine meets both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 7
BYTECODE = tempfile.TemporaryDirectory(prefix="minijax-bytecode-")

# name, our statement, theirs, seconds that ours may add
CASES = (
    ("import minijax, over import numpy", "import numpy, minijax", "import numpy", 0.060),
    ("first use of minijax.grad, over import jax", "import minijax; minijax.grad", "import jax", 0.060),
)


def seconds(statement: str) -> float:
    """How long a fresh process takes over a statement."""
    program = f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": BYTECODE.name}  # both compiled beforehand, as when installed
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True,
                          env=environment)
    return float(done.stdout)


def interleaved(ours: str, theirs: str, rounds: int = ROUNDS) -> tuple[float, float]:
    """Median seconds of two statements, run in turn; one round before it warms the file cache."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds + 1)][1:]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def rows(rounds: int = ROUNDS) -> list[tuple[str, float, float, float]]:
    """Rows (name, our seconds, their seconds, limit); the limit is for the difference, in seconds."""
    return [(name, *interleaved(ours, theirs, rounds), limit) for name, ours, theirs, limit in CASES]


def table(measured: list[tuple[str, float, float, float]]) -> str:
    """The rows as text, in milliseconds."""
    lines = [f"{'':<44}{'ours':>9}{'theirs':>9}{'added':>9}{'limit':>9}"]
    for name, ours, theirs, limit in measured:
        cells = "".join(f"{1000 * value:>7.0f}ms" for value in (ours, theirs, ours - theirs, limit))
        lines.append(f"{name:<44}{cells}  {'reached' if ours - theirs <= limit else 'MISSED'}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(rows()))
