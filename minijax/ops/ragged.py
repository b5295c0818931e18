"""ragged_dot_general: products of rows in groups, each group with a matrix of its own.

An axis of x, the ragged one, is cut into consecutive groups of `group_sizes`; rows behind the last group
count as zero.  What the ragged axis is decides the form, as in JAX (b batch, m and n free, k summed axes):

    free      x[b, m, k]  y[g, b, k, n]  ->  [b, m, n]       row m meets the matrix of its group
    summed    x[b, m, k]  y[b, k, n]     ->  [g, b, m, n]    a product for each group of places k

`group_sizes` is [g], or [b, o, g] with o the free (or summed) axes before the ragged one.
Both forms are bilinear, and each one's transposes are of these two forms again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.text import register_named
from minijax.ir.types import ArrayType
from minijax.ops import reference_windows as reference
from minijax.ops.conversion import convert_element_type
from minijax.ops.dot import DimensionNumbers, bilinear_jvp, free_axes, fits, product_dtype
from minijax.ops.families import broadcast_in_dim, moveaxis, shape_of, transpose
from minijax.ops.structural import batch_in_front
from minijax.tracing.source import at_line
from minijax.util import size_of


@register_named
@dataclasses.dataclass(frozen=True)
class RaggedDotDimensionNumbers:
    """Which axes are which in a ragged product; the fields are JAX's.

    `dot_dimension_numbers` as in `dot_general`, the one ragged axis of the left operand, and the axis of
    the right operand that counts groups (none if the ragged axis is summed over).
    """

    dot_dimension_numbers: DimensionNumbers
    lhs_ragged_dimensions: tuple[int, ...]
    rhs_group_dimensions: tuple[int, ...]


class Axes(NamedTuple):
    """The axes of both operands by their part in the product; `group` is empty if the ragged axis is summed."""

    ragged: int
    x_batch: tuple[int, ...]
    x_free: list[int]
    x_sum: tuple[int, ...]
    group: tuple[int, ...]
    y_batch: tuple[int, ...]
    y_sum: tuple[int, ...]
    y_free: list[int]

    def before(self) -> list[int]:
        """The axes of x along which groups may differ."""
        row = self.x_free if self.group else list(self.x_sum)
        return [*self.x_batch, *row[:row.index(self.ragged)]]


def _axes(x: Any, y: Any, numbers: RaggedDotDimensionNumbers) -> Axes:
    (x_sum, y_sum), (x_batch, y_batch) = numbers.dot_dimension_numbers
    group = numbers.rhs_group_dimensions
    return Axes(numbers.lhs_ragged_dimensions[0], x_batch, free_axes(len(x), x_sum, x_batch), x_sum,
                group, y_batch, y_sum, free_axes(len(y), (*y_sum, *group), y_batch))


# ---- type

def _check(x: ArrayType, y: ArrayType, sizes: ArrayType, numbers: RaggedDotDimensionNumbers) -> None:
    def wrong(what: str) -> ShapeError:
        return ShapeError(f"ragged_dot_general of {x} and {y} in groups {sizes}: {what}{at_line()}. Check {numbers}.")

    (x_sum, _), (x_batch, _) = numbers.dot_dimension_numbers
    ragged, group = numbers.lhs_ragged_dimensions, numbers.rhs_group_dimensions
    if not dtypes.is_integer(sizes.dtype):
        raise DtypeError(f"ragged_dot_general: the group sizes are {sizes}{at_line()}. They must be integers.")
    if not fits(x, y, numbers.dot_dimension_numbers):
        raise wrong("the summed or batch axes do not fit together")
    if len(ragged) != 1 or not 0 <= ragged[0] < x.ndim or ragged[0] in x_batch:
        raise wrong(f"{ragged} is not one free or summed axis of the left operand")
    if len(group) != (ragged[0] not in x_sum) or any(g not in free_axes(
            y.ndim, *[pair[1] for pair in numbers.dot_dimension_numbers]) for g in group):
        raise wrong(f"{group} should be one free axis of the right operand if the ragged axis is free, else empty")
    expected = (*[x.shape[a] for a in _axes(x.shape, y.shape, numbers).before()], *sizes.shape[-1:])
    if sizes.ndim != 1 and sizes.shape != expected or not sizes.ndim:
        raise wrong(f"the group sizes should have shape {expected[-1:]} or {expected}")
    if group and y.shape[group[0]] != sizes.shape[-1]:
        raise wrong(f"axis {group[0]} of the right operand should count the {sizes.shape[-1]} groups")


def _ragged_type(x: ArrayType, y: ArrayType, sizes: ArrayType, *, ragged_dot_dimension_numbers: Any, precision: Any,
                 preferred_element_type: Any) -> tuple[ArrayType]:
    _check(x, y, sizes, ragged_dot_dimension_numbers)
    axes = _axes(x.shape, y.shape, ragged_dot_dimension_numbers)
    shape = [x.shape[i] for i in (*axes.x_batch, *axes.x_free)] + [y.shape[i] for i in axes.y_free]
    dtype = preferred_element_type or product_dtype("ragged_dot_general", x, y)
    return (ArrayType((*(() if axes.group else sizes.shape[-1:]), *shape), dtype),)


def _ragged_eval(x: np.ndarray, y: np.ndarray, sizes: np.ndarray, *, ragged_dot_dimension_numbers: Any, precision: Any,
                 preferred_element_type: Any) -> tuple[np.ndarray]:
    axes = _axes(x.shape, y.shape, ragged_dot_dimension_numbers)
    dtype = preferred_element_type or product_dtype("ragged_dot_general", x, y)
    return (reference.ragged_dot(x, y, sizes, axes, dtype),)


# ---- transpose: in canonical order, x is [b, m, k], y is [g, b, k, n] or [b, k, n]

def _product(x: Any, y: Any, sizes: Any, x_sum: Sequence[int], y_sum: Sequence[int], batch: int, ragged: int,
             grouped: bool, params: Any) -> Any:
    """A ragged product whose batch axes come first, behind the group axis if y has one."""
    pairs = (tuple(x_sum), tuple(y_sum)), (tuple(range(batch)), tuple(range(grouped, batch + grouped)))
    numbers = RaggedDotDimensionNumbers(pairs, (ragged,), (0,) if grouped else ())
    return ragged_dot_general_p.bind(x, y, sizes, ragged_dot_dimension_numbers=numbers, **params)[0]


def _ragged_transpose(cts: Any, x: Any, y: Any, sizes: Any, *, ragged_dot_dimension_numbers: Any, **params: Any) -> Any:
    ct, axes = cts[0], _axes(shape_of(x), shape_of(y), ragged_dot_dimension_numbers)
    x_order = [*axes.x_batch, *axes.x_free, *axes.x_sum]
    y_order = [*axes.group, *axes.y_batch, *axes.y_sum, *axes.y_free]
    batch, free, grouped = len(axes.x_batch), len(axes.x_free), bool(axes.group)
    ragged, lead = x_order.index(axes.ragged), int(not grouped)  # the cotangent has a group axis if y has none
    ct_free, ct_last = range(lead + batch, lead + batch + free), range(lead + batch + free, len(shape_of(ct)))
    y_last = range(len(y_order) - len(axes.y_free), len(y_order))
    if type(y) is Linear:
        x = transpose(x, x_order)
        found = _product(x, ct, sizes, range(batch, batch + free), ct_free, batch, ragged, not grouped, params)
        return None, _restored(found, y, y_order), None
    y = transpose(y, y_order)
    if grouped:
        found = _product(ct, y, sizes, ct_last, y_last, batch, ragged, True, params)
    else:  # [b, k, m]
        found = _product(y, ct, sizes, y_last, ct_last, batch, ragged - free, True, params)
        x_order = [*axes.x_batch, *axes.x_sum, *axes.x_free]
    return _restored(found, x, x_order), None, None


def _restored(found: Any, linear: Linear, order: Sequence[int]) -> Any:
    found = transpose(found, [order.index(i) for i in range(len(order))])
    return convert_element_type(found, linear.dtype, linear.type.weak_type)


# ---- batch

def _shifted(numbers: RaggedDotDimensionNumbers, x: int, y: int, batch: bool) -> RaggedDotDimensionNumbers:
    """The dimension numbers once an axis stands in front of x or y or both, a batch axis if both have it."""
    (x_sum, y_sum), (x_batch, y_batch) = numbers.dot_dimension_numbers
    moved = [tuple([a + by for a in axes]) for axes, by in (
        (x_sum, x), (y_sum, y), (x_batch, x), (y_batch, y), (numbers.lhs_ragged_dimensions, x),
        (numbers.rhs_group_dimensions, y))]
    front = (0,) if batch else ()
    return RaggedDotDimensionNumbers(((moved[0], moved[1]), ((*front, *moved[2]), (*front, *moved[3]))), *moved[4:])


def _batched_sizes(size: int, sizes: Any, axis: int | None, example: tuple[int, ...], place: int) -> Any:
    """Group sizes for batches: [g] for all, or with an axis for the batch at `place` of the axes before the groups."""
    if axis is None and len(shape_of(sizes)) == 1:
        return sizes
    sizes = batch_in_front(size, sizes, axis)
    if len(shape_of(sizes)) == 2:
        sizes = broadcast_in_dim(sizes, (size, *example, shape_of(sizes)[-1]), (0, len(example) + 1))
    return moveaxis(sizes, 0, place)


def _ragged_batch(size: int, args: Any, axes: Any, *, ragged_dot_dimension_numbers: Any, **params: Any) -> Any:
    (x, y, sizes), (x_axis, y_axis, sizes_axis), numbers = args, axes, ragged_dot_dimension_numbers
    (_, _), (batch, _) = numbers.dot_dimension_numbers
    grouped = bool(numbers.rhs_group_dimensions)
    if x_axis is None and sizes_axis is None:  # one more free axis of y, the last
        y = moveaxis(y, y_axis, len(shape_of(y)) - 1)
        outs = ragged_dot_general_p.bind(x, y, sizes, ragged_dot_dimension_numbers=numbers, **params)
        return outs, (len(shape_of(outs[0])) - 1,)
    both = y_axis is not None or not (grouped or sizes_axis is None)
    x = batch_in_front(size, x, x_axis)
    y = batch_in_front(size, y, y_axis) if both else y
    example = _axes(shape_of(x)[1:], shape_of(y)[both:], numbers)
    before = tuple([shape_of(x)[a + 1] for a in example.before()])
    numbers = _shifted(numbers, 1, int(both), both)
    place = 0 if both else len(batch)
    if both or grouped:
        sizes = _batched_sizes(size, sizes, sizes_axis, before, place)
    out = ragged_dot_general_p.bind(x, y, sizes, ragged_dot_dimension_numbers=numbers, **params)
    return out, (place + (not grouped),)


def _ragged_cost(x: ArrayType, y: ArrayType, *types: ArrayType, ragged_dot_dimension_numbers: Any,
                 **params: Any) -> int:
    """A multiplication and an addition for each element of x and place along the free axes of y."""
    return 2 * x.size * size_of([y.shape[a] for a in _axes(x.shape, y.shape, ragged_dot_dimension_numbers).y_free])


ragged_dot_general_p = Op("ragged_dot_general", type=_ragged_type, eval=_ragged_eval, transpose=_ragged_transpose,
                          batch=_ragged_batch, cost=_ragged_cost, traits={"dot"})
ragged_dot_general_p.jvp = bilinear_jvp(ragged_dot_general_p)
