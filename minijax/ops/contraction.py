"""Products of arrays whose axes have labels: one `dot_general` and the order of its result.

    contract(x, "ij", y, "jk", "ik")     a matrix product
    matmul(x, y)                         NumPy's `@`, with its rules for vectors and stacks of matrices
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from minijax.errors import ShapeError
from minijax.ops.dot import DimensionNumbers, dot_general, dot_general_p
from minijax.ops.families import shape_of, transpose
from minijax.ops.promotion import common_shape, promoted
from minijax.ops.structural import squeeze
from minijax.tracing.source import at_line


def contract(x: Any, x_labels: Sequence[Any], y: Any, y_labels: Sequence[Any], out: Sequence[Any],
             precision: Any = None,
             preferred_element_type: Any = None) -> Any:
    """Multiply arrays of one dtype whose axes have labels, and order the result as `out`.

    A label of both operands is summed over unless `out` has it; one of a single operand must be in `out`.
    """
    numbers, order = _numbers(x_labels, y_labels, out)
    return transpose(dot_general(x, y, numbers, precision, preferred_element_type), order)


def _numbers(x_labels: Sequence[Any], y_labels: Sequence[Any], out: Sequence[Any]) -> tuple[Any, tuple[int, ...]]:
    """The dimension numbers of a product, and the order of its axes."""
    shared = [label for label in x_labels if label in y_labels]
    batch = [label for label in shared if label in out]
    summed = [label for label in shared if label not in out]
    numbers = tuple([tuple([tuple([list(labels).index(each) for each in chosen]) for labels in (x_labels, y_labels)])
                     for chosen in (summed, batch)])
    free = [each for each in (*x_labels, *y_labels) if each not in shared]
    return numbers, tuple([[*batch, *free].index(each) for each in out])


def matmul(x: Any, y: Any, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Matrix product; stacks of matrices broadcast, vectors are rows at the left and columns at the right.

    Raises `ShapeError` for scalars and for sizes that do not agree.
    """
    x, y = promoted("matmul", x, y)
    plan = _plan(shape_of(x), shape_of(y))
    if plan is None:
        raise ShapeError(f"matmul: the shapes {shape_of(x)} and {shape_of(y)} do not fit{at_line()}. The last axis of "
                         "the left operand and the last but one of the right must have equal sizes, the axes before "
                         "them broadcast; scalars take `*`.")
    x, y = squeeze(x, plan.x_repeated), squeeze(y, plan.y_repeated)
    return transpose(dot_general_p.bind(x, y, dimension_numbers=plan.numbers, precision=precision,
                                        preferred_element_type=preferred_element_type)[0], plan.order)


class _Plan(NamedTuple):
    """A matrix product: axes of size 1 that repeat, the axes of `dot_general`, and the order of its result."""

    x_repeated: tuple[int, ...]
    y_repeated: tuple[int, ...]
    numbers: DimensionNumbers
    order: tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def _plan(x_shape: tuple[int, ...], y_shape: tuple[int, ...]) -> _Plan | None:
    """How to multiply arrays of these shapes; None if they do not fit."""
    fits = x_shape and y_shape and x_shape[-1] == y_shape[-2 if len(y_shape) > 1 else 0]
    batch = common_shape((x_shape[:-2], y_shape[:-2]))
    if not fits or isinstance(batch, list):
        return None
    x_repeated, x_stack = _stack(x_shape[:-2], batch)
    y_repeated, y_stack = _stack(y_shape[:-2], batch)
    x_labels = [*x_stack, *(["row", "sum"] if len(x_shape) > 1 else ["sum"])]
    y_labels = [*y_stack, *(["sum", "column"] if len(y_shape) > 1 else ["sum"])]
    out = [each for each in (*range(len(batch)), "row", "column") if each in x_labels or each in y_labels]
    return _Plan(x_repeated, y_repeated, *_numbers(x_labels, y_labels, out))


def _stack(own: tuple[int, ...], batch: tuple[int, ...]) -> tuple[tuple[int, ...], list[int]]:
    """Which axes of a stack of matrices repeat, and which axes of the common stack the others are."""
    offset = len(batch) - len(own)
    repeated = tuple([i for i, n in enumerate(own) if n != batch[i + offset]])
    return repeated, [i + offset for i in range(len(own)) if i not in repeated]
