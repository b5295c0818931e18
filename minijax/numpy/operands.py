"""What the functions of this package share: reading operands, axes, dtypes and shapes."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.ops.conversion import convert_element_type
from minijax.ops.operands import axes_of, axis_of, operand, take_in
from minijax.tracing.array import Array, Tracer, typeof
from minijax.tracing.source import at_line

__all__ = ["axes_of", "axis_of", "converted", "default_float", "default_int", "dtype_of", "operand", "refuse",
           "shape_from",
           "take_in"]


def refuse(name: str, **options: Any) -> None:
    """Raise `NotImplementedError` for options of NumPy's that arrays here have no use for, unless None."""
    for key, value in options.items():
        if value is not None:
            raise NotImplementedError(f"{name}: the argument {key!r} is not supported: arrays are immutable. "
                                      "Leave it out.")


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
