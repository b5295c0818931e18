"""Temporal-difference errors of a trajectory, by its returns: the lambda forms and Retrace.

    t               0     1     2    ...  T-1   T
    .._tm1         [0     1     2    ...  T-1]        predictions and the actions they are of
    .._t                 [1     2    ...  T-1   T]    what is earned and estimated after each

With `stop_target_gradients` (the default) the gradient goes to the predictions alone.
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.rlax.checks import typed
from minijax.rlax.indexing import batched_index
from minijax.rlax.multistep import (general_off_policy_returns_from_action_values,
                                    general_off_policy_returns_from_q_and_v, lambda_returns)
from minijax.rlax.recursion import stopped

Q_STEPS = {"q_tm1": "float[T, A]", "a_tm1": "int[T]", "r_t": "float[T]", "discount_t": "float[T]",
           "q_t": "float[T, A]", "lambda_": "float[] | float[T]"}


@typed(v_tm1="float[T]", r_t="float[T]", discount_t="float[T]", v_t="float[T]", lambda_="float[] | float[T]")
def td_lambda(v_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, lambda_: Any, stop_target_gradients: bool = True) -> Any:
    """The errors of values of states by their lambda-returns.

        error_t = G_t - v_t,   G = lambda_returns(r_t, discount_t, v_t, lambda_)

        t                     0     1    ...  T-1   T
        v_tm1                [0     1    ...  T-1]        float[T]
        r_t, discount_t, v_t       [1    ...  T-1   T]    float[T]
        lambda_                    [1    ...  T-1   T]    float[T], or float[] for all
        result               [0     1    ...  T-1]        float[T]

    No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Sutton, "Learning to Predict by the Methods of Temporal Differences", 1988.

    >>> td_lambda(jnp.zeros(2), jnp.ones(2), jnp.ones(2), jnp.array([4.0, 2.0]), 1.0)
    Array([4., 3.], dtype=float32)
    """
    return stopped(lambda_returns(r_t, discount_t, v_t, lambda_), stop_target_gradients) - v_tm1


@typed(**Q_STEPS, a_t="int[T]")
def sarsa_lambda(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, a_t: Any, lambda_: Any,
                 stop_target_gradients: bool = True) -> Any:
    """The errors of values of actions by lambda-returns over the actions taken.

        error_t = G_t - q_t[a_t],   G = lambda_returns(r_t, discount_t, q_t[a_t], lambda_)

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]
        q_t, a_t                   [1    ...  T-1   T]    float[T, A], int[T]
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        lambda_                    [1    ...  T-1   T]    float[T], or float[] for all
        result               [0     1    ...  T-1]        float[T]

    No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Rummery, "Problem Solving with Reinforcement Learning", 1995.

    >>> q_t = jnp.array([[4.0, 0.0], [0.0, 2.0]])
    >>> sarsa_lambda(jnp.zeros((2, 2)), jnp.array([0, 0]), jnp.ones(2), jnp.ones(2), q_t, jnp.array([0, 1]), 0.0)
    Array([5., 3.], dtype=float32)
    """
    targets = lambda_returns(r_t, discount_t, batched_index(q_t, a_t), lambda_)
    return stopped(targets, stop_target_gradients) - batched_index(q_tm1, a_tm1)


@typed(**Q_STEPS)
def q_lambda(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, lambda_: Any,
             stop_target_gradients: bool = True) -> Any:
    """The errors of values of actions by lambda-returns over the best actions.

        error_t = G_t - q_t[a_t],   G = lambda_returns(r_t, discount_t, max_a q_t[a], lambda_)

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]
        q_t                        [1    ...  T-1   T]    float[T, A]
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        lambda_                    [1    ...  T-1   T]    float[T], or float[] for all
        result               [0     1    ...  T-1]        float[T]

    One lambda for all gives the form of Peng and Williams; a lambda of 0 where the action was not the best, that of
    Watkins.  No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for
    other arguments.  Peng and Williams, "Incremental Multi-Step Q-Learning", 1994.

    >>> q_t = jnp.array([[4.0, 0.0], [0.0, 2.0]])
    >>> q_lambda(jnp.zeros((2, 2)), jnp.array([0, 0]), jnp.ones(2), jnp.ones(2), q_t, 1.0)
    Array([4., 3.], dtype=float32)
    """
    targets = lambda_returns(r_t, discount_t, jnp.max(q_t, axis=-1), lambda_)
    return stopped(targets, stop_target_gradients) - batched_index(q_tm1, a_tm1)


RETRACE = typed(**Q_STEPS | {"lambda_": "any[] | any[T]"}, a_t="int[T]", pi_t="probs[T, A]", mu_t="float[T]")


def retrace_weights(pi_t: Any, mu_t: Any, a_t: Any, lambda_: Any, eps: float) -> Any:
    """How much of the rest of a trajectory counts: lambda min(1, pi / mu) of the actions taken.

    >>> retrace_weights(jnp.array([[0.25, 0.75]]), jnp.array([0.5]), jnp.array([0]), 1.0, 0.0)
    Array([0.5], dtype=float32)
    """
    return jnp.minimum(1.0, batched_index(pi_t, a_t) / (mu_t + eps)) * lambda_


@RETRACE
def retrace(q_tm1: Any, q_t: Any, a_tm1: Any, a_t: Any, r_t: Any, discount_t: Any, pi_t: Any, mu_t: Any, lambda_: Any,
            eps: float = 1e-8, stop_target_gradients: bool = True) -> Any:
    """The errors of values of actions by returns under pi of what another policy mu acted out.

        error_t = G_t - q_t[a_t],   c_t = lambda_t min(1, pi_t[a_t] / (mu_t + eps))
        G_t = r_{t+1} + discount_{t+1} (sum_a pi_{t+1}[a] q_{t+1}[a] + c_{t+1} (G_{t+1} - q_{t+1}[a_{t+1}]))

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]
        q_t, a_t                   [1    ...  T-1   T]    float[T, A], int[T]
        pi_t, mu_t                 [1    ...  T-1   T]    float[T, A] of all actions, float[T] of those taken
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        result               [0     1    ...  T-1]        float[T]

    `lambda_` is float[] or float[T].  No gradient enters the targets if `stop_target_gradients`.
    Raises `ShapeError` and `DtypeError` for other arguments, and `MinijaxValueError` where pi_t does not sum to 1.
    Munos and others, "Safe and Efficient Off-Policy Reinforcement Learning", 2016.

    >>> q, a, one = jnp.array([[4.0, 0.0], [0.0, 2.0]]), jnp.array([0, 1]), jnp.ones(2)
    >>> retrace(jnp.zeros((2, 2)), q, a, a, one, one, pi_t=jnp.full((2, 2), 0.5), mu_t=0.5 * one, lambda_=1.0)
    Array([1., 2.], dtype=float32)
    """
    c_t = retrace_weights(pi_t, mu_t, a_t, lambda_, eps)
    targets = general_off_policy_returns_from_action_values(q_t, a_t, r_t, discount_t, c_t, pi_t)
    return stopped(targets, stop_target_gradients) - batched_index(q_tm1, a_tm1)


@typed(q_tm1="float[T]", q_t="float[T-1]", v_t="float[T]", r_t="float[T]", discount_t="float[T]",
       log_rhos="float[T-1]", lambda_="any[] | any[T-1]")
def retrace_continuous(q_tm1: Any, q_t: Any, v_t: Any, r_t: Any, discount_t: Any, log_rhos: Any, lambda_: Any,
                       stop_target_gradients: bool = True) -> Any:
    """Retrace where actions have no list: from the values of those taken, of the states, and log pi / mu.

        error_t = G_t - q_t,   c_t = lambda_t min(1, exp(log_rho_t))
        G_t = r_{t+1} + discount_{t+1} (v_{t+1} + c_{t+1} (G_{t+1} - q_{t+1})),   G_{T-1} = r_T + discount_T v_T

        t                     0     1    ...  T-1   T
        q_tm1                [0     1    ...  T-1]        float[T]
        q_t, log_rhos              [1    ...  T-1]        float[T-1]
        v_t, r_t, discount_t       [1    ...  T-1   T]    float[T]
        lambda_                    [1    ...  T-1]        float[T-1], or float[] for all
        result               [0     1    ...  T-1]        float[T]

    No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Munos and others, "Safe and Efficient Off-Policy Reinforcement Learning", 2016.

    >>> one = jnp.ones(2)
    >>> retrace_continuous(0 * one, jnp.array([4.0]), jnp.array([2.0, 1.0]), one, one, jnp.array([0.0]), 0.5)
    Array([2., 2.], dtype=float32)
    """
    c_t = jnp.minimum(1.0, jnp.exp(log_rhos)) * lambda_
    targets = general_off_policy_returns_from_q_and_v(q_t, v_t, r_t, discount_t, c_t)
    return stopped(targets, stop_target_gradients) - q_tm1
