"""NumPy index expressions compiled to the shortest ops: `x[index]` and `x.at[index].set(...)`.

Static entries alone become slice, rev, squeeze and broadcast_in_dim; scalars among them dynamic_slice
(moved inside the array if outside); everything else is one gather, or one scatter.  Out of bounds, reading
moves inside and scatter drops, unless `mode` says otherwise; `x[i]` raises `MinijaxIndexError` for a static i.
`index_reading.py` says what an index means.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.errors import MinijaxIndexError, MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.lax.slicing import scatter_apply
from minijax.ops import arithmetic
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import add, broadcast_in_dim, mul, reshape, shape_of
from minijax.numpy.index_reading import Spec, normalize_static_index, read_index
from minijax.ops.indexing import (GatherDimensionNumbers, GatherScatterMode, gather, scatter, scatter_add, scatter_max,
                                  scatter_min, scatter_mul)
from minijax.ops.promotion import broadcast_to, promoted
from minijax.ops.slicing import dynamic_slice, dynamic_update_slice, slice_
from minijax.ops.structural import concatenate, expand_dims, full_of, rev, squeeze
from minijax.tracing.array import Array, typeof
from minijax.tracing.source import at_line
from minijax.util import size_of

__all__ = ["apply_at", "factors_at", "getitem", "normalize_static_index", "scatter_at"]

Mode = GatherScatterMode | str | None


# ---- static indices: slice, rev, squeeze, expand_dims

class _Window(NamedTuple):
    """What a static index reads: a strided window, axes to reverse, to take away and to add."""

    starts: tuple[int, ...]
    limits: tuple[int, ...]
    strides: tuple[int, ...]
    reversed: tuple[int, ...]
    squeezed: tuple[int, ...]
    added: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of the window."""
        return tuple([-(-(b - a) // s) for a, b, s in zip(self.starts, self.limits, self.strides, strict=True)])


def _window(entries: Sequence[Any]) -> _Window:
    """The window of entries of which none is an array; an empty slice starts at 0."""
    bounds: list[tuple[int, int, int]] = []
    reverse, squeezed, added, out = [], [], [], 0
    for e in entries:
        if e is None:
            added.append(out)
        elif isinstance(e, int):
            squeezed.append(len(bounds))
            bounds.append((e, e + 1, 1))
        elif e is not Ellipsis:
            if e.step < 0:
                reverse.append(len(bounds))
            low, high = (min(e[0], e[-1]), max(e[0], e[-1]) + 1) if len(e) else (0, 0)
            bounds.append((low, e.stop if e.step > 0 and len(e) > 1 else high, abs(e.step) if len(e) > 1 else 1))
        out += e is None or isinstance(e, range)
    starts, limits, strides = zip(*bounds, strict=True) if bounds else ((), (), ())
    return _Window(starts, limits, strides, tuple(reverse), tuple(squeezed), tuple(added))


@functools.lru_cache(maxsize=4096)
def _static_window(shape: tuple[int, ...], spec: Spec) -> _Window:
    return _window(read_index(shape, spec, True).entries)


def _read_window(x: Any, window: _Window) -> Any:
    x = rev(slice_(x, window.starts, window.limits, window.strides), window.reversed)
    return expand_dims(squeeze(x, window.squeezed), window.added)


def _along(entries: Sequence[Any]) -> list[Any]:
    """The entries that stand for an axis."""
    return [e for e in entries if e is not None and e is not Ellipsis]


def _inside(entries: Sequence[Any], shape: Sequence[int]) -> bool:
    """Whether all entries are static and inside of the array."""
    pairs = zip(_along(entries), shape, strict=True)
    return all(isinstance(e, range) or (isinstance(e, int) and 0 <= e < n) for e, n in pairs)


# ---- traced scalars among static entries: dynamic_slice

def _read_dynamic_window(x: Any, entries: Sequence[Any]) -> Any:
    """Slices of steps other than 1 first, then one dynamic_slice."""
    strided = [e if isinstance(e, range) and e.step != 1 else range(n)
               for e, n in zip(_along(entries), shape_of(x), strict=True)]
    x = _read_window(x, _window(strided))
    _refuse_empty_axes(entries, shape_of(x))
    starts = [(e.start if e.step == 1 and len(e) else 0) if isinstance(e, range) else e for e in _along(entries)]
    sizes = [len(e) if isinstance(e, range) else 1 for e in _along(entries)]
    left = [e if e is None or e is Ellipsis else range(len(e)) if isinstance(e, range) else 0 for e in entries]
    return _read_window(dynamic_slice(x, starts, sizes), _window(left))


def _refuse_empty_axes(entries: Sequence[Any], shape: Sequence[int]) -> None:
    for axis, (e, n) in enumerate(zip(_along(entries), shape, strict=True)):
        if n == 0 and not isinstance(e, range):
            raise MinijaxIndexError(f"index is out of bounds for axis {axis} with size 0{at_line()}.")


# ---- anything else: gather and scatter

class _Places(NamedTuple):
    """A gather that reads what an index names, up to axes to reverse and to add afterwards."""

    indices: Any
    numbers: GatherDimensionNumbers
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    reversed: tuple[int, ...]
    added: tuple[int, ...]


def _places(entries: Sequence[Any], shape: tuple[int, ...]) -> _Places:
    """NumPy's rules: index arrays broadcast, and their axes stand where the arrays stood, or first if these
    stood apart.  A slice of step 1 is a window; one of another step is an index array of its own."""
    advanced = [i for i, e in enumerate(entries) if isinstance(e, (int, np.ndarray, Array))]
    common = _broadcast_shapes([shape_of(entries[i]) for i in advanced])
    apart = advanced != list(range(advanced[0], advanced[-1] + 1)) if advanced else False
    columns: list[tuple[Any, int, int]] = []  # an index array, the batch axis before which it ends, the axis it indexes
    batch: list[int] = []
    sizes: list[int] = []
    out: list[int] = []
    collapsed, offset, reverse, added = [], [], [], []
    for i, e in enumerate(entries):
        if advanced and i == (0 if apart else advanced[0]):
            first = len(batch) + len(common)  # where the axes of index arrays end
            batch += common
            out += common
        axis = len(sizes)
        if e is None:
            added.append(len(out))
            out.append(1)
        elif i in advanced:
            columns.append((e, first, axis))
            collapsed.append(axis)
            sizes.append(1)
        elif isinstance(e, range):
            place, size = len(out) - len(added), len(e)
            out.append(size)
            if e.step < 0:
                reverse.append(place)
            if abs(e.step) == 1 or size <= 1:
                offset.append(place)
                sizes.append(size)
                if size != shape[axis]:
                    columns.append((np.int32(min(e[0], e[-1]) if size else 0), 0, axis))
            else:
                batch.append(size)
                columns.append((np.array(sorted(e), np.int32), len(batch), axis))
                collapsed.append(axis)
                sizes.append(1)
    indices = _index_vectors([column[:2] for column in columns], batch)
    numbers = GatherDimensionNumbers(tuple(offset), tuple(collapsed), tuple([axis for _, _, axis in columns]))
    return _Places(indices, numbers, tuple(sizes), tuple(out), tuple(reverse), tuple(added))


def _broadcast_shapes(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise MinijaxIndexError("shape mismatch: indexing arrays could not be broadcast together with shapes "
                                f"{' '.join(map(str, shapes))}{at_line()}.") from None


def _index_vectors(columns: Sequence[tuple[Any, int]], batch: Sequence[int]) -> Any:
    """Index arrays, whose last axes end before a given axis of `batch`, side by side in a new last axis."""
    static = all(not isinstance(x, Array) for x, _ in columns)
    wide = any(typeof(x).dtype == dtypes.int64 for x, _ in columns if isinstance(x, (Array, np.ndarray)))
    dtype = dtypes.int64 if wide else dtypes.int32

    def place(x: Any, end: int) -> Any:
        shape = shape_of(x)
        axes = tuple(range(end - len(shape), end))
        if not static:
            return broadcast_in_dim(convert_element_type(x, dtype), (*batch, 1), axes)
        spread = [1] * (len(batch) + 1)
        for axis, n in zip(axes, shape, strict=True):
            spread[axis] = n
        return np.broadcast_to(np.asarray(x, dtype).reshape(spread), (*batch, 1))

    if static:
        return np.concatenate([np.zeros((*batch, 0), dtype), *[place(*column) for column in columns]], -1)
    return concatenate([place(*column) for column in columns], len(batch))


# ---- what x[index] and x.at[index] call

def getitem(x: Any, index: Any, mode: Mode = None, fill_value: Any = None, indices_are_sorted: bool = False,
            unique_indices: bool = False, wrap_negative_indices: bool = True) -> Any:
    """`x[index]`, or with a mode `x.at[index].get(...)`.

    Raises `MinijaxIndexError` for what NumPy refuses as well, `NonConcreteBooleanIndexError` for a traced mask.

    >>> np.asarray(getitem(np.arange(5, dtype=np.int32), slice(None, None, -2)))
    array([4, 2, 0], dtype=int32)
    """
    shape, spec = shape_of(x), normalize_static_index(index)
    if spec is not None and mode is None:
        return _read_window(x, _static_window(shape, spec))
    parsed = read_index(shape, index, mode is None, wrap_negative_indices)
    if not parsed.added_to_x and _inside(parsed.entries, shape):
        return _read_window(x, _window(parsed.entries))
    if all(not shape_of(e) for e in parsed.arrays) and not parsed.added_to_x and (
            mode is None or GatherScatterMode.from_any(mode) is not GatherScatterMode.FILL_OR_DROP):
        return _read_dynamic_window(x, parsed.entries)
    x = expand_dims(x, parsed.added_to_x)
    places = _places(parsed.entries, shape_of(x))
    if not size_of(places.shape):
        return reshape(slice_(reshape(x, (size_of(shape),)), (0,), (0,)), places.shape)
    _refuse_empty_axes(parsed.entries, shape_of(x))
    out = gather(x, places.indices, places.numbers, places.sizes, mode=mode, fill_value=fill_value,
                 indices_are_sorted=indices_are_sorted or parsed.distinct,
                 unique_indices=unique_indices or parsed.distinct)
    return expand_dims(rev(out, places.reversed), places.added)


class _Kind(NamedTuple):
    """A way of updating: the scatter, and the same as a function of (old, new), None if the new just replace."""

    scatter: Callable[..., Any]
    combine: Callable[[Any, Any], Any] | None


_kinds = {"set": _Kind(scatter, None), "add": _Kind(scatter_add, add),
          "multiply": _Kind(scatter_mul, mul),
          "min": _Kind(scatter_min, arithmetic.min), "max": _Kind(scatter_max, arithmetic.max)}


def scatter_at(x: Any, index: Any, values: Any, kind: str, mode: Mode = None, indices_are_sorted: bool = False,
               unique_indices: bool = False, wrap_negative_indices: bool = True) -> Any:
    """`x.at[index].set(values)`, or 'add', 'multiply', 'min', 'max' for `kind`; `values` broadcast.

    >>> np.asarray(scatter_at(np.arange(4, dtype=np.int32), slice(1, 3), 9, 'set'))
    array([0, 9, 9, 3], dtype=int32)
    """
    type = typeof(x)
    x, values = _promoted(x, values)
    parsed = read_index(type.shape, index, False, wrap_negative_indices)
    if not parsed.added_to_x and _inside(parsed.entries, type.shape):
        window = _window(parsed.entries)
        if all(step == 1 for step in window.strides):
            return convert_element_type(_update_window(x, window, values, _kinds[kind]), type.dtype, type.weak_type)
    x = expand_dims(x, parsed.added_to_x)
    places = _places(parsed.entries, shape_of(x))
    values = rev(squeeze(_broadcast(values, places.shape), places.added), places.reversed)
    if size_of(places.shape):
        _refuse_empty_axes(parsed.entries, shape_of(x))
        x = _kinds[kind].scatter(x, places.indices, values, places.numbers.to_scatter(), mode=mode,
                                 indices_are_sorted=indices_are_sorted or parsed.distinct,
                                 unique_indices=unique_indices or parsed.distinct)
    return convert_element_type(squeeze(x, parsed.added_to_x), type.dtype, type.weak_type)


def _promoted(x: Any, values: Any) -> tuple[Any, Any]:
    """Array and values at their common dtype."""
    if isinstance(values, (bool, int, float, complex)) and dtypes.is_key(typeof(x).dtype):
        raise MinijaxTypeError(f"Keys cannot be set to {values!r}{at_line()}. Set them to other keys.")
    type = typeof(x)
    x, values = promoted("x.at[...]", x, values)
    if typeof(x).dtype != type.dtype:
        warnings.warn(f"x.at[...]: values that promote to {typeof(x).dtype} are stored in an array of dtype "
                      f"{type.dtype}{at_line()}. Convert them with .astype('{type.dtype}').",
                      FutureWarning, stacklevel=2)
    return x, values


def _broadcast(values: Any, shape: tuple[int, ...]) -> Any:
    own = shape_of(values)
    if len(own) > len(shape) or any(n not in (1, m) for n, m in zip(own[::-1], shape[::-1], strict=False)):
        raise ShapeError(f"x.at[...]: values of shape {own} do not broadcast to the shape {shape} that the index "
                         f"names{at_line()}.")
    return broadcast_to(values, shape)


def _update_window(x: Any, window: _Window, values: Any, kind: _Kind) -> Any:
    """`x` with a window of stride 1 updated."""
    shape = [n for i, n in enumerate(window.sizes) if i not in window.squeezed]
    for axis in window.added:
        shape.insert(axis, 1)
    values = squeeze(_broadcast(values, tuple(shape)), window.added)
    values = rev(reshape(values, window.sizes), window.reversed)
    if not size_of(window.sizes):
        return x
    new = kind.combine(slice_(x, window.starts, window.limits), values) if kind.combine else values
    return new if window.sizes == shape_of(x) else dynamic_update_slice(x, new, window.starts)


def apply_at(x: Any, index: Any, function: Callable[[Any], Any], mode: Mode = None, indices_are_sorted: bool = False,
             unique_indices: bool = False, wrap_negative_indices: bool = True) -> Any:
    """`x.at[index].apply(function)`: a function of one element, applied as often as the index names it.

    >>> np.asarray(apply_at(np.arange(4, dtype=np.int32), np.array([1, 2, 2]), lambda x: x * 10))
    array([  0,  10, 200,   3], dtype=int32)
    """
    type = typeof(x)
    parsed = read_index(type.shape, index, False, wrap_negative_indices)
    x = expand_dims(x, parsed.added_to_x)
    places = _places(parsed.entries, shape_of(x))
    if not size_of(places.shape):
        return reshape(x, type.shape)
    _refuse_empty_axes(parsed.entries, shape_of(x))
    x = scatter_apply(x, places.indices, lambda old: convert_element_type(function(old), type.dtype, type.weak_type),
                      places.numbers.to_scatter(), mode=mode, unique_indices=parsed.distinct,
                      update_shape=[n for axis, n in enumerate(places.shape) if axis not in places.added],
                      indices_are_sorted=indices_are_sorted or parsed.distinct)
    return squeeze(x, parsed.added_to_x)


def factors_at(x: Any, index: Any, values: Any, **options: Any) -> Any:
    """Ones of the shape of `x` multiplied by `values` where the index points: exponents for `.at[].power`,
    divisors for `.at[].divide`."""
    type = typeof(values).update(shape=shape_of(x))
    return scatter_at(full_of(type, 1), index, values, "multiply", **options)
