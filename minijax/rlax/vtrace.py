"""V-trace: temporal-difference errors of trajectories that another policy acted out, by clipped importance ratios.

    t               0     1     2    ...  T-1   T
    v_tm1, rho_tm1 [0     1     2    ...  T-1]         values of the states; pi(a) / mu(a) of the actions taken in them
    v_t                  [1     2    ...  T-1   T]
    r_t, discount_t      [1     2    ...  T-1   T]
    result         [0     1     2    ...  T-1]

All of these are float[T].  Espeholt and others, "IMPALA", 2018; the leaky form is of Zahavy and others, 2020.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import lax
from minijax.rlax.checks import typed
from minijax.rlax.recursion import backwards, chosen

SEQUENCES = {name: "float[T]" for name in ("v_tm1", "v_t", "r_t", "discount_t", "rho_tm1")}
TRAJECTORY = typed(**SEQUENCES, lambda_="float[] | float[T]", sample_mask="bool[T]")


class VTraceOutput(NamedTuple):
    """Errors to learn values by, advantages to learn a policy by, and the values of the actions taken: float[T].

    >>> errors, pg_advantage, q_estimate = vtrace_td_error_and_advantage(*[jnp.ones(1)] * 5)
    >>> errors, q_estimate
    (Array([1.], dtype=float32), Array([2.], dtype=float32))
    """

    errors: Any
    pg_advantage: Any
    q_estimate: Any


@TRAJECTORY
def vtrace(v_tm1: Any, v_t: Any, r_t: Any, discount_t: Any, rho_tm1: Any, lambda_: Any = 1.0,
           clip_rho_threshold: float = 1.0, stop_target_gradients: bool = True, sample_mask: Any = None) -> Any:
    """The errors of V-trace: its targets minus v_tm1.

        e_t = min(rho_t, clip) (r_{t+1} + discount_{t+1} v_{t+1} - v_t) + discount_{t+1} c_t e_{t+1},   e_T = 0
        c_t = lambda_t min(rho_t, 1)

        t               0     1     2    ...  T-1   T
        v_tm1, rho_tm1 [0     1     2    ...  T-1]         float[T]
        v_t, r_t, discount_t [1     2    ...  T-1   T]     float[T]
        lambda_        [0     1     2    ...  T-1]         float[T], or float[] for all
        sample_mask    [0     1     2    ...  T-1]         bool[T]: where False, e_t = e_{t+1}
        result         [0     1     2    ...  T-1]         float[T]

    With `stop_target_gradients` the only gradient is -1 to v_tm1.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Espeholt and others, "IMPALA: Scalable Distributed Deep-RL with Importance Weighted Actor-Learner Architectures",
    2018.

    >>> vtrace(jnp.zeros(2), jnp.zeros(2), jnp.array([1.0, 1.0]), jnp.array([1.0, 1.0]), jnp.array([0.5, 2.0]))
    Array([1., 1.], dtype=float32)
    """
    differences = jnp.minimum(clip_rho_threshold, rho_tm1) * (r_t + discount_t * v_t - v_tm1)
    c_tm1 = jnp.minimum(1.0, rho_tm1) * lambda_
    return _errors(v_tm1, differences, discount_t, c_tm1, stop_target_gradients, sample_mask)


@TRAJECTORY
def leaky_vtrace(v_tm1: Any, v_t: Any, r_t: Any, discount_t: Any, rho_tm1: Any, alpha_: Any = 1.0, lambda_: Any = 1.0,
                 clip_rho_threshold: float = 1.0, stop_target_gradients: bool = True, sample_mask: Any = None) -> Any:
    """V-trace whose ratios are clipped in part only: `alpha_` 1 is V-trace, 0 is importance sampling.

        e_t = leaky(rho_t, clip) (r_{t+1} + discount_{t+1} v_{t+1} - v_t) + discount_{t+1} c_t e_{t+1},   e_T = 0
        c_t = lambda_t leaky(rho_t, 1),   leaky(rho, clip) = (1 - alpha) rho + alpha min(rho, clip)

        t               0     1     2    ...  T-1   T
        v_tm1, rho_tm1 [0     1     2    ...  T-1]         float[T]
        v_t, r_t, discount_t [1     2    ...  T-1   T]     float[T]
        lambda_        [0     1     2    ...  T-1]         float[T], or float[] for all
        sample_mask    [0     1     2    ...  T-1]         bool[T]: where False, e_t = e_{t+1}
        result         [0     1     2    ...  T-1]         float[T]

    With `stop_target_gradients` the only gradient is -1 to v_tm1.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Zahavy and others, "A Self-Tuning Actor-Critic Algorithm", 2020.

    >>> leaky_vtrace(jnp.zeros(2), jnp.zeros(2), jnp.ones(2), jnp.ones(2), jnp.array([0.5, 3.0]), alpha_=0.5)
    Array([1.5, 2. ], dtype=float32)
    """
    differences = _leaky(rho_tm1, alpha_, clip_rho_threshold) * (r_t + discount_t * v_t - v_tm1)
    c_tm1 = _leaky(rho_tm1, alpha_, 1.0) * lambda_
    return _errors(v_tm1, differences, discount_t, c_tm1, stop_target_gradients, sample_mask)


@TRAJECTORY
def vtrace_td_error_and_advantage(v_tm1: Any, v_t: Any, r_t: Any, discount_t: Any, rho_tm1: Any, lambda_: Any = 1.0,
                                  clip_rho_threshold: float = 1.0, clip_pg_rho_threshold: float = 1.0,
                                  stop_target_gradients: bool = True, sample_mask: Any = None) -> VTraceOutput:
    """The errors of V-trace, with advantages for a policy gradient.

        errors = vtrace(...),   g_t = errors_t + v_t
        q_t = r_{t+1} + discount_{t+1} (lambda_t g_{t+1} + (1 - lambda_t) v_{t+1}),   at the end with v_T alone
        advantage_t = min(rho_t, clip_pg) (q_t - v_t)

        t               0     1     2    ...  T-1   T
        v_tm1, rho_tm1 [0     1     2    ...  T-1]         float[T]
        v_t, r_t, discount_t [1     2    ...  T-1   T]     float[T]
        lambda_        [0     1     2    ...  T-1]         float[T], or float[] for all
        sample_mask    [0     1     2    ...  T-1]         bool[T]: where False, the error is the next one
        results        [0     1     2    ...  T-1]         VTraceOutput of three float[T]

    With `stop_target_gradients` the only gradient of the errors is -1 to v_tm1.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Espeholt and others, "IMPALA: Scalable Distributed Deep-RL with Importance Weighted Actor-Learner Architectures",
    2018.

    >>> vtrace_td_error_and_advantage(jnp.zeros(1), jnp.ones(1), jnp.ones(1), jnp.ones(1), jnp.ones(1)).q_estimate
    Array([2.], dtype=float32)
    """
    errors = vtrace(v_tm1, v_t, r_t, discount_t, rho_tm1, lambda_, clip_rho_threshold, stop_target_gradients,
                    sample_mask)
    ratios = jnp.minimum(clip_pg_rho_threshold, rho_tm1)
    return _with_advantages(errors, ratios, v_tm1, v_t, r_t, discount_t, lambda_)


@TRAJECTORY
def leaky_vtrace_td_error_and_advantage(v_tm1: Any, v_t: Any, r_t: Any, discount_t: Any, rho_tm1: Any,
                                        alpha: Any = 1.0, lambda_: Any = 1.0, clip_rho_threshold: float = 1.0,
                                        clip_pg_rho_threshold: float = 1.0, stop_target_gradients: bool = True,
                                        sample_mask: Any = None) -> VTraceOutput:
    """The errors of leaky V-trace, with advantages for a policy gradient.

        errors = leaky_vtrace(...),   g_t = errors_t + v_t
        q_t = r_{t+1} + discount_{t+1} (lambda_t g_{t+1} + (1 - lambda_t) v_{t+1}),   at the end with v_T alone
        advantage_t = ((1 - alpha) rho_t + alpha min(rho_t, clip_pg)) (q_t - v_t)

        t               0     1     2    ...  T-1   T
        v_tm1, rho_tm1 [0     1     2    ...  T-1]         float[T]
        v_t, r_t, discount_t [1     2    ...  T-1   T]     float[T]
        lambda_        [0     1     2    ...  T-1]         float[T], or float[] for all
        sample_mask    [0     1     2    ...  T-1]         bool[T]: where False, the error is the next one
        results        [0     1     2    ...  T-1]         VTraceOutput of three float[T]

    With `stop_target_gradients` the only gradient of the errors is -1 to v_tm1.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Zahavy and others, "A Self-Tuning Actor-Critic Algorithm", 2020.

    >>> one = jnp.ones(1)
    >>> leaky_vtrace_td_error_and_advantage(one, one, one, one, 3 * one, alpha=0.5).pg_advantage
    Array([2.], dtype=float32)
    """
    errors = leaky_vtrace(v_tm1, v_t, r_t, discount_t, rho_tm1, alpha, lambda_, clip_rho_threshold,
                          stop_target_gradients, sample_mask)
    ratios = _leaky(rho_tm1, alpha, clip_pg_rho_threshold)
    return _with_advantages(errors, ratios, v_tm1, v_t, r_t, discount_t, lambda_)


def _leaky(rho: Any, alpha: Any, threshold: Any) -> Any:
    """Ratios clipped at a threshold by the part alpha."""
    return (1 - alpha) * rho + alpha * jnp.minimum(threshold, rho)


def _errors(v_tm1: Any, differences: Any, discount_t: Any, c_tm1: Any, stop: Any, mask: Any) -> Any:
    """Weighted one-step differences summed backwards; no gradient enters their targets if `stop`."""
    def step(later: Any, difference: Any, discount: Any, c: Any, learnable: Any) -> Any:
        return jnp.where(learnable, difference + discount * c * later, later)

    learnable = jnp.ones_like(differences, dtype=bool) if mask is None else mask
    errors = backwards(step, 0.0, differences, discount_t, c_tm1, learnable)
    return chosen(stop, lax.stop_gradient(errors + v_tm1) - v_tm1, errors)


def _with_advantages(errors: Any, ratios: Any, v_tm1: Any, v_t: Any, r_t: Any, discount_t: Any,
                     lambda_: Any) -> VTraceOutput:
    """The values of actions that the errors lead to, and their weighted advantages over the states'."""
    weights = (jnp.ones_like(discount_t) * lambda_)[:-1]
    targets = errors + v_tm1
    following = jnp.concatenate([weights * targets[1:] + (1 - weights) * v_tm1[1:], v_t[-1:]])
    q_estimate = r_t + discount_t * following
    return VTraceOutput(errors, ratios * (q_estimate - v_tm1), q_estimate)
