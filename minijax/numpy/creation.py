"""Making arrays: from Python values and other libraries' arrays, full of a value, counting, on a diagonal."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from minijax.config import state
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.ir.types import scalar_type
from minijax.numpy.operands import (axis_of, converted, default_float, dtype_of, operand, shape_from,
                                    take_in)
from minijax.ops.arithmetic import div, sub
from minijax.ops.comparison import eq, ge
from minijax.ops.conversion import convert_element_type, convert_element_type_p
from minijax.ops.conversion import copy as copy_of
from minijax.ops.families import add, broadcast_in_dim, broadcast_in_dim_p, moveaxis, mul, reshape
from minijax.ops.operators import promoted
from minijax.ops.structural import concatenate, expand_dims, iota
from minijax.tracing.array import Array, typeof
from minijax.tracing.source import at_line


# ---- from values ----

def _leaves(x: Any) -> Iterator[Any]:
    if isinstance(x, (list, tuple)):
        for each in x:
            yield from _leaves(each)
    else:
        yield x


def of_own_accord(x: Any) -> Any:
    """What an object with the method `__jax_array__` says its array is; anything else as it is."""
    convert = None if isinstance(x, Array) else getattr(x, "__jax_array__", None)
    return x if convert is None else convert()


def _leaf_type(x: Any) -> tuple[Any, bool]:
    x = of_own_accord(x)
    try:
        type = typeof(x)
    except MinijaxTypeError:
        found = np.asarray(x)
        if found.dtype.kind in "OSUMm":
            raise MinijaxTypeError(f"an array cannot be made of {x!r} of type {x.__class__.__name__}{at_line()}. "
                                   "Arrays hold numbers and bool.") from None
        return dtypes.canonical_dtype(found.dtype), False
    return type.dtype, type.weak_type


def _list_dtype(x: Any) -> Any:
    """The dtype that the elements of nested lists promote to."""
    nodes = {_scalar_nodes.get(leaf.__class__) or _leaf_type(leaf) for leaf in _leaves(x)}
    nodes = {(dtypes.canonical_dtype(d), weak) for d, weak in nodes}
    if not nodes:
        return default_float()
    return dtypes.promote(tuple([d for d, _ in nodes]), tuple([w for _, w in nodes]), state.jax_enable_x64)[0]


_scalar_nodes = {bool: (dtypes.bool_, False), int: (dtypes.int64, True), float: (dtypes.float64, True),
                 complex: (dtypes.complex128, True)}


def _from_list(x: Any, dtype: Any) -> Any:
    if any(isinstance(leaf, Array) or typeof_is_foreign(leaf) for leaf in _leaves(x)):
        pieces = [expand_dims(converted(_from_value(each, dtype), dtype), (0,)) for each in x]
        if len({typeof(p).shape for p in pieces}) != 1:
            raise MinijaxValueError(f"array: the elements of a list have shapes {[typeof(p).shape[1:] for p in pieces]}"
                                    f"{at_line()}. They must be equal.")
        return concatenate(pieces, 0)
    try:
        return take_in(np.array(x, dtype))
    except ValueError as error:
        raise MinijaxValueError(f"array: the lists are not of equal lengths{at_line()}: {error}.") from None


def typeof_is_foreign(x: Any) -> bool:
    """Whether `x` is an array of another library, not NumPy's."""
    return not isinstance(x, np.ndarray) and scalar_type(x) is None and Array.backend.is_foreign(x)


def _from_value(x: Any, dtype: Any) -> Any:
    """An array of a Python value; `dtype` None keeps (or, of Python scalars, finds) its own."""
    x = of_own_accord(x)
    if isinstance(x, (list, tuple)):
        return _from_list(x, dtype or _list_dtype(x))
    if isinstance(x, Array) or scalar_type(x) is not None:
        if isinstance(x, int) and dtype is not None and not isinstance(x, bool):
            x = _whole_number(x, dtype)
        return operand("array", x) if dtype is None else _as_dtype(x, dtype)
    if not isinstance(x, np.ndarray) and Array.backend.is_foreign(x):
        return take_in(x) if dtype is None else _as_dtype(x, dtype)
    try:
        found = np.asarray(x)
    except (TypeError, ValueError) as error:
        raise MinijaxTypeError(f"an array cannot be made of {x!r}{at_line()}: {error}.") from None
    if found.dtype.kind == "O":
        raise MinijaxTypeError(f"an array cannot be made of {x!r} of type {x.__class__.__name__}{at_line()}. "
                               "Arrays hold numbers and bool.")
    return take_in(found, dtype)


def _whole_number(x: int, dtype: Any) -> Any:
    return dtype.type(x) if dtypes.is_integer(dtype) else x


def _as_dtype(x: Any, dtype: Any) -> Any:
    if isinstance(x, Array):
        return converted(x, dtype)
    return convert_element_type_p.bind(x, new_dtype=dtype, weak_type=False)[0]


