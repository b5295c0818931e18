"""`numpy.linalg`: linear algebra of matrices in the last two axes; each function is in a module named for its topic."""

from __future__ import annotations

from typing import Any

from minijax.errors import ShapeError
from minijax.numpy import arrange, linear
from minijax.numpy.decompositions import (cholesky, eig, eigh, eigvals, eigvalsh, matrix_rank, qr, svd, svdvals)
from minijax.numpy.linear import matmul, tensordot, vecdot
from minijax.numpy.norms import cond, matrix_norm, norm, vector_norm
from minijax.numpy.operands import operand
from minijax.numpy.shaping import matrix_transpose
from minijax.numpy.systems import (det, inv, lstsq, matrix_power, multi_dot, pinv, slogdet, solve, tensorinv,
                                   tensorsolve)
from minijax.ops.families import at_line

__all__ = ["cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq",
           "matmul", "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer",
           "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace",
           "vecdot", "vector_norm"]


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Vector product of vectors of three components, along one axis of both.

    >>> import numpy as np
    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    return linear.cross(x1, x2, axis=axis)


def outer(x1: Any, x2: Any, /) -> Any:
    """All products of the elements of two vectors; raises `ShapeError` for other arrays."""
    x1, x2 = operand("outer", x1), operand("outer", x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(f"linalg.outer takes two vectors, got the shapes {x1.shape} and {x2.shape}{at_line()}. "
                         "numpy.outer flattens its operands.")
    return linear.outer(x1, x2)


def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """The diagonals of the last two axes, as a last axis."""
    return arrange.diagonal(x, offset, -2, -1)


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of the last two axes."""
    return arrange.trace(x, offset, -2, -1, dtype)
