"""Counting steps, and running means over them."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import Array, lax, tree
from minijax.optix.checks import map_trees


def first_count() -> Array:
    """No steps yet: i32[] zero.

    >>> first_count()
    Array(0, dtype=int32)
    """
    return jnp.zeros((), jnp.int32)


def next_count(count: Any) -> Array:
    """The count after one more step; the largest integer stays what it is instead of wrapping around.

    >>> next_count(jnp.int32(2 ** 31 - 1))
    Array(2147483647, dtype=int32)
    """
    largest = jnp.iinfo(jnp.asarray(count).dtype).max
    return jnp.where(count < largest, count + 1, largest)


def square(x: Any) -> Any:
    """|x|^2, real also for complex numbers.

    >>> print(square(jnp.asarray(3 + 4j)))
    25.0
    """
    return (jnp.conj(x) * x).real if jnp.iscomplexobj(x) else x ** 2


def running_mean(who: str, updates: Any, name: str, mean: Any, decay: Any) -> Any:
    """decay * mean + (1 - decay) * updates, leaf by leaf; `name` is the mean's in errors."""
    return map_trees(who, lambda g, m: (1 - decay) * g + decay * m, updates=updates, **{name: mean})


def running_square(who: str, updates: Any, name: str, mean: Any, decay: Any) -> Any:
    """decay * mean + (1 - decay) * |updates|^2, leaf by leaf; `name` is the mean's in errors."""
    return map_trees(who, lambda g, m: (1 - decay) * square(g) + decay * m, updates=updates, **{name: mean})


def without_bias(mean: Any, decay: Any, count: Any) -> Any:
    """A running mean that began at zero, as if it had begun with the first value: divided by 1 - decay^count.

    >>> print(without_bias({"w": jnp.float32(3.0)}, 0.5, jnp.int32(2))["w"])
    4.0
    """
    weight = 1 - lax.pow(jnp.asarray(decay), count)  # decay ** count would compile for each known count
    return tree.map(lambda m: m / weight.astype(m.dtype), mean)


def cast(values: Any, dtype: Any) -> Any:
    """The leaves in another dtype; None leaves them alone."""
    return values if dtype is None else tree.map(lambda x: x.astype(dtype), values)


def zeros(params: Any, dtype: Any = None) -> Any:
    """Zeros of the shapes of the parameters, and of their dtypes or another."""
    return tree.map(lambda p: jnp.zeros_like(p, dtype=dtype), params)
