"""How special functions, Fourier transforms, searches and bit generators become `jax.lax`: one line an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from minijax.ir.op import Op
from minijax.lowering.table_elementwise import broadcasting
from minijax.ops import bits, fourier, generators, searching, special

_ALGORITHMS = {"default": lax.RandomAlgorithm.RNG_DEFAULT, "three_fry": lax.RandomAlgorithm.RNG_THREE_FRY,
               "philox": lax.RandomAlgorithm.RNG_PHILOX}


def _fft(x: Any, *, fft_type: str, fft_lengths: tuple[int, ...]) -> Any:
    return lax.fft(x, lax.FftType[fft_type.upper()], fft_lengths)


def _top_k(x: Any, *, k: int, axis: int) -> Any:
    return tuple(lax.top_k(x, k, axis=axis))


def _approx_top_k(x: Any, *, is_max_k: bool, **params: Any) -> Any:
    return tuple((lax.approx_max_k if is_max_k else lax.approx_min_k)(x, **params))


def _bits(key: Any, *, shape: tuple[int, ...], dtype: Any, algorithm: str) -> Any:
    return tuple(lax.rng_bit_generator(key, shape, dtype, _ALGORITHMS[algorithm]))


def _uniform(a: Any, b: Any, *, shape: tuple[int, ...]) -> Any:
    return lax.rng_uniform(jax.numpy.asarray(a), jax.numpy.asarray(b), shape)


rules: dict[Op, Callable[..., Any]] = {
    special.lgamma_p: lax.lgamma,
    special.digamma_p: lax.digamma,
    special.polygamma_p: broadcasting(lax.polygamma),
    special.zeta_p: broadcasting(lax.zeta),
    special.igamma_p: broadcasting(lax.igamma),
    special.igammac_p: broadcasting(lax.igammac),
    special.igamma_grad_a_p: broadcasting(lax.igamma_grad_a),
    special.random_gamma_grad_p: broadcasting(lax.random_gamma_grad),
    special.betainc_p: broadcasting(lax.betainc),
    special.bessel_i0e_p: lax.bessel_i0e,
    special.bessel_i1e_p: lax.bessel_i1e,
    bits.mulhi_p: broadcasting(lax.mulhi),
    fourier.fft_p: _fft,
    searching.top_k_p: _top_k,
    searching.approx_top_k_p: _approx_top_k,
    generators.rng_bit_generator_p: _bits,
    generators.rng_uniform_p: _uniform,
    generators.optimization_barrier_p: lambda *xs: tuple(lax.optimization_barrier(xs)),
}
