"""Array constants as types and bytes, for saving, hashing and checking programs.

Bytes are little-endian in C order.  Arrays may be of any class that NumPy can
read.  Typed keys are known above this floor only: `key_words` and `make_key`
are put here by whoever defines them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.errors import DtypeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType


def key_words(keys: Any) -> Any:
    """The uint32 words of an array of keys; filled in by the floor that has keys."""
    raise DtypeError("constants of key dtype cannot be read: minijax.tracing has not been imported")


def make_key(words: np.ndarray[Any, Any], dtype: Any) -> Any:
    """The array of keys made of these words; filled in by the floor that has keys."""
    raise DtypeError("constants of key dtype cannot be made: minijax.tracing has not been imported")


def const_type(value: Any) -> ArrayType:
    """The type of an array constant, never weak."""
    if not hasattr(value, "dtype"):
        value = np.asarray(value)
    return ArrayType(tuple(value.shape), value.dtype)


def const_bytes(value: Any) -> bytes:
    """The bytes of an array constant."""
    return np.asarray(key_words(value) if dtypes.is_key(const_type(value).dtype) else value).tobytes()


def const_from_bytes(type: ArrayType, data: bytes) -> Any:
    """Undo `const_bytes`; raises `ValueError` if the number of bytes is not the type's."""
    shape, dtype = type.shape, type.dtype
    if dtypes.is_key(dtype):
        shape, dtype = (*shape, *dtype.key_shape), dtypes.uint32
    expected = ArrayType(shape, dtype).nbytes
    if len(data) != expected:
        raise ValueError(f"a constant of type {type!r} has {expected} bytes, got {len(data)}")
    array = np.ndarray(shape, dtype, buffer=data)
    return make_key(array, type.dtype) if dtypes.is_key(type.dtype) else array
