"""Choosing elements: where, take, take_along_axis, sort, argsort, searchsorted, nonzero, unique."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import ConcretizationTypeError, MinijaxValueError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.numpy.elementwise import as_bool
from minijax.numpy.operands import axis_of, default_int, operand, refuse
from minijax.numpy.shaping import ravel, stack
from minijax.ops import sorting
from minijax.ops.comparison import eq, le, lt, ne, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import at_line, broadcast_in_dim, reduce_sum, scalar_like, shape_of
from minijax.ops.indexing import GatherDimensionNumbers, gather
from minijax.numpy.indexing import getitem
from minijax.ops.operators import add, less
from minijax.ops.promotion import broadcast_shapes, broadcast_to, matched, promoted
from minijax.ops.structural import expand_dims, iota, rev
from minijax.tracing.array import Array, Tracer, typeof


# ---- where ----

def where(condition: Any, x: Any = None, y: Any = None, /, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Elements of x where the condition holds, else of y.  Without x and y: `nonzero(condition)`.

    >>> where(np.array([True, False]), 1.0, 0.0)
    Array([1., 0.], dtype=float32, weak_type=True)
    """
    if x is None and y is None:
        return nonzero(condition, size=size, fill_value=fill_value)
    if x is None or y is None:
        raise MinijaxValueError(f"where takes both x and y, or neither{at_line()}.")
    if size is not None or fill_value is not None:
        raise MinijaxValueError(f"where: size and fill_value are for where(condition) alone{at_line()}.")
    pair = matched(x, y) if isinstance(condition, Array) and condition.type.dtype is dtypes.bool_ else None
    if pair is None or len({condition.shape, shape_of(pair[0]), shape_of(pair[1]), ()}) > 2:
        return _where(condition, x, y)
    return select_n(condition, pair[1], pair[0])


@fused
def _where(condition: Any, x: Any, y: Any) -> Any:
    condition = as_bool(condition)
    x, y = promoted("where", x, y)
    shapes = [typeof(each).shape for each in (condition, x, y)]
    shape = shapes[0] if shapes[0] == shapes[1] == shapes[2] else broadcast_shapes("where", shapes)
    condition, x, y = (each if not own and shape else broadcast_to(each, shape)
                       for each, own in zip((condition, x, y), shapes, strict=True))
    return select_n(condition, y, x)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Elements of the choice whose condition is the first to hold, else `default`."""
    if len(condlist) != len(choicelist) or not condlist:
        raise MinijaxValueError(f"select: {len(condlist)} conditions and {len(choicelist)} choices{at_line()}. "
                                "Give as many of both, at least one.")
    *choices, out = promoted("select", *choicelist, default)
    for condition, choice in zip(reversed(condlist), reversed(choices), strict=True):
        out = where(condition, choice, out)
    return out


def _concrete(name: str, x: Any) -> np.ndarray:
    value = x.concrete() if isinstance(x, Tracer) else x
    if value is None:
        raise ConcretizationTypeError(
            f"{name} of a traced value has a result of unknown size ({typeof(x)}){at_line()}.\n{x.describe()}\n"
            "Give size=..., the number of results, or use where(condition, x, y).")
    return np.asarray(value)


def nonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> tuple[Any, ...]:
    """Places of the elements that are not zero, an array for each axis.

    Traced arrays need `size`: the places are cut, or filled with `fill_value` (0), to that number.

    >>> nonzero(np.array([0, 5, 6]))
    (Array([1, 2], dtype=int32),)
    """
    a = operand("nonzero", a)
    if size is None:
        return tuple([operand("nonzero", places) for places in np.nonzero(_concrete("nonzero", a))])
    mask = ravel(as_bool(a))
    order = argsort(select_n(mask, np.int32(1), np.int32(0)))[:size] if a.size else iota(dtypes.int32, (0,))
    order = broadcast_to(order, (size,)) if a.size >= size else getitem(order, (np.arange(size),), mode="fill",
                                                                        fill_value=0)
    found = less(iota(dtypes.int32, (size,)), reduce_sum(convert_element_type(mask, dtypes.int32), (0,)))
    places = np.unravel_index(np.arange(a.size), a.shape)
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value or 0,) * a.ndim
    return tuple([where(found, getitem(operand("nonzero", each.astype(np.int32)), (order,), mode="fill", fill_value=0),
                        fill)
                  .astype(default_int()) for each, fill in zip(places, fills, strict=True)])


def flatnonzero(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Places of the elements of the flattened array that are not zero."""
    return nonzero(ravel(a), size=size, fill_value=fill_value)[0]


