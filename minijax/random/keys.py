"""Keys: where random numbers come from.  Making, splitting, folding, wrapping and checking them.

A key is raw (uint32[2], `PRNGKey`) or typed (`key`); every function takes both and gives back the
kind it got.  Functions take one key: use `vmap` for an array of keys.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.api.jit import jit
from minijax.fusion import apart
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ops import random as ops
from minijax.ops.conversion import copy as copy_of
from minijax.ops.families import reshape
from minijax.ops.slicing import slice_
from minijax.tracing.array import is_value, typeof

_IMPLEMENTATION = "threefry2x32"
_STATIC = ("shape", "dtype", "mode", "axis", "count", "independent", "typed")


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` jitted, so that it gives the same bits eagerly, under `vmap` and in larger programs.

    Parameters with the names in `_STATIC` are static.
    """
    return apart(jit(function, static_argnames=tuple([name for name in inspect.signature(function).parameters
                                                      if name in _STATIC])))


# ---- Checking

def check_key(name: str, key: Any) -> None:
    """Raise unless `key` is one key: `MinijaxTypeError` for what is none, `MinijaxValueError` for several."""
    check_keys(name, key)
    t = typeof(key)
    shape = t.shape if dtypes.is_key(t.dtype) else t.shape[:-1]
    if shape:
        raise MinijaxValueError(f"random.{name} takes a single key, got an array of keys of shape {shape}. "
                                f"Use vmap(random.{name})(keys), or pick one of them.")


def check_keys(name: str, keys: Any) -> None:
    """Raise `MinijaxTypeError` unless `keys` is a key or an array of keys."""
    if not is_value(keys):
        raise MinijaxTypeError(f"random.{name}: the key is {keys!r:.100} of type {type(keys).__name__}, not a key. "
                               "Make one with random.key(seed).")
    t = typeof(keys)
    if dtypes.is_key(t.dtype):
        return
    if t.dtype != dtypes.uint32 or t.shape[-1:] != (2,):
        raise MinijaxTypeError(f"random.{name}: the key has type {t}, not a typed key or raw words u32[2]. "
                               "Make one with random.key(seed) or random.PRNGKey(seed), and pass it first.")


