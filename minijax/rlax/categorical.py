"""Probabilities over a list of choices, from their logits: cross entropy, divergence, ratios, samples."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import nn, random
from minijax.rlax.checks import typed


@typed(probs="probs[..., A]")
def categorical_sample(key: Any, probs: Any) -> Any:
    """A choice drawn by its probability; -1 where these are negative or not finite.

        key       one of minijax.random
        probs     float[..., A], divided by their sum
        result    int[...]

    Raises `DtypeError` for other probabilities, and `MinijaxValueError` where they do not sum to 1 (RLax).

    >>> categorical_sample(random.PRNGKey(0), jnp.array([0.0, 1.0, 0.0]))
    Array(1, dtype=int32)
    """
    probs = probs / probs.sum(axis=-1, keepdims=True)
    return sample_of(key, jnp.log(probs), probs)


@typed(labels="probs[..., A]", logits="float[..., A]")
def categorical_cross_entropy(labels: Any, logits: Any) -> Any:
    """How badly logits predict given probabilities: -sum_i labels[i] log softmax(logits)[i].

        axes           ...  A
        labels        [..., A]   float, divided by their sum
        logits        [..., A]   float
        result        [...]

    A label of 0 costs nothing, at a logit of -inf too.  Raises `ShapeError` and `DtypeError` for other arguments,
    `MinijaxValueError` where labels do not sum to 1.  Goodfellow, Bengio and Courville, "Deep Learning", 2016, 3.13.

    >>> print(f"{categorical_cross_entropy(jnp.array([0.5, 0.5]), jnp.array([0.0, 0.0])):.4f}")
    0.6931
    """
    labels = labels / labels.sum(axis=-1, keepdims=True)
    log_probs = nn.log_softmax(logits)
    return -(labels * jnp.where((labels == 0) & (log_probs == -jnp.inf), 0.0, log_probs)).sum(axis=-1)


@typed(p_logits="float[..., A]", q_logits="float[..., A]")
def categorical_kl_divergence(p_logits: Any, q_logits: Any, temperature: float = 1.0) -> Any:
    """How far q is from p: sum_i p[i] (log p[i] - log q[i]), where log p = log_softmax(p_logits / temperature).

        axes                  ...  A
        p_logits, q_logits   [..., A]   float
        temperature          float
        result               [...]

    Raises `ShapeError` and `DtypeError` for other arguments.
    Kullback and Leibler, "On Information and Sufficiency", 1951.

    >>> print(f"{categorical_kl_divergence(jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 0.0])):.4f}")
    0.6931
    """
    log_p, log_q = nn.log_softmax(p_logits / temperature), nn.log_softmax(q_logits / temperature)
    return mean_of(log_p - log_q, log_p)


@typed(pi_logits_t="float[..., A]", mu_logits_t="float[..., A]", a_t="int[...]")
def categorical_importance_sampling_ratios(pi_logits_t: Any, mu_logits_t: Any, a_t: Any) -> Any:
    """How much more probable the actions taken are under pi than under mu, which took them: pi[a] / mu[a].

        axes                        ...  A
        pi_logits_t, mu_logits_t   [..., A]   float
        a_t                        [...]      int
        result                     [...]

    Raises `ShapeError` and `DtypeError` for other arguments (RLax).

    >>> ratio = categorical_importance_sampling_ratios(jnp.array([0.0, 0.0]), jnp.array([0.0, jnp.log(3.0)]), 1)
    >>> print(f"{ratio:.4f}")
    0.6667
    """
    return jnp.exp(log_prob_of(a_t, nn.log_softmax(pi_logits_t)) - log_prob_of(a_t, nn.log_softmax(mu_logits_t)))


def sample_of(key: Any, logits: Any, probs: Any) -> Any:
    """A choice for each row of logits, -1 where its probabilities are none.

    >>> sample_of(random.PRNGKey(0), jnp.log(jnp.array([-1.0, 2.0])), jnp.array([-1.0, 2.0]))
    Array(-1, dtype=int32)
    """
    valid = (jnp.isfinite(probs) & (probs >= 0)).all(axis=-1)
    return jnp.where(valid, random.categorical(key, logits), -1)


def log_prob_of(sample: Any, log_probs: Any) -> Any:
    """log_probs[..., sample[...]], the axes before the last broadcast; -inf for a choice that is not there.

    >>> log_prob_of(jnp.array([1, 2]), jnp.array([-1.0, -2.0]))
    Array([ -2., -inf], dtype=float32)
    """
    chosen = sample[..., None] == jnp.arange(log_probs.shape[-1])
    return jnp.where(chosen.any(axis=-1), jnp.where(chosen, log_probs, 0.0).sum(axis=-1), -jnp.inf)


def mean_of(x: Any, log_probs: Any) -> Any:
    """sum_i exp(log_probs[i]) x[i]; what has no probability counts 0, infinite or not, in the gradient too.

    >>> mean_of(jnp.array([3.0, jnp.inf]), jnp.array([0.0, -jnp.inf]))
    Array(3., dtype=float32)
    """
    probs = jnp.exp(log_probs)
    return (jnp.where(probs == 0, 0.0, x) * probs).sum(axis=-1)
