"""Reductions, cumulative ops, products and sorting, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.errors import MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.lax.enums import precision_of
from minijax.ops import families, reductions, scans, sorting
from minijax.ops import dot as dot_ops
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import at_line
from minijax.ops.operands import axis_of, operand as as_operand
from minijax.tracing.array import typeof


def _reduction(name: str, reduce: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def function(operand: Any, axes: Sequence[int]) -> Any:
        x = as_operand(name, operand)
        return reduce(x, tuple([axis_of(name, axis, x.ndim) for axis in axes]))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{meaning} along axes."
    return function


_sum = _reduction("reduce_sum", families.reduce_sum, "Sum")
reduce_prod = _reduction("reduce_prod", reductions.reduce_prod, "Product")
reduce_max = _reduction("reduce_max", reductions.reduce_max, "The largest element")
reduce_min = _reduction("reduce_min", reductions.reduce_min, "The smallest element")
reduce_and = _reduction("reduce_and", reductions.reduce_and, "Bits set in all elements")
reduce_or = _reduction("reduce_or", reductions.reduce_or, "Bits set in any element")
reduce_xor = _reduction("reduce_xor", reductions.reduce_xor, "Bits set in an odd number of elements")


def reduce_sum(operand: Any, axes: Sequence[int], *, out_sharding: None = None) -> Any:
    """Sum along axes."""
    return _sum(operand, axes)


def argmax(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the largest element along an axis."""
    x = as_operand("argmax", operand)
    return reductions.argmax(x, axis_of("argmax", axis, x.ndim), index_dtype)


def argmin(operand: Any, axis: int, index_dtype: Any) -> Any:
    """Position of the smallest element along an axis."""
    x = as_operand("argmin", operand)
    return reductions.argmin(x, axis_of("argmin", axis, x.ndim), index_dtype)


def _cumulative(name: str, scan: Callable[..., Any], meaning: str) -> Callable[..., Any]:
    def function(operand: Any, axis: int = 0, reverse: bool = False) -> Any:
        x = as_operand(name, operand)
        return scan(x, axis_of(name, axis, x.ndim), bool(reverse))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Cumulative {meaning} along an axis, from the end if `reverse`."
    return function


cumsum = _cumulative("cumsum", scans.cumsum, "sum")
cumprod = _cumulative("cumprod", scans.cumprod, "product")
cummax = _cumulative("cummax", scans.cummax, "maximum")
cummin = _cumulative("cummin", scans.cummin, "minimum")
cumlogsumexp = _cumulative("cumlogsumexp", scans.cumlogsumexp, "log of the sum of exponentials")


# ---- products ----

def dot_general(lhs: Any, rhs: Any, dimension_numbers: Any, precision: Any = None,
                preferred_element_type: Any = None, *, out_sharding: None = None) -> Any:
    """Multiply and sum: `dimension_numbers` is ((summed axes of each), (batch axes of each)).

    The axes of the result: batch axes, the other axes of the left operand, those of the right.

    >>> import numpy as np
    >>> dot_general(np.ones((2, 3), np.float32), np.ones(3, np.float32), (((1,), (0,)), ((), ())))
    Array([3., 3.], dtype=float32)
    """
    dtype = None if preferred_element_type is None else dtypes.canonical_dtype(preferred_element_type)
    return dot_ops.dot_general(lhs, rhs, dimension_numbers, precision_of(precision), dtype)


def dot(lhs: Any, rhs: Any, *, dimension_numbers: Any = None, precision: Any = None,
        preferred_element_type: Any = None, out_sharding: None = None) -> Any:
    """Products of vectors and matrices; with `dimension_numbers`, `dot_general`."""
    if dimension_numbers is None:
        ranks = len(typeof(lhs).shape), len(typeof(rhs).shape)
        if not set(ranks) <= {1, 2}:
            raise MinijaxTypeError(f"dot takes vectors and matrices, got {typeof(lhs)} and {typeof(rhs)}{at_line()}. "
                                   "Use dot_general.")
        dimension_numbers = ((ranks[0] - 1,), (0,)), ((), ())
    return dot_general(lhs, rhs, dimension_numbers, precision, preferred_element_type)


