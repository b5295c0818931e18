"""JAX's first-order primitives as minijax ops: most have the same name and the same parameters.

Parameters that only place or hint (shardings, accuracy) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax import lax
from minijax.interop.equations import Rule, rules
from minijax.ir import dtypes
from minijax.ir.op import find_op
from minijax.lax import linalg
from minijax.ops.conversion import convert_element_type_p
from minijax.ops.elementwise import add_any
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, ScatterDimensionNumbers
from minijax.tracing.array import typeof

_ELEMENTWISE = """
    abs acos acosh add and asin asinh atan atan2 atanh bessel_i0e bessel_i1e cbrt ceil clamp clz complex copy cos cosh
    digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt igamma igamma_grad_a igammac imag is_finite le lgamma log
    log1p logistic lt max min mul mulhi ne neg nextafter not or polygamma population_count pow real
    regularized_incomplete_beta rem rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh
    sqrt square stop_gradient sub tan tanh xor zeta""".split()

WINDOW = "window_dimensions window_strides padding base_dilation window_dilation"
_SAME = {
    "argmax": "axes index_dtype", "argmin": "axes index_dtype", "bitcast_convert_type": "new_dtype",
    "broadcast_in_dim": "shape broadcast_dimensions", "concatenate": "dimension", "cumlogsumexp": "axis reverse",
    "cummax": "axis reverse", "cummin": "axis reverse", "cumprod": "axis reverse", "cumsum": "axis reverse",
    "dynamic_slice": "slice_sizes", "dynamic_update_slice": "", "integer_pow": "y", "iota": "dtype shape dimension",
    "pad": "padding_config", "reduce_and": "axes", "reduce_max": "axes", "reduce_min": "axes", "reduce_or": "axes",
    "reduce_precision": "exponent_bits mantissa_bits", "reduce_prod": "axes", "reduce_sum": "axes",
    "reduce_window_max": WINDOW, "reduce_window_min": WINDOW, "reduce_window_sum": WINDOW, "reduce_xor": "axes",
    "rev": "dimensions", "slice": "start_indices limit_indices strides",
    "sort": "dimension is_stable num_keys", "split": "sizes axis", "squeeze": "dimensions",
    "top_k": "k axis", "transpose": "permutation", "cholesky": "", "cholesky_update": "",
    "geqrf": "", "hessenberg": "", "householder_product": "", "lu": "",
    "lu_pivots_to_permutation": "permutation_size", "name": "name", "optimization_barrier": "",
    "ormqr": "left transpose", "rng_uniform": "shape", "schur": "compute_schur_vectors",
    "triangular_solve": "left_side lower transpose_a conjugate_a unit_diagonal", "tridiagonal": "lower",
    "tridiagonal_solve": "perturb_singular"}


def same(name: str, parameters: str) -> Rule:
    """The rule of a primitive whose op has the same name and these parameters."""
    def rule(*values: Any, **params: Any) -> Any:
        return find_op(name).bind(*values, **{p: params[p] for p in parameters.split()})

    return rule


def through(function: Callable[..., Any], *kept: str) -> Rule:
    """The rule of a primitive by a function that takes its operands, and the named parameters as keywords."""
    def rule(*values: Any, **params: Any) -> Any:
        return function(*values, **{name: params[name] for name in kept})

    return rule


def _convert(x: Any, *, new_dtype: Any, weak_type: bool, **_: Any) -> Any:
    return convert_element_type_p.bind(x, new_dtype=dtypes.as_dtype(new_dtype), weak_type=weak_type)


def _reshape(x: Any, *, new_sizes: Any, dimensions: Any, **_: Any) -> Any:
    return lax.reshape(x, new_sizes, dimensions)


def _gather(x: Any, indices: Any, *, dimension_numbers: Any, mode: Any, slice_sizes: Any, unique_indices: bool,
            indices_are_sorted: bool, fill_value: Any) -> Any:
    return lax.gather(x, indices, GatherDimensionNumbers(**vars_of(dimension_numbers)), slice_sizes,
                      unique_indices=unique_indices, indices_are_sorted=indices_are_sorted,
                      mode=GatherScatterMode[mode.name], fill_value=fill_value)


def _scatter(function: Callable[..., Any]) -> Rule:
    def rule(x: Any, indices: Any, updates: Any, *, dimension_numbers: Any, mode: Any, unique_indices: bool,
             indices_are_sorted: bool, **_: Any) -> Any:
        return function(x, indices, updates, ScatterDimensionNumbers(**vars_of(dimension_numbers)),
                        unique_indices=unique_indices, indices_are_sorted=indices_are_sorted,
                        mode=GatherScatterMode[mode.name])

    return rule


def vars_of(numbers: Any) -> dict[str, Any]:
    """The fields of JAX's dimension numbers."""
    return numbers._asdict() if hasattr(numbers, "_asdict") else vars(numbers)


