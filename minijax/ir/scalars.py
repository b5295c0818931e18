"""Scalars as text, in the shortest form that reads back to the same bits.

A value with no such decimal form (a NaN with a payload) is written as its
bits in hexadecimal: `0x7fc00001`.  `language/scalars.py` reads both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.jaxpr import Literal


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
        parts = (number.real, number.imag) if dtypes.is_complex(dtype) else (number,)
        if any([part != part and part.tobytes() != np.asarray(np.nan, part.dtype).tobytes() for part in parts]):
            return f"0x{number.tobytes()[::-1].hex()}"
        return write_complex(number) if dtypes.is_complex(dtype) else _write_float(number)


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
    return repr(float(next((text for text in texts if type(number)(float(text)) == number), exact)))


def write_literal(literal: Literal) -> str:
    """A literal with its type: `2.0:f32[]`.

    >>> write_literal(Literal(2.0))
    '2.0:~f32[]'
    """
    return f"{write_scalar(literal.value, literal.type.dtype)}:{literal.type!r}"
