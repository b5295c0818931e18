"""The NumPy meaning of linear algebra, one matrix at a time, by SciPy's LAPACK: the routines that XLA calls on CPUs.

Each function takes arrays of one example and returns a tuple.  Where LAPACK gives up,
the results are NaN.  `over_stack` runs one over the leading axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy  # its submodules load when they are first used

from minijax.ir import dtypes
from minijax.ops.reference import quiet, wide

Arrays = tuple[np.ndarray, ...]
_complex_names = {"orgqr": "ungqr", "syevd": "heevd", "sytrd": "hetrd"}


@quiet
def over_stack(function: Callable[..., Arrays], ranks: Sequence[int], arrays: Sequence[np.ndarray],
               types: Sequence[Any], params: dict[str, Any]) -> list[np.ndarray]:
    """Results of `types`: the function's for each example of the axes before the last `ranks`."""
    outs = [np.zeros(t.shape, t.dtype) for t in types]
    for index in np.ndindex(*arrays[0].shape[:arrays[0].ndim - ranks[0]]):
        results = function(*[x[index].astype(wide(x.dtype)) for x in arrays], **params)
        for out, result in zip(outs, results, strict=True):
            out[index] = result
    return outs


def _lapack(name: str, *arrays: Any, **options: Any) -> Arrays:
    """The results of a LAPACK routine, without its workspace; NaN if it fails."""
    dtype = next(x.dtype for x in arrays if isinstance(x, np.ndarray))
    name = _complex_names.get(name, name) if dtypes.is_complex(dtype) else name
    *outs, info = getattr(scipy.linalg.lapack, "sdcz"["fdFD".index(dtype.char)] + name)(*arrays, **options)
    return tuple([x if info == 0 else np.full(np.shape(x), np.nan) for x in outs])


# ---- solving ----

def triangular_solve(a: np.ndarray, b: np.ndarray, *, left_side: bool, lower: bool, transpose_a: bool,
                     conjugate_a: bool, unit_diagonal: bool) -> Arrays:
    """x of op(a) x = b, or of x op(a) = b."""
    solve = getattr(scipy.linalg.blas, "sdcz"["fdFD".index(a.dtype.char)] + "trsm")
    a = a.conj() if conjugate_a else a
    return (solve(1.0, a, b, side=not left_side, lower=lower, trans_a=transpose_a, diag=unit_diagonal),)


def lu(x: np.ndarray) -> Arrays:
    """L and U in one matrix, the row swaps, and the permutation that they make."""
    if not x.size:
        return x, np.zeros(0), np.arange(x.shape[0])
    factors, pivots, _ = getattr(scipy.linalg.lapack, "sdcz"["fdFD".index(x.dtype.char)] + "getrf")(x)
    return factors, pivots, *lu_pivots_to_permutation(pivots, permutation_size=x.shape[0])


def lu_pivots_to_permutation(pivots: np.ndarray, *, permutation_size: int) -> Arrays:
    """The order of rows after swapping row i with row pivots[i], one after another."""
    permutation = np.arange(permutation_size)
    for i, j in enumerate(pivots):
        permutation[[i, j]] = permutation[[j, i]]
    return (permutation,)


def tridiagonal_solve(dl: np.ndarray, d: np.ndarray, du: np.ndarray, b: np.ndarray, *,
                      perturb_singular: bool) -> Arrays:
    """x of T x = b, by the LU decomposition of T; pivots near zero are moved away from it if asked."""
    matrix = np.diag(d) + np.diag(dl[1:], -1) + np.diag(du[:-1], 1)
    factors, _, permutation = lu(matrix)
    if perturb_singular and d.size:
        limits = np.finfo(d.dtype)
        least = max(limits.eps * np.abs(np.triu(factors)).max(), limits.tiny)
        pivots = factors.diagonal()
        np.fill_diagonal(factors, np.where(np.abs(pivots) < least, np.copysign(least, pivots.real), pivots))
    elif not factors.diagonal().all():
        return (np.full_like(b, np.nan),)
    flags = {"left_side": True, "transpose_a": False, "conjugate_a": False}
    x, = triangular_solve(factors, b[permutation], lower=True, unit_diagonal=True, **flags)
    return triangular_solve(factors, x, lower=False, unit_diagonal=False, **flags)


def cholesky(x: np.ndarray) -> Arrays:
    """L of x = L L^H, from the lower triangle of x."""
    factor, = _lapack("potrf", x, lower=True)
    return (np.tril(factor),)


def cholesky_update(r: np.ndarray, w: np.ndarray) -> Arrays:
    """The upper triangular factor of r^T r + w w^T, by one rotation for each row."""
    r = r.copy()
    for k in range(len(w)):
        length = np.hypot(r[k, k], w[k])
        c, s = (r[k, k] / length, -w[k] / length) if w[k] else (1, 0)
        r[k], w = c * r[k] - s * w, c * w + s * r[k]
    return (r,)


