"""sort: order several arrays together along an axis, by the first `num_keys` of them.

Its derivative orders the tangents as the operands were ordered, by a gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.ops.comparison import not_a_key
from minijax.ops.families import accepts, reshape, shape_of
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from minijax.ops.structural import batch_in_front, iota
from minijax.tracing.source import at_line


def _sort_type(*operands: ArrayType, dimension: int, is_stable: bool, num_keys: int) -> tuple[ArrayType, ...]:
    for x in operands:
        accepts("sort", x.dtype, not_a_key, "numeric or bool")
    if len({x.shape for x in operands}) != 1 or not 0 <= dimension < operands[0].ndim:
        raise ShapeError(f"sort: {', '.join(map(str, operands))} cannot be sorted along axis {dimension}{at_line()}. "
                         "The operands must have equal shapes and that axis.")
    if not 1 <= num_keys <= len(operands):
        raise ShapeError(f"sort: num_keys is {num_keys}, of {len(operands)} operands{at_line()}. "
                         "At least one operand must be a key, and at most all.")
    return operands


def _sort_eval(*operands: np.ndarray, dimension: int, is_stable: bool, num_keys: int) -> tuple[np.ndarray, ...]:
    return reference.sort(*operands, dimension=dimension, num_keys=num_keys)


def _sort_jvp(primals: Any, tangents: Any, *, dimension: int, **params: Any) -> Any:
    if all(t is zero for t in tangents):
        return sort_p.bind(*primals, dimension=dimension, **params), [zero] * len(primals)
    counted = iota(dtypes.int32, shape_of(primals[0]), dimension)
    *outs, order = sort_p.bind(*primals, counted, dimension=dimension, **params)
    return tuple(outs), [t if t is zero else take_along_axis(t, order, dimension) for t in tangents]


def take_along_axis(x: Any, positions: Any, axis: int) -> Any:
    """The elements of x at `positions` (of x's shape, and inside of it) along an axis."""
    others = tuple([i for i in range(len(shape_of(x))) if i != axis])
    numbers = GatherDimensionNumbers(offset_dims=(), collapsed_slice_dims=(axis,), start_index_map=(axis,),
                                     operand_batching_dims=others, start_indices_batching_dims=others)
    vectors = reshape(positions, (*shape_of(positions), 1))
    return gather(x, vectors, numbers, (1,) * len(shape_of(x)), mode=GatherScatterMode.PROMISE_IN_BOUNDS)


def _sort_batch(size: int, args: Any, axes: Any, *, dimension: int, **params: Any) -> Any:
    moved = [batch_in_front(size, x, axis) for x, axis in zip(args, axes, strict=True)]
    return sort_p.bind(*moved, dimension=dimension + 1, **params), (0,) * len(args)


def _sort_cost(*operands: ArrayType, dimension: int, num_keys: int, **params: Any) -> int:
    """A comparison of keys for each element and each halving of the axis."""
    return num_keys * operands[0].size * max(operands[0].shape[dimension] - 1, 0).bit_length()


sort_p = Op("sort", type=_sort_type, eval=_sort_eval, jvp=_sort_jvp, batch=_sort_batch, cost=_sort_cost,
            undeclared=("transpose",))


def sort(operands: Sequence[Any], dimension: int, is_stable: bool = True, num_keys: int = 1) -> tuple[Any, ...]:
    """Sort arrays of equal shapes together along an axis (non-negative); NaNs come last.

    >>> keys, values = sort([np.array([2, 0, 1], np.int32), np.array([7, 8, 9], np.int32)], 0)
    >>> np.asarray(values)
    array([8, 9, 7], dtype=int32)
    """
    return sort_p.bind(*operands, dimension=dimension, is_stable=is_stable, num_keys=num_keys)
