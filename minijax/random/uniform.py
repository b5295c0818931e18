"""Uniform numbers: bits, floats in an interval, integers in a range.  The other distributions are made of these.

A float is made of random bits put behind the exponent of 1.0, which gives [1, 2), less 1.  Inside kernels the
functions ending in `_of` take a key's words.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ops import random as ops
from minijax.ops.arithmetic import max as maximum, min as minimum, rem, sub
from minijax.ops.bits import bitwise_and, bitwise_or, shift_right_logical
from minijax.ops.comparison import gt, le, select_n
from minijax.ops.conversion import bitcast_convert_type, convert_element_type
from minijax.ops.families import add, mul
from minijax.ops.promotion import broadcast_operands, broadcast_to
from minijax.random.keys import as_float, as_shape, check_key, kernel, refuse_sharding, two, words
from minijax.tracing.array import is_value, typeof


def as_operand(name: str, argument: str, x: Any) -> Any:
    """An argument that must be an array or a scalar; raises `MinijaxTypeError`."""
    if not is_value(x):
        raise MinijaxTypeError(f"random.{name}: {argument} is {x!r} of type {type(x).__name__}, "
                               "not an array or a scalar.")
    return x


def check_broadcast(name: str, argument: str, x: Any, shape: tuple[int, ...]) -> None:
    """Raise `ShapeError` unless an argument broadcasts to the shape of the result."""
    own = typeof(x).shape
    aligned = zip(reversed(own), reversed(shape), strict=False)
    if len(own) > len(shape) or any(n not in (1, m) for n, m in aligned):
        raise ShapeError(f"random.{name}: {argument} of shape {own} does not fit shape={shape}. "
                         "Give a shape that it broadcasts to.")


def spread(x: Any, shape: tuple[int, ...]) -> Any:
    """Scalars as they are, arrays broadcast to a shape."""
    return broadcast_to(x, shape) if typeof(x).shape else x


# ---- bits

@kernel
def _bits(key: Any, shape: Any, dtype: Any) -> Any:
    return ops.random_bits(words(key), 8 * dtype.itemsize, shape)


def bits(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Uniform unsigned integers of all bits of `dtype` (uint32 by default, uint64 under x64).

    >>> bits(np.array([0, 7], np.uint32), (3,), 'uint8').dtype
    dtype('uint8')
    """
    check_key("bits", key)
    refuse_sharding("bits", out_sharding)
    dtype = dtypes.canonical_dtype(np.uint64 if dtype is None else dtype)
    if not dtypes.is_unsigned(dtype):
        raise MinijaxValueError(f"random.bits: dtype={dtype} is not an unsigned integer dtype. Use one such as uint32.")
    return _bits(key, as_shape("bits", shape), dtype)


# ---- floats

def uniform_of(key_words: Any, shape: tuple[int, ...], dtype: Any, low: Any = 0.0, high: Any = 1.0) -> Any:
    """Uniform floats in [low, high), of a key's words."""
    low, high = (spread(as_dtype(x, dtype), shape) for x in (low, high))
    unit = _unit_interval(key_words, shape, dtype)
    return maximum(low, add(mul(unit, sub(*broadcast_operands("uniform", high, low))), low))


def as_dtype(x: Any, dtype: Any) -> Any:
    """A number at a dtype."""
    return convert_element_type(x, dtype) if hasattr(x, "shape") and not isinstance(x, np.generic) else dtype.type(x)


