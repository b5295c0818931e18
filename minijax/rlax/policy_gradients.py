"""Losses whose gradients improve a policy, for trajectories of T steps over A actions.

    axes                 T   A
    logits_t, q_t       [T,  A]     preferences, and values of all actions
    a_t, adv_t, w_t     [T]         the action taken, how much better it was than expected, its weight
    result              the mean over T
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.rlax.categorical import log_prob_of, mean_of
from minijax.rlax.checks import typed
from minijax.rlax.losses import l2_loss
from minijax.rlax.recursion import stopped


@typed(a_t="float[A]", dqda_t="float[A]")
def dpg_loss(a_t: Any, dqda_t: Any, dqda_clipping: Any = None, use_stop_gradient: bool = True) -> Any:
    """The loss that moves a continuous action along the gradient of its value.

        loss = (target - a_t)**2 / 2,   target = a_t + dqda_t;   its gradient by a_t is -dqda_t

        axes        A
        a_t        [A]   float: the action
        dqda_t     [A]   float: the gradient of Q(s, a) by a, scaled down to the norm `dqda_clipping` if it is larger
        result     [A]   float

    No gradient enters the target if `use_stop_gradient`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Silver and others, "Deterministic Policy Gradient Algorithms", 2014.

    >>> dpg_loss(jnp.array([0.0, 0.0]), jnp.array([3.0, 4.0]), dqda_clipping=2.5)
    Array([1.125, 2.   ], dtype=float32)
    """
    if dqda_clipping is not None:
        dqda_t = _within_norm(dqda_t, dqda_clipping)
    return l2_loss(stopped(dqda_t + a_t, use_stop_gradient) - a_t)


def _within_norm(x: Any, largest: Any) -> Any:
    """x, scaled down to a Euclidean norm; its gradient is finite at 0 too."""
    square = (x * x).sum()
    norm = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return x * largest / jnp.maximum(norm, largest)


@typed(logits_t="float[T, A]", a_t="int[T]", adv_t="float[T]", w_t="float[T]")
def policy_gradient_loss(logits_t: Any, a_t: Any, adv_t: Any, w_t: Any, use_stop_gradient: bool = True) -> Any:
    """The loss that makes actions more probable by their advantages.

        loss = -mean_t w_t adv_t log softmax(logits_t)[a_t]

        axes         T   A
        logits_t    [T,  A]   float
        a_t         [T]       int
        adv_t, w_t  [T]       float
        result      []        float

    No gradient enters adv_t if `use_stop_gradient`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992.

    >>> print(policy_gradient_loss(jnp.zeros((1, 2)), jnp.array([0]), jnp.array([2.0]), jnp.array([1.0])))
    1.3862944
    """
    log_pi = log_prob_of(a_t, nn.log_softmax(logits_t))
    return jnp.mean(-log_pi * stopped(adv_t, use_stop_gradient) * w_t)


@typed(logits_t="float[T, A]", w_t="float[T]")
def entropy_loss(logits_t: Any, w_t: Any) -> Any:
    """The loss that keeps a policy uncertain: minus its entropy.

        loss = mean_t w_t sum_a p_t[a] log p_t[a],   p = softmax(logits)

        axes         T   A
        logits_t    [T,  A]   float
        w_t         [T]       float
        result      []        float

    Raises `ShapeError` and `DtypeError` for other arguments.
    Williams and Peng, "Function Optimization using Connectionist Reinforcement Learning Algorithms", 1991.

    >>> print(entropy_loss(jnp.zeros((1, 2)), jnp.array([1.0])))
    -0.6931472
    """
    log_pi = nn.log_softmax(logits_t)
    return jnp.mean(mean_of(log_pi, log_pi) * w_t)


@typed(logits_t="float[T, A]", q_t="float[T, A]")
def qpg_loss(logits_t: Any, q_t: Any, use_stop_gradient: bool = True) -> Any:
    """The loss of the policy gradient over all actions, by their values.

        loss = -mean_t sum_a p_t[a] adv_t[a],   adv_t[a] = q_t[a] - sum_b p_t[b] q_t[b],   p = softmax(logits)

        axes             T   A
        logits_t, q_t   [T,  A]   float
        result          []        float

    No gradient enters q_t, and none the advantages if `use_stop_gradient`.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Srinivasan and others, "Actor-Critic Policy Optimization in Partially Observable Multiagent Environments", 2018.

    >>> import minijax
    >>> print(minijax.grad(qpg_loss)(jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])))
    [[-0.5  0.5]]
    """
    probs, advantages = _probs_and_advantages(logits_t, q_t, True)
    return -jnp.mean((probs * stopped(advantages, use_stop_gradient)).sum(axis=1))


@typed(logits_t="float[T, A]", q_t="float[T, A]")
def rm_loss(logits_t: Any, q_t: Any, use_stop_gradient: bool = True) -> Any:
    """The loss of regret matching: the policy gradient over all actions by positive advantages alone.

        loss = -mean_t sum_a p_t[a] max(adv_t[a], 0),   adv_t[a] = q_t[a] - sum_b p_t[b] q_t[b],   p = softmax(logits)

        axes             T   A
        logits_t, q_t   [T,  A]   float
        result          []        float

    No gradient enters q_t, and none the regrets if `use_stop_gradient`.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Srinivasan and others, "Actor-Critic Policy Optimization in Partially Observable Multiagent Environments", 2018.

    >>> print(rm_loss(jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])))
    -0.5
    """
    probs, advantages = _probs_and_advantages(logits_t, q_t, True)
    return -jnp.mean((probs * stopped(nn.relu(advantages), use_stop_gradient)).sum(axis=1))


@typed(logits_t="float[T, A]", q_t="float[T, A]")
def rpg_loss(logits_t: Any, q_t: Any, use_stop_gradient: bool = True) -> Any:
    """The loss of the regret policy gradient: what better actions would have earned more.

        loss = mean_t sum_a max(adv_t[a], 0),   adv_t[a] = q_t[a] - sum_b p_t[b] q_t[b],   p = softmax(logits)

        axes             T   A
        logits_t, q_t   [T,  A]   float
        result          []        float

    No gradient enters q_t if `use_stop_gradient`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Srinivasan and others, "Actor-Critic Policy Optimization in Partially Observable Multiagent Environments", 2018.

    >>> print(rpg_loss(jnp.zeros((1, 2)), jnp.array([[2.0, 0.0]])))
    1.0
    """
    _, advantages = _probs_and_advantages(logits_t, q_t, use_stop_gradient)
    return jnp.mean(nn.relu(advantages).sum(axis=1))


def _probs_and_advantages(logits_t: Any, q_t: Any, stop: bool) -> tuple[Any, Any]:
    probs, values = nn.softmax(logits_t), stopped(q_t, stop)
    return probs, values - (probs * values).sum(axis=1, keepdims=True)


@typed(prob_ratios_t="float[T]", adv_t="float[T]")
def clipped_surrogate_pg_loss(prob_ratios_t: Any, adv_t: Any, epsilon: Any, use_stop_gradient: bool = True) -> Any:
    """The loss of PPO: advantages by the ratio of new to old probability, which gains nothing beyond 1 +- epsilon.

        loss = -mean_t min(ratio_t adv_t, clip(ratio_t, 1 - epsilon, 1 + epsilon) adv_t)

        axes                     T
        prob_ratios_t, adv_t    [T]   float
        result                  []    float

    No gradient enters adv_t if `use_stop_gradient`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Schulman and others, "Proximal Policy Optimization Algorithms", 2017.

    >>> print(clipped_surrogate_pg_loss(jnp.array([2.0, 0.5]), jnp.array([1.0, 1.0]), 0.25))
    -0.875
    """
    advantages = stopped(adv_t, use_stop_gradient)
    plain = prob_ratios_t * advantages
    clipped = jnp.clip(prob_ratios_t, 1.0 - epsilon, 1.0 + epsilon) * advantages
    return -jnp.mean(jnp.where(plain < clipped, plain, clipped))  # the clipped one for a ratio of inf at no advantage
