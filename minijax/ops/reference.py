"""The NumPy meaning of ops that are not one NumPy call: XLA's values on NumPy arrays.

NumPy arrays in, NumPy arrays out, of exactly the first operand's dtype (or the
stated one).  Floats narrower than 32 bits are computed in float32 and rounded
once.  Integers wrap around.  No warning escapes: an overflow is an infinity and
an invalid operation a NaN.  Indexing and shapes are in `reference_indexing.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
import scipy  # its submodules load when they are first used

from minijax.ir import dtypes
from minijax.util import size_of

Function = Callable[..., Any]


def quiet(function: Function) -> Function:
    """Silence NumPy's floating-point warnings in `function`."""
    @functools.wraps(function)
    def without_warnings(*args: Any, **params: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **params)

    return without_warnings


def wide(dtype: np.dtype) -> np.dtype:
    """The dtype to compute in: float32 for narrower floats, else `dtype` itself.

    >>> wide(np.dtype("float16"))
    dtype('float32')
    """
    return dtypes.float32 if dtypes.is_float(dtype) and dtype.itemsize < 4 else dtype


def widened(function: Function) -> Function:
    """Make `function` of arrays compute in wide floats, quietly, and return its first operand's dtype."""
    @functools.wraps(function)
    def in_wide_floats(x: np.ndarray, *rest: Any, **params: Any) -> np.ndarray:
        x = np.asarray(x)
        rest = tuple([each.astype(wide(each.dtype)) if isinstance(each, np.ndarray) else each for each in rest])
        with np.errstate(all="ignore"):
            return np.asarray(function(x.astype(wide(x.dtype)), *rest, **params)).astype(x.dtype)

    return in_wide_floats


def unsigned(dtype: np.dtype) -> np.dtype:
    """The unsigned integer dtype of the same width."""
    return np.dtype(f"uint{dtype.itemsize * 8}")


# ---- Functions of one number

erf = widened(lambda x: scipy.special.erf(x))
erfc = widened(lambda x: scipy.special.erfc(x))
erf_inv = widened(lambda x: np.copysign(scipy.special.erfinv(x), x))  # of -0.0 it is -0.0
cbrt = widened(np.cbrt)


@widened
def rsqrt(x: np.ndarray) -> np.ndarray:
    """1 / sqrt(x)."""
    return 1 / np.sqrt(x)


@widened
def logistic(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x)) if dtypes.is_complex(x.dtype) else scipy.special.expit(x)


@widened
def sign(x: np.ndarray) -> np.ndarray:
    """-1, 0 or 1; x / |x| for complex x; NaN for NaN, and zeros keep their sign."""
    if dtypes.is_complex(x.dtype):
        size = np.where(x == 0, 1, np.abs(x))
        return complex_(x.real / size, x.imag / size)
    return np.where(x == 0, x, np.sign(x))


