"""Transformations of optax, carried over the bridge: minijax compiles, differentiates and batches them.

Their states keep optax's classes, with minijax's arrays for leaves.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from minijax import interop
from minijax.errors import MinijaxTypeError
from minijax.optix.transformation import GradientTransformation, GradientTransformationExtraArgs
from minijax.tracing.source import at_line


def from_optax(transformation: Any) -> GradientTransformationExtraArgs:
    """The same transformation for minijax: for `jit`, `grad`, `vmap`, `pmap` and `chain`.

    `transformation` has optax's `init` and `update`.  Keywords of `update` are handed on if optax takes some: arrays as
    they are, functions as minijax functions, such as the `value_fn` of a line search.  Raises `MinijaxTypeError` for
    anything else; what stays the same is a transformation of minijax itself.

    >>> import minijax.numpy as jnp
    >>> import optax
    >>> optimizer = from_optax(optax.lion(0.5))
    >>> params = {"w": jnp.float32(1.0)}
    >>> print(optimizer.update(params, optimizer.init(params), params)[0]["w"])
    -0.5005
    """
    if isinstance(transformation, GradientTransformation):
        return transformation
    if not callable(getattr(transformation, "init", None)) or not callable(getattr(transformation, "update", None)):
        raise MinijaxTypeError(f"from_optax takes a transformation with init and update, got {transformation!r} of "
                               f"type {type(transformation).__name__}{at_line()}. Pass what optax returns: "
                               "from_optax(optax.lamb(0.1)).")
    takes_more = any(parameter.kind == parameter.VAR_KEYWORD
                     for parameter in inspect.signature(transformation.update).parameters.values())

    @functools.wraps(transformation.update)
    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        extra = extra if takes_more else {}
        functions = tuple(sorted(name for name, value in extra.items() if callable(value)))
        return update_with(functions)(updates, state, params, **extra)

    @functools.cache
    def update_with(functions: tuple[str, ...]) -> Callable[..., Any]:
        return interop.from_jax(functools.partial(call_update, transformation), static_argnames=functions)

    return GradientTransformationExtraArgs(interop.from_jax(transformation.init), update)


def call_update(transformation: Any, updates: Any, state: Any, params: Any, **extra: Any) -> tuple[Any, Any]:
    """optax's update, on JAX's values; functions of minijax become JAX's."""
    extra = {name: interop.to_jax(value) if callable(value) else value for name, value in extra.items()}
    return transformation.update(updates, state, params, **extra)
