"""The largest and smallest elements, exactly and approximately."""

from __future__ import annotations

from typing import Any

from minijax.ops import searching
from minijax.ops.operands import axis_of, operand as as_operand, whole


def top_k(operand: Any, k: int, *, axis: int = -1) -> tuple[Any, Any]:
    """The k largest elements along an axis, the largest first, and their places.  Of equals the first ones come first.

    Raises `MinijaxValueError` for a k beyond the axis.

    >>> import numpy as np
    >>> top_k(np.float32([1, 3, 2]), 2)
    (Array([3., 2.], dtype=float32), Array([1, 2], dtype=int32))
    """
    x = as_operand("top_k", operand)
    return searching.top_k(x, whole("top_k", "k", k), axis_of("top_k", axis, x.ndim))


def _approximate(name: str, is_max_k: bool, operand: Any, k: int, reduction_dimension: int, **params: Any) -> Any:
    x = as_operand(name, operand)
    return searching.approx_top_k_p.bind(x, k=whole(name, "k", k),
                                         reduction_dimension=axis_of(name, reduction_dimension, x.ndim),
                                         is_max_k=is_max_k, **params)


def approx_max_k(operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
                 reduction_input_size_override: int = -1, aggregate_to_topk: bool = True) -> tuple[Any, Any]:
    """About the k largest elements along an axis, and their places; exactly those on a CPU.

    An accelerator may miss some: `recall_target` is the expected part that it finds.  `aggregate_to_topk=False`
    returns all candidates, more than k; `reduction_input_size_override` is the size to reckon with if the
    operand is a part of a larger array.

    >>> import numpy as np
    >>> approx_max_k(np.float32([1, 3, 2]), 2)
    (Array([3., 2.], dtype=float32), Array([1, 2], dtype=int32))
    """
    return _approximate("approx_max_k", True, operand, k, reduction_dimension, recall_target=float(recall_target),
                        reduction_input_size_override=int(reduction_input_size_override),
                        aggregate_to_topk=bool(aggregate_to_topk))


def approx_min_k(operand: Any, k: int, reduction_dimension: int = -1, recall_target: float = 0.95,
                 reduction_input_size_override: int = -1, aggregate_to_topk: bool = True) -> tuple[Any, Any]:
    """About the k smallest elements along an axis, and their places; see `approx_max_k`.

    >>> import numpy as np
    >>> approx_min_k(np.float32([1, 3, 2]), 2)
    (Array([1., 2.], dtype=float32), Array([0, 2], dtype=int32))
    """
    return _approximate("approx_min_k", False, operand, k, reduction_dimension, recall_target=float(recall_target),
                        reduction_input_size_override=int(reduction_input_size_override),
                        aggregate_to_topk=bool(aggregate_to_topk))
