"""Products and contractions: dot, vdot, inner, outer, tensordot, matmul, einsum.

Each is one `dot_general`, but for scalars and einsum of more than two operands.
"""

from __future__ import annotations

import operator
from typing import Any

from minijax.errors import ShapeError
from minijax.lax.enums import precision_of
from minijax.numpy.elementwise import conjugate, multiply
from minijax.numpy.operands import axes_of, axis_of, dtype_of, operand, refuse
from minijax.numpy.shaping import moveaxis, ravel, stack
from minijax.ops import contraction
from minijax.ops.families import at_line, reshape
from minijax.ops.promotion import promoted


def _pair(name: str, a: Any, b: Any) -> list[Any]:
    return promoted(name, operand(name, a), operand(name, b))


def dot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum over the last axis of `a` and the last but one of `b`; with a scalar, the product.

    >>> import numpy as np
    >>> dot(np.array([1, 2]), np.array([3, 4]))
    Array(11, dtype=int32)
    """
    a, b = _pair("dot", a, b)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    place = max(b.ndim - 2, 0)
    if a.shape[-1] != b.shape[place]:
        raise ShapeError(f"dot: the shapes {a.shape} and {b.shape} do not fit{at_line()}. The last axis of the left "
                         "operand and the last but one of the right must have equal sizes.")
    return _contract("dot", a, b, (a.ndim - 1,), (place,), precision, preferred_element_type)


def _contract(name: str, a: Any, b: Any, a_axes: tuple[int, ...], b_axes: tuple[int, ...], precision: Any,
              preferred_element_type: Any) -> Any:
    """Sum over pairs of axes; the other axes of a, then those of b, are the result's."""
    if [a.shape[i] for i in a_axes] != [b.shape[i] for i in b_axes]:
        raise ShapeError(f"{name}: the axes {a_axes} of {a.shape} and {b_axes} of {b.shape} differ in size{at_line()}.")
    a_labels = [("a", i) for i in range(a.ndim)]
    b_labels = [a_labels[a_axes[b_axes.index(i)]] if i in b_axes else ("b", i) for i in range(b.ndim)]
    out = [each for each in a_labels if each not in b_labels] + [each for each in b_labels if each not in a_labels]
    return contraction.contract(a, a_labels, b, b_labels, out, precision_of(precision),
                                dtype_of(name, preferred_element_type))


def matmul(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Matrix product; stacks of matrices broadcast, vectors are rows at the left and columns at the right.

    >>> import numpy as np
    >>> matmul(np.ones((2, 3)), np.ones(3))
    Array([3., 3.], dtype=float32)
    """
    return contraction.matmul(operand("matmul", a), operand("matmul", b), precision_of(precision),
                              dtype_of("matmul", preferred_element_type))


def vdot(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Scalar product of the flattened arrays; `a` is conjugated."""
    return dot(conjugate(ravel(a)), ravel(b), precision=precision, preferred_element_type=preferred_element_type)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Scalar products of vectors along an axis; `x1` is conjugated, the other axes broadcast."""
    x1, x2 = moveaxis(conjugate(x1), axis, -1), moveaxis(x2, axis, -1)
    rows, columns = reshape(x1, (*x1.shape[:-1], 1, x1.shape[-1])), reshape(x2, (*x2.shape, 1))
    out = matmul(rows, columns, precision=precision, preferred_element_type=preferred_element_type)
    return reshape(out, out.shape[:-2])


def inner(a: Any, b: Any, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum over the last axes of both; with a scalar, the product."""
    a, b = _pair("inner", a, b)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return _contract("inner", a, b, (a.ndim - 1,), (b.ndim - 1,), precision, preferred_element_type)


def outer(a: Any, b: Any, out: None = None) -> Any:
    """Products of all elements of the flattened arrays.

    >>> import numpy as np
    >>> outer(np.array([1, 2]), np.array([1, 10]))
    Array([[ 1, 10],
           [ 2, 20]], dtype=int32)
    """
    refuse("outer", out=out)
    a, b = _pair("outer", ravel(a), ravel(b))
    return multiply(reshape(a, (a.size, 1)), reshape(b, (1, b.size)))


def tensordot(a: Any, b: Any, axes: Any = 2, *, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Sum over the last `axes` axes of a and the first of b, or over two lists of axes.

    >>> import numpy as np
    >>> tensordot(np.ones((2, 3)), np.ones((3, 2)), ((0, 1), (1, 0)))
    Array(6., dtype=float32)
    """
    a, b = _pair("tensordot", a, b)
    if isinstance(axes, (tuple, list)):
        a_axes, b_axes = (each if isinstance(each, (tuple, list)) else (each,) for each in axes)
    else:
        count = operator.index(axes)
        a_axes, b_axes = range(a.ndim - count, a.ndim), range(count)
    a_axes, b_axes = axes_of("tensordot", tuple(a_axes), a.ndim), axes_of("tensordot", tuple(b_axes), b.ndim)
    if len(a_axes) != len(b_axes):
        raise ShapeError(f"tensordot: {len(a_axes)} axes of the one and {len(b_axes)} of the other{at_line()}.")
    return _contract("tensordot", a, b, a_axes, b_axes, precision, preferred_element_type)


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Vector product of vectors of three components.

    >>> import numpy as np
    >>> cross(np.array([1, 0, 0]), np.array([0, 1, 0]))
    Array([0, 0, 1], dtype=int32)
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = _pair("cross", a, b)
    a, b = moveaxis(a, axisa, 0), moveaxis(b, axisb, 0)
    if a.shape[0] != 3 or b.shape[0] != 3:
        raise ShapeError(f"cross takes vectors of three components, got {a.shape[0]} and {b.shape[0]}{at_line()}.")
    parts = [a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))]
    return stack(parts, axis_of("cross", axisc, parts[0].ndim + 1))


def kron(a: Any, b: Any) -> Any:
    """Kronecker product: each element of a times the whole of b."""
    a, b = _pair("kron", a, b)
    rank = max(a.ndim, b.ndim)
    left, right = ((1,) * (rank - x.ndim) + x.shape for x in (a, b))
    spread = multiply(reshape(a, [m for n in left for m in (n, 1)]), reshape(b, [m for n in right for m in (1, n)]))
    return reshape(spread, [m * n for m, n in zip(left, right, strict=True)])
