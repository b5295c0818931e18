"""Eigenvalues, singular values, and the forms on the way to them: eigh, eig, svd; schur, hessenberg, tridiagonal.

Derivatives are those of simple eigenvalues and distinct singular values; at equal ones they are infinite or
NaN.  Vectors are defined up to a phase, and differentiate as the ones that LAPACK returns, or, for eigh and
svd, with a tangent that does not turn them in their own direction.
"""

from __future__ import annotations

from typing import Any

from minijax.errors import MissingRuleError, ShapeError
from minijax.ir import dtypes
from minijax.ops import reference_linalg as reference
from minijax.ops.arithmetic import div, integer_pow, neg, sub
from minijax.ops.comparison import eq, select_n
from minijax.ops.conversion import complex, conj, convert_element_type, imag, real
from minijax.ops.elementwise import abs as magnitude
from minijax.ops.families import add, mul, reduce_sum, scalar_like, shape_of
from minijax.ops.matrices import (Shape, dagger, diagonal, flipped, imaginary_diagonal, in_columns, in_rows,
                                  inverse_gaps, linalg_op, matrix_cost, mirrored, product, scale_columns, square,
                                  with_diagonal)
from minijax.ops.reductions import argmax
from minijax.ops.solving import solve
from minijax.ops.structural import iota
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


def _real_part(x: Any) -> Any:
    return real(x) if dtypes.is_complex(typeof(x).dtype) else x


def _as(x: Any, like: Any) -> Any:
    """x at the dtype of another value."""
    return convert_element_type(x, typeof(like).dtype)


# ---- eigh ----

def _eigh_results(dtype: Any, x: Shape, **params: Any) -> Any:
    return [(x, dtype), ((square("eigh", x),), dtypes.real_dtype(dtype))]


def _eigh_jvp(primals: Any, tangents: Any, *, lower: bool, **params: Any) -> Any:
    """dw = diag(P) and dV = V (P o F), with P = V^H dX V and F[i, j] = 1 / (w[j] - w[i])."""
    v, w = eigh_p.bind(mirrored(primals[0], lower), lower=lower, **params)
    p = product(product(dagger(v), tangents[0]), v)
    dv = product(v, mul(p, _as(inverse_gaps(w), v)))
    return (v, w), (dv, diagonal(_real_part(p)))


eigh_p = linalg_op("eigh", (2,), _eigh_results, reference.eigh, jvp=_eigh_jvp, cost=matrix_cost(9))


# ---- eig ----

def _eig_results(dtype: Any, x: Shape, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
                 **params: Any) -> Any:
    n, dtype = square("eig", x), dtypes.complex_dtype(dtypes.real_dtype(dtype))
    return [((n,), dtype)] + [(x, dtype)] * (compute_left_eigenvectors + compute_right_eigenvectors)


def _eig_jvp(primals: Any, tangents: Any, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
             enable_eigvec_derivs: bool, implementation: Any) -> Any:
    """dw = diag(V^-1 dX V); left eigenvectors are the right ones of X^H."""
    left, right = compute_left_eigenvectors, compute_right_eigenvectors
    if (left or right) and not enable_eigvec_derivs:
        raise MissingRuleError(
            f"eig differentiates its eigenvectors only if asked{at_line()}: their derivative exists if all eigenvalues "
            "differ and no eigenvector has two largest elements. Call lax.linalg.eig with enable_eigvec_derivs=True; "
            "for eigenvalues alone, numpy.linalg.eigvals.")
    w, *vectors = eig_p.bind(*primals, compute_left_eigenvectors=left, compute_right_eigenvectors=True,
                             enable_eigvec_derivs=True, implementation=implementation)
    v, dx = vectors[-1], _as(tangents[0], w)
    if not left and not right:
        along = reduce_sum(mul(solve(v, dx), flipped(v)), (len(shape_of(v)) - 1,))
        return (w,), (along,)
    dw, dv = _eigenvectors_jvp(w, v, dx)
    changes = [_eigenvectors_jvp(conj(w), vectors[0], dagger(dx))[1]] * left + [dv] * right
    return (w, *vectors[:left + right]), (dw, *changes)


def _eigenvectors_jvp(w: Any, v: Any, dx: Any) -> Any:
    """dV = U + V c with U = V (P o F), P = V^-1 dX V; c keeps columns at norm 1 and their largest elements real."""
    p = product(solve(v, dx), v)
    u, axis = product(v, mul(p, inverse_gaps(w))), len(shape_of(v)) - 2
    places = argmax(magnitude(v), axis, dtypes.int32)
    largest = eq(iota(dtypes.int32, shape_of(v), axis), in_rows(places, shape_of(v)[-2]))

    def at_largest(x: Any) -> Any:
        return reduce_sum(select_n(largest, scalar_like(x, 0.0), x), (axis,))

    along = neg(reduce_sum(real(mul(conj(v), u)), (axis,)))
    turn = neg(div(at_largest(imag(u)), at_largest(real(v))))
    return diagonal(p), add(u, scale_columns(v, complex(along, turn)))


