"""Solving linear systems: triangular_solve, tridiagonal_solve, lu; and Cholesky factors.

A solution x of A x = b has the tangent of dx = A^-1 (db - dA x); solving is linear in b.
`cholesky` and `lu` have the derivatives of factors that stay triangular.
"""

from __future__ import annotations

from typing import Any

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_linalg as reference
from minijax.ops.arithmetic import neg, sub
from minijax.ops.families import add, moveaxis, mul, no_cost, reshape, scalar_like, shape_of
from minijax.ops.matrices import (Shape, block, conjugate, flipped, identity_like, in_columns, linalg_op, lower,
                                  matrix_cost, mirrored, product, rows_at, square, upper)
from minijax.ops.slicing import pad
from minijax.ops.structural import batch_in_front, instantiated
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


# ---- triangular_solve ----

def _triangular_solve_results(dtype: Any, a: Shape, b: Shape, *, left_side: bool, **flags: bool) -> Any:
    n = square("triangular_solve", a)
    if b[0 if left_side else 1] != n:
        raise ShapeError(f"triangular_solve: a matrix of shape {a} cannot be solved for one of shape {b}{at_line()}. "
                         f"With left_side={left_side} the second must have {n} {'rows' if left_side else 'columns'}.")
    return [(b, dtype)]


def _triangular_solve_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (a, _), (da, db) = primals, tangents
    outs = triangular_solve_p.bind(*primals, **params)
    if da is not zero:
        change = triangular_product(da, outs[0], **params)
        db = neg(change) if db is zero else sub(db, change)
    return outs, triangular_solve_p.bind(a, db, **params)


def triangular_product(da: Any, x: Any, *, left_side: bool, lower: bool, transpose_a: bool,
                       conjugate_a: bool, unit_diagonal: bool) -> Any:
    """op(da) x or x op(da), of the elements of da that a solve reads."""
    offset = 1 if unit_diagonal else 0
    da = _lower(da, -offset) if lower else upper(da, offset)
    da = flipped(da) if transpose_a else da
    da = conjugate(da) if conjugate_a else da
    return product(da, x) if left_side else product(x, da)


_lower = lower  # where `lower` is a flag


def _triangular_solve_transpose(cts: Any, a: Any, b: Any, *, transpose_a: bool, **flags: bool) -> Any:
    return None, triangular_solve_p.bind(a, cts[0], transpose_a=not transpose_a, **flags)[0]


def _triangular_solve_batch(size: int, args: Any, axes: Any, *, left_side: bool, **flags: bool) -> Any:
    (a, b), (a_axis, b_axis) = args, axes
    if a_axis is None:  # more columns (or rows) of one system
        rank = len(shape_of(b))
        b = moveaxis(b, b_axis, rank - 1 if left_side else rank - 2)
        *stack, m, n, k = shape_of(b)
        folded = reshape(b, (*stack, m, n * k) if left_side else (*stack, m * n, k))
        x, = triangular_solve_p.bind(a, folded, left_side=left_side, **flags)
        return (reshape(x, shape_of(b)),), (rank - 1 if left_side else rank - 2,)
    a, b = batch_in_front(size, a, a_axis), batch_in_front(size, b, b_axis)
    return triangular_solve_p.bind(a, b, left_side=left_side, **flags), (0,)


def _triangular_solve_cost(a: ArrayType, b: ArrayType, **params: Any) -> int:
    """A multiplication and an addition for each element of the triangle and each right hand side."""
    return b.size * a.shape[-1]


triangular_solve_p = linalg_op(
    "triangular_solve", (2, 2), _triangular_solve_results, reference.triangular_solve, takes=dtypes.is_inexact,
    jvp=_triangular_solve_jvp, transpose=_triangular_solve_transpose, batch=_triangular_solve_batch,
    cost=_triangular_solve_cost)


def triangular_solve(a: Any, b: Any, *, left_side: bool = False, lower: bool = False, transpose_a: bool = False,
                     conjugate_a: bool = False, unit_diagonal: bool = False) -> Any:
    """x of op(a) x = b if `left_side`, else of x op(a) = b, for triangular matrices a."""
    conjugate_a = conjugate_a and dtypes.is_complex(typeof(a).dtype)
    return triangular_solve_p.bind(a, b, left_side=left_side, lower=lower, transpose_a=transpose_a,
                                   conjugate_a=conjugate_a, unit_diagonal=unit_diagonal)[0]


