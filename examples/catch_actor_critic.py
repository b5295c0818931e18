"""An actor and a critic learn to catch falling balls, by V-trace from their last episodes, in the game Catch of bsuite.

    pip install -e ".[rl]" && python examples/catch_actor_critic.py --seeds 5

The actor draws actions, the critic says what states are worth.  After each episode they learn from the last few, which
older actors played: V-trace weighs each step by how much likelier the actor of today takes the action.
"""

from __future__ import annotations

import collections
import itertools
import sys
from typing import Any, NamedTuple

from bsuite.environments.catch import Catch
from rl_common import Agent, Curve, Policy, Transition, main, play, stack

import minijax
import minijax.numpy as jnp
from minijax import haiku as hk
from minijax import optix, random, rlax, value_and_grad

ACTIONS, HIDDEN, EPISODES = 3, 64, 8
DISCOUNT, LAMBDA, LEARNING_RATE, CRITIC, ENTROPY = 0.99, 0.9, 2e-3, 0.5, 0.02
DESCRIPTION = """\
Actor and critic on Catch, with V-trace: a ball falls through ten rows, and a paddle below must stand under it at the
end, for a return of 1, else -1."""


class State(NamedTuple):
    """What learning changes."""

    params: Any
    optimizer: Any


@hk.without_apply_rng
@hk.transform
def network(observation):
    """For one observation, float[10, 5]: the actor's preferences, float[3], and the critic's value, float[]."""
    hidden = hk.nets.MLP([HIDDEN, HIDDEN], activate_final=True)(observation.ravel())
    return hk.Linear(ACTIONS)(hidden), hk.Linear(1)(hidden)[0]


actor = rlax.softmax()
optimizer = optix.adam(LEARNING_RATE)


def first_state(seed: int) -> State:
    """Random parameters, and the optimizer's state for them."""
    params = network.init(random.key(seed), jnp.zeros((10, 5)))
    return State(params, optimizer.init(params))


@minijax.jit
def act(params, observation, key, number):
    """An action drawn by the actor."""
    return actor.sample(random.fold_in(key, number), network.apply(params, observation)[0])


@minijax.jit
def best(params, observation):
    """The action that the actor prefers."""
    return jnp.argmax(network.apply(params, observation)[0])


@minijax.jit
def log_probabilities(params, episode: Transition):
    """How likely the actor takes the actions of an episode: float[T]."""
    logits, _ = minijax.vmap(network.apply, (None, 0))(params, episode.s_tm1)
    return actor.logprob(episode.a_tm1, logits)


def loss_of_episode(params, episode: Transition, played):
    """The losses of actor and critic; `played` has the log-probabilities of the actor that played, float[T]."""
    logits, v_tm1 = minijax.vmap(network.apply, (None, 0))(params, episode.s_tm1)
    _, v_t = minijax.vmap(network.apply, (None, 0))(params, episode.s_t)
    rho_tm1 = jnp.exp(actor.logprob(episode.a_tm1, logits) - played)
    vtrace = rlax.vtrace_td_error_and_advantage(v_tm1, v_t, episode.r_t, DISCOUNT * episode.discount_t, rho_tm1, LAMBDA)
    weights = jnp.ones_like(v_tm1)
    return (rlax.policy_gradient_loss(logits, episode.a_tm1, vtrace.pg_advantage, weights)
            + CRITIC * jnp.mean(rlax.l2_loss(vtrace.errors)) + ENTROPY * rlax.entropy_loss(logits, weights))


def loss(params, episodes, played):
    """The mean over episodes."""
    return jnp.mean(minijax.vmap(loss_of_episode, (None, 0, 0))(params, episodes, played))


@minijax.jit
def learn(state: State, episodes: Transition, played) -> tuple[State, Any]:
    """The state after one step of Adam, and the loss before."""
    value, gradient = value_and_grad(loss)(state.params, episodes, played)
    updates, moments = optimizer.update(gradient, state.optimizer)
    return State(optix.apply_updates(state.params, updates), moments), value


def train(seed: int, curve: Curve) -> Policy:
    """Play and learn until the curve is full; returns the policy that takes the preferred actions."""
    environment, state = Catch(seed=seed), first_state(seed)
    key, number = random.key(seed), itertools.count()
    draw = lambda observation: int(act(state.params, observation, key, next(number)))
    recent = collections.deque(maxlen=EPISODES)
    while curve.unfinished:
        steps = list(play(environment, draw))
        episode = stack(steps)
        recent.append((episode, log_probabilities(state.params, episode)))
        if len(recent) == EPISODES:
            state, _ = learn(state, *stack(recent))
        curve.add(steps)
    return lambda observation: int(best(state.params, observation))


AGENT = Agent(DESCRIPTION, lambda seed: Catch(seed=seed), train, goal=0.95, steps=18_000)

if __name__ == "__main__":
    sys.exit(main(AGENT))
