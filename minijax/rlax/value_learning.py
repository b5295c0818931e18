"""Temporal-difference errors of one step: target minus prediction, for values of states (v) and of actions (q).

    time       t-1                                t
    state     s_tm1  --- a_tm1 --> r_t, discount_t --> s_t --- a_t -->
    values    v_tm1, q_tm1[A]                     v_t, q_t[A]

Their half squares are losses; with `stop_target_gradients` (the default) the gradient goes to the prediction alone.
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.rlax.checks import typed
from minijax.rlax.recursion import stopped

STEP = {"a_tm1": "int[]", "r_t": "float[]", "discount_t": "float[]"}


@typed(v_tm1="float[]", r_t="float[]", discount_t="float[]", v_t="float[]")
def td_learning(v_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, stop_target_gradients: bool = True) -> Any:
    """The error of a state's value by the next state's.

        error = r_t + discount_t v_t - v_tm1

        t-1            t
        v_tm1  ----->  r_t, discount_t, v_t      all float[], as is the result

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Sutton, "Learning to Predict by the Methods of Temporal Differences", 1988.

    >>> td_learning(1.0, 2.0, 0.5, 4.0)
    Array(3., dtype=float32, weak_type=True)
    """
    return stopped(r_t + discount_t * v_t, stop_target_gradients) - v_tm1


@typed(q_tm1="float[A]", **STEP, q_t="float[A]", a_t="int[]")
def sarsa(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, a_t: Any,
          stop_target_gradients: bool = True) -> Any:
    """The error of an action's value by that of the next action taken.

        error = r_t + discount_t q_t[a_t] - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, q_t -- a_t -->
        float[A], int[]        float[], float[], float[A], int[]      result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Rummery and Niranjan, "On-Line Q-Learning Using Connectionist Systems", 1994.

    >>> sarsa(jnp.array([1.0, 0.0]), 0, 1.0, 0.5, jnp.array([4.0, 2.0]), 1)
    Array(1., dtype=float32)
    """
    return stopped(r_t + discount_t * q_t[a_t], stop_target_gradients) - q_tm1[a_tm1]


@typed(q_tm1="float[A]", **STEP, q_t="float[A]", probs_a_t="probs[A]")
def expected_sarsa(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, probs_a_t: Any,
                   stop_target_gradients: bool = True) -> Any:
    """The error of an action's value by the mean over the next actions of a policy.

        error = r_t + discount_t sum_a probs_a_t[a] q_t[a] - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, q_t, probs_a_t
        float[A], int[]        float[], float[], float[A], float[A]   result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments, and `MinijaxValueError` where probs_a_t does not sum to 1.
    Van Seijen and others, "A Theoretical and Empirical Analysis of Expected Sarsa", 2009.

    >>> expected_sarsa(jnp.array([1.0, 0.0]), 0, 1.0, 0.5, jnp.array([4.0, 2.0]), jnp.array([0.5, 0.5]))
    Array(1.5, dtype=float32)
    """
    return stopped(r_t + discount_t * jnp.dot(q_t, probs_a_t), stop_target_gradients) - q_tm1[a_tm1]


@typed(q_tm1="float[A]", **STEP, q_t="float[A]")
def q_learning(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, stop_target_gradients: bool = True) -> Any:
    """The error of an action's value by the best of the next actions.

        error = r_t + discount_t max_a q_t[a] - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, q_t
        float[A], int[]        float[], float[], float[A]             result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Watkins and Dayan, "Q-learning", 1992.

    >>> q_learning(jnp.array([1.0, 0.0]), 0, 1.0, 0.5, jnp.array([4.0, 2.0]))
    Array(2., dtype=float32)
    """
    return stopped(r_t + discount_t * jnp.max(q_t), stop_target_gradients) - q_tm1[a_tm1]


@typed(q_tm1="float[A]", **STEP, q_t_value="float[A]", q_t_selector="float[A]")
def double_q_learning(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t_value: Any, q_t_selector: Any,
                      stop_target_gradients: bool = True) -> Any:
    """The error of an action's value, where one estimate picks the next action and another one values it.

        error = r_t + discount_t q_t_value[argmax_a q_t_selector[a]] - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, q_t_value, q_t_selector
        float[A], int[]        float[], float[], float[A], float[A]   result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Van Hasselt, "Double Q-learning", 2010.

    >>> double_q_learning(jnp.array([1.0, 0.0]), 0, 1.0, 0.5, jnp.array([4.0, 2.0]), jnp.array([0.0, 1.0]))
    Array(1., dtype=float32)
    """
    best = jnp.argmax(q_t_selector)
    return stopped(r_t + discount_t * q_t_value[best], stop_target_gradients) - q_tm1[a_tm1]


@typed(q_tm1="float[A]", **STEP, q_t="float[A]")
def persistent_q_learning(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, action_gap_scale: float,
                          stop_target_gradients: bool = True) -> Any:
    """Q-learning that favours the action taken before, so that values of actions lie further apart.

        error = r_t + discount_t ((1 - scale) max_a q_t[a] + scale q_t[a_tm1]) - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, q_t
        float[A], int[]        float[], float[], float[A]             scale float[] in [0, 1], result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Bellemare and others, "Increasing the Action Gap: New Operators for Reinforcement Learning", 2016.

    >>> persistent_q_learning(jnp.array([1.0, 0.0]), 1, 1.0, 0.5, jnp.array([4.0, 2.0]), 0.5)
    Array(2.5, dtype=float32)
    """
    value = (1.0 - action_gap_scale) * jnp.max(q_t) + action_gap_scale * q_t[a_tm1]
    return stopped(r_t + discount_t * value, stop_target_gradients) - q_tm1[a_tm1]


@typed(q_tm1="float[A]", **STEP, v_t="float[]")
def qv_learning(q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, v_t: Any, stop_target_gradients: bool = True) -> Any:
    """The error of an action's value by the value of the next state.

        error = r_t + discount_t v_t - q_tm1[a_tm1]

        t-1                    t
        q_tm1 -- a_tm1 ----->  r_t, discount_t, v_t
        float[A], int[]        float[], float[], float[]              result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Wiering and van Hasselt, "Two Novel On-policy Reinforcement Learning Algorithms based on TD(lambda)-methods", 2007.

    >>> qv_learning(jnp.array([1.0, 0.0]), 0, 1.0, 0.5, 4.0)
    Array(2., dtype=float32)
    """
    return stopped(r_t + discount_t * v_t, stop_target_gradients) - q_tm1[a_tm1]


@typed(v_tm1="float[]", r_t="float[]", discount_t="float[]", q_t="float[A]")
def qv_max(v_tm1: Any, r_t: Any, discount_t: Any, q_t: Any, stop_target_gradients: bool = True) -> Any:
    """The error of a state's value by the best of the next actions.

        error = r_t + discount_t max_a q_t[a] - v_tm1

        t-1            t
        v_tm1  ----->  r_t, discount_t, q_t
        float[]        float[], float[], float[A]                     result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Wiering and van Hasselt, "The QV Family Compared to Other Reinforcement Learning Algorithms", 2009.

    >>> qv_max(1.0, 1.0, 0.5, jnp.array([4.0, 2.0]))
    Array(2., dtype=float32)
    """
    return stopped(r_t + discount_t * jnp.max(q_t), stop_target_gradients) - v_tm1
