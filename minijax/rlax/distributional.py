"""Learning the whole distribution of returns: probabilities of fixed atoms, or values of fixed quantiles.

    categorical    atoms[K] are returns, logits[K] say how probable each is
    quantile       dist[Q] are returns; tau[Q] says which part of the distribution lies below each
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.api import vmap
from minijax.rlax.categorical import categorical_cross_entropy
from minijax.rlax.checks import typed
from minijax.rlax.clipping import huber_loss
from minijax.rlax.recursion import stopped

STEP = {"a_tm1": "int[]", "r_t": "float[]", "discount_t": "float[]"}
ATOMS = {"q_atoms_tm1": "float[K]", "q_logits_tm1": "float[A, K]", **STEP, "q_atoms_t": "float[L]",
         "q_logits_t": "float[A, L]"}


@typed(z_p="float[L]", probs="probs[L]", z_q="float[K]")
def categorical_l2_project(z_p: Any, probs: Any, z_q: Any) -> Any:
    """Probabilities moved from the atoms z_p to the atoms z_q: each shared by its two neighbours there.

        result[i] = sum_j hat_i(z_p[j]) probs[j]

        hat_i       1 |      /\\            is 1 at z_q[i] and falls in straight lines
                      |    /    \\          to 0 at z_q[i-1] and at z_q[i+1];
                    0 |__/________\\___     atoms beyond the ends count as the ends
                        i-1   i   i+1

        z_p, probs      float[L]
        z_q, result     float[K], z_q in ascending order

    Of all distributions over z_q the result is nearest in the squared distance of cumulative distributions.
    Raises `ShapeError` and `DtypeError` for other arguments, and `MinijaxValueError` where probs do not sum to 1.
    Bellemare and others, "A Distributional Perspective on Reinforcement Learning", 2017.

    >>> categorical_l2_project(jnp.array([0.25, 5.0]), jnp.array([0.5, 0.5]), jnp.array([0.0, 1.0, 2.0]))
    Array([0.375, 0.125, 0.5  ], dtype=float32)
    """
    gaps = z_q[1:] - z_q[:-1]
    slopes = jnp.where(gaps > 0, 1.0 / jnp.where(gaps > 0, gaps, 1.0), 0.0)  # none between equal atoms
    end = jnp.zeros_like(z_q[:1])
    falling, rising = jnp.concatenate([slopes, end]), jnp.concatenate([end, slopes])
    offsets = jnp.clip(z_p, z_q[0], z_q[-1]) - z_q[:, None]  # [K, L]
    depth = jnp.where(offsets >= 0, offsets * falling[:, None], -offsets * rising[:, None])
    return (jnp.clip(1.0 - depth, 0.0, 1.0) * probs).sum(axis=-1)


@typed(v_atoms_tm1="float[K]", v_logits_tm1="float[K]", r_t="float[]", discount_t="float[]", v_atoms_t="float[L]",
       v_logits_t="float[L]")
def categorical_td_learning(v_atoms_tm1: Any, v_logits_tm1: Any, r_t: Any, discount_t: Any, v_atoms_t: Any,
                            v_logits_t: Any, stop_target_gradients: bool = True) -> Any:
    """The loss of a state's distribution of returns by the next state's.

        target = project(r_t + discount_t v_atoms_t, softmax(v_logits_t)) onto v_atoms_tm1
        loss = -sum_i target[i] log softmax(v_logits_tm1)[i]

        t-1                                   t
        v_atoms_tm1, v_logits_tm1   ----->    r_t, discount_t, v_atoms_t, v_logits_t
        float[K], float[K]                    float[], float[], float[L], float[L]    result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Bellemare and others, "A Distributional Perspective on Reinforcement Learning", 2017.

    >>> atoms, logits = jnp.array([0.0, 1.0]), jnp.zeros(2)
    >>> print(categorical_td_learning(atoms, logits, 0.5, 0.5, atoms, logits))
    0.6931472
    """
    return _categorical_loss(v_atoms_tm1, v_logits_tm1, r_t + discount_t * v_atoms_t, nn.softmax(v_logits_t),
                             stop_target_gradients)


@typed(**ATOMS)
def categorical_q_learning(q_atoms_tm1: Any, q_logits_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, q_atoms_t: Any,
                           q_logits_t: Any, stop_target_gradients: bool = True) -> Any:
    """The loss of an action's distribution of returns by that of the next action of highest mean.

        best = argmax_a sum_i softmax(q_logits_t[a])[i] q_atoms_t[i]
        target = project(r_t + discount_t q_atoms_t, softmax(q_logits_t[best])) onto q_atoms_tm1
        loss = -sum_i target[i] log softmax(q_logits_tm1[a_tm1])[i]

        t-1                                            t
        q_atoms_tm1, q_logits_tm1 -- a_tm1 ----->      r_t, discount_t, q_atoms_t, q_logits_t
        float[K], float[A, K], int[]                   float[], float[], float[L], float[A, L]    result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Bellemare and others, "A Distributional Perspective on Reinforcement Learning", 2017.

    >>> atoms, logits = jnp.array([0.0, 1.0]), jnp.array([[0.0, 0.0], [9.0, 0.0]])
    >>> print(categorical_q_learning(atoms, logits, 0, 0.5, 0.5, atoms, logits))
    0.6931472
    """
    means = (nn.softmax(q_logits_t) * q_atoms_t).sum(axis=1)
    return categorical_double_q_learning(q_atoms_tm1, q_logits_tm1, a_tm1, r_t, discount_t, q_atoms_t, q_logits_t,
                                         means, stop_target_gradients)


@typed(**ATOMS, q_t_selector="float[A]")
def categorical_double_q_learning(q_atoms_tm1: Any, q_logits_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any,
                                  q_atoms_t: Any, q_logits_t: Any, q_t_selector: Any,
                                  stop_target_gradients: bool = True) -> Any:
    """The loss of an action's distribution of returns by that of a next action that other estimates pick.

        best = argmax_a q_t_selector[a]
        target = project(r_t + discount_t q_atoms_t, softmax(q_logits_t[best])) onto q_atoms_tm1
        loss = -sum_i target[i] log softmax(q_logits_tm1[a_tm1])[i]

        t-1                                            t
        q_atoms_tm1, q_logits_tm1 -- a_tm1 ----->      r_t, discount_t, q_atoms_t, q_logits_t, q_t_selector
        float[K], float[A, K], int[]                   float[], float[], float[L], float[A, L], float[A]; result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Bellemare and others, "A Distributional Perspective on Reinforcement Learning", 2017;
    van Hasselt, "Double Q-learning", 2010.

    >>> atoms, logits = jnp.array([0.0, 1.0]), jnp.array([[0.0, 0.0], [9.0, 0.0]])
    >>> print(categorical_double_q_learning(atoms, logits, 0, 0.5, 0.5, atoms, logits, jnp.array([0.0, 1.0])))
    0.6931472
    """
    probs_t = nn.softmax(q_logits_t[jnp.argmax(q_t_selector)])
    return _categorical_loss(q_atoms_tm1, q_logits_tm1[a_tm1], r_t + discount_t * q_atoms_t, probs_t,
                             stop_target_gradients)


def _categorical_loss(atoms: Any, logits: Any, target_atoms: Any, target_probs: Any, stop: bool) -> Any:
    target = stopped(categorical_l2_project(target_atoms, target_probs, atoms), stop)
    return categorical_cross_entropy(target, logits)


@typed(dist_src="float[Q]", tau_src="float[Q]", dist_target="float[R]")
def quantile_regression_loss(dist_src: Any, tau_src: Any, dist_target: Any, huber_param: float = 0.0,
                             stop_target_gradients: bool = True) -> Any:
    """The loss whose minimum over samples of a target are its quantiles.

        d[i, j] = dist_target[j] - dist_src[i]
        loss = sum_i mean_j |tau_src[i] - (1 if d[i, j] < 0 else 0)| size(d[i, j])

        axes                   Q          R
        dist_src, tau_src   float[Q]                   quantiles, and the part below each
        dist_target                    float[R]        samples or quantiles of the target
        d                         float[Q, R]          result float[]

    The size is |d|, or `huber_loss(d, huber_param)` for a positive `huber_param`, a Python number.  Gradients enter
    dist_target whatever `stop_target_gradients` is: it concerns the comparison, which has none.
    Raises `ShapeError` and `DtypeError` for other arguments.
    Dabney and others, "Distributional Reinforcement Learning with Quantile Regression", 2018.

    >>> quantile_regression_loss(jnp.array([0.0, 1.0]), jnp.array([0.25, 0.75]), jnp.array([2.0]))
    Array(1.25, dtype=float32)
    """
    delta = dist_target - dist_src[:, None]
    below = stopped((delta < 0.0).astype(delta.dtype), stop_target_gradients)
    size = huber_loss(delta, huber_param) if huber_param > 0.0 else jnp.abs(delta)
    return jnp.sum(jnp.mean(jnp.abs(tau_src[:, None] - below) * size, axis=-1))


@typed(dist_q_tm1="float[Q, A]", tau_q_tm1="float[Q]", **STEP, dist_q_t_selector="float[S, A]", dist_q_t="float[R, A]")
def quantile_q_learning(dist_q_tm1: Any, tau_q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, dist_q_t_selector: Any,
                        dist_q_t: Any, huber_param: float = 0.0, stop_target_gradients: bool = True) -> Any:
    """The loss of the quantiles of an action's returns by those of the next action of highest mean.

        best = argmax_a mean_i dist_q_t_selector[i, a]
        target = r_t + discount_t dist_q_t[:, best]
        loss = quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, target, huber_param)

        t-1                                       t
        dist_q_tm1, tau_q_tm1 -- a_tm1 ----->     r_t, discount_t, dist_q_t_selector, dist_q_t
        float[Q, A], float[Q], int[]              float[], float[], float[S, A], float[R, A]    result float[]

    No gradient enters the target if `stop_target_gradients`.  Raises `ShapeError` and `DtypeError` for other arguments.
    Dabney and others, "Distributional Reinforcement Learning with Quantile Regression", 2018.

    >>> dist = jnp.array([[0.0, 1.0], [1.0, 2.0]])
    >>> quantile_q_learning(dist, jnp.array([0.25, 0.75]), 0, 1.0, 1.0, dist, dist)
    Array(1.75, dtype=float32)
    """
    best = jnp.argmax(jnp.mean(dist_q_t_selector, axis=0))
    target = stopped(r_t + discount_t * dist_q_t[:, best], stop_target_gradients)
    return quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, target, huber_param)


@typed(dist_q_tm1="float[Q, A]", tau_q_tm1="float[Q]", **STEP, dist_q_t="float[R, A]", probs_a_t="probs[A]")
def quantile_expected_sarsa(dist_q_tm1: Any, tau_q_tm1: Any, a_tm1: Any, r_t: Any, discount_t: Any, dist_q_t: Any,
                            probs_a_t: Any, huber_param: float = 0.0, stop_target_gradients: bool = True) -> Any:
    """The loss of the quantiles of an action's returns by those of a policy's next actions.

        loss = sum_a probs_a_t[a]
               quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, r_t + discount_t dist_q_t[:, a], huber_param)

        t-1                                       t
        dist_q_tm1, tau_q_tm1 -- a_tm1 ----->     r_t, discount_t, dist_q_t, probs_a_t
        float[Q, A], float[Q], int[]              float[], float[], float[R, A], float[A]    result float[]

    No gradient enters the target or the probabilities if `stop_target_gradients`.
    Raises `ShapeError` and `DtypeError` for other arguments, and `MinijaxValueError` where probs_a_t does not sum to 1.
    Dabney and others, "Distributional Reinforcement Learning with Quantile Regression", 2018 (RLax).

    >>> dist = jnp.array([[0.0, 1.0], [1.0, 2.0]])
    >>> quantile_expected_sarsa(dist, jnp.array([0.25, 0.75]), 0, 1.0, 1.0, dist, jnp.array([0.0, 1.0]))
    Array(1.75, dtype=float32)
    """
    targets = stopped(r_t + discount_t * dist_q_t, stop_target_gradients)
    losses = vmap(lambda target: quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, target, huber_param),
                  in_axes=1)(targets)
    return jnp.dot(losses, stopped(probs_a_t, stop_target_gradients))
