"""`to_jax`: a minijax function becomes one for JAX to transform."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.static import JitOptions
from minijax.ir.passes import dce
from minijax.lowering.compile import trace_call
from minijax.lowering.emit import emit
from minijax.lowering.values import bare


def to_jax(fun: Callable[..., Any], *, static_argnums: Any = None, static_argnames: Any = None) -> Callable[..., Any]:
    """A JAX function of a minijax function: JAX differentiates, batches, compiles, shards and exports it.

    It takes and returns pytrees of JAX arrays.  `fun` is traced once for each set of types; its program becomes
    `jax.lax` calls on whatever JAX passes in, with custom derivatives, `stop_gradient` and checkpoints as JAX's own.

    >>> import jax, minijax.numpy as jnp
    >>> f = to_jax(lambda x: jnp.sum(jnp.sin(x) ** 2))
    >>> print(f"{jax.grad(f)(0.5):.4f}")
    0.8415
    """
    check_callable("to_jax", fun)
    options = JitOptions.of(fun, static_argnums, static_argnames)

    @boundary
    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        traced, leaves = trace_call(fun, options, args, kwargs)
        outs = emit(dce(traced.jaxpr), [*map(bare, traced.captured), *map(bare, leaves)])
        return traced.out_tree.unflatten(outs)

    return call