def as_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as an int or several; raises `ShapeError`."""
    try:
        sizes = tuple([operator.index(n) for n in shape]) if isinstance(shape, Sequence | np.ndarray) else (
            operator.index(shape),)
    except TypeError:
        raise ShapeError(f"random.{name}: a shape is made of ints known while tracing, got shape={shape!r}.") from None
    if any(n < 0 for n in sizes):
        raise ShapeError(f"random.{name}: shape={shape!r} has a negative size. Sizes are 0 or more.")
    return sizes


def as_float(name: str, dtype: Any, complex_too: bool = False) -> Any:
    """A floating-point dtype, the default one for None; raises `MinijaxValueError`."""
    dtype = dtypes.canonical_dtype(float if dtype is None else dtype)
    if not (dtypes.is_float(dtype) or complex_too and dtypes.is_complex(dtype)):
        raise MinijaxValueError(f"random.{name}: dtype={dtype} is not a floating-point dtype. Use one such as float32.")
    return dtype


def refuse_sharding(name: str, out_sharding: Any) -> None:
    """Raise for an argument that JAX has and minijax does not."""
    if out_sharding is not None:
        raise MinijaxValueError(f"random.{name}: out_sharding is not supported. Leave it None and use device_put.")


# ---- Words, inside kernels

def words(key: Any) -> Any:
    """The words of a key of either kind."""
    return ops.random_unwrap(key) if dtypes.is_key(typeof(key).dtype) else key


def like(key: Any, new_words: Any) -> Any:
    """Words as keys of the kind of `key`."""
    return ops.random_wrap(new_words) if dtypes.is_key(typeof(key).dtype) else new_words


def two(key_words: Any) -> tuple[Any, Any]:
    """Two new keys' words of a key's."""
    pair = ops.split(key_words, (2,))
    return reshape(slice_(pair, (0, 0), (1, 2)), (2,)), reshape(slice_(pair, (1, 0), (2, 2)), (2,))


# ---- Making keys

def _check_implementation(name: str, impl: Any) -> None:
    if impl not in (None, _IMPLEMENTATION, "fry") and not dtypes.is_key(impl):
        raise MinijaxValueError(f"random.{name}: impl={impl!r} is not supported. The kind of keys here is "
                                f"{_IMPLEMENTATION!r}; leave impl out.")


@kernel
def _seed(value: Any, typed: bool) -> Any:
    return ops.random_wrap(ops.seed(value)) if typed else ops.seed(value)


def _make_key(name: str, seed: Any, impl: Any, typed: bool) -> Any:
    _check_implementation(name, impl)
    if not is_value(seed) or not (dtypes.is_integer(typeof(seed).dtype) or typeof(seed).dtype == dtypes.bool_):
        raise MinijaxTypeError(f"random.{name}: the seed is {seed!r}, not an integer. Use one such as 0.")
    if typeof(seed).shape:
        raise MinijaxTypeError(f"random.{name}: the seed is an array of shape {typeof(seed).shape}, not a scalar. "
                               f"Use vmap(random.{name})(seeds).")
    return _seed(_machine_integer(name, seed), typed)


def _machine_integer(name: str, value: Any) -> Any:
    """A Python integer at the default width, where the bits above are dropped, as in C."""
    if not isinstance(value, int):
        return value
    if not -2**63 <= value < 2**63:
        raise MinijaxValueError(f"random.{name}: the seed {value} does not fit 64 bits. Use one below 2**63.")
    return np.int64(value).astype(dtypes.canonical_dtype(int))


def PRNGKey(seed: Any, *, impl: Any = None) -> Any:
    """A raw key, uint32[2], from an integer seed, which may be traced.

    Raises `MinijaxTypeError` if the seed is no integer scalar.

    >>> PRNGKey(0)
    Array([0, 0], dtype=uint32)
    """
    return _make_key("PRNGKey", seed, impl, False)


def key(seed: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """A typed key from an integer seed, which may be traced.

    >>> key(0).dtype
    key<fry>
    """
    return _make_key("key", seed, impl if dtype is None else dtype, True)


# ---- Keys from keys

@kernel
def _split(key: Any, shape: tuple[int, ...]) -> Any:
    return like(key, ops.split(words(key), shape))


def split(key: Any, num: int | Sequence[int] = 2) -> Any:
    """An array of `num` (an int or a shape) new keys; use each key once.

    >>> split(PRNGKey(0), 3).shape
    (3, 2)
    """
    check_key("split", key)
    return _split(key, as_shape("split", num))


@kernel
def _fold_in(key: Any, data: Any) -> Any:
    return like(key, ops.fold_in(words(key), data))


def fold_in(key: Any, data: Any) -> Any:
    """A new key from a key and an integer, such as a step's or a layer's number.

    Raises `MinijaxTypeError` for an array of data, `MinijaxValueError` for an int outside 32 bits.

    >>> fold_in(PRNGKey(0), 1).shape
    (2,)
    """
    check_key("fold_in", key)
    if not is_value(data) or typeof(data).shape:
        raise MinijaxTypeError(f"random.fold_in: the data is {data!r}, not an integer scalar. "
                               "Use vmap(random.fold_in, (None, 0))(key, data) for several.")
    if isinstance(data, int) and not 0 <= data < 2**32:
        raise MinijaxValueError(f"random.fold_in: the data {data} does not fit 32 bits without a sign. "
                                "Fold in `data & 0xFFFFFFFF`.")
    return _fold_in(key, np.uint32(data) if isinstance(data, int) else data)


@kernel
def _words(keys: Any) -> Any:
    return copy_of(words(keys))


def key_data(keys: Any) -> Any:
    """The words of keys, uint32[..., 2].

    >>> key_data(key(7))
    Array([0, 7], dtype=uint32)
    """
    check_keys("key_data", keys)
    return _words(keys)


_wrap = kernel(ops.random_wrap)


def wrap_key_data(key_bits_array: Any, *, impl: Any = None, dtype: Any = None) -> Any:
    """Typed keys from their words, uint32[..., 2].

    >>> wrap_key_data(PRNGKey(7)).shape
    ()
    """
    _check_implementation("wrap_key_data", impl if dtype is None else dtype)
    check_keys("wrap_key_data", key_bits_array)
    return _wrap(key_bits_array)


def key_impl(keys: Any) -> str:
    """The name of the keys' generator.

    >>> key_impl(key(0))
    'threefry2x32'
    """
    check_keys("key_impl", keys)
    return _IMPLEMENTATION


def key_dtype(impl_spec: Any = None) -> Any:
    """The dtype of typed keys.

    >>> key_dtype()
    key<fry>
    """
    _check_implementation("key_dtype", impl_spec)
    return dtypes.key_dtypes["fry"]


_clone = kernel(copy_of)


def clone(key: Any) -> Any:
    """A copy of a key, to say that using it twice is meant.

    >>> clone(PRNGKey(3))
    Array([0, 3], dtype=uint32)
    """
    check_keys("clone", key)
    return _clone(key)
