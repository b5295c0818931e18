"""Bit generators of the backend, and `optimization_barrier`, which keeps a compiler from moving work across it.

`rng_bit_generator` is a function of its key; `rng_uniform` draws from the device's hidden state, so
that two draws differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_special as reference
from minijax.ops.families import accepts, any_number, moveaxis, no_cost, same_dtype, shape_of, zero_derivative
from minijax.ops.slicing import dynamic_update_slice, slice_
from minijax.ops.structural import expand_dims, squeeze
from minijax.tracing.source import at_line
from minijax.util import merge_lists, size_of

ALGORITHMS = ("default", "three_fry", "philox")
_KEYS = {(dtypes.uint32, (4,)), (dtypes.uint64, (2,))}


def _bits_type(key: ArrayType, *, shape: tuple[int, ...], dtype: Any, algorithm: str) -> tuple[ArrayType, ArrayType]:
    if algorithm not in ALGORITHMS:
        raise MinijaxValueError(f"rng_bit_generator: {algorithm!r} is no algorithm{at_line()}. "
                                f"Choose among {', '.join(ALGORITHMS)}.")
    if (key.dtype, key.shape) not in _KEYS:
        raise ShapeError(f"rng_bit_generator takes a key u32[4] or u64[2], got {key}{at_line()}.")
    if not dtypes.is_unsigned(dtype):
        raise DtypeError(f"rng_bit_generator draws unsigned integers, not {dtype}{at_line()}.")
    return ArrayType(key.shape, key.dtype), ArrayType(tuple(shape), dtype)


def _bits_batch(size: int, args: Any, axes: Any, *, shape: tuple[int, ...], **params: Any) -> Any:
    """As in JAX, a batch of keys draws from its first key, which alone moves on."""
    keys = moveaxis(args[0], axes[0], 0)
    rest = shape_of(keys)[1:]
    first = squeeze(slice_(keys, (0,) * (1 + len(rest)), (1, *rest)), (0,))
    new_key, bits = rng_bit_generator_p.bind(first, shape=(size, *shape), **params)
    start = [np.int32(0)] * (1 + len(rest))
    return (dynamic_update_slice(keys, expand_dims(new_key, (0,)), start), bits), (0, 0)


def _bits_cost(key: ArrayType, *, shape: tuple[int, ...], **params: Any) -> int:
    """About 30 operations for each number."""
    return 30 * size_of(shape)


rng_bit_generator_p = Op("rng_bit_generator", type=_bits_type, eval=reference.rng_bit_generator, batch=_bits_batch,
                         cost=_bits_cost, undeclared=("transpose",))
rng_bit_generator_p.jvp = zero_derivative(rng_bit_generator_p)


def _uniform_type(a: ArrayType, b: ArrayType, *, shape: tuple[int, ...]) -> tuple[ArrayType]:
    dtype = same_dtype("rng_uniform", (a, b))
    accepts("rng_uniform", dtype, lambda d: any_number(d) and not dtypes.is_complex(d), "real")
    if a.shape or b.shape:
        raise ShapeError(f"rng_uniform takes scalar bounds, got {a} and {b}{at_line()}.")
    return (ArrayType(tuple(shape), dtype),)


def _uniform_eval(a: np.ndarray, b: np.ndarray, *, shape: tuple[int, ...]) -> tuple[np.ndarray]:
    draw = np.random.default_rng().random(shape)
    return (np.asarray(a + (b - a) * draw).astype(a.dtype),)


rng_uniform_p = Op("rng_uniform", type=_uniform_type, eval=_uniform_eval, traits={"impure"},
                   cost=lambda a, b, *, shape: 30 * size_of(shape), undeclared=("jvp", "transpose", "batch"))


# ---- optimization_barrier ----

def _cross(values: Sequence[Any]) -> list[Any]:
    """The values behind the barrier, each `zero` as it is."""
    present = [x is not zero for x in values]
    crossed = optimization_barrier_p.bind(*[x for x in values if x is not zero])
    return merge_lists(present, [zero] * present.count(False), crossed)


def _barrier_jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    return optimization_barrier_p.bind(*primals), _cross(tangents)


optimization_barrier_p = Op(
    "optimization_barrier", type=lambda *types: types, eval=lambda *arrays: arrays, jvp=_barrier_jvp,
    transpose=lambda cts, *args: _cross(cts), batch=lambda size, args, axes: (optimization_barrier_p.bind(*args), axes),
    cost=no_cost)
