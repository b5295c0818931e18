"""Array constants of programs: which there are, and their bytes, for saving, hashing and parsing.

Bytes are little-endian in C order.  In NumPy, keys are structured arrays of their words.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr, held_programs
from minijax.ir.types import ArrayType
from minijax.ir.walk import ordered_params
from minijax.tracing.array import Array


def all_consts(jaxpr: Jaxpr) -> list[Any]:
    """Constants of `jaxpr` and of the programs it holds, in the order in which its text names them.

    This is what `parse(str(jaxpr), consts)` asks for.
    """
    consts: list[Any] = []
    stack = [jaxpr]
    while stack:
        program = stack.pop()
        consts += program.consts
        inner = [p for eqn in program.eqns for p in held_programs(dict(ordered_params(eqn.params)))]
        stack += reversed(inner)
    return consts


def const_bytes(value: Any) -> bytes:
    """The bytes of an array constant."""
    array = Array.backend.to_numpy(value.value if type(value) is Array else value)
    return np.asarray(array).tobytes()


def const_from_bytes(type: ArrayType, data: bytes) -> Any:
    """Undo `const_bytes`; raises `ValueError` if the number of bytes is not the type's."""
    if len(data) != type.nbytes:
        raise ValueError(f"a constant of type {type!r} has {type.nbytes} bytes, got {len(data)}")
    return np.ndarray(type.shape, dtypes.numpy_dtype(type.dtype), buffer=data)
