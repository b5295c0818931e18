"""Rows of loops: the gradient of a scan, in time, in memory and in tracing.

Peak temporary bytes are XLA's own count for the compiled program: what the backward pass keeps
of every step is most of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.programs import arrays
from benchmarks.rows import LIBRARIES, Result, judge, race, row
from benchmarks.timing import THREAD, Effort, Work

STEPS, BATCH, WIDTH = 100, 16, 64
Program = tuple[Callable[..., Any], tuple[Any, ...]]


def recurrent_gradient(lib: Any) -> Callable[..., Any]:
    """Gradient of a recurrent network's loss by its weights and its initial state."""
    jnp = lib.numpy

    def loss(weights: Any, state: Any, xs: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            state = jnp.tanh(state @ weights / 8.0 + x)
            return state, state

        return jnp.mean(jnp.square(lib.lax.scan(step, state, xs)[1]))

    return lib.grad(loss, (0, 1))


def recurrent(lib: Any) -> Program:
    """That gradient, and what it is taken at."""
    return recurrent_gradient(lib), arrays(lib, (WIDTH, WIDTH), (BATCH, WIDTH), (STEPS, BATCH, WIDTH))


def through_a_matrix(lib: Any) -> Program:
    """Gradient by a matrix that every step takes the sine of, and by the state that it is applied to."""
    jnp = lib.numpy

    def loss(matrix: Any, state: Any) -> Any:
        def step(state: Any, _: None) -> Any:
            return jnp.cos(jnp.sin(matrix) @ state), None

        return jnp.sum(lib.lax.scan(step, state, None, length=STEPS)[0])

    return lib.grad(loss, (0, 1)), arrays(lib, (WIDTH, WIDTH), (WIDTH, BATCH))


def run_of(build: Callable[[Any], Program]) -> Callable[[Any], Work]:
    """The work of running a program compiled."""
    def work(lib: Any) -> Work:
        function, args = build(lib)
        jitted = lib.jit(function)
        return lambda: jitted(*args)

    return work


race("scan's gradient, run time: recurrent network", limit=1.0)(run_of(recurrent))
race("scan's gradient, run time: through a matrix", limit=1.0)(run_of(through_a_matrix))


@race("make_jaxpr(grad), recurrent network as a scan", limit=0.35, clock=THREAD)
def trace_recurrent(lib: Any) -> Work:
    """Tracing the gradient; the function is new each time, so nothing is remembered."""
    _, args = recurrent(lib)
    return lambda: lib.make_jaxpr(recurrent_gradient(lib))(*args)


def temporary_bytes(lib: Any, build: Callable[[Any], Program]) -> int:
    """What the compiled program needs beside its arguments and results."""
    function, args = build(lib)
    return int(lib.jit(function).lower(*args).compile().memory_analysis().temp_size_in_bytes)


def bytes_row(name: str, build: Callable[[Any], Program]) -> None:
    """Enter the line of one program."""
    @row(name)
    def measure(effort: Effort) -> Iterable[Result]:
        ours, theirs = (temporary_bytes(lib, build) for lib in LIBRARIES.values())
        yield judge(name, ours, theirs, ours / theirs, 1.0, unit="B")


bytes_row("scan's gradient, peak temporary bytes: recurrent network", recurrent)
bytes_row("scan's gradient, peak temporary bytes: through a matrix", through_a_matrix)
