"""Reductions over windows: sums, maxima and minima of neighbourhoods, and what their derivatives are made of.

    reduce_window_sum, _max, _min      one result for each window
    select_and_gather_add              for each window, the element of another array where the extremum is
    select_and_scatter_add             its transpose: each window's cotangent goes to where the extremum is

The first place of an extremum in its window has the whole derivative, as in JAX.  Under dilation,
where JAX has no reverse derivative, windows are collected (`patches`) and reduced along an axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_windows as reference
from minijax.ops.bits import bitwise_or
from minijax.ops.comparison import not_a_key, select_n
from minijax.ops.families import (accepts, add, any_number, linear_jvp, moveaxis, mul, reduced_type, reshape,
                                  same_dtype, scalar_like, shape_of)
from minijax.ops.indexing import GatherDimensionNumbers, gather
from minijax.ops.reductions import argmax_p, argmin_p
from minijax.ops.scans import Combine, reduce_rows
from minijax.ops.slicing import pad
from minijax.ops.structural import batch_in_front, full_of, iota, zeros_of
from minijax.ops.window_shapes import Pads, check_padding, check_windows, insert, transposed_padding, window_counts
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import size_of

GEOMETRY = ("window_dimensions", "window_strides", "padding", "base_dilation", "window_dilation")


def windows_shape(name: str, shape: Sequence[int], *, window_dimensions: tuple[int, ...],
                  window_strides: tuple[int, ...], padding: Pads, base_dilation: tuple[int, ...],
                  window_dilation: tuple[int, ...]) -> tuple[int, ...]:
    """The number of windows along each axis; raises `ShapeError` for parameters that do not fit."""
    check_windows(name, len(shape), window_dimensions, padding, window_strides=window_strides,
                  base_dilation=base_dilation, window_dilation=window_dilation)
    check_padding(name, shape, padding, base_dilation)
    return window_counts(shape, window_dimensions, window_strides, padding, base_dilation, window_dilation)


def batched_geometry(axis: int, **params: Any) -> dict[str, Any]:
    """Window parameters for one more axis, over which nothing is reduced."""
    return {name: insert(value, axis, (0, 0) if name == "padding" else 1) if name in GEOMETRY else value
            for name, value in params.items()}


# ---- windows as an axis

def patches(x: Any, filler: Any, *, window_dimensions: tuple[int, ...], window_strides: tuple[int, ...], padding: Pads,
            base_dilation: tuple[int, ...], window_dilation: tuple[int, ...]) -> Any:
    """All windows of `x`, padded with `filler`: the places in a window are axis 0, the windows' numbers follow."""
    counts = window_counts(shape_of(x), window_dimensions, window_strides, padding, base_dilation, window_dilation)
    shape = (size_of(window_dimensions), *counts)
    x = pad(x, filler, [(low, high, b - 1) for (low, high), b in zip(padding, base_dilation, strict=True)])
    if 0 in shape or not counts:
        return reshape(x, shape) if not counts else zeros_of(ArrayType(shape, typeof(x).dtype))
    rank, full = len(counts), (*window_dimensions, *counts)
    places = zeros_of(ArrayType(full, dtypes.int32))
    for axis in range(rank):
        row = size_of(shape_of(x)[axis + 1:])
        for place, step in ((axis, window_dilation[axis] * row), (rank + axis, window_strides[axis] * row)):
            places = add(places, mul(iota(dtypes.int32, full, place), np.int32(step)))
    numbers = GatherDimensionNumbers((), (0,), (0,))
    return gather(reshape(x, (size_of(shape_of(x)),)), reshape(places, (*shape, 1)), numbers, (1,))


# ---- the reductions

def _reduce_window(name: str, eval: Callable[..., Any], takes: Callable[[Any], bool], kinds: str) -> Op:
    def type_rule(x: ArrayType, **geometry: Any) -> tuple[ArrayType]:
        accepts(name, x.dtype, takes, kinds)
        return (x.update(shape=windows_shape(name, x.shape, **geometry)),)

    def batch(size: int, args: Any, axes: Any, **geometry: Any) -> Any:
        return op.bind(args[0], **batched_geometry(axes[0], **geometry)), axes

    def cost(x: ArrayType, **geometry: Any) -> int:
        return size_of(windows_shape(name, x.shape, **geometry)) * size_of(geometry["window_dimensions"])

    op = Op(name, type=type_rule, eval=lambda x, **geometry: (eval(x, **geometry),), batch=batch, cost=cost,
            traits={"reduction"})
    return op


