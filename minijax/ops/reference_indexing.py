"""The NumPy meaning of ops that place elements: broadcasting, padding, slices, gather, scatter.

Gather and scatter have XLA's full generality.  Both work on an *index grid*: for each axis
of the operand, an integer array that says which position each element of the result (or of
the updates) is read from (or written to).  Grids broadcast against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from minijax.ir import dtypes
from minijax.ops.reference import quiet


def iota(dtype: Any, shape: Sequence[int], dimension: int) -> np.ndarray:
    """An array whose elements count along one axis."""
    line = np.arange(shape[dimension]).astype(dtype)
    return broadcast_in_dim(line, shape, (dimension,))


def broadcast_in_dim(x: np.ndarray, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> np.ndarray:
    """Repeat x to `shape`, where its axis i becomes axis `broadcast_dimensions[i]`."""
    spread = [1] * len(shape)
    for size, axis in zip(x.shape, broadcast_dimensions, strict=True):
        spread[axis] = size
    return np.array(np.broadcast_to(x.reshape(spread), shape))


def pad(x: np.ndarray, padding_value: np.ndarray, padding_config: Sequence[tuple[int, int, int]]) -> np.ndarray:
    """Put (low, high, interior) padding around and between the elements; negative amounts cut elements off."""
    shape, sources, targets = [], [], []
    for size, (low, high, interior) in zip(x.shape, padding_config, strict=True):
        padded = max(low + size + max(size - 1, 0) * interior + high, 0)
        places = low + np.arange(size) * (interior + 1)
        kept = (places >= 0) & (places < padded)
        shape.append(padded)
        sources.append(np.flatnonzero(kept))
        targets.append(places[kept])
    out = np.full(shape, padding_value, x.dtype)
    out[np.ix_(*targets)] = x[np.ix_(*sources)]
    return out


def _clamped_window(shape: Sequence[int], starts: Sequence[Any], sizes: Sequence[int]) -> tuple[slice, ...]:
    first = [min(max(int(start), 0), length - size)
             for length, start, size in zip(shape, starts, sizes, strict=True)]
    return tuple([slice(start, start + size) for start, size in zip(first, sizes, strict=True)])


def dynamic_slice(x: np.ndarray, *starts: np.ndarray, slice_sizes: Sequence[int]) -> np.ndarray:
    """The window of `slice_sizes` at `starts`, moved to lie inside x."""
    return x[_clamped_window(x.shape, starts, slice_sizes)].copy()


def dynamic_update_slice(x: np.ndarray, update: np.ndarray, *starts: np.ndarray) -> np.ndarray:
    """x with the window at `starts` (moved to lie inside x) replaced by `update`."""
    out = x.copy()
    out[_clamped_window(x.shape, starts, update.shape)] = update
    return out


def _signed(indices: np.ndarray) -> np.ndarray:
    """Indices as int64; those too large for it stay out of range."""
    largest = np.uint64(np.iinfo(np.int64).max)
    return np.minimum(indices, largest, dtype=np.uint64).astype(np.int64) if indices.dtype.kind == "u" else (
        indices.astype(np.int64))


def _starts(indices: np.ndarray, ndim: int, index_map: Sequence[int], operand_batching: Sequence[int],
            indices_batching: Sequence[int]) -> list[np.ndarray]:
    """Where the windows start: for each axis of the operand an array of the batch shape of `indices`."""
    batch_shape, indices = indices.shape[:-1], _signed(indices)
    starts = [np.zeros(batch_shape, np.int64) for _ in range(ndim)]
    for position, axis in enumerate(index_map):
        starts[axis] = indices[..., position]
    for axis, batch_axis in zip(operand_batching, indices_batching, strict=True):
        starts[axis] = iota(np.int64, batch_shape, batch_axis)
    return starts


def _grid(starts: Sequence[np.ndarray], window: Sequence[int], axes: Sequence[int],
          window_axes: Sequence[int], ndim: int) -> tuple[np.ndarray, ...]:
    """Index grids over an array of `ndim` axes: `window_axes` run over the operand's `axes`, the rest over batches."""
    batch_axes = [i for i in range(ndim) if i not in window_axes]
    grids = []
    for axis, start in enumerate(starts):
        shape = [1] * ndim
        for batch_axis, size in zip(batch_axes, start.shape, strict=True):
            shape[batch_axis] = size
        grid = start.reshape(shape)
        if axis in axes:
            place = window_axes[axes.index(axis)]
            grid = grid + iota(np.int64, [window[axis] if i == place else 1 for i in range(ndim)], place)
        grids.append(grid)
    return tuple(grids)


