"""Scalars read back from their text; `ir/scalars.py` wrote it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.jaxpr import Literal
from minijax.ir.types import ArrayType

_number = r"(?:inf|nan|[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)"
NUMBER = rf"-?{_number}(?![\w-])"
COMPLEX = rf"\(-?{_number}[+-]{_number}j\)"
_complex_parts = re.compile(rf"\((-?{_number})([+-]{_number})j\)")


def read_scalar(text: str, dtype: Any) -> Any:
    """The NumPy scalar that `write_scalar` wrote; raises `ValueError` or `OverflowError`.

    >>> float(read_scalar('0.5', dtypes.float32))
    0.5
    """
    if dtypes.is_key(dtype) or (text in ("True", "False")) != (dtype == dtypes.bool_):
        raise ValueError(f"{text} is not a scalar of dtype {dtypes.short_name(dtype)}")
    if dtype == dtypes.bool_:
        return np.bool_(text == "True")
    if text.startswith("0x"):
        return np.frombuffer(int(text, 16).to_bytes(dtype.itemsize, "little"), dtype)[0]
    if dtype == dtypes.float0:
        return np.zeros((), dtype)[()]
    if dtypes.is_integer(dtype):
        return dtype.type(int(text))
    with np.errstate(all="ignore"):
        return dtype.type(read_complex(text) if dtypes.is_complex(dtype) else float(text))


def read_complex(text: str) -> complex:
    """The Python number of `(1.0-0.0j)`; raises `ValueError`."""
    parts = _complex_parts.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text} is not a complex number")
    return complex(float(parts[1]), float(parts[2]))


def read_literal(text: str, type: ArrayType) -> Literal:
    """The literal of a scalar type; a weak one holds a Python scalar.  Raises as `read_scalar` does."""
    if type.shape:
        raise ValueError(f"a literal is a scalar, its type cannot be {type!r}")
    value = read_scalar(text, type.dtype)
    return Literal(value.item() if type.weak_type else value, type)
