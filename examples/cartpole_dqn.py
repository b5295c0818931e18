"""An agent learns to balance a pole on a cart by deep Q-learning, in CartPole of gymnasium.

    pip install -e ".[rl]" && python examples/cartpole_dqn.py --seeds 5

It learns from batches of what it remembers.  The values that it learns towards come from a second network, which
follows the first slowly; which action to value is the first one's choice (double Q-learning).
"""

from __future__ import annotations

import itertools
import sys
from typing import Any, NamedTuple

import dm_env
import gymnasium
from rl_common import Agent, Curve, Policy, Replay, Transition, main, play

import minijax
import minijax.numpy as jnp
from minijax import haiku as hk
from minijax import lax, optix, random, rlax, value_and_grad

ACTIONS, HIDDEN = 2, 64
REPLAY, FIRST_STEPS, PERIOD, BATCH = 60_000, 512, 32, 128  # after each period come so many updates as it has steps
DISCOUNT, REWARD, LEARNING_RATE, FOLLOW = 0.99, 0.05, 1e-3, 0.01
EPSILON, EXPLORING = 0.05, 0.1
ENOUGH, EPISODES = 450, 20  # training ends when the mean return of so many episodes is enough
DESCRIPTION = """\
DQN on CartPole: a cart moves left and right under a pole, and earns 1 for each step until the pole falls, 500 at
most."""


class CartPole:
    """The environment of gymnasium, with the `reset` and `step` of dm_env."""

    def __init__(self, seed: int) -> None:
        self.environment, self.seed = gymnasium.make("CartPole-v1"), seed

    def reset(self) -> dm_env.TimeStep:
        """Begin an episode."""
        observation, _ = self.environment.reset(seed=self.seed)
        self.seed = None  # further episodes go on with the same random numbers
        return dm_env.restart(observation)

    def step(self, action: int) -> dm_env.TimeStep:
        """Push to the left (0) or to the right (1).  A fallen pole ends what can be earned; the last step does not."""
        observation, reward, fallen, last, _ = self.environment.step(action)
        if fallen:
            return dm_env.termination(reward, observation)
        return (dm_env.truncation if last else dm_env.transition)(reward, observation)


class State(NamedTuple):
    """What learning changes: the network, the second one that follows it, and what the optimizer remembers."""

    params: Any
    target: Any
    optimizer: Any


@hk.without_apply_rng
@hk.transform
def network(observation):
    """The values of the actions, float[2], for one observation, float[4]."""
    return hk.nets.MLP([HIDDEN, HIDDEN, ACTIONS])(observation)


def first_state(seed: int) -> State:
    """Random parameters, of both networks the same, and the optimizer's state for them."""
    params = network.init(random.key(seed), jnp.zeros(4))
    return State(params, params, optix.adam(LEARNING_RATE).init(params))


@minijax.jit
def act(params, observation, epsilon, key, number):
    """The best action, or, with probability epsilon, any."""
    return rlax.epsilon_greedy().sample(random.fold_in(key, number), network.apply(params, observation), epsilon)


def error(params, target, step: Transition):
    """The error of double Q-learning in one step: `params` choose the next action, `target` values it.

    Rewards are scaled so that values are of the size of a network's first outputs, not of a hundred.
    """
    q_tm1, q_t = network.apply(params, step.s_tm1), network.apply(params, step.s_t)
    q_t_value = network.apply(target, step.s_t)
    return rlax.double_q_learning(q_tm1, step.a_tm1, REWARD * step.r_t, DISCOUNT * step.discount_t, q_t_value, q_t)


def loss(params, target, batch):
    """The mean of the errors' Huber losses: large errors count by their size, not by its square."""
    return jnp.mean(rlax.huber_loss(minijax.vmap(error, (None, None, 0))(params, target, batch)))


@minijax.jit
def learn(state: State, batches: Transition, learning_rate) -> tuple[State, Any]:
    """The state after an update for each batch, and the loss before each."""
    optimizer = optix.adam(learning_rate)

    def update(state: State, batch: Transition):
        value, gradient = value_and_grad(loss)(state.params, state.target, batch)
        updates, moments = optimizer.update(gradient, state.optimizer)
        params = optix.apply_updates(state.params, updates)
        return State(params, optix.incremental_update(params, state.target, FOLLOW), moments), value

    return lax.scan(update, state, batches)


def train(seed: int, curve: Curve) -> Policy:
    """Play and learn until the returns are enough or the curve is full; returns the policy that takes the best actions.

    What is explored, and how much is learned from each batch, become less with time.
    """
    environment, state, number = CartPole(seed), first_state(seed), itertools.count()
    replay, key = Replay(REPLAY, seed), random.key(seed)

    def explore(observation):
        epsilon = max(EPSILON, 1.0 - curve.done / EXPLORING)
        return int(act(state.params, observation, epsilon, key, next(number)))

    while curve.unfinished and curve.recent(EPISODES) < ENOUGH:
        episode = []
        for step in play(environment, explore):
            episode.append(step)
            replay.add(step)
            if replay.added >= FIRST_STEPS and replay.added % PERIOD == 0:
                state, _ = learn(state, replay.sample(PERIOD, BATCH), LEARNING_RATE * (1.0 - curve.done))
        curve.add(episode)
    return lambda observation: int(act(state.params, observation, 0.0, key, 0))


AGENT = Agent(DESCRIPTION, CartPole, train, goal=195, steps=60_000)

if __name__ == "__main__":
    sys.exit(main(AGENT))
