"""dot_general: multiply two arrays and sum over axes, the one op of linear algebra.

`dimension_numbers` is ((x's summed axes, y's summed axes), (x's batch axes, y's batch axes)).
The axes of the result: the batch axes, then x's other axes, then y's other axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from minijax.errors import MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.ops.comparison import not_a_key
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import accepts, add, shape_of, transpose
from minijax.tracing.source import at_line
from minijax.util import size_of

DimensionNumbers = tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]


def free_axes(ndim: int, summed: Sequence[int], batch: Sequence[int]) -> list[int]:
    """The axes of an operand that are neither summed over nor batch axes."""
    return [i for i in range(ndim) if i not in summed and i not in batch]


def fits(x: ArrayType, y: ArrayType, numbers: DimensionNumbers) -> bool:
    """Whether axes summed together, and batch axes, are distinct axes of equal sizes."""
    (x_sum, y_sum), (x_batch, y_batch) = numbers
    for type, axes in ((x, (*x_sum, *x_batch)), (y, (*y_sum, *y_batch))):
        if len(set(axes)) != len(axes) or any(not 0 <= a < type.ndim for a in axes):
            return False
    return all(len(a) == len(b) and [x.shape[i] for i in a] == [y.shape[i] for i in b] for a, b in numbers)


def product_dtype(name: str, x: Any, y: Any) -> Any:
    """The dtype of a product: that of both operands, or of two numbers the more general, then the wider one."""
    if x.dtype == y.dtype:
        return x.dtype
    for type in (x, y):
        accepts(name, type.dtype, not_a_key, "numeric or bool")
    return max((x.dtype, y.dtype), key=_generality)


def _generality(dtype: Any) -> tuple[Any, ...]:
    kind = sum((dtypes.is_integer(dtype), 2 * dtypes.is_float(dtype), 3 * dtypes.is_complex(dtype)))
    largest = float(ml_dtypes.finfo(dtype).max) if dtypes.is_float(dtype) else -float(dtypes.is_unsigned(dtype))
    return kind, dtype.itemsize, largest


def _dot_type(x: ArrayType, y: ArrayType, *, dimension_numbers: DimensionNumbers, precision: Any,
              preferred_element_type: Any) -> tuple[ArrayType]:
    for type in (x, y):
        accepts("dot_general", type.dtype, not_a_key, "numeric or bool")
    dtype = preferred_element_type or product_dtype("dot_general", x, y)
    if not fits(x, y, dimension_numbers):
        raise ShapeError(f"dot_general: the axes {dimension_numbers} do not fit {x} and {y}{at_line()}. "
                         "Axes summed over together, and batch axes, must be distinct axes of equal sizes.")
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    shape = [x.shape[i] for i in (*x_batch, *free_axes(x.ndim, x_sum, x_batch))]
    shape += [y.shape[i] for i in free_axes(y.ndim, y_sum, y_batch)]
    return (ArrayType(tuple(shape), dtype, preferred_element_type is None and x.weak_type and y.weak_type),)


def _dot_eval(x: np.ndarray, y: np.ndarray, *, dimension_numbers: DimensionNumbers, precision: Any,
              preferred_element_type: Any) -> tuple[np.ndarray]:
    dtype = preferred_element_type or product_dtype("dot_general", x, y)
    return (reference.dot_general(x, y, dimension_numbers, dtype),)


def bilinear_jvp(op: Op) -> Callable[..., Any]:
    """jvp rule of an op linear in each of its first two operands; the rest has no derivative."""
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x, y, *rest), (t, s, *_) = primals, tangents
        outs = op.bind(x, y, *rest, **params)
        terms = [] if t is zero else [op.bind(t, y, *rest, **params)[0]]
        terms += [] if s is zero else [op.bind(x, s, *rest, **params)[0]]
        return outs, (add(*terms) if len(terms) == 2 else terms[0] if terms else zero,)

    return jvp


# ---- transpose ----

def _dot_transpose(cts: Any, x: Any, y: Any, *, dimension_numbers: DimensionNumbers, **params: Any) -> Any:
    ct, (x_sum, y_sum), (x_batch, y_batch) = cts[0], *dimension_numbers
    batch = range(len(x_batch))
    if type(x) is Linear:
        y_places = range(x.ndim - len(x_sum), len(shape_of(ct)))
        return _operand_cotangent(ct, x, y, batch, y_places, x_sum, x_batch, y_sum, y_batch, params), None
    x_places = range(len(x_batch), len(shape_of(x)) - len(x_sum))
    return None, _operand_cotangent(ct, y, x, batch, x_places, y_sum, y_batch, x_sum, x_batch, params)


def _operand_cotangent(ct: Any, x: Any, y: Any, batch: Sequence[int], y_places: Sequence[int], x_sum: Sequence[int],
                       x_batch: Sequence[int], y_sum: Sequence[int], y_batch: Sequence[int], params: Any) -> Any:
    """Multiply the cotangent with y over y's free axes, which are the axes `y_places` of `ct`; then order x's axes."""
    numbers = (tuple(y_places), tuple(free_axes(len(shape_of(y)), y_sum, y_batch))), (tuple(batch), tuple(y_batch))
    product = dot_general_p.bind(ct, y, dimension_numbers=numbers, **params)[0]
    partner = dict(zip(y_sum, x_sum, strict=True))  # the axis of x that an axis of y is summed with
    order = [*x_batch, *free_axes(x.ndim, x_sum, x_batch), *[partner[i] for i in sorted(y_sum)]]
    return convert_element_type(transpose(product, [order.index(i) for i in range(x.ndim)]), x.dtype, x.type.weak_type)


# ---- batch ----

def _dot_batch(size: int, args: Any, axes: Any, *, dimension_numbers: DimensionNumbers, **params: Any) -> Any:
    (x, y), (x_axis, y_axis) = args, axes
    (x_sum, y_sum), (x_batch, y_batch) = dimension_numbers
    x_sum, x_batch, y_sum, y_batch = [tuple(i + (axis is not None and i >= axis) for i in each) for each, axis in (
        (x_sum, x_axis), (x_batch, x_axis), (y_sum, y_axis), (y_batch, y_axis))]
    if x_axis is not None and y_axis is not None:
        x_batch, y_batch = (x_axis, *x_batch), (y_axis, *y_batch)
        place = 0
    else:  # the batch axis is one more free axis
        x_free, y_free = (free_axes(len(shape_of(x)), x_sum, x_batch), free_axes(len(shape_of(y)), y_sum, y_batch))
        place = len(x_batch) + (len(x_free) + y_free.index(y_axis) if x_axis is None else x_free.index(x_axis))
    return dot_general_p.bind(x, y, dimension_numbers=((x_sum, y_sum), (x_batch, y_batch)), **params), (place,)


def _dot_cost(x: ArrayType, y: ArrayType, *, dimension_numbers: DimensionNumbers, **params: Any) -> int:
    """A multiplication and an addition for each element of the result and each summed position."""
    (x_sum, _), (x_batch, y_batch) = dimension_numbers
    summed, batch = size_of([x.shape[i] for i in x_sum]), size_of([x.shape[i] for i in x_batch])
    return 2 * x.size * y.size // max(summed * batch, 1)


dot_general_p = Op("dot_general", type=_dot_type, eval=_dot_eval, transpose=_dot_transpose, batch=_dot_batch,
                   cost=_dot_cost, traits={"dot"})
dot_general_p.jvp = bilinear_jvp(dot_general_p)


def dot_general(x: Any, y: Any, dimension_numbers: Any, precision: Any = None,
                preferred_element_type: Any = None) -> Any:
    """Multiply x and y, and sum; the header of this module explains `dimension_numbers`.

    `precision` is None, a name such as 'highest', a pair of them, one for each operand, or an algorithm;
    `preferred_element_type` is the dtype to sum in and to return.

    >>> np.asarray(dot_general(np.ones((2, 3), np.float32), np.ones(3, np.float32), (((1,), (0,)), ((), ()))))
    array([3., 3.], dtype=float32)
    """
    try:
        numbers = tuple([tuple([tuple(axes) for axes in pair]) for pair in dimension_numbers])
    except TypeError:
        raise MinijaxTypeError(
            f"dot_general: dimension_numbers is {dimension_numbers!r}{at_line()}. It is ((axes of x to sum, of y), "
            "(batch axes of x, of y)): (((1,), (0,)), ((), ())) for matrices.") from None
    return dot_general_p.bind(x, y, dimension_numbers=numbers, precision=precision,
                              preferred_element_type=preferred_element_type)[0]
