"""fft: the discrete Fourier transform over the last axes, forward, inverse, and of real signals.

`fft_type` is 'fft', 'ifft', 'rfft' (real to the half spectrum) or 'irfft' (back); `fft_lengths`
are the sizes of the signal along the last axes.  It is linear; transposes do not conjugate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops import reference_special as reference
from minijax.ops.conversion import conj, real
from minijax.ops.families import linear_jvp, moveaxis, mul, scalar_like
from minijax.ops.slicing import pad
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import size_of

TYPES = ("fft", "ifft", "rfft", "irfft")


def _spectrum(fft_type: str, lengths: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of the operand's last axes ('irfft'), or the result's, that hold a spectrum."""
    return (*lengths[:-1], lengths[-1] // 2 + 1 if lengths[-1] else 0) if fft_type in ("rfft", "irfft") else lengths


def _fft_type(x: ArrayType, *, fft_type: str, fft_lengths: tuple[int, ...]) -> tuple[ArrayType]:
    if fft_type not in TYPES:
        raise MinijaxValueError(f"fft: {fft_type!r} is no kind of transform{at_line()}. "
                                f"Choose among {', '.join(TYPES)}.")
    wanted = dtypes.is_float if fft_type == "rfft" else dtypes.is_complex
    if not wanted(x.dtype) or dtypes.real_dtype(x.dtype).itemsize < 4:
        kind = "float32 or float64" if fft_type == "rfft" else "complex"
        raise DtypeError(f"fft: '{fft_type}' takes {kind} operands, got {x}{at_line()}. Convert with .astype(...).")
    rank, before = len(fft_lengths), x.shape[:x.ndim - len(fft_lengths)]
    signal, spectrum = tuple(fft_lengths), _spectrum(fft_type, fft_lengths) if rank else ()
    expected, result = (spectrum, signal) if fft_type == "irfft" else (signal, spectrum)
    if not 1 <= rank <= 3 or x.shape[x.ndim - rank:] != expected or rank > x.ndim:
        raise ShapeError(f"fft: {x} does not fit fft_lengths={fft_lengths} of '{fft_type}'{at_line()}. They are one to "
                         f"three sizes of the signal, and the last axes of the operand are {expected}.")
    number = dtypes.real_dtype(x.dtype)
    return (ArrayType((*before, *result), number if fft_type == "irfft" else dtypes.complex_dtype(number)),)


def _fft_transpose(cts: Any, x: Any, *, fft_type: str, fft_lengths: tuple[int, ...]) -> Any:
    ct = cts[0]
    if fft_type == "rfft":
        missing = [(0, 0, 0)] * (x.ndim - 1) + [(0, fft_lengths[-1] - typeof(ct).shape[-1], 0)]
        return (real(fft(pad(ct, scalar_like(ct, 0.0), missing), "fft", fft_lengths)),)
    if fft_type == "irfft":  # each frequency but the first and the middle one stands for two
        spectrum = fft(ct, "rfft", fft_lengths)
        last, count = fft_lengths[-1], x.shape[-1]
        weights = np.array([1.0 if k == 0 or 2 * k == last else 2.0 for k in range(count)]) / size_of(fft_lengths)
        return (mul(conj(spectrum), _broadcast(weights.astype(x.dtype), x.shape)),)
    return (fft(ct, fft_type, fft_lengths),)


def _broadcast(weights: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(weights, shape))


def _fft_batch(size: int, args: Any, axes: Any, **params: Any) -> Any:
    return fft_p.bind(moveaxis(args[0], axes[0], 0), **params), (0,)


def _fft_cost(x: ArrayType, *, fft_type: str, fft_lengths: tuple[int, ...]) -> int:
    """5 n log2(n) for each transform of n points, half of that if real."""
    points = size_of(fft_lengths)
    many = size_of(x.shape[:x.ndim - len(fft_lengths)])
    return 5 * many * points * max(points - 1, 0).bit_length() // (2 if fft_type in ("rfft", "irfft") else 1)


fft_p = Op("fft", type=_fft_type, eval=lambda x, **params: (reference.fft(x, **params),), transpose=_fft_transpose,
           batch=_fft_batch, cost=_fft_cost)
fft_p.jvp = linear_jvp(fft_p)


def fft(x: Any, fft_type: str, fft_lengths: Sequence[int]) -> Any:
    """Fourier transform over the last axes; the header of this module explains the parameters.

    >>> np.asarray(fft(np.ones(4, np.float32), 'rfft', (4,))).real
    array([4., 0., 0.], dtype=float32)
    """
    return fft_p.bind(x, fft_type=fft_type, fft_lengths=tuple(fft_lengths))[0]
