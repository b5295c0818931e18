"""Cases of convolutions and of reductions over windows."""

import numpy as np
from jax import lax

from minijax.ops import convolution, ragged, windows
from minijax.ops.convolution import ConvDimensionNumbers
from minijax.ops.ragged import RaggedDotDimensionNumbers
from tests.cases import array, cases


def conv(x, kernel, *, dimension_numbers, **params):
    """JAX's convolution with our parameters."""
    return lax.conv_general_dilated(x, kernel, dimension_numbers=lax.ConvDimensionNumbers(*dimension_numbers), **params)


def in_order(ndim):
    """(batch, features, *spatial)."""
    return ConvDimensionNumbers(*[tuple(range(ndim))] * 3)


MIXED = ConvDimensionNumbers((2, 0, 1), (1, 2, 0), (1, 2, 0))
PLAIN = dict(window_strides=(1,), padding=((0, 1),), lhs_dilation=(1,), rhs_dilation=(1,), feature_group_count=1,
             batch_group_count=1, dimension_numbers=in_order(3), precision=None, preferred_element_type=None)
DILATED = PLAIN | dict(window_strides=(2,), padding=((-1, 3),), lhs_dilation=(2,), rhs_dilation=(3,))


def line(dtype="float32", batch=2, features=2, size=5, out=3):
    """An operand of one spatial axis, and a kernel of two places."""
    return array((batch, features, size), dtype), array((out, features, 2), dtype, seed=1)


def grouped(groups, features=2, batch=2):
    """An operand and a kernel for several groups of features."""
    return array((batch, groups * features, 4)), array((groups * 2, features, 2), seed=1)


GEOMETRY = dict(window_dimensions=(2, 3), window_strides=(1, 2), padding=((0, 1), (2, 1)), base_dilation=(1, 1),
                window_dilation=(1, 1))
WIDE = GEOMETRY | dict(base_dilation=(2, 1), window_dilation=(1, 2), padding=((1, 0), (-1, 3)))
UNDILATED = {name: GEOMETRY[name] for name in ("window_dimensions", "window_strides", "padding")}


def reduce_window(function, initial):
    """JAX's reduction over windows by a known function."""
    def oracle(x, **geometry):
        return lax.reduce_window(x, np.asarray(initial(x.dtype)).astype(x.dtype)[()], function, **geometry)

    return oracle


def selecting(primitive):
    """JAX's primitive with our name of the comparison."""
    return lambda source, x, *, select, **geometry: primitive.bind(
        source, x, select_prim={"ge": lax.ge_p, "le": lax.le_p}[select], **geometry)


def lowest(dtype):
    """The least number of a dtype."""
    return -np.inf if dtype.kind in "fV" else np.iinfo(dtype).min if dtype.kind in "iu" else False


def highest(dtype):
    """The greatest number of a dtype."""
    return np.inf if dtype.kind in "fV" else np.iinfo(dtype).max if dtype.kind in "iu" else True


GRID = np.random.default_rng(0).permutation(20).reshape(4, 5).astype(np.float32)


def ragged_dot(x, y, sizes, *, ragged_dot_dimension_numbers, **params):
    """JAX's ragged product with our parameters."""
    return lax.ragged_dot_general(x, y, sizes, lax.RaggedDotDimensionNumbers(
        *vars(ragged_dot_dimension_numbers).values()), **params)


RAGGED = dict(ragged_dot_dimension_numbers=RaggedDotDimensionNumbers((((1,), (1,)), ((), ())), (0,), (0,)),
              precision=None, preferred_element_type=None)
SIZES = np.array([2, 0, 1], np.int32)

CASES = [
    *cases(ragged.ragged_dot_general_p, ragged_dot, (array((4, 2)), array((3, 2, 2), seed=1), SIZES),
           (array((4, 2), "int8"), array((3, 2, 2), "int8", seed=1), SIZES), **RAGGED),
    *cases(ragged.ragged_dot_general_p, ragged_dot,
           (array((4, 2), "bfloat16"), array((3, 2, 2), "bfloat16", seed=1), SIZES),
           **RAGGED | dict(preferred_element_type=np.dtype("float32"))),
    *cases(convolution.conv_general_dilated_p, conv, line(), line("complex64"), line("int8"), line("bfloat16"),
           **PLAIN),
    *cases(convolution.conv_general_dilated_p, conv, (array((3, 4, 2)), array((2, 5, 3), seed=1)),
           **DILATED | dict(dimension_numbers=MIXED)),
    *cases(convolution.conv_general_dilated_p, conv, grouped(3), **DILATED | dict(feature_group_count=3)),
    *cases(convolution.conv_general_dilated_p, conv, (array((6, 2, 4)), array((3, 2, 2), seed=1)),
           **DILATED | dict(batch_group_count=3)),
    *cases(convolution.conv_general_dilated_p, conv, line("bfloat16"), line("int8"),
           **PLAIN | dict(preferred_element_type=np.dtype("float32"), precision=("highest", "default"))),
    *cases(convolution.conv_general_dilated_p, conv, (array((3, 2)), array((4, 2), seed=1)),
           **PLAIN | dict(window_strides=(), padding=(), lhs_dilation=(), rhs_dilation=(),
                          dimension_numbers=in_order(2))),
    *cases(convolution.conv_general_dilated_p, conv, line(size=1), **PLAIN | dict(padding=((0, 0),))),
    *cases(windows.reduce_window_sum_p, reduce_window(lax.add, lambda dtype: 0), (GRID,), (GRID.astype(np.int32),),
           (array((4, 5), "complex64"),), **WIDE),
    *cases(windows.reduce_window_max_p, reduce_window(lax.max, lowest), (GRID.astype(np.int8),), (GRID > 7,), **WIDE),
    *cases(windows.reduce_window_min_p, reduce_window(lax.min, highest), (GRID.astype(np.int8),), (GRID > 7,), **WIDE),
    *cases(windows.reduce_window_max_p, reduce_window(lax.max, lowest), (GRID,), **GEOMETRY),
    *cases(windows.reduce_window_max_p, reduce_window(lax.max, lowest), (np.zeros((4, 5), np.float32),), smooth=False,
           **GEOMETRY),
    *cases(windows.reduce_window_min_p, reduce_window(lax.min, highest), (GRID,), **GEOMETRY),
    *cases(windows.select_and_gather_add_p, selecting(lax.select_and_gather_add_p), (array((4, 5)), GRID),
           select="le", **GEOMETRY),
    *cases(windows.select_and_scatter_add_p, selecting(lax.select_and_scatter_add_p), (array((4, 3)), GRID),
           select="ge", **UNDILATED),
]
