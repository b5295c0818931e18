"""Products of rows in groups, as functions: what layers with experts are made of."""

from __future__ import annotations

from typing import Any

from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.lax.enums import precision_of
from minijax.ops import ragged as ops
from minijax.ops.comparison import lt, select_n
from minijax.ops.dot import dot_general
from minijax.ops.families import at_line, broadcast_in_dim, reduce_sum, reshape, scalar_like
from minijax.ops.operands import operand as as_operand
from minijax.ops.ragged import RaggedDotDimensionNumbers
from minijax.ops.slicing import dynamic_slice, pad
from minijax.ops.structural import concatenate, iota
from minijax.tracing.array import typeof


def ragged_dot(lhs: Any, rhs: Any, group_sizes: Any, precision: Any = None, preferred_element_type: Any = None,
               group_offset: Any = None, out_sharding: None = None) -> Any:
    """Rows of `lhs` [m, k] in consecutive groups, each times its own matrix of `rhs` [g, k, n].

    Rows behind the last group give zeros.  `group_offset` is as in `ragged_dot_general`.

    >>> import numpy as np
    >>> x, matrices = np.ones((3, 2), np.float32), np.float32([[[1], [1]], [[10], [10]]])
    >>> ragged_dot(x, matrices, np.int32([1, 2]))
    Array([[ 2.],
           [20.],
           [20.]], dtype=float32)
    """
    numbers = RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,))
    return ragged_dot_general(lhs, rhs, group_sizes, numbers, precision, preferred_element_type, group_offset)


def ragged_dot_general(lhs: Any, rhs: Any, group_sizes: Any, ragged_dot_dimension_numbers: Any, precision: Any = None,
                       preferred_element_type: Any = None, group_offset: Any = None, out_sharding: None = None) -> Any:
    """`dot_general` where an axis of `lhs` is cut into consecutive groups of `group_sizes`.

    If that axis is free, each group has its own matrix along the group axis of `rhs`; if it is summed over, each
    group gives a result, along a new leading axis; if it is a batch axis, the groups make no difference.
    With `group_offset`, of shape (1,), `rhs` holds the matrices from that group on; rows of other groups give zeros.
    Raises `ShapeError` for dimension numbers or sizes that do not fit.  Source: Gale et al., MegaBlocks, MLSys 2023.
    """
    x, y, sizes = (as_operand("ragged_dot_general", each) for each in (lhs, rhs, group_sizes))
    pairs, ragged, group = (getattr(ragged_dot_dimension_numbers, field) for field in (
        "dot_dimension_numbers", "lhs_ragged_dimensions", "rhs_group_dimensions"))
    pairs = tuple([tuple([tuple(map(int, axes)) for axes in pair]) for pair in pairs])
    numbers = RaggedDotDimensionNumbers(pairs, tuple(map(int, ragged)), tuple(map(int, group)))
    dtype = None if preferred_element_type is None else dtypes.canonical_dtype(preferred_element_type)
    if numbers.lhs_ragged_dimensions and numbers.lhs_ragged_dimensions[0] in pairs[1][0]:
        return dot_general(x, y, pairs, precision_of(precision), dtype)
    if group_offset is not None:
        y, sizes = _from_group(y, sizes, numbers, as_operand("ragged_dot_general", group_offset))
    return ops.ragged_dot_general_p.bind(x, y, sizes, ragged_dot_dimension_numbers=numbers,
                                         precision=precision_of(precision), preferred_element_type=dtype)[0]


def _from_group(y: Any, sizes: Any, numbers: RaggedDotDimensionNumbers, offset: Any) -> tuple[Any, Any]:
    """The matrices behind one of zeros, and the sizes of their groups behind that of all groups before."""
    if len(numbers.rhs_group_dimensions) != 1 or offset.shape != (1,):
        raise MinijaxValueError(f"ragged_dot_general: group_offset {typeof(offset)} must have shape (1,), and the "
                                f"right operand a group axis{at_line()}. Leave group_offset out otherwise.")
    axis, last = numbers.rhs_group_dimensions[0], sizes.ndim - 1
    start, count = reshape(offset, ()), y.shape[numbers.rhs_group_dimensions[0]]
    earlier = lt(iota(offset.dtype, sizes.shape, last), broadcast_in_dim(start, sizes.shape, ()))
    skipped = reduce_sum(select_n(earlier, broadcast_in_dim(scalar_like(sizes, 0), sizes.shape, ()), sizes), (last,))
    own = dynamic_slice(sizes, [*[0] * last, start], (*sizes.shape[:-1], count))
    sizes = concatenate([reshape(skipped, (*sizes.shape[:-1], 1)), own], last)
    return pad(y, scalar_like(y, 0.0), [(int(i == axis), 0, 0) for i in range(y.ndim)]), sizes
