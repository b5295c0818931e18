"""Eager evaluation on XLA: one cached compiled kernel for each op and its parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.config import state
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.emit import jitted
from minijax.lowering.nans import has_nan, report_nan
from minijax.lowering.table import eager_rules, find_rule
from minijax.lowering.values import bare
from minijax.tracing.array import Array, check_not_donated, typeof
from minijax.tracing.source import at_line
from minijax.util import bounded

# Key: the op, and its parameters if it has any.  jax.jit keys on types below that.
_kernels: dict[Any, Callable[..., Any]] = {}


def evaluate_xla(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Apply an op to concrete values with a compiled kernel."""
    if params:
        evaluate = eager_rules.get(op)
        if evaluate is not None:
            return evaluate(op, args, params)
        key: Any = (op, *params.items())
    else:
        key = op
    try:
        kernel = _kernels[key]
    except KeyError:
        kernel = bounded(_kernels, key, new_kernel(op, params))
    except TypeError:  # parameters that cannot be hashed: compiled for this call only
        kernel = new_kernel(op, params)
    try:
        outs = kernel(*[x.value if type(x) is Array else bare(x) for x in args])
    except Exception:
        check_not_donated(args)
        op.infer(tuple([typeof(x) for x in args]), params)  # raises our own error, if the types are to blame
        raise
    return tuple(map(Array, outs)) if isinstance(outs, (tuple, list)) else (Array(outs),)


def evaluate_xla_checked(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """`evaluate_xla` under `jax_debug_nans`."""
    outs = evaluate_xla(op, args, params)
    if has_nan([x.value for x in outs]):
        report_nan(op, [bare(x) for x in args], params, at_line())
    return outs


def new_kernel(op: Op, params: dict[str, Any]) -> Callable[..., Any]:
    """A compiled function of one op at fixed parameters.  A single result comes bare: JAX returns that quicker."""
    return jitted(op.name, lambda *values: find_rule(op)(*values, **params))


def kept_kernel(op: Op, params: dict[str, Any], program: Jaxpr) -> Callable[..., Any]:
    """`new_kernel`, kept by a program that the op holds."""
    key = "kernel", *params.items(), state.token
    return program.cache.get(key) or program.cache.setdefault(key, new_kernel(op, params))
