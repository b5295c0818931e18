"""Array constants as types and bytes, for saving, hashing and checking programs.

Bytes are little-endian in C order.  Arrays may be of any class that NumPy can read.
In NumPy, keys are structured arrays of their words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.types import ArrayType


def const_type(value: Any) -> ArrayType:
    """The type of an array constant, never weak."""
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    return ArrayType(tuple(value.shape), dtypes.as_dtype(value.dtype))


def const_bytes(value: Any) -> bytes:
    """The bytes of an array constant."""
    return np.asarray(value).tobytes()
