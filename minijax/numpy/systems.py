"""`numpy.linalg`: systems of equations, inverses, determinants, powers and chains of products."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.custom_rules import custom_jvp
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.lax.solves import custom_linear_solve
from minijax.numpy.arrange import diagonal, trace
from minijax.numpy.creation import zeros, zeros_like
from minijax.numpy.decompositions import inexact, svd
from minijax.numpy.einstein import einsum
from minijax.numpy.elementwise import absolute, log, real, sign
from minijax.numpy.linear import cross, matmul
from minijax.numpy.operands import operand
from minijax.numpy.reductions import all, count_nonzero, prod, sum
from minijax.numpy.selection import where
from minijax.numpy.shaping import broadcast_to, moveaxis
from minijax.ops.conversion import stop_gradient
from minijax.ops.families import at_line
from minijax.ops.matrices import dagger, identity_like, product, rows_at
from minijax.ops.orthogonal import geqrf_p
from minijax.ops.promotion import broadcast_shapes
from minijax.ops.solving import lu_p, triangular_solve
from minijax.ops.sorting import sort
from minijax.ops.structural import iota


class SlogdetResult(NamedTuple):
    """Sign (or phase) of a determinant, and the logarithm of its modulus."""

    sign: Any
    logabsdet: Any


# ---- systems of equations ----

def solve(a: Any, b: Any) -> Any:
    """x of a x = b, by LU decomposition; `b` is a vector, or matrices whose stacks broadcast with those of `a`.

    Derivatives follow from the equation, and use the same factors.
    Raises `ShapeError` unless `a` is square and `b` has as many rows.

    >>> solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 8.0]))
    Array([1., 2.], dtype=float32)
    """
    a, b = inexact("solve", a, b, square=True)
    m = a.shape[-1]
    if not b.ndim or b.shape[-1 if b.ndim == 1 else -2] != m:
        hint = " A vector in a stack is a column: solve(a, b[..., None])[..., 0]." if b.shape[-1:] == (m,) else ""
        raise ShapeError(f"solve: the right hand side of shape {b.shape} does not have the {m} rows of the matrices of "
                         f"shape {a.shape}{at_line()}.{hint}")
    return _solve(a, b[:, None])[..., 0] if b.ndim == 1 else _solve(a, b)


def _solve_of(a: Any, b: Any) -> Any:
    if a.ndim == 2 and b.ndim > 2:  # one matrix, more columns
        columns = moveaxis(b, -2, 0)
        x = _solve_of(a, columns.reshape(len(a), math.prod(columns.shape[1:])))
        return moveaxis(x.reshape(columns.shape), 0, -2)
    stack = broadcast_shapes("solve", [a.shape[:-2], b.shape[:-2]])
    a, b = broadcast_to(a, (*stack, *a.shape[-2:])), broadcast_to(b, (*stack, *b.shape[-2:]))
    factors, _, permutation = lu_p.bind(stop_gradient(a))

    def solver(_: Any, b: Any) -> Any:
        x = triangular_solve(factors, rows_at(b, permutation), left_side=True, lower=True, unit_diagonal=True)
        return triangular_solve(factors, x, left_side=True)

    def transposed(_: Any, b: Any) -> Any:
        x = triangular_solve(factors, b, left_side=True, transpose_a=True)
        x = triangular_solve(factors, x, left_side=True, lower=True, transpose_a=True, unit_diagonal=True)
        _, inverse = sort([permutation, iota(dtypes.int32, permutation.shape, permutation.ndim - 1)],
                          permutation.ndim - 1)
        return rows_at(x, inverse)

    return custom_linear_solve(lambda x: product(a, x), b, solver, transposed)


_solve = fused(_solve_of)


def inv(a: Any) -> Any:
    """The inverse of square matrices; infinite or NaN for singular ones.

    >>> inv(np.array([[2.0, 0.0], [0.0, 4.0]]))
    Array([[0.5 , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """
    a, = inexact("inv", a, square=True)
    return _solve(a, identity_like(a))


def pinv(a: Any, rtol: Any = None, hermitian: bool = False, *, rcond: Any = None) -> Any:
    """The pseudoinverse; singular values up to `rtol` times the largest count as zero.

    The derivative is that at a fixed rank (Golub and Pereyra).

    >>> pinv(np.array([[2.0], [0.0]]))
    Array([[0.5, 0. ]], dtype=float32)
    """
    if rtol is not None and rcond is not None:
        raise MinijaxValueError(f"pinv takes one of rtol and rcond, which mean the same{at_line()}.")
    a, = inexact("pinv", a, square=bool(hermitian))
    rtol = rcond if rtol is None else rtol
    if rtol is None:
        rtol = 10.0 * np.maximum(*a.shape[-2:]) * float(np.finfo(a.dtype).eps)
    return _pinv(bool(hermitian), a, operand("pinv", rtol))


@functools.partial(custom_jvp, nondiff_argnums=(0,))
def _pinv(hermitian: bool, a: Any, rtol: Any) -> Any:
    return _pinv_by_svd(a, rtol, hermitian=hermitian)


def _pinv_by_svd_of(a: Any, rtol: Any, hermitian: bool) -> Any:
    if 0 in a.shape[-2:]:
        return zeros((*a.shape[:-2], a.shape[-1], a.shape[-2]), a.dtype)
    u, s, vh = svd(a, full_matrices=False, hermitian=hermitian)
    s = where(s > rtol[..., None].astype(s.dtype) * s[..., :1], s, math.inf)
    return product(dagger(vh), dagger(u) / s[..., None].astype(u.dtype))


_pinv_by_svd = fused(_pinv_by_svd_of, static_argnames=("hermitian",))


@_pinv.defjvp
def _pinv_jvp(hermitian: bool, primals: Any, tangents: Any) -> Any:
    """dP = -P dA P + P P^H dA^H (1 - A P) + (1 - P A) dA^H P^H P."""
    (a, rtol), (da, _) = primals, tangents
    p = _pinv(hermitian, a, rtol)
    if hermitian:
        a, da = (a + dagger(a)) / 2, (da + dagger(da)) / 2
    left, right = product(product(p, dagger(p)), dagger(da)), product(dagger(da), product(dagger(p), p))
    return p, (left - product(product(left, a), p) + right - product(p, product(a, right))
               - product(product(p, da), p))


def lstsq(a: Any, b: Any, rcond: Any = None, *, numpy_resid: bool = False) -> tuple[Any, Any, Any, Any]:
    """(x, residuals, rank, singular values) of the least squares problem of a matrix `a` and `b`, of 1 or 2 axes.

    Singular values below `rcond` times the largest count as zero.  `residuals` are always there, unless
    `numpy_resid` asks for an empty array where NumPy gives one (not under jit).

    >>> np.round(lstsq(np.array([[1.0], [1.0]]), np.array([1.0, 3.0]))[0], 3)
    Array([2.], dtype=float32)
    """
    a, b = inexact("lstsq", a, b)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(f"lstsq: the shapes {a.shape} and {b.shape} are not those of a matrix and a vector or matrix "
                         f"of as many rows{at_line()}. Use vmap for stacks.")
    x, residuals, rank, s = _lstsq(a, b[:, None] if b.ndim == 1 else b, rcond)
    if numpy_resid and (a.shape[0] <= a.shape[1] or rank < a.shape[1]):
        residuals = zeros((0,), residuals.dtype)
    return x[:, 0] if b.ndim == 1 else x, residuals, rank, s


def _lstsq_of(a: Any, b: Any, rcond: Any) -> Any:
    m, n = a.shape
    eps = float(np.finfo(a.dtype).eps)
    rcond = eps * np.maximum(m, n) if rcond is None else where(operand("lstsq", rcond) < 0, eps, rcond)
    if 0 in a.shape:
        x, s, rank = zeros((n, b.shape[1]), a.dtype), zeros((0,), a.dtype), zeros((), int)
    else:
        u, s, vh = svd(a, full_matrices=False)
        kept = (s > 0) & (s >= operand("lstsq", rcond).astype(s.dtype) * s[0])
        rank = sum(kept)
        inverse = where(kept, 1 / where(kept, s, 1), 0).astype(a.dtype)
        x = product(dagger(vh), inverse[:, None] * product(dagger(u), b))
    misses = absolute(b - product(a, x))
    return x, sum(misses * misses, 0), rank, s


_lstsq = fused(_lstsq_of)


# ---- determinants ----

def _signed(factors: Any, pivots: Any) -> tuple[Any, Any]:
    """The diagonal of U, and the sign of the permutation of rows."""
    steps = iota(dtypes.int32, pivots.shape, pivots.ndim - 1)
    odd = count_nonzero(pivots != steps, -1) % 2
    return diagonal(factors, axis1=-2, axis2=-1), (1 - 2 * odd).astype(factors.dtype)


def det(a: Any) -> Any:
    """The determinant; its derivative holds for singular matrices too.

    >>> det(np.array([[1.0, 2.0], [3.0, 4.0]]))
    Array(-2., dtype=float32)
    """
    a, = inexact("det", a, square=True)
    return _det(a)


def _det_of(a: Any) -> Any:
    if a.shape[-1] == 2:
        return a[..., 0, 0] * a[..., 1, 1] - a[..., 0, 1] * a[..., 1, 0]
    if a.shape[-1] == 3:
        return sum(a[..., 0, :] * cross(a[..., 1, :], a[..., 2, :]), -1)
    return _det_by_lu(a)


@custom_jvp
def _det_by_lu(a: Any) -> Any:
    factors, pivots, _ = lu_p.bind(a)
    on, parity = _signed(factors, pivots)
    return parity * prod(on, -1)


@_det_by_lu.defjvp
def _det_jvp(primals: Any, tangents: Any) -> Any:
    """d det A = trace(adj(A) dA)."""
    value, change = _adjugate_product(primals[0], tangents[0])
    return value, trace(change, axis1=-2, axis2=-1)


def _adjugate_product(a: Any, b: Any) -> tuple[Any, Any]:
    """det A and adj(A) B = det A * A^-1 B, without dividing by the last pivot, which is 0 where the rank is n - 1.

    At lower ranks the adjugate is 0.
    """
    factors, pivots, permutation = lu_p.bind(a)
    on, parity = _signed(factors, pivots)
    leading = parity * prod(on[..., :-1], -1)
    value = leading * on[..., -1] if a.shape[-1] else parity
    full = all(on[..., :-1] != 0, -1)[..., None, None]
    last = np.arange(a.shape[-1]) == a.shape[-1] - 1
    safe = where(full & ~np.outer(last, last), factors, identity_like(factors))
    rhs = triangular_solve(factors, rows_at(b, permutation), left_side=True, lower=True, unit_diagonal=True)
    scale = where(last, leading[..., None], value[..., None])[..., None]
    return value, where(full, triangular_solve(safe, rhs * scale, left_side=True), 0)


_det = fused(_det_of)


def slogdet(a: Any, *, method: str | None = None) -> SlogdetResult:
    """(sign, logabsdet) of det a = sign exp(logabsdet); 0 and -inf for singular matrices.

    `method` is 'lu', or 'qr' for real matrices.

    >>> slogdet(np.array([[0.0, 2.0], [-1.0, 0.0]]))
    SlogdetResult(sign=Array(1., dtype=float32), logabsdet=Array(0.6931472, dtype=float32))
    """
    a, = inexact("slogdet", a, square=True)
    if method not in (None, "lu", "qr"):
        raise MinijaxValueError(f"slogdet: method={method!r} is not 'lu' or 'qr'{at_line()}.")
    if method == "qr" and dtypes.is_complex(a.dtype):
        raise MinijaxValueError(f"slogdet: method='qr' is for real matrices, got {a.type}{at_line()}. Use 'lu'.")
    return SlogdetResult(*_slogdet(method or "lu", a))


@functools.partial(custom_jvp, nondiff_argnums=(0,))
def _slogdet(method: str, a: Any) -> tuple[Any, Any]:
    return (_slogdet_by_qr if method == "qr" else _slogdet_by_lu)(a)


def _slogdet_by_lu_of(a: Any) -> tuple[Any, Any]:
    factors, pivots, _ = lu_p.bind(a)
    on, parity = _signed(factors, pivots)
    return parity * prod(sign(on), -1), sum(log(absolute(on)), -1)


def _slogdet_by_qr_of(a: Any) -> tuple[Any, Any]:
    """Each reflector that is not the identity has determinant -1."""
    factors, taus = geqrf_p.bind(a)
    on = diagonal(factors, axis1=-2, axis2=-1)
    reflected = where(taus[..., :-1] != 0, -1, 1).astype(a.dtype)
    return prod(sign(on), -1) * prod(reflected, -1), sum(log(absolute(on)), -1)


_slogdet_by_lu, _slogdet_by_qr = fused(_slogdet_by_lu_of), fused(_slogdet_by_qr_of)


@_slogdet.defjvp
def _slogdet_jvp(method: str, primals: Any, tangents: Any) -> Any:
    """d log det A = trace(A^-1 dA): its real part belongs to the modulus, its imaginary part turns the sign."""
    (a,), (da,) = primals, tangents
    phase, size = _slogdet(method, a)
    change = trace(solve(a, da), axis1=-2, axis2=-1)
    if not dtypes.is_complex(a.dtype):
        return (phase, size), (zeros_like(phase), change)
    return (phase, size), ((change - real(change)) * phase, real(change))


# ---- powers, tensors, chains ----

def matrix_power(a: Any, n: int) -> Any:
    """a @ a @ ... @ a, n times, by repeated squaring; of the inverse for negative n.

    >>> matrix_power(np.array([[1.0, 1.0], [0.0, 1.0]]), 3)
    Array([[1., 3.],
           [0., 1.]], dtype=float32)
    """
    a = operand("matrix_power", a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"matrix_power takes square matrices in the last two axes, got the shape {a.shape}"
                         f"{at_line()}.")
    try:
        n = operator.index(n)
    except TypeError:
        raise MinijaxTypeError(f"matrix_power: the exponent is a whole number, got {n!r}{at_line()}.") from None
    return _power(inv(a) if n < 0 else a, n=-n if n < 0 else n)


def _power_of(a: Any, n: int) -> Any:
    if n == 0:
        return identity_like(a)
    if n in (1, 3):
        return a if n == 1 else matmul(matmul(a, a), a)
    half = _power_of(matmul(a, a), n // 2)
    return matmul(half, a) if n % 2 else half


_power = fused(_power_of, static_argnames=("n",))


def tensorinv(a: Any, ind: int = 2) -> Any:
    """The inverse of `a` as a map from its axes after the first `ind` to those, of as many elements.

    >>> tensorinv(np.eye(4).reshape(2, 2, 4), 2).shape
    (4, 2, 2)
    """
    a = operand("tensorinv", a)
    ind = operator.index(ind)
    rows, columns = a.shape[:ind], a.shape[ind:]
    if ind <= 0 or math.prod(rows) != math.prod(columns):
        raise ShapeError(f"tensorinv: the first {ind} axes of the shape {a.shape} and the others must have as many "
                         f"elements{at_line()}. `ind`, at least 1, says where to divide them.")
    return inv(a.reshape(math.prod(rows), math.prod(columns))).reshape(*columns, *rows)


def tensorsolve(a: Any, b: Any, axes: Sequence[int] | None = None) -> Any:
    """x of tensordot(a, x, x.ndim) = b; `axes` of `a` are moved to its end first.

    >>> tensorsolve(2 * np.eye(4).reshape(2, 2, 4), np.ones((2, 2)))
    Array([0.5, 0.5, 0.5, 0.5], dtype=float32)
    """
    a, b = operand("tensorsolve", a), operand("tensorsolve", b)
    if axes is not None:
        a = moveaxis(a, tuple(axes), tuple(range(-len(axes), 0)))
    rest = a.shape[b.ndim:]
    if a.shape[:b.ndim] != b.shape or math.prod(rest) != b.size:
        raise ShapeError(f"tensorsolve: the shape {a.shape} must begin with that of the right hand side, {b.shape}, "
                         f"and go on with as many elements{at_line()}.")
    return solve(a.reshape(b.size, b.size), b.reshape(-1)).reshape(rest)


def multi_dot(arrays: Sequence[Any], *, precision: Any = None) -> Any:
    """The product of a chain of matrices, in the order of products that costs least; vectors may be at its ends.

    >>> multi_dot([np.ones((2, 3)), np.ones((3, 2)), np.ones(2)])
    Array([6., 6.], dtype=float32)
    """
    found = [operand("multi_dot", x) for x in arrays]
    ranks = [x.ndim for x in found]
    matrices = len(found) > 1 and set(ranks[1:-1]) <= {2} and {ranks[0], ranks[-1]} <= {1, 2}
    if not matrices or [x.shape[-1] for x in found[:-1]] != [x.shape[0] for x in found[1:]]:
        raise ShapeError(f"multi_dot: the shapes {[x.shape for x in found]} are not those of a chain{at_line()}. It "
                         "takes two arrays at least: matrices, each with as many rows as the one before has columns, "
                         "and vectors at the ends only.")
    labels = [[i, i + 1] for i in range(len(found))]
    labels[0], labels[-1] = labels[0][-ranks[0]:], labels[-1][:ranks[-1]]
    return einsum(*[each for pair in zip(found, labels, strict=True) for each in pair], precision=precision)
