"""What the ops of linear algebra share: matrices are the last two axes, stacks of them the axes before.

`linalg_op` makes the record of an op on stacks from its rules for one example; the functions
after it are the words that derivative rules are written in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops import reference_linalg as reference
from minijax.ops.arithmetic import integer_pow, sub
from minijax.ops.comparison import eq, ge, le, select_n
from minijax.ops.contraction import matmul
from minijax.ops.conversion import conj, convert_element_type
from minijax.ops.families import (accepts, add, broadcast_in_dim, mul, reduce_sum, same_dtype, scalar_like, shape_of,
                                  transpose)
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from minijax.ops.slicing import slice_
from minijax.ops.structural import batch_in_front, expand_dims, iota
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

Shape = tuple[int, ...]
LAPACK = frozenset({dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128}).__contains__
_kinds = {LAPACK: "float32, float64, complex64 or complex128", dtypes.is_float: "real floating-point",
          dtypes.is_inexact: "real or complex floating-point", dtypes.int32.__eq__: "int32"}


# ---- records ----

def linalg_op(name: str, ranks: Sequence[int], results: Callable[..., Any], evaluate: Callable[..., Any], *,
              takes: Callable[[Any], bool] = LAPACK, batch: Callable[..., Any] | None = None,
              **rules: Callable[..., Any]) -> Op:
    """An op on stacks of matrices and vectors, from its meaning for one example.

    `ranks` are those of one example's operands; `results(dtype, *shapes, **params)` is a list of (shape, dtype)
    and `evaluate(*arrays, **params)` a tuple of NumPy arrays; `takes` says which dtypes it is for.
    Batching puts the batch in front of the stack, unless `batch` is another rule.
    """
    def type_rule(*types: ArrayType, **params: Any) -> tuple[ArrayType, ...]:
        dtype = same_dtype(name, types)
        accepts(name, dtype, takes, _kinds.get(takes, "int32"))
        stack, shapes = _split_stack(name, types, ranks)
        weak = all([t.weak_type for t in types])
        return tuple([ArrayType((*stack, *shape), out, weak) for shape, out in results(dtype, *shapes, **params)])

    def eval_rule(*arrays: Any, **params: Any) -> list[np.ndarray]:
        types = op.infer(tuple([ArrayType(x.shape, x.dtype) for x in arrays]), params)
        return reference.over_stack(evaluate, ranks, arrays, types, params)

    def batch_rule(size: int, args: Any, axes: Any, **params: Any) -> Any:
        op.infer(tuple([_example(x, axis) for x, axis in zip(args, axes, strict=True)]), params)  # a matrix each?
        if batch:
            return batch(size, args, axes, **params)
        outs = op.bind(*[batch_in_front(size, x, axis) for x, axis in zip(args, axes, strict=True)], **params)
        return outs, (0,) * len(outs)

    missing = tuple([rule for rule in ("jvp", "transpose") if rule not in rules])
    op = Op(name, type=type_rule, eval=eval_rule, batch=batch_rule, undeclared=missing, traits={"linalg"}, **rules)
    return op


def _example(x: Any, axis: int | None) -> ArrayType:
    """The type of one example of a batch."""
    t = typeof(x)
    return t if axis is None else t.update(shape=t.shape[:axis] + t.shape[axis + 1:])


def _split_stack(name: str, types: Sequence[ArrayType], ranks: Sequence[int]) -> tuple[Shape, list[Shape]]:
    """The axes that all operands have in front, and the shapes of one example."""
    for t, rank in zip(types, ranks, strict=True):
        if t.ndim < rank:
            raise ShapeError(f"{name}: {t} has {t.ndim} axes where {'a vector' if rank == 1 else 'a matrix'}, or a "
                             f"stack of them, is needed{at_line()}. Reshape it so that it has at least {rank}.")
    stacks = [t.shape[:t.ndim - rank] for t, rank in zip(types, ranks, strict=True)]
    if len(set(stacks)) > 1:
        raise ShapeError(f"{name}: the operands {', '.join(map(str, types))} are stacks of different shapes "
                         f"{', '.join(map(str, stacks))}{at_line()}. Broadcast them, or use vmap.")
    return stacks[0], [t.shape[t.ndim - rank:] for t, rank in zip(types, ranks, strict=True)]


def square(name: str, shape: Shape) -> int:
    """The size of a square matrix; raises `ShapeError` for another."""
    if shape[0] != shape[1]:
        raise ShapeError(f"{name} takes square matrices, got {shape[0]} rows and {shape[1]} columns{at_line()}. "
                         "The last two axes must have equal sizes.")
    return shape[0]


def matrix_cost(share: float) -> Callable[..., int]:
    """Operations in proportion to m n min(m, n), summed over the stack, for the first operand m x n."""
    def cost(x: ArrayType, *others: ArrayType, **params: Any) -> int:
        return int(share * x.size * min(x.shape[-2:]))

    return cost


# ---- words of rules ----

def product(x: Any, y: Any) -> Any:
    """Matrix product at the highest precision."""
    return matmul(x, y, "highest")


def flipped(x: Any) -> Any:
    """Rows and columns exchanged."""
    rank = len(shape_of(x))
    return transpose(x, (*range(rank - 2), rank - 1, rank - 2))


def conjugate(x: Any) -> Any:
    """The complex conjugate; x itself if it is real."""
    return conj(x) if dtypes.is_complex(typeof(x).dtype) else x


def dagger(x: Any) -> Any:
    """The conjugate transpose."""
    return conjugate(flipped(x))


def _where_diagonal(compare: Callable[..., Any], shape: Shape, k: int) -> Any:
    """Where `compare(column, row + k)` holds, for matrices of a shape."""
    row, column = (iota(dtypes.int32, shape[-2:], axis) for axis in (0, 1))
    mask = compare(column, add(row, np.int32(k)) if k else row)
    return broadcast_in_dim(mask, shape, (len(shape) - 2, len(shape) - 1))


def _chosen(compare: Callable[..., Any], x: Any, k: int, other: float = 0.0) -> Any:
    return select_n(_where_diagonal(compare, shape_of(x), k), scalar_like(x, other), x)


def lower(x: Any, k: int = 0) -> Any:
    """The elements on and below the k-th diagonal, zeros above."""
    return _chosen(le, x, k)


def upper(x: Any, k: int = 0) -> Any:
    """The elements on and above the k-th diagonal, zeros below."""
    return _chosen(ge, x, k)


def diagonal_part(x: Any) -> Any:
    """The elements on the diagonal, zeros elsewhere."""
    return _chosen(eq, x, 0)


def with_diagonal(x: Any, value: float) -> Any:
    """x with `value` in place of its diagonal."""
    return select_n(_where_diagonal(eq, shape_of(x), 0), x, scalar_like(x, value))


def diagonal(x: Any) -> Any:
    """The diagonal of a square matrix, as a vector."""
    return reduce_sum(diagonal_part(x), (len(shape_of(x)) - 1,))


def imaginary_diagonal(x: Any) -> Any:
    """i times the imaginary parts on the diagonal, zeros elsewhere."""
    return diagonal_part(mul(sub(x, conj(x)), scalar_like(x, 0.5)))


def mirrored(x: Any, from_lower: bool) -> Any:
    """The Hermitian matrix that one triangle of x stands for."""
    whole = add(lower(x), dagger(lower(x, -1))) if from_lower else add(upper(x), dagger(upper(x, 1)))
    return sub(whole, imaginary_diagonal(x)) if dtypes.is_complex(typeof(x).dtype) else whole


def identity_like(x: Any) -> Any:
    """Ones on the diagonal, zeros elsewhere, in the shape and dtype of x."""
    return convert_element_type(_where_diagonal(eq, shape_of(x), 0), typeof(x).dtype)


def in_rows(v: Any, rows: int) -> Any:
    """The matrix each of whose rows is v: its element (i, j) is v[j]."""
    *stack, n = shape_of(v)
    return broadcast_in_dim(v, (*stack, rows, n), (*range(len(stack)), len(stack) + 1))


def in_columns(v: Any, columns: int) -> Any:
    """The matrix each of whose columns is v: its element (i, j) is v[i]."""
    *stack, n = shape_of(v)
    return broadcast_in_dim(v, (*stack, n, columns), tuple(range(len(stack) + 1)))


def scale_columns(x: Any, v: Any) -> Any:
    """x times the diagonal matrix of v."""
    return mul(x, in_rows(v, shape_of(x)[-2]))


def inverse_gaps(w: Any) -> Any:
    """1 / (w[j] - w[i]), and 0 on the diagonal."""
    n = shape_of(w)[-1]
    gaps = with_diagonal(sub(in_rows(w, n), in_columns(w, n)), 1.0)
    return with_diagonal(integer_pow(gaps, -1), 0.0)


def rows_at(x: Any, rows: Any) -> Any:
    """The rows of x in another order: a permutation for each matrix of the stack."""
    *stack, _, n = shape_of(x)
    axes = tuple(range(len(stack)))
    numbers = GatherDimensionNumbers(offset_dims=(len(stack) + 1,), collapsed_slice_dims=(len(stack),),
                                     start_index_map=(len(stack),), operand_batching_dims=axes,
                                     start_indices_batching_dims=axes)
    return gather(x, expand_dims(rows, (len(stack) + 1,)), numbers, (*[1] * (len(stack) + 1), n), unique_indices=True,
                  mode=GatherScatterMode.PROMISE_IN_BOUNDS)


def block(x: Any, rows: slice, columns: slice) -> Any:
    """The elements of x in these rows and columns."""
    *stack, m, n = shape_of(x)
    (low, high, _), (left, right, _) = rows.indices(m), columns.indices(n)
    return slice_(x, (*[0] * len(stack), low, left), (*stack, max(low, high), max(left, right)))
