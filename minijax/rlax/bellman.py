"""Returns and errors of values that are learned in a squashed form: h(v) instead of v.

A `TxPair` holds h and its inverse.  Values are brought back by the inverse, returns are computed from them, and the
results squashed again: targets for a network whose outputs stay small where rewards do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax.rlax.checks import typed
from minijax.rlax.indexing import batched_index
from minijax.rlax.multistep import (general_off_policy_returns_from_action_values, lambda_returns,
                                    n_step_bootstrapped_returns)
from minijax.rlax.trajectory_learning import Q_STEPS, RETRACE, retrace_weights
from minijax.rlax.transforms import (identity, signed_expm1, signed_hyperbolic, signed_logp1, signed_parabolic)


class TxPair(NamedTuple):
    """A function of values that increases, and its inverse.

    >>> SIGNED_LOGP1_PAIR.apply_inv(SIGNED_LOGP1_PAIR.apply(jnp.array([0.0])))
    Array([0.], dtype=float32)
    """

    apply: Callable[[Any], Any]
    apply_inv: Callable[[Any], Any]


IDENTITY_PAIR = TxPair(identity, identity)
SIGNED_LOGP1_PAIR = TxPair(signed_logp1, signed_expm1)
SIGNED_HYPERBOLIC_PAIR = TxPair(signed_hyperbolic, signed_parabolic)
HYPERBOLIC_SIN_PAIR = TxPair(jnp.arcsinh, jnp.sinh)


def compose_tx(*tx_list: TxPair) -> TxPair:
    """One pair of several: apply goes from the first to the last, apply_inv from the last to the first (RLax).

    >>> double = TxPair(lambda x: 2.0 * x, lambda x: 0.5 * x)
    >>> compose_tx(double, double).apply(1.0)
    4.0
    """
    def apply(x: Any) -> Any:
        for pair in tx_list:
            x = pair.apply(x)
        return x

    def apply_inv(x: Any) -> Any:
        for pair in reversed(tx_list):
            x = pair.apply_inv(x)
        return x

    return TxPair(apply, apply_inv)


@typed(r_t="float[T]", discount_t="float[T]", v_t="float[T, ...]", lambda_="float[] | float[T]")
def transformed_lambda_returns(tx_pair: TxPair, r_t: Any, discount_t: Any, v_t: Any, lambda_: Any = 1.0,
                               stop_target_gradients: bool = False) -> Any:
    """lambda_returns of values that are stored as h(v): h(G).

        H_t = h(r_{t+1} + discount_{t+1} ((1 - lambda_{t+1}) h^-1(v_{t+1}) + lambda_{t+1} h^-1(H_{t+1})))

        t               0     1     2    ...   T
        r_t, discount_t      [1     2    ...   T]   float[T]
        v_t                  [1     2    ...   T]   float[T], or what h gives
        lambda_              [1     2    ...   T]   float[T], or float[] for all
        result         [0     1    ...  T-1]        as v_t

    No gradient enters the returns if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Van Hasselt and others, "General non-linear Bellman equations", 2019.

    >>> one = jnp.ones(2)
    >>> transformed_lambda_returns(IDENTITY_PAIR, one, one, 3 * one, 1.0)
    Array([5., 4.], dtype=float32)
    """
    return tx_pair.apply(lambda_returns(r_t, discount_t, tx_pair.apply_inv(v_t), lambda_, stop_target_gradients))


@typed(r_t="float[T]", discount_t="float[T]", v_t="float[T, ...]", lambda_t="float[] | float[T]")
def transformed_n_step_returns(tx_pair: TxPair, r_t: Any, discount_t: Any, v_t: Any, n: int, lambda_t: Any = 1.0,
                               stop_target_gradients: bool = False) -> Any:
    """n_step_bootstrapped_returns of values that are stored as h(v): h(G).

        H_t = h(n_step_bootstrapped_returns(r_t, discount_t, h^-1(v_t), n, lambda_t)_t)

        t               0     1     2    ...   T
        r_t, discount_t      [1     2    ...   T]   float[T]
        v_t                  [1     2    ...   T]   float[T], or what h gives
        lambda_t             [1     2    ...   T]   float[T], or float[] for all
        result         [0     1    ...  T-1]        as v_t

    No gradient enters the returns if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments, `MinijaxValueError` for n below 1.
    Kapturowski and others, "Recurrent Experience Replay in Distributed Reinforcement Learning", 2019.

    >>> one = jnp.ones(2)
    >>> transformed_n_step_returns(IDENTITY_PAIR, one, one, 3 * one, n=1)
    Array([4., 4.], dtype=float32)
    """
    values = tx_pair.apply_inv(v_t)
    return tx_pair.apply(n_step_bootstrapped_returns(r_t, discount_t, values, n, lambda_t, stop_target_gradients))


@typed(q_t="float[T, A, ...]", a_t="int[T]", r_t="float[T]", discount_t="float[T]", c_t="float[T]", pi_t="probs[T, A]")
def transformed_general_off_policy_returns_from_action_values(
        tx_pair: TxPair, q_t: Any, a_t: Any, r_t: Any, discount_t: Any, c_t: Any, pi_t: Any,
        stop_target_gradients: bool = False) -> Any:
    """general_off_policy_returns_from_action_values of values that are stored as h(q): h(G).

        H_t = h(general_off_policy_returns_from_action_values(h^-1(q_t), a_t, r_t, discount_t, c_t, pi_t)_t)

        t                  0     1     2    ...   T
        q_t                     [1     2    ...   T]   float[T, A], or what h gives
        pi_t                    [1     2    ...   T]   float[T, A]
        a_t                     [1     2    ...   T]   int[T]
        r_t, discount_t, c_t    [1     2    ...   T]   float[T]
        result            [0     1    ...  T-1]        float[T], or what h gives

    No gradient enters the returns if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments, and `MinijaxValueError` where pi_t does not sum to 1.
    Van Hasselt and others, "General non-linear Bellman equations", 2019.

    >>> one, half = jnp.ones(1), jnp.full((1, 2), 0.5)
    >>> transformed_general_off_policy_returns_from_action_values(
    ...     IDENTITY_PAIR, jnp.array([[4.0, 0.0]]), jnp.array([0]), one, one, one, half)
    Array([3.], dtype=float32)
    """
    return tx_pair.apply(general_off_policy_returns_from_action_values(
        tx_pair.apply_inv(q_t), a_t, r_t, discount_t, c_t, pi_t, stop_target_gradients))


@typed(**Q_STEPS)
def transformed_q_lambda(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, lambda_: Any,
                         stop_target_gradients: bool = True, tx_pair: TxPair = IDENTITY_PAIR) -> Any:
    """q_lambda of values that are stored as h(q).

        error_t = H_t - q_t[a_t],   H = transformed_lambda_returns(h, r_t, discount_t, max_a q_t[a], lambda_)

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]
        q_t                        [1    ...  T-1   T]    float[T, A]
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        lambda_                    [1    ...  T-1   T]    float[T], or float[] for all
        result               [0     1    ...  T-1]        float[T]

    No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Van Hasselt and others, "General non-linear Bellman equations", 2019.

    >>> q_t = jnp.array([[4.0, 0.0], [0.0, 2.0]])
    >>> transformed_q_lambda(jnp.zeros((2, 2)), jnp.array([0, 0]), jnp.ones(2), jnp.ones(2), q_t, 1.0)
    Array([4., 3.], dtype=float32)
    """
    targets = transformed_lambda_returns(tx_pair, r_t, discount_t, jnp.max(q_t, axis=-1), lambda_,
                                         stop_target_gradients)
    return targets - batched_index(q_tm1, a_tm1)


@RETRACE
def transformed_retrace(q_tm1: Any, q_t: Any, a_tm1: Any, a_t: Any, r_t: Any, discount_t: Any, pi_t: Any, mu_t: Any,
                        lambda_: Any, eps: float = 1e-8, stop_target_gradients: bool = True,
                        tx_pair: TxPair = IDENTITY_PAIR) -> Any:
    """retrace of values that are stored as h(q).

        error_t = H_t - q_t[a_t],   c_t = lambda_t min(1, pi_t[a_t] / (mu_t + eps))
        H = transformed_general_off_policy_returns_from_action_values(h, q_t, a_t, r_t, discount_t, c_t, pi_t)

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]
        q_t, a_t                   [1    ...  T-1   T]    float[T, A], int[T]
        pi_t, mu_t                 [1    ...  T-1   T]    float[T, A] of all actions, float[T] of those taken
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        result               [0     1    ...  T-1]        float[T]

    `lambda_` is float[] or float[T].  No gradient enters the targets if `stop_target_gradients`.
    Raises `ShapeError` and `DtypeError` for other arguments, and `MinijaxValueError` where pi_t does not sum to 1.
    Kapturowski and others, "Recurrent Experience Replay in Distributed Reinforcement Learning", 2019.

    >>> q, a, one = jnp.array([[4.0, 0.0], [0.0, 2.0]]), jnp.array([0, 1]), jnp.ones(2)
    >>> transformed_retrace(jnp.zeros((2, 2)), q, a, a, one, one, jnp.full((2, 2), 0.5), 0.5 * one, 1.0)
    Array([1., 2.], dtype=float32)
    """
    c_t = retrace_weights(pi_t, mu_t, a_t, lambda_, eps)
    targets = transformed_general_off_policy_returns_from_action_values(
        tx_pair, q_t, a_t, r_t, discount_t, c_t, pi_t, stop_target_gradients)
    return targets - batched_index(q_tm1, a_tm1)


@typed(q_tm1="float[T, A]", a_tm1="int[T]", target_q_t="float[T, A]", a_t="int[T]", r_t="float[T]",
       discount_t="float[T]")
def transformed_n_step_q_learning(q_tm1: Any, a_tm1: Any, target_q_t: Any, a_t: Any, r_t: Any, discount_t: Any, n: int,
                                  stop_target_gradients: bool = True, tx_pair: TxPair = IDENTITY_PAIR) -> Any:
    """Q-learning n steps ahead, of values that are stored as h(q).

        error_t = H_t - q_t[a_t],   H = transformed_n_step_returns(h, r_t, discount_t, target_q_t[a_t], n)

        t                     0     1    ...  T-1   T
        q_tm1, a_tm1         [0     1    ...  T-1]        float[T, A], int[T]: the actions taken
        target_q_t, a_t            [1    ...  T-1   T]    float[T, A], int[T]: the best ones, by these values or others
        r_t, discount_t            [1    ...  T-1   T]    float[T]
        result               [0     1    ...  T-1]        float[T]

    No gradient enters the targets if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments, `MinijaxValueError` for n below 1.
    Kapturowski and others, "Recurrent Experience Replay in Distributed Reinforcement Learning", 2019.

    >>> q_t, a = jnp.array([[4.0, 0.0], [0.0, 2.0]]), jnp.array([0, 1])
    >>> transformed_n_step_q_learning(jnp.zeros((2, 2)), a, q_t, a, jnp.ones(2), jnp.ones(2), n=1)
    Array([5., 3.], dtype=float32)
    """
    targets = transformed_n_step_returns(tx_pair, r_t, discount_t, batched_index(target_q_t, a_t), n,
                                         stop_target_gradients=stop_target_gradients)
    return targets - batched_index(q_tm1, a_tm1)
