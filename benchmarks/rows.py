"""What a row of the table is, and the list of all of them.

Most rows are races: one function of a library (`minijax` or `jax`: the same source serves both)
that returns the work to time.

    @race("eager sin", limit=1.5)
    def eager_sin(lib):
        x = lib.numpy.ones(8)
        return lambda: lib.numpy.sin(x)

Other rows are functions Effort -> results, entered with `@row`.  A row that needs another environment than the
process has, such as several devices, names its variables and is measured in a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax

import minijax
from benchmarks.timing import WALL, Clock, Contest, Effort, Work, compete

Build = Callable[[Any], Work]
LIBRARIES = {"minijax": minijax, "jax": jax}


@dataclass(frozen=True)
class Result:
    """One line of the table.  `ours` and `theirs` are in `unit` ('s' or 'B'); `reached` is None without a target."""

    name: str
    ours: float
    theirs: float | None
    ratio: float
    target: str = ""
    reached: bool | None = None
    unit: str = "s"
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A named measurement: `measure(effort)` gives its lines; `work` is ours alone, for the profiler.

    `environment` has the variables that must be set before JAX starts.
    """

    name: str
    measure: Callable[[Effort], Iterable[Result]]
    work: Callable[[], Work] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def at_home(self) -> bool:
        """Whether this process has the environment that the row needs."""
        return all(os.environ.get(name) == value for name, value in self.environment.items())


ROWS: list[Row] = []


def judge(name: str, ours: float, theirs: float | None, ratio: float, limit: float | None, **more: Any) -> Result:
    """A result whose target is that `ratio` is at most `limit`."""
    if limit is None:
        return Result(name, ours, theirs, ratio, **more)
    return Result(name, ours, theirs, ratio, target=f"<= {limit:g} x", reached=ratio <= limit, **more)


def row(name: str, environment: Mapping[str, str] | None = None
        ) -> Callable[[Callable[[Effort], Iterable[Result]]], Callable[[Effort], Iterable[Result]]]:
    """Enter a function Effort -> results into the table."""
    def enter(measure: Callable[[Effort], Iterable[Result]]) -> Callable[[Effort], Iterable[Result]]:
        ROWS.append(Row(name, measure, environment=environment or {}))
        return measure

    return enter


def race(name: str, limit: float | None, per: int = 1, clock: Clock = WALL,
         others: Mapping[str, Callable[[], Work]] | None = None,
         environment: Mapping[str, str] | None = None) -> Callable[[Build], Build]:
    """Enter a function library -> work.  Times are divided by `per`: the operations in the work.

    Work that is all Python takes the clock `THREAD`.  `others` are further contestants by module name, for
    the note; those that are not installed are left out.
    """
    def enter(build: Build) -> Build:
        def measure(effort: Effort) -> Iterable[Result]:
            found = contest(build, effort, clock, others or {})
            best = {who: seconds / per for who, seconds in found.best.items()}
            note = ", ".join(f"{who} {clock_text(best[who])}" for who in best if who not in LIBRARIES)
            yield judge(name, best["minijax"], best["jax"], found.ratio["minijax"], limit, note=note)

        ROWS.append(Row(name, measure, lambda: build(minijax), environment or {}))
        return build

    return enter


def contest(build: Build, effort: Effort, clock: Clock,
            others: Mapping[str, Callable[[], Work]]) -> Contest:
    """Time both libraries' work, and that of the installed others."""
    works = {name: build(library) for name, library in LIBRARIES.items()}
    works |= {name: make() for name, make in others.items() if importlib.util.find_spec(name)}
    return compete(works, "jax", effort, jax.block_until_ready, clock)


def clock_text(seconds: float) -> str:
    """Seconds with three digits and the unit that fits: 4.1 us, 12 ms."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if abs(seconds) >= size:
            return f"{seconds / size:.3g} {unit}" if seconds < 100 * size else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 1e-9:.0f} ns"


def select(pattern: str) -> list[Row]:
    """The rows whose name the regular expression finds, in the table's order."""
    return [each for each in ROWS if re.search(pattern, each.name)]
