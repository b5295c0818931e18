"""An agent learns to catch falling balls by Q-learning, in the game Catch of bsuite.

    pip install -e ".[rl]" && python examples/catch_q_learning.py --seeds 5

It plays an episode, exploring now and then, and learns from each of its steps; then it plays the next.
"""

from __future__ import annotations

import itertools
import sys
from typing import Any, NamedTuple

from bsuite.environments.catch import Catch
from rl_common import Agent, Curve, Policy, Transition, main, play, stack

import minijax
import minijax.numpy as jnp
from minijax import haiku as hk
from minijax import optix, random, rlax, value_and_grad

ACTIONS, HIDDEN = 3, 64
DISCOUNT, EPSILON, LEARNING_RATE = 0.99, 0.1, 3e-3
DESCRIPTION = """\
Q-learning on Catch: a ball falls through ten rows, and a paddle below must stand under it at the end, for a return
of 1, else -1."""


class State(NamedTuple):
    """What learning changes."""

    params: Any
    optimizer: Any


@hk.without_apply_rng
@hk.transform
def network(observation):
    """The values of the actions, float[3], for one observation, float[10, 5]."""
    return hk.nets.MLP([HIDDEN, HIDDEN, ACTIONS])(observation.ravel())


optimizer = optix.adam(LEARNING_RATE)


def first_state(seed: int) -> State:
    """Random parameters, and the optimizer's state for them."""
    params = network.init(random.key(seed), jnp.zeros((10, 5)))
    return State(params, optimizer.init(params))


@minijax.jit
def act(params, observation, epsilon, key, number):
    """The best action, or, with probability epsilon, any."""
    return rlax.epsilon_greedy().sample(random.fold_in(key, number), network.apply(params, observation), epsilon)


def error(params, step: Transition):
    """The error of Q-learning in one step."""
    q_tm1, q_t = network.apply(params, step.s_tm1), network.apply(params, step.s_t)
    return rlax.q_learning(q_tm1, step.a_tm1, step.r_t, DISCOUNT * step.discount_t, q_t)


def loss(params, episode):
    """The mean of half the squared errors."""
    return jnp.mean(rlax.l2_loss(minijax.vmap(error, (None, 0))(params, episode)))


@minijax.jit
def learn(state: State, episode: Transition) -> tuple[State, Any]:
    """The state after one step of Adam, and the loss before."""
    value, gradient = value_and_grad(loss)(state.params, episode)
    updates, moments = optimizer.update(gradient, state.optimizer)
    return State(optix.apply_updates(state.params, updates), moments), value


def train(seed: int, curve: Curve) -> Policy:
    """Play and learn until the curve is full; returns the policy that takes the best actions."""
    environment, state = Catch(seed=seed), first_state(seed)
    key, number = random.key(seed), itertools.count()
    explore = lambda observation: int(act(state.params, observation, EPSILON, key, next(number)))
    while curve.unfinished:
        episode = list(play(environment, explore))
        state, _ = learn(state, stack(episode))
        curve.add(episode)
    return lambda observation: int(act(state.params, observation, 0.0, key, 0))


AGENT = Agent(DESCRIPTION, lambda seed: Catch(seed=seed), train, goal=0.95, steps=18_000)

if __name__ == "__main__":
    sys.exit(main(AGENT))