def _dot_general(x: Any, y: Any, *, dimension_numbers: Any, precision: Any, preferred_element_type: Any,
                 **_: Any) -> Any:
    return lax.dot_general(x, y, dimension_numbers, precision, preferred_element_type)


def _in_total_order(compare: Callable[[Any, Any], Any]) -> Rule:
    """A comparison for which -0 comes before 0, and every NaN has its place: that of the bits, read as an integer."""
    def key(x: Any) -> Any:
        dtype = typeof(x).dtype
        if not dtypes.is_float(dtype):
            return x
        integer = np.dtype(f"int{8 * dtype.itemsize}")
        bits = lax.bitcast_convert_type(x, integer)
        return lax.select(lax.lt(bits, lax.full_like(bits, 0)),
                          lax.bitwise_xor(bits, lax.full_like(bits, np.iinfo(integer).max)), bits)

    return lambda x, y, **_: compare(key(x), key(y))


def _polynomial(x: Any, *coefficients: Any) -> Any:
    """The sum of c[k] x^k, by Horner's rule; operands have one shape or none."""
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = lax.add(lax.mul(total, x), c)
    return total


def _selecting(name: str, parameters: str) -> Rule:
    """JAX names by a primitive, `ge` or `le`, which element of a window is selected."""
    def rule(*values: Any, select_prim: Any, **params: Any) -> Any:
        return find_op(name).bind(*values, select=select_prim.name, **{p: params[p] for p in parameters.split()})

    return rule


def _round(x: Any, *, rounding_method: Any) -> Any:
    return lax.round(x, lax.RoundingMethod(int(rounding_method)))


def _conv(x: Any, kernel: Any, *, dimension_numbers: Any, precision: Any, window_strides: Any, padding: Any,
          lhs_dilation: Any, rhs_dilation: Any, feature_group_count: int, batch_group_count: int,
          preferred_element_type: Any, **_: Any) -> Any:
    numbers = lax.ConvDimensionNumbers(*dimension_numbers)
    return lax.conv_general_dilated(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers,
                                    feature_group_count, batch_group_count, precision, preferred_element_type)


def _fft(x: Any, *, fft_type: Any, fft_lengths: Any) -> Any:
    return lax.fft(x, lax.FftType(int(fft_type)), fft_lengths)


def _approx_top_k(x: Any, *, is_max_k: bool, **params: Any) -> Any:
    return (lax.approx_max_k if is_max_k else lax.approx_min_k)(x, **params)


def _random_bits(key: Any, *, shape: Any, dtype: Any, algorithm: Any, **_: Any) -> Any:
    return lax.rng_bit_generator(key, shape, dtypes.as_dtype(dtype), lax.RandomAlgorithm(int(algorithm)))


def _ragged(x: Any, y: Any, sizes: Any, *, ragged_dot_dimension_numbers: Any, precision: Any,
            preferred_element_type: Any, **_: Any) -> Any:
    numbers = lax.RaggedDotDimensionNumbers(**vars_of(ragged_dot_dimension_numbers))
    return lax.ragged_dot_general(x, y, sizes, numbers, precision, preferred_element_type)


