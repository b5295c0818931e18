"""Ops that cut windows out of arrays, or put them in: pad, slice, dynamic_slice, dynamic_update_slice.

The batch rules of the dynamic two, whose examples start at different places, are gather and scatter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_indexing as reference
from minijax.ops.comparison import select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.elementwise import sub
from minijax.ops.families import (broadcast_in_dim, moveaxis, no_cost, reduce_sum, reshape, same_dtype,
                                  scalar_like, shape_of, structural)
from minijax.ops.indexing import (GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers, gather_p,
                                  scatter_p)
from minijax.ops.structural import batch_in_front, concatenate, full_of, instantiated, squeeze, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

PaddingConfig = tuple[tuple[int, int, int], ...]


# ---- pad

def _padded_size(size: int, low: int, high: int, interior: int) -> int:
    return low + high + size + interior * max(size - 1, 0)


def _pad_type(x: ArrayType, value: ArrayType, *, padding_config: PaddingConfig) -> tuple[ArrayType]:
    dtype = same_dtype("pad", (x, value))
    if value.shape:
        raise ShapeError(f"pad: the padding value must be a scalar, got {value}{at_line()}.")
    if len(padding_config) != x.ndim or any(interior < 0 for _, _, interior in padding_config):
        raise ShapeError(f"pad: the padding {padding_config} does not fit {x}{at_line()}. Give (low, high, interior) "
                         "for each axis, interior not negative.")
    shape = tuple([_padded_size(n, *config) for n, config in zip(x.shape, padding_config, strict=True)])
    if min(shape, default=0) < 0:
        raise ShapeError(f"pad: the padding {padding_config} takes more elements away than {x} has{at_line()}.")
    return (ArrayType(shape, dtype, x.weak_type and value.weak_type),)


def _pad_jvp(primals: Any, tangents: Any, *, padding_config: PaddingConfig) -> Any:
    (x, value), (t, value_t) = primals, tangents
    out = pad(x, value, padding_config)
    t = zeros_of(typeof(x)) if t is zero else t
    return (out,), pad_p.bind(t, scalar_like(t, 0.0) if value_t is zero else value_t, padding_config=padding_config)


def _pad_transpose(cts: Any, x: Any, value: Any, *, padding_config: PaddingConfig) -> Any:
    ct, zero_value = cts[0], scalar_like(cts[0], 0.0)
    cut = pad(ct, zero_value, [(-low, -high, 0) for low, high, _ in padding_config])
    x_ct = slice_(cut, (0,) * len(padding_config), shape_of(cut), [interior + 1 for _, _, interior in padding_config])
    every = range(len(padding_config))
    value_ct = sub(reduce_sum(ct, every), reduce_sum(x_ct, every)) if type(value) is Linear else None
    return (x_ct if type(x) is Linear else None), value_ct


def _pad_batch(size: int, args: Any, axes: Any, *, padding_config: PaddingConfig) -> Any:
    (x, value), (axis, value_axis) = args, axes
    config = ((0, 0, 0), *padding_config)
    x = batch_in_front(size, x, axis)
    if value_axis is None:
        return (pad(x, value, config),), (0,)
    inside = pad(full_of(ArrayType(shape_of(x), dtypes.bool_), True), np.False_, config)
    some = squeeze(slice_(value, (0,), (1,)), (0,)) if dtypes.is_key(typeof(x).dtype) else scalar_like(x, 0)
    return (select_n(inside, broadcast_in_dim(value, shape_of(inside), (0,)), pad(x, some, config)),), (0,)


pad_p = Op("pad", type=_pad_type, jvp=_pad_jvp, transpose=_pad_transpose, batch=_pad_batch, cost=no_cost,
           eval=lambda x, value, *, padding_config: (reference.pad(x, value, padding_config),), traits={"structural"})


def pad(x: Any, value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """`x` with `value` around and between its elements: (low, high, interior) for each axis.

    Negative low and high cut elements off.

    >>> np.asarray(pad(np.arange(3, dtype=np.int32), np.int32(9), [(1, -1, 1)]))
    array([9, 0, 9, 1, 9], dtype=int32)
    """
    config = tuple([tuple(each) for each in padding_config])
    return x if all(each == (0, 0, 0) for each in config) else pad_p.bind(x, value, padding_config=config)[0]


# ---- slice

def _slice_type(x: ArrayType, *, start_indices: tuple[int, ...], limit_indices: tuple[int, ...],
                strides: tuple[int, ...] | None) -> tuple[ArrayType]:
    steps = strides or (1,) * x.ndim
    fits = len(start_indices) == len(limit_indices) == len(steps) == x.ndim and all(
        0 <= start <= limit <= n and step > 0
        for start, limit, step, n in zip(start_indices, limit_indices, steps, x.shape, strict=True))
    if not fits:
        raise ShapeError(f"slice: the window from {start_indices} to {limit_indices} with strides {strides} is not "
                         f"inside of {x}{at_line()}. Each axis needs 0 <= start <= limit <= size and a stride > 0.")
    sizes = zip(start_indices, limit_indices, steps, strict=True)
    return (x.update(shape=tuple([-(-(limit - start) // step) for start, limit, step in sizes])),)


def _slice_eval(x: np.ndarray, *, start_indices: Any, limit_indices: Any, strides: Any) -> np.ndarray:
    steps = strides or (1,) * x.ndim
    return x[tuple(map(slice, start_indices, limit_indices, steps))]


def _slice_transpose(ct: Any, x: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    steps = strides or (1,) * x.ndim
    ends = [start + 1 + (n - 1) * step if n else start
            for start, n, step in zip(start_indices, shape_of(ct), steps, strict=True)]
    config = [(start, size - end, step - 1)
              for start, end, step, size in zip(start_indices, ends, steps, x.shape, strict=True)]
    return pad(ct, scalar_like(ct, 0.0), config)


def _slice_batch(size: int, args: Any, axes: Any, *, start_indices: Any, limit_indices: Any, strides: Any) -> Any:
    (x,), (axis,) = args, axes

    def insert(values: tuple[int, ...], value: int) -> tuple[int, ...]:
        return (*values[:axis], value, *values[axis:])

    return slice_p.bind(x, start_indices=insert(start_indices, 0), limit_indices=insert(limit_indices, size),
                        strides=strides and insert(strides, 1)), (axis,)


slice_p = structural("slice", _slice_type, _slice_eval, _slice_transpose, _slice_batch)


def slice_(x: Any, start_indices: Sequence[int], limit_indices: Sequence[int],
           strides: Sequence[int] | None = None) -> Any:
    """The elements from `start_indices` up to `limit_indices`, each `strides`-th one.

    >>> np.asarray(slice_(np.arange(6, dtype=np.int32), (1,), (6,), (2,)))
    array([1, 3, 5], dtype=int32)
    """
    start, limit = tuple(start_indices), tuple(limit_indices)
    steps = None if strides is None or all(step == 1 for step in strides) else tuple(strides)
    if steps is None and not any(start) and limit == shape_of(x):
        return x
    return slice_p.bind(x, start_indices=start, limit_indices=limit, strides=steps)[0]


# ---- dynamic_slice and dynamic_update_slice: starts that would leave the array are moved inside

def _check_window(name: str, x: ArrayType, sizes: tuple[int, ...], starts: Sequence[ArrayType]) -> None:
    if not len(sizes) == len(starts) == x.ndim or any(not 0 <= s <= n for s, n in zip(sizes, x.shape, strict=True)):
        raise ShapeError(f"{name}: a window of shape {sizes} at {len(starts)} start indices does not fit into {x}"
                         f"{at_line()}. Give one start for each axis and sizes up to the axes'.")
    for t in starts:
        if t.shape or not dtypes.is_integer(t.dtype):
            raise DtypeError(f"{name}: a start index is {t}{at_line()}. Start indices are integer scalars.")


def _dynamic_slice_type(x: ArrayType, *starts: ArrayType, slice_sizes: tuple[int, ...]) -> tuple[ArrayType]:
    _check_window("dynamic_slice", x, slice_sizes, starts)
    return (x.update(shape=slice_sizes),)


def _dynamic_slice_jvp(primals: Any, tangents: Any, *, slice_sizes: tuple[int, ...]) -> Any:
    out = dynamic_slice_p.bind(*primals, slice_sizes=slice_sizes)
    return out, dynamic_slice_p.bind(tangents[0], *primals[1:], slice_sizes=slice_sizes)


def _dynamic_slice_transpose(cts: Any, x: Any, *starts: Any, slice_sizes: tuple[int, ...]) -> Any:
    return dynamic_update_slice_p.bind(zeros_of(x.type), cts[0], *starts)[0], *[None] * len(starts)


def _index_vectors(size: int, starts: Sequence[Any], axes: Sequence[int | None]) -> Any:
    """Scalar start indices, some of them batched, as one array of index vectors `[batch, axis]`."""
    columns = [reshape(batch_in_front(size, x, axis), (size, 1)) for x, axis in zip(starts, axes, strict=True)]
    widest = max([typeof(column).dtype for column in columns], key=lambda dtype: (dtype.itemsize, dtype.kind == "i"))
    return concatenate([convert_element_type(column, widest) for column in columns], 1)


def _dynamic_slice_batch(size: int, args: Any, axes: Any, *, slice_sizes: tuple[int, ...]) -> Any:
    (x, *starts), (axis, *start_axes) = args, axes
    if all(a is None for a in start_axes):
        x, first = moveaxis(x, axis, 0), typeof(starts[0]).dtype.type(0) if starts else np.int32(0)
        return dynamic_slice_p.bind(x, first, *starts, slice_sizes=(size, *slice_sizes)), (0,)
    every = tuple(range(len(slice_sizes)))
    return gather_p.batch(size, (x, _index_vectors(size, starts, start_axes)), (axis, 0), slice_sizes=slice_sizes,
                          dimension_numbers=GatherDimensionNumbers(every, (), every), mode=GatherScatterMode.CLIP,
                          fill_value=None, indices_are_sorted=True, unique_indices=True)


dynamic_slice_p = Op("dynamic_slice", type=_dynamic_slice_type, jvp=_dynamic_slice_jvp, cost=no_cost,
                     eval=lambda x, *starts, **params: (reference.dynamic_slice(x, *starts, **params),),
                     transpose=_dynamic_slice_transpose, batch=_dynamic_slice_batch, traits={"structural"})


def dynamic_slice(x: Any, start_indices: Sequence[Any], slice_sizes: Sequence[int]) -> Any:
    """The window of `slice_sizes` that starts at `start_indices` (integer scalars, not negative), moved inside `x`."""
    return dynamic_slice_p.bind(x, *common_starts(start_indices), slice_sizes=tuple(slice_sizes))[0]


def common_starts(starts: Sequence[Any]) -> list[Any]:
    """Start indices of one dtype: Python integers become that of the others, int32 if there are none."""
    found = [typeof(x).dtype for x in starts if not isinstance(x, int)]
    widest = max(found, key=lambda dtype: (dtype.itemsize, dtype.kind == "i"), default=dtypes.int32)
    return [widest.type(x) if isinstance(x, int) else convert_element_type(x, widest) for x in starts]


def _update_slice_type(x: ArrayType, update: ArrayType, *starts: ArrayType) -> tuple[ArrayType]:
    same_dtype("dynamic_update_slice", (x, update))
    _check_window("dynamic_update_slice", x, update.shape, starts)
    return (ArrayType(x.shape, x.dtype, x.weak_type and update.weak_type),)


def _update_slice_transpose(cts: Any, x: Any, update: Any, *starts: Any) -> Any:
    ct, shape = cts[0], shape_of(update)
    x_ct = update_ct = None
    if type(x) is Linear:
        x_ct, = dynamic_update_slice_p.bind(ct, zeros_of(ArrayType(shape, typeof(ct).dtype)), *starts)
    if type(update) is Linear:
        update_ct, = dynamic_slice_p.bind(ct, *starts, slice_sizes=shape)
    return x_ct, update_ct, *[None] * len(starts)


def _update_slice_jvp(primals: Any, tangents: Any) -> Any:
    (x, update, *starts), outs = primals, dynamic_update_slice_p.bind(*primals)
    if tangents[0] is zero and tangents[1] is zero:
        return outs, (zero,)
    return outs, dynamic_update_slice_p.bind(*instantiated(tangents[:2], (x, update)), *starts)


def _update_slice_batch(size: int, args: Any, axes: Any) -> Any:
    (x, update, *starts), (axis, update_axis, *start_axes) = args, axes
    if all(a is None for a in start_axes):
        first = typeof(starts[0]).dtype.type(0) if starts else np.int32(0)
        x, update = batch_in_front(size, x, axis), batch_in_front(size, update, update_axis)
        return dynamic_update_slice_p.bind(x, update, first, *starts), (0,)
    every = tuple(range(len(starts)))
    return scatter_p.batch(size, (x, _index_vectors(size, starts, start_axes), update), (axis, 0, update_axis),
                           dimension_numbers=ScatterDimensionNumbers(every, (), every), mode=GatherScatterMode.CLIP,
                           indices_are_sorted=True, unique_indices=True)


dynamic_update_slice_p = Op("dynamic_update_slice", type=_update_slice_type, jvp=_update_slice_jvp,
                            eval=lambda *operands: (reference.dynamic_update_slice(*operands),), cost=no_cost,
                            transpose=_update_slice_transpose, batch=_update_slice_batch, traits={"structural"})


def dynamic_update_slice(x: Any, update: Any, start_indices: Sequence[Any]) -> Any:
    """`x` with the window that starts at `start_indices` (moved inside) replaced by `update`."""
    return dynamic_update_slice_p.bind(x, update, *common_starts(start_indices))[0]
