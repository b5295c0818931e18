"""Products of arrays whose axes have labels: one `dot_general` and the order of its result.

    contract(x, "ij", y, "jk", "ik")     a matrix product
    matmul(x, y)                         NumPy's `@`, with its rules for vectors and stacks of matrices
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.errors import ShapeError
from minijax.ops.dot import dot_general
from minijax.ops.families import shape_of, transpose
from minijax.ops.promotion import broadcast_shapes, promoted
from minijax.ops.structural import squeeze
from minijax.tracing.source import at_line


def contract(x: Any, x_labels: Sequence[Any], y: Any, y_labels: Sequence[Any], out: Sequence[Any], precision: Any = None,
             preferred_element_type: Any = None) -> Any:
    """Multiply arrays of one dtype whose axes have labels, and order the result as `out`.

    A label of both operands is summed over unless `out` has it; one of a single operand must be in `out`.
    """
    shared = [label for label in x_labels if label in y_labels]
    batch = [label for label in shared if label in out]
    summed = [label for label in shared if label not in out]
    numbers = tuple([tuple([tuple([list(labels).index(each) for each in chosen]) for labels in (x_labels, y_labels)])
                     for chosen in (summed, batch)])
    product = dot_general(x, y, numbers, precision, preferred_element_type)
    order = [*batch, *[each for each in x_labels if each not in shared], *[each for each in y_labels if each not in shared]]
    return transpose(product, [order.index(each) for each in out])


def matmul(x: Any, y: Any, precision: Any = None, preferred_element_type: Any = None) -> Any:
    """Matrix product; stacks of matrices broadcast, vectors are rows at the left and columns at the right.

    Raises `ShapeError` for scalars and for sizes that do not agree.
    """
    x, y = promoted("matmul", x, y)
    x_shape, y_shape = shape_of(x), shape_of(y)
    if not x_shape or not y_shape or x_shape[-1] != y_shape[-2 if len(y_shape) > 1 else 0]:
        raise ShapeError(f"matmul: the shapes {x_shape} and {y_shape} do not fit{at_line()}. The last axis of the left "
                         "operand and the last but one of the right must have equal sizes; scalars take `*`.")
    batch = broadcast_shapes("matmul", (x_shape[:-2], y_shape[:-2]))
    x, x_stack = _stack(x, batch)
    y, y_stack = _stack(y, batch)
    x_labels = [*x_stack, *(["row", "sum"] if len(x_shape) > 1 else ["sum"])]
    y_labels = [*y_stack, *(["sum", "column"] if len(y_shape) > 1 else ["sum"])]
    out = [each for each in (*range(len(batch)), "row", "column") if each in x_labels or each in y_labels]
    return contract(x, x_labels, y, y_labels, out, precision, preferred_element_type)


def _stack(x: Any, batch: tuple[int, ...]) -> tuple[Any, list[int]]:
    """An operand without its repeated axes, and which axes of the stack the others are."""
    own = shape_of(x)[:-2]
    offset = len(batch) - len(own)
    repeated = [i for i, n in enumerate(own) if n != batch[i + offset]]
    return squeeze(x, repeated), [i + offset for i in range(len(own)) if i not in repeated]