eig_p = linalg_op("eig", (2,), _eig_results, reference.eig, jvp=_eig_jvp, cost=matrix_cost(25))


# ---- svd ----

def _svd_results(dtype: Any, x: Shape, *, full_matrices: bool, compute_uv: bool, algorithm: Any) -> Any:
    (m, n), k = x, min(x)
    vectors = [((m, m if full_matrices else k), dtype), ((n if full_matrices else k, n), dtype)]
    return [((k,), dtypes.real_dtype(dtype))] + vectors * compute_uv


def _svd_jvp(primals: Any, tangents: Any, *, full_matrices: bool, compute_uv: bool, algorithm: Any) -> Any:
    (x,), (dx,) = primals, tangents
    if compute_uv and full_matrices and shape_of(x)[-2] != shape_of(x)[-1]:
        raise MissingRuleError(f"svd has no derivative for full_matrices=True of {typeof(x)}{at_line()}: the singular "
                               "vectors that complete the basis are arbitrary. Set full_matrices=False.")
    s, u, vh = svd_p.bind(x, full_matrices=False, compute_uv=True, algorithm=algorithm)
    p = product(product(dagger(u), dx), dagger(vh))
    ds = diagonal(_real_part(p))
    if not compute_uv:
        return (s,), (ds,)
    return (s, u, vh), (ds, *_singular_vectors_jvp(s, u, vh, dx, p))


def _singular_vectors_jvp(s: Any, u: Any, vh: Any, dx: Any, p: Any) -> tuple[Any, Any]:
    """dU = U (F o (P S + S P^H) + i Im diag(P) / S) and dV = V (F o (S P + P^H S)), F[i, j] = 1 / (s[j]^2 - s[i]^2);
    what P = U^H dX V does not see of dX adds to the longer of the two."""
    v, (m, n), k = dagger(vh), (shape_of(u)[-2], shape_of(vh)[-1]), shape_of(s)[-1]
    sums = with_diagonal(add(in_rows(s, k), in_columns(s, k)), 1.0)
    gaps, wide = _as(mul(inverse_gaps(s), integer_pow(sums, -1)), u), _as(s, u)
    right, left = mul(p, in_rows(wide, k)), mul(p, in_columns(wide, k))
    inner = mul(gaps, add(right, dagger(right)))
    if dtypes.is_complex(typeof(u).dtype):
        inner = add(inner, mul(imaginary_diagonal(p), in_rows(_inverse(wide), k)))
    du, dv = product(u, inner), product(v, mul(gaps, add(left, dagger(left))))
    if m > n:
        outside = sub(product(dx, v), product(u, p))
        du = add(du, div(outside, in_rows(wide, m)))
    if n > m:
        outside = sub(product(dagger(dx), u), product(v, dagger(p)))
        dv = add(dv, div(outside, in_rows(wide, n)))
    return du, dagger(dv)


def _inverse(x: Any) -> Any:
    """1 / x, and 0 at 0."""
    empty = eq(x, scalar_like(x, 0.0))
    return select_n(empty, integer_pow(select_n(empty, x, scalar_like(x, 1.0)), -1), scalar_like(x, 0.0))


svd_p = linalg_op("svd", (2,), _svd_results, reference.svd, jvp=_svd_jvp, cost=matrix_cost(14))


# ---- forms without derivatives ----

def _schur_results(dtype: Any, x: Shape, *, compute_schur_vectors: bool) -> Any:
    square("schur", x)
    return [(x, dtype)] * (1 + compute_schur_vectors)


def _hessenberg_results(dtype: Any, x: Shape) -> Any:
    return [(x, dtype), ((max(square("hessenberg", x) - 1, 0),), dtype)]


def _tridiagonal_results(dtype: Any, x: Shape, *, lower: bool) -> Any:
    n = square("tridiagonal", x)
    if not n:
        raise ShapeError(f"tridiagonal takes matrices of one row at least, got {x}{at_line()}.")
    real_dtype = dtypes.real_dtype(dtype)
    return [(x, dtype), ((n,), real_dtype), ((n - 1,), real_dtype), ((n - 1,), dtype)]


schur_p = linalg_op("schur", (2,), _schur_results, reference.schur, cost=matrix_cost(25))
hessenberg_p = linalg_op("hessenberg", (2,), _hessenberg_results, reference.hessenberg, cost=matrix_cost(10 / 3))
tridiagonal_p = linalg_op("tridiagonal", (2,), _tridiagonal_results, reference.tridiagonal, cost=matrix_cost(4 / 3))
