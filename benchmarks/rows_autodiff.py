"""Rows of differentiating while tracing: gradients, third derivatives, and all that comes before XLA."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rows import race
from benchmarks.timing import THREAD, Work

VECTOR = np.linspace(0.1, 1.0, 8, dtype=np.float32)
BLOCKS = 10
MANY = 50  # a module's fixed cost in JAX, some milliseconds, must not decide


def block(np: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """6 smooth operations."""
    x = np.sin(x) * y
    y = np.tanh(y + x)
    return np.exp(-x), y


def fresh(lib: Any, blocks: int = BLOCKS) -> Any:
    """A new function of 6 operations a block, a product and a sum, so that no cache answers."""
    def loss(x: Any) -> Any:
        y = x
        for _ in range(blocks):
            x, y = block(lib.numpy, x, y)
        return lib.numpy.sum(x * y)

    return loss


@race("make_jaxpr(grad(f)), per forward op", limit=0.2, per=6 * BLOCKS + 2, clock=THREAD)
def make_jaxpr_grad(lib: Any) -> Work:
    """Tracing a gradient."""
    x = lib.numpy.asarray(VECTOR)
    return lambda: lib.make_jaxpr(lib.grad(fresh(lib)))(x)


@race("make_jaxpr(grad(grad(grad(f)))), 60 ops", limit=0.2, clock=THREAD)
def make_jaxpr_third(lib: Any) -> Work:
    """Tracing a third derivative of a function of a scalar."""
    x = lib.numpy.asarray(VECTOR[3])
    return lambda: lib.make_jaxpr(lib.grad(lib.grad(lib.grad(fresh(lib)))))(x)


@race("everything before XLA starts, jit(grad(f)), per forward op", limit=0.6, per=6 * MANY + 2, clock=THREAD)
def before_xla(lib: Any) -> Work:
    """Tracing a gradient and lowering it to StableHLO."""
    x = lib.numpy.asarray(VECTOR)
    return lambda: lib.jit(lib.grad(fresh(lib, MANY))).lower(x)
