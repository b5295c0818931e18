"""JAX's first-order primitives as minijax ops: most have the same name and the same parameters.

Parameters that only place or hint (shardings, accuracy) are left out.  Where JAX's equation
broadcasts axes of size 1, the operands are broadcast first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax import lax
from minijax.interop.equations import Rule, rules
from minijax.ir import dtypes
from minijax.ir.op import find_op
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

_SAME = {
    "argmax": "axes index_dtype", "argmin": "axes index_dtype", "bitcast_convert_type": "new_dtype",
    "broadcast_in_dim": "shape broadcast_dimensions", "concatenate": "dimension", "cumlogsumexp": "axis reverse",
    "cummax": "axis reverse", "cummin": "axis reverse", "cumprod": "axis reverse", "cumsum": "axis reverse",
    "dynamic_slice": "slice_sizes", "dynamic_update_slice": "", "integer_pow": "y", "iota": "dtype shape dimension",
    "pad": "padding_config", "reduce_and": "axes", "reduce_max": "axes", "reduce_min": "axes", "reduce_or": "axes",
    "reduce_precision": "exponent_bits mantissa_bits", "reduce_prod": "axes", "reduce_sum": "axes",
    "reduce_xor": "axes", "rev": "dimensions", "slice": "start_indices limit_indices strides",
    "sort": "dimension is_stable num_keys", "split": "sizes axis", "squeeze": "dimensions",
    "threefry2x32": "", "transpose": "permutation"}


def elementwise(name: str) -> Rule:
    """The rule of an elementwise primitive: the op of the same name, operands broadcast."""
    def rule(*values: Any, **params: Any) -> Any:
        shape = np.broadcast_shapes(*[typeof(x).shape for x in values])
        full = [x if typeof(x).shape in ((), shape) else lax.broadcast_in_dim(x, shape, range(len(shape)))
                for x in values]
        return find_op(name).bind(*full)

    return rule


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


def _round(x: Any, *, rounding_method: Any) -> Any:
    return lax.round(x, lax.RoundingMethod(int(rounding_method)))


def _conv(x: Any, kernel: Any, *, dimension_numbers: Any, precision: Any, window_strides: Any, padding: Any,
          lhs_dilation: Any, rhs_dilation: Any, feature_group_count: int, batch_group_count: int,
          preferred_element_type: Any, **_: Any) -> Any:
    numbers = lax.ConvDimensionNumbers(*dimension_numbers)
    return lax.conv_general_dilated(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers,
                                    feature_group_count, batch_group_count, precision, preferred_element_type)


rules.update({name: elementwise(name) for name in _ELEMENTWISE})
rules.update({name: same(name, parameters) for name, parameters in _SAME.items()})
rules.update({
    "add_any": add_any,
    "broadcast_to": through(lax.broadcast_in_dim, "shape"),
    "conj": lambda x, **_: lax.conj(x) if typeof(x).dtype.kind == "c" else lax.complex(x, lax.full_like(x, 0)),
    "conv_general_dilated": _conv,
    "convert_element_type": _convert,
    "device_put": lambda *values, **_: values,
    "dot_general": _dot_general,
    "gather": _gather,
    "reshape": _reshape,
    "round": _round,
    "scatter": _scatter(lax.scatter),
    "scatter-add": _scatter(lax.scatter_add),
    "scatter-max": _scatter(lax.scatter_max),
    "scatter-min": _scatter(lax.scatter_min),
    "scatter-mul": _scatter(lax.scatter_mul),
    "scatter-sub": _scatter(lax.scatter_sub),
    "sharding_constraint": lambda x, **_: x,
    "stack": lambda *values, axis: lax.stack(values, axis),
    "tile": through(lax.tile, "reps"),
    "unstack": lambda x, *, axis: lax.unstack(x, axis),
})
