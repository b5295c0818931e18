"""Checks for functions of your own: of ranks, and of kinds of dtypes."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
import numpy as np
from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.numpy.operands import operand
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

KINDS = {float: dtypes.is_float, int: dtypes.is_integer, jnp.floating: dtypes.is_float, jnp.integer: dtypes.is_integer}


def rank_assert(inputs: Any, expected_ranks: Any) -> None:
    """Raise `ShapeError` unless each input has its rank, or one of its ranks.

        inputs            an array or scalar, or a list of them
        expected_ranks    for all: an int, or a set of ints;  or a list of those, one for each

    Raises `MinijaxValueError` for lists of different lengths.  (RLax of 2020; its place today is Chex.)

    >>> rank_assert([1.0, jnp.ones(3)], [0, {1, 2}])
    """
    for number, (x, expected) in enumerate(_pairs("rank_assert", "expected_ranks", inputs, expected_ranks)):
        options = expected if isinstance(expected, (set, frozenset)) else {expected}
        rank = typeof(operand("rlax.rank_assert", x)).ndim
        if rank not in options:
            raise ShapeError(f"rlax.rank_assert: input {number} is {typeof(operand('rlax.rank_assert', x))}, of rank "
                             f"{rank}, expected {' or '.join(map(str, sorted(options)))}{at_line()}. "
                             "For a batch, wrap the function in minijax.vmap.")


def type_assert(inputs: Any, expected_types: Any) -> None:
    """Raise `DtypeError` unless each input is of its kind: float, int, or one dtype.

        inputs            an array or scalar, or a list of them
        expected_types    for all: float, int, or a dtype;  or a list of those, one for each

    Raises `MinijaxValueError` for lists of different lengths.  (RLax of 2020; its place today is Chex.)

    >>> type_assert([1.0, jnp.arange(3)], [float, int])
    """
    for number, (x, expected) in enumerate(_pairs("type_assert", "expected_types", inputs, expected_types)):
        dtype = typeof(operand("rlax.type_assert", x)).dtype
        if not (KINDS[expected](dtype) if expected in KINDS else dtype == np.dtype(expected)):
            raise DtypeError(f"rlax.type_assert: input {number} is {typeof(operand('rlax.type_assert', x))}, expected "
                             f"{getattr(expected, '__name__', expected)}{at_line()}. Convert it with .astype(...).")


def _pairs(function: str, name: str, inputs: Any, expected: Any) -> zip:
    """Each input with what is expected of it."""
    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    expected = expected if isinstance(expected, (list, tuple)) else [expected] * len(inputs)
    if len(inputs) != len(expected):
        raise MinijaxValueError(f"rlax.{function}: {len(inputs)} inputs, but {len(expected)} {name}{at_line()}. "
                                "Give one for each input, or one for all.")
    return zip(inputs, expected, strict=True)
