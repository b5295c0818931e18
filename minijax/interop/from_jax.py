"""`from_jax`: a function that JAX can trace becomes one that minijax can trace."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax

from minijax import pytree
from minijax.api.arguments import check_callable, flatten_values, function_name
from minijax.api.boundary import boundary
from minijax.api.trace import ShapeDtypeStruct
from minijax.calls.jit import TraceCache, call_traced
from minijax.calls.static import JitOptions
from minijax.interop import callbacks, custom, keys, programs, table  # noqa: F401: they fill in the rules
from minijax.interop.equations import run
from minijax.interpreters.evaluate import base_trace
from minijax.tracing.array import Array, typeof
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
    options = JitOptions(fun, static_argnums, static_argnames)
    cache = TraceCache()

    def through_jax(*args: Any, **kwargs: Any) -> Any:
        dynamic, static = options.split(args, kwargs)
        leaves, in_tree = pytree.flatten(dynamic)
        out_trees = []

        def flat(*xs: Any) -> list[Any]:
            positional, keywords = static.restore(*in_tree.unflatten(xs))
            outs, tree = jax.tree.flatten(fun(*positional, **keywords))
            out_trees.append(tree)
            return outs

        stand_ins = [Array.backend.abstract(ShapeDtypeStruct.of(typeof(x))) for x in leaves]
        program = jax.make_jaxpr(flat)(*stand_ins)
        return out_trees[0].unflatten(run(program, leaves))

    @boundary
    @functools.wraps(fun)
    def call(*args: Any, **kwargs: Any) -> Any:
        dynamic, static = options.split(args, kwargs)
        leaves, in_tree = flatten_values("from_jax", fun, *dynamic)
        types = tuple([typeof(x) for x in leaves])
        names = options.argument_names(fun, args, kwargs)
        traced = cache.get(through_jax, types, in_tree, static, names)
        return call_traced(traced, leaves, function_name(fun), inline=context.trace is not base_trace)

    return call
