"""Scalars as text, in the shortest form that reads back to the same bits, and back.

A value with no such decimal form (a NaN with a payload) is written as its
bits in hexadecimal: `0x7fc00001`.
"""

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


def write_scalar(value: Any, dtype: Any) -> str:
    """The text of `value` as a scalar of `dtype`.

    >>> write_scalar(0.1, dtypes.bfloat16), write_scalar(1e-5, dtypes.float32), write_scalar(-0.0, dtypes.float16)
    ('0.1', '1e-05', '-0.0')
    """
    if dtype == dtypes.bool_:
        return str(bool(value))
    if dtypes.is_integer(dtype) or dtype == dtypes.float0:
        return "0" if dtype == dtypes.float0 else str(int(value))
    with np.errstate(all="ignore"):
        number = np.asarray(value).astype(dtype)[()]
    text = write_complex(number) if dtypes.is_complex(dtype) else _write_float(number)
    bits = number.tobytes()
    return text if read_scalar(text, dtype).tobytes() == bits else f"0x{bits[::-1].hex()}"


def write_complex(number: Any) -> str:
    """A Python or NumPy complex number: `(1.0-0.0j)`."""
    real, imag = _write_float(number.real), _write_float(number.imag)
    return f"({real}{'' if imag[0] == '-' else '+'}{imag}j)"


def _write_float(number: Any) -> str:
    if isinstance(number, float):
        return repr(float(number))
    if number.dtype in (dtypes.float16, dtypes.float32):
        return repr(float(str(number)))
    exact = float(number)
    texts = (f"{exact:.{digits}g}" for digits in range(1, 9))
    return repr(float(next((text for text in texts if read_scalar(text, number.dtype) == number), exact)))


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


def write_literal(literal: Literal) -> str:
    """A literal with its type: `2.0:f32[]`.

    >>> write_literal(Literal(2.0))
    '2.0:~f32[]'
    """
    return f"{write_scalar(literal.value, literal.type.dtype)}:{literal.type!r}"


def read_literal(text: str, type: ArrayType) -> Literal:
    """The literal of a scalar type; a weak one holds a Python scalar.  Raises as `read_scalar` does."""
    if type.shape:
        raise ValueError(f"a literal is a scalar, its type cannot be {type!r}")
    value = read_scalar(text, type.dtype)
    return Literal(value.item() if type.weak_type else value, type)