def argwhere(a: Any, *, size: int | None = None, fill_value: Any = None) -> Any:
    """Places of the elements that are not zero, a row for each."""
    return stack(nonzero(a, size=size, fill_value=fill_value), 1)


def unique(ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
           axis: int | None = None, *, equal_nan: bool = True, size: int | None = None, fill_value: Any = None) -> Any:
    """The sorted distinct elements of a concrete array, with what else is asked for; `size` cuts or fills them.

    >>> unique(np.array([3, 1, 3]))
    Array([1, 3], dtype=int32)
    """
    found = np.unique(_concrete("unique", operand("unique", ar)), return_index, return_inverse, return_counts, axis,
                      equal_nan=equal_nan)
    values, *rest = found if isinstance(found, tuple) else (found,)
    if size is not None:
        along = axis or 0
        missing = size - values.shape[along]
        filler = np.take(values, [0] * max(missing, 0), along) if fill_value is None else np.full(
            [max(missing, 0) if i == along else n for i, n in enumerate(values.shape)], fill_value, values.dtype)
        values = np.take(np.concatenate([values, filler], along), np.arange(size), along)
        rest = [each if return_inverse and each.size == np.size(ar) else np.resize(
            np.concatenate([each, np.zeros(max(missing, 0), each.dtype)]), (size,)) for each in rest]
    outs = [operand("unique", each) for each in (values, *rest)]
    return tuple(outs) if rest else outs[0]


# ---- take ----

def take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str | None = None,
         unique_indices: bool = False, indices_are_sorted: bool = False, fill_value: Any = None) -> Any:
    """Elements (or slices along an axis) at `indices`.

    `mode`: None or 'fill' gives NaN (or `fill_value`) outside of the array, 'clip' the nearest element, 'wrap'
    counts on from the start.

    >>> take(np.array([5, 6, 7]), np.array([2, 0]))
    Array([7, 5], dtype=int32)
    """
    refuse("take", out=out)
    a, indices = operand("take", a), operand("take", indices)
    a, axis = (ravel(a), 0) if axis is None else (a, axis_of("take", axis, a.ndim))
    return _take(a, indices, axis=axis, mode=mode, fill_value=fill_value,
                 hints=(bool(indices_are_sorted), bool(unique_indices)))


def _take_of(a: Any, indices: Any, axis: int, mode: str | None, fill_value: Any, hints: tuple[bool, bool]) -> Any:
    if mode == "wrap":
        indices, mode = indices % a.shape[axis], None
    index = (*[slice(None)] * axis, indices)
    return getitem(a, index, mode or "fill", fill_value, *hints)


_take = fused(_take_of, static_argnames=("axis", "mode", "fill_value", "hints"))


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1, mode: str | None = None,
                    fill_value: Any = None) -> Any:
    """Elements along an axis at `indices`, an array of as many axes; the other axes broadcast.

    >>> take_along_axis(np.array([[5, 6], [7, 8]]), np.array([[1], [0]]), 1)
    Array([[6],
           [7]], dtype=int32)
    """
    arr, indices = operand("take_along_axis", arr), operand("take_along_axis", indices)
    if not dtypes.is_integer(indices.dtype):
        raise MinijaxValueError(f"take_along_axis: the indices are {indices.dtype}{at_line()}. They must be integers.")
    if axis is None:
        arr, axis = ravel(arr), 0
    if arr.ndim != indices.ndim:
        raise MinijaxValueError(f"take_along_axis: the shapes {arr.shape} and {indices.shape} differ in rank"
                                f"{at_line()}.")
    return _take_along(arr, indices, axis=axis_of("take_along_axis", axis, arr.ndim), mode=mode, fill_value=fill_value)


