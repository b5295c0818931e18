"""How calls back to Python become JAX's callbacks: one line an op; eager calls run the function at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from minijax.interpreters.evaluate import evaluate_numpy
from minijax.ir.op import Op
from minijax.lowering.values import bare
from minijax.ops.callbacks import debug_callback_p, io_callback_p, pure_callback_p
from minijax.tracing.array import Array


def _on_host(callback: Any, types: Sequence[Any]) -> Callable[..., Any]:
    def call(*values: Any) -> tuple[Any, ...]:
        return tuple(callback(types, *map(np.asarray, values)))

    call.__name__ = callback.__name__
    return call


def _structs(types: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(jax.ShapeDtypeStruct(t.shape, t.dtype) for t in types)


def _debug(*values: Any, callback: Any, **options: Any) -> tuple[()]:
    jax.debug.callback(_on_host(callback, ()), *values, **options)
    return ()


def _pure(*values: Any, callback: Any, result_types: Any, **options: Any) -> Any:
    return jax.pure_callback(_on_host(callback, result_types), _structs(result_types), *values, **options)


def _io(*values: Any, callback: Any, result_types: Any, **options: Any) -> Any:
    return jax.experimental.io_callback(_on_host(callback, result_types), _structs(result_types), *values, **options)


rules: dict[Op, Callable[..., Any]] = {
    debug_callback_p: _debug,
    pure_callback_p: _pure,
    io_callback_p: _io,
}


def _eager(op: Op) -> Callable[..., tuple[Any, ...]]:
    """Call the function now, after what compiled programs have yet to do in order; JAX's tracers go to JAX."""
    def evaluate(args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        if params.get("ordered"):
            jax.effects_barrier()
        try:
            arrays = [Array.backend.to_numpy(bare(x)) for x in args]
        except jax.errors.TracerArrayConversionError:
            return tuple(map(Array, rules[op](*map(bare, args), **params)))
        return tuple(Array(jax.numpy.asarray(x.value)) for x in evaluate_numpy(op, tuple(arrays), params))

    return evaluate


evaluators = {op: _eager(op) for op in rules}
