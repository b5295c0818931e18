"""`lax.linalg`: decompositions and solvers of matrices, with the signatures of `jax.lax.linalg`.

Matrices are the last two axes of an operand, stacks of them the axes before.  Operands are
float32, float64, complex64 or complex128; nothing is promoted.  Source of all meanings: JAX, and LAPACK below it.
"""

from __future__ import annotations

import enum
import operator
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.lax.polar import qdwh as qdwh
from minijax.ops import matrices, orthogonal, solving, spectral
from minijax.ops.arithmetic import div
from minijax.ops.families import add, at_line, mul, scalar_like
from minijax.ops.operands import operand
from minijax.ops.slicing import slice_
from minijax.ops.structural import expand_dims, squeeze

__all__ = ["EigImplementation", "EighImplementation", "SvdAlgorithm", "cholesky", "cholesky_update", "eig", "eigh",
           "hessenberg", "householder_product", "lu", "lu_pivots_to_permutation", "ormqr", "qdwh", "qr", "schur",
           "svd", "symmetric_product", "triangular_solve", "tridiagonal", "tridiagonal_solve"]


class EigImplementation(enum.Enum):
    """Which library finds eigenvalues of general matrices."""

    CUSOLVER = "cusolver"
    MAGMA = "magma"
    LAPACK = "lapack"


class EighImplementation(enum.Enum):
    """How eigenvalues of Hermitian matrices are found."""

    QR = "qr"
    JACOBI = "jacobi"
    QDWH = "qdwh"


class SvdAlgorithm(enum.Enum):
    """How singular values are found."""

    DEFAULT = "default"
    QR = "QR"
    JACOBI = "Jacobi"
    POLAR = "polar"
    DIVIDE_AND_CONQUER = "divide_and_conquer"


def _choice(name: str, argument: str, choices: type[enum.Enum], value: Any) -> str | None:
    """A member of an enumeration as a parameter of an op."""
    if value is None:
        return None
    if not isinstance(value, choices):
        known = ", ".join(f"{choices.__name__}.{each.name}" for each in choices)
        raise MinijaxValueError(f"{name}: {argument}={value!r} is not one of {known}{at_line()}.")
    return value.name.lower()


def _chosen(name: str, subset: Sequence[int] | None, size: int) -> slice:
    """A range of the indices of `size` values."""
    low, high = (0, size) if subset is None else map(operator.index, subset)
    if not 0 <= low <= high <= size:
        raise MinijaxValueError(f"{name}: subset_by_index={subset} is not a range within (0, {size}){at_line()}.")
    return slice(low, high)


def _symmetrized(x: Any) -> Any:
    """(x + x^H) / 2; what is not a stack of square matrices is left for the op to refuse."""
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        return x
    return div(add(x, matrices.dagger(x)), scalar_like(x, 2))


# ---- factors ----

def cholesky(x: Any, *, symmetrize_input: bool = True) -> Any:
    """L of x = L L^H, lower triangular, for Hermitian positive definite x; NaN where x is not.

    With `symmetrize_input` x is (x + x^H) / 2, else its upper triangle is not read, and has no part in derivatives.
    Raises `ShapeError` unless x is square, `DtypeError` for integers.

    >>> import numpy as np
    >>> cholesky(np.float32([[4, 2], [2, 5]]))
    Array([[2., 0.],
           [1., 2.]], dtype=float32)
    """
    x = operand("cholesky", x)
    return solving.cholesky_p.bind(_symmetrized(x) if symmetrize_input else x)[0]


def cholesky_update(r_matrix: Any, w_vector: Any) -> Any:
    """R' of R'^T R' = R^T R + w w^T, for an upper triangular R; of real matrices.

    >>> import numpy as np
    >>> cholesky_update(np.float32([[3]]), np.float32([4]))
    Array([[5.]], dtype=float32)
    """
    r, w = operand("cholesky_update", r_matrix), operand("cholesky_update", w_vector)
    return solving.cholesky_update_p.bind(r, w)[0]


