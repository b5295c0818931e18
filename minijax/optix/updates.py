"""What becomes of the parameters: the updates are added to them, or they follow others."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.optix.checks import count_of, map_trees, number


def apply_updates(params: Any, updates: Any) -> Any:
    """Parameters plus updates, in the dtypes of the parameters.

    Raises `TreeError` for unlike trees, `ShapeError` for unlike shapes.

    >>> apply_updates({"w": jnp.float32(1.0)}, {"w": jnp.float32(-0.5)})
    {'w': Array(0.5, dtype=float32)}
    """
    return map_trees("apply_updates", lambda p, u: jnp.asarray(p + u).astype(jnp.asarray(p).dtype), params=params,
                     updates=updates)


def incremental_update(new_tensors: Any, old_tensors: Any, step_size: Any) -> Any:
    """Old values moved towards new ones: step_size * new + (1 - step_size) * old, for target networks.

    >>> print(incremental_update(jnp.float32(8.0), jnp.float32(0.0), 0.25))
    2.0
    """
    number("incremental_update", "step_size", step_size)
    return map_trees("incremental_update", lambda new, old: step_size * new + (1.0 - step_size) * old,
                     new_tensors=new_tensors, old_tensors=old_tensors)


def periodic_update(new_tensors: Any, old_tensors: Any, steps: Any, update_period: Any) -> Any:
    """The new values in each `update_period`-th step, else the old ones, for target networks.

    >>> print(periodic_update(jnp.float32(8.0), jnp.float32(0.0), steps=6, update_period=3))
    8.0
    """
    count_of("periodic_update", "steps", steps)
    count_of("periodic_update", "update_period", update_period, least=1)
    due = jnp.mod(steps, update_period) == 0
    return map_trees("periodic_update", lambda new, old: jnp.where(due, new, old), new_tensors=new_tensors,
                     old_tensors=old_tensors)
