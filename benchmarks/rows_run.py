"""Rows of compiled run time: the same program through both libraries, and whether XLA made the same of it.

What is measured between two equal programs is noise.  So a program whose optimized HLO is the
same reaches its target, and counts as 1 in the geometric mean.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax

import minijax
from benchmarks.hlo import same
from benchmarks.programs import LIMITS, PROGRAMS
from benchmarks.rows import LIBRARIES, ROWS, Result, Row
from benchmarks.timing import Effort, Work, compete

TITLE = "compiled run time"
MEAN = 1.0
SAME = "same HLO"


def work_of(lib: Any, name: str) -> Work:
    """Call the compiled program and wait for its result."""
    function, args = PROGRAMS[name](lib)
    jitted, wait = lib.jit(function), jax.block_until_ready
    return lambda: wait(jitted(*args))


def optimized(lib: Any, name: str) -> str:
    """The program's HLO as XLA leaves it."""
    function, args = PROGRAMS[name](lib)
    return lib.jit(function).lower(*args).compile().as_text()


def measure(name: str, effort: Effort) -> Iterator[Result]:
    """The line of one program."""
    contest = compete({who: work_of(lib, name) for who, lib in LIBRARIES.items()}, "jax", effort)
    identical = same(*(optimized(lib, name) for lib in LIBRARIES.values()))
    ratio, limit = contest.ratio["minijax"], LIMITS[name]
    yield Result(f"{TITLE}: {name}", contest.best["minijax"], contest.best["jax"], ratio, target=f"<= {limit:g} x",
                 reached=identical or ratio <= limit, note=SAME if identical else "")


def geometric_mean(results: Sequence[Result]) -> list[Result]:
    """The mean's line, if several programs were run."""
    runs = [result for result in results if result.name.startswith(TITLE)]
    if len(runs) < 2:
        return []
    ratios = [1.0 if result.note == SAME else result.ratio for result in runs]
    mean = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
    ours, theirs = sum(result.ours for result in runs), sum(result.theirs or 0.0 for result in runs)
    return [Result(f"{TITLE}: geometric mean, sums of times", ours, theirs, mean, target=f"<= {MEAN:g} x",
                   reached=mean <= MEAN + 1e-9, note=f"{len(runs)} programs, {ratios.count(1.0)} of them {SAME}")]


ROWS.extend(Row(f"{TITLE}: {name}", functools.partial(measure, name), functools.partial(work_of, minijax, name))
            for name in PROGRAMS)
