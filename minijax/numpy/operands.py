"""What the functions of this package share: reading operands, axes, dtypes and shapes."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ops.conversion import convert_element_type
from minijax.tracing.array import Array, Tracer, typeof
from minijax.ir.types import scalar_type
from minijax.tracing.source import at_line


def operand(name: str, x: Any) -> Any:
    """`x` as an Array: scalars and arrays of other libraries are taken in.  Raises `MinijaxTypeError` for the rest."""
    if isinstance(x, Array):
        return x
    type = scalar_type(x)
    if type is not None:
        return convert_element_type(x, type.dtype, type.weak_type)
    if Array.backend.is_foreign(x):
        return take_in(x)
    raise MinijaxTypeError(f"{name} takes arrays and scalars, got {x!r} of type {type_name(x)}{at_line()}. "
                           "Convert it with minijax.numpy.asarray(...).")


def type_name(x: Any) -> str:
    """The name of a value's type."""
    return type(x).__name__


def take_in(x: Any, dtype: Any = None) -> Array:
    """The Array of a concrete array of NumPy's or of JAX's; NumPy's is copied."""
    if isinstance(x, np.ndarray):
        if x.dtype.kind in "OSUMm":
            raise MinijaxTypeError(f"arrays of dtype {x.dtype} are not known here{at_line()}. Arrays hold numbers and bool.")
        x = x.astype(dtypes.canonical_dtype(dtype or x.dtype)) if x.dtype.names is None else x.copy()
    return Array(Array.backend.put(x, None))


def refuse(name: str, **options: Any) -> None:
    """Raise `NotImplementedError` for options of NumPy's that arrays here have no use for, unless None."""
    for key, value in options.items():
        if value is not None:
            raise NotImplementedError(f"{name}: the argument {key!r} is not supported: arrays are immutable. Leave it out.")


def axis_of(name: str, axis: Any, ndim: int) -> int:
    """An axis as a number in range(ndim); raises `MinijaxValueError`."""
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise MinijaxValueError(f"{name}: axis {number} is out of bounds for an array of {ndim} axes{at_line()}. "
                                f"Choose among {-ndim} .. {ndim - 1}." if ndim else
                                f"{name}: axis {number} of an array without axes{at_line()}. Leave axis out.")
    return number % ndim


def axes_of(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """One axis, several, or None for all, as a tuple of distinct numbers in range(ndim)."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple([axis_of(name, a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))])
    if len(set(axes)) != len(axes):
        raise MinijaxValueError(f"{name}: axis {axis} names an axis twice{at_line()}.")
    return axes


def shape_from(name: str, shape: Any) -> tuple[int, ...]:
    """A size or a sequence of sizes, as a tuple of ints; raises for traced and negative ones."""
    try:
        sizes = tuple([operator.index(n) for n in shape]) if isinstance(shape, Sequence | np.ndarray) or (
            isinstance(shape, Array) and shape.ndim) else (operator.index(shape),)
    except TypeError as error:
        if isinstance(shape, Tracer) or isinstance(shape, Sequence) and any(isinstance(n, Tracer) for n in shape):
            raise
        raise MinijaxTypeError(f"{name}: a shape is made of integers, got {shape!r}{at_line()}.") from error
    if any(n < 0 for n in sizes):
        raise ShapeError(f"{name}: the shape {sizes} has a negative size{at_line()}.")
    return sizes


def dtype_of(name: str, dtype: Any, default: Any = None) -> Any:
    """The dtype that a `dtype` argument asks for, `default` for None; warns where x64 would be needed."""
    if dtype is None:
        return default
    asked = dtypes.as_dtype(dtype)
    found = dtypes.canonical_dtype(asked)
    if found != asked and dtype not in (int, float, complex):
        warnings.warn(f"{name}: the dtype {asked} is not available, {found} is used instead. Enable it with "
                      "config.update('jax_enable_x64', True).", UserWarning, stacklevel=3)
    return found


def converted(x: Any, dtype: Any) -> Any:
    """`x` at a dtype, not weak."""
    return convert_element_type(x, dtype) if typeof(x).dtype != dtype or typeof(x).weak_type else x


def default_float() -> Any:
    """float32, or float64 under x64."""
    return dtypes.canonical_dtype(dtypes.float64)


def default_int() -> Any:
    """int32, or int64 under x64."""
    return dtypes.canonical_dtype(dtypes.int64)
