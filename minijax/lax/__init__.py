"""The ops as functions, with the names and signatures of `jax.lax`.

Nothing is promoted here: operands have one dtype and one shape, but for scalars.  Python
scalars take the dtype of the arrays beside them.
"""

from types import ModuleType as _ModuleType

try:
    from minijax.interop import transforms as _transforms  # what JAX's own transformations need
    from minijax import lowering as _lowering
except ModuleNotFoundError as _error:
    if _error.name != "jax":
        raise
else:
    _lowering.install()
    from minijax.sharding.placement import with_sharding_constraint

from minijax.lax import linalg as linalg
from minijax.lax.convolution import (ConvDimensionNumbers, ConvGeneralDilatedDimensionNumbers, conv,
                                     conv_dimension_numbers, conv_general_dilated, conv_general_dilated_local,
                                     conv_general_dilated_patches, conv_general_permutations, conv_general_shape_tuple,
                                     conv_shape_tuple, conv_transpose, conv_transpose_shape_tuple,
                                     conv_with_general_padding, padtype_to_pads)
from minijax.lax.control_flow import cond, fori_loop, switch, while_loop
from minijax.lax.elementwise import (abs, acos, acosh, add, asin, asinh, atan, atan2, atanh, bitcast_convert_type,
                                     bitwise_and, bitwise_not, bitwise_or, bitwise_xor, cbrt, ceil, clamp, clz,
                                     complex, conj, convert_element_type, cos, cosh, div, eq, erf, erf_inv, erfc, exp,
                                     exp2, expm1, floor, ge, gt, imag, integer_pow, is_finite, le, log, log1p,
                                     logistic, lt, max, min, mul, ne, neg, nextafter, population_count, pow, real,
                                     reciprocal, reduce_precision, rem, round, rsqrt, select, select_n, shift_left,
                                     shift_right_arithmetic, shift_right_logical, sign, sin, sinh, sqrt, square,
                                     stop_gradient, sub, tan, tanh)
from minijax.lax.enums import (AccuracyMode, DotAlgorithm, DotAlgorithmPreset, FftType, Precision, PrecisionLike,
                               RandomAlgorithm, RoundingMethod, Tolerance)
from minijax.lax.fourier import fft
from minijax.lax.generators import optimization_barrier, rng_bit_generator, rng_uniform
from minijax.lax.loops import associative_scan, map, scan
from minijax.lax.markers import after_all, composite, create_token, shape_as_value, stage
from minijax.lax.parallel import (all_gather, all_to_all, axis_index, axis_size, pbroadcast, pcast, pmax, pmean,
                                  pmin, ppermute, pshuffle, psum, psum_scatter, pswapaxes, ragged_all_to_all)
from minijax.lax.platforms import platform_dependent
from minijax.lax.ragged import ragged_dot, ragged_dot_general
from minijax.lax.reductions import (argmax, argmin, batch_matmul, cumlogsumexp, cummax, cummin, cumprod, cumsum, dot,
                                    dot_general, reduce_and, reduce_max, reduce_min, reduce_or, reduce_prod,
                                    reduce_sum, reduce_xor, scaled_dot, sort, sort_key_val)
from minijax.lax.searching import approx_max_k, approx_min_k, top_k
from minijax.lax.slicing import (dynamic_index_in_dim, dynamic_slice, dynamic_slice_in_dim,
                                 dynamic_update_index_in_dim, dynamic_update_slice, dynamic_update_slice_in_dim,
                                 gather, index_in_dim, index_take, scatter, scatter_add, scatter_apply, scatter_max,
                                 scatter_min, scatter_mul, scatter_sub, slice, slice_in_dim)
from minijax.lax.special import (bessel_i0e, bessel_i1e, betainc, digamma, igamma, igamma_grad_a, igammac, lgamma,
                                 mulhi, polygamma, random_gamma_grad, zeta)
from minijax.lax.solves import custom_linear_solve, custom_root
from minijax.lax.structural import (broadcast, broadcast_in_dim, broadcast_like, broadcast_shapes, broadcast_to_rank,
                                    broadcasted_iota, collapse, concatenate, dtype, empty, expand_dims, full, full_like,
                                    iota, pad, reshape, rev, split, squeeze, stack, tile, transpose, unstack)
from minijax.lax.windows import reduce, reduce_window, reduce_window_shape_tuple
from minijax.ops.dot import DimensionNumbers as DotDimensionNumbers
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from minijax.ops.ragged import RaggedDotDimensionNumbers

__all__ = sorted(name for name, value in globals().items()
                 if not name.startswith("_") and not isinstance(value, _ModuleType))
