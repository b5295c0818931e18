"""top_k and approx_top_k: the largest (or smallest) elements along an axis, and their places.

Their derivatives read the tangents at the places found.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_special as reference
from minijax.ops.comparison import not_a_key
from minijax.ops.families import accepts
from minijax.ops.sorting import take_along_axis
from minijax.tracing.source import at_line


def _check_k(name: str, x: ArrayType, k: int, axis: int, least: int) -> None:
    if not 0 <= axis < x.ndim:
        raise MinijaxValueError(f"{name}: {x} has no axis {axis}{at_line()}. Choose among {tuple(range(x.ndim))}.")
    if not least <= k <= x.shape[axis]:
        raise MinijaxValueError(f"{name}: k is {k}, of {x.shape[axis]} elements along axis {axis} of {x}{at_line()}. "
                                f"Choose k from {least} to {x.shape[axis]}.")


def _results(x: ArrayType, k: int, axis: int) -> tuple[ArrayType, ArrayType]:
    shape = (*x.shape[:axis], k, *x.shape[axis + 1:])
    return x.update(shape=shape), ArrayType(shape, dtypes.int32)


def _jvp(op: Callable[[], Op], axis_name: str) -> Callable[..., Any]:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        values, places = op().bind(*primals, **params)
        return (values, places), (take_along_axis(tangents[0], places, params[axis_name]), zero)

    return jvp


def _batch(op: Callable[[], Op], axis_name: str) -> Callable[..., Any]:
    def batch(size: int, args: Any, axes: Any, **params: Any) -> Any:
        moved = params[axis_name] + (axes[0] <= params[axis_name])
        return op().bind(*args, **{**params, axis_name: moved}), (axes[0], axes[0])

    return batch


def _comparisons(x: ArrayType, *, k: int, **params: Any) -> int:
    """A comparison for each element and each halving of k."""
    return x.size * max(k, 1).bit_length()


# ---- top_k ----

def _top_k_type(x: ArrayType, *, k: int, axis: int) -> tuple[ArrayType, ArrayType]:
    accepts("top_k", x.dtype, lambda dtype: not_a_key(dtype) and not dtypes.is_complex(dtype), "real")
    _check_k("top_k", x, k, axis, 0)
    return _results(x, k, axis)


top_k_p = Op("top_k", type=_top_k_type, eval=reference.top_k, jvp=_jvp(lambda: top_k_p, "axis"),
             batch=_batch(lambda: top_k_p, "axis"), cost=_comparisons, undeclared=("transpose",))


def top_k(x: Any, k: int, axis: int) -> tuple[Any, Any]:
    """The k largest elements along an axis (non-negative), the largest first, and their places.

    >>> np.asarray(top_k(np.float32([1, 3, 2]), 2, 0)[1])
    array([1, 2], dtype=int32)
    """
    return top_k_p.bind(x, k=k, axis=axis)


# ---- approx_top_k ----

def candidates(size: int, rank: int, k: int, recall_target: float, override: int) -> int:
    """How many candidates are left before they are aggregated, from tiles of 128 elements (1024 of a vector).

    With one candidate kept of each of m windows, the expected recall is about exp((1 - k) / m), which gives m
    (Chern et al., 2022, TPU-KNN).
    """
    tile, logical = 1024 if rank == 1 else 128, override if override >= 0 else size
    if size <= tile:
        return size
    if k == 1:
        return tile
    if recall_target == 1.0:
        return size
    windows = min(max(int((1.0 - k) / math.log(np.float32(recall_target))), tile), size)
    halvings = (logical // windows).bit_length() - 1
    if halvings == 0:
        return size
    tiles = -(-size // tile)
    return -(-tiles // 2 ** min(halvings, (size // tile - 1).bit_length())) * tile


def _approx_type(x: ArrayType, *, k: int, reduction_dimension: int, recall_target: float, is_max_k: bool,
                 reduction_input_size_override: int, aggregate_to_topk: bool) -> tuple[ArrayType, ArrayType]:
    accepts("approx_top_k", x.dtype, dtypes.is_float, "real floating-point")
    _check_k("approx_top_k", x, k, reduction_dimension, 1)
    size = x.shape[reduction_dimension]
    if not 0 < recall_target <= 1 or 0 <= reduction_input_size_override < size:
        raise MinijaxValueError(f"approx_top_k: recall_target={recall_target} must lie in (0, 1], and "
                                f"reduction_input_size_override={reduction_input_size_override} must be -1 or at least "
                                f"the {size} elements there are{at_line()}.")
    if not aggregate_to_topk:
        k = candidates(size, x.ndim, k, recall_target, reduction_input_size_override)
    return _results(x, k, reduction_dimension)


def _approx_eval(x: np.ndarray, **params: Any) -> Any:
    values, _ = _approx_type(ArrayType(x.shape, x.dtype), **params)
    axis = params["reduction_dimension"]
    return reference.top_k(x, values.shape[axis], axis, params["is_max_k"])


approx_top_k_p = Op("approx_top_k", type=_approx_type, eval=_approx_eval,
                    jvp=_jvp(lambda: approx_top_k_p, "reduction_dimension"),
                    batch=_batch(lambda: approx_top_k_p, "reduction_dimension"), cost=_comparisons,
                    undeclared=("transpose",))
