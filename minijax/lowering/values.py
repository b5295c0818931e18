"""Concrete operands as JAX takes them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from minijax.errors import UnexpectedTracerError
from minijax.ir import dtypes
from minijax.tracing.array import Array, Tracer
from minijax.tracing.leaks import leak_message


def to_device(x: Any) -> Any:
    """A value as JAX takes it: arrays bare, structured NumPy keys as JAX's keys."""
    if isinstance(x, np.ndarray) and x.dtype == dtypes.float0:
        return np.zeros(x.shape, jax.dtypes.float0)
    if isinstance(x, np.ndarray) and x.dtype.names is not None:
        words = np.ascontiguousarray(x).view(np.uint32).reshape(*x.shape, *x.dtype[0].shape)
        return jax.random.wrap_key_data(words, impl="threefry2x32")
    return x


def bare(x: Any) -> Any:
    """The device value of a concrete operand; a tracer here has leaked."""
    if isinstance(x, Tracer):
        raise UnexpectedTracerError(leak_message(x))
    if isinstance(x, Array):
        x = x.value
    if isinstance(x, np.generic):  # JAX takes a 0-d array much quicker than a NumPy scalar
        return np.asarray(x)
    return to_device(x) if isinstance(x, np.ndarray) else x
