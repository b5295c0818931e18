"""Transformations that remember running means of the updates: momentum, RMSProp and Adam."""

from __future__ import annotations

from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import Array, lax, tree
from minijax.optix.checks import decays, fields, map_trees, not_negative
from minijax.optix.counting import (cast, first_count, next_count, running_mean, running_square, square, without_bias,
                                    zeros)
from minijax.optix.transformation import GradientTransformation


class TraceState(NamedTuple):
    """The sum of the updates so far, older ones counting less; a tree like the parameters."""

    trace: Any


class ScaleByRmsState(NamedTuple):
    """The running mean of the squared updates."""

    nu: Any


class ScaleByRmsWithCountState(NamedTuple):
    """The number of steps i32[], and the running mean of the squared updates."""

    count: Array
    nu: Any


class ScaleByRStdDevState(NamedTuple):
    """The running means of the updates and of their squares."""

    mu: Any
    nu: Any


class ScaleByRStdDevWithCountState(NamedTuple):
    """The number of steps i32[], and the running means of the updates and of their squares."""

    count: Array
    mu: Any
    nu: Any


class ScaleByAdamState(NamedTuple):
    """The number of steps i32[], and the running means of the updates and of their squares."""

    count: Array
    mu: Any
    nu: Any


def trace(decay: Any, nesterov: bool = False, accumulator_dtype: Any = None) -> GradientTransformation:
    """Momentum (Polyak, 1964): the updates so far are added up, those of k steps ago times decay^k.

    `nesterov` looks one step ahead (Nesterov, 1983); `accumulator_dtype` is the dtype of what is remembered.

    >>> momentum = trace(0.5)
    >>> updates, state = momentum.update(jnp.float32(1.0), momentum.init(jnp.float32(0.0)))
    >>> print(momentum.update(jnp.float32(1.0), state)[0])
    1.5
    """
    decays("trace", decay=decay)

    def init(params: Any) -> TraceState:
        return TraceState(zeros(params, accumulator_dtype))

    def update(updates: Any, state: TraceState, params: Any = None) -> tuple[Any, TraceState]:
        def add(updates: Any, total: Any) -> Any:
            return map_trees("trace", lambda g, t: g + decay * t, updates=updates, **{"state.trace": total})

        total = add(updates, fields("trace", state, TraceState).trace)
        return add(updates, total) if nesterov else total, TraceState(cast(total, accumulator_dtype))

    return GradientTransformation(init, update)


def scale_by_rms(decay: Any = 0.9, eps: Any = 1e-8, initial_scale: Any = 0.0, eps_in_sqrt: bool = True,
                 bias_correction: bool = False) -> GradientTransformation:
    """RMSProp (Hinton, 2012): updates divided by the root of the running mean of their squares.

    `eps` keeps the division from zero, inside the root or beside it; the mean starts at `initial_scale`;
    `bias_correction` makes up for that start.

    >>> rms = scale_by_rms(decay=0.0)
    >>> print(rms.update(jnp.float32(-5.0), rms.init(jnp.float32(0.0)))[0])
    -1.0
    """
    decays("scale_by_rms", decay=decay)
    not_negative("scale_by_rms", eps=eps, initial_scale=initial_scale)
    kind = ScaleByRmsWithCountState if bias_correction else ScaleByRmsState

    def init(params: Any) -> Any:
        nu = tree.map(lambda p: jnp.full_like(p, initial_scale), params)
        return kind(first_count(), nu) if bias_correction else kind(nu)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        state = fields("scale_by_rms", state, kind)
        nu = running_square("scale_by_rms", updates, "state.nu", state.nu, decay)
        if not bias_correction:
            return tree.map(lambda g, n: inverse_root(n, eps, eps_in_sqrt) * g, updates, nu), kind(nu)
        count = next_count(state.count)
        fair = without_bias(nu, decay, count)
        return tree.map(lambda g, n: inverse_root(n, eps, eps_in_sqrt) * g, updates, fair), kind(count, nu)

    return GradientTransformation(init, update)