# ---- orthogonal decompositions ----

def geqrf(x: np.ndarray) -> Arrays:
    """R in the upper triangle, the reflectors below it, and their factors."""
    return _lapack("geqrf", x)[:2] if x.size else (x, np.zeros(0))


def qr(x: np.ndarray, *, pivoting: bool, full_matrices: bool, use_magma: bool | None) -> Arrays:
    """Q and R, and the order of columns if pivoting."""
    m, n = x.shape
    k = m if full_matrices else min(m, n)
    if not x.size:
        return np.eye(m, k), np.zeros((k, n)), *[np.zeros(n)] * pivoting
    factors, *order, taus = _lapack("geqp3" if pivoting else "geqrf", x)[:-1]
    reflectors = np.zeros((m, k), x.dtype)
    reflectors[:, :min(m, n)] = factors[:, :min(m, n)]
    q = _lapack("orgqr", reflectors, taus)[0]
    return q, np.triu(factors)[:k], *[p - 1 for p in order]


def ormqr(a: np.ndarray, taus: np.ndarray, c: np.ndarray, *, left: bool, transpose: bool) -> Arrays:
    """Q c or c Q, or with Q^H, for the Q of reflectors: Q = H_1 ... H_k, H_i = I - tau_i v_i v_i^H."""
    if not left:
        turned, = ormqr(a, taus, c.conj().T, left=True, transpose=not transpose)
        return (turned.conj().T,)
    for i in range(len(taus)) if transpose else reversed(range(len(taus))):
        v = np.concatenate([np.zeros(i, a.dtype), np.ones(1, a.dtype), a[i + 1:, i]])
        c = c - (taus[i].conj() if transpose else taus[i]) * np.outer(v, v.conj() @ c)
    return (c,)


def householder_product(a: np.ndarray, taus: np.ndarray) -> Arrays:
    """The first columns of the product of reflectors."""
    return ormqr(a, taus, np.eye(*a.shape, dtype=a.dtype), left=True, transpose=False)


# ---- spectral decompositions ----

def eigh(x: np.ndarray, *, lower: bool, sort_eigenvalues: bool, algorithm: Any) -> Arrays:
    """Eigenvectors and ascending eigenvalues of a Hermitian matrix, from one of its triangles."""
    w, v = _lapack("syevd", x, lower=lower)
    return v, w


def eig(x: np.ndarray, *, compute_left_eigenvectors: bool, compute_right_eigenvectors: bool,
        enable_eigvec_derivs: bool, implementation: Any) -> Arrays:
    """Eigenvalues, then left and right eigenvectors as asked."""
    if not x.size:
        return (np.zeros(0), *[x] * (compute_left_eigenvectors + compute_right_eigenvectors))
    wanted = {"compute_vl": compute_left_eigenvectors, "compute_vr": compute_right_eigenvectors}
    *w, left, right = _lapack("geev", x, **wanted)
    if len(w) == 2:
        left, right = _from_pairs(w[1], left), _from_pairs(w[1], right)
        w = [w[0] + 1j * w[1]]
    return w[0], *[left] * compute_left_eigenvectors, *[right] * compute_right_eigenvectors


def _from_pairs(imaginary: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Eigenvectors of a real matrix: a conjugate pair is stored as real and imaginary parts of the first."""
    first = imaginary > 0
    out = v.astype(np.result_type(v, np.complex64))
    if v.shape == (len(first), len(first)):
        pairs = v[:, first] + 1j * v[:, np.roll(first, 1)]
        out[:, first], out[:, np.roll(first, 1)] = pairs, pairs.conj()
    return out


def svd(x: np.ndarray, *, full_matrices: bool, compute_uv: bool, algorithm: Any) -> Arrays:
    """Singular values, then U and V^H if asked."""
    (m, n), k = x.shape, min(x.shape)
    if not x.size:
        u, s, vh = np.eye(m, m if full_matrices else k), np.zeros(0), np.eye(n if full_matrices else k, n)
    else:
        u, s, vh = _lapack("gesvd" if algorithm == "QR" else "gesdd", x, full_matrices=full_matrices)
    return (s, u, vh) if compute_uv else (s,)


def schur(x: np.ndarray, *, compute_schur_vectors: bool) -> Arrays:
    """The (quasi-)triangular form, then the Schur vectors if asked."""
    form, *_, vectors, _ = _lapack("gees", lambda *w: 0, x, compute_v=compute_schur_vectors) if x.size else (x, x, 0)
    return (form, vectors) if compute_schur_vectors else (form,)


def hessenberg(x: np.ndarray) -> Arrays:
    """The Hessenberg form with its reflectors below, and their factors."""
    return _lapack("gehrd", x) if x.size else (x, np.zeros(0))


def tridiagonal(x: np.ndarray, *, lower: bool) -> Arrays:
    """The tridiagonal form with its reflectors, its diagonal and off-diagonal, the reflectors' factors."""
    return _lapack("sytrd", x, lower=lower)
