"""`python -m benchmarks`: the rows of DESIGN section 6, minijax and JAX in turn in one process.

The exit status says whether every row could be measured, not whether every target was
reached: a loaded machine must not turn a test red.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import os
import pstats
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (rows_trace, rows_autodiff, rows_jit, rows_eager, rows_run, rows_scale,  # noqa: F401, I001
                        rows_loops, rows_while, rows_devices, rows_import, rows_libraries,
                        rows_haiku, rows_agents)
from benchmarks.rows import Result, Row, select
from benchmarks.rows_run import geometric_mean
from benchmarks.table import HEADER, cells, document, markdown, surroundings, text_line
from benchmarks.timing import FULL, QUICK, Effort, calls_for, nothing

ROOT = Path(__file__).resolve().parents[1]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast minijax is beside JAX.")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose name this finds")
    parser.add_argument("--quick", action="store_true", help="a short, rough measurement")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there, too")
    parser.add_argument("--profile", action="store_true", help="print where minijax spends its time in each row")
    parser.add_argument("--list", action="store_true", help="print the names of the rows and stop")
    return parser.parse_args(argv)


def measured(row: Row, effort: Effort) -> list[Result]:
    """The lines of a row, printed as they come."""
    gc.collect()
    results = []
    for result in row.measure(effort) if row.at_home else elsewhere(row, effort):
        print(text_line(cells(result)), flush=True)
        results.append(result)
    return results


def elsewhere(row: Row, effort: Effort) -> list[Result]:
    """The lines of a row, measured by this command in a fresh process with the environment that the row needs."""
    with tempfile.TemporaryDirectory(prefix="minijax-rows-") as folder:
        path = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks", "--rows", f"^{re.escape(row.name)}$", "--json", str(path)]
        done = subprocess.run(command + ["--quick"] * (effort is QUICK), cwd=ROOT, capture_output=True, text=True,
                              env={**os.environ, **row.environment})
        if done.returncode:
            raise RuntimeError(f"{row.name!r} in a process of its own: {done.stderr.strip() or done.stdout.strip()}")
        return [Result(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))["rows"]]


def profiled(row: Row) -> None:
    """Print the functions that take most of our time in a row, by their own time."""
    if row.work is None or not row.at_home:
        return
    work = row.work()
    calls = calls_for(work, 0.3, nothing, time.perf_counter)
    with cProfile.Profile() as profile:
        for _ in range(calls):
            work()
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(16)


def all_measured(chosen: Sequence[Row], effort: Effort, profile: bool) -> tuple[list[Result], list[str]]:
    """The lines of all rows, and the names of rows that failed; one that fails does not hide the others."""
    results, failed = [], []
    for row in chosen:
        try:
            results += measured(row, effort)
            if profile:
                profiled(row)
        except Exception as error:
            failed.append(row.name)
            print(f"{row.name}: FAILED: {type(error).__name__}: {error}", file=sys.stderr)
    return results, failed


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    options = arguments(argv)
    chosen = select(options.rows)
    if options.list:
        print("\n".join(row.name for row in chosen))
        return 0
    print("  ".join(f"{key} {value}" for key, value in surroundings().items()), text_line(HEADER), sep="\n")
    results, failed = all_measured(chosen, QUICK if options.quick else FULL, options.profile)
    for mean in geometric_mean(results):
        results.append(mean)
        print(text_line(cells(mean)))
    if options.markdown:
        print(markdown(results))
    if options.json:
        options.json.write_text(json.dumps(document(results), indent=1) + "\n", encoding="utf-8")
    missed = [result.name for result in results if result.reached is False]
    print(f"{len(results)} lines, {len(missed)} missed, {len(failed)} rows failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
