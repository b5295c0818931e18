"""Random bits from counters: the Threefry cipher, typed keys, and how keys and bits are derived.

A key is two uint32 words (`key_data`, shape [2]); random bits are the cipher of the numbers 0, 1, 2, ...
under the key, so each element depends on the key and its own position only.  `random_bits`, `split`,
`fold_in` and `seed` give today's JAX's numbers (`jax_threefry_partitionable=True`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops import reference
from minijax.ops.bits import bitwise_or, bitwise_xor, shift_left, shift_right_logical
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import (elementwise_batch, elementwise_cost, elementwise_shape, moveaxis,
                                  no_cost, reshape, same_dtype, shape_of, zero_derivative)
from minijax.ops.structural import concatenate, expand_dims, iota, split as split_axis, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import size_of


# ---- threefry2x32: 20 rounds on pairs of words, elementwise

def _threefry_type(*types: ArrayType, unroll: bool) -> tuple[ArrayType, ArrayType]:
    if len(types) != 4 or same_dtype("threefry2x32", types) != dtypes.uint32:
        raise DtypeError(f"threefry2x32 takes four uint32 operands, got {types}{at_line()}.")
    out = ArrayType(elementwise_shape("threefry2x32", types), dtypes.uint32)
    return out, out


def _threefry_batch(size: int, args: Any, axes: Any, *, unroll: bool) -> Any:
    outs, (axis,) = elementwise_batch(threefry2x32_p)(size, args, axes, unroll=unroll)
    return outs, (axis, axis)


def _threefry_eval(*words: np.ndarray, unroll: bool) -> tuple[np.ndarray, np.ndarray]:
    return reference.threefry2x32(*words)


# Unrolled, the rounds compile to straight code, made for many words; else to a loop, made for keys (the same words).
threefry2x32_p = Op("threefry2x32", type=_threefry_type, eval=_threefry_eval, batch=_threefry_batch,
                    cost=elementwise_cost(110), traits={"elementwise"}, undeclared=("transpose",))
threefry2x32_p.jvp = zero_derivative(threefry2x32_p)


# ---- typed keys

def _wrap_type(words: ArrayType, *, impl: str) -> tuple[ArrayType]:
    dtype = dtypes.key_dtypes.get(impl)
    if dtype is None:
        raise MinijaxValueError(f"random_wrap: {impl!r} is not a kind of key{at_line()}. "
                                f"Known kinds: {', '.join(dtypes.key_dtypes)}.")
    if words.dtype != dtypes.uint32 or words.shape[words.ndim - len(dtype.key_shape):] != dtype.key_shape:
        raise ShapeError(f"random_wrap: {words} does not hold keys of kind {impl!r}{at_line()}. "
                         f"They are uint32 words of shape {dtype.key_shape} in the last axes.")
    return (ArrayType(words.shape[:words.ndim - len(dtype.key_shape)], dtype),)


def _unwrap_type(keys: ArrayType) -> tuple[ArrayType]:
    if not dtypes.is_key(keys.dtype):
        raise DtypeError(f"random_unwrap takes keys, got {keys}{at_line()}. Make keys with minijax.random.key.")
    return (ArrayType((*keys.shape, *keys.dtype.key_shape), dtypes.uint32),)


def _wrap_eval(words: np.ndarray, *, impl: str) -> tuple[np.ndarray]:
    key_shape = dtypes.key_dtypes[impl].key_shape
    dtype = np.dtype([(impl, np.uint32, key_shape)])
    return (np.ascontiguousarray(words).view(dtype).reshape(words.shape[:words.ndim - len(key_shape)]),)


def _unwrap_eval(keys: np.ndarray) -> tuple[np.ndarray]:
    return (keys[keys.dtype.names[0]],)  # type: ignore[index]


def _key_batch(size: int, args: Any, axes: Any, **params: Any) -> Any:
    op = random_wrap_p if params else random_unwrap_p
    return op.bind(moveaxis(args[0], axes[0], 0), **params), (0,)


random_wrap_p = Op("random_wrap", type=_wrap_type, eval=_wrap_eval, batch=_key_batch, cost=no_cost,
                   traits={"structural"}, undeclared=("transpose",))
random_unwrap_p = Op("random_unwrap", type=_unwrap_type, eval=_unwrap_eval, batch=_key_batch, cost=no_cost,
                     traits={"structural"}, undeclared=("transpose",))
random_wrap_p.jvp = zero_derivative(random_wrap_p)
random_unwrap_p.jvp = zero_derivative(random_unwrap_p)


def random_wrap(key_data: Any, impl: str = "fry") -> Any:
    """Typed keys from their words, uint32[..., 2]."""
    return random_wrap_p.bind(key_data, impl=impl)[0]


def random_unwrap(keys: Any) -> Any:
    """The words of typed keys, uint32[..., 2]."""
    return random_unwrap_p.bind(keys)[0]


def placeholder(type: ArrayType) -> Any:
    """Some value of a type, for a place that is not read: zeros, or keys of zeros."""
    if not dtypes.is_key(type.dtype):
        return zeros_of(type)
    return random_wrap(zeros_of(ArrayType((*type.shape, *type.dtype.key_shape), dtypes.uint32)), type.dtype.tag)


# ---- what is made of them

def _cipher(key_data: Any, high: Any, low: Any, unroll: bool = False) -> tuple[Any, Any]:
    if shape_of(key_data) != (2,) or typeof(key_data).dtype != dtypes.uint32:
        raise ShapeError(f"The words of one key are uint32[2], got {typeof(key_data)}{at_line()}. "
                         "Use vmap for an array of keys.")
    first, second = [reshape(word, ()) for word in split_axis(key_data, (1, 1))]
    return threefry2x32_p.bind(first, second, high, low, unroll=unroll)


def _cipher_of_positions(key_data: Any, shape: Sequence[int], unroll: bool = False) -> tuple[Any, Any]:
    """The cipher of the positions 0, 1, 2, ... in an array of this shape, row by row."""
    size = size_of(shape)
    if size > 2**32:
        raise MinijaxValueError(f"{size} random numbers at once are too many{at_line()}: draw at most 2**32 of a key.")
    if not shape:
        return _cipher(key_data, np.uint32(0), np.uint32(0), unroll)
    return _cipher(key_data, np.uint32(0), reshape(iota(dtypes.uint32, (size,)), shape), unroll)


def random_bits(key_data: Any, bit_width: int, shape: Sequence[int]) -> Any:
    """Uniform unsigned integers of 8, 16, 32 or 64 bits (64 needs x64)."""
    if bit_width not in (8, 16, 32, 64):
        raise MinijaxValueError(f"Random bits come in widths 8, 16, 32 and 64, not {bit_width}{at_line()}.")
    high, low = _cipher_of_positions(key_data, shape, unroll=True)
    dtype = np.dtype(f"uint{bit_width}")
    if bit_width < 64:
        return convert_element_type(bitwise_xor(high, low), dtype)
    return bitwise_or(shift_left(convert_element_type(high, dtype), np.uint64(32)), convert_element_type(low, dtype))


def split(key_data: Any, shape: Sequence[int]) -> Any:
    """An array of new keys, uint32[*shape, 2]."""
    return _as_words(*_cipher_of_positions(key_data, shape))


def fold_in(key_data: Any, data: Any) -> Any:
    """The key of a key and an integer scalar, of which the lower 32 bits count."""
    return _as_words(*_cipher(key_data, np.uint32(0), _low_word(data)))


def seed(value: Any) -> Any:
    """The words of the key of an integer seed; a traced or array seed must be a scalar.

    >>> np.asarray(seed(42))
    array([ 0, 42], dtype=uint32)
    """
    if not isinstance(value, int) and (shape_of(value) or not dtypes.is_integer(typeof(value).dtype)):
        raise DtypeError(f"A seed is an integer scalar, got {typeof(value)}{at_line()}.")
    if isinstance(value, int):
        value = int(np.int64(value)) & (2 ** (8 * dtypes.canonical_dtype(int).itemsize) - 1)
        return _as_words(np.uint32(value >> 32), np.uint32(value & 0xFFFFFFFF))
    dtype = typeof(value).dtype
    high = np.uint32(0) if dtype.itemsize < 8 else convert_element_type(
        shift_right_logical(value, dtype.type(32)), dtypes.uint32)
    return _as_words(high, _low_word(value))


def _low_word(value: Any) -> Any:
    if isinstance(value, int):
        return np.uint32(value & 0xFFFFFFFF)
    return convert_element_type(value, dtypes.uint32)


def _as_words(high: Any, low: Any) -> Any:
    last = len(shape_of(low))
    return concatenate([expand_dims(high, (last,)), expand_dims(low, (last,))], last)
