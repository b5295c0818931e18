"""The NumPy meaning of special functions, Fourier transforms, partial sorts and bit generators.

As in `reference.py`: NumPy arrays in, NumPy arrays out, of the first operand's dtype.
The special functions are SciPy's, worked out in double precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from minijax.ir import dtypes
from minijax.ops.reference import threefry2x32
from minijax.util import size_of

Function = Callable[..., Any]


def doubled(function: Callable[[], Function]) -> Function:
    """Make a function of real arrays compute in double precision, quietly, and return its first operand's dtype.

    `function` is a thunk: `scipy.special` loads when it is first used.
    """
    def in_doubles(*xs: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function()(*[x.astype(np.float64) for x in xs])).astype(xs[0].dtype)

    return in_doubles


# ---- special functions

lgamma = doubled(lambda: scipy.special.gammaln)
digamma = doubled(lambda: scipy.special.digamma)
igamma = doubled(lambda: scipy.special.gammainc)
igammac = doubled(lambda: scipy.special.gammaincc)
betainc = doubled(lambda: scipy.special.betainc)
zeta = doubled(lambda: scipy.special.zeta)
bessel_i0e = doubled(lambda: scipy.special.i0e)
bessel_i1e = doubled(lambda: scipy.special.i1e)


@lambda function: doubled(lambda: function)
def polygamma(m: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(-1)^(m+1) m! zeta(m+1, x); digamma for m = 0, NaN for an m that is no natural number."""
    value = (-1) ** (m + 1) * scipy.special.gamma(m + 1) * scipy.special.zeta(m + 1, x)
    return np.where((m < 0) | (m != np.floor(m)), np.nan, np.where(m == 0, scipy.special.digamma(x), value))


