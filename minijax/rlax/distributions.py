"""Policies as a few functions: draw an action, how probable is it, how uncertain is the policy, how far is another.

    softmax, clipped_entropy_softmax, greedy, epsilon_greedy, epsilon_softmax   over a list of actions
    gaussian_diagonal                                                           over vectors

Leading axes of preferences, logits and means are separate distributions, drawn with one key.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import nn, random
from minijax.errors import MinijaxTypeError
from minijax.numpy.operands import operand
from minijax.rlax.categorical import categorical_kl_divergence, log_prob_of, mean_of, sample_of
from minijax.rlax.checks import typed
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


class DiscreteDistribution(NamedTuple):
    """A policy over A actions, each function of preferences float[..., A]:

        sample(key, preferences) -> int[...]           probs(preferences) -> float[..., A]
        logprob(sample, preferences) -> float[...]     entropy(preferences) -> float[...]
        kl(p_preferences, q_preferences) -> float[...], or None

    >>> softmax().probs(jnp.zeros(2))
    Array([0.5, 0.5], dtype=float32)
    """

    sample: Callable[..., Any]
    probs: Callable[..., Any]
    logprob: Callable[..., Any]
    entropy: Callable[..., Any]
    kl: Callable[..., Any] | None


class ContinuousDistribution(NamedTuple):
    """A policy over vectors, each function of a mean mu: float[..., D] and deviations sigma that broadcast to it:

        sample(key, mu, sigma) -> float[..., D]          prob, logprob(sample, mu, sigma) -> float[...]
        entropy(mu, sigma) -> float[...]                 kl_to_standard_normal(mu, sigma) -> float[...]
        kl(mu_0, sigma_0, mu_1, sigma_1) -> float[...]

    >>> print(gaussian_diagonal(1.0).kl_to_standard_normal(jnp.array([2.0])))
    2.0
    """

    sample: Callable[..., Any]
    prob: Callable[..., Any]
    logprob: Callable[..., Any]
    entropy: Callable[..., Any]
    kl_to_standard_normal: Callable[..., Any]
    kl: Callable[..., Any]


# ---- over a list of actions

def softmax(temperature: float = 1.0) -> DiscreteDistribution:
    """The policy softmax(logits / temperature): a high temperature explores.

    Its functions take logits: float[..., A], and raise `DtypeError` and `ShapeError` for others.
    Sutton and Barto, "Reinforcement Learning: An Introduction", 2.8.

    >>> print(softmax(0.5).entropy(jnp.zeros(2)), softmax().logprob(1, jnp.zeros(2)))
    0.6931472 -0.6931472
    """
    def log_probs(logits: Any) -> Any:
        return nn.log_softmax(logits / temperature)

    def sample(key: Any, logits: Any) -> Any:
        return sample_of(key, log_probs(logits), jnp.exp(log_probs(logits)))

    def probs(logits: Any) -> Any:
        return nn.softmax(logits / temperature)

    def logprob(sample: Any, logits: Any) -> Any:
        return log_prob_of(sample, log_probs(logits))

    def entropy(logits: Any) -> Any:
        return -mean_of(log_probs(logits), log_probs(logits))

    def kl(p_logits: Any, q_logits: Any) -> Any:
        return categorical_kl_divergence(p_logits, q_logits, temperature)

    return _discrete(sample, probs, logprob, entropy, kl, logits="float[..., A]")


def clipped_entropy_softmax(temperature: float = 1.0, entropy_clip: float = 1.0) -> DiscreteDistribution:
    """softmax whose entropy counts up to a part of the highest.

        entropy = min(entropy of softmax(logits / temperature), entropy_clip log A)

    `sample`, `probs` and `logprob` take an `action_spec` and leave it alone.  Raises as `softmax` (RLax).

    >>> print(clipped_entropy_softmax(entropy_clip=0.5).entropy(jnp.zeros(4)), 0.5 * math.log(4))
    0.6931472 0.6931471805599453
    """
    plain = softmax(temperature)

    def sample(key: Any, logits: Any, action_spec: Any = None) -> Any:
        return plain.sample(key, logits)

    def probs(logits: Any, action_spec: Any = None) -> Any:
        return plain.probs(logits)

    def logprob(sample: Any, logits: Any, action_spec: Any = None) -> Any:
        return plain.logprob(sample, logits)

    def entropy(logits: Any) -> Any:
        return jnp.minimum(plain.entropy(logits), entropy_clip * math.log(typeof(logits).shape[-1]))

    return _discrete(sample, probs, logprob, entropy, plain.kl, logits="float[..., A]")


def greedy() -> DiscreteDistribution:
    """The policy of the highest preference; several highest share.

        probs[a] = (1 if preferences[a] is the highest else 0) / the number of the highest

    Its functions take preferences: float[..., A], and raise `DtypeError` and `ShapeError` for others (RLax).

    >>> greedy().probs(jnp.array([1.0, 3.0, 3.0]))
    Array([0. , 0.5, 0.5], dtype=float32)
    """
    def sample(key: Any, preferences: Any) -> Any:
        return _sample(key, _best(preferences))

    def probs(preferences: Any) -> Any:
        return _best(preferences)

    def logprob(sample: Any, preferences: Any) -> Any:
        return log_prob_of(sample, jnp.log(_best(preferences)))

    def entropy(preferences: Any) -> Any:
        return _entropy(_best(preferences))

    return _discrete(sample, probs, logprob, entropy, None, preferences="float[..., A]")


def epsilon_greedy(epsilon: Any = None) -> DiscreteDistribution:
    """The policy of the highest preference, but of any action alike with probability epsilon.

        probs = (1 - epsilon) greedy(preferences) + epsilon / A

    Each function takes another `epsilon` at its end.  Raises as `greedy`, and `MinijaxTypeError` without any epsilon.
    Sutton and Barto, "Reinforcement Learning: An Introduction", 2.2.

    >>> epsilon_greedy(0.5).probs(jnp.array([1.0, 3.0]))
    Array([0.25, 0.75], dtype=float32)
    """
    default = epsilon

    def mixture(preferences: Any, epsilon: Any) -> Any:
        return _explore(_best(preferences), _given("epsilon_greedy", "epsilon", epsilon, "0.05"))

    def sample(key: Any, preferences: Any, epsilon: Any = default) -> Any:
        return _sample(key, mixture(preferences, epsilon))

    def probs(preferences: Any, epsilon: Any = default) -> Any:
        return mixture(preferences, epsilon)

    def logprob(sample: Any, preferences: Any, epsilon: Any = default) -> Any:
        return log_prob_of(sample, jnp.log(mixture(preferences, epsilon)))

    def entropy(preferences: Any, epsilon: Any = default) -> Any:
        return _entropy(mixture(preferences, epsilon))

    return _discrete(sample, probs, logprob, entropy, None, preferences="float[..., A]")


def epsilon_softmax(epsilon: Any, temperature: Any) -> DiscreteDistribution:
    """The policy softmax(logits / temperature), but of any action alike with probability epsilon.

        probs = (1 - epsilon) softmax(logits / temperature) + epsilon / A

    Its functions take logits: float[..., A], and raise `DtypeError` and `ShapeError` for others (RLax of 2020).

    >>> epsilon_softmax(1.0, 1.0).probs(jnp.array([1.0, 3.0]))
    Array([0.5, 0.5], dtype=float32)
    """
    def probs(logits: Any) -> Any:
        return _explore(nn.softmax(logits / temperature), epsilon)

    def sample(key: Any, logits: Any) -> Any:
        return _sample(key, probs(logits))

    def logprob(sample: Any, logits: Any) -> Any:
        return log_prob_of(sample, jnp.log(probs(logits)))

    def entropy(logits: Any) -> Any:
        return _entropy(probs(logits))

    return _discrete(sample, probs, logprob, entropy, None, logits="float[..., A]")


def _discrete(sample: Any, probs: Any, logprob: Any, entropy: Any, kl: Any, **types: str) -> DiscreteDistribution:
    """The functions, with arguments checked."""
    of_sample = typed(**types, sample="int[...]")
    return DiscreteDistribution(typed(**types)(sample), typed(**types)(probs), of_sample(logprob),
                                typed(**types)(entropy), kl)


def _best(preferences: Any) -> Any:
    """Equal probabilities for the highest preferences."""
    best = preferences == preferences.max(axis=-1, keepdims=True)
    return (best / best.sum(axis=-1, keepdims=True)).astype(typeof(preferences).dtype)


def _explore(probs: Any, epsilon: Any) -> Any:
    """The part epsilon of the probability shared by all."""
    return (1 - epsilon) * probs + epsilon / typeof(probs).shape[-1]


def _sample(key: Any, probs: Any) -> Any:
    return sample_of(key, jnp.log(probs), probs)


def _entropy(probs: Any) -> Any:
    positive = probs > 0
    return -(probs * jnp.log(jnp.where(positive, probs, 1.0))).sum(axis=-1)


def _given(function: str, name: str, value: Any, example: str) -> Any:
    """A parameter of a distribution; raises `MinijaxTypeError` where neither it nor the call has one."""
    if value is None:
        raise MinijaxTypeError(f"rlax.{function} has no {name}{at_line()}. "
                               f"Give one to it, {function}({example}), or to each of its functions.")
    return operand(f"rlax.{function}: {name}", value)


# ---- over vectors

def gaussian_diagonal(sigma: Any = None) -> ContinuousDistribution:
    """The policy of independent normal numbers, each with its mean and standard deviation.

        logprob = sum_d -((sample - mu) / sigma)**2 / 2 - log(sigma) - log(2 pi) / 2
        entropy = sum_d log(sigma) + (1 + log(2 pi)) / 2

    Its functions take mu: float[..., D], and each another `sigma` at its end, a scalar or of a shape that broadcasts to
    mu's.  They raise `DtypeError` and `ShapeError` for others, and `MinijaxTypeError` without any sigma (RLax).

    >>> print(gaussian_diagonal(1.0).logprob(jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0])), -math.log(2 * math.pi))
    -1.837877 -1.8378770664093453
    """
    default = sigma

    def scale(mu: Any, sigma: Any) -> Any:
        return jnp.ones_like(mu) * _given("gaussian_diagonal", "sigma", sigma, "0.1")

    def sample(key: Any, mu: Any, sigma: Any = default) -> Any:
        return mu + scale(mu, sigma) * random.normal(key, typeof(mu).shape, typeof(mu).dtype)

    def logprob(sample: Any, mu: Any, sigma: Any = default) -> Any:
        deviation = scale(mu, sigma)
        standard = (sample - mu) / deviation
        return -(0.5 * jnp.square(standard) + 0.5 * math.log(2 * math.pi) + jnp.log(deviation)).sum(axis=-1)

    def prob(sample: Any, mu: Any, sigma: Any = default) -> Any:
        return jnp.exp(logprob(sample, mu, sigma))

    def entropy(mu: Any, sigma: Any = default) -> Any:
        return (0.5 + 0.5 * math.log(2 * math.pi) + jnp.log(scale(mu, sigma))).sum(axis=-1)

    def kl_to_standard_normal(mu: Any, sigma: Any = default) -> Any:
        return multivariate_normal_kl_divergence(mu, scale(mu, sigma), jnp.zeros_like(mu), jnp.ones_like(mu))

    one, two = typed(mu="float[..., D]"), typed(sample="float[..., D]", mu="float[..., D]")
    return ContinuousDistribution(one(sample), two(prob), two(logprob), one(entropy), one(kl_to_standard_normal),
                                  multivariate_normal_kl_divergence)


@typed(mu_0="float[..., D]", sigma_0="float[...]", mu_1="float[..., D]", sigma_1="float[...]")
def multivariate_normal_kl_divergence(mu_0: Any, sigma_0: Any, mu_1: Any, sigma_1: Any) -> Any:
    """How far one diagonal normal distribution is from another.

        sum_d log(sigma_1 / sigma_0) + (sigma_0**2 + (mu_0 - mu_1)**2) / (2 sigma_1**2) - 1/2

        axes                ...  D
        mu_0, mu_1         [..., D]   float
        sigma_0, sigma_1   float, of shapes that broadcast to theirs
        result             [...]

    Raises `ShapeError` and `DtypeError` for other arguments.
    Kullback and Leibler, "On Information and Sufficiency", 1951.

    >>> print(multivariate_normal_kl_divergence(jnp.array([0.0, 1.0]), 1.0, jnp.array([0.0, 0.0]), 1.0))
    0.5
    """
    sigma_0, sigma_1 = jnp.ones_like(mu_0) * sigma_0, jnp.ones_like(mu_1) * sigma_1
    squares = jnp.square(sigma_0 / sigma_1) + jnp.square((mu_1 - mu_0) / sigma_1)
    return (jnp.log(sigma_1) - jnp.log(sigma_0) + 0.5 * (squares - 1)).sum(axis=-1)