# ---- tridiagonal_solve ----

def _tridiagonal_solve_results(dtype: Any, dl: Shape, d: Shape, du: Shape, b: Shape, **params: Any) -> Any:
    if not dl == d == du == b[:1]:
        raise ShapeError(f"tridiagonal_solve: the diagonals have sizes {dl[0]}, {d[0]} and {du[0]}, and the right hand "
                         f"side {b[0]} rows{at_line()}. All must be equal: dl[0] and du[-1] are there, and not read.")
    return [(b, dtype)]


def _shifted(x: Any, axis: int, step: int) -> Any:
    """x moved by one place along an axis, with a zero where nothing comes from."""
    config = [(0, 0, 0)] * len(shape_of(x))
    config[axis] = (step, -step, 0)
    return pad(x, scalar_like(x, 0.0), config) if shape_of(x)[axis] else x


def _tridiagonal_product(dl: Any, d: Any, du: Any, x: Any) -> Any:
    columns = shape_of(x)[-1]
    below, on, above = [mul(in_columns(each, columns), moved) for each, moved in (
        (dl, _shifted(x, -2, 1)), (d, x), (du, _shifted(x, -2, -1)))]
    return add(add(below, on), above)


def _tridiagonal_solve_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    diagonals, db = primals[:3], tangents[3]
    outs = tridiagonal_solve_p.bind(*primals, **params)
    if any(t is not zero for t in tangents[:3]):
        change = _tridiagonal_product(*instantiated(tangents[:3], diagonals), *outs)
        db = neg(change) if db is zero else sub(db, change)
    return outs, tridiagonal_solve_p.bind(*diagonals, db, **params)


def _tridiagonal_solve_transpose(cts: Any, dl: Any, d: Any, du: Any, b: Any, **params: Any) -> Any:
    below, above = _shifted(du, -1, 1), _shifted(dl, -1, -1)
    return None, None, None, tridiagonal_solve_p.bind(below, d, above, cts[0], **params)[0]


def _tridiagonal_solve_batch(size: int, args: Any, axes: Any, **params: Any) -> Any:
    if all(axis is None for axis in axes[:3]):  # more columns of one system
        b = moveaxis(args[3], axes[3], len(shape_of(args[3])) - 1)
        *stack, n, k, _ = shape_of(b)
        x, = tridiagonal_solve_p.bind(*args[:3], reshape(b, (*stack, n, k * size)), **params)
        return (reshape(x, shape_of(b)),), (len(stack) + 2,)
    moved = [batch_in_front(size, x, axis) for x, axis in zip(args, axes, strict=True)]
    return tridiagonal_solve_p.bind(*moved, **params), (0,)


def _tridiagonal_solve_cost(dl: ArrayType, d: ArrayType, du: ArrayType, b: ArrayType, **params: Any) -> int:
    """Elimination of one diagonal, then five operations for each element of the result."""
    return 3 * d.size + 5 * b.size


tridiagonal_solve_p = linalg_op(
    "tridiagonal_solve", (1, 1, 1, 2), _tridiagonal_solve_results, reference.tridiagonal_solve,
    jvp=_tridiagonal_solve_jvp, transpose=_tridiagonal_solve_transpose, batch=_tridiagonal_solve_batch,
    cost=_tridiagonal_solve_cost)


# ---- lu ----

def _lu_results(dtype: Any, x: Shape) -> Any:
    return [(x, dtype), ((min(x),), dtypes.int32), ((x[0],), dtypes.int32)]


def _lu_jvp(primals: Any, tangents: Any) -> Any:
    """dL = L low(Y) and dU = up(Y) U, with Y = L^-1 P dX U^-1; the smaller factor is completed by the identity."""
    factors, pivots, permutation = lu_p.bind(*primals)
    *stack, m, n = shape_of(factors)
    k, nothing, plain = min(m, n), scalar_like(factors, 0.0), [(0, 0, 0)] * len(stack)
    low = pad(lower(block(factors, slice(None), slice(k)), -1), nothing, [*plain, (0, 0, 0), (0, m - k, 0)])
    low = add(low, identity_like(low))
    up = pad(upper(block(factors, slice(k), slice(None))), nothing, [*plain, (0, n - k, 0), (0, 0, 0)])
    rest = block(identity_like(up), slice(k, None), slice(None))
    up = add(up, pad(rest, nothing, [*plain, (k, 0, 0), (0, 0, 0)]))
    y = triangular_solve(low, rows_at(tangents[0], permutation), left_side=True, lower=True, unit_diagonal=True)
    y = triangular_solve(up, y)
    change = add(product(low, lower(y, -1)), product(upper(y), up))
    return (factors, pivots, permutation), (change, zero, zero)