def _gamma_derivative(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dP(a, x)/da of the regularized lower incomplete gamma function P, by its power series

        P(a, x) = sum over n of x^(a+n) exp(-x) / Gamma(a+n+1).
    """
    a, x = np.broadcast_arrays(a, x)
    valid = (a > 0) & (x > 0) & np.isfinite(x)
    a, x = np.where(valid, a, 1.0), np.where(valid, x, 1.0)
    largest = x.max(initial=1.0)
    powers = a + np.arange(int(largest + 12 * np.sqrt(largest)) + 60).reshape(-1, *[1] * a.ndim)
    terms = np.exp(powers * np.log(x) - x - scipy.special.gammaln(powers + 1))
    return np.where(valid, np.sum(terms * (np.log(x) - scipy.special.digamma(powers + 1)), 0), np.nan)


@lambda function: doubled(lambda: function)
def igamma_grad_a(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dP(a, x)/da; 0 at x = 0."""
    return np.where((x == 0) & (a > 0), 0.0, _gamma_derivative(a, x))


@lambda function: doubled(lambda: function)
def random_gamma_grad(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """dx/da of a sample x of Gamma(a) at a fixed quantile: -(dP/da) / (dP/dx)."""
    density = np.exp((a - 1) * np.log(x) - x - scipy.special.gammaln(a))
    return np.where((x == 0) & (a > 0), 0.0, -_gamma_derivative(a, x) / density)


def mulhi(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The upper half of the bits of x * y, worked out with whole numbers of any size."""
    bits = x.dtype.itemsize * 8
    return np.asarray((x.astype(object) * y.astype(object)) >> bits, object).astype(x.dtype)


# ---- Fourier transforms

def fft(x: np.ndarray, fft_type: str, fft_lengths: tuple[int, ...]) -> np.ndarray:
    """Discrete Fourier transform over the last axes, by `np.fft`."""
    dtype = dtypes.real_dtype(x.dtype) if fft_type == "irfft" else dtypes.complex_dtype(dtypes.real_dtype(x.dtype))
    shape = (*x.shape[:x.ndim - len(fft_lengths)], *fft_lengths)
    if 0 in (*x.shape, *shape):
        return np.zeros((*shape[:-1], shape[-1] // 2 + 1) if fft_type == "rfft" and shape[-1] else shape, dtype)
    function: Any = getattr(np.fft, f"{fft_type}n")
    return function(x, fft_lengths, axes=tuple(range(-len(fft_lengths), 0))).astype(dtype)


# ---- the largest elements

def top_k(x: np.ndarray, k: int, axis: int, largest: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The k largest (or smallest) elements along an axis, in order, and their places; of equals, the first ones."""
    wide = x.astype(np.float64) if dtypes.is_float(x.dtype) else x
    if largest:  # a stable sort of the reversed array, read backwards
        order = x.shape[axis] - 1 - np.flip(np.argsort(np.flip(wide, axis), axis, kind="stable"), axis)
    else:
        order = np.argsort(wide, axis, kind="stable")
    order = np.take(order, np.arange(k), axis)
    return np.take_along_axis(x, order, axis), order.astype(dtypes.int32)


# ---- bit generators

def philox4x32(key: np.ndarray, counter: np.ndarray) -> np.ndarray:
    """The block cipher Philox-4x32 with 10 rounds (Salmon et al., 2011) of counters uint32[n, 4]."""
    mask = np.uint64(0xFFFFFFFF)
    c0, c1, c2, c3 = counter.astype(np.uint64).T
    k0, k1 = key.astype(np.uint64)
    for _ in range(10):
        p0, p1 = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (p1 >> np.uint64(32)) ^ c1 ^ k0, p1 & mask, (p0 >> np.uint64(32)) ^ c3 ^ k1, p0 & mask
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & mask, (k1 + np.uint64(0xBB67AE85)) & mask
    return np.stack([c0, c1, c2, c3], -1).astype(np.uint32)


def _philox(key: np.ndarray, start: int, shape: tuple[int, ...], words: int) -> tuple[np.ndarray, int]:
    """`words` 32-bit words for each element, in order, and the number of counters used.

    The key is also the upper half of the counters.
    """
    count = -(-size_of(shape) * words // 4)
    low = np.uint64(start) + np.arange(count, dtype=np.uint64)
    carry = (low < np.uint64(start)).astype(np.uint64)
    high = carry + key.view(np.uint64)
    halves = [half.astype(np.uint32) for each in (low, high) for half in (each & 0xFFFFFFFF, each >> np.uint64(32))]
    bits = philox4x32(key, np.stack(halves, -1)).reshape(-1)
    return bits[:size_of(shape) * words].reshape(*shape, words), count


def _threefry(key: np.ndarray, start: int, shape: tuple[int, ...], words: int) -> tuple[np.ndarray, int]:
    """Two words of the cipher go to one element, or to neighbours along the first even axis, else the last."""
    axis = next((i for i in range(len(shape)) if shape[i] % 2 == 0), len(shape) - 1)
    if words == 1 and shape:
        half = tuple([-(-n // 2) if i == axis else n for i, n in enumerate(shape)])
    else:
        half = shape
    positions = (np.uint64(start) + np.arange(size_of(half), dtype=np.uint64)).reshape(half)
    pair = threefry2x32(key[0], key[1], (positions & 0xFFFFFFFF).astype(np.uint32),
                        (positions >> np.uint64(32)).astype(np.uint32))
    if words == 2:
        return np.stack(pair, -1), size_of(half)
    both = np.stack(pair, axis + 1 if shape else 0)
    full = both.reshape(*half[:axis], -1, *half[axis + 1:]) if shape else both[0]
    return np.take(full, np.arange(shape[axis]), axis)[..., None] if shape else full[None], size_of(half)


def rng_bit_generator(key: np.ndarray, shape: tuple[int, ...], dtype: Any,
                      algorithm: str) -> tuple[np.ndarray, np.ndarray]:
    """(the next key, random bits): a key is two words of key and two of a counter; by default Philox, as on a CPU."""
    words = key.view(np.uint32)
    start = int(words[2]) + (int(words[3]) << 32)
    generator = _threefry if algorithm == "three_fry" else _philox
    with np.errstate(all="ignore"):
        bits, count = generator(words[:2], start, shape, 2 if np.dtype(dtype).itemsize == 8 else 1)
    after = (start + count) % 2**64
    new_key = np.array([words[0], words[1], after % 2**32, after >> 32], np.uint32).view(key.dtype)
    if bits.shape[-1] == 2:
        return new_key, np.ascontiguousarray(bits).view(np.uint64)[..., 0].astype(dtype)
    return new_key, bits[..., 0].astype(dtype)
