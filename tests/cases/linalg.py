"""Cases of linear algebra.  SciPy and XLA call the same LAPACK on CPUs, so that vectors agree in their signs too."""

import jax.numpy as jnp
import numpy as np
from jax.lax import linalg

from minijax.ops import orthogonal, solving, spectral
from tests.cases import array, cases

DTYPES = ("float32", "complex64")


def matrices(*shape, dtypes=DTYPES, seed=0):
    """One stack of matrices in each dtype, well away from singular ones."""
    def one(dtype):
        x = array(shape, dtype, seed=seed)
        return (x + 3 * np.eye(*shape[-2:])).astype(dtype)

    return [(one(dtype),) for dtype in dtypes]


def hermitian(*shape, dtypes=DTYPES):
    """Positive definite matrices with distinct eigenvalues."""
    def one(x):
        half = x / 4
        return (half @ np.swapaxes(half.conj(), -1, -2) + np.diag(np.arange(1.0, shape[-1] + 1))).astype(x.dtype)

    return [(one(x),) for x, in matrices(*shape, dtypes=dtypes)]


def paired(first, *shape):
    """Each of the arguments with an array of its dtype and another shape."""
    return [(*args, array(shape, args[0].dtype.name, seed=1)) for args in first]


def empty(*shape):
    """An array without elements."""
    return (np.zeros(shape, np.float32),)


def flags(**on):
    """All flags of triangular_solve, off but for those given."""
    return {**dict.fromkeys(("left_side", "lower", "transpose_a", "conjugate_a", "unit_diagonal"), False), **on}


def diagonals(n, columns, dtype="float32"):
    """Diagonals of a tridiagonal matrix and a right hand side."""
    low, up = array((n,), dtype, seed=1), array((n,), dtype, seed=2)
    return low, (array((n,), dtype) + 5).astype(dtype), up, array((n, columns), dtype, seed=3)


def cholesky(x):
    """JAX's, of the lower triangle: JAX 0.10 differentiates as if the other triangle were read too."""
    low = jnp.tril(jnp.asarray(x), -1)
    return linalg.cholesky(low + low.mT.conj() + jnp.diag(jnp.diag(x).real), symmetrize_input=False)


def eigh(x, algorithm, **params):
    """JAX's eigh without symmetrizing."""
    return linalg.eigh(x, symmetrize_input=False, **params)


def eig(x, implementation, **params):
    """JAX's eig."""
    return linalg.eig(x, **params)


def svd(x, algorithm, compute_uv, **params):
    """JAX's svd with the results in the order of its op."""
    outs = linalg.svd(x, compute_uv=compute_uv, **params)
    return (outs[1], outs[0], outs[2]) if compute_uv else outs


def geqrf(x):
    """JAX's function has the transpose of it."""
    factors, taus = jnp.linalg.qr(x, mode="raw")
    return factors.mT, taus


def updated(r, w):
    """What cholesky_update computes, as JAX can differentiate it."""
    r = jnp.asarray(r)
    return linalg.cholesky(r.mT @ r + w[..., :, None] * w[..., None, :]).mT


LOOSE = {"rtol": 3e-4}
EIGH = dict(sort_eigenvalues=True, algorithm=None, smooth=False, **LOOSE)
SVD = dict(full_matrices=False, algorithm=None, **LOOSE)
NO_VECTORS = dict(compute_left_eigenvectors=False, compute_right_eigenvectors=False, enable_eigvec_derivs=True,
                  implementation=None, **LOOSE)
VECTORS = {**NO_VECTORS, "compute_left_eigenvectors": True, "compute_right_eigenvectors": True}
QR = dict(use_magma=None, **LOOSE)
FIXED = dict(wrt=())  # where JAX has no derivative, or there is nothing to differentiate
SQUARE, TALL, WIDE = matrices(3, 3), matrices(4, 3), matrices(3, 4)
REAL, COMPLEX, STACK = SQUARE[:1], SQUARE[1:], matrices(2, 3, 3, dtypes=("float32",))
REFLECTORS = [(x, np.asarray([1.2, 0.7], x.dtype)) for x in (TALL[0][0], TALL[1][0])]

