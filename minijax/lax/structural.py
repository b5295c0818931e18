"""Ops that move elements, and arrays of one value, as functions."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.lax.elementwise import like_arrays
from minijax.ops import families, slicing
from minijax.ops import promotion
from minijax.ops import structural as ops
from minijax.ops.families import at_line
from minijax.ops.operands import axes_of, axis_of, operand as as_operand, whole, whole_numbers
from minijax.ops.promotion import convert
from minijax.tracing.array import typeof
from minijax.util import size_of


def broadcast(operand: Any, sizes: Sequence[int], *, out_sharding: None = None) -> Any:
    """Repeated along new leading axes of these sizes."""
    x = as_operand("broadcast", operand)
    sizes = whole_numbers("broadcast", "sizes", sizes, 0)
    return families.broadcast_in_dim(x, (*sizes, *x.shape), range(len(sizes), len(sizes) + x.ndim))


def broadcast_in_dim(operand: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int], *,
                     out_sharding: None = None) -> Any:
    """Axis i of the operand becomes axis broadcast_dimensions[i] of `shape`; the other axes repeat.

    >>> broadcast_in_dim(1.0, (2,), ())
    Array([1., 1.], dtype=float32, weak_type=True)
    """
    x = as_operand("broadcast_in_dim", operand)
    shape = whole_numbers("broadcast_in_dim", "shape", shape, 0)
    axes = whole_numbers("broadcast_in_dim", "broadcast_dimensions", broadcast_dimensions)
    if x.shape == shape and axes == tuple(range(x.ndim)):
        return x
    return families.broadcast_in_dim_p.bind(x, shape=shape, broadcast_dimensions=axes)[0]


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that shapes broadcast to."""
    return promotion.broadcast_shapes("broadcast_shapes", [tuple(s) for s in shapes])


def broadcast_like(arr: Any, like_arr: Any) -> Any:
    """Broadcast to the shape of another array, by NumPy's rules.

    >>> broadcast_like(1.0, broadcast(2.0, (3,)))
    Array([1., 1., 1.], dtype=float32, weak_type=True)
    """
    x, shape = as_operand("broadcast_like", arr), typeof(like_arr).shape
    if promotion.broadcast_shapes("broadcast_like", [x.shape, shape]) != shape:
        raise ShapeError(f"broadcast_like: {typeof(x)} does not broadcast to the shape {shape}{at_line()}.")
    return families.broadcast_in_dim(x, shape, range(len(shape) - x.ndim, len(shape)))


def broadcast_to_rank(x: Any, rank: int) -> Any:
    """With leading axes of size 1 up to a number of axes."""
    x = as_operand("broadcast_to_rank", x)
    return ops.expand_dims(x, range(rank - x.ndim))


def reshape(operand: Any, new_sizes: Sequence[int], dimensions: Sequence[int] | None = None, *,
            out_sharding: None = None) -> Any:
    """The same elements in another shape; `dimensions` reorders the axes first.

    >>> reshape(broadcast(1.0, (4,)), (2, 2)).shape
    (2, 2)
    """
    x = as_operand("reshape", operand)
    x = x if dimensions is None else families.transpose(x, dimensions)
    return families.reshape(x, whole_numbers("reshape", "new_sizes", new_sizes, 0))


def collapse(operand: Any, start_dimension: int, stop_dimension: int | None = None) -> Any:
    """Axes from start to (without) stop made one."""
    x = as_operand("collapse", operand)
    low, high, _ = builtins.slice(start_dimension, stop_dimension).indices(x.ndim)
    return families.reshape(x, (*x.shape[:low], size_of(x.shape[low:high]), *x.shape[high:]))


def transpose(operand: Any, permutation: Sequence[int]) -> Any:
    """Axis i of the result is axis permutation[i] of the operand."""
    x, permutation = as_operand("transpose", operand), whole_numbers("transpose", "permutation", permutation)
    return x if permutation == tuple(range(x.ndim)) else families.transpose_p.bind(x, permutation=permutation)[0]


def squeeze(array: Any, dimensions: Sequence[int]) -> Any:
    """Without the given axes of size 1."""
    x = as_operand("squeeze", array)
    return ops.squeeze(x, axes_of("squeeze", tuple(dimensions), x.ndim))


def expand_dims(array: Any, dimensions: Sequence[int]) -> Any:
    """With axes of size 1 at these places of the result."""
    x = as_operand("expand_dims", array)
    return ops.expand_dims(x, axes_of("expand_dims", tuple(dimensions), x.ndim + len(dimensions)))


def concatenate(operands: Any, dimension: int) -> Any:
    """Arrays of one dtype joined along an axis they have."""
    if not len(operands):
        raise ShapeError(f"concatenate takes at least one operand{at_line()}.")
    arrays = [as_operand("concatenate", x) for x in operands]
    return ops.concatenate(arrays, whole("concatenate", "dimension", dimension))