def _svd(x: Any, *, full_matrices: bool, compute_uv: bool, subset_by_index: Any, algorithm: Any = None,
         **_: Any) -> Any:
    """JAX's primitive gives the singular values first."""
    outs = linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv, subset_by_index=subset_by_index,
                      algorithm=algorithm and linalg.SvdAlgorithm[algorithm.name])
    return (outs[1], outs[0], outs[2]) if compute_uv else outs


def _eigh(x: Any, *, lower: bool, sort_eigenvalues: bool, subset_by_index: Any, **_: Any) -> Any:
    return linalg.eigh(x, lower=lower, symmetrize_input=False, sort_eigenvalues=sort_eigenvalues,
                       subset_by_index=subset_by_index)


def _empty(*, shape: Any = (), dtype: Any, **_: Any) -> Any:
    return lax.empty(shape, dtypes.as_dtype(dtype))


def _counters(*, shape: Any) -> Any:
    """The numbers of an array's elements as pairs of 32-bit words, the high ones first."""
    low = lax.reshape(lax.iota(np.uint32, int(np.prod(shape))), shape)
    return lax.full_like(low, 0), low


rules.update({name: same(name, "") for name in _ELEMENTWISE})
rules.update({name: same(name, parameters) for name, parameters in _SAME.items()})
rules.update({
    "add_any": add_any,
    "after_all": lambda *tokens: lax.after_all(*tokens),
    "approx_top_k": _approx_top_k,
    "broadcast_to": through(lax.broadcast_in_dim, "shape"),
    "conj": lambda x, **_: lax.conj(x) if typeof(x).dtype.kind == "c" else lax.complex(x, lax.full_like(x, 0)),
    "conv_general_dilated": _conv,
    "convert_element_type": _convert,
    "create_token": lambda **_: lax.create_token(),
    "dce_sink": lambda *values, **_: (),
    "device_put": lambda *values, **_: values,
    "dot_general": _dot_general,
    "eig": through(linalg.eig, "compute_left_eigenvectors", "compute_right_eigenvectors", "enable_eigvec_derivs"),
    "eigh": _eigh,
    "empty": _empty,
    "empty2": _empty,
    "eq_to": _in_total_order(lax.eq),
    "fft": _fft,
    "gather": _gather,
    "inspect_sharding": lambda *values, **_: (),
    "iota_2x32_shape": _counters,
    "layout_constraint": lambda x, **_: x,
    "le_to": _in_total_order(lax.le),
    "log2": lambda x, **_: lax.div(lax.log(x), lax.full_like(x, np.log(2))),
    "lt_to": _in_total_order(lax.lt),
    "one_minus_square": lambda x, **_: lax.sub(lax.full_like(x, 1), lax.square(x)),
    "polynomial": _polynomial,
    "qr": through(linalg.qr, "pivoting", "full_matrices"),
    "ragged_dot_general": _ragged,
    "random_gamma_grad": same("random_gamma_grad", ""),
    "reshape": _reshape,
    "reshard": lambda x, **_: x,
    "rng_bit_generator": _random_bits,
    "round": _round,
    "scatter": _scatter(lax.scatter),
    "scatter-add": _scatter(lax.scatter_add),
    "scatter-max": _scatter(lax.scatter_max),
    "scatter-min": _scatter(lax.scatter_min),
    "scatter-mul": _scatter(lax.scatter_mul),
    "scatter-sub": _scatter(lax.scatter_sub),
    "select_and_gather_add": _selecting("select_and_gather_add", WINDOW),
    "select_and_scatter_add": _selecting("select_and_scatter_add", "window_dimensions window_strides padding"),
    "sharding_constraint": lambda x, **_: x,
    "svd": _svd,
    "symmetric_product": through(linalg.symmetric_product, "alpha", "beta"),
    "stack": lambda *values, axis: lax.stack(values, axis),
    "threefry2x32": lambda *words: find_op("threefry2x32").bind(*words, unroll=False),
    "tile": through(lax.tile, "reps"),
    "unstack": lambda x, *, axis: lax.unstack(x, axis),
})