def _sum_transpose(cts: Any, x: Any, *, window_dimensions: tuple[int, ...], window_strides: tuple[int, ...],
                   padding: Pads, base_dilation: tuple[int, ...], window_dilation: tuple[int, ...]) -> Any:
    """Each place sums the cotangents of the windows that it lies in: windows over spread out cotangents."""
    pads = transposed_padding(x.shape, window_dimensions, shape_of(cts[0]), window_strides, padding, base_dilation,
                              window_dilation)
    if 0 in shape_of(cts[0]):
        return (zeros_of(x.type),)
    config = [(low, high, s - 1) for (low, high), s in zip(pads, window_strides, strict=True)]
    spread = pad(cts[0], scalar_like(cts[0], 0.0), config)
    ones = (1,) * x.ndim
    return reduce_window_sum_p.bind(spread, window_dimensions=window_dimensions, window_strides=base_dilation,
                                    padding=((0, 0),) * x.ndim, base_dilation=ones, window_dilation=window_dilation)


reduce_window_sum_p = _reduce_window("reduce_window_sum", reference.reduce_window_sum, any_number, "numeric")
reduce_window_sum_p.jvp = linear_jvp(reduce_window_sum_p)
reduce_window_sum_p.transpose = _sum_transpose


def _extremum_jvp(op: Op, select: str) -> Callable[..., Any]:
    def jvp(primals: Any, tangents: Any, **geometry: Any) -> Any:
        (x,), (t,) = primals, tangents
        if not any(n != 1 for name in GEOMETRY[3:] for n in geometry[name]):
            return op.bind(x, **geometry), select_and_gather_add_p.bind(t, x, select=select, **geometry)
        worst = -np.inf if select == "ge" else np.inf
        windows = patches(x, scalar_like(x, worst), **geometry)
        pick, = (argmax_p if select == "ge" else argmin_p).bind(windows, axes=(0,), index_dtype=dtypes.int32)
        return op.bind(x, **geometry), (_picked(patches(t, scalar_like(t, 0.0), **geometry), pick),)

    return jvp


def _picked(windows: Any, pick: Any) -> Any:
    """The element number `pick` of each window, along axis 0."""
    shape = shape_of(pick)
    each = tuple(range(1, len(shape) + 1))
    numbers = GatherDimensionNumbers((), (0,), (0,), each, tuple(range(len(shape))))
    return gather(windows, reshape(pick, (*shape, 1)), numbers, (1,) * (len(shape) + 1))


reduce_window_max_p = _reduce_window("reduce_window_max", reference.reduce_window_max, not_a_key, "numeric or bool")
reduce_window_min_p = _reduce_window("reduce_window_min", reference.reduce_window_min, not_a_key, "numeric or bool")
for _op, _select in ((reduce_window_max_p, "ge"), (reduce_window_min_p, "le")):
    _op.jvp = _extremum_jvp(_op, _select)
    _op.undeclared, _op.transpose = ("transpose",), _op._missing("transpose")


# ---- where the extrema are

def _check_pair(name: str, source: ArrayType, expected: tuple[int, ...], x: ArrayType) -> None:
    same_dtype(name, (source, x))
    if source.shape != expected:
        raise ShapeError(f"{name}: the source is {source}, which should have shape {expected} for {x}{at_line()}.")


def _linear_in_source(op: Callable[[], Op]) -> Callable[..., Any]:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        outs = op().bind(*primals, **params)
        return outs, (zero,) if tangents[0] is zero else op().bind(tangents[0], primals[1], **params)

    return jvp


def _pair_batch(op: Callable[[], Op]) -> Callable[..., Any]:
    def batch(size: int, args: Any, axes: Any, **params: Any) -> Any:
        placed = [batch_in_front(size, x, axis) for x, axis in zip(args, axes, strict=True)]
        return op().bind(*placed, **batched_geometry(0, **params)), (0,)

    return batch


def _per_place(source: ArrayType, x: ArrayType, *, window_dimensions: tuple[int, ...], **params: Any) -> int:
    """A comparison for each place of each window."""
    return min(source.size, x.size) * size_of(window_dimensions)


def _gather_type(source: ArrayType, x: ArrayType, *, select: str, **geometry: Any) -> tuple[ArrayType]:
    accepts("select_and_gather_add", x.dtype, dtypes.is_float, "real floating-point")
    _check_pair("select_and_gather_add", source, x.shape, x)
    return (ArrayType(windows_shape("select_and_gather_add", x.shape, **geometry), x.dtype),)


def _gather_transpose(cts: Any, source: Any, x: Any, *, base_dilation: Any, window_dilation: Any, **params: Any) -> Any:
    return select_and_scatter_add_p.bind(cts[0], x, **params)[0], None


