"""Choosing among the rows of batches, for the batch rules of control flow."""

from __future__ import annotations

from typing import Any

from minijax.ops.comparison import select_n
from minijax.ops.conversion import stop_gradient
from minijax.ops.families import broadcast_in_dim, shape_of


def select_rows(which: Any, *cases: Any) -> Any:
    """`select_n` with one choice for each row (entry along axis 0) of the cases."""
    return select_n(broadcast_in_dim(which, shape_of(cases[0]), (0,)), *cases)


def smooth_rows(rows: Any, x: Any) -> Any:
    """`x`, with a derivative in the marked rows only: what is computed from the others reaches no gradient."""
    return select_rows(rows, stop_gradient(x), x)