def _take_along_of(x: Any, indices: Any, axis: int, mode: str | None, fill_value: Any) -> Any:
    size = x.shape[axis]
    others = broadcast_shapes("take_along_axis", [(*s[:axis], 1, *s[axis + 1:]) for s in (x.shape, indices.shape)])
    x = broadcast_to(x, (*others[:axis], size, *others[axis + 1:]))
    indices = broadcast_to(indices, (*others[:axis], indices.shape[axis], *others[axis + 1:]))
    if mode != "promise_in_bounds":
        indices = select_n(lt(indices, scalar_like(indices, 0)), indices, add(indices, scalar_like(indices, size)))
    batch = tuple([i for i in range(x.ndim) if i != axis])
    numbers = GatherDimensionNumbers((), (axis,), (axis,), batch, batch)
    return gather(x, expand_dims(indices, (indices.ndim,)), numbers, (1,) * x.ndim, mode=mode or "fill",
                  fill_value=fill_value)


_take_along = fused(_take_along_of, static_argnames=("axis", "mode", "fill_value"))


# ---- sorting ----

def sort(a: Any, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
         descending: bool = False) -> Any:
    """Elements in ascending (or descending) order along an axis, of the flattened array for None; NaNs come last.

    >>> sort(np.array([3, 1, 2]))
    Array([1, 2, 3], dtype=int32)
    """
    refuse("sort", kind=kind, order=order)
    a, axis = _along("sort", a, axis)
    out, = sorting.sort((a,), axis, bool(stable))
    return rev(out, (axis,)) if descending else out


def argsort(a: Any, axis: int | None = -1, *, kind: None = None, order: None = None, stable: bool = True,
            descending: bool = False, dtype: Any = None) -> Any:
    """Places of the elements in ascending (or descending) order along an axis.

    >>> argsort(np.array([3, 1, 2]))
    Array([1, 2, 0], dtype=int32)
    """
    refuse("argsort", kind=kind, order=order)
    a, axis = _along("argsort", a, axis)
    return _argsort(a, axis=axis, stable=bool(stable), descending=bool(descending), dtype=dtype or default_int())


def _argsort_of(a: Any, axis: int, stable: bool, descending: bool, dtype: Any) -> Any:
    counted = iota(dtypes.canonical_dtype(dtype), a.shape, axis)
    if not descending:
        return sorting.sort((a, counted), axis, stable)[1]
    _, out = sorting.sort((rev(a, (axis,)), rev(counted, (axis,))), axis, stable)
    return rev(out, (axis,))


_argsort = fused(_argsort_of, static_argnames=("axis", "stable", "descending", "dtype"))


def lexsort(keys: Any, axis: int = -1) -> Any:
    """Places in the order of several keys, of which the last is the first to decide."""
    keys = [operand("lexsort", key) for key in keys]
    axis = axis_of("lexsort", axis, keys[0].ndim)
    return sorting.sort((*keys[::-1], iota(default_int(), keys[0].shape, axis)), axis, True, len(keys))[-1]


def _along(name: str, a: Any, axis: int | None) -> tuple[Any, int]:
    a = operand(name, a)
    return (ravel(a), 0) if axis is None else (a, axis_of(name, axis, a.ndim))


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None, *, method: str = "scan") -> Any:
    """Where each of `v` would be inserted into the sorted vector `a`, before ('left') or after ('right') its equals.

    >>> searchsorted(np.array([1, 3, 5]), 3)
    Array(1, dtype=int32)
    """
    if side not in ("left", "right"):
        raise MinijaxValueError(f"searchsorted: side is 'left' or 'right', got {side!r}.")
    a = operand("searchsorted", a)
    return _searchsorted(a if sorter is None else take(a, sorter), v, left=side == "left")


def _searchsorted_of(a: Any, v: Any, left: bool) -> Any:
    a, v = promoted("searchsorted", a, operand("searchsorted", v))
    rows = broadcast_in_dim(v, (*v.shape, a.size), range(v.ndim))
    line = broadcast_in_dim(a, (*v.shape, a.size), (v.ndim,))
    before = (lt if left else le)(line, rows)
    if dtypes.is_inexact(a.dtype):  # NaN is greater than all numbers, and equal to itself
        is_number = eq(line, line)
        before = select_n(ne(rows, rows), before, is_number if left else eq(is_number, is_number))
    return reduce_sum(convert_element_type(before, dtypes.int32), (v.ndim,))


_searchsorted = fused(_searchsorted_of, static_argnames=("left",))
