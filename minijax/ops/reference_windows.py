"""The NumPy meaning of convolutions, of reductions over windows, and of ragged products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from minijax.ir import dtypes
from minijax.ops.reference import dot_general, quiet, widened
from minijax.ops.reference_indexing import pad
from minijax.ops.window_shapes import Pads, window_counts
from minijax.util import size_of


def windows_of(x: np.ndarray, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> np.ndarray:
    """All windows over the last axes of x: leading axes, then the windows' numbers, then the places in a window."""
    first, rank = x.ndim - len(window), len(window)
    counts = window_counts(x.shape[first:], window, strides, ((0, 0),) * rank, (1,) * rank, dilation)
    for axis in reversed(range(rank)):
        starts = np.arange(counts[axis])[:, None] * strides[axis]
        x = np.take(x, starts + np.arange(window[axis]) * dilation[axis], axis=first + axis)
    return x.transpose(*range(first), *range(first, first + 2 * rank, 2), *range(first + 1, first + 2 * rank, 2))


def conv_general_dilated(x: np.ndarray, kernel: np.ndarray, *, window_strides: Sequence[int], padding: Pads,
                         lhs_dilation: Sequence[int], rhs_dilation: Sequence[int], dimension_numbers: Any,
                         feature_group_count: int, batch_group_count: int, dtype: Any) -> np.ndarray:
    """Windows of x times the kernel, summed over places in the window and input features."""
    x_spec, kernel_spec, out_spec = dimension_numbers
    config = [(low, high, d - 1) for (low, high), d in zip(padding, lhs_dilation, strict=True)]
    x = pad(x.transpose(x_spec), np.zeros((), x.dtype), [(0, 0, 0), (0, 0, 0), *config])
    kernel = kernel.transpose(kernel_spec)
    windows = windows_of(x, kernel.shape[2:], window_strides, rhs_dilation)
    batch, features, counts = x.shape[0] // batch_group_count, kernel.shape[0], windows.shape[2:x.ndim]
    groups, each = feature_group_count * batch_group_count, kernel.shape[1]
    places = size_of(kernel.shape[2:])
    total = size_of(counts)
    windows = windows.reshape(batch_group_count, batch, feature_group_count, each, total, places)
    windows = windows.transpose(0, 2, 1, 4, 3, 5).reshape(groups, batch, total, each * places)
    kernel = kernel.reshape(groups, features // groups, each * places)
    product = dot_general(windows, kernel, (((3,), (2,)), ((0,), (0,))), dtype)
    product = product.transpose(1, 0, 3, 2).reshape((batch, features, *counts))
    return product.transpose(np.argsort(out_spec))


@quiet
def ragged_dot(x: np.ndarray, y: np.ndarray, sizes: np.ndarray, axes: Any, dtype: Any) -> np.ndarray:
    """Products of groups along an axis: x repeated for each group, zero outside of it, times y."""
    ends, places = np.cumsum(sizes, -1)[..., None], np.arange(x.shape[axes.ragged])
    inside = (ends - sizes[..., None] <= places) & (places < ends)
    before = axes.before() if sizes.ndim > 1 else []
    shape = [sizes.shape[-1], *[n if i in before or i == axes.ragged else 1 for i, n in enumerate(x.shape)]]
    order = [inside.ndim - 2, *np.argsort([*before, axes.ragged]) + (np.argsort([*before, axes.ragged]) == len(before))]
    parts = np.where(inside.transpose(order).reshape(shape), x, np.zeros((), x.dtype))
    x_sum, x_batch = [a + 1 for a in axes.x_sum], [a + 1 for a in axes.x_batch]
    pairs = ([0, *x_sum] if axes.group else x_sum), [*axes.group, *axes.y_sum]
    product = dot_general(parts, y, (pairs, (x_batch, axes.y_batch)), dtype)
    return product if axes.group else np.moveaxis(product, len(x_batch), 0)


# ---- reductions over windows

def lowest(dtype: Any) -> Any:
    """The number that no number of this dtype is less than."""
    return -np.inf if dtypes.is_inexact(dtype) else False if dtype == bool else ml_dtypes.iinfo(dtype).min


def highest(dtype: Any) -> Any:
    """The number that no number of this dtype is greater than."""
    return np.inf if dtypes.is_inexact(dtype) else True if dtype == bool else ml_dtypes.iinfo(dtype).max


def _padded(x: np.ndarray, value: Any, padding: Pads, base_dilation: Sequence[int]) -> np.ndarray:
    config = [(low, high, b - 1) for (low, high), b in zip(padding, base_dilation, strict=True)]
    return pad(x, np.asarray(value).astype(x.dtype), config)


def _reduction(ufunc: np.ufunc, initial: Any) -> Any:
    @widened
    def reduce(x: np.ndarray, window_dimensions: Any, window_strides: Any, padding: Pads, base_dilation: Any,
               window_dilation: Any) -> np.ndarray:
        start = initial(x.dtype)
        windows = windows_of(_padded(x, start, padding, base_dilation), window_dimensions, window_strides,
                             window_dilation)
        axes = tuple(range(x.ndim, 2 * x.ndim))
        return ufunc.reduce(windows, axis=axes, dtype=x.dtype, initial=np.asarray(start).astype(x.dtype)[()])

    return reduce


reduce_window_sum = _reduction(np.add, lambda dtype: 0)
reduce_window_max = _reduction(np.maximum, lowest)
reduce_window_min = _reduction(np.minimum, highest)


def _chosen(x: np.ndarray, select: str, window: Any, strides: Any, padding: Pads, base_dilation: Any,
            dilation: Any) -> np.ndarray:
    """For each window the number of the place that `select` ('ge' or 'le') prefers; -1 if nothing beats the start."""
    initial = lowest(x.dtype) if select == "ge" else highest(x.dtype)
    windows = windows_of(_padded(x, initial, padding, base_dilation), window, strides, dilation)
    windows = windows.reshape(*windows.shape[:x.ndim], size_of(window))
    best = np.full(windows.shape[:-1], initial, x.dtype)
    place = np.full(best.shape, -1)
    for number in range(windows.shape[-1]):
        stays = best >= windows[..., number] if select == "ge" else best <= windows[..., number]
        best, place = np.where(stays, best, windows[..., number]), np.where(stays, place, number)
    return place


@quiet
def select_and_gather_add(source: np.ndarray, x: np.ndarray, *, select: str, window_dimensions: Any,
                          window_strides: Any, padding: Pads, base_dilation: Any, window_dilation: Any) -> np.ndarray:
    """For each window of x, the element of `source` where x is largest ('ge') or smallest ('le')."""
    place = _chosen(x, select, window_dimensions, window_strides, padding, base_dilation, window_dilation)
    windows = windows_of(_padded(source, 0, padding, base_dilation), window_dimensions, window_strides,
                         window_dilation).reshape(*place.shape, size_of(window_dimensions))
    found = np.take_along_axis(windows, np.maximum(place, 0)[..., None], -1)[..., 0]
    return np.where(place < 0, np.zeros((), source.dtype), found)


@widened
def select_and_scatter_add(source: np.ndarray, x: np.ndarray, *, select: str, window_dimensions: Any,
                           window_strides: Any, padding: Pads) -> np.ndarray:
    """Zeros of the shape of x, to which each window adds its element of `source` where x is largest or smallest."""
    ones = (1,) * x.ndim
    place = np.maximum(_chosen(x, select, window_dimensions, window_strides, padding, ones, ones), 0)
    shape = [n + low + high for n, (low, high) in zip(x.shape, padding, strict=True)]
    out = np.zeros(shape, source.dtype)
    inside = np.unravel_index(place, window_dimensions)
    numbers = np.indices(place.shape)
    np.add.at(out, tuple([i * s + k for i, s, k in zip(numbers, window_strides, inside, strict=True)]), source)
    return pad(out, np.zeros((), out.dtype), [(-low, -high, 0) for low, high in padding])
