"""Rows of scale: time and memory of tracing, per equation, from 10^3 to 10^5 equations.

The ratio of these rows is ours to ours: a program of n equations to one of 10^3.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import minijax
from benchmarks.rows import LIBRARIES, Result, judge, row
from benchmarks.timing import FULL, THREAD, Effort, Work, compete

SMALL = 1_000
LIMIT = 1.5


def sizes(effort: Effort) -> tuple[int, ...]:
    """The lengths of program to hold against the small one."""
    return (10_000, 100_000) if effort is FULL else (10_000,)


def tracing(lib: Any, length: int) -> Work:
    """Trace a Python loop of `length` operations."""
    sin = lib.lax.sin

    def trace() -> Any:
        def program(x: Any) -> Any:
            for _ in range(length):
                x = sin(x)
            return x

        return lib.make_jaxpr(program)(1.0)

    return trace


def kept_bytes(lib: Any, length: int) -> float:
    """Bytes per equation that a traced program keeps."""
    work = tracing(lib, length)
    work()
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    program = work()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del program
    return (after - before) / length


@row("trace time per equation")
def trace_time(effort: Effort) -> Iterator[Result]:
    """Seconds per equation; long and short programs in turn."""
    for length in sizes(effort):
        works = {"long": tracing(minijax, length), "short": tracing(minijax, SMALL)}
        contest = compete(works, "short", effort, clock=THREAD)
        theirs = compete({"jax": tracing(LIBRARIES["jax"], length)}, "jax", effort, clock=THREAD)
        ratio = contest.ratio["long"] * SMALL / length
        yield judge(f"trace time per equation, {length} equations, to {SMALL}", contest.best["long"] / length,
                    theirs.best["jax"] / length, ratio, LIMIT)


@row("memory per equation")
def memory(effort: Effort) -> Iterator[Result]:
    """Bytes that a program keeps per equation."""
    small = kept_bytes(minijax, SMALL)
    for length in sizes(effort):
        ours, theirs = (kept_bytes(lib, length) for lib in LIBRARIES.values())
        yield judge(f"memory per equation, {length} equations, to {SMALL}", ours, theirs, ours / small, LIMIT, unit="B")
