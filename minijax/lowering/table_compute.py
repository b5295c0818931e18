"""How ops that compute differ from `jax.lax`: elementwise ops, reductions, sorts, special functions, bit generators.

A rule takes jax values and the op's parameters and gives a jax value, or several.
Functions of `jax.lax` that take equal shapes only get their operands broadcast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from minijax.ir import dtypes
from minijax.lowering.table import rules
from minijax.ops import arithmetic, bits, comparison, conversion, generators, memory, reductions, searching, special
from minijax.ops.sorting import sort_p


def _broadcasting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of equal shapes take scalars and axes of size 1 too."""
    def of_equal_shapes(*values: Any, **params: Any) -> Any:
        shape = np.broadcast_shapes(*map(jnp.shape, values))
        return function(*[_repeated(x, shape) for x in values], **params)

    return of_equal_shapes


def _repeated(x: Any, shape: tuple[int, ...]) -> Any:
    if jnp.shape(x) == shape:
        return x
    return lax.broadcast_in_dim(x, shape, range(len(shape) - jnp.ndim(x), len(shape)))


def _clamp(low: Any, x: Any, high: Any) -> Any:
    scalars = jnp.shape(low) == jnp.shape(high) == ()
    return lax.clamp(low, x, high) if scalars else _broadcasting(lax.clamp)(low, x, high)


def _select_n(which: Any, *cases: Any) -> Any:
    shape = np.broadcast_shapes(*map(jnp.shape, (which, *cases)))
    selector = _repeated(which, shape) if jnp.shape(which) else which
    return lax.select_n(selector, *[_repeated(x, shape) for x in cases])


def _round(x: Any, rounding_method: int) -> Any:
    return lax.round(x, lax.RoundingMethod(rounding_method))


def _convert(x: Any, new_dtype: Any, weak_type: bool) -> Any:
    if jnp.iscomplexobj(x) and not dtypes.is_complex(new_dtype):
        x = lax.real(x)
    if weak_type:  # which no function of jax.lax offers
        return lax.convert_element_type_p.bind(jnp.asarray(x), new_dtype=new_dtype, weak_type=True, sharding=None)
    return lax.convert_element_type(x, new_dtype)


def _approx_top_k(x: Any, *, is_max_k: bool, **params: Any) -> Any:
    return (lax.approx_max_k if is_max_k else lax.approx_min_k)(x, **params)


def _bits(key: Any, *, shape: tuple[int, ...], dtype: Any, algorithm: str) -> Any:
    return lax.rng_bit_generator(key, shape, dtype, lax.RandomAlgorithm[f"RNG_{algorithm.upper()}"])


rules.update({
    arithmetic.round_p: _round,
    arithmetic.clamp_p: _clamp,
    comparison.select_n_p: _select_n,
    bits.and_p: lax.bitwise_and,
    bits.or_p: lax.bitwise_or,
    bits.xor_p: lax.bitwise_xor,
    bits.not_p: lax.bitwise_not,
    conversion.convert_element_type_p: _convert,
    conversion.copy_p: jnp.copy,
    reductions.argmax_p: lambda x, axes, index_dtype: lax.argmax(x, axes[0], index_dtype),
    reductions.argmin_p: lambda x, axes, index_dtype: lax.argmin(x, axes[0], index_dtype),
    sort_p: lambda *xs, **params: lax.sort(xs, **params),
    special.betainc_p: lax.betainc,
    searching.approx_top_k_p: _approx_top_k,
    generators.rng_bit_generator_p: _bits,
    generators.rng_uniform_p: lambda a, b, shape: lax.rng_uniform(jnp.asarray(a), jnp.asarray(b), shape),
    generators.optimization_barrier_p: lambda *xs: lax.optimization_barrier(xs),
    memory.name_p: lambda x, name: x,
})
for op in (conversion.complex_p, bits.mulhi_p, special.polygamma_p, special.zeta_p, special.igamma_p, special.igammac_p,
           special.igamma_grad_a_p, special.random_gamma_grad_p, special.betainc_p):
    rules[op] = _broadcasting(rules[op])
