"""Haiku's own transforms, which here are minijax's: those work inside modules.

Only `vmap` says something of its own, whether the examples draw the same random keys; and `eval_shape` leaves no
trace in the function around.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax import api, lax, pytree
from minijax.ad_checkpoint import checkpoint
from minijax.api.boundary import boundary
from minijax.api.vmap import argument_axes, batch_size
from minijax.calls.arguments import Arguments
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.frames import frame_of
from minijax.haiku.keys import next_rng_keys, with_rng
from minijax.tracing.source import at_line

__all__ = ["cond", "eval_shape", "fori_loop", "grad", "jit", "map", "remat", "scan", "switch", "value_and_grad",
           "vmap", "while_loop"]

grad, jit, value_and_grad = api.grad, api.jit, api.value_and_grad
cond, fori_loop, map, scan = lax.cond, lax.fori_loop, lax.map, lax.scan
switch, while_loop = lax.switch, lax.while_loop
_REQUIRED = object()


def remat(fun: Callable[..., Any], *, prevent_cse: bool = True, policy: Any = None, static_argnums: Any = (),
          concrete: Any = None) -> Callable[..., Any]:
    """`minijax.checkpoint`; `concrete` is accepted and means nothing."""
    made: Callable[..., Any] = checkpoint(fun, prevent_cse=prevent_cse, policy=policy, static_argnums=static_argnums)
    return made


@boundary
def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, axis_name: Any = None,
         axis_size: int | None = None, *, split_rng: Any = _REQUIRED, spmd_axis_name: Any = None) -> Callable[..., Any]:
    """`minijax.vmap` of a function that makes modules and draws random keys.

    Args:
        fun, in_axes, out_axes, axis_name, axis_size: as for `minijax.vmap`.
        split_rng: whether each example draws keys of its own; False: all draw the same, as under `minijax.vmap`.
            Parameters are shared, so while they are made it must be False: `split_rng=not hk.running_init()`.
    Returns: a function of batches.
    Raises: `MinijaxTypeError` without `split_rng`; `MinijaxValueError` if nothing is batched, and what `minijax.vmap`
        raises.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> def f(x):
    ...     return hk.vmap(lambda x: hk.next_rng_key(), split_rng=True)(x)
    >>> hk.transform(f).apply({}, 42, np.arange(2))
    Array([[2350016172, 1168365246],
           [2853785955,  313133857]], dtype=uint32)
    """
    if split_rng is _REQUIRED:
        if vmap.require_split_rng:  # type: ignore[attr-defined]
            raise MinijaxTypeError(f"hk.vmap: pass split_rng{at_line()}: True if each example is to draw random keys "
                                   "of its own, False if all draw the same. `hk.vmap.require_split_rng = False` makes "
                                   "False the default.")
        split_rng = False
    if not pytree.leaves(in_axes):
        raise MinijaxValueError(f"hk.vmap: {getattr(fun, '__name__', 'the function')} must have at least one non-None "
                                f"value in in_axes to use with `hk.vmap`{at_line()}.")

    @boundary
    @functools.wraps(fun)
    def mapped(*args: Any) -> Any:
        frame_of("vmap")
        if not split_rng:
            return api.vmap(fun, in_axes, out_axes, axis_name, axis_size)(*args)
        axes = tuple(in_axes) if isinstance(in_axes, (list, tuple)) else (in_axes,) * len(args)
        call = Arguments("vmap", fun, args).checked()
        keys = next_rng_keys(batch_size(call, argument_axes(call, axes), axis_size))

        def with_key(key: Any, *args: Any) -> Any:
            with with_rng(key):
                return fun(*args)

        return api.vmap(with_key, (0, *axes), out_axes, axis_name, axis_size)(keys, *args)

    return mapped


vmap.require_split_rng = True  # type: ignore[attr-defined]


@boundary
def eval_shape(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """`minijax.eval_shape`, after which the function around names its modules as if nothing had been.

    >>> import minijax.haiku as hk, minijax.numpy as np
    >>> def f(x):
    ...     return hk.eval_shape(hk.Linear(3), x).shape
    >>> hk.transform(f).init(0, np.ones((1, 2)))
    {}
    """
    put_back = frame_of("eval_shape").remember()
    try:
        return api.eval_shape(fun, *args, **kwargs)
    finally:
        put_back()
