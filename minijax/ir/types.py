"""Types of IR values: shape, dtype, weakness; and the symbolic zero of a type."""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.config import state
from minijax.ir import dtypes
from minijax.util import size_of


class ArrayType:
    """The type of an array: `f32[3,4]`.

    `weak_type` marks values that come from Python scalars and yield in promotion.
    `varying` is the set of mapped axis names over which the value differs (empty
    outside `pmap` and `shard_map`).  Types compare by value and hash at once.

    >>> ArrayType((3, 4), np.dtype('float32'))
    f32[3,4]
    """

    __slots__ = ("shape", "dtype", "weak_type", "varying", "_hash")

    def __init__(self, shape: tuple[int, ...], dtype: Any, weak_type: bool = False,
                 varying: frozenset[Any] = frozenset()) -> None:
        self.shape = shape
        self.dtype = dtype
        self.weak_type = weak_type
        self.varying = varying
        self._hash = hash((shape, dtype, weak_type, varying))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, ArrayType) and self._hash == other._hash and self.shape == other.shape
            and self.dtype == other.dtype and self.weak_type == other.weak_type and self.varying == other.varying)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return size_of(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.size * int(self.dtype.itemsize)

    def update(self, **changes: Any) -> ArrayType:
        """This type with some of its fields changed."""
        fields = {"shape": self.shape, "dtype": self.dtype, "weak_type": self.weak_type, "varying": self.varying}
        return ArrayType(**{**fields, **changes})

    def matches(self, other: ArrayType) -> bool:
        """Whether the types agree but for weakness, and for the axes over which they vary."""
        return self.shape == other.shape and self.dtype == other.dtype

    @property
    def differentiable(self) -> bool:
        """Whether values of this type have tangents that are not always zero."""
        return dtypes.is_inexact(self.dtype)

    def __repr__(self) -> str:
        text = f"{dtypes.short_name(self.dtype)}[{','.join(str(n) for n in self.shape)}]"
        if self.varying:
            text += "{" + ",".join(str(name) for name in sorted(self.varying, key=str)) + "}"
        return f"~{text}" if self.weak_type else text


_python_scalars = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


def scalar_type(value: Any) -> ArrayType | None:
    """The type of a Python or NumPy scalar; None for anything else.

    >>> scalar_type(1.0), scalar_type(np.float32(1))
    (~f32[], f32[])
    """
    cls = type(value)
    key = cls, state.jax_enable_x64
    found = _scalar_types.get(key)
    if found is None:
        if cls in _python_scalars:
            found = ArrayType((), dtypes.canonical_dtype(_python_scalars[cls]), cls is not bool)
        elif isinstance(value, np.generic):
            found = ArrayType((), dtypes.canonical_dtype(value.dtype))
        else:
            return None
        _scalar_types[key] = found
    return found


_scalar_types: dict[tuple[type, bool], ArrayType] = {}


def const_type(value: Any) -> ArrayType:
    """The type of an array constant, never weak."""
    array = value if hasattr(value, "dtype") else np.asarray(value)
    return ArrayType(tuple(array.shape), dtypes.as_dtype(array.dtype))


class SymbolicZero:
    """A tangent or cotangent known to be zero: never computed, never printed.  Test `t is zero`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "zero"


zero = SymbolicZero()
