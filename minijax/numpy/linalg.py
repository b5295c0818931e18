"""`numpy.linalg`: norms; decompositions and solvers come later."""

from __future__ import annotations

import math
from typing import Any

from minijax.api.jit import fused
from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.numpy.elementwise import absolute, not_equal, power, real, sqrt
from minijax.numpy.operands import axes_of, operand
from minijax.numpy.reductions import max, min, sum
from minijax.ops.conversion import conj
from minijax.ops.families import at_line, mul
from minijax.ops.promotion import promoted_inexact


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Norms of vectors (one axis) or matrices (two): Euclidean by default, or of order `ord`.

    >>> import numpy as np
    >>> norm(np.array([3.0, 4.0]))
    Array(5., dtype=float32)
    """
    x = operand("norm", x)
    axes = axes_of("norm", axis, x.ndim)
    if axis is None and ord is not None and x.ndim not in (1, 2) or ord is not None and len(axes) > 2:
        raise MinijaxValueError(f"norm: order {ord!r} is for vectors and matrices, got {x.ndim} axes{at_line()}. "
                                "Give axis=...")
    return _norm(x, ord=ord, axes=axes, keepdims=bool(keepdims))


def _norm_of(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    x, = promoted_inexact("norm", x)
    if ord is None or ord == "fro" and len(axes) == 2 or ord == 2 and len(axes) == 1:
        squares = real(mul(x, conj(x))) if dtypes.is_complex(x.dtype) else mul(x, x)
        return sqrt(sum(squares, axes, keepdims=keepdims))
    return (_vector_norm if len(axes) == 1 else _matrix_norm)(absolute(x), ord, axes, keepdims)


_norm = fused(_norm_of, static_argnames=("ord", "axes", "keepdims"))


def _vector_norm(size: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if isinstance(ord, str):
        raise MinijaxValueError(f"norm: {ord!r} is no order of a vector's norm{at_line()}.")
    if ord in (math.inf, -math.inf):
        return (max if ord > 0 else min)(size, axes, keepdims=keepdims)
    if ord == 0:
        return sum(not_equal(size, 0), axes, dtype=size.dtype, keepdims=keepdims)
    if ord == 1:
        return sum(size, axes, keepdims=keepdims)
    return power(sum(power(size, ord), axes, keepdims=keepdims), 1.0 / ord)


def _matrix_norm(size: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = axes
    if ord not in (1, -1, math.inf, -math.inf):
        raise NotImplementedError(f"norm: order {ord!r} of a matrix needs singular values, which are not there yet.")
    summed, chosen = (row, column) if ord in (1, -1) else (column, row)
    out = (max if ord > 0 else min)(sum(size, summed, keepdims=True), chosen, keepdims=True)
    return out if keepdims else out.reshape([n for i, n in enumerate(size.shape) if i not in axes])


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Norm of vectors along axes, of the flattened array by default."""
    x = operand("vector_norm", x)
    if axis is None and not keepdims:
        return norm(x.reshape(-1), ord)
    return norm(x, ord, axis, keepdims)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Norm of the matrices of the last two axes."""
    return norm(x, ord, (-2, -1), keepdims)