SOLVING = [
    *cases(solving.triangular_solve_p, linalg.triangular_solve, *paired(REAL, 3, 2),
           **flags(left_side=True, lower=True)),
    *cases(solving.triangular_solve_p, linalg.triangular_solve, *paired(STACK, 2, 4, 3), **flags(transpose_a=True)),
    *cases(solving.triangular_solve_p, linalg.triangular_solve, *paired(COMPLEX, 2, 3),
           **flags(conjugate_a=True, transpose_a=True)),
    *cases(solving.triangular_solve_p, linalg.triangular_solve, *paired(COMPLEX, 2, 3), wrt=(0,),
           **flags(conjugate_a=True, lower=True, unit_diagonal=True)),
    *cases(solving.triangular_solve_p, linalg.triangular_solve, empty(0, 0) + empty(0, 2),
           (np.eye(2, dtype=np.float32), *empty(2, 0)), **flags(left_side=True), **FIXED),
    *cases(solving.tridiagonal_solve_p, linalg.tridiagonal_solve, diagonals(4, 2), perturb_singular=False),
    *cases(solving.tridiagonal_solve_p, linalg.tridiagonal_solve, diagonals(1, 2), diagonals(2, 3, "complex64"),
           perturb_singular=False, wrt=(0,)),
    *cases(solving.tridiagonal_solve_p, linalg.tridiagonal_solve, (*empty(0) * 3, *empty(0, 2)),
           perturb_singular=False, **FIXED),
    *cases(solving.tridiagonal_solve_p, linalg.tridiagonal_solve, diagonals(4, 2), perturb_singular=True, **FIXED),
    *cases(solving.lu_p, linalg.lu, TALL[1], WIDE[0]),
    *cases(solving.lu_p, linalg.lu, *STACK, smooth=False),
    *cases(solving.lu_p, linalg.lu, *SQUARE, empty(3, 0), empty(0, 0), empty(0, 2, 2), **FIXED),
    *cases(solving.lu_pivots_to_permutation_p, linalg.lu_pivots_to_permutation, (np.int32([2, 2, 3]),),
           (np.int32([[0, 1], [1, 1]]),), permutation_size=4),
    *cases(solving.cholesky_p, cholesky, *hermitian(3, 3), same_hlo=False),
    *cases(solving.cholesky_p, lambda x: linalg.cholesky(x, symmetrize_input=False),
           *hermitian(2, 2, 2, dtypes=("float32",)), (-np.eye(2, dtype=np.float32),), empty(0, 0), **FIXED),
    *cases(solving.cholesky_update_p, updated, (np.triu(REAL[0][0]), array((3,))), empty(0, 0) + empty(0),
           (np.stack([np.eye(2, dtype=np.float32)] * 2), np.float32([[0, 1], [2, 0]])), same_hlo=False, **FIXED),
]

ORTHOGONAL = [
    *cases(orthogonal.qr_p, linalg.qr, WIDE[1], pivoting=False, full_matrices=False, **QR),
    *cases(orthogonal.qr_p, linalg.qr, *TALL, pivoting=False, full_matrices=True, **QR),
    *cases(orthogonal.qr_p, linalg.qr, TALL[1], pivoting=True, full_matrices=False, smooth=False, **QR),
    *cases(orthogonal.qr_p, linalg.qr, *SQUARE, pivoting=False, full_matrices=False, **QR, **FIXED),
    *[case for flag in (True, False) for case in cases(orthogonal.qr_p, linalg.qr, *STACK, empty(3, 0), empty(0, 2),
                                                       pivoting=True, full_matrices=flag, **QR, **FIXED)],
    *cases(orthogonal.geqrf_p, geqrf, *TALL, *WIDE, empty(3, 0), **FIXED),
    *cases(orthogonal.householder_product_p, linalg.householder_product, *REFLECTORS,
           (np.ones((3, 2), np.float32), *empty(0)), empty(3, 0) + empty(0), **FIXED),
    *[case for left, transpose in ((True, False), (True, True), (False, True)) for case in cases(
        orthogonal.ormqr_p, linalg.ormqr, *[(a, t, array((4, 4), a.dtype.name, seed=2)) for a, t in REFLECTORS],
        left=left, transpose=transpose, **FIXED)],
]

SPECTRAL = [
    *cases(spectral.eigh_p, eigh, *hermitian(3, 3), lower=True, **EIGH),
    *cases(spectral.eigh_p, eigh, *hermitian(2, 3, 3, dtypes=("complex64",)), empty(0, 0), lower=False, **EIGH,
           **FIXED),
    *cases(spectral.eig_p, eig, *COMPLEX, **NO_VECTORS),
    *cases(spectral.eig_p, eig, *REAL, *STACK, empty(0, 0), **NO_VECTORS, **FIXED),
    *cases(spectral.eig_p, eig, *SQUARE, **VECTORS),
    *cases(spectral.svd_p, svd, TALL[0], WIDE[0], compute_uv=True, **SVD),
    *cases(spectral.svd_p, svd, TALL[1], WIDE[1], compute_uv=True, smooth=False, **SVD),  # phases are free
    *cases(spectral.svd_p, svd, TALL[1], compute_uv=False, **SVD),
    *cases(spectral.svd_p, svd, *SQUARE, compute_uv=True, **SVD, **FIXED),
    *[case for flag in (True, False) for case in cases(spectral.svd_p, svd, *STACK, *TALL, *WIDE, empty(3, 0),
                                                       compute_uv=True, **{**SVD, "full_matrices": flag}, **FIXED)],
    *cases(spectral.schur_p, linalg.schur, *SQUARE, empty(0, 0), compute_schur_vectors=True, **FIXED),
    *cases(spectral.schur_p, linalg.schur, *COMPLEX, compute_schur_vectors=False, **FIXED),
    *cases(spectral.hessenberg_p, linalg.hessenberg, *SQUARE, empty(1, 1), **FIXED),
    *cases(spectral.tridiagonal_p, linalg.tridiagonal, *hermitian(4, 4), lower=True, **FIXED),
    *cases(spectral.tridiagonal_p, linalg.tridiagonal, *hermitian(4, 4, dtypes=("complex64",)), lower=False, **FIXED),
]

CASES = [*SOLVING, *ORTHOGONAL, *SPECTRAL]
