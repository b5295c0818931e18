"""Random order and random picks: permutation, choice, categorical."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from minijax.errors import MinijaxIndexError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.ops import random as ops
from minijax.ops.arithmetic import div, neg, sub
from minijax.ops.comparison import lt, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.elementwise import log
from minijax.ops.families import add, broadcast_in_dim, moveaxis, mul, reshape
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from minijax.ops.promotion import broadcast_shapes, broadcast_to
from minijax.ops.reductions import argmax
from minijax.ops.scans import cumsum
from minijax.ops.slicing import slice_
from minijax.ops.sorting import sort
from minijax.ops.structural import iota, zeros_of
from minijax.random.distributions import as_mode, gumbel_of
from minijax.random.keys import as_float, as_shape, check_key, kernel, refuse_sharding, two, words
from minijax.random.uniform import as_operand, randint_of, uniform_of
from minijax.tracing.array import is_value, typeof
from minijax.util import size_of


def canonical(name: str, axis: Any, ndim: int, error: Any = MinijaxValueError) -> int:
    """An axis as a number from 0; raises `error`."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise error(f"random.{name}: axis={axis} is no axis of an array of {ndim} axes. Use -{ndim} to {ndim - 1}.")
    return axis % ndim


def population(name: str, x: Any) -> Any:
    """An int for the numbers below it, or an array; raises `MinijaxTypeError`."""
    if not is_value(x):
        raise MinijaxTypeError(f"random.{name} takes an int or an array, got a {type(x).__name__}. "
                               "Convert it with minijax.numpy.asarray(...).")
    return x if typeof(x).shape else None


# ---- Inside kernels

def shuffled(key_words: Any, x: Any, axis: int) -> Any:
    """`x` sorted along an axis by random bits, as often as makes equal bits harmless."""
    rounds = math.ceil(3 * math.log(max(1, typeof(x).size)) / math.log(2**32 - 1))
    for _ in range(rounds):
        key_words, fresh = two(key_words)
        _, x = sort([ops.random_bits(fresh, 32, typeof(x).shape), x], axis)
    return x


def take(x: Any, indices: Any, axis: int) -> Any:
    """The slices of `x` at indices that are inside, along an axis."""
    shape, rank = typeof(x).shape, len(typeof(indices).shape)
    kept = tuple([i if i < axis else i + rank - 1 for i in range(len(shape)) if i != axis])
    numbers = GatherDimensionNumbers(offset_dims=kept, collapsed_slice_dims=(axis,), start_index_map=(axis,))
    sizes = tuple([1 if i == axis else n for i, n in enumerate(shape)])
    vectors = reshape(indices, (*typeof(indices).shape, 1))
    return gather(x, vectors, numbers, sizes, mode=GatherScatterMode.CLIP)


def largest(x: Any, count: int, axis: int) -> Any:
    """Positions of the `count` largest elements along an axis, the first ones of equals."""
    shape = typeof(x).shape
    _, order = sort([neg(x), iota(dtypes.int32, shape, axis)], axis)
    return slice_(order, (0,) * len(shape), tuple([count if i == axis else n for i, n in enumerate(shape)]))


def first_not_below(ascending: Any, x: Any) -> Any:
    """For each element of `x`, the number of elements of a sorted vector that are less: a binary search."""
    size, shape = typeof(ascending).shape[0], typeof(x).shape
    zero, two_ = np.uint32(0), np.uint32(2)
    low, high = (broadcast_in_dim(np.uint32(n), shape, ()) for n in (zero, size))
    for _ in range(math.ceil(math.log2(size + 1))):
        middle = add(low, div(sub(high, low), two_))
        is_below = lt(take(ascending, middle, 0), x)
        low, high = select_n(is_below, low, middle), select_n(is_below, middle, high)
    return high


# ---- permutation

@kernel
def _permutation(key: Any, x: Any, axis: int, independent: bool) -> Any:
    shape = typeof(x).shape
    if independent or len(shape) == 1:
        return shuffled(words(key), x, axis)
    order = shuffled(words(key), iota(dtypes.canonical_dtype(int), (shape[axis],)), 0)
    return take(x, order, axis) if size_of(shape) else x


@kernel
def _permuted_range(key: Any, count: int, dtype: Any) -> Any:
    return shuffled(words(key), iota(dtype, (count,)), 0)


def permutation(key: Any, x: Any, axis: int = 0, independent: bool = False, *, out_sharding: Any = None) -> Any:
    """The slices of `x` along an axis in random order; an int stands for the numbers below it.

    With `independent` every vector along the axis gets an order of its own.

    >>> sorted(np.asarray(permutation(np.array([0, 7], np.uint32), 4)).tolist())
    [0, 1, 2, 3]
    """
    check_key("permutation", key)
    refuse_sharding("permutation", out_sharding)
    if population("permutation", x) is not None:
        return _permutation(key, x, canonical("permutation", axis, len(typeof(x).shape)), bool(independent))
    if not dtypes.is_integer(typeof(x).dtype):
        raise MinijaxTypeError(f"random.permutation takes an int or an array, got the scalar {x!r}.")
    count = max(operator.index(x), 0)
    canonical("permutation", axis, 1)
    return _permuted_range(key, count, dtypes.canonical_dtype(int))


# ---- choice

@kernel
def _pick(key: Any, count: int, shape: Any, dtype: Any) -> Any:
    return randint_of(words(key), dtype.type(0), dtype.type(count), shape, dtype)


@kernel
def _pick_weighted(key: Any, p: Any, shape: Any, dtype: Any) -> Any:
    sums = cumsum(p, 0)
    size = typeof(p).shape[0]
    total = reshape(slice_(sums, (size - 1,), (size,)), ())
    u = uniform_of(words(key), shape, typeof(p).dtype)
    return convert_element_type(first_not_below(sums, mul(total, sub(typeof(p).dtype.type(1), u))), dtype)