lu_p = linalg_op("lu", (2,), _lu_results, reference.lu, jvp=_lu_jvp, cost=matrix_cost(2 / 3))


def solve(a: Any, b: Any) -> Any:
    """x of a x = b, for stacks of square matrices a."""
    factors, _, permutation = lu_p.bind(a)
    x = triangular_solve(factors, rows_at(b, permutation), left_side=True, lower=True, unit_diagonal=True)
    return triangular_solve(factors, x, left_side=True)


def _permutation_results(dtype: Any, pivots: Shape, *, permutation_size: int) -> Any:
    if permutation_size < pivots[0]:
        raise ShapeError(f"lu_pivots_to_permutation: {pivots[0]} row swaps do not fit {permutation_size} rows"
                         f"{at_line()}. permutation_size is the number of rows of the matrix.")
    return [((permutation_size,), dtypes.int32)]


def _no_tangent(primals: Any, tangents: Any, **params: Any) -> Any:
    return lu_pivots_to_permutation_p.bind(*primals, **params), (zero,)


lu_pivots_to_permutation_p = linalg_op(
    "lu_pivots_to_permutation", (1,), _permutation_results, reference.lu_pivots_to_permutation,
    takes=dtypes.int32.__eq__, jvp=_no_tangent, cost=no_cost)


# ---- Cholesky factors ----

def _halved(x: Any) -> Any:
    """The lower triangle of x, its diagonal halved: y of x = y + y^H, if y is to be lower triangular."""
    return sub(lower(x), mul(identity_like(x), mul(x, scalar_like(x, 0.5))))


def _cholesky_results(dtype: Any, x: Shape) -> Any:
    square("cholesky", x)
    return [(x, dtype)]


def _cholesky_jvp(primals: Any, tangents: Any) -> Any:
    """dL = L half(L^-1 dX L^-H), for the Hermitian dX that the lower triangle stands for."""
    factor, = cholesky_p.bind(*primals)
    return (factor,), (_cholesky_tangent(factor, mirrored(tangents[0], True)),)


def _cholesky_tangent(factor: Any, change: Any) -> Any:
    right = triangular_solve(factor, change, lower=True, transpose_a=True, conjugate_a=True)
    return product(factor, _halved(triangular_solve(factor, right, left_side=True, lower=True)))


cholesky_p = linalg_op("cholesky", (2,), _cholesky_results, reference.cholesky, jvp=_cholesky_jvp,
                       cost=matrix_cost(1 / 3))


def _cholesky_update_results(dtype: Any, r: Shape, w: Shape) -> Any:
    if square("cholesky_update", r) != w[0]:
        raise ShapeError(f"cholesky_update: a factor of shape {r} cannot be updated by a vector of size {w[0]}"
                         f"{at_line()}. The sizes must be equal.")
    return [(r, dtype)]


def _cholesky_update_jvp(primals: Any, tangents: Any) -> Any:
    """The new factor L^H = R satisfies d(L L^H) = s + s^H, with s = dR_old^T R_old + dw w^T."""
    (r, w), (dr, dw), outs = primals, instantiated(tangents, primals), cholesky_update_p.bind(*primals)
    n = shape_of(w)[-1]
    s = add(product(flipped(upper(dr)), upper(r)), mul(in_columns(dw, n), flipped(in_columns(w, n))))
    return outs, (flipped(_cholesky_tangent(flipped(outs[0]), add(s, flipped(s)))),)


def _cholesky_update_cost(r: ArrayType, w: ArrayType) -> int:
    """A rotation of two rows for each row."""
    return 6 * r.size


cholesky_update_p = linalg_op("cholesky_update", (2, 1), _cholesky_update_results, reference.cholesky_update,
                              takes=dtypes.is_float, jvp=_cholesky_update_jvp, cost=_cholesky_update_cost)
