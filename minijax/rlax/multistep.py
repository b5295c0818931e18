"""Returns: what a trajectory earns from each of its states on, with estimated values where it is cut or mixed in.

All run backwards in time and take one trajectory; a discount of 0 ends an episode inside it.  Time is written as

    t             0     1     2          T
    state        s_0 - s_1 - s_2 - ... - s_T      r_t, discount_t and v_t begin at t = 1: what the step
    r_t                r_1   r_2         r_T      into s_t earned, how much what follows counts, and what
    returns      G_0   G_1   ... G_{T-1}          s_t is worth; G_t begins at t = 0
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.rlax.checks import count_of, typed
from minijax.rlax.indexing import batched_index
from minijax.rlax.recursion import backwards, stopped
from minijax.tracing.array import typeof


@typed(r_t="float[T]", discount_t="float[T]", v_t="float[T]", lambda_="float[] | float[T]")
def lambda_returns(r_t: Any, discount_t: Any, v_t: Any, lambda_: Any = 1.0, stop_target_gradients: bool = False) -> Any:
    """Returns that mix bootstrapping after each number of steps, by the weight lambda.

        G_t = r_{t+1} + discount_{t+1} ((1 - lambda_{t+1}) v_{t+1} + lambda_{t+1} G_{t+1}),   G_T = v_T

        t               0     1     2    ...   T
        r_t, discount_t      [1     2    ...   T]   float[T]
        v_t                  [1     2    ...   T]   float[T]
        lambda_              [1     2    ...   T]   float[T], or float[] for all
        result         [0     1    ...  T-1]        float[T]

    lambda 0 looks one step ahead, lambda 1 to the end.  No gradient enters the result if `stop_target_gradients`.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Sutton, "Learning to Predict by the Methods of Temporal Differences", 1988.

    >>> r_t, discount_t, v_t = jnp.array([1.0, 1.0]), jnp.array([0.5, 0.5]), jnp.array([8.0, 4.0])
    >>> lambda_returns(r_t, discount_t, v_t, 1.0), lambda_returns(r_t, discount_t, v_t, 0.0)
    (Array([2.5, 3. ], dtype=float32), Array([5., 3.], dtype=float32))
    """
    lambdas = jnp.ones_like(discount_t) * lambda_
    return stopped(backwards(_mixed, v_t[-1], r_t, discount_t, v_t, lambdas), stop_target_gradients)


def _mixed(later: Any, r: Any, discount: Any, v: Any, weight: Any) -> Any:
    """The return one step before `later`, by the weight of it against the value."""
    return r + discount * ((1 - weight) * v + weight * later)


@typed(r_t="float[T]", discount_t="float[T]", v_t="float[T]", lambda_t="float[] | float[T]")
def n_step_bootstrapped_returns(r_t: Any, discount_t: Any, v_t: Any, n: int, lambda_t: Any = 1.0,
                                stop_target_gradients: bool = False) -> Any:
    """Returns that look n steps ahead from each state, and to the end of the trajectory near it.

        G_t = r_{t+1} + discount_{t+1} ((1 - lambda_{t+1}) v_{t+1} + lambda_{t+1} G_{t+1}),   n times,
        beginning at G_{t+n} = v_{t+n}

        t               0     1     2    ...   T  |  T+1 ... T+n-1
        r_t                  [1     2    ...   T] |   0  ...   0      float[T]
        discount_t, lambda_t [1     2    ...   T] |   1  ...   1      float[T]; lambda_t may be float[]
        v_t                  [1     2    ...   T] |  v_T ...  v_T     float[T]
        result         [0     1    ...  T-1]                          float[T]

    No gradient enters the result if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments, `MinijaxTypeError` for n that is no int, `MinijaxValueError` for n below 1.
    Watkins, "Learning from Delayed Rewards", 1989.

    >>> n_step_bootstrapped_returns(jnp.ones(3), jnp.ones(3), jnp.array([10.0, 20.0, 30.0]), n=2)
    Array([22., 32., 31.], dtype=float32)
    """
    length, = typeof(r_t).shape
    steps = min(count_of("n_step_bootstrapped_returns", "n", n), length)  # more than there are change nothing
    ahead = jnp.arange(steps)[:, None] + jnp.arange(length)  # [n, T]: the step k+1 after each time
    inside = ahead < length
    at = jnp.minimum(ahead, length - 1)

    lambdas = jnp.ones_like(discount_t) * lambda_t
    rows = (jnp.where(inside, r_t[at], 0), jnp.where(inside, discount_t[at], 1), v_t[at],
            jnp.where(inside, lambdas[at], 1))
    return stopped(backwards(_mixed, v_t[at[-1]], *rows)[0], stop_target_gradients)


@typed(r_t="float[T]", discount_t="float[T]", v_t="float[] | float[T]")
def discounted_returns(r_t: Any, discount_t: Any, v_t: Any, stop_target_gradients: bool = False) -> Any:
    """Returns to the end of the trajectory: all rewards, discounted, and the value of the last state.

        G_t = r_{t+1} + discount_{t+1} G_{t+1},   G_T = v_T

        t               0     1     2    ...   T
        r_t, discount_t      [1     2    ...   T]   float[T]
        v_t                  [1     2    ...   T]   float[T], of which the last counts, or that one, float[]
        result         [0     1    ...  T-1]        float[T]

    No gradient enters the result if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Sutton and Barto, "Reinforcement Learning: An Introduction", 3.3.

    >>> discounted_returns(jnp.array([1.0, 1.0, 1.0]), jnp.array([0.5, 0.0, 0.5]), 4.0)
    Array([1.5, 1. , 3. ], dtype=float32)
    """
    return lambda_returns(r_t, discount_t, jnp.ones_like(discount_t) * v_t, 1.0, stop_target_gradients)


@typed(r_t="float[T]", discount_t="float[T]", lambda_="any[] | any[T]", values="float[T+1]")
def truncated_generalized_advantage_estimation(r_t: Any, discount_t: Any, lambda_: Any, values: Any,
                                               stop_target_gradients: bool = False) -> Any:
    """How much better than expected each step went, by temporal differences of all lengths.

        A_t = d_t + discount_{t+1} lambda_{t+1} A_{t+1},   d_t = r_{t+1} + discount_{t+1} v_{t+1} - v_t,   A_T = 0

        t               0     1     2    ...   T
        r_t, discount_t      [1     2    ...   T]   float[T]
        lambda_              [1     2    ...   T]   float[T], or float[] for all
        values         [0     1     2    ...   T]   float[T+1]
        result         [0     1    ...  T-1]        float[T]

    No gradient enters the result if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Schulman and others, "High-Dimensional Continuous Control Using Generalized Advantage Estimation", 2016.

    >>> truncated_generalized_advantage_estimation(jnp.ones(2), jnp.ones(2), 0.5, jnp.array([0.0, 1.0, 3.0]))
    Array([3.5, 3. ], dtype=float32)
    """
    differences = r_t + discount_t * values[1:] - values[:-1]
    advantages = backwards(lambda later, difference, weight: difference + weight * later, 0.0,
                           differences, discount_t * lambda_)
    return stopped(advantages, stop_target_gradients)


@typed(q_t="float[T, A]", a_t="int[T]", r_t="float[T]", discount_t="float[T]", c_t="float[T]", pi_t="probs[T, A]")
def general_off_policy_returns_from_action_values(q_t: Any, a_t: Any, r_t: Any, discount_t: Any, c_t: Any, pi_t: Any,
                                                  stop_target_gradients: bool = False) -> Any:
    """Returns under a policy pi of a trajectory that another policy mu acted out.

        G_t = r_{t+1} + discount_{t+1} (sum_a pi_{t+1}[a] q_{t+1}[a] + c_{t+1} (G_{t+1} - q_{t+1}[a_{t+1}]))

        t                  0     1     2    ...   T
        q_t, pi_t               [1     2    ...   T]   float[T, A]: values and probabilities of the actions
        a_t                     [1     2    ...   T]   int[T]: the actions taken
        r_t, discount_t         [1     2    ...   T]   float[T]
        c_t                     [1     2    ...   T]   float[T]: how much of the rest of the trajectory counts
        result            [0     1    ...  T-1]        float[T]

    At t = T, c counts as 0.  c = pi/mu is importance sampling, c = lambda is Q(lambda), c = pi is tree backup,
    c = lambda min(1, pi/mu) is Retrace.  No gradient enters the result if `stop_target_gradients`.
    Raises `ShapeError` and `DtypeError` for other arguments, and `MinijaxValueError` where pi_t does not sum to 1.
    Munos and others, "Safe and Efficient Off-Policy Reinforcement Learning", 2016.

    >>> general_off_policy_returns_from_action_values(
    ...     q_t=jnp.array([[4.0, 0.0], [0.0, 2.0]]), a_t=jnp.array([0, 1]), r_t=jnp.ones(2), discount_t=jnp.ones(2),
    ...     c_t=jnp.ones(2), pi_t=jnp.array([[0.5, 0.5], [0.5, 0.5]]))
    Array([1., 2.], dtype=float32)
    """
    expected = (pi_t * q_t).sum(axis=-1)
    taken = batched_index(q_t, a_t)
    return _off_policy_returns(taken[:-1], expected, r_t, discount_t, c_t[:-1], stop_target_gradients)


@typed(q_t="float[T-1]", v_t="float[T]", r_t="float[T]", discount_t="float[T]", c_t="float[T-1]")
def general_off_policy_returns_from_q_and_v(q_t: Any, v_t: Any, r_t: Any, discount_t: Any, c_t: Any,
                                            stop_target_gradients: bool = False) -> Any:
    """Returns under a policy pi of a trajectory that another policy acted out, from values of states and actions.

        G_t = r_{t+1} + discount_{t+1} (v_{t+1} + c_{t+1} (G_{t+1} - q_{t+1})),   G_{T-1} = r_T + discount_T v_T

        t                  0     1     2    ...  T-1   T
        q_t, c_t                [1     2    ...  T-1]       float[T-1]: values under pi of the actions taken, weights
        v_t                     [1     2    ...  T-1   T]   float[T]: values under pi of the states
        r_t, discount_t         [1     2    ...  T-1   T]   float[T]
        result            [0     1     2    ...  T-1]       float[T]

    No gradient enters the result if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other
    arguments.  Munos and others, "Safe and Efficient Off-Policy Reinforcement Learning", 2016.

    >>> general_off_policy_returns_from_q_and_v(jnp.array([4.0]), jnp.array([2.0, 1.0]), jnp.ones(2), jnp.ones(2),
    ...                                         jnp.array([0.5]))
    Array([2., 2.], dtype=float32)
    """
    return _off_policy_returns(q_t, v_t, r_t, discount_t, c_t, stop_target_gradients)


def _off_policy_returns(q_t: Any, v_t: Any, r_t: Any, discount_t: Any, c_t: Any, stop: bool) -> Any:
    def step(later: Any, r: Any, discount: Any, c: Any, v: Any, q: Any) -> Any:
        return r + discount * (v - c * q + c * later)

    last = r_t[-1] + discount_t[-1] * v_t[-1]
    returns = backwards(step, last, r_t[:-1], discount_t[:-1], c_t, v_t[:-1], q_t)
    return stopped(jnp.concatenate([returns, last[None]]), stop)