def array(object: Any, dtype: Any = None, copy: bool = True, order: str = "K", ndmin: int = 0, *,
          device: Any = None) -> Any:
    """An array of nested lists, scalars or another array; `ndmin` axes of size 1 at least.

    Python scalars give weakly typed arrays.  Raises `MinijaxTypeError` for what holds no numbers.

    >>> array([[1, 2.5]])
    Array([[1. , 2.5]], dtype=float32)
    """
    out = _from_value(object, dtype_of("array", dtype))
    if copy and out is object:
        out = copy_of(out)
    missing = ndmin - len(typeof(out).shape)
    out = expand_dims(out, range(missing)) if missing > 0 else out
    return out if device is None else Array(Array.backend.put(out, device))


def asarray(a: Any, dtype: Any = None, order: str | None = None, *, copy: bool | None = None,
            device: Any = None) -> Any:
    """As `array`; an array of that dtype is returned as it is.

    >>> asarray(np.arange(3), dtype='float32')
    Array([0., 1., 2.], dtype=float32)
    """
    return array(a, dtype_of("asarray", dtype), copy=bool(copy), device=device)


def copy(a: Any, order: str | None = None) -> Any:
    """A new array of the same elements."""
    return copy_of(operand("copy", a))


# ---- full of a value ----

def _filled(name: str, shape: Any, value: Any, dtype: Any) -> Any:
    return broadcast_in_dim_p.bind(dtype.type(value), shape=shape_from(name, shape), broadcast_dimensions=())[0]


