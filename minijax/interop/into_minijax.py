"""`from_jax`: a function that JAX can trace becomes one that minijax can trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.jit import TraceCache, call_traced
from minijax.calls.names import function_name
from minijax.calls.static import JitOptions
from minijax.interop import (callbacks, collectives, custom, keys, programs, references, refusals,  # noqa: F401
                             sampling, sparse, table)  # noqa: F401: they fill in the rules
from minijax.interop.equations import run, traced
from minijax.interpreters.evaluate import base_trace
from minijax.tracing.context import context


def from_jax(fun: Callable[..., Any], *, static_argnums: Any = None, static_argnames: Any = None) -> Callable[..., Any]:
    """A minijax function of a JAX function: minijax differentiates, batches, prints and compiles it.

    `fun` takes and returns pytrees as JAX traces them; arguments marked static are handed to it as they are.  It
    is traced by JAX once for each set of types; its program is then run equation by equation, with nested
    `jit`, control flow, custom derivatives and checkpoints kept.  Raises `MissingRuleError` for a JAX primitive
    without a meaning in minijax (see `register`), and whatever `fun` raises.

    >>> import jax.numpy, minijax
    >>> f = from_jax(lambda x: jax.numpy.sum(jax.numpy.sin(x) ** 2))
    >>> print(f"{minijax.grad(f)(0.5):.4f}")
    0.8415
    """
    check_callable("from_jax", fun)
    options = JitOptions.of(fun, static_argnums, static_argnames)
    cache = TraceCache()

    @functools.wraps(fun)
    def through_jax(*args: Any, **kwargs: Any) -> Any:
        call = options.arguments("from_jax", fun, args, kwargs)
        out_trees = []

        def flat(*xs: Any) -> list[Any]:
            outs, tree = jax.tree.flatten(call.apply_leaves(xs))
            out_trees.append(tree)
            return outs

        program = traced(flat, *call.leaves)
        return out_trees[0].unflatten(run(program, call.leaves))

    @boundary
    @functools.wraps(fun)
    def from_jax_fun(*args: Any, **kwargs: Any) -> Any:
        call = options.arguments("from_jax", through_jax, args, kwargs).checked()
        program = cache.get(call, call.types())
        return call_traced(program, call.leaves, function_name(fun), inline=context.trace is not base_trace)

    return from_jax_fun
