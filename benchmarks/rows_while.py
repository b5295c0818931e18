"""Rows of reverse mode through loops: a while loop against the scan of as many steps, both ours or JAX's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import minijax
from benchmarks.rows import Result, judge, row
from benchmarks.timing import Effort, Work, compete

STEPS, WIDTH, BATCH = 64, 128, 32
LIMIT = 1.5


def arguments() -> tuple[Any, Any]:
    """Weights of a recurrent network, and a batch of first states."""
    random = np.random.default_rng(0)
    weights = random.normal(size=(WIDTH, WIDTH)) / WIDTH ** 0.5
    return weights.astype(np.float32), random.normal(size=(BATCH, WIDTH)).astype(np.float32)


def gradient(lib: Any, last_state: Any) -> Work:
    """The compiled gradient of the sum of squares of the last state."""
    def loss(weights: Any, state: Any) -> Any:
        return lib.numpy.sum(last_state(lambda x: lib.numpy.tanh(x @ weights), state) ** 2)

    function, args = lib.jit(lib.grad(loss)), arguments()
    return lambda: jax.block_until_ready(function(*args))


def by_while(step: Any, state: Any) -> Any:
    """The last state by a while loop that may keep every state."""
    return minijax.lax.while_loop(lambda carry: carry[0] < STEPS, lambda carry: (carry[0] + 1, step(carry[1])),
                                  (0, state), checkpoint=STEPS)[1]


def by_scan(lib: Any) -> Any:
    """The last state by a scan."""
    return lambda step, state: lib.lax.scan(lambda x, _: (step(x), None), state, None, length=STEPS)[0]


@row("reverse mode of while_loop, to the equal-length scan")
def reverse_while(effort: Effort) -> Iterator[Result]:
    """Slots for all steps: what the while loop computes again is the inside of each step."""
    works = {"while": gradient(minijax, by_while), "scan": gradient(minijax, by_scan(minijax)),
             "jax": gradient(jax, by_scan(jax))}
    contest = compete(works, "jax", effort)
    yield judge(f"reverse mode of while_loop, {STEPS} steps, to JAX's scan", contest.best["while"], contest.best["jax"],
                contest.ratio["while"], LIMIT, note=f"our scan {contest.ratio['scan']:.2f} x")
