"""Ops that compute -> `jax.lax`: elementwise ops, reductions, scans, dot_general, sort.

A rule takes jax values and the op's parameters and gives a jax value, or a tuple.
Functions of `jax.lax` that do not take rank-0 operands among others get them broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ops import (arithmetic, bits, comparison, conversion, elementwise, families, reductions, scans,
                         sorting)


def broadcasting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of equal shapes take rank-0 operands too."""
    def of_equal_shapes(*values: Any, **params: Any) -> Any:
        shapes = {jnp.shape(x) for x in values}
        if len(shapes) == 1:
            return function(*values, **params)
        shape = max(shapes, key=len)
        return function(*[x if jnp.shape(x) else lax.broadcast(x, shape) for x in values], **params)

    return of_equal_shapes


def _clamp(low: Any, x: Any, high: Any) -> Any:
    return lax.clamp(low, x, high) if jnp.shape(x) else broadcasting(lax.clamp)(low, x, high)


def _select_n(which: Any, *cases: Any) -> Any:
    shape = max([jnp.shape(x) for x in (which, *cases)], key=len)
    if jnp.shape(cases[0]) == shape and len({jnp.shape(x) for x in cases}) == 1:
        return lax.select_n(which, *cases)
    return lax.select_n(which, *[x if jnp.shape(x) else lax.broadcast(x, shape) for x in cases])


def _round(x: Any, rounding_method: int) -> Any:
    return lax.round(x, lax.RoundingMethod(rounding_method))


def _convert(x: Any, new_dtype: Any, weak_type: bool) -> Any:
    if jnp.iscomplexobj(x) and not dtypes.is_complex(new_dtype):
        x = lax.real(x)
    if weak_type:  # which no function of jax.lax offers
        return lax.convert_element_type_p.bind(jnp.asarray(x), new_dtype=new_dtype, weak_type=True, sharding=None)
    return lax.convert_element_type(x, new_dtype)


rules: dict[Op, Callable[..., Any]] = {
    families.add_p: lax.add,
    families.mul_p: lax.mul,
    arithmetic.neg_p: lax.neg,
    arithmetic.sub_p: lax.sub,
    arithmetic.div_p: lax.div,
    arithmetic.rem_p: lax.rem,
    arithmetic.sign_p: lax.sign,
    arithmetic.floor_p: lax.floor,
    arithmetic.ceil_p: lax.ceil,
    arithmetic.round_p: _round,
    arithmetic.is_finite_p: lax.is_finite,
    arithmetic.nextafter_p: lax.nextafter,
    arithmetic.max_p: lax.max,
    arithmetic.min_p: lax.min,
    arithmetic.clamp_p: _clamp,

    comparison.eq_p: lax.eq,
    comparison.ne_p: lax.ne,
    comparison.lt_p: lax.lt,
    comparison.le_p: lax.le,
    comparison.gt_p: lax.gt,
    comparison.ge_p: lax.ge,
    comparison.select_n_p: _select_n,

    bits.and_p: lax.bitwise_and,
    bits.or_p: lax.bitwise_or,
    bits.xor_p: lax.bitwise_xor,
    bits.not_p: lax.bitwise_not,
    bits.shift_left_p: lax.shift_left,
    bits.shift_right_logical_p: lax.shift_right_logical,
    bits.shift_right_arithmetic_p: lax.shift_right_arithmetic,
    bits.population_count_p: lax.population_count,
    bits.clz_p: lax.clz,

    conversion.convert_element_type_p: _convert,
    conversion.bitcast_convert_type_p: lax.bitcast_convert_type,
    conversion.reduce_precision_p: lax.reduce_precision,
    conversion.real_p: lax.real,
    conversion.imag_p: lax.imag,
    conversion.conj_p: lax.conj,
    conversion.complex_p: broadcasting(lax.complex),
    conversion.copy_p: jnp.copy,
    conversion.stop_gradient_p: lax.stop_gradient,

    elementwise.exp_p: lax.exp,
    elementwise.exp2_p: lax.exp2,
    elementwise.expm1_p: lax.expm1,
    elementwise.log_p: lax.log,
    elementwise.log1p_p: lax.log1p,
    elementwise.logistic_p: lax.logistic,
    elementwise.sin_p: lax.sin,
    elementwise.cos_p: lax.cos,
    elementwise.tan_p: lax.tan,
    elementwise.asin_p: lax.asin,
    elementwise.acos_p: lax.acos,
    elementwise.atan_p: lax.atan,
    elementwise.atan2_p: lax.atan2,
    elementwise.sinh_p: lax.sinh,
    elementwise.cosh_p: lax.cosh,
    elementwise.tanh_p: lax.tanh,
    elementwise.asinh_p: lax.asinh,
    elementwise.acosh_p: lax.acosh,
    elementwise.atanh_p: lax.atanh,
    elementwise.erf_p: lax.erf,
    elementwise.erfc_p: lax.erfc,
    elementwise.erf_inv_p: lax.erf_inv,
    elementwise.sqrt_p: lax.sqrt,
    elementwise.rsqrt_p: lax.rsqrt,
    elementwise.cbrt_p: lax.cbrt,
    elementwise.square_p: lax.square,
    arithmetic.integer_pow_p: lax.integer_pow,
    elementwise.pow_p: lax.pow,
    elementwise.abs_p: lax.abs,

    families.reduce_sum_p: lax.reduce_sum,
    reductions.reduce_prod_p: lax.reduce_prod,
    reductions.reduce_max_p: lax.reduce_max,
    reductions.reduce_min_p: lax.reduce_min,
    reductions.reduce_and_p: lax.reduce_and,
    reductions.reduce_or_p: lax.reduce_or,
    reductions.reduce_xor_p: lax.reduce_xor,
    reductions.argmax_p: lambda x, axes, index_dtype: lax.argmax(x, axes[0], index_dtype),
    reductions.argmin_p: lambda x, axes, index_dtype: lax.argmin(x, axes[0], index_dtype),

    scans.cumsum_p: lax.cumsum,
    scans.cumprod_p: lax.cumprod,
    scans.cummax_p: lax.cummax,
    scans.cummin_p: lax.cummin,
    scans.cumlogsumexp_p: lax.cumlogsumexp,

    sorting.sort_p: lambda *xs, **params: lax.sort(xs, **params),
}
