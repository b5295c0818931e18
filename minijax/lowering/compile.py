"""`jit` on JAX: the call as it came goes to a `jax.jit` object whose body traces, then emits."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import jax
from jax.tree_util import treedef_is_leaf

from minijax import pytree
from minijax.calls.jit import Traced, jit_p, trace_cache
from minijax.calls.names import function_name
from minijax.config import state
from minijax.ir.passes import dce
from minijax.lowering.emit import emit, jitted
from minijax.lowering.nans import has_nan, report_nan
from minijax.lowering.trees import Results
from minijax.lowering.values import bare
from minijax.tracing.array import Array, typeof
from minijax.tracing.source import at_line


def reference_to(function: Any) -> Callable[[], Any]:
    """A weak reference; a strong one to what cannot be held weakly, such as NumPy's ufuncs."""
    try:
        return weakref.ref(function)
    except TypeError:
        return lambda: function


def compile_function(function: Any, options: Any) -> Any:
    """A `jax.jit` object for a Python function.  It holds the function weakly: its caller holds it.

    A result that is one array comes bare, which JAX returns quicker.
    """
    reference, settings = reference_to(function), options.for_backend()

    def body(*args: Any, **kwargs: Any) -> Any:
        traced, leaves = trace_call(reference(), options, args, kwargs)
        values = [*map(bare, traced.captured), *(x.value for x in leaves)]
        outs = emit(dce(traced.jaxpr), values)
        if "out_shardings" in settings:  # which JAX matches with the user's own tree
            return traced.out_tree.unflatten([Array(x) for x in outs])
        return outs[0] if outs and treedef_is_leaf(traced.out_tree) else Results(outs, traced.out_tree)

    compiled = jitted(function_name(function), body, **settings)
    return with_nan_check(compiled, reference, options) if state.jax_debug_nans else compiled


def trace_call(function: Any, options: Any, args: Any, kwargs: Any) -> tuple[Traced, list[Array]]:
    """The program for a call, and the call's leaves as Arrays."""
    call = options.arguments("jit", function, args, kwargs)
    arrays = [x if isinstance(x, Array) else Array(x if hasattr(x, "dtype") else jax.numpy.asarray(x))
              for x in call.leaves]
    return trace_cache(function).get(call, tuple([typeof(x) for x in arrays])), arrays


def with_nan_check(compiled: Any, reference: Any, options: Any) -> Any:
    """A jitted function that, when a result has a NaN, finds the equation that made it."""
    def call(*args: Any, **kwargs: Any) -> Any:
        outs = compiled(*args, **kwargs)
        if has_nan([*map(bare, pytree.leaves(outs))]):
            traced, leaves = trace_call(reference(), options, args, kwargs)
            report_nan(jit_p, [*map(bare, [*traced.captured, *leaves])], {"jaxpr": traced.jaxpr}, at_line())
        return outs

    call.lower = compiled.lower  # type: ignore[attr-defined]
    return call