def stack(operands: Any, axis: int = 0) -> Any:
    """Arrays of one dtype and shape joined along a new axis."""
    place = axis_of("stack", axis, len(typeof(operands[0]).shape) + 1)
    return concatenate([ops.expand_dims(as_operand("stack", x), (place,)) for x in operands], place)


def unstack(x: Any, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis."""
    x = as_operand("unstack", x)
    axis = axis_of("unstack", axis, x.ndim)
    return tuple([ops.squeeze(piece, (axis,)) for piece in ops.split(x, [1] * x.shape[axis], axis)])


def split(operand: Any, sizes: Sequence[int], axis: int = 0) -> list[Any]:
    """Pieces of the given sizes along an axis."""
    x = as_operand("split", operand)
    return list(ops.split(x, whole_numbers("split", "sizes", sizes, 0), axis_of("split", axis, x.ndim)))


def tile(operand: Any, reps: Sequence[int]) -> Any:
    """Copies side by side, reps[i] along axis i.

    >>> tile(broadcast(1.0, (2,)), (2,)).shape
    (4,)
    """
    x, reps = as_operand("tile", operand), whole_numbers("tile", "reps", reps, 0)
    if len(reps) != x.ndim:
        raise ShapeError(f"tile: reps is {reps} for {typeof(x)}{at_line()}. Give one number for each axis.")
    both = [n for pair in zip(reps, x.shape, strict=True) for n in pair]
    spread = families.broadcast_in_dim(x, both, range(1, 2 * x.ndim, 2))
    return families.reshape(spread, [n * r for n, r in zip(x.shape, reps, strict=True)])


def rev(operand: Any, dimensions: Sequence[int]) -> Any:
    """Reversed along axes."""
    return ops.rev(as_operand("rev", operand), whole_numbers("rev", "dimensions", dimensions))


def pad(operand: Any, padding_value: Any, padding_config: Sequence[tuple[int, int, int]]) -> Any:
    """With (low, high, interior) elements of `padding_value` around and between for each axis.

    >>> pad(broadcast(1.0, (2,)), 0.0, [(1, 0, 1)])
    Array([0., 1., 0., 1.], dtype=float32, weak_type=True)
    """
    x, value = like_arrays(as_operand("pad", operand), padding_value)
    triples = [whole_numbers("pad", "an item (low, high, interior) of padding_config", each)
               for each in padding_config]
    return slicing.pad(x, value, triples)


# ---- constants ----

def dtype(x: Any) -> Any:
    """The dtype of a value."""
    return typeof(x).dtype


def iota(dtype: Any, size: int) -> Any:
    """0, 1, 2, ... of a dtype.

    >>> iota('int32', 3)
    Array([0, 1, 2], dtype=int32)
    """
    return ops.iota(dtypes.canonical_dtype(dtype), whole_numbers("iota", "size", (size,), 0))


def broadcasted_iota(dtype: Any, shape: Sequence[int], dimension: int, *, out_sharding: None = None) -> Any:
    """0, 1, 2, ... along one axis of a shape."""
    return ops.iota(dtypes.canonical_dtype(dtype), whole_numbers("broadcasted_iota", "shape", shape, 0),
                    axis_of("broadcasted_iota", dimension, len(shape)))


def full(shape: Sequence[int] | int, fill_value: Any, dtype: Any = None, *, sharding: Any = None) -> Any:
    """An array full of a scalar, of its dtype unless another is given.

    >>> full((2,), 1, 'float32')
    Array([1., 1.], dtype=float32)
    """
    sizes = whole_numbers("full", "shape", shape if isinstance(shape, Sequence) else (shape,), 0)
    type = typeof(fill_value)
    if type.shape:
        raise ShapeError(f"full: the value is a scalar, got {type}{at_line()}. Use broadcast_in_dim.")
    value = fill_value if dtype is None else convert(fill_value, dtypes.canonical_dtype(dtype))
    return families.broadcast_in_dim_p.bind(value, shape=sizes, broadcast_dimensions=())[0]


def full_like(x: Any, fill_value: Any, dtype: Any = None, shape: Sequence[int] | None = None,
              sharding: Any = None) -> Any:
    """A value in the shape and dtype of `x`, or in those given; weak as `x` is."""
    type = typeof(x)
    weak = dtype is None and type.weak_type
    out = full(type.shape if shape is None else shape, fill_value, type.dtype if dtype is None else dtype)
    return families.broadcast_in_dim_p.bind(convert(fill_value, type.dtype, True), shape=out.shape,
                                            broadcast_dimensions=())[0] if weak else out


def empty(shape: Sequence[int], dtype: Any, *, out_sharding: None = None) -> Any:
    """Zeros: memory is never left as it was found."""
    return full(shape, 0, dtype)