def lu(x: Any) -> list[Any]:
    """[factors, pivots, permutation] of x[permutation] = L U.

    `factors` holds U, and below its diagonal L, whose diagonal is 1.  Row i was swapped with row pivots[i].

    >>> import numpy as np
    >>> lu(np.float32([[1, 2], [2, 2]]))[0]
    Array([[2. , 2. ],
           [0.5, 1. ]], dtype=float32)
    """
    return list(solving.lu_p.bind(operand("lu", x)))


def lu_pivots_to_permutation(pivots: Any, permutation_size: int) -> Any:
    """The order of `permutation_size` rows that swapping row i with row pivots[i], one after another, makes.

    >>> import numpy as np
    >>> lu_pivots_to_permutation(np.int32([2, 2, 2]), 3)
    Array([2, 0, 1], dtype=int32)
    """
    size = operator.index(permutation_size)
    x = operand("lu_pivots_to_permutation", pivots)
    return solving.lu_pivots_to_permutation_p.bind(x, permutation_size=size)[0]


def qr(x: Any, *, pivoting: bool = False, full_matrices: bool = True, use_magma: bool | None = None) -> tuple[Any, ...]:
    """(q, r) of x = q r with q unitary and r upper triangular; with `pivoting` (q, r, p) of x[:, p] = q r.

    For x of m rows, q has m columns with `full_matrices`, else as many as the smaller of m and n.
    `use_magma` matters on GPUs only.  The derivative with pivoting keeps the order of the columns.

    >>> import numpy as np
    >>> q, r = qr(np.ones((3, 2), np.float32), full_matrices=False)
    >>> q.shape, r.shape
    ((3, 2), (2, 2))
    """
    return tuple(orthogonal.qr_p.bind(operand("qr", x), pivoting=bool(pivoting), full_matrices=bool(full_matrices),
                                      use_magma=use_magma))


def householder_product(a: Any, taus: Any) -> Any:
    """The first columns of H_1 H_2 ...: H_i = 1 - taus[i] v v^H, v in column i of `a` below its diagonal, there 1.

    Raises `ShapeError` for more columns than rows, or more reflectors than columns.
    """
    a, taus = operand("householder_product", a), operand("householder_product", taus)
    return orthogonal.householder_product_p.bind(a, taus)[0]


def ormqr(a: Any, taus: Any, c: Any, *, left: bool = True, transpose: bool = False) -> Any:
    """Q c, or c Q if not `left`, or with Q^H if `transpose`, for Q the product of the reflectors in `a` and `taus`.

    >>> import numpy as np
    >>> ormqr(np.float32([[0], [0]]), np.float32([2]), np.eye(2, dtype=np.float32))
    Array([[-1.,  0.],
           [ 0.,  1.]], dtype=float32)
    """
    operands = [operand("ormqr", x) for x in (a, taus, c)]
    return orthogonal.ormqr_p.bind(*operands, left=bool(left), transpose=bool(transpose))[0]


def symmetric_product(a_matrix: Any, c_matrix: Any, *, alpha: float = 1.0, beta: float = 0.0,
                      symmetrize_output: bool = False) -> Any:
    """alpha a a^T + beta c, of real matrices; only the lower triangle is certain unless `symmetrize_output`.

    >>> import numpy as np
    >>> symmetric_product(np.float32([[1], [2]]), np.eye(2, dtype=np.float32), beta=1.0)
    Array([[2., 2.],
           [2., 5.]], dtype=float32)
    """
    a, c = operand("symmetric_product", a_matrix), operand("symmetric_product", c_matrix)
    if dtypes.is_complex(a.dtype):
        raise DtypeError(f"symmetric_product takes real matrices, got {a.type}{at_line()}. Multiply by the transpose.")
    if a.ndim < 2 or c.shape != (*a.shape[:-1], a.shape[-2]):
        raise ShapeError(f"symmetric_product: a a^T, for a of shape {a.shape}, and c of shape {c.shape} do not fit"
                         f"{at_line()}. For a of shape (..., m, n), c has shape (..., m, m).")
    scaled = mul(scalar_like(a, float(alpha)), matrices.product(a, matrices.flipped(a)))
    out = add(scaled, mul(scalar_like(c, float(beta)), c))
    return add(matrices.lower(out), matrices.flipped(matrices.lower(out, -1))) if symmetrize_output else out


