"""Contests: the time of several functions, measured in turn in one process.

On a shared machine a busy moment must not decide.  So contestants alternate, batch by batch
(A B B A ...); each round keeps the best batch of each, and gives one ratio; the result is the
median ratio of the quietest rounds.  The clock is an argument: work that is all Python on one
thread is timed by that thread's processor time, which others cannot take; the tests bring their own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Work = Callable[[], Any]
Clock = Callable[[], float]
WALL: Clock = time.perf_counter
THREAD: Clock = time.thread_time


@dataclass(frozen=True)
class Effort:
    """How long to measure: `rounds` of `batches`, each at least `seconds` long, within about `budget` seconds."""

    rounds: int
    batches: int
    seconds: float
    budget: float


FULL = Effort(rounds=25, batches=7, seconds=0.004, budget=4.0)
QUICK = Effort(rounds=3, batches=2, seconds=0.002, budget=0.5)
PATIENCE = 3  # times the rounds, at most, on a machine too busy to agree with itself


@dataclass(frozen=True)
class Contest:
    """What came out: the best seconds of one call, and each contestant's median ratio to the base."""

    best: dict[str, float]
    ratio: dict[str, float]


def nothing(result: Any) -> None:
    """The default of `finish`: results that are complete when the call returns."""


def batch(work: Work, calls: int, finish: Callable[[Any], Any], clock: Clock) -> float:
    """Seconds of one call of `work`, over `calls` calls; `finish(last result)` is inside the time."""
    result = None
    start = clock()
    for _ in range(calls):
        result = work()
    finish(result)
    return (clock() - start) / calls


def calls_for(work: Work, seconds: float, finish: Callable[[Any], Any], clock: Clock) -> int:
    """How many calls fill `seconds`; the first call, which may compile, does not count."""
    finish(work())
    calls = 1
    while (spent := calls * batch(work, calls, finish, clock)) < seconds:
        calls = max(calls + 1, min(10 * calls, round(1.2 * calls * seconds / max(spent, 1e-9))))
    return calls


def plan(effort: Effort, round_seconds: float) -> tuple[int, int]:
    """Rounds and batches within the budget, given the seconds of one batch of every contestant."""
    affordable = max(3, int(effort.budget / max(round_seconds, 1e-9)))
    batches = max(1, min(effort.batches, affordable // effort.rounds))
    return min(effort.rounds, max(3, affordable // batches)), batches


def compete(works: Mapping[str, Work], base: str, effort: Effort, finish: Callable[[Any], Any] = nothing,
            clock: Clock = WALL) -> Contest:
    """Time all `works` in turn; ratios are to the one named `base`.

    `finish` waits for a result that is still being computed (`jax.block_until_ready`).
    """
    calls = {name: calls_for(work, effort.seconds, finish, clock) for name, work in works.items()}
    once = sum(calls[name] * batch(work, calls[name], finish, clock) for name, work in works.items())
    rounds, batches = plan(effort, once)
    measured: list[dict[str, float]] = []
    for _ in range(PATIENCE):
        measured += [one_round(works, calls, batches, finish, clock) for _ in range(rounds)]
        contest = outcome(measured, base)
        if settled(contest, base):
            break
    return contest


def outcome(measured: list[dict[str, float]], base: str) -> Contest:
    """Best times over all rounds, median ratios over the quietest."""
    best = {name: min(times[name] for times in measured) for name in measured[0]}
    quiet = quietest(measured, best)
    return Contest(best, {name: statistics.median(times[name] / times[base] for times in quiet) for name in best})


def settled(contest: Contest, base: str) -> bool:
    """Whether the median ratios agree with the ratios of the best times: else the machine was busy."""
    return all(abs(contest.ratio[name] * contest.best[base] / contest.best[name] - 1) <= 0.05 for name in contest.best)


def quietest(measured: list[dict[str, float]], best: Mapping[str, float]) -> list[dict[str, float]]:
    """The third of the rounds (at least three) in which every contestant was nearest to its best."""
    ordered = sorted(measured, key=lambda times: max(times[name] / best[name] for name in best))
    return ordered[:max(3, len(measured) // 3)]


def one_round(works: Mapping[str, Work], calls: Mapping[str, int], batches: int, finish: Callable[[Any], Any],
              clock: Clock) -> dict[str, float]:
    """The best of `batches` batches of each contestant, run in turn; every other turn is the other way round."""
    orders = [list(works), list(works)[::-1]]
    times = [{name: batch(works[name], calls[name], finish, clock) for name in orders[i % 2]} for i in range(batches)]
    return {name: min(each[name] for each in times) for name in works}
