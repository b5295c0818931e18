"""What namespaces with JAX's names say of a name that they do not have: how JAX's function is used instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def pointing_to_jax(namespace: str) -> Callable[[str], Any]:
    """The `__getattr__` of `minijax.<namespace>`: it raises an `AttributeError` that names the bridge to JAX.

    >>> import minijax.numpy as jnp
    >>> jnp.percentile
    Traceback (most recent call last):
        ...
    AttributeError: module 'minijax.numpy' has no attribute 'percentile'. Where JAX has it, use
    minijax.interop.from_jax(jax.numpy.percentile): a function like minijax's own.
    """
    module = f"minijax.{namespace}"

    def missing(name: str) -> Any:
        raise AttributeError(f"module {module!r} has no attribute {name!r}. Where JAX has it, use minijax.interop."
                             f"from_jax(jax.{namespace}.{name}): a function like minijax's own.", name=name)

    return missing