# ---- solving ----

def triangular_solve(a: Any, b: Any, *, left_side: bool = False, lower: bool = False, transpose_a: bool = False,
                     conjugate_a: bool = False, unit_diagonal: bool = False) -> Any:
    """x of op(a) x = b if `left_side`, else of x op(a) = b, for a triangular matrix `a`.

    `op` transposes and conjugates as the flags say; `lower` names the triangle that is read, without the
    diagonal (which is 1) if `unit_diagonal`.  `b` may be a vector, or a stack of vectors.

    >>> import numpy as np
    >>> triangular_solve(np.float32([[2, 0], [1, 1]]), np.float32([4, 3]), left_side=True, lower=True)
    Array([2., 1.], dtype=float32)
    """
    a, b = operand("triangular_solve", a), operand("triangular_solve", b)
    single = b.ndim == a.ndim - 1
    axis = b.ndim if left_side else b.ndim - 1
    x = solving.triangular_solve(a, expand_dims(b, (axis,)) if single else b, left_side=bool(left_side),
                                 lower=bool(lower), transpose_a=bool(transpose_a), conjugate_a=bool(conjugate_a),
                                 unit_diagonal=bool(unit_diagonal))
    return squeeze(x, (axis,)) if single else x


def tridiagonal_solve(dl: Any, d: Any, du: Any, b: Any, *, perturb_singular: bool = False) -> Any:
    """x of T x = b, where row i of T has dl[i], d[i], du[i] before, on and after its diagonal.

    dl[0] and du[-1] are not read.  Singular systems give NaN, or with `perturb_singular` a large solution.

    >>> import numpy as np
    >>> one = np.ones(2, np.float32)
    >>> tridiagonal_solve(one, 2 * one, one, np.float32([[3], [3]]))
    Array([[1.],
           [1.]], dtype=float32)
    """
    operands = [operand("tridiagonal_solve", x) for x in (dl, d, du, b)]
    return solving.tridiagonal_solve_p.bind(*operands, perturb_singular=bool(perturb_singular))[0]


# ---- eigenvalues and singular values ----

def eigh(x: Any, *, lower: bool = True, symmetrize_input: bool = True, sort_eigenvalues: bool = True,
         subset_by_index: tuple[int, int] | None = None,
         implementation: EighImplementation | None = None) -> tuple[Any, Any]:
    """(v, w) of x v = v w: unit eigenvectors as columns of v and ascending eigenvalues of a Hermitian matrix.

    With `symmetrize_input` x is (x + x^H) / 2, else only its triangle that `lower` names is read.
    `subset_by_index=(i, j)` gives eigenvalues i to j - 1.  The derivative is infinite or NaN at equal eigenvalues.

    >>> import numpy as np
    >>> eigh(np.float32([[3, 0], [0, 1]]))[1]
    Array([1., 3.], dtype=float32)
    """
    x = operand("eigh", x)
    v, w = spectral.eigh_p.bind(_symmetrized(x) if symmetrize_input else x, lower=bool(lower),
                                sort_eigenvalues=bool(sort_eigenvalues),
                                algorithm=_choice("eigh", "implementation", EighImplementation, implementation))
    if subset_by_index is None:
        return v, w
    chosen = _chosen("eigh", subset_by_index, x.shape[-1])
    return matrices.block(v, slice(None), chosen), _entries(w, chosen)


