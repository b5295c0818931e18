"""Functions that repeat and rearrange elements: tile, repeat, flip, roll, pad, triangles, diagonals."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from minijax.errors import MinijaxValueError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.numpy.creation import asarray
from minijax.numpy.operands import axes_of, axis_of, operand, shape_from
from minijax.numpy.reductions import cumsum
from minijax.numpy.reductions import sum as sum_over
from minijax.numpy.shaping import broadcast_to, moveaxis, ravel, swapaxes
from minijax.ops import slicing, structural
from minijax.ops.comparison import eq, ge, select_n
from minijax.ops.families import add, at_line, broadcast_in_dim, scalar_like
from minijax.ops.families import reshape as reshape_to
from minijax.numpy.indexing import getitem
from minijax.ops.structural import iota, rev
from minijax.tracing.array import Array, Tracer


# ---- repeating ----

def tile(A: Any, reps: Any) -> Any:
    """Copies of an array side by side: `reps` along each axis.

    >>> tile(np.array([1, 2]), 2)
    Array([1, 2, 1, 2], dtype=int32)
    """
    A, reps = operand("tile", A), shape_from("tile", reps)
    rank = max(A.ndim, len(reps))
    sizes, reps = (1,) * (rank - A.ndim) + A.shape, (1,) * (rank - len(reps)) + reps
    return _tile(A, sizes=sizes, reps=reps)


def _tile_of(x: Any, sizes: tuple[int, ...], reps: tuple[int, ...]) -> Any:
    kept = [i for i, n in enumerate(sizes) if i >= len(sizes) - x.ndim]
    both = [m for pair in zip(reps, sizes, strict=True) for m in pair]
    return reshape_to(broadcast_in_dim(x, both, [2 * i + 1 for i in kept]),
                      [n * r for n, r in zip(sizes, reps, strict=True)])


_tile = fused(_tile_of, static_argnames=("sizes", "reps"))


def repeat(a: Any, repeats: Any, axis: int | None = None, *, total_repeat_length: int | None = None) -> Any:
    """Each element (or slice along an axis) repeated; `repeats` is one number or one for each.

    Traced numbers need `total_repeat_length`, the size of the result.

    >>> repeat(np.array([1, 2]), np.array([2, 1]))
    Array([1, 1, 2], dtype=int32)
    """
    a = operand("repeat", a)
    a, axis = (ravel(a), 0) if axis is None else (a, axis_of("repeat", axis, a.ndim))
    if isinstance(repeats, (int, np.integer)) and total_repeat_length is None:
        return _repeat(a, count=int(repeats), axis=axis)
    if isinstance(repeats, Tracer):
        return _repeat_traced(a, repeats, axis, total_repeat_length)
    counts = np.broadcast_to(np.asarray(repeats), (a.shape[axis],))
    places = np.repeat(np.arange(a.shape[axis]), counts)
    if total_repeat_length is not None:
        filler = np.full(max(total_repeat_length - len(places), 0), places[-1] if len(places) else 0)
        places = np.concatenate([places, filler]).astype(int)[:total_repeat_length]
    return getitem(a, (*[slice(None)] * axis, places.astype(np.int32)), mode="clip")


def _repeat_of(a: Any, count: int, axis: int) -> Any:
    sizes = a.shape
    spread = broadcast_in_dim(a, (*sizes[:axis + 1], count, *sizes[axis + 1:]),
                              [i + (i > axis) for i in range(a.ndim)])
    return reshape_to(spread, [n * count if i == axis else n for i, n in enumerate(sizes)])


_repeat = fused(_repeat_of, static_argnames=("count", "axis"))


def _repeat_traced(a: Any, repeats: Any, axis: int, total: int | None) -> Any:
    if total is None:
        raise MinijaxValueError(f"repeat: traced numbers of repeats leave the result's size open{at_line()}. "
                                "Give total_repeat_length=...")
    counts = broadcast_to(repeats, (a.shape[axis],))
    ends = cumsum(counts)
    before = ge(broadcast_in_dim(iota(ends.dtype, (total,)), (total, counts.size), (0,)),
                broadcast_in_dim(ends, (total, counts.size), (1,)))
    places = sum_over(before, 1)
    return getitem(a, (*[slice(None)] * axis, places), mode="clip")


# ---- flipping and rolling ----

def flip(m: Any, axis: Any = None) -> Any:
    """Elements in reverse order along axes, all by default.

    >>> flip(np.arange(3))
    Array([2, 1, 0], dtype=int32)
    """
    m = operand("flip", m)
    return rev(m, axes_of("flip", axis, m.ndim))


def flipud(m: Any) -> Any:
    """Reversed along the first axis."""
    return flip(m, 0)


def fliplr(m: Any) -> Any:
    """Reversed along the second axis."""
    return flip(m, 1)


def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved along axes by `shift` places; those that leave come in at the other end.

    >>> roll(np.arange(4), 1)
    Array([3, 0, 1, 2], dtype=int32)
    """
    a = operand("roll", a)
    if axis is None:
        return reshape_to(roll(ravel(a), shift, 0), a.shape)
    axes = tuple([axis_of("roll", i, a.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))])
    if isinstance(shift, Array):
        return _roll_traced(a, shift, axes)
    shifts = np.broadcast_to(np.asarray(shift),
                             (len(axes),)) if np.ndim(shift) == 0 or len(axes) > 1 else np.asarray(shift)
    pairs = zip(np.broadcast_to(shifts, (max(len(axes), shifts.size),)).tolist(),
                axes * (shifts.size // len(axes) or 1),
                strict=True)
    return _roll(a, shifts=tuple(pairs))


def _roll_of(a: Any, shifts: tuple[tuple[int, int], ...]) -> Any:
    for shift, axis in shifts:
        length = a.shape[axis]
        place = -shift % length if length else 0
        if place:
            low, high = structural.split(a, [place, length - place], axis)
            a = structural.concatenate([high, low], axis)
    return a


_roll = fused(_roll_of, static_argnames=("shifts",))


def _roll_traced(a: Any, shift: Any, axes: tuple[int, ...]) -> Any:
    shifts = broadcast_to(shift, (len(axes),))
    for number, axis in enumerate(axes):
        if a.shape[axis]:
            places = (iota(dtypes.int32, (a.shape[axis],)) - shifts[number]) % a.shape[axis]
            a = getitem(a, (*[slice(None)] * axis, places))
    return a


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turned by 90 degrees, k times, in the plane of two axes."""
    m = operand("rot90", m)
    i, j = axes_of("rot90", tuple(axes), m.ndim)
    k %= 4
    if k in (0, 2):
        return flip(flip(m, i), j) if k else m
    return swapaxes(flip(m, j), i, j) if k == 1 else flip(swapaxes(m, i, j), j)


# ---- triangles and diagonals ----

def _triangle(m: Any, k: int, lower: bool) -> Any:
    sizes = m.shape[-2:]
    row, column = iota(dtypes.int32, sizes, 0), iota(dtypes.int32, sizes, 1)
    below = ge(add(row, np.int32(k if lower else k - 1)), column)
    below = broadcast_in_dim(below, m.shape, (m.ndim - 2, m.ndim - 1))
    nothing = broadcast_in_dim(scalar_like(m, False if m.dtype == dtypes.bool_ else 0), m.shape, ())
    return select_n(below, nothing, m) if lower else select_n(below, m, nothing)


_triangle_of = fused(_triangle, static_argnames=("k", "lower"))


def _matrices(name: str, m: Any) -> Any:
    m = operand(name, m)
    if m.ndim < 2:
        raise MinijaxValueError(f"{name} takes arrays of two or more axes, got shape {m.shape}{at_line()}.")
    return m


def tril(m: Any, k: int = 0) -> Any:
    """Elements on and below the k-th diagonal; zeros above.

    >>> tril(np.ones((2, 2)))
    Array([[1., 0.],
           [1., 1.]], dtype=float32)
    """
    return _triangle_of(_matrices("tril", m), k=operator.index(k), lower=True)


def triu(m: Any, k: int = 0) -> Any:
    """Elements on and above the k-th diagonal; zeros below."""
    return _triangle_of(_matrices("triu", m), k=operator.index(k), lower=False)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Rows and columns of the elements on and below the k-th diagonal."""
    rows, columns = np.tril_indices(n, k, m)
    return asarray(rows), asarray(columns)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Any, Any]:
    """Rows and columns of the elements on and above the k-th diagonal."""
    rows, columns = np.triu_indices(n, k, m)
    return asarray(rows), asarray(columns)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of two axes, as a last axis."""
    a = operand("diagonal", a)
    a = moveaxis(a, (axis1, axis2), (-2, -1))
    rows = np.arange(max(min(a.shape[-2] - max(-offset, 0), a.shape[-1] - max(offset, 0)), 0), dtype=np.int32)
    return _diagonal(a, asarray(rows), offset=operator.index(offset))


def _diagonal_of(a: Any, steps: Any, offset: int) -> Any:
    rows, columns = steps + np.int32(max(-offset, 0)), steps + np.int32(max(offset, 0))
    return getitem(a, (..., rows, columns), mode="promise_in_bounds")


_diagonal = fused(_diagonal_of, static_argnames=("offset",))


def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    """Sum of the diagonal of two axes."""
    return sum_over(diagonal(a, offset, axis1, axis2), -1, dtype)


def diag(v: Any, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix whose k-th diagonal a vector is.

    >>> diag(np.array([1, 2]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    v = operand("diag", v)
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise MinijaxValueError(f"diag takes a vector or a matrix, got shape {v.shape}{at_line()}.")
    return _diag(v, k=operator.index(k))


def _diag_of(v: Any, k: int) -> Any:
    length = v.size + abs(k)
    row, column = iota(dtypes.int32, (length, length), 0), iota(dtypes.int32, (length, length), 1)
    zero = scalar_like(v, False if v.dtype == dtypes.bool_ else 0)
    padded = slicing.pad(v, zero, [(max(k, 0), max(-k, 0), 0)])
    rows = broadcast_in_dim(padded, (length, length), (1,))
    return select_n(eq(add(row, np.int32(k)), column), broadcast_in_dim(zero, (length, length), ()), rows)


_diag = fused(_diag_of, static_argnames=("k",))


# ---- padding ----

def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Any:
    """An array with elements around it: `pad_width` is a number, (before, after), or one such pair for each axis.

    `mode` is 'constant' (with `constant_values`), 'edge', 'reflect', 'symmetric', 'wrap' or 'empty'.

    >>> pad(np.array([1, 2]), 1)
    Array([0, 1, 2, 0], dtype=int32)
    """
    array = operand("pad", array)
    widths = _pairs("pad_width", pad_width, array.ndim)
    if any(n < 0 for pair in widths for n in pair):
        raise MinijaxValueError(f"pad: the widths {widths} are not all non-negative{at_line()}.")
    known = {"constant": {"constant_values"}, "reflect": {"reflect_type"}, "symmetric": {"reflect_type"}}
    if not set(kwargs) <= known.get(mode, set()) or kwargs.get("reflect_type", "even") != "even":
        raise NotImplementedError(f"pad: mode {mode!r} does not know the options {kwargs}.")
    if mode in ("constant", "empty"):
        return _pad_constant(array, kwargs.get("constant_values", 0), widths=widths)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise NotImplementedError(f"pad: the mode {mode!r} is not supported. Choose 'constant', 'edge', 'reflect', "
                                  "'symmetric' or 'wrap'.")
    for axis, (low, high) in enumerate(widths):
        if low or high:
            places = np.pad(np.arange(array.shape[axis]), (low, high), mode)  # type: ignore[call-overload]
            array = getitem(array, (*[slice(None)] * axis, places.astype(np.int32)), mode="promise_in_bounds")
    return array


def _pairs(name: str, value: Any, ndim: int) -> tuple[tuple[int, int], ...]:
    if isinstance(value, dict):
        value = [value.get(i, value.get(i - ndim, (0, 0))) for i in range(ndim)]
    try:
        pairs = np.broadcast_to(np.asarray(value), (ndim, 2))
    except ValueError:
        raise MinijaxValueError(f"pad: {name} {value!r} does not broadcast to a pair for each of {ndim} axes"
                                f"{at_line()}.") from None
    if pairs.dtype.kind not in "iu":
        raise MinijaxValueError(f"pad: {name} is made of integers, got {value!r}{at_line()}.")
    return tuple([(int(low), int(high)) for low, high in pairs])


def _pad_constant_of(x: Any, values: Any, widths: tuple[tuple[int, int], ...]) -> Any:
    values = asarray(values, x.dtype)
    if values.ndim == 0:
        return slicing.pad(x, values, [(low, high, 0) for low, high in widths])
    values = broadcast_to(values, (x.ndim, 2))
    for axis, sides in enumerate(widths):
        for side, width in enumerate(sides):
            config = [(0, 0, 0)] * x.ndim
            config[axis] = (width, 0, 0) if side == 0 else (0, width, 0)
            x = slicing.pad(x, getitem(values, (axis, side)), config)
    return x


_pad_constant = fused(_pad_constant_of, static_argnames=("widths",))