def zeros(shape: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """An array of zeros.

    >>> zeros((2,))
    Array([0., 0.], dtype=float32)
    """
    return _filled("zeros", shape, 0, dtype_of("zeros", dtype, default_float()))


def ones(shape: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """An array of ones.

    >>> ones(2, 'int32')
    Array([1, 1], dtype=int32)
    """
    return _filled("ones", shape, 1, dtype_of("ones", dtype, default_float()))


def empty(shape: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """As `zeros`: memory is never left as it was found."""
    return zeros(shape, dtype)


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Any:
    """An array full of `fill_value`, which broadcasts; of its dtype unless another is given.

    >>> full((2,), 7)
    Array([7, 7], dtype=int32, weak_type=True)
    """
    value, shape = operand("full", fill_value), shape_from("full", shape)
    dtype = dtype_of("full", dtype)
    if value.ndim:
        return _broadcast(value if dtype is None else converted(value, dtype), shape)
    if dtype is not None and not isinstance(fill_value, Array):
        return _filled("full", shape, fill_value, dtype)
    return broadcast_in_dim(value if dtype is None else converted(value, dtype), shape, ())


def _broadcast(x: Any, shape: tuple[int, ...]) -> Any:
    return broadcast_in_dim(x, shape, range(len(shape) - x.ndim, len(shape)))


def _like(name: str, a: Any, dtype: Any, shape: Any, value: Any) -> Any:
    type = typeof(operand(name, a)) if not hasattr(a, "shape") or not hasattr(a, "dtype") else None
    own_shape, own_dtype = (type.shape, type.dtype) if type else (a.shape, dtypes.canonical_dtype(a.dtype))
    weak = dtype is None and (type or a).weak_type if hasattr(type or a, "weak_type") else False
    dtype, shape = dtype_of(name, dtype, own_dtype), own_shape if shape is None else shape_from(name, shape)
    filled = full(shape, value, dtype) if not isinstance(value, int) else _filled(name, shape, value, dtype)
    return convert_element_type(filled, dtype, True) if weak else filled


def zeros_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """Zeros of the shape and dtype of `a`, or of those given.

    >>> zeros_like(ones(2))
    Array([0., 0.], dtype=float32)
    """
    return _like("zeros_like", a, dtype, shape, 0)


def ones_like(a: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """Ones of the shape and dtype of `a`, or of those given."""
    return _like("ones_like", a, dtype, shape, 1)


empty_like = zeros_like


def full_like(a: Any, fill_value: Any, dtype: Any = None, shape: Any = None, *, device: Any = None) -> Any:
    """`fill_value` in the shape and dtype of `a`, or in those given.

    >>> full_like(ones(2), 3)
    Array([3., 3.], dtype=float32)
    """
    return _like("full_like", a, dtype, shape, fill_value if not isinstance(fill_value, int) else int(fill_value))


# ---- counting ----

def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None, *, device: Any = None) -> Any:
    """start, start + step, ... up to, without, stop.  The arguments must be known while tracing.

    >>> arange(3)
    Array([0, 1, 2], dtype=int32)
    """
    dtype = dtype_of("arange", dtype)
    given = [x for x in (start, stop, step) if x is not None]
    if dtype is None:
        dtype = _list_dtype([x if isinstance(x, Array) or scalar_type(x) is not None else np.asarray(x) for x in given])
    numbers = [operator.index(x) if dtypes.is_integer(_leaf_type(x)[0]) else float(x) for x in given]
    if stop is None and step is None and isinstance(numbers[0], int):
        return iota(dtype, (max(numbers[0], 0),)) if dtype != dtypes.bool_ else take_in(np.arange(numbers[0],
                                                                                                  dtype=bool))
    first, last = (0, numbers[0]) if stop is None else numbers[:2]
    return take_in(np.arange(first, last, *([numbers[-1]] if step is not None else []), dtype=dtype))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
             axis: int = 0, *, device: Any = None) -> Any:
    """`num` numbers at equal distances from start to stop, stop included if `endpoint`; arrays give a new axis.

    With `retstep` the distance is returned as well.

    >>> linspace(0, 1, 3)
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    num = operator.index(num)
    if num < 0:
        raise MinijaxValueError(f"linspace: num is the number of elements, got {num}{at_line()}.")
    out, step = _linspace(start, stop, num, bool(endpoint), dtype_of("linspace", dtype), axis)
    return (out, step) if retstep else out


def _linspace_of(start: Any, stop: Any, num: int, endpoint: bool, dtype: Any, axis: int) -> tuple[Any, Any]:
    shape = np.broadcast_shapes(typeof(start).shape, typeof(stop).shape)
    start, stop = promoted("linspace", operand("linspace", start), operand("linspace", stop))
    work = typeof(start).dtype if dtypes.is_inexact(typeof(start).dtype) else default_float()
    start, stop = (broadcast_in_dim(converted(x, work), shape, range(len(shape) - x.ndim, len(shape))) for x in (start,
                                                                                                                 stop))
    steps = num - 1 if endpoint else num
    delta = div(sub(stop, start), work.type(steps)) if steps > 0 else mul(start, work.type(np.nan))
    if num > 1:
        fraction = div(convert_element_type(iota(dtypes.int32, (steps,)), work), work.type(steps))
        line = reshape(fraction, (steps, *(1,) * len(shape)))
        line = broadcast_in_dim(reshape(line, (steps,)), (steps, *shape), (0,))
        low, high = (broadcast_in_dim(x, (steps, *shape), range(1, len(shape) + 1)) for x in (start, stop))
        out = add(mul(low, sub(work.type(1), line)), mul(high, line))
        out = concatenate([out, expand_dims(stop, (0,))], 0) if endpoint else out
    else:
        out = broadcast_in_dim(start, (num, *shape), range(1, len(shape) + 1))
    out = moveaxis(out, 0, axis_of("linspace", axis, len(shape) + 1))
    return converted(out, dtype or work), delta


_linspace = fused(_linspace_of, static_argnames=("num", "endpoint", "dtype", "axis"))


# ---- diagonals and grids ----

def _diagonal_mask(rows: int, columns: int, k: int, below: bool) -> Any:
    row, column = iota(dtypes.int32, (rows, columns), 0), iota(dtypes.int32, (rows, columns), 1)
    return (ge if below else eq)(add(row, np.int32(k)), column)


def _eye_of(rows: int, columns: int, k: int, dtype: Any, below: bool) -> Any:
    return convert_element_type(_diagonal_mask(rows, columns, k, below), dtype)


_eye = fused(_eye_of, static_argnames=("rows", "columns", "k", "dtype", "below"))


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None, *, device: Any = None) -> Any:
    """Ones on the k-th diagonal, zeros elsewhere.

    >>> eye(2)
    Array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    rows, columns = shape_from("eye", (N, N if M is None else M))
    return _eye(rows=rows, columns=columns, k=operator.index(k), dtype=dtype_of("eye", dtype, default_float()),
                below=False)


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=dtype)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:
    """Ones on and below the k-th diagonal, zeros above.

    >>> tri(2, dtype='int32')
    Array([[1, 0],
           [1, 1]], dtype=int32)
    """
    rows, columns = shape_from("tri", (N, N if M is None else M))
    return _eye(rows=rows, columns=columns, k=operator.index(k), dtype=dtype_of("tri", dtype, default_float()),
                below=True)


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> list[Any]:
    """Grids of coordinates from vectors; with indexing 'xy' the first two axes are swapped.

    >>> [g.shape for g in meshgrid(arange(3), arange(2))]
    [(2, 3), (2, 3)]
    """
    if indexing not in ("xy", "ij"):
        raise MinijaxValueError(f"meshgrid: indexing is 'xy' or 'ij', got {indexing!r}.")
    vectors = [operand("meshgrid", x) for x in xi]
    if any(v.ndim > 1 for v in vectors):
        raise MinijaxValueError(f"meshgrid takes vectors, got shapes {[v.shape for v in vectors]}{at_line()}.")
    order = [1, 0, *range(2, len(vectors))] if indexing == "xy" and len(vectors) > 1 else list(range(len(vectors)))
    sizes = [0] * len(vectors)
    for place, v in zip(order, vectors, strict=True):
        sizes[place] = v.size
    shapes = [[n if sparse is False or i == place else 1 for i, n in enumerate(sizes)] for place in order]
    return [broadcast_in_dim(reshape(v, (v.size,)), shape, (place,))
            for place, v, shape in zip(order, vectors, shapes, strict=True)]
