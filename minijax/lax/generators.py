"""Random bits of the backend, and barriers to its optimizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax import pytree
from minijax.ir import dtypes
from minijax.lax.elementwise import like_arrays
from minijax.lax.enums import RandomAlgorithm
from minijax.ops import generators
from minijax.ops.operands import operand as as_operand, whole_numbers


def rng_bit_generator(key: Any, shape: Sequence[int], dtype: Any = dtypes.uint32,
                      algorithm: Any = RandomAlgorithm.RNG_DEFAULT, *, out_sharding: Any = None) -> tuple[Any, Any]:
    """(the next key, random bits of a shape and unsigned dtype) from a key uint32[4] or uint64[2].

    The algorithm is a member of `RandomAlgorithm`, or 'default', 'three_fry' or 'philox'; the default is the
    backend's own and may differ between backends.

    >>> import numpy as np
    >>> rng_bit_generator(np.uint32([0, 0, 0, 0]), (2,), algorithm='philox')[1]
    Array([1713891541, 3781805453], dtype=uint32)
    """
    name = algorithm if isinstance(algorithm, str) else RandomAlgorithm(int(algorithm)).name
    return generators.rng_bit_generator_p.bind(
        as_operand("rng_bit_generator", key), shape=whole_numbers("rng_bit_generator", "shape", shape, 0),
        dtype=dtypes.canonical_dtype(dtype), algorithm=name.lower().removeprefix("rng_"))


def rng_uniform(a: Any, b: Any, shape: Sequence[int]) -> Any:
    """Numbers between the scalars a and b (exclusive) from the device's hidden state: two draws differ.

    It cannot be repeated, and has no derivative and no batched form; use `minijax.random.uniform`.

    >>> rng_uniform(0.0, 1.0, (3,)).shape
    (3,)
    """
    low, high = like_arrays(a, b)
    return generators.rng_uniform_p.bind(low, high, shape=whole_numbers("rng_uniform", "shape", shape, 0))[0]


def optimization_barrier(operand: Any, /) -> Any:
    """The same pytree of values, across which a compiler moves no work: all are ready before any is used.

    >>> optimization_barrier((1.0, 2.0))
    (Array(1., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    leaves, tree = pytree.flatten(operand)
    return tree.unflatten(generators.optimization_barrier_p.bind(*leaves)) if leaves else operand
