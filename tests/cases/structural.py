"""Cases of the ops that move elements: shapes, joining, cutting, padding, windows."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from minijax.ops import families, slicing, structural
from tests.cases import array, cases


def arrays(*shape):
    """One operand in several dtypes."""
    return [(array(shape, dtype),) for dtype in ("float32", "bfloat16", "complex64", "int32", "bool")]


def starts(*values, dtype=np.int32):
    """Start indices as scalars."""
    return tuple(dtype(v) for v in values)


def padded(x, value, padding_config):
    """lax.pad, written so that JAX can differentiate it by the value alone too."""
    inside = lax.pad(np.ones(x.shape, bool), np.False_, padding_config)
    x = jnp.asarray(x)
    value = lax.convert_element_type(value, x.dtype)
    return lax.select(inside, lax.pad(x, x.dtype.type(0), padding_config), jnp.full(inside.shape, value))


def window(x, *at, slice_sizes):
    """lax.dynamic_slice at starts that are not counted from the end."""
    return lax.dynamic_slice(x, [jnp.asarray(i) for i in at], slice_sizes, allow_negative_indices=False)


def updated_window(x, update, *at):
    """lax.dynamic_update_slice at starts that are not counted from the end."""
    return lax.dynamic_update_slice(x, update, [jnp.asarray(i) for i in at], allow_negative_indices=False)


X, WEAK = array((3, 4)), (0.5,)

CASES = [
    *cases(families.broadcast_in_dim_p, lax.broadcast_in_dim, *arrays(3, 1),
           shape=(3, 2, 4), broadcast_dimensions=(0, 2)),
    *cases(families.broadcast_in_dim_p, lax.broadcast_in_dim, WEAK, (array(()),), shape=(2, 3),
           broadcast_dimensions=()),
    *cases(families.reshape_p, lax.reshape, *arrays(3, 4), new_sizes=(2, 1, 6)),
    *cases(families.reshape_p, lax.reshape, WEAK, new_sizes=(1, 1)),
    *cases(families.transpose_p, lax.transpose, *arrays(2, 3, 4), permutation=(2, 0, 1)),
    *cases(structural.squeeze_p, lax.squeeze, *arrays(1, 3, 1), dimensions=(2, 0)),
    *cases(structural.concatenate_p, lambda *xs, dimension: lax.concatenate(xs, dimension),
           (array((2, 3)), array((2, 1)), array((2, 0))), (array((2, 3), "int32"), array((2, 2), "int32")),
           (array((1, 2), "complex64"), array((1, 1), "complex64")), dimension=1),
    *cases(structural.split_p, lambda x, sizes, axis: lax.split(x, sizes, axis), *arrays(2, 6), sizes=(1, 0, 5),
           axis=1),
    *cases(structural.rev_p, lax.rev, *arrays(2, 3), dimensions=(1, 0)),
    *cases(structural.iota_p, lax.broadcasted_iota, (), dtype=np.dtype("int32"), shape=(2, 3), dimension=1),
    *cases(structural.iota_p, lax.broadcasted_iota, (), dtype=np.dtype("float32"), shape=(4,), dimension=0),
    *cases(slicing.pad_p, lax.pad, (array((3, 4), "int32"), np.int32(7)), (array((3, 4), "bool"), np.bool_(True)),
           padding_config=((1, 2, 0), (0, 1, 2))),
    *cases(slicing.pad_p, padded, (X, array((), seed=1)), (X, 0.5), padding_config=((-1, 3, 1), (2, -3, 0)),
           same_hlo=False),
    *cases(slicing.slice_p, lax.slice, *arrays(5, 6), start_indices=(1, 0), limit_indices=(5, 6), strides=(2, 3)),
    *cases(slicing.slice_p, lax.slice, *arrays(5, 6), start_indices=(1, 2), limit_indices=(1, 4), strides=None),
    *cases(slicing.dynamic_slice_p, window, (X, *starts(0, 2)), (X, *starts(-2, 9)), (X, *starts(2, 1, dtype=np.uint8)),
           (array((3, 4), "int32"), *starts(1, 1)), slice_sizes=(2, 3)),
    *cases(slicing.dynamic_update_slice_p, updated_window, (X, array((2, 3), seed=1), *starts(1, 0)),
           (X, array((1, 4), seed=1), *starts(9, -9)),
           (array((3, 4), "int32"), array((2, 3), "int32", seed=1), *starts(0, 1))),
]
