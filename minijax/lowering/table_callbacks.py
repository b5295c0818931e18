"""How calls back to Python become JAX's callbacks; eager calls run the function at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from minijax.interpreters.evaluate import evaluate_numpy
from minijax.ir.op import Op
from minijax.lowering.table import apply_rule, lower
from minijax.lowering.values import bare
from minijax.ops.callbacks import debug_callback_p, io_callback_p, pure_callback_p
from minijax.tracing.array import Array


def _on_host(callback: Any, types: Sequence[Any]) -> Callable[..., Any]:
    def call(*values: Any) -> tuple[Any, ...]:
        return tuple(callback(types, *map(np.asarray, values)))

    call.__name__ = callback.__name__
    return call


def _debug(*values: Any, callback: Any, **options: Any) -> tuple[()]:
    jax.debug.callback(_on_host(callback, ()), *values, **options)
    return ()


def _returning(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(*values: Any, callback: Any, result_types: Sequence[Any], **options: Any) -> Any:
        structs = tuple([jax.ShapeDtypeStruct(t.shape, t.dtype) for t in result_types])
        return function(_on_host(callback, result_types), structs, *values, **options)

    return rule


def _call_now(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Call the function, after what compiled programs have yet to do in order; JAX's tracers go to JAX."""
    if params.get("ordered"):
        jax.effects_barrier()
    try:
        arrays = [Array.backend.to_numpy(bare(x)) for x in args]
    except jax.errors.TracerArrayConversionError:
        return tuple(map(Array, apply_rule(op, [bare(x) for x in args], params)))
    return tuple(Array(jax.numpy.asarray(x.value)) for x in evaluate_numpy(op, tuple(arrays), params))


lower(debug_callback_p, _debug, _call_now)
lower(pure_callback_p, _returning(jax.pure_callback), _call_now)
lower(io_callback_p, _returning(jax.experimental.io_callback), _call_now)
