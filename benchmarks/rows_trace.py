"""Rows of tracing: a program of mixed ops, per op that the user writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rows import race
from benchmarks.timing import THREAD, Work

REPEATS = 5
SQUARE = np.linspace(0.1, 1.0, 64, dtype=np.float32).reshape(8, 8)


def numpy_block(np: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """20 operations of the NumPy namespace on two f32[8,8]."""
    x = np.sin(x) * y
    y = np.tanh(y + x)
    z = np.where(x > y, x, y)
    z = np.exp(-np.abs(z))
    x = x - np.sum(z, axis=0)
    y = np.maximum(y, 0.5) / 2.0
    x = np.matmul(x, y)
    y = np.reshape(np.transpose(y), (64,))
    y = np.reshape(np.sqrt(y), (8, 8))
    return x, np.log1p(y)


def lax_block(lax: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """20 operations of the lax namespace on two f32[8,8]."""
    x = lax.mul(lax.sin(x), y)
    y = lax.tanh(lax.add(y, x))
    z = lax.select(lax.gt(x, y), x, y)
    z = lax.exp(lax.neg(lax.abs(z)))
    x = lax.sub(x, lax.broadcast_in_dim(lax.reduce_max(z, (0,)), (8, 8), (1,)))
    y = lax.div(lax.max(y, x), z)
    x = lax.dot(x, y)
    y = lax.reshape(lax.transpose(y, (1, 0)), (64,))
    y = lax.reshape(lax.sqrt(y), (8, 8))
    return x, y


def traced(lib: Any, block: Callable[..., Any], namespace: Any) -> Work:
    """Trace `REPEATS` blocks; the function is a new one each time, so that no cache answers."""
    x = lib.numpy.asarray(SQUARE)

    def trace() -> Any:
        def program(x: Any, y: Any) -> Any:
            for _ in range(REPEATS):
                x, y = block(namespace, x, y)
            return x, y

        return lib.make_jaxpr(program)(x, x)

    return trace


@race("make_jaxpr, per jnp op", limit=0.35, per=20 * REPEATS, clock=THREAD)
def make_jaxpr_numpy(lib: Any) -> Work:
    """Tracing a program of 100 operations of the NumPy namespace."""
    return traced(lib, numpy_block, lib.numpy)


@race("make_jaxpr, per lax op", limit=0.5, per=20 * REPEATS, clock=THREAD)
def make_jaxpr_lax(lib: Any) -> Work:
    """Tracing a program of 100 operations of the lax namespace."""
    return traced(lib, lax_block, lib.lax)
