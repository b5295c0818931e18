"""Taking values in: scalars and other libraries' arrays as `Array`s, at a dtype, at an axis."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.types import scalar_type
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import at_line
from minijax.tracing.array import Array


def operand(name: str, x: Any) -> Any:
    """`x` as an Array: scalars and arrays of other libraries are taken in.  Raises `MinijaxTypeError` for the rest."""
    if isinstance(x, Array):
        return x
    type = scalar_type(x)
    if type is not None:
        return convert_element_type(x, type.dtype, type.weak_type)
    if Array.backend.is_foreign(x):
        return take_in(x)
    raise MinijaxTypeError(f"{name} takes arrays and scalars, got {x!r} of type {x.__class__.__name__}{at_line()}. "
                           "Convert it with minijax.numpy.asarray(...).")


def take_in(x: Any, dtype: Any = None) -> Array:
    """The Array of a concrete array of NumPy's or of JAX's; NumPy's is copied."""
    if isinstance(x, np.ndarray):
        if x.dtype.kind in "OSUMm":
            raise MinijaxTypeError(f"arrays of dtype {x.dtype} are not known here{at_line()}. "
                                   "Arrays hold numbers and bool.")
        x = x.astype(dtypes.canonical_dtype(dtype or x.dtype)) if x.dtype.names is None else x.copy()
    return Array(Array.backend.put(x, None))


def axis_of(name: str, axis: Any, ndim: int) -> int:
    """An axis as a number in range(ndim); raises `MinijaxValueError`."""
    number = whole(name, "an axis", axis)
    if not -ndim <= number < ndim:
        raise MinijaxValueError(f"{name}: axis {number} is out of bounds for an array of {ndim} axes{at_line()}. "
                                + (f"Choose among {-ndim} .. {ndim - 1}." if ndim else "Leave the axis out."))
    return number % ndim


def axes_of(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """One axis, several, or None for all, as a tuple of distinct numbers in range(ndim)."""
    if axis is None:
        return tuple(range(ndim))
    axes = tuple([axis_of(name, a, ndim) for a in (axis if isinstance(axis, (tuple, list)) else (axis,))])
    if len(set(axes)) != len(axes):
        raise MinijaxValueError(f"{name}: axis {axis} names an axis twice{at_line()}.")
    return axes


def whole(name: str, what: str, number: Any) -> int:
    """A parameter as an int; raises `MinijaxTypeError` for what is no whole number."""
    try:
        return operator.index(number)
    except MinijaxError:  # it is traced
        raise
    except TypeError:
        raise MinijaxTypeError(f"{name}: {what} is {number!r}{at_line()}, not an integer. Write int(...) if a whole "
                               "number is meant.") from None


def whole_numbers(name: str, what: str, numbers: Any, least: int | None = None) -> tuple[int, ...]:
    """A parameter as a tuple of ints; raises `MinijaxTypeError`, and `ShapeError` for numbers below `least`."""
    if not isinstance(numbers, Iterable):
        raise MinijaxTypeError(f"{name}: {what} is {numbers!r}{at_line()}, not a tuple of integers. Give one for each "
                               "axis: (n,) is a tuple of one.")
    found = tuple([whole(name, f"an element of {what}", number) for number in numbers])
    if least is not None and min(found, default=least) < least:
        raise ShapeError(f"{name}: {what} is {found}{at_line()}, of which none may be below {least}.")
    return found
