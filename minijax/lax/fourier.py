"""The Fourier transform as a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.errors import DtypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.lax.enums import FftType
from minijax.ops import fourier
from minijax.ops.conversion import convert_element_type
from minijax.ops.operands import operand
from minijax.tracing.source import at_line


def fft(x: Any, fft_type: FftType | str, fft_lengths: int | Sequence[int]) -> Any:
    """Discrete Fourier transform over the last axes, whose sizes in the signal are `fft_lengths` (one to three).

    `fft_type` is FFT, IFFT (complex to complex), RFFT (real to the half of the spectrum that determines the rest)
    or IRFFT (back), as a member of `FftType` or its name.  Numbers are converted to what the transform takes.

    >>> import numpy as np
    >>> fft(np.float32([1, 0, 0, 0]), 'fft', 4)
    Array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j], dtype=complex64)
    """
    name = fft_type.lower() if isinstance(fft_type, str) else FftType(int(fft_type)).name.lower()
    if name not in fourier.TYPES:
        raise MinijaxValueError(f"fft: {fft_type!r} is no kind of transform{at_line()}. Choose a member of FftType.")
    x = operand("fft", x)
    wide = x.dtype if dtypes.is_inexact(x.dtype) else dtypes.float32
    if name != "rfft":
        x = convert_element_type(x, dtypes.complex_dtype(wide))
    elif dtypes.is_complex(x.dtype):
        raise DtypeError(f"fft: RFFT takes real numbers, got {x.dtype}{at_line()}. Use FFT, or take the real part.")
    else:
        x = convert_element_type(x, wide)
    lengths = tuple(fft_lengths) if isinstance(fft_lengths, Sequence) else (fft_lengths,)
    return fourier.fft(x, name, tuple([int(n) for n in lengths]))