@kernel
def _pick_distinct_weighted(key: Any, p: Any, shape: Any, dtype: Any, mode: str) -> Any:
    scores = add(gumbel_of(words(key), typeof(p).shape, typeof(p).dtype, mode), log(p))
    return convert_element_type(reshape(largest(scores, size_of(shape), 0), shape), dtype)


def _start(x: Any, axis: int, count: int) -> Any:
    shape = typeof(x).shape
    return slice_(x, (0,) * len(shape), tuple([count if i == axis else n for i, n in enumerate(shape)]))


@kernel
def _pick_distinct(key: Any, count: int, shape: Any, dtype: Any) -> Any:
    return reshape(_start(_permuted_range(key, count, dtype), 0, size_of(shape)), shape)


_take = kernel(lambda x, indices, axis: take(x, indices, axis))


def choice(key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0,
           mode: str | None = None) -> Any:
    """Random picks from the numbers below an int `a`, or from the slices of an array along `axis`.

    `p` are the probabilities of each; without `replace` nothing is picked twice.

    >>> sorted(np.asarray(choice(np.array([0, 7], np.uint32), 3, (3,), replace=False)).tolist())
    [0, 1, 2]
    """
    check_key("choice", key)
    x = population("choice", a)
    shape = as_shape("choice", shape)
    axis = 0 if x is None else canonical("choice", axis, len(typeof(x).shape))
    count = operator.index(int(a)) if x is None else typeof(x).shape[axis]
    if not size_of(shape):
        return zeros_of(ArrayType(shape, dtypes.canonical_dtype(int) if x is None else typeof(x).dtype))
    _check_population(count, size_of(shape), replace)
    indices = _indices(key, count, shape, replace, p, as_mode("choice", mode))
    return indices if x is None else _take(x, indices, axis)


def _check_population(count: int, draws: int, replace: bool) -> None:
    if count <= 0:
        raise MinijaxValueError(f"random.choice: a={count} leaves nothing to pick from. It must be at least 1.")
    if not replace and draws > count:
        raise MinijaxValueError(f"random.choice cannot pick {draws} of {count} without replacement. "
                                "Pass replace=True, or ask for fewer.")


def _indices(key: Any, count: int, shape: tuple[int, ...], replace: bool, p: Any, mode: str) -> Any:
    dtype = dtypes.canonical_dtype(int)
    if p is None:
        return (_pick if replace else _pick_distinct)(key, count, shape, dtype)
    if typeof(as_operand("choice", "p", p)).shape != (count,):
        raise MinijaxValueError(f"random.choice: p has shape {typeof(p).shape}, but there are {count} things to pick "
                                f"from. Pass {count} probabilities.")
    if not dtypes.is_float(typeof(p).dtype):
        p = convert_element_type(p, dtypes.canonical_dtype(float))
    return _pick_weighted(key, p, shape, dtype) if replace else _pick_distinct_weighted(key, p, shape, dtype, mode)


# ---- categorical

@kernel
def _categorical(key: Any, logits: Any, axis: int, shape: Any, mode: str, dtype: Any) -> Any:
    own = typeof(logits).shape
    prefix = shape[:len(shape) - len(own) + 1]
    noisy = list(shape[len(prefix):])
    noisy.insert(axis, own[axis])
    noise = gumbel_of(words(key), (*prefix, *noisy), typeof(logits).dtype, mode)
    return argmax(add(noise, broadcast_to(logits, (*prefix, *noisy))), len(prefix) + axis, dtype)


@kernel
def _distinct_categories(key: Any, logits: Any, axis: int, shape: Any, mode: str, dtype: Any) -> Any:
    own = typeof(logits).shape
    scores = add(logits, gumbel_of(words(key), own, typeof(logits).dtype, mode))
    count = size_of(shape[:len(shape) - len(own) + 1])
    return reshape(moveaxis(convert_element_type(largest(scores, count, axis), dtype), axis, 0), shape)


def categorical(key: Any, logits: Any, axis: int = -1, shape: Any = None, replace: bool = True,
                mode: str | None = None, *, out_sharding: Any = None) -> Any:
    """Positions along `axis`, each with probability softmax(logits); `shape` may put axes in front.

    Without `replace` the picks along those axes differ.  `mode="high"` resolves small probabilities better.

    >>> categorical(np.array([0, 7], np.uint32), np.array([-np.inf, 0.0, -np.inf], np.float32))
    Array(1, dtype=int32)
    """
    check_key("categorical", key)
    refuse_sharding("categorical", out_sharding)
    own = typeof(as_operand("categorical", "logits", logits)).shape
    as_float("categorical", typeof(logits).dtype)
    axis = canonical("categorical", axis, len(own), MinijaxIndexError)
    if own[axis] == 0:
        raise MinijaxValueError(f"random.categorical: logits of shape {own} have no categories along axis {axis}.")
    batch = (*own[:axis], *own[axis + 1:])
    shape = batch if shape is None else as_shape("categorical", shape)
    _check_batch(shape, batch)
    count = size_of(shape[:len(shape) - len(batch)])
    if not replace and count > own[axis]:
        raise MinijaxValueError(f"random.categorical cannot pick {count} of {own[axis]} categories, all different.")
    pick = _categorical if replace else _distinct_categories
    return pick(key, logits, axis, shape, as_mode("categorical", mode), dtypes.canonical_dtype(int))


def _check_batch(shape: tuple[int, ...], batch: tuple[int, ...]) -> None:
    if len(shape) < len(batch) or broadcast_shapes("random.categorical", (shape, batch)) != shape:
        raise ShapeError(f"random.categorical: shape={shape} does not end with the batch shape {batch} of the logits.")