def scale_by_stddev(decay: Any = 0.9, eps: Any = 1e-8, initial_scale: Any = 0.0, eps_in_sqrt: bool = True,
                    bias_correction: bool = False) -> GradientTransformation:
    """Centred RMSProp (Graves, 2013): updates divided by the running estimate of their standard deviation.

    Arguments are those of `scale_by_rms`.

    >>> deviation = scale_by_stddev(decay=0.5)
    >>> print(deviation.update(jnp.float32(3.0), deviation.init(jnp.float32(0.0)))[0])
    2.0
    """
    decays("scale_by_stddev", decay=decay)
    not_negative("scale_by_stddev", eps=eps, initial_scale=initial_scale)
    kind = ScaleByRStdDevWithCountState if bias_correction else ScaleByRStdDevState

    def init(params: Any) -> Any:
        means = zeros(params), tree.map(lambda p: jnp.full_like(p, initial_scale), params)
        return kind(first_count(), *means) if bias_correction else kind(*means)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        state = fields("scale_by_stddev", state, kind)
        mu = running_mean("scale_by_stddev", updates, "state.mu", state.mu, decay)
        nu = running_square("scale_by_stddev", updates, "state.nu", state.nu, decay)
        if not bias_correction:
            return centred(updates, mu, nu), kind(mu, nu)
        count = next_count(state.count)
        fair = without_bias(mu, decay, count), without_bias(nu, decay, count)
        return centred(updates, *fair), kind(count, mu, nu)

    def centred(updates: Any, mu: Any, nu: Any) -> Any:
        return tree.map(lambda g, m, n: inverse_root(n - square(m), eps, eps_in_sqrt) * g, updates, mu, nu)

    return GradientTransformation(init, update)


def inverse_root(x: Any, eps: Any, inside: bool) -> Any:
    """1 / sqrt(x), with `eps` inside the root or added to it.

    >>> print(inverse_root(jnp.float32(4.0), 0.0, True), inverse_root(jnp.float32(4.0), 2.0, False))
    0.5 0.25
    """
    return lax.rsqrt(x + eps) if inside else 1 / (jnp.sqrt(x) + eps)


def scale_by_adam(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0, mu_dtype: Any = None, *,
                  nesterov: bool = False) -> GradientTransformation:
    """Adam (Kingma and Ba, 2015): the running mean of the updates over the root of that of their squares.

        mu = b1 mu + (1 - b1) g              mu' = mu / (1 - b1^t)
        nu = b2 nu + (1 - b2) g^2            nu' = nu / (1 - b2^t)         mu' / (sqrt(nu' + eps_root) + eps)

    `mu_dtype` is the dtype in which mu is remembered; `nesterov` looks one step ahead (Dozat, 2016).

    >>> adam = scale_by_adam(b1=0.5, b2=0.5)
    >>> print(adam.update(jnp.float32(-5.0), adam.init(jnp.float32(0.0)))[0])
    -1.0
    """
    decays("scale_by_adam", b1=b1, b2=b2)
    not_negative("scale_by_adam", eps=eps, eps_root=eps_root)

    def init(params: Any) -> ScaleByAdamState:
        return ScaleByAdamState(first_count(), zeros(params, mu_dtype), zeros(params))

    def update(updates: Any, state: ScaleByAdamState, params: Any = None) -> tuple[Any, ScaleByAdamState]:
        state = fields("scale_by_adam", state, ScaleByAdamState)
        mu = running_mean("scale_by_adam", updates, "state.mu", state.mu, b1)
        nu = running_square("scale_by_adam", updates, "state.nu", state.nu, b2)
        count = next_count(state.count)
        direction = ahead(updates, mu, count) if nesterov else without_bias(mu, b1, count)
        steps = tree.map(lambda m, n: m / (jnp.sqrt(n + eps_root) + eps), direction, without_bias(nu, b2, count))
        nu = tree.map(lambda new, old: new.astype(old.dtype), nu, state.nu)
        return steps, ScaleByAdamState(count, cast(mu, mu_dtype), nu)

    def ahead(updates: Any, mu: Any, count: Any) -> Any:
        now, soon = without_bias(updates, b1, count), without_bias(mu, b1, next_count(count))
        return tree.map(lambda m, g: b1 * m + (1 - b1) * g, soon, now)

    return GradientTransformation(init, update)
