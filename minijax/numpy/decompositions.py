"""`numpy.linalg`: factors, eigenvalues and singular values of matrices, the last two axes of an operand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minijax.errors import MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.lax import linalg
from minijax.numpy.elementwise import absolute, sign
from minijax.numpy.operands import operand
from minijax.numpy.reductions import any, max, sum
from minijax.numpy.selection import take_along_axis
from minijax.ops import matrices
from minijax.ops.families import at_line
from minijax.ops.orthogonal import geqrf_p
from minijax.ops.promotion import promoted_inexact
from minijax.ops.sorting import sort
from minijax.ops.structural import iota, rev


class EigResult(NamedTuple):
    """Eigenvalues and right eigenvectors, as columns."""

    eigenvalues: Any
    eigenvectors: Any


class EighResult(NamedTuple):
    """Ascending eigenvalues and orthonormal eigenvectors, as columns."""

    eigenvalues: Any
    eigenvectors: Any


class QRResult(NamedTuple):
    """Q and R of A = Q R."""

    Q: Any
    R: Any


class SVDResult(NamedTuple):
    """U, S and Vh of A = U S Vh."""

    U: Any
    S: Any
    Vh: Any


def inexact(name: str, *operands: Any, square: bool = False) -> list[Any]:
    """Operands at a common floating-point dtype; raises `ShapeError` unless the first is a matrix, square if asked."""
    found = promoted_inexact(name, *[operand(name, x) for x in operands])
    shape = found[0].shape
    if len(shape) < 2 or square and shape[-1] != shape[-2]:
        raise ShapeError(f"{name} takes {'square ' if square else ''}matrices in the last two axes, got the shape "
                         f"{shape}{at_line()}.")
    return found


def cholesky(a: Any, *, upper: bool = False, symmetrize_input: bool = True) -> Any:
    """The triangular L of a = L L^H, for a Hermitian and positive definite, else NaN; L^H if `upper`.

    >>> cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    return _cholesky(*inexact("cholesky", a, square=True), upper=bool(upper), symmetrize=bool(symmetrize_input))


def _cholesky_of(a: Any, upper: bool, symmetrize: bool) -> Any:
    factor = linalg.cholesky(a, symmetrize_input=symmetrize)
    return matrices.dagger(factor) if upper else factor


_cholesky = fused(_cholesky_of, static_argnames=("upper", "symmetrize"))


def qr(a: Any, mode: str = "reduced") -> Any:
    """QR decomposition: `mode` 'reduced' or 'complete' gives (Q, R), 'r' R alone, 'raw' LAPACK's reflectors.

    >>> q, r = qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> np.abs(r[0, 0])
    Array(5., dtype=float32)
    """
    a, = inexact("qr", a)
    if mode not in ("reduced", "full", "complete", "r", "raw"):
        raise MinijaxValueError(f"qr: mode={mode!r} is not one of 'reduced', 'complete', 'r', 'raw'{at_line()}.")
    if mode == "raw":
        factors, taus = geqrf_p.bind(a)
        return QRResult(matrices.flipped(factors), taus)
    q, r = linalg.qr(a, full_matrices=mode == "complete")
    return r if mode == "r" else QRResult(q, r)


# ---- eigenvalues ----

def eig(a: Any) -> EigResult:
    """Eigenvalues and right eigenvectors of square matrices, complex.

    Eigenvectors have no derivative here: `lax.linalg.eig` has one, for those who ask.
    """
    return EigResult(*linalg.eig(*inexact("eig", a, square=True), compute_left_eigenvectors=False))


def eigvals(a: Any) -> Any:
    """Eigenvalues of square matrices, complex.

    >>> eigvals(np.array([[2.0, 1.0], [0.0, 3.0]]))
    Array([2.+0.j, 3.+0.j], dtype=complex64)
    """
    return linalg.eig(*inexact("eigvals", a, square=True), compute_left_eigenvectors=False,
                      compute_right_eigenvectors=False)[0]


