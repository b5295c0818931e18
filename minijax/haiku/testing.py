"""Trying a function of modules at once: `transform_and_run` transforms it, runs `init`, and `apply`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax import random
from minijax.haiku.transforms import transform_with_state

Function = Callable[..., Any]


def transform_and_run(f: Function | None = None, seed: int | None = 42, run_apply: bool = True,
                      jax_transform: Callable[[Function], Function] | None = None, *,
                      map_rng: Callable[[Any], Any] | None = None) -> Any:
    """A function that transforms `f`, runs init with the key of `seed`, then apply with that of `seed + 1`.

    Args:
        f: a function that uses modules; without it the result is a decorator.
        seed: of the keys; None for no keys.
        run_apply: whether to run apply and return its result (without state); else the result is None.
        jax_transform: what `init` and `apply` are wrapped in, such as `minijax.jit` or `minijax.pmap`.
        map_rng: applied to both keys, for instance to make one for each device.
    Returns: a function of `f`'s arguments, which `f` sees as they are (they are not traced).

    >>> import minijax.haiku as hk, minijax.numpy as jnp
    >>> transform_and_run(lambda x: hk.Bias()(x))(jnp.ones((1, 2)))
    Array([[1., 1.]], dtype=float32)
    """
    if f is None:
        return functools.partial(transform_and_run, seed=seed, run_apply=run_apply, jax_transform=jax_transform,
                                 map_rng=map_rng)

    @functools.wraps(f)
    def run(*args: Any, **kwargs: Any) -> Any:
        keys = (None, None) if seed is None else (random.PRNGKey(seed), random.PRNGKey(seed + 1))
        if seed is not None and map_rng is not None:
            keys = map_rng(keys[0]), map_rng(keys[1])
        init, apply = transform_with_state(lambda: f(*args, **kwargs))
        if jax_transform is not None:
            init, apply = jax_transform(init), jax_transform(apply)
        params, state = init(keys[0])
        return apply(params, state, keys[1])[0] if run_apply else None

    return run