select_and_gather_add_p: Op = Op(
    "select_and_gather_add", type=_gather_type, transpose=_gather_transpose, cost=_per_place,
    eval=lambda source, x, **params: (reference.select_and_gather_add(source, x, **params),),
    jvp=_linear_in_source(lambda: select_and_gather_add_p), batch=_pair_batch(lambda: select_and_gather_add_p))


def _undilated(ndim: int) -> dict[str, tuple[int, ...]]:
    return {"base_dilation": (1,) * ndim, "window_dilation": (1,) * ndim}


def _scatter_type(source: ArrayType, x: ArrayType, *, select: str, **geometry: Any) -> tuple[ArrayType]:
    name = "select_and_scatter_add"
    accepts(name, x.dtype, lambda dtype: any_number(dtype) and not dtypes.is_complex(dtype), "real")
    _check_pair(name, source, windows_shape(name, x.shape, **geometry, **_undilated(x.ndim)), x)
    return (ArrayType(x.shape, x.dtype),)


def _scatter_transpose(cts: Any, source: Any, x: Any, **params: Any) -> Any:
    return select_and_gather_add_p.bind(cts[0], x, **params, **_undilated(len(shape_of(x))))[0], None


select_and_scatter_add_p: Op = Op(
    "select_and_scatter_add", type=_scatter_type, transpose=_scatter_transpose, cost=_per_place,
    eval=lambda source, x, **params: (reference.select_and_scatter_add(source, x, **params),),
    jvp=_linear_in_source(lambda: select_and_scatter_add_p), batch=_pair_batch(lambda: select_and_scatter_add_p))


# ---- reductions by any function, spelled out: what `reduce_p` and `reduce_window_p` mean

def reduce_axes(combine: Combine, values: Sequence[Any], *, dimensions: tuple[int, ...]) -> list[Any]:
    """Combine the elements of operands along axes, after initial values; `values` are operands, then initial ones."""
    count = len(values) // 2
    kept = [n for i, n in enumerate(shape_of(values[0])) if i not in dimensions]
    rows = []
    for x in values[:count]:
        for place, axis in enumerate(sorted(dimensions)):
            x = moveaxis(x, axis, place)
        rows.append(reshape(x, (size_of(shape_of(x)[:len(dimensions)]), *kept)))
    return reduce_rows(combine, rows, values[count:])


def reduce_windows(combine: Combine, values: Sequence[Any], **geometry: Any) -> list[Any]:
    """Combine the elements in each window of operands, after initial values; padding and holes are left out."""
    count = len(values) // 2
    initial = [*values[count:], np.True_]
    xs = [*values[:count], full_of(ArrayType(shape_of(values[0]), dtypes.bool_), True)]  # the last says what is inside
    rows = [patches(x, filler, **geometry) for x, filler in zip(xs, [*values[count:], np.False_], strict=True)]

    def combine_inside(left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
        (*xs, at_left), (*ys, at_right) = left, right
        both = [select_n(at_left, y, select_n(at_right, x, z)) for x, y, z in zip(xs, ys, combine(xs, ys), strict=True)]
        return [*both, bitwise_or(at_left, at_right)]

    if not any(low or high for low, high in geometry["padding"]) and set(geometry["base_dilation"]) <= {1}:
        return reduce_rows(combine, rows[:-1], initial[:-1])
    return reduce_rows(combine_inside, rows, initial)[:-1]


def reduced_shape(name: str, shape: Sequence[int], *, dimensions: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the reduced axes."""
    return reduced_type(name, ArrayType(tuple(shape), dtypes.bool_), dimensions)[0].shape


def reducer_types(name: str, types: Sequence[ArrayType], results: Sequence[ArrayType]) -> Sequence[ArrayType]:
    """Types of the operands; raises `ShapeError` unless operands, initial values and the program's results agree."""
    operands, initial = types[:len(types) // 2], types[len(types) // 2:]
    scalars = [(t.dtype, ()) for t in operands]
    if any(t.shape != operands[0].shape for t in operands) or [(t.dtype, t.shape) for t in initial] != scalars:
        raise ShapeError(f"{name}: the operands {list(operands)} come with the initial values {list(initial)}"
                         f"{at_line()}. Operands have one shape, and each has a scalar of its dtype as initial value.")
    if [(t.dtype, t.shape) for t in results] != scalars:
        raise ShapeError(f"{name}: the computation returns {list(results)} for two sets of {list(initial)}{at_line()}. "
                         "It must return one set of scalars of those types.")
    return operands
