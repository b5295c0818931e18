"""Ops that move elements without computing, and constants of a type."""

from __future__ import annotations

from typing import Any

from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.ops.families import broadcast_in_dim


def full_of(type: ArrayType, value: Any) -> Any:
    """An array of this type with every element `value`."""
    weak = type.weak_type and type.dtype == dtypes.canonical_dtype(float)
    scalar = value if weak and isinstance(value, float) else type.dtype.type(value)
    return broadcast_in_dim(scalar, type.shape, ())


def zeros_of(type: ArrayType) -> Any:
    """Zeros of this type."""
    return full_of(type, 0.0)


def ones_of(type: ArrayType) -> Any:
    """Ones of this type."""
    return full_of(type, 1.0)
