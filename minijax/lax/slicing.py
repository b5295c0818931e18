"""Ops that read and write windows of arrays, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.api.vmap import vmap
from minijax.errors import MinijaxTypeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.lax.control_flow import while_loop
from minijax.ops import indexing, reductions, structural
from minijax.ops import slicing as ops
from minijax.ops.arithmetic import neg
from minijax.ops.comparison import lt, select_n
from minijax.ops.families import add, at_line, reshape, scalar_like
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from minijax.ops.operands import axis_of, operand as as_operand, whole
from minijax.tracing.array import Array, typeof


def slice(operand: Any, start_indices: Sequence[int], limit_indices: Sequence[int],
          strides: Sequence[int] | None = None) -> Any:
    """The elements from start to (without) limit, every strides-th one.

    >>> slice(np.arange(5, dtype=np.int32), (1,), (5,), (2,))
    Array([1, 3], dtype=int32)
    """
    return ops.slice_(as_operand("slice", operand), start_indices, limit_indices, strides)


def slice_in_dim(operand: Any, start_index: int | None, limit_index: int | None, stride: int = 1, axis: int = 0) -> Any:
    """`slice` along one axis; negative places count from the end."""
    x = as_operand("slice_in_dim", operand)
    axis = axis_of("slice_in_dim", axis, x.ndim)
    length = x.shape[axis]
    low, high = (default if given is None else whole("slice_in_dim", "a bound", given) + length * (given < 0)
                 for given, default in ((start_index, 0), (limit_index, length)))
    starts, limits, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], limits[axis], strides[axis] = low, high, whole("slice_in_dim", "stride", stride)
    return ops.slice_(x, starts, limits, strides)


def index_in_dim(operand: Any, index: int, axis: int = 0, keepdims: bool = True) -> Any:
    """One place along an axis, which is kept with size 1 or left out."""
    x = as_operand("index_in_dim", operand)
    axis = axis_of("index_in_dim", axis, x.ndim)
    place = axis_of("index_in_dim", index, x.shape[axis])
    out = slice_in_dim(x, place, place + 1, 1, axis)
    return out if keepdims else structural.squeeze(out, (axis,))


# ---- windows at computed places ----

def _starts(name: str, x: Any, starts: Any, negative: Any) -> list[Any]:
    """Start indices as scalars of one dtype; negative ones count from the end."""
    if isinstance(starts, Array) or isinstance(starts, np.ndarray):
        starts = [structural.squeeze(piece, (0,)) for piece in structural.split(starts, [1] * starts.shape[0])]
    if len(starts) != x.ndim:
        raise MinijaxTypeError(f"{name}: {len(starts)} start indices for {x.ndim} axes{at_line()}. Give one for each.")
    allowed = negative if isinstance(negative, (tuple, list)) else [negative] * x.ndim
    return [_from_end(name, s, n) if wrap else s for s, n, wrap in zip(starts, x.shape, allowed, strict=True)]


def _from_end(name: str, start: Any, size: int) -> Any:
    if isinstance(start, (int, np.integer)):
        return start + size if start < 0 else start
    if not dtypes.is_integer(typeof(start).dtype) or typeof(start).shape:
        raise MinijaxTypeError(f"{name}: a start index is an integer scalar, got {typeof(start)}{at_line()}.")
    if dtypes.is_unsigned(typeof(start).dtype):
        return start
    return select_n(lt(start, scalar_like(start, 0)), start, add(start, scalar_like(start, size)))


def dynamic_slice(operand: Any, start_indices: Any, slice_sizes: Sequence[int], *,
                  allow_negative_indices: Any = True) -> Any:
    """The window of these sizes at computed starts; moved inside if it lies outside.

    >>> dynamic_slice(np.arange(5, dtype=np.int32), (4,), (2,))
    Array([3, 4], dtype=int32)
    """
    x = as_operand("dynamic_slice", operand)
    return ops.dynamic_slice(x, _starts("dynamic_slice", x, start_indices, allow_negative_indices), slice_sizes)


def dynamic_slice_in_dim(operand: Any, start_index: Any, slice_size: int, axis: int = 0, *,
                         allow_negative_indices: bool = True) -> Any:
    """`dynamic_slice` along one axis, whole along the others."""
    x = as_operand("dynamic_slice_in_dim", operand)
    axis = axis_of("dynamic_slice_in_dim", axis, x.ndim)
    sizes = [whole("dynamic_slice_in_dim", "slice_size", slice_size) if i == axis else n for i, n in enumerate(x.shape)]
    return dynamic_slice(x, _start_along(x, start_index, axis), sizes, allow_negative_indices=allow_negative_indices)


def _start_along(x: Any, start: Any, axis: int) -> list[Any]:
    start = reshape(start, ()) if typeof(start).shape else start
    return [start if i == axis else 0 for i in range(x.ndim)]


def dynamic_index_in_dim(operand: Any, index: Any, axis: int = 0, keepdims: bool = True, *,
                         allow_negative_indices: bool = True) -> Any:
    """One computed place along an axis, which is kept with size 1 or left out."""
    out = dynamic_slice_in_dim(operand, index, 1, axis, allow_negative_indices=allow_negative_indices)
    return out if keepdims else structural.squeeze(out, (axis_of("dynamic_index_in_dim", axis, out.ndim),))


def dynamic_update_slice(operand: Any, update: Any, start_indices: Any, *, allow_negative_indices: Any = True) -> Any:
    """The operand with the window at computed starts replaced by `update`.

    >>> dynamic_update_slice(np.zeros(3, np.float32), np.ones(2, np.float32), (1,))
    Array([0., 1., 1.], dtype=float32)
    """
    x = as_operand("dynamic_update_slice", operand)
    return ops.dynamic_update_slice(x, as_operand("dynamic_update_slice", update),
                                    _starts("dynamic_update_slice", x, start_indices, allow_negative_indices))


def dynamic_update_slice_in_dim(operand: Any, update: Any, start_index: Any, axis: int, *,
                                allow_negative_indices: bool = True) -> Any:
    """`dynamic_update_slice` at a computed place along one axis."""
    x = as_operand("dynamic_update_slice_in_dim", operand)
    starts = _start_along(x, start_index, axis_of("dynamic_update_slice_in_dim", axis, x.ndim))
    return dynamic_update_slice(x, update, starts, allow_negative_indices=allow_negative_indices)


def dynamic_update_index_in_dim(operand: Any, update: Any, index: Any, axis: int, *,
                                allow_negative_indices: bool = True) -> Any:
    """The operand with one computed place along an axis replaced; `update` may lack that axis."""
    x, update = as_operand("dynamic_update_index_in_dim", operand), as_operand("dynamic_update_index_in_dim", update)
    axis = axis_of("dynamic_update_index_in_dim", axis, x.ndim)
    update = update if update.ndim == x.ndim else structural.expand_dims(update, (axis,))
    return dynamic_update_slice_in_dim(x, update, index, axis, allow_negative_indices=allow_negative_indices)


# ---- gather and the scatters ----

def gather(operand: Any, start_indices: Any, dimension_numbers: GatherDimensionNumbers, slice_sizes: Sequence[int], *,
           unique_indices: bool = False, indices_are_sorted: bool = False, mode: GatherScatterMode | str | None = None,
           fill_value: Any = None) -> Any:
    """Windows of the operand at the vectors in the last axis of `start_indices`; `GatherDimensionNumbers` says how."""
    return indexing.gather(as_operand("gather", operand), start_indices, dimension_numbers, slice_sizes, mode=mode,
                           fill_value=fill_value, indices_are_sorted=indices_are_sorted, unique_indices=unique_indices)


def _scatter(name: str, write: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def function(operand: Any, scatter_indices: Any, updates: Any, dimension_numbers: ScatterDimensionNumbers, *,
                 indices_are_sorted: bool = False, unique_indices: bool = False,
                 mode: GatherScatterMode | str | None = None) -> Any:
        return write(as_operand(name, operand), scatter_indices, as_operand(name, updates), dimension_numbers,
                     mode=mode,
                     indices_are_sorted=indices_are_sorted, unique_indices=unique_indices)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The operand with windows {meaning}; `ScatterDimensionNumbers` says which."
    return function


scatter = _scatter("scatter", indexing.scatter, "replaced by updates")
scatter_add = _scatter("scatter_add", indexing.scatter_add, "added to")
scatter_mul = _scatter("scatter_mul", indexing.scatter_mul, "multiplied")
scatter_min = _scatter("scatter_min", indexing.scatter_min, "replaced by smaller updates")
scatter_max = _scatter("scatter_max", indexing.scatter_max, "replaced by larger updates")


def scatter_sub(operand: Any, scatter_indices: Any, updates: Any, dimension_numbers: ScatterDimensionNumbers, *,
                indices_are_sorted: bool = False, unique_indices: bool = False,
                mode: GatherScatterMode | str | None = None) -> Any:
    """The operand with updates subtracted from windows."""
    return scatter_add(operand, scatter_indices, neg(updates), dimension_numbers, mode=mode,
                       indices_are_sorted=indices_are_sorted, unique_indices=unique_indices)


def scatter_apply(operand: Any, scatter_indices: Any, func: Callable[[Any], Any],
                  dimension_numbers: ScatterDimensionNumbers, *, update_shape: Sequence[int] = (),
                  indices_are_sorted: bool = False, unique_indices: bool = False,
                  mode: GatherScatterMode | str | None = None) -> Any:
    """The operand with `func`, a function of one element, of the windows in their places.

    An element that several windows hold is mapped as often, unless `unique_indices` says that there is none.
    `update_shape` is the shape that updates would have.  Differentiable, where JAX's is not.

    >>> numbers = ScatterDimensionNumbers((), (0,), (0,))
    >>> scatter_apply(np.float32([1, 2, 3]), np.int32([[0], [2], [0]]), lambda x: x * 10, numbers, update_shape=(3,))
    Array([100.,   2.,  30.], dtype=float32)
    """
    x, at = as_operand("scatter_apply", operand), as_operand("scatter_apply", scatter_indices)
    hints = {"indices_are_sorted": indices_are_sorted, "unique_indices": unique_indices}
    sizes = indexing.window_sizes(x.shape, tuple(update_shape), dimension_numbers)

    def windows(values: Any) -> Any:
        return gather(values, at, dimension_numbers.to_gather(), sizes, mode="clip", **hints)

    def mapped(values: Any) -> Any:
        return reshape(vmap(func)(reshape(values, (values.size,))), values.shape) if values.size else values

    found = windows(x)
    if unique_indices:
        return scatter(x, at, mapped(found), dimension_numbers, mode=mode, **hints)
    ones = structural.full_of(ArrayType(found.shape, dtypes.int32), 1)
    often = windows(scatter_add(structural.full_of(ArrayType(x.shape, dtypes.int32), 0), at, ones, dimension_numbers,
                                mode=mode, **hints))
    most = reductions.reduce_max(often, tuple(range(often.ndim)))
    _, found = while_loop(lambda state: lt(state[0], most),
                          lambda state: (state[0] + 1, select_n(lt(state[0], often), state[1], mapped(state[1]))),
                          (np.int32(0), found))
    return scatter(x, at, found, dimension_numbers, mode=mode, **hints)


def index_take(src: Any, idxs: Sequence[Any], axes: Sequence[int]) -> Any:
    """The slices of `src` at integer vectors along several axes, one slice for each place of the vectors."""
    x = as_operand("index_take", src)
    columns = [structural.expand_dims(as_operand("index_take", i), (1,)) for i in idxs]
    indices = structural.concatenate(columns, 1)
    sizes = [1 if i in axes else n for i, n in enumerate(x.shape)]
    numbers = GatherDimensionNumbers(tuple(range(1, x.ndim - len(axes) + 1)), tuple(axes), tuple(axes))
    return gather(x, indices, numbers, sizes)
