"""What the functions of trajectories share: a recursion backwards in time, and targets that carry no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minijax.numpy as jnp
from minijax import lax


def backwards(step: Callable[..., Any], last: Any, *sequences: Any) -> Any:
    """All of y_0, ..., y_{T-1}, where y_t = step(y_{t+1}, *[s[t] for s in sequences]) and y_T = `last`.

    >>> backwards(lambda later, x: x + 0.5 * later, 8.0, jnp.array([1.0, 2.0, 3.0]))
    Array([3.75, 5.5 , 7.  ], dtype=float32)
    """
    def move(later: Any, now: Any) -> tuple[Any, Any]:
        y = step(later, *now)
        return y, y

    last = jnp.asarray(last, dtype=jnp.result_type(last, *sequences))  # values may be narrower than rewards
    return lax.scan(move, last, sequences, reverse=True)[1]


def chosen(flag: Any, yes: Any, no: Any) -> Any:
    """`yes` or `no` by a flag, which may be traced.

    >>> chosen(True, 1.0, 2.0), chosen(jnp.array(False), 1.0, 2.0)
    (1.0, Array(2., dtype=float32, weak_type=True))
    """
    if isinstance(flag, bool):
        return yes if flag else no
    return jnp.where(flag, yes, no)


def stopped(target: Any, stop: Any) -> Any:
    """`target`, which gradients do not enter if `stop`; the flag may be traced.

    >>> import minijax
    >>> minijax.grad(lambda x: x * stopped(x, True))(3.0)
    Array(3., dtype=float32, weak_type=True)
    """
    return chosen(stop, lax.stop_gradient(target), target)
