"""JAX's sampler of gamma numbers: its own program, with the derivative of the distribution.

A sampler tries until it accepts; the derivative of the accepted sample is that of the inverse of
the distribution function, not of the tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ml_dtypes
from jax.random import random_gamma_p

from minijax import lax
from minijax.custom_rules import custom_jvp
from minijax.interop.equations import rules, run, traced
from minijax.tracing.array import typeof


def _random_gamma(keys: Any, a: Any, *, log_space: bool) -> Any:
    @custom_jvp
    def sample(keys: Any, a: Any) -> Any:
        program = traced(lambda *xs: random_gamma_p.impl(*xs, log_space=log_space), keys, a)
        return run(program, (keys, a))[0]

    @sample.defjvp
    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        out = sample(*primals)
        slope = _slope_of_log(primals[1], out) if log_space else lax.random_gamma_grad(primals[1], out)
        return out, lax.mul(tangents[1], slope)

    return sample(keys, a)


def _slope_of_log(a: Any, log_sample: Any) -> Any:
    """The derivative of a sample's logarithm; a sample that is too small for its dtype counts as the least number."""
    least = ml_dtypes.finfo(typeof(a).dtype).tiny
    sample = lax.exp(log_sample)
    sample = lax.select(lax.eq(sample, lax.full_like(sample, 0)), lax.full_like(sample, least), sample)
    return lax.div(lax.random_gamma_grad(a, sample), sample)


rules["random_gamma"] = _random_gamma
