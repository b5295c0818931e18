"""States of a loop kept in the rows of arrays: which row holds the state before which step.

`positions[k]` is the step before which `rows[...][k]` was the state, FREE if the row may be used.  The last row is
for states that are not to be kept: the next such one takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.ir.dtypes import int32
from minijax.ops import operators as _operators  # noqa: F401: fills in the operators of tracers
from minijax.ops.arithmetic import rem
from minijax.ops.comparison import eq, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import broadcast_in_dim, reduce_sum, reshape, shape_of
from minijax.ops.reductions import argmin
from minijax.ops.slicing import dynamic_slice, dynamic_update_slice, slice_
from minijax.ops.structural import iota

FREE = np.int32(-1)
Values = Sequence[Any]


def read(row: Any, x: Any) -> Any:
    """One entry along the first axis."""
    shape = shape_of(x)[1:]
    return reshape(dynamic_slice(x, [row, *[np.int32(0)] * len(shape)], (1, *shape)), shape)


def write(row: Any, x: Any, value: Any) -> Any:
    """`x` with one entry along the first axis replaced."""
    shape = shape_of(value)
    return dynamic_update_slice(x, reshape(value, (1, *shape)), [row, *[np.int32(0)] * len(shape)])


def empty(slots: int, state: Values) -> tuple[Any, list[Any]]:
    """Positions and rows for `slots` states like this one, which all rows hold for now."""
    return (broadcast_in_dim(FREE, (slots + 1,), ()),
            [broadcast_in_dim(x, (slots + 1, *shape_of(x)), range(1, len(shape_of(x)) + 1)) for x in state])


def slots_of(positions: Any) -> Any:
    """The positions but that of the last row."""
    return slice_(positions, (0,), (shape_of(positions)[0] - 1,))


def free_slots(positions: Any) -> Any:
    """How many states more can be kept."""
    return reduce_sum(convert_element_type(slots_of(positions) < 0, int32), (0,))


def keep(wanted: Any, position: Any, positions: Any, rows: Values, state: Values) -> tuple[Any, list[Any]]:
    """Put a state into a free row, if there is one and the state is wanted, else into the last."""
    size, = shape_of(positions)
    row = select_n(wanted & (free_slots(positions) > 0), np.int32(size - 1), argmin(slots_of(positions), 0))
    positions = select_n(eq(iota(int32, (size,)), row), positions, position)
    return positions, [write(row, x, value) for x, value in zip(rows, state, strict=True)]


def thin_out(position: Any, stride: Any, positions: Any) -> tuple[Any, Any]:
    """Make room for a state if every `stride`-th is kept and the rows are full: from now on keep half as many."""
    full = eq(rem(position, stride), np.int32(0)) & eq(free_slots(positions), np.int32(0))
    stride = select_n(full, stride, stride * 2)
    return stride, select_n(full & (rem(positions, stride) > 0), positions, FREE)
