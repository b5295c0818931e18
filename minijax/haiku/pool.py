"""Pooling: the largest element or the mean of each window, as functions and as modules.

As `haiku.max_pool`, `avg_pool`, `MaxPool` and `AvgPool`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.errors import MinijaxValueError
from minijax.haiku.module import Module
from minijax.tracing.source import at_line

Sizes = int | Sequence[int]

_GUESSED = ("{name}={size} means every axis but the first and the channels, which is wrong for a single example, as "
            "under vmap. Name the axes: {name}=({size}, {size}, 1) for images; axes before those get 1.")


def max_pool(value: Any, window_shape: Sizes, strides: Sizes, padding: str, channel_axis: int | None = -1) -> Any:
    """The largest element of each window.

    Args: an array; sizes and strides of the windows, for the last axes (1 for those before); "SAME" or "VALID".  One
    number is for all axes but the first and `channel_axis`, and warns unless it is 1.
    Raises `MinijaxValueError` for sizes and axes that do not fit.

    >>> max_pool(jnp.arange(6.0).reshape(6, 1), (2, 1), (2, 1), "VALID").ravel()
    Array([1., 3., 5.], dtype=float32)
    """
    value, windows, strides = _arguments("max_pool", value, window_shape, strides, padding, channel_axis)
    return lax.reduce_window(value, -jnp.inf, lax.max, windows, strides, padding)


def avg_pool(value: Any, window_shape: Sizes, strides: Sizes, padding: str, channel_axis: int | None = -1) -> Any:
    """The mean of each window, over those of its places that lie in the array.

    Args and errors: those of `max_pool`.

    >>> avg_pool(jnp.arange(5.0).reshape(5, 1), (2, 1), (2, 1), "SAME").ravel()
    Array([0.5, 2.5, 4. ], dtype=float32)
    """
    value, windows, strides = _arguments("avg_pool", value, window_shape, strides, padding, channel_axis)
    sums = lax.reduce_window(value, 0.0, lax.add, windows, strides, padding)
    if padding == "VALID":
        return sums / math.prod(windows)
    places = jnp.ones([n if size != 1 else 1 for n, size in zip(value.shape, windows, strict=True)], value.dtype)
    return sums / lax.reduce_window(places, 0.0, lax.add, windows, strides, padding)


def _arguments(name: str, value: Any, window_shape: Sizes, strides: Sizes, padding: str,
               channel_axis: int | None) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """The array, and sizes and strides for each of its axes."""
    if padding not in ("SAME", "VALID"):
        raise MinijaxValueError(f"{name}: padding is {padding!r}{at_line()}. Choose 'SAME' or 'VALID'.")
    value = jnp.asarray(value)
    for what, size in (("window_shape", window_shape), ("strides", strides)):
        if isinstance(size, int) and size != 1:
            warnings.warn(f"{name}: {_GUESSED.format(name=what, size=size)}", DeprecationWarning, stacklevel=3)
    return (value, _sizes(f"{name}: window_shape", window_shape, value.shape, channel_axis),
            _sizes(f"{name}: strides", strides, value.shape, channel_axis))


def _sizes(name: str, sizes: Sizes, shape: tuple[int, ...], channel_axis: int | None) -> tuple[int, ...]:
    """One size for each axis: 1 for those that `sizes` leaves out."""
    rank = len(shape)
    if not isinstance(sizes, int):
        if len(sizes) > rank:
            raise MinijaxValueError(f"{name}={tuple(sizes)} has {len(sizes)} sizes, for an array of shape {shape}"
                                    f"{at_line()}. Give at most {rank}.")
        return (1,) * (rank - len(sizes)) + tuple(sizes)
    if channel_axis and not abs(channel_axis) < rank:
        raise MinijaxValueError(f"{name}={sizes} with channel_axis={channel_axis}, for an array of shape {shape}"
                                f"{at_line()}. Choose an axis from 1 to {rank - 1}, or None.")
    channels = channel_axis % rank if channel_axis else None
    return (1,) + tuple([1 if axis == channels else sizes for axis in range(1, rank)])


class _Pool(Module):
    """Holds the arguments of a pooling function."""

    def __init__(self, window_shape: Sizes, strides: Sizes, padding: str, channel_axis: int | None = -1,
                 name: str | None = None):
        super().__init__(name)
        self.window_shape = window_shape
        self.strides = strides
        self.padding = padding
        self.channel_axis = channel_axis


class MaxPool(_Pool):
    """`max_pool` with its arguments but the array.

    >>> from minijax import haiku as hk
    >>> model = hk.transform(lambda x: hk.MaxPool((2, 2, 1), (2, 2, 1), "SAME")(x))
    >>> model.apply({}, None, jnp.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    def __call__(self, value: Any) -> Any:
        """An array to the largest elements of its windows."""
        return max_pool(value, self.window_shape, self.strides, self.padding, self.channel_axis)


class AvgPool(_Pool):
    """`avg_pool` with its arguments but the array."""

    def __call__(self, value: Any) -> Any:
        """An array to the means of its windows."""
        return avg_pool(value, self.window_shape, self.strides, self.padding, self.channel_axis)
