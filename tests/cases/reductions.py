"""Cases of reductions, cumulative ops, dot_general and sort."""

import numpy as np
from jax import lax

from minijax.ops import dot, families, reductions, scans, sorting
from tests.cases import array, cases, special

TIES = np.array([[1, 2, 2, -1], [3, 3, 3, 0]], np.float32)
ZEROS = np.array([[1, 0, 2, -1, 3], [0, 3, 0, 0.5, 2]], np.float32)
CUBE = (array((2, 3, 4)),)


def reduction(op, oracle, *arguments, **options):
    """Cases of a reduction of arrays with two axes, along one of them and both."""
    return [case for axes in ((1,), (0, 1)) for case in cases(op, oracle, *arguments, axes=axes, **options)]


NUMBERS = [(array((2, 5)),), (array((3, 2), "int32", -5, 5),)]
FLOATS = [*NUMBERS, (array((3, 2), "bfloat16", 0.5, 2),), (array((2, 3), "complex64"),)]
BITS = [(array((2, 3), "bool"),), (array((3, 2), "int32", -9, 9),)]

REDUCTIONS = [
    *reduction(families.reduce_sum_p, lax.reduce_sum, *FLOATS, (np.zeros((0, 3), np.float32),)),
    *cases(families.reduce_sum_p, lax.reduce_sum, CUBE, axes=(2, 0)),
    *reduction(reductions.reduce_prod_p, lax.reduce_prod, *FLOATS, (ZEROS,), (np.zeros((0, 3), np.float32),)),
    *cases(reductions.reduce_prod_p, lax.reduce_prod, CUBE, axes=(2, 0)),
    *reduction(reductions.reduce_max_p, lax.reduce_max, *NUMBERS, *BITS),
    *reduction(reductions.reduce_max_p, lax.reduce_max, (TIES,), (special()[:10].reshape(2, 5),), smooth=False),
    *reduction(reductions.reduce_min_p, lax.reduce_min, *NUMBERS, *BITS),
    *reduction(reductions.reduce_min_p, lax.reduce_min, (TIES,), (special()[:10].reshape(2, 5),), smooth=False),
    *reduction(reductions.reduce_and_p, lax.reduce_and, *BITS),
    *reduction(reductions.reduce_or_p, lax.reduce_or, *BITS),
    *reduction(reductions.reduce_xor_p, lax.reduce_xor, *BITS),
]


def position(op, function):
    """Cases of argmax or argmin."""
    def oracle(x, axes, index_dtype):
        return function(x, axes[0], index_dtype)

    arguments = *NUMBERS, (array((2, 3), "bool"),), (TIES,), (special()[:10].reshape(2, 5),)
    return [case for axis in (0, 1)
            for case in cases(op, oracle, *arguments, axes=(axis,), index_dtype=np.dtype("int32"))]


def cumulative(op, oracle, *arguments, **options):
    """Cases of a cumulative op, from both ends."""
    return [case for axis, reverse in ((0, False), (1, True))
            for case in cases(op, oracle, *arguments, axis=axis, reverse=reverse, **options)]


SCANS = [
    *position(reductions.argmax_p, lax.argmax),
    *position(reductions.argmin_p, lax.argmin),
    *cumulative(scans.cumsum_p, lax.cumsum, *FLOATS, (np.zeros((0, 3), np.float32),)),
    *cumulative(scans.cumprod_p, lax.cumprod, *FLOATS, (ZEROS,), (np.zeros((0, 3), np.float32),)),
    *cumulative(scans.cummax_p, lax.cummax, *NUMBERS), *cumulative(scans.cummax_p, lax.cummax, (TIES,), smooth=False),
    *cumulative(scans.cummin_p, lax.cummin, *NUMBERS), *cumulative(scans.cummin_p, lax.cummin, (TIES,), smooth=False),
    *cumulative(scans.cumlogsumexp_p, lax.cumlogsumexp, (array((3, 4)),)),
    *cumulative(scans.cumlogsumexp_p, lax.cumlogsumexp,
                (np.array([[-np.inf, -np.inf, 1], [np.inf, 2, 3]], np.float32),), smooth=False),
]


def product(x, y, summed=((), ()), batch=((), ()), dtype="float32", **options):
    """A case of dot_general on arrays of two shapes."""
    options = {"precision": None, "preferred_element_type": None, **options}
    return cases(dot.dot_general_p, lax.dot_general, (array(x, dtype), array(y, dtype, seed=1)),
                 smooth=dtype in ("float32", "complex64") and options["preferred_element_type"] is None,
                 dimension_numbers=(summed, batch), **options)


DOT = [
    *product((2, 3), (3, 4), ((1,), (0,))),
    *product((2, 3), (4, 3), ((1,), (1,))),
    *product((3,), (3,), ((0,), (0,))),
    *product((2, 3), (3,), ((1,), (0,))),
    *product((2,), (3,)),
    *product((), (3,)),
    *product((5, 2, 3), (5, 3, 4), ((2,), (1,)), ((0,), (0,))),
    *product((2, 5, 3), (3, 4, 5), ((2,), (0,)), ((1,), (2,))),
    *product((2, 3, 4), (4, 5, 3), ((1, 2), (2, 0))),
    *product((2, 3, 4), (5, 4, 3), ((2, 1), (1, 2))),
    *product((3, 2, 4, 5), (2, 5, 3, 6), ((3,), (1,)), ((0, 1), (2, 0))),
    *product((0, 3), (3, 2), ((1,), (0,))),
    *product((2, 0), (0, 2), ((1,), (0,))),
    *product((2, 3), (3, 4), ((1,), (0,)), dtype="complex64"),
    *product((2, 3), (3, 4), ((1,), (0,)), dtype="bfloat16"),
    *product((2, 3), (3, 4), ((1,), (0,)), dtype="int32"),
    *product((2, 3), (3, 4), ((1,), (0,)), dtype="bfloat16", preferred_element_type=np.dtype("float32")),
    *product((2, 3), (3, 4), ((1,), (0,)), dtype="int8", preferred_element_type=np.dtype("int32")),
    *product((2, 3), (3, 4), ((1,), (0,)), precision="highest"),
]


def sort(*xs, dimension, is_stable, num_keys):
    """lax.sort of several operands."""
    return lax.sort(xs, dimension, is_stable, num_keys)


def ordering(*arguments, dimension=0, num_keys=1, **options):
    """Cases of a stable sort."""
    return cases(sorting.sort_p, sort, *arguments, dimension=dimension, is_stable=True, num_keys=num_keys, **options)


KEYS = array((3, 4), "int32", 0, 3)
SORT = [
    *ordering((array((7,)),), (array((3, 4)),), (array((4,), "complex64"),), (array((5,), "bool"),),
              (array((0, 3)),), (array((5,), "bfloat16"),)),
    *ordering((special(),), smooth=False),
    *ordering((array((2, 3, 4)),), dimension=1),
    *ordering((KEYS, array((3, 4))), (array((3, 4)), KEYS), (array((3, 4)), array((3, 4), seed=1)), dimension=1),
    *ordering((KEYS, array((3, 4)), array((3, 4), seed=1)), num_keys=2),
]

CASES = [*REDUCTIONS, *SCANS, *DOT, *SORT]
