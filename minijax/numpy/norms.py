"""`numpy.linalg`: norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

from minijax.errors import MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.numpy.decompositions import inexact, svdvals
from minijax.numpy.elementwise import absolute, isnan, not_equal, power, real, sqrt
from minijax.numpy.operands import axes_of, operand
from minijax.numpy.reductions import any, max, min, sum
from minijax.numpy.selection import where
from minijax.numpy.shaping import moveaxis
from minijax.numpy.systems import inv
from minijax.ops.conversion import conj
from minijax.ops.families import at_line, mul
from minijax.ops.promotion import promoted_inexact
from minijax.ops.structural import expand_dims


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors (one axis) or matrices (two): Euclidean by default, or of order `ord`.

    Of vectors: a number, or infinity.  Of matrices: 'fro', 'nuc' (the sum of singular values), 2 and -2 (the largest
    and smallest one), 1 and -1 (of the columns' sums), inf and -inf (of the rows').
    Raises `MinijaxValueError` for other orders, or another number of axes with an order.

    >>> import numpy as np
    >>> norm(np.array([3.0, 4.0]))
    Array(5., dtype=float32)
    >>> norm(np.array([[1.0, 2.0], [3.0, 4.0]]), 1)
    Array(6., dtype=float32)
    """
    x = operand("norm", x)
    axes = axes_of("norm", axis, x.ndim)
    if ord is None and (axis is None or len(axes) < 3):
        return _euclidean(x, axes=axes, keepdims=bool(keepdims))
    if len(axes) not in (1, 2):
        raise MinijaxValueError(f"norm: order {ord!r} is for vectors and matrices, got {len(axes)} axes{at_line()}. "
                                "Give axis=...")
    return (_vector_norm if len(axes) == 1 else _matrix_norm)(x, ord=ord, axes=axes, keepdims=bool(keepdims))


def _euclidean_of(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    x, = promoted_inexact("norm", x)
    squares = real(mul(x, conj(x))) if dtypes.is_complex(x.dtype) else mul(x, x)
    return sqrt(sum(squares, axes, keepdims=keepdims))


_euclidean = fused(_euclidean_of, static_argnames=("axes", "keepdims"))


def _vector_norm_of(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise MinijaxValueError(f"norm: {ord!r} is no order of a vector's norm{at_line()}. Give a number; "
                                "numpy.inf is one.")
    if ord == 2:
        return _euclidean_of(x, axes, keepdims)
    x, = promoted_inexact("norm", x)
    size = absolute(x)
    if ord in (math.inf, -math.inf):
        return max(size, axes, keepdims=keepdims, initial=0) if ord > 0 else min(size, axes, keepdims=keepdims)
    if ord == 0:
        return sum(not_equal(size, 0), axes, dtype=size.dtype, keepdims=keepdims)
    if ord == 1:
        return sum(size, axes, keepdims=keepdims)
    return power(sum(power(size, ord), axes, keepdims=keepdims), 1.0 / ord)


_vector_norm = fused(_vector_norm_of, static_argnames=("ord", "axes", "keepdims"))


def _matrix_norm_of(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord in ("f", "fro"):
        return _euclidean_of(x, axes, keepdims)
    x, = promoted_inexact("norm", x)
    row, column = axes
    if ord in (2, -2, "nuc"):
        s = svdvals(moveaxis(x, axes, (-2, -1)))
        out = max(s, -1, initial=0) if ord == 2 else min(s, -1) if ord == -2 else sum(s, -1)
        return expand_dims(out, sorted(axes)) if keepdims else out
    if ord not in (1, -1, math.inf, -math.inf):
        raise MinijaxValueError(f"norm: {ord!r} is no order of a matrix's norm{at_line()}. Choose 'fro', 'nuc', "
                                "1, -1, 2, -2, inf or -inf.")
    summed, chosen = (row, column) if ord in (1, -1) else (column, row)
    sums = sum(absolute(x), summed, keepdims=True)
    out = max(sums, chosen, keepdims=True, initial=0) if ord > 0 else min(sums, chosen, keepdims=True)
    return out if keepdims else out.reshape([n for i, n in enumerate(x.shape) if i not in axes])


_matrix_norm = fused(_matrix_norm_of, static_argnames=("ord", "axes", "keepdims"))


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norm of order `ord` of the vectors that axes hold together, all axes by default."""
    x = operand("vector_norm", x)
    return _vector_norm(x, ord=2 if ord is None else ord, axes=axes_of("vector_norm", axis, x.ndim),
                        keepdims=bool(keepdims))


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of the matrices of the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)


def cond(x: Any, p: Any = None) -> Any:
    """How much `solve` may amplify an error: the norm of x times that of its inverse, of order `p` (2 by default).

    >>> import numpy as np
    >>> cond(np.array([[4.0, 0.0], [0.0, 2.0]]))
    Array(2., dtype=float32)
    """
    x, = inexact("cond", x, square=p not in (None, 2, -2))
    if 0 in x.shape[-2:]:
        raise ShapeError(f"cond: a matrix of shape {x.shape[-2:]} has no condition number{at_line()}.")
    return _cond(x, p=p)


def _cond_of(x: Any, p: Any) -> Any:
    if p is None or p == 2:
        s = svdvals(x)
        return s[..., 0] / s[..., -1]
    if p == -2:
        s = svdvals(x)
        out = s[..., -1] / s[..., 0]
    else:
        out = norm(x, p, (-2, -1)) * norm(inv(x), p, (-2, -1))
    return where(isnan(out) & ~any(isnan(x), (-2, -1)), math.inf, out)


_cond = fused(_cond_of, static_argnames=("p",))
