"""`fast_eval_shape`: the shapes of results, with initializers left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import api
from minijax import numpy as jnp
from minijax.haiku.frames import inside_transform, pushed
from minijax.haiku.parameters import param_creators, state_creators
from minijax.haiku.stateful import eval_shape


def fast_eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Shapes and dtypes of `fun(*args)`, as `minijax.eval_shape` gives them, but no initializer is traced.

    Args: fun: any function, `init` and `apply` included.  args, kwargs: its arguments, or `ShapeDtypeStruct`s.
    Returns: a tree of `ShapeDtypeStruct`s.

    >>> import minijax, minijax.haiku as hk
    >>> net = hk.transform(lambda x: hk.Linear(3)(x))
    >>> fast_eval_shape(net.init, minijax.random.key(0), jnp.ones((1, 2)))["linear"]["w"]
    ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    with pushed((param_creators, zeros), (state_creators, zeros)):
        return (eval_shape if inside_transform() else api.eval_shape)(fun, *args, **kwargs)


def zeros(next_creator: Callable[..., Any], shape: Any, dtype: Any, init: Any, context: Any) -> Any:
    """A creator that makes zeros."""
    return next_creator(shape, dtype, jnp.zeros)
