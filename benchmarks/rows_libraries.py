"""Rows of the libraries on top: an optimizer's step, beside optax on JAX.

What is measured between two equal programs is noise and the call: as in `rows_run`, a program whose optimized HLO is
the same reaches its target.  HLO is compared for a few of the arrays, since each is worked on alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax

import minijax
from benchmarks.hlo import same
from benchmarks.rows import LIBRARIES, ROWS, Result, Row, race
from benchmarks.rows_run import SAME
from benchmarks.timing import THREAD, Effort, Work, compete
from minijax import optix

OPTIMIZERS = {"minijax": optix, "jax": optax}
ARRAYS, FEW = 400, 3
RUN = f"a step of Adam, {ARRAYS} arrays: run time, beside optax"


def adam_step(lib: Any) -> Any:
    """A new function (gradients, state, params) -> (params, state): a step of Adam."""
    optimizers = OPTIMIZERS[lib.__name__]
    optimizer = optimizers.adam(1e-3)

    def step(gradients: Any, state: Any, params: Any) -> Any:
        updates, state = optimizer.update(gradients, state, params)
        return optimizers.apply_updates(params, updates), state

    return step


def adam_arguments(lib: Any, arrays: int = ARRAYS) -> tuple[Any, Any, Any]:
    """Gradients, state and parameters: dicts of f32[128,128]."""
    value = lib.numpy.asarray(np.linspace(-1, 1, 128 * 128, dtype=np.float32).reshape(128, 128))
    params = {f"layer {i}": value + i for i in range(arrays)}
    return params, OPTIMIZERS[lib.__name__].adam(1e-3).init(params), params


@race(f"a step of Adam, {ARRAYS} arrays: make_jaxpr, beside optax", limit=0.4, clock=THREAD)
def adam_trace(lib: Any) -> Work:
    """Tracing a new step."""
    args = adam_arguments(lib)
    return lambda: lib.make_jaxpr(adam_step(lib))(*args)


def adam_work(lib: Any) -> Work:
    """Run a compiled step and wait for its results."""
    step, args = lib.jit(adam_step(lib)), adam_arguments(lib)
    return lambda: jax.block_until_ready(step(*args))


def adam_hlo(lib: Any) -> str:
    """The HLO of a step for a few arrays, as XLA leaves it."""
    return lib.jit(adam_step(lib)).lower(*adam_arguments(lib, FEW)).compile().as_text()


def adam_run(effort: Effort) -> Iterator[Result]:
    """The step's time."""
    contest = compete({name: adam_work(lib) for name, lib in LIBRARIES.items()}, "jax", effort)
    identical = same(*map(adam_hlo, LIBRARIES.values()))
    ratio = contest.ratio["minijax"]
    yield Result(RUN, contest.best["minijax"], contest.best["jax"], ratio, target="<= 1 x",
                 reached=identical or ratio <= 1.0, note=SAME if identical else "")


ROWS.append(Row(RUN, adam_run, lambda: adam_work(minijax)))
