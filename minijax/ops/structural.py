"""Ops that join, cut and reorder arrays without computing, and constants of a type.

squeeze, expand_dims, concatenate, split, rev, iota.  Broadcasting, reshaping and
transposition are in `families.py`, which stands on them; slices are in `slicing.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_indexing as reference
from minijax.ops.families import (broadcast_axis, broadcast_in_dim, moveaxis, no_cost, reshape, same_dtype,
                                  shape_of, structural, zero_derivative)
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


def full_of(type: ArrayType, value: Any) -> Any:
    """An array of this type with every element `value`."""
    weak = type.weak_type and type.dtype == dtypes.canonical_dtype(float)
    scalar = value if weak and isinstance(value, float) else type.dtype.type(value)
    return broadcast_in_dim(scalar, type.shape, ())


def zeros_of(type: ArrayType) -> Any:
    """Zeros of this type."""
    return full_of(type, 0.0)


def ones_of(type: ArrayType) -> Any:
    """Ones of this type."""
    return full_of(type, 1.0)


# ---- helpers for rules

def instantiated(tangents: Sequence[Any], primals: Sequence[Any]) -> list[Any]:
    """The tangents, each `zero` made into zeros of its primal's type."""
    return [zeros_of(typeof(x)) if t is zero else t for t, x in zip(tangents, primals, strict=True)]


