"""QR decompositions, and products of Householder reflectors: qr, geqrf, householder_product, ormqr."""

from __future__ import annotations

from typing import Any

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_linalg as reference
from minijax.ops.arithmetic import sub
from minijax.ops.families import add, shape_of
from minijax.ops.matrices import (Shape, block, dagger, flipped, identity_like, imaginary_diagonal, linalg_op, lower,
                                  matrix_cost, product, rows_at)
from minijax.ops.solving import solve, triangular_solve
from minijax.ops.structural import concatenate, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

EVERY = slice(None)


# ---- qr ----

def _qr_results(dtype: Any, x: Shape, *, pivoting: bool, full_matrices: bool, use_magma: Any) -> Any:
    m, n = x
    k = m if full_matrices else min(m, n)
    return [((m, k), dtype), ((k, n), dtype)] + [((n,), dtypes.int32)] * pivoting


def _qr_jvp(primals: Any, tangents: Any, *, pivoting: bool, full_matrices: bool, use_magma: Any) -> Any:
    """The derivative at the order of columns that pivoting chose."""
    (x,), (dx,) = primals, tangents
    q, r, *order = qr_p.bind(x, pivoting=pivoting, full_matrices=full_matrices, use_magma=use_magma)
    if order:
        dx = flipped(rows_at(flipped(dx), order[0]))
    m, n = shape_of(x)[-2:]
    if m < n:
        dq, dr = _wide_jvp(q, r, dx, m)
    elif full_matrices and m > n:
        dq, dr = _complete_jvp(q, r, dx, n)
    else:
        dq, dr = _thin_jvp(q, r, dx)
    return (q, r, *order), (dq, dr, *[zero for _ in order])


def _thin_jvp(q: Any, r: Any, dx: Any) -> tuple[Any, Any]:
    """For R square: dQ = Q W + (1 - Q Q^H) dX R^-1 and dR = (Y - W) R, with Y = Q^H dX R^-1 and W antihermitian.

    R stays triangular with a real change of its diagonal, so that W = low(Y) - low(Y)^H + i Im diag(Y).
    """
    change = triangular_solve(r, dx)
    y = product(dagger(q), change)
    below = lower(y, -1)
    turn = sub(below, dagger(below))
    if dtypes.is_complex(typeof(y).dtype):
        turn = add(turn, imaginary_diagonal(y))
    return add(product(q, sub(turn, y)), change), product(sub(y, turn), r)


def _wide_jvp(q: Any, r: Any, dx: Any, m: int) -> tuple[Any, Any]:
    """For X = [X1 X2] with X1 square, Q and R1 are those of X1, and R2 = Q^H X2."""
    first, rest = slice(m), slice(m, None)
    dq, dr1 = _thin_jvp(q, block(r, EVERY, first), block(dx, EVERY, first))
    x2 = product(q, block(r, EVERY, rest))
    dr2 = add(product(dagger(dq), x2), product(dagger(q), block(dx, EVERY, rest)))
    return dq, concatenate([dr1, dr2], len(shape_of(r)) - 1)


def _complete_jvp(q: Any, r: Any, dx: Any, n: int) -> tuple[Any, Any]:
    """For Q complete: of Q = [Q1 Q2], Q2 follows Q1 as the reflectors do that LAPACK makes (arXiv:2409.13374)."""
    first, rest = slice(n), slice(n, None)
    q1, q2 = block(q, EVERY, first), block(q, EVERY, rest)
    dq1, dr1 = _thin_jvp(q1, block(r, first, EVERY), dx)
    top, bottom = block(q1, first, EVERY), block(q1, rest, EVERY)
    z = dagger(solve(dagger(sub(top, identity_like(top))), dagger(bottom)))
    change = sub(block(dq1, rest, EVERY), product(z, block(dq1, first, EVERY)))
    dq2 = sub(product(dq1, dagger(z)), product(add(q1, product(q2, z)), dagger(change)))
    axis = len(shape_of(q)) - 2
    nothing = zeros_of(typeof(block(r, rest, EVERY)))
    return concatenate([dq1, dq2], axis + 1), concatenate([dr1, nothing], axis)


qr_p = linalg_op("qr", (2,), _qr_results, reference.qr, jvp=_qr_jvp, cost=matrix_cost(4))


# ---- reflectors: Q = H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H, v_i in column i below the diagonal ----

def _geqrf_results(dtype: Any, x: Shape) -> Any:
    return [(x, dtype), ((min(x),), dtype)]


def _householder_product_results(dtype: Any, a: Shape, taus: Shape) -> Any:
    if a[0] < a[1] or taus[0] > a[1]:
        raise ShapeError(f"householder_product: {taus[0]} reflectors in a matrix of shape {a} have no product"
                         f"{at_line()}. There must be at least as many rows as columns, and as columns as reflectors.")
    return [(a, dtype)]


def _ormqr_results(dtype: Any, a: Shape, taus: Shape, c: Shape, *, left: bool, transpose: bool) -> Any:
    if c[0 if left else 1] != a[0] or taus[0] > min(a):
        raise ShapeError(f"ormqr: {taus[0]} reflectors in a matrix of shape {a} cannot be applied to one of shape {c}"
                         f"{at_line()}. With left={left} it must have {a[0]} {'rows' if left else 'columns'}, and "
                         f"there can be {min(a)} reflectors at most.")
    return [(c, dtype)]


def _reflections_cost(a: ArrayType, taus: ArrayType, c: ArrayType | None = None, **params: Any) -> int:
    """Four operations for each reflector and each element."""
    return 4 * taus.shape[-1] * (c or a).size


geqrf_p = linalg_op("geqrf", (2,), _geqrf_results, reference.geqrf, cost=matrix_cost(2))
householder_product_p = linalg_op("householder_product", (2, 1), _householder_product_results,
                                  reference.householder_product, cost=_reflections_cost)
ormqr_p = linalg_op("ormqr", (2, 1, 2), _ormqr_results, reference.ormqr, cost=_reflections_cost)
