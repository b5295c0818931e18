"""How ops that move elements, index and draw bits differ from `jax.lax`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax

from minijax.lowering.table import rules
from minijax.ops import indexing, memory, random, slicing, structural
from minijax.ops.reference import THREEFRY_PARITY, THREEFRY_ROTATIONS

_IMPLEMENTATIONS = {"fry": "threefry2x32"}
_SPACES = {"device": jax.memory.Space.Device, "pinned_host": jax.memory.Space.Host}


def _is_key(x: Any) -> bool:
    return jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key)


def _pad(x: Any, value: Any, *, padding_config: Any) -> Any:
    if not _is_key(x):
        return lax.pad(x, value, padding_config)
    words, filler = jax.random.key_data(x), jax.random.key_data(value)
    padded = [lax.pad(words[..., i], filler[i], padding_config) for i in range(words.shape[-1])]
    return jax.random.wrap_key_data(jax.numpy.stack(padded, -1), impl=jax.random.key_impl(x))


def _starts(starts: tuple[Any, ...]) -> list[Any]:
    """Start indices; JAX looks at constants among them and would refuse negative ones."""
    return [x.dtype.type(max(int(x), 0)) if isinstance(x, np.generic) else x for x in starts]


def _dynamic_slice(x: Any, *starts: Any, slice_sizes: tuple[int, ...]) -> Any:
    return lax.dynamic_slice(x, _starts(starts), slice_sizes, allow_negative_indices=False)


def _dynamic_update_slice(x: Any, update: Any, *starts: Any) -> Any:
    return lax.dynamic_update_slice(x, update, _starts(starts), allow_negative_indices=False)


def _gather(x: Any, indices: Any, *, dimension_numbers: Any, mode: Any, **params: Any) -> Any:
    numbers = lax.GatherDimensionNumbers(**vars(dimension_numbers))
    return lax.gather(x, indices, numbers, mode=lax.GatherScatterMode[mode.name], **params)


def _scatter(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any, **params: Any) -> Any:
        numbers = lax.ScatterDimensionNumbers(**vars(dimension_numbers))
        return function(x, indices, updates, numbers, mode=lax.GatherScatterMode[mode.name], **params)

    return rule


def _rounds(number: Any, state: Any) -> Any:
    """Four rounds of Threefry; its three keys and the two lists of rotations take turns."""
    (x1, x2), (key1, key2, key3), (rotations, next_rotations) = state
    for left in rotations:
        x1 = lax.add(x1, x2)
        turned = lax.bitwise_or(lax.shift_left(x2, left), lax.shift_right_logical(x2, np.uint32(32) - left))
        x2 = lax.bitwise_xor(x1, turned)
    words = lax.add(x1, key1), lax.add(lax.add(x2, key2), lax.convert_element_type(number, np.uint32))
    return words, (key2, key3, key1), (next_rotations, rotations)


@functools.partial(jax.jit, static_argnames="unroll")
def _threefry(k1: Any, k2: Any, x1: Any, x2: Any, unroll: bool) -> tuple[Any, Any]:
    """Threefry's two words, as JAX's own op gives them.

    Unrolled, the rounds are one kernel together with what reads the words, and a million of them take a fifth of the
    time.  As a loop their words are there for good: a key is not derived anew wherever it is read.
    """
    key3 = lax.bitwise_xor(lax.bitwise_xor(k1, k2), np.uint32(THREEFRY_PARITY))
    state = (lax.add(x1, k1), lax.add(x2, k2)), (k2, key3, k1), tuple(np.uint32(THREEFRY_ROTATIONS))
    return lax.fori_loop(1, 6, _rounds, state, unroll=unroll)[0]


rules.update({
    structural.concatenate_p: lambda *xs, dimension: lax.concatenate(xs, dimension),
    structural.iota_p: lax.broadcasted_iota,
    slicing.pad_p: _pad,
    slicing.dynamic_slice_p: _dynamic_slice,
    slicing.dynamic_update_slice_p: _dynamic_update_slice,
    indexing.gather_p: _gather,
    indexing.scatter_p: _scatter(lax.scatter),
    indexing.scatter_add_p: _scatter(lax.scatter_add),
    indexing.scatter_mul_p: _scatter(lax.scatter_mul),
    indexing.scatter_min_p: _scatter(lax.scatter_min),
    indexing.scatter_max_p: _scatter(lax.scatter_max),
    memory.to_memory_p: lambda x, memory: jax.device_put(x, _SPACES[memory]),
    random.threefry2x32_p: lambda *words, unroll: _threefry(*jax.numpy.broadcast_arrays(*words), unroll=unroll),
    random.random_wrap_p: lambda words, *, impl: jax.random.wrap_key_data(words, impl=_IMPLEMENTATIONS[impl]),
    random.random_unwrap_p: jax.random.key_data,
})