def _fit(starts: list[np.ndarray], shape: Sequence[int], window: Sequence[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """The starts moved so that windows lie inside, and where they did already."""
    fitted = [np.clip(start, 0, length - size) for start, length, size in zip(starts, shape, window, strict=True)]
    inside = np.ones(starts[0].shape if starts else (), bool)
    for start, moved in zip(starts, fitted, strict=True):
        inside = inside & (start == moved)
    return fitted, inside


def _over_batches(values: np.ndarray, window_axes: Sequence[int]) -> np.ndarray:
    """Values of the batch shape with axes of size one where the windows lie."""
    return np.expand_dims(values, tuple(window_axes))


def default_fill(dtype: Any) -> Any:
    """What `gather` returns out of bounds: NaN, the lowest signed, the highest unsigned integer, or True."""
    if dtypes.is_inexact(dtype):
        return np.nan
    if dtype == dtypes.bool_:
        return True
    info = ml_dtypes.iinfo(dtype)
    return info.max if dtypes.is_unsigned(dtype) else info.min


@quiet
def gather(operand: np.ndarray, indices: np.ndarray, dimension_numbers: Any, slice_sizes: Sequence[int],
           mode: str, fill_value: Any = None) -> np.ndarray:
    """Collect windows of `slice_sizes` that start at the vectors in the last axis of `indices`.

    `mode` 'clip' and 'promise_in_bounds' move windows inside; 'fill' gives `fill_value` for those outside.
    """
    numbers = dimension_numbers
    dropped = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    axes = [axis for axis in range(operand.ndim) if axis not in dropped]
    starts = _starts(indices, operand.ndim, numbers.start_index_map, numbers.operand_batching_dims,
                     numbers.start_indices_batching_dims)
    ndim = indices.ndim - 1 + len(numbers.offset_dims)
    fitted, inside = _fit(starts, operand.shape, slice_sizes)
    shape = _result_shape(indices.shape[:-1], [slice_sizes[axis] for axis in axes], numbers.offset_dims)
    if operand.size == 0:
        return np.zeros(shape, operand.dtype)
    grid = _grid(fitted, slice_sizes, axes, numbers.offset_dims, ndim)
    out = np.array(np.broadcast_to(operand[grid], shape))
    if mode != "fill":
        return out
    fill = np.asarray(default_fill(operand.dtype) if fill_value is None else fill_value).astype(operand.dtype)
    return np.where(_over_batches(inside, numbers.offset_dims), out, fill)


def _result_shape(batch: Sequence[int], window: Sequence[int], window_axes: Sequence[int]) -> tuple[int, ...]:
    sizes, batches = dict(zip(window_axes, window, strict=True)), iter(batch)
    return tuple([sizes[i] if i in sizes else next(batches) for i in range(len(batch) + len(window))])


@quiet
def scatter(operand: np.ndarray, indices: np.ndarray, updates: np.ndarray, dimension_numbers: Any, mode: str,
            combine: np.ufunc | None = None) -> np.ndarray:
    """Write windows of `updates` at the vectors in the last axis of `indices`.

    `combine` joins an update with what is there (`np.add`, `np.multiply`, `np.minimum`, `np.maximum`; None
    overwrites).  `mode` 'clip' moves windows inside; the others leave out a window that is not inside.
    """
    numbers = dimension_numbers
    dropped = (*numbers.inserted_window_dims, *numbers.operand_batching_dims)
    axes = [axis for axis in range(operand.ndim) if axis not in dropped]
    window = [1] * operand.ndim
    for axis, place in zip(axes, numbers.update_window_dims, strict=True):
        window[axis] = updates.shape[place]
    starts = _starts(indices, operand.ndim, numbers.scatter_dims_to_operand_dims, numbers.operand_batching_dims,
                     numbers.scatter_indices_batching_dims)
    fitted, inside = _fit(starts, operand.shape, window)
    kept = np.ones_like(inside) if mode == "clip" else inside
    kept = np.broadcast_to(_over_batches(kept, numbers.update_window_dims), updates.shape)
    grid = _grid(fitted, window, axes, numbers.update_window_dims, updates.ndim)
    written = updates[kept]
    # A leading axis of one, so that an operand without axes has places too.
    places = (np.zeros(len(written), np.int64), *[np.broadcast_to(each, updates.shape)[kept] for each in grid])
    out = operand[None].copy()
    if combine is None:
        out[places] = written
    else:
        combine.at(out, places, written)
    return out[0, ...]
