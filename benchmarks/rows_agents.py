"""Rows of a whole agent: Q-learning on bsuite's Catch, beside RLax, dm-haiku and optax on JAX.

Wall time of everything that a run of such a program does: tracing and compiling new functions, playing in Python, a
compiled function for every action, a compiled update for every episode.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import haiku
import numpy as np
import optax
from bsuite.environments.catch import Catch

import minijax
from benchmarks.rows import race
from benchmarks.timing import Work
from minijax import optix

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports uses names of JAX that are to go
    import rlax

EPISODES, ACTIONS, HIDDEN, DISCOUNT, EPSILON = 200, 3, 64, 0.99, 0.1


class Kit(NamedTuple):
    """The libraries that an agent is written with."""

    modules: Any
    optimizers: Any
    losses: Any


KITS = {"minijax": Kit(minijax.haiku, optix, minijax.rlax), "jax": Kit(haiku, optax, rlax)}


class Learner(NamedTuple):
    """An agent: its first parameters and optimizer's state, how it acts and how it learns, compiled."""

    params: Any
    state: Any
    act: Callable[..., Any]
    learn: Callable[..., Any]


def learner(lib: Any) -> Learner:
    """The same agent with either kit."""
    kit = KITS[lib.__name__]
    network = kit.modules.without_apply_rng(kit.modules.transform(
        lambda board: kit.modules.nets.MLP([HIDDEN, HIDDEN, ACTIONS])(board.ravel())))
    optimizer = kit.optimizers.adam(3e-3)

    def act(params: Any, board: Any, number: Any) -> Any:
        key = lib.random.fold_in(lib.random.PRNGKey(0), number)
        return kit.losses.epsilon_greedy(EPSILON).sample(key, network.apply(params, board))

    def loss(params: Any, boards: Any, actions: Any, rewards: Any, discounts: Any) -> Any:
        values = lib.vmap(network.apply, (None, 0))(params, boards)
        errors = lib.vmap(kit.losses.q_learning)(values[:-1], actions, rewards, discounts, values[1:])
        return lib.numpy.mean(kit.losses.l2_loss(errors))

    def learn(params: Any, state: Any, *episode: Any) -> Any:
        updates, state = optimizer.update(lib.grad(loss)(params, *episode), state, params)
        return kit.optimizers.apply_updates(params, updates), state

    params = network.init(lib.random.PRNGKey(0), np.zeros((10, 5), np.float32))
    return Learner(params, optimizer.init(params), lib.jit(act), lib.jit(learn))


def played(environment: Any, policy: Callable[[Any], int]) -> tuple[np.ndarray, ...]:
    """Boards, actions, rewards and discounts of one episode."""
    step, actions, rewards = environment.reset(), [], []
    boards = [step.observation]
    while not step.last():
        actions.append(policy(step.observation))
        step = environment.step(actions[-1])
        boards.append(step.observation)
        rewards.append(step.reward)
    discounts = np.full(len(rewards), DISCOUNT, np.float32)
    discounts[-1] = 0.0
    return np.stack(boards), np.int32(actions), np.float32(rewards), discounts


@race(f"an agent learning Catch, {EPISODES} episodes, beside rlax, haiku and optax", limit=0.8)
def catch_training(lib: Any) -> Work:
    """Make a new agent, let it play and learn."""
    def train() -> Any:
        environment, (params, state, act, learn), number = Catch(seed=0), learner(lib), iter(range(10**6))
        for _ in range(EPISODES):
            episode = played(environment, lambda board: int(act(params, board, next(number))))
            params, state = learn(params, state, *episode)
        return float(params["mlp/~/linear_0"]["b"][0])

    return train
