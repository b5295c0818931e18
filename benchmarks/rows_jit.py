"""Rows of calling what is compiled already."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rows import race
from benchmarks.timing import Work

VECTOR = np.linspace(0.1, 1.0, 8, dtype=np.float32)


@race("jit call, compiled, one array", limit=1.35)
def jit_array(lib: Any) -> Work:
    """`jit(f)(x)` for one small array."""
    x, f = lib.numpy.asarray(VECTOR), lib.jit(lambda x: x + 1)
    return lambda: f(x)


@race("jit call, compiled, dict of 40 arrays", limit=1.4)
def jit_dict(lib: Any) -> Work:
    """`jit(f)(tree)` for a tree of forty small arrays."""
    tree = {f"w{i}": lib.numpy.asarray(VECTOR) for i in range(40)}
    f = lib.jit(lambda tree: {name: x + 1 for name, x in tree.items()})
    return lambda: f(tree)


@race("grad(jit(f)), compiled", limit=0.1)
def grad_jit(lib: Any) -> Work:
    """A gradient of a compiled function, all of it compiled before."""
    x, f = lib.numpy.asarray(VECTOR), lib.jit(lambda x: lib.numpy.sum(lib.numpy.sin(x) * x))
    g = lib.grad(f)
    return lambda: g(x)


@race("vmap(jit(f)), compiled", limit=0.12)
def vmap_jit(lib: Any) -> Work:
    """A batched compiled function, all of it compiled before."""
    x, f = lib.numpy.asarray(np.stack([VECTOR] * 4)), lib.jit(lambda x: lib.numpy.sin(x) * x)
    g = lib.vmap(f)
    return lambda: g(x)