@quiet
def complex_(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """real + i imag, without arithmetic that would spread a NaN from one part to the other."""
    out = np.empty(np.broadcast_shapes(np.shape(real), np.shape(imag)), dtypes.complex_dtype(real.dtype))
    out.real, out.imag = real, imag
    return out


@widened
def round_(x: np.ndarray, rounding_method: int) -> np.ndarray:
    """Nearest integer; halves go away from zero (method 0) or to the even one (1)."""
    if int(rounding_method) == 1:
        return np.rint(x)
    whole = np.trunc(x)
    return np.where(np.isfinite(x), np.copysign(np.abs(whole) + (np.abs(x - whole) >= 0.5), x), x)


@widened
def integer_pow(x: np.ndarray, y: int) -> np.ndarray:
    """x to a whole power; x must be a float if the power is negative."""
    return np.power(x, y) if y >= 0 else 1 / np.power(x, -y)


def population_count(x: np.ndarray) -> np.ndarray:
    """Number of one bits."""
    return np.asarray(np.bitwise_count(x.view(unsigned(x.dtype)))).astype(x.dtype)


def clz(x: np.ndarray) -> np.ndarray:
    """Number of zero bits above the highest one bit."""
    bits, smeared = x.dtype.itemsize * 8, x.view(unsigned(x.dtype))
    shift = 1
    while shift < bits:
        smeared = smeared | (smeared >> smeared.dtype.type(shift))
        shift *= 2
    return np.asarray(bits - np.bitwise_count(smeared)).astype(x.dtype)


@quiet
def reduce_precision(x: np.ndarray, exponent_bits: int, mantissa_bits: int) -> np.ndarray:
    """Round to a float format of fewer bits that has infinities and no subnormals, kept in x's dtype."""
    info = ml_dtypes.finfo(x.dtype)
    word = unsigned(x.dtype).type
    bits = x.view(word)
    sign_bit = word(1) << word(info.bits - 1)
    if mantissa_bits < info.nmant:
        dropped = word(info.nmant - mantissa_bits)
        last = (bits >> dropped) & word(1)
        half = (word(1) << (dropped - word(1))) - word(1)
        bits = (bits + half + last) & ~((word(1) << dropped) - word(1))
    if exponent_bits < info.nexp:
        bias, reduced_bias = (1 << (info.nexp - 1)) - 1, (1 << (exponent_bits - 1)) - 1
        exponent = (bits & ~sign_bit) >> word(info.nmant)
        infinity = word((1 << info.nexp) - 1) << word(info.nmant)
        bits = np.where(exponent > bias + reduced_bias, (bits & sign_bit) | infinity, bits)
        bits = np.where(exponent <= bias - reduced_bias, bits & sign_bit, bits)
    return np.where(np.isnan(x), x, np.asarray(bits, word).view(x.dtype))


# ---- Functions of two and more

@widened
def pow_(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x to the power y, where y is of x's dtype or an integer."""
    return np.power(x, y.astype(x.dtype))


@quiet
def div(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Quotient; of integers truncated toward zero, with all bits set for a zero divisor."""
    if not dtypes.is_integer(x.dtype):
        return np.asarray(np.divide(x, y), x.dtype)
    divisor = np.where(y == 0, np.ones_like(y), y)
    floor = np.floor_divide(x, divisor)
    inexact = (floor * divisor != x) & ((x < 0) != (y < 0))
    return np.where(y == 0, ~np.zeros_like(x), floor + inexact.astype(x.dtype))


@quiet
def rem(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Remainder with the sign of x; of integers x itself for a zero divisor."""
    if not dtypes.is_integer(x.dtype):
        return np.asarray(np.fmod(x, y), x.dtype)
    divisor = np.where(y == 0, np.ones_like(y), y)
    return np.where(y == 0, x, np.fmod(x, divisor))


@quiet
def nextafter(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The next number after x in the direction of y; y itself if they are equal."""
    return np.where(x == y, y, np.nextafter(x, y))


@quiet
def clamp(low: np.ndarray, x: np.ndarray, high: np.ndarray) -> np.ndarray:
    """min(max(x, low), high); a NaN anywhere gives a NaN.  Complex numbers stand in the order of their real parts."""
    if np.iscomplexobj(x):
        x = np.where(low.real >= x.real, low, x)
        return np.where(x.real <= high.real, x, high)
    return np.asarray(np.minimum(np.maximum(x, low), high), x.dtype)


def select_n(which: np.ndarray, *cases: np.ndarray) -> np.ndarray:
    """Elements of the case that `which` (a bool or an integer, clamped to the cases) names."""
    index = which.astype(dtypes.int32) if which.dtype == dtypes.bool_ else which
    chosen = cases[0]
    for i, case in enumerate(cases[1:], 1):
        chosen = np.where(index >= i, case, chosen)
    return np.asarray(chosen)


def _shift(function: Function, x: np.ndarray, amount: np.ndarray, beyond: Any) -> np.ndarray:
    bits = x.dtype.itemsize * 8
    amount = amount.view(unsigned(amount.dtype))
    inside = amount < bits
    shifted = function(x, np.where(inside, amount, 0).astype(x.dtype))
    return np.where(inside, shifted, beyond).astype(x.dtype)


def shift_left(x: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Bits moved up; 0 once the amount reaches the width."""
    return _shift(np.left_shift, x, amount, 0)


def shift_right_logical(x: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Bits moved down with zeros coming in."""
    return _shift(np.right_shift, x.view(unsigned(x.dtype)), amount, 0).view(x.dtype)


def shift_right_arithmetic(x: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Bits moved down with copies of the highest bit coming in, for unsigned dtypes too."""
    signed = x.view(np.dtype(f"int{x.dtype.itemsize * 8}"))
    return _shift(np.right_shift, signed, amount, np.where(signed < 0, -1, 0)).view(x.dtype)


THREEFRY_PARITY, THREEFRY_ROTATIONS = 0x1BD11BDA, ((13, 15, 26, 6), (17, 29, 16, 24))


@quiet
def threefry2x32(k1: np.ndarray, k2: np.ndarray, x1: np.ndarray, x2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The block cipher Threefry-2x32 with 20 rounds (Salmon et al., 2011), elementwise on uint32."""
    k1, k2, x1, x2 = [np.asarray(each, dtypes.uint32) for each in np.broadcast_arrays(k1, k2, x1, x2)]
    keys = (k1, k2, k1 ^ k2 ^ np.uint32(THREEFRY_PARITY))
    x1, x2 = x1 + keys[0], x2 + keys[1]
    for block in range(5):
        for rotation in THREEFRY_ROTATIONS[block % 2]:
            x1 = x1 + x2
            x2 = x1 ^ ((x2 << np.uint32(rotation)) | (x2 >> np.uint32(32 - rotation)))
        x1 = x1 + keys[(block + 1) % 3]
        x2 = x2 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return np.asarray(x1), np.asarray(x2)


# ---- Conversions

@quiet
def convert_element_type(x: np.ndarray, new_dtype: Any) -> np.ndarray:
    """Change the dtype by value: floats saturate at the ends of an integer range, NaN becomes 0,
    complex numbers lose their imaginary part, and every number but 0 is True."""
    new_dtype = np.dtype(new_dtype)
    if dtypes.is_complex(x.dtype) and not dtypes.is_complex(new_dtype):
        x = x.real
    if new_dtype == dtypes.bool_:
        return np.asarray(x != 0)
    if not (dtypes.is_float(x.dtype) and dtypes.is_integer(new_dtype)):
        return x.astype(new_dtype)
    info = ml_dtypes.iinfo(new_dtype)
    low, high = int(info.min), int(info.max)
    whole = np.trunc(x.astype(dtypes.float64))
    inside = (whole > low) & (whole < high)
    saturated = np.where(whole >= high, high, np.where(whole <= low, low, 0))
    return np.where(inside, np.where(inside, whole, 0).astype(new_dtype), saturated.astype(new_dtype))


def bitcast_convert_type(x: np.ndarray, new_dtype: Any) -> np.ndarray:
    """Read the same bits as another dtype; a width ratio adds or takes away a trailing axis."""
    new_dtype, x = np.dtype(new_dtype), np.ascontiguousarray(x).reshape(x.shape)
    if x.dtype.itemsize == new_dtype.itemsize:
        return x.view(new_dtype)
    if x.dtype.itemsize > new_dtype.itemsize:
        return x[..., None].view(new_dtype)
    return x.view(new_dtype)[..., 0]


# ---- Reductions and scans

def _lowest(dtype: np.dtype) -> Any:
    if dtypes.is_inexact(dtype):
        return -np.inf
    return False if dtype == dtypes.bool_ else ml_dtypes.iinfo(dtype).min


def _highest(dtype: np.dtype) -> Any:
    if dtypes.is_inexact(dtype):
        return np.inf
    return True if dtype == dtypes.bool_ else ml_dtypes.iinfo(dtype).max


def _reduction(ufunc: np.ufunc, initial: Callable[[np.dtype], Any]) -> Function:
    @widened
    def reduce(x: np.ndarray, axes: Sequence[int]) -> np.ndarray:
        return ufunc.reduce(x, axis=tuple(axes), dtype=x.dtype, initial=np.asarray(initial(x.dtype), x.dtype)[()])

    return reduce


reduce_sum = _reduction(np.add, lambda dtype: 0)
reduce_prod = _reduction(np.multiply, lambda dtype: 1)
reduce_max = _reduction(np.maximum, _lowest)
reduce_min = _reduction(np.minimum, _highest)
reduce_or = _reduction(np.bitwise_or, lambda dtype: 0)
reduce_xor = _reduction(np.bitwise_xor, lambda dtype: 0)
reduce_and = _reduction(np.bitwise_and, lambda dtype: ~np.zeros((), dtype))


def argmax(x: np.ndarray, axis: int, index_dtype: Any) -> np.ndarray:
    """Index of the first largest element along an axis; a NaN is the largest of all."""
    return np.asarray(np.argmax(x.astype(wide(x.dtype)), axis=axis)).astype(index_dtype)


def argmin(x: np.ndarray, axis: int, index_dtype: Any) -> np.ndarray:
    """Index of the first smallest element along an axis; a NaN is the smallest of all."""
    return np.asarray(np.argmin(x.astype(wide(x.dtype)), axis=axis)).astype(index_dtype)


def _scan(ufunc: np.ufunc) -> Function:
    @widened
    def scan(x: np.ndarray, axis: int, reverse: bool = False) -> np.ndarray:
        ordered = np.flip(x, axis) if reverse else x
        result = ufunc.accumulate(ordered, axis=axis, dtype=x.dtype)
        return np.flip(result, axis) if reverse else result

    return scan


cumsum = _scan(np.add)
cumprod = _scan(np.multiply)
cummax = _scan(np.maximum)
cummin = _scan(np.minimum)
cumlogsumexp = _scan(np.logaddexp)


def _sort_keys(x: np.ndarray) -> list[np.ndarray]:
    """Real arrays that NumPy orders as XLA orders x, the leading one first."""
    return [x.real, x.imag] if dtypes.is_complex(x.dtype) else [x.astype(wide(x.dtype))]


def sort(*operands: np.ndarray, dimension: int, num_keys: int) -> tuple[np.ndarray, ...]:
    """Sort the operands together, stably, by the first `num_keys` of them.

    NaNs come last, -0.0 equals 0.0, complex numbers go by real, then imaginary part.
    """
    keys = [key for operand in operands[:num_keys] for key in _sort_keys(operand)]
    order = np.lexsort(keys[::-1], axis=dimension)
    return tuple([np.take_along_axis(operand, order, dimension) for operand in operands])


@quiet
def dot_general(a: np.ndarray, b: np.ndarray, dimension_numbers: Any, preferred_element_type: Any = None) -> np.ndarray:
    """Multiply and sum over contracted axes; the result has batch axes, then a's free axes, then b's.

    `dimension_numbers` is ((a's contracted, b's contracted), (a's batch, b's batch)).
    """
    (a_sum, b_sum), (a_batch, b_batch) = dimension_numbers
    out_dtype = np.dtype(preferred_element_type or np.result_type(a, b))
    compute = np.result_type(*[wide(each) for each in (a.dtype, b.dtype, out_dtype)])
    a_free = [i for i in range(a.ndim) if i not in (*a_sum, *a_batch)]
    b_free = [i for i in range(b.ndim) if i not in (*b_sum, *b_batch)]
    batch, summed = [a.shape[i] for i in a_batch], size_of([a.shape[i] for i in a_sum])
    rows, columns = [a.shape[i] for i in a_free], [b.shape[i] for i in b_free]
    left = a.astype(compute).transpose(*a_batch, *a_free, *a_sum)
    right = b.astype(compute).transpose(*b_batch, *b_sum, *b_free)
    product = np.matmul(left.reshape(*batch, size_of(rows), summed), right.reshape(*batch, summed, size_of(columns)))
    return convert_element_type(product.reshape((*batch, *rows, *columns)), out_dtype)