def eigh(a: Any, UPLO: str | None = None, symmetrize_input: bool = True) -> EighResult:
    """Ascending eigenvalues, and eigenvectors as columns, of Hermitian matrices.

    `a` is (a + a^H) / 2, or what its triangle `UPLO`, 'L' or 'U', says if not `symmetrize_input`.

    >>> eigh(np.array([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    Array([1., 3.], dtype=float32)
    """
    if UPLO not in (None, "L", "U"):
        raise MinijaxValueError(f"eigh: UPLO={UPLO!r} is not 'L' or 'U'{at_line()}.")
    a, = inexact("eigh", a, square=True)
    v, w = _eigh(a, lower=UPLO != "U", symmetrize_input=bool(symmetrize_input))
    return EighResult(w, v)


_eigh = fused(linalg.eigh, static_argnames=("lower", "symmetrize_input"))


def eigvalsh(a: Any, UPLO: str | None = "L", *, symmetrize_input: bool = True) -> Any:
    """Ascending eigenvalues of Hermitian matrices, real."""
    return eigh(a, UPLO, symmetrize_input).eigenvalues


# ---- singular values ----

def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False,
        subset_by_index: tuple[int, int] | None = None) -> Any:
    """(U, S, Vh) of a = U S Vh, with descending singular values S; S alone without `compute_uv`.

    `hermitian` finds them from the eigenvalues of (a + a^H) / 2.

    >>> svd(np.array([[0.0, 3.0], [4.0, 0.0]])).S
    Array([4., 3.], dtype=float32)
    """
    a, = inexact("svd", a, square=bool(hermitian))
    if hermitian:
        return _hermitian_svd(a, compute_uv=bool(compute_uv))
    found = linalg.svd(a, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index)
    return SVDResult(*found) if compute_uv else found


def _hermitian_svd_of(a: Any, compute_uv: bool) -> Any:
    """Singular values are moduli of eigenvalues; their signs go to V."""
    v, w = linalg.eigh(a)
    axis = w.ndim - 1
    keys, order, signs = [rev(x, (axis,)) for x in sort([absolute(w), iota(np.dtype("int32"), w.shape, axis), sign(w)],
                                                        axis)]
    if not compute_uv:
        return keys
    u = take_along_axis(v, order[..., None, :], axis=-1)
    return SVDResult(u, keys, matrices.dagger(u * signs[..., None, :].astype(u.dtype)))


_hermitian_svd = fused(_hermitian_svd_of, static_argnames=("compute_uv",))


def svdvals(x: Any, /) -> Any:
    """Descending singular values."""
    return svd(x, compute_uv=False)


def matrix_rank(M: Any, rtol: Any = None, *, hermitian: bool = False, tol: Any = None) -> Any:
    """How many singular values are above `rtol`: by default the largest one times its rounding error.

    >>> matrix_rank(np.array([[1.0, 2.0], [2.0, 4.0]]))
    Array(1, dtype=int32)
    """
    if rtol is not None and tol is not None:
        raise MinijaxValueError(f"matrix_rank takes one of rtol and tol, which mean the same{at_line()}.")
    m, = promoted_inexact("matrix_rank", operand("matrix_rank", M))
    if m.ndim < 2:
        return any(m != 0).astype(np.int32)
    return _rank(m, tol if rtol is None else rtol, hermitian=bool(hermitian))


def _rank_of(m: Any, tolerance: Any, hermitian: bool) -> Any:
    s = svd(m, compute_uv=False, hermitian=hermitian)
    if tolerance is None:
        size = float(np.finfo(s.dtype).eps) * np.maximum(*m.shape[-2:])
        tolerance = max(s, -1, initial=0) * s.dtype.type(size)
    return sum(s > operand("matrix_rank", tolerance)[..., None], -1)


_rank = fused(_rank_of, static_argnames=("hermitian",))