def eig(x: Any, *, compute_left_eigenvectors: bool = True, compute_right_eigenvectors: bool = True,
        enable_eigvec_derivs: bool = False, implementation: EigImplementation | None = None,
        use_magma: bool | None = None) -> list[Any]:
    """[w, vl, vr] of any square matrix, complex: x vr = vr w and vl^H x = w vl^H; without the vectors not asked for.

    Derivatives of eigenvectors, which have norm 1 and a real largest element, exist where eigenvalues are
    distinct and no two elements of a vector are the largest: `enable_eigvec_derivs` says that this is so.
    Without it they raise `MissingRuleError`.

    >>> import numpy as np
    >>> eig(np.float32([[2, 1], [0, 3]]))[0]
    Array([2.+0.j, 3.+0.j], dtype=complex64)
    """
    if use_magma is not None:
        warnings.warn("eig: use_magma is deprecated, use implementation=EigImplementation.MAGMA or LAPACK.",
                      DeprecationWarning, stacklevel=2)
        implementation = EigImplementation.MAGMA if use_magma else EigImplementation.LAPACK
    return list(spectral.eig_p.bind(
        operand("eig", x), compute_left_eigenvectors=bool(compute_left_eigenvectors),
        compute_right_eigenvectors=bool(compute_right_eigenvectors), enable_eigvec_derivs=bool(enable_eigvec_derivs),
        implementation=_choice("eig", "implementation", EigImplementation, implementation)))


def svd(x: Any, *, full_matrices: bool = True, compute_uv: bool = True,
        subset_by_index: tuple[int, int] | None = None, algorithm: SvdAlgorithm | None = None) -> Any:
    """(u, s, vh) of x = u s vh: descending singular values between unitary matrices; s alone without `compute_uv`.

    With `full_matrices` u and vh are square.  `subset_by_index=(i, j)` gives singular values i to j - 1.
    Raises `MissingRuleError` for derivatives of full matrices of an x that is not square.

    >>> import numpy as np
    >>> svd(np.float32([[3, 0], [0, 4]]), compute_uv=False)
    Array([4., 3.], dtype=float32)
    """
    x = operand("svd", x)
    outs = spectral.svd_p.bind(x, full_matrices=bool(full_matrices), compute_uv=bool(compute_uv),
                               algorithm=_choice("svd", "algorithm", SvdAlgorithm, algorithm))
    if subset_by_index is None:
        return (outs[1], outs[0], outs[2]) if compute_uv else outs[0]
    k = min(x.shape[-2:])
    chosen = _chosen("svd", subset_by_index, k)
    if full_matrices and chosen != slice(0, k):
        raise ShapeError(f"svd: full_matrices=True asks for all singular vectors, subset_by_index={subset_by_index} "
                         f"for some{at_line()}. Set full_matrices=False.")
    s = _entries(outs[0], chosen)
    if not compute_uv or full_matrices:
        return (outs[1], s, outs[2]) if compute_uv else s
    return matrices.block(outs[1], slice(None), chosen), s, matrices.block(outs[2], chosen, slice(None))


def _entries(v: Any, chosen: slice) -> Any:
    """Some entries of vectors."""
    start = (0,) * (v.ndim - 1)
    return slice_(v, (*start, chosen.start), (*v.shape[:-1], chosen.stop))


def schur(x: Any, *, compute_schur_vectors: bool = True, sort_eig_vals: bool = False,
          select_callable: Callable[..., Any] | None = None) -> list[Any]:
    """[t, q] of x = q t q^H with q unitary and t upper triangular, but for 2 x 2 blocks if x is real; or [t] alone.

    Raises `MinijaxValueError` if asked to order eigenvalues.  It has no derivative.
    """
    if sort_eig_vals or select_callable is not None:
        raise MinijaxValueError(f"schur: eigenvalues cannot be put in an order{at_line()}. "
                                "Leave sort_eig_vals and select_callable out.")
    return list(spectral.schur_p.bind(operand("schur", x), compute_schur_vectors=bool(compute_schur_vectors)))


def hessenberg(a: Any) -> list[Any]:
    """[h, taus]: the form of a square matrix with zeros below its first subdiagonal, similar to it.

    Below that subdiagonal h holds the reflectors, whose factors are `taus`.  It has no derivative.
    """
    return list(spectral.hessenberg_p.bind(operand("hessenberg", a)))


def tridiagonal(a: Any, *, lower: bool = True) -> list[Any]:
    """[a, d, e, taus]: the tridiagonal form of a Hermitian matrix, with the reflectors that lead to it.

    d is its diagonal, e the one beside it, on the side that `lower` names, where alone `a` is read.
    It has no derivative.
    """
    return list(spectral.tridiagonal_p.bind(operand("tridiagonal", a), lower=bool(lower)))
