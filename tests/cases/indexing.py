"""Cases of gather and the scatters; random dimension numbers are in test_indexing_ops.py."""

import numpy as np
from jax import lax

from minijax.ops import indexing
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode
from tests.cases import array, cases


def gather(x, indices, *, dimension_numbers, mode, **params):
    """JAX's gather with our parameters."""
    return lax.gather(x, indices, lax.GatherDimensionNumbers(**vars(dimension_numbers)),
                      mode=lax.GatherScatterMode[mode.name], **params)


def scatter(function):
    """A scatter of JAX with our parameters."""
    def oracle(x, indices, updates, *, dimension_numbers, mode, **params):
        return function(x, indices, updates, lax.ScatterDimensionNumbers(**vars(dimension_numbers)),
                        mode=lax.GatherScatterMode[mode.name], **params)

    return oracle


ROWS = GatherDimensionNumbers(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
WINDOWS = GatherDimensionNumbers(offset_dims=(1, 2), collapsed_slice_dims=(), start_index_map=(1, 0))
TOGETHER = GatherDimensionNumbers((), (1,), (1,), operand_batching_dims=(0,), start_indices_batching_dims=(0,))
NAMED = np.array([[3], [0], [1]], np.int32)
X, UPDATES = array((5, 4)), array((3, 4), seed=1)
HINTS = dict(indices_are_sorted=False, unique_indices=False)
SCATTERS = {indexing.scatter_p: lax.scatter, indexing.scatter_add_p: lax.scatter_add,
            indexing.scatter_mul_p: lax.scatter_mul, indexing.scatter_min_p: lax.scatter_min,
            indexing.scatter_max_p: lax.scatter_max}

CASES = [
    *cases(indexing.gather_p, gather, (X, NAMED), (array((5, 4), "int32"), NAMED), (array((5, 4), "bool"), NAMED),
           (array((5, 4), "complex64"), NAMED), (X, NAMED.astype(np.uint8)),
           dimension_numbers=ROWS, slice_sizes=(1, 4), mode=GatherScatterMode.FILL_OR_DROP, fill_value=None, **HINTS),
    *cases(indexing.gather_p, gather, (X, np.array([[9], [-1]], np.int32)), dimension_numbers=ROWS, slice_sizes=(1, 4),
           mode=GatherScatterMode.FILL_OR_DROP, fill_value=None, smooth=False, **HINTS),
    *cases(indexing.gather_p, gather, (X, np.array([[1, 0], [9, -3]], np.int32)), dimension_numbers=WINDOWS,
           slice_sizes=(2, 3), mode=GatherScatterMode.CLIP, fill_value=None, **HINTS),
    *cases(indexing.gather_p, gather, (array((3, 4)), NAMED), dimension_numbers=TOGETHER, slice_sizes=(1, 1),
           mode=GatherScatterMode.PROMISE_IN_BOUNDS, fill_value=None, **HINTS),
    *[case for op, function in SCATTERS.items() for case in (
        *cases(op, scatter(function), (X, NAMED, UPDATES), dimension_numbers=ROWS.to_scatter(),
               mode=GatherScatterMode.FILL_OR_DROP, indices_are_sorted=False, unique_indices=True),
        *cases(op, scatter(function), (array((5, 4), "int32"), NAMED, array((3, 4), "int32", seed=1)),
               dimension_numbers=ROWS.to_scatter(), mode=GatherScatterMode.CLIP, **HINTS))],
    *cases(indexing.scatter_p, scatter(lax.scatter), (X, np.array([[1], [9], [1]], np.int32), UPDATES),
           dimension_numbers=ROWS.to_scatter(), mode=GatherScatterMode.CLIP, smooth=False, **HINTS),
    *cases(indexing.scatter_add_p, scatter(lax.scatter_add), (array((3, 4)), NAMED, array((3,), seed=1)),
           (array((3, 4), "complex64"), NAMED, array((3,), "complex64", seed=1)),
           dimension_numbers=TOGETHER.to_scatter(), mode=GatherScatterMode.PROMISE_IN_BOUNDS, **HINTS),
]