def jointly_linear_jvp(op: Op, count: int | None = None) -> Callable[..., Any]:
    """jvp rule of an op linear in its first `count` operands taken together (all, if None)."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        outs = op.bind(*primals, **params)
        if all(t is zero for t in tangents[:count]):
            return outs, (zero,)
        rest = () if count is None else primals[count:]
        return outs, op.bind(*instantiated(tangents[:count], primals[:count]), *rest, **params)

    return jvp


def batch_in_front(size: int, x: Any, axis: int | None) -> Any:
    """`x` with its batch axis first; an unbatched one is repeated."""
    return broadcast_axis(x, size, 0) if axis is None else moveaxis(x, axis, 0)


def shift_axes(axes: Sequence[int], batch_axis: int) -> tuple[int, ...]:
    """Axes of one example, as axes of the batch."""
    return tuple([a + (a >= batch_axis) for a in axes])


def checked_axes(name: str, x: ArrayType, axes: Sequence[int]) -> None:
    """Raise `ShapeError` unless `axes` are distinct axes of `x`."""
    if len(set(axes)) != len(axes) or any(not 0 <= a < x.ndim for a in axes):
        raise ShapeError(f"{name}: {tuple(axes)} are not distinct axes of {x}{at_line()}. "
                         f"Choose among {tuple(range(x.ndim))}.")


# ---- squeeze and expand_dims

def _squeeze_type(x: ArrayType, *, dimensions: tuple[int, ...]) -> tuple[ArrayType]:
    checked_axes("squeeze", x, dimensions)
    if any(x.shape[d] != 1 for d in dimensions):
        raise ShapeError(f"squeeze: the axes {dimensions} of {x} are not all of size 1{at_line()}. "
                         "Only axes of size 1 can be taken away.")
    return (x.update(shape=tuple([n for i, n in enumerate(x.shape) if i not in dimensions])),)


def _squeeze_batch(size: int, args: Any, axes: Any, *, dimensions: tuple[int, ...]) -> Any:
    shifted = shift_axes(dimensions, axes[0])
    return squeeze_p.bind(args[0], dimensions=shifted), (axes[0] - sum(d < axes[0] for d in shifted),)


squeeze_p = structural("squeeze", _squeeze_type, lambda x, *, dimensions: np.squeeze(x, dimensions),
                       lambda ct, x, *, dimensions: reshape(ct, x.shape), _squeeze_batch)


def squeeze(x: Any, dimensions: Sequence[int]) -> Any:
    """Take away axes of size 1 (non-negative)."""
    return squeeze_p.bind(x, dimensions=tuple(dimensions))[0] if dimensions else x


def expand_dims(x: Any, dimensions: Sequence[int]) -> Any:
    """Add axes of size 1, at the places `dimensions` of the result (non-negative).

    >>> expand_dims(np.ones((2, 3), np.float32), (0, 2)).shape
    (1, 2, 1, 3)
    """
    shape = list(shape_of(x))
    for d in sorted(dimensions):
        shape.insert(d, 1)
    return broadcast_in_dim(x, shape, [d for d in range(len(shape)) if d not in dimensions])


# ---- concatenate

def _concatenate_type(*operands: ArrayType, dimension: int) -> tuple[ArrayType]:
    if not operands:
        raise ShapeError(f"concatenate takes at least one operand{at_line()}.")
    first, dtype = operands[0], same_dtype("concatenate", operands)
    checked_axes("concatenate", first, (dimension,))
    others = {t.shape[:dimension] + (0,) + t.shape[dimension + 1:] for t in operands}
    if len(others) != 1:
        raise ShapeError(f"concatenate: the shapes {', '.join(str(t.shape) for t in operands)} differ in more than "
                         f"axis {dimension}{at_line()}. Operands must agree on every other axis.")
    total = sum(t.shape[dimension] for t in operands)
    shape = (*first.shape[:dimension], total, *first.shape[dimension + 1:])
    return (ArrayType(shape, dtype, all([t.weak_type for t in operands])),)


def _concatenate_transpose(cts: Any, *operands: Any, dimension: int) -> Any:
    pieces = split(cts[0], [shape_of(x)[dimension] for x in operands], dimension)
    return [piece if type(x) is Linear else None for piece, x in zip(pieces, operands, strict=True)]


def _concatenate_batch(size: int, args: Any, axes: Any, *, dimension: int) -> Any:
    placed = [batch_in_front(size, x, axis) for x, axis in zip(args, axes, strict=True)]
    return concatenate_p.bind(*placed, dimension=dimension + 1), (0,)


concatenate_p = Op("concatenate", type=_concatenate_type, eval=lambda *xs, dimension: (np.concatenate(xs, dimension),),
                   transpose=_concatenate_transpose, batch=_concatenate_batch, cost=no_cost, traits={"structural"})
concatenate_p.jvp = jointly_linear_jvp(concatenate_p)


def concatenate(operands: Sequence[Any], dimension: int) -> Any:
    """Join arrays of one dtype along an existing axis (non-negative)."""
    return operands[0] if len(operands) == 1 else concatenate_p.bind(*operands, dimension=dimension)[0]


# ---- split

def _split_type(x: ArrayType, *, sizes: tuple[int, ...], axis: int) -> tuple[ArrayType, ...]:
    checked_axes("split", x, (axis,))
    if sum(sizes) != x.shape[axis] or any(n < 0 for n in sizes):
        raise ShapeError(f"split: the sizes {sizes} do not add up to {x.shape[axis]}, the size of axis {axis} of {x}"
                         f"{at_line()}.")
    return tuple([x.update(shape=(*x.shape[:axis], n, *x.shape[axis + 1:])) for n in sizes])


def _split_eval(x: np.ndarray, *, sizes: tuple[int, ...], axis: int) -> list[np.ndarray]:
    return np.split(x, list(itertools.accumulate(sizes))[:-1], axis)


def _split_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    return split_p.bind(*primals, **params), split_p.bind(*tangents, **params)


def _split_transpose(cts: Any, x: Any, *, sizes: tuple[int, ...], axis: int) -> Any:
    pieces = [zeros_of(t) if ct is zero else ct
              for ct, t in zip(cts, _split_type(x.type, sizes=sizes, axis=axis), strict=True)]
    return (concatenate(pieces, axis),)


def _split_batch(size: int, args: Any, axes: Any, *, sizes: tuple[int, ...], axis: int) -> Any:
    outs = split_p.bind(args[0], sizes=sizes, axis=axis + (axis >= axes[0]))
    return outs, (axes[0],) * len(outs)


split_p = Op("split", type=_split_type, eval=_split_eval, jvp=_split_jvp, transpose=_split_transpose,
             batch=_split_batch, cost=no_cost, traits={"structural"})


def split(x: Any, sizes: Sequence[int], axis: int = 0) -> tuple[Any, ...]:
    """Cut `x` along an axis (non-negative) into pieces of the given sizes."""
    return (x,) if len(sizes) == 1 else split_p.bind(x, sizes=tuple(sizes), axis=axis)


# ---- rev

def _rev_type(x: ArrayType, *, dimensions: tuple[int, ...]) -> tuple[ArrayType]:
    checked_axes("rev", x, dimensions)
    return (x,)


def _rev_batch(size: int, args: Any, axes: Any, *, dimensions: tuple[int, ...]) -> Any:
    return rev_p.bind(args[0], dimensions=shift_axes(dimensions, axes[0])), (axes[0],)


rev_p = structural("rev", _rev_type, lambda x, *, dimensions: np.flip(x, dimensions),
                   lambda ct, x, *, dimensions: rev(ct, dimensions), _rev_batch)


def rev(x: Any, dimensions: Sequence[int]) -> Any:
    """Reverse the order of elements along axes (non-negative)."""
    return rev_p.bind(x, dimensions=tuple(dimensions))[0] if dimensions else x


# ---- iota

def _iota_type(*, dtype: Any, shape: tuple[int, ...], dimension: int) -> tuple[ArrayType]:
    if not 0 <= dimension < len(shape):
        raise ShapeError(f"iota: {dimension} is not an axis of the shape {shape}{at_line()}.")
    return (ArrayType(tuple(shape), dtype),)


def _iota_eval(*, dtype: Any, shape: tuple[int, ...], dimension: int) -> tuple[np.ndarray]:
    return (reference.iota(dtype, shape, dimension),)


iota_p = Op("iota", type=_iota_type, eval=_iota_eval, cost=no_cost, traits={"structural"},
            undeclared=("transpose", "batch"))  # it has no operands
iota_p.jvp = zero_derivative(iota_p)


def iota(dtype: Any, shape: Sequence[int], dimension: int = 0) -> Any:
    """An array whose elements count 0, 1, 2, ... along one axis.

    >>> np.asarray(iota(np.dtype('int32'), (3,)))
    array([0, 1, 2], dtype=int32)
    """
    return iota_p.bind(dtype=dtype, shape=tuple(shape), dimension=dimension)[0]