def batch_matmul(lhs: Any, rhs: Any, precision: Any = None) -> Any:
    """Products of stacks of matrices, of equal leading axes."""
    rank = len(typeof(lhs).shape)
    if rank < 2 or len(typeof(rhs).shape) != rank:
        raise ShapeError(f"batch_matmul takes arrays of equal rank, two at least, got {typeof(lhs)} and "
                         f"{typeof(rhs)}{at_line()}.")
    batch = tuple(range(rank - 2))
    return dot_general(lhs, rhs, (((rank - 1,), (rank - 2,)), (batch, batch)), precision)


def scaled_dot(lhs: Any, rhs: Any, *, lhs_scale: Any = None, rhs_scale: Any = None, dimension_numbers: Any = None,
               preferred_element_type: Any = None) -> Any:
    """`dot_general` of operands in blocks that share a scale along the summed axes.

    An axis of a scale divides that of its operand; sums are in `preferred_element_type`, by default bfloat16.

    >>> import numpy as np
    >>> scaled_dot(np.ones((2, 4), 'float32'), np.ones((4, 1), 'float32'), lhs_scale=np.full((2, 2), 3, 'float32'))
    Array([[12],
           [12]], dtype=bfloat16)
    """
    dtype = dtypes.canonical_dtype(preferred_element_type or dtypes.bfloat16)
    ranks = len(typeof(lhs).shape), len(typeof(rhs).shape)
    if dimension_numbers is None:
        if min(ranks) < 2:
            raise MinijaxTypeError(f"scaled_dot takes matrices and stacks of them, got {typeof(lhs)} and {typeof(rhs)}"
                                   f"{at_line()}. Name the summed axes with dimension_numbers.")
        batch = tuple(range(ranks[0] - 2))
        dimension_numbers = ((ranks[0] - 1,), (ranks[0] - 2,)), (batch, batch)
    scaled = [_scaled(x, scale, dtype) for x, scale in ((lhs, lhs_scale), (rhs, rhs_scale))]
    return dot_general(*scaled, dimension_numbers, preferred_element_type=dtype)


def _scaled(x: Any, scale: Any, dtype: Any) -> Any:
    x = convert_element_type(as_operand("scaled_dot", x), dtype)
    if scale is None:
        return x
    scale = convert_element_type(as_operand("scaled_dot", scale), dtype)
    if scale.ndim != x.ndim or any(m == 0 or n % m for n, m in zip(x.shape, scale.shape, strict=True)):
        raise ShapeError(f"scaled_dot: the scale {typeof(scale)} does not divide its operand {typeof(x)}{at_line()}. "
                         "Each of its axes must divide that of the operand.")
    split = [n for pair in zip(scale.shape, x.shape, strict=True) for n in (pair[0], pair[1] // pair[0])]
    spread = families.broadcast_in_dim(scale, split, range(0, 2 * x.ndim, 2))
    return families.mul(x, families.reshape(spread, x.shape))


# ---- sorting ----

def sort(operand: Any, dimension: int = -1, is_stable: bool = True, num_keys: int = 1) -> Any:
    """In ascending order along an axis; a sequence of arrays is ordered together, by its first `num_keys`."""
    many = isinstance(operand, (tuple, list))
    arrays = [as_operand("sort", x) for x in (operand if many else (operand,))]
    axis = axis_of("sort", dimension, arrays[0].ndim)
    outs = sorting.sort(arrays, axis, bool(is_stable), num_keys)
    return tuple(outs) if many else outs[0]


def sort_key_val(keys: Any, values: Any, dimension: int = -1, is_stable: bool = True) -> tuple[Any, Any]:
    """Keys in ascending order, and values in the order of their keys."""
    return sort((keys, values), dimension, is_stable)