def _unit_interval(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Floats in [0, 1): as many random bits as the mantissa has."""
    width, mantissa = 8 * dtype.itemsize, int(ml_dtypes.finfo(dtype).nmant)
    drawn = 8 if mantissa < 8 else width
    unsigned = np.dtype(f"uint{width}")
    random = convert_element_type(ops.random_bits(key_words, drawn, shape), unsigned)
    one = np.ones((), dtype).view(unsigned)[()]
    in_one_to_two = bitwise_or(shift_right_logical(random, unsigned.type(drawn - mantissa)), one)
    return sub(bitcast_convert_type(in_one_to_two, dtype), dtype.type(1))


@kernel
def _uniform(key: Any, low: Any, high: Any, shape: Any, dtype: Any) -> Any:
    return uniform_of(words(key), shape, dtype, low, high)


def uniform(key: Any, shape: Any = (), dtype: Any = None, minval: Any = 0.0, maxval: Any = 1.0, *,
            out_sharding: Any = None) -> Any:
    """Uniform floats in [minval, maxval), which broadcast to `shape`.

    >>> x = uniform(np.array([0, 7], np.uint32), (1000,), minval=2.0, maxval=3.0)
    >>> bool(np.all((np.asarray(x) >= 2) & (np.asarray(x) < 3)))
    True
    """
    check_key("uniform", key)
    refuse_sharding("uniform", out_sharding)
    shape, dtype = as_shape("uniform", shape), as_float("uniform", dtype)
    for argument, x in (("minval", minval), ("maxval", maxval)):
        check_broadcast("uniform", argument, as_operand("uniform", argument, x), shape)
    return _uniform(key, minval, maxval, shape, dtype)


# ---- integers

def clip(x: Any, low: int, high: int) -> Any:
    """Integers moved into a range, as far as their own dtype holds it."""
    own = np.iinfo(typeof(x).dtype)
    low, high = (own.dtype.type(min(max(bound, own.min), own.max)) for bound in (low, high))
    return minimum(high, maximum(low, x))


def randint_of(key_words: Any, low: Any, high: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Uniform integers in [low, high) of 32 or 64 bits, of a key's words.

    Two draws make a number of twice the width, so that its remainder is nearly uniform.  A `high` beyond the
    dtype stands for its greatest number plus one.
    """
    bounds, unsigned = np.iinfo(dtype), np.dtype(f"uint{8 * dtype.itemsize}")
    beyond = gt(high, clip(typeof(high).dtype.type(np.iinfo(typeof(high).dtype).max), bounds.min, bounds.max))
    low, high = (convert_element_type(clip(x, bounds.min, bounds.max), dtype) for x in (low, high))
    low, high, beyond = broadcast_operands("randint", low, high, beyond)
    nonempty = gt(high, low)
    span = select_n(le(high, low), convert_element_type(sub(high, low), unsigned), unsigned.type(1))
    span = select_n(bitwise_and(beyond, nonempty), span, add(span, unsigned.type(1)))
    half = rem(unsigned.type(2 ** (4 * dtype.itemsize)), span)
    power, span, low = (spread(x, shape) for x in (rem(mul(half, half), span), span, low))
    upper, lower = (rem(ops.random_bits(k, 8 * dtype.itemsize, shape), span) for k in two(key_words))
    return add(low, convert_element_type(rem(add(mul(upper, power), lower), span), dtype))


@kernel
def _randint(key: Any, low: Any, high: Any, shape: Any, dtype: Any) -> Any:
    wide = dtype if dtype.itemsize >= 4 else dtypes.int32
    if wide != dtype:
        bounds = np.iinfo(dtype)
        low, high = (convert_element_type(x, wide) for x in (low, high))
        low, high = clip(low, bounds.min, bounds.max), clip(high, bounds.min, bounds.max + 1)
    drawn = randint_of(words(key), to_integer(low), to_integer(high), shape, wide)
    return convert_element_type(drawn, dtype)


def to_integer(x: Any) -> Any:
    """Integers as they are (small ones at 32 bits), others truncated."""
    dtype = typeof(x).dtype
    if dtypes.is_integer(dtype) and dtype.itemsize >= 4:
        return x
    return convert_element_type(x, dtypes.int32 if dtypes.is_integer(dtype) else dtypes.canonical_dtype(int))


def randint(key: Any, shape: Any, minval: Any, maxval: Any, dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Uniform integers in [minval, maxval), which broadcast to `shape`; minval where the range is empty.

    >>> sorted(set(np.asarray(randint(np.array([0, 7], np.uint32), (100,), -1, 2)).tolist()))
    [-1, 0, 1]
    """
    check_key("randint", key)
    refuse_sharding("randint", out_sharding)
    shape, dtype = as_shape("randint", shape), dtypes.canonical_dtype(int if dtype is None else dtype)
    if not dtypes.is_integer(dtype):
        raise DtypeError(f"random.randint: dtype={dtype} is not an integer dtype. Use one such as int32, "
                         "or random.uniform for floats.")
    low, high = (_bound(argument, x, shape) for argument, x in (("minval", minval), ("maxval", maxval)))
    return _randint(key, low, high, shape, dtype)


def _bound(argument: str, x: Any, shape: tuple[int, ...]) -> Any:
    """A bound of integers, checked; Python's at the default width."""
    check_broadcast("randint", argument, as_operand("randint", argument, x), shape)
    if not isinstance(x, int):
        return x
    default = dtypes.canonical_dtype(int)
    if not np.iinfo(default).min <= x <= np.iinfo(default).max:
        raise MinijaxValueError(f"random.randint: {argument}={x} does not fit {default}. Pass an array of a dtype that "
                                "holds it, or enable x64.")
    return default.type(x)
