"""Choosing among the rows of batches, for the batch rules of control flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.ops.comparison import select_n
from minijax.ops.conversion import stop_gradient
from minijax.ops.families import broadcast_in_dim, shape_of
from minijax.ops.reductions import argmax
from minijax.ops.slicing import dynamic_slice


def select_rows(which: Any, *cases: Any) -> Any:
    """`select_n` with one choice for each row (entry along axis 0) of the cases."""
    return select_n(broadcast_in_dim(which, shape_of(cases[0]), (0,)), *cases)


def smooth_rows(rows: Any, x: Any) -> Any:
    """`x`, with a derivative in the marked rows only: what is computed from the others reaches no gradient."""
    return select_rows(rows, stop_gradient(x), x)


def lend_row(rows: Any, xs: Sequence[Any], batched: Sequence[bool]) -> list[Any]:
    """Arrays, the batched ones with their first marked row in the place of each row that is not marked."""
    if not shape_of(rows)[0]:
        return list(xs)
    first = argmax(rows, 0)

    def lent(x: Any) -> Any:
        shape = shape_of(x)
        row = dynamic_slice(x, [first] + [0] * (len(shape) - 1), (1, *shape[1:]))
        return select_rows(rows, broadcast_in_dim(row, shape, range(len(shape))), x)

    return [lent(x) if has_rows else x for x, has_rows in zip(xs, batched, strict=True)]
