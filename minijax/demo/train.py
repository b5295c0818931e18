"""The training loop: one compiled function per step, which draws its own batch."""

from __future__ import annotations

import functools
import time
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import minijax
from minijax import Array, jit, nn, optix, random, value_and_grad
from minijax.demo import model
from minijax.demo.digits import Digits


class Trained(NamedTuple):
    """The parameters, the loss at each step, and the seconds for the first step and for the others."""

    params: model.Parameters
    losses: np.ndarray
    first_step: float
    other_steps: float


@functools.partial(jit, static_argnames="size", donate_argnames=("params", "state"))
def step(params: model.Parameters, state: Any, key: Array, images: Array, targets: Array, learning_rate: float,
         size: int) -> tuple[model.Parameters, Any, Array]:
    """One step of Adam on `size` examples drawn at random; the parameters and state are used up."""
    chosen = random.randint(random.fold_in(key, state[0].count), (size,), 0, len(images))
    value, gradient = value_and_grad(model.loss)(params, images[chosen], targets[chosen])
    updates, state = optix.adam(learning_rate).update(gradient, state)
    return optix.apply_updates(params, updates), state, value


def train(key: Array, digits: Digits, steps: int, size: int, learning_rate: float) -> Trained:
    """Train a new network, with a progress bar."""
    init_key, batch_key = random.split(key)
    params = model.init(init_key)
    state = optix.adam(learning_rate).init(params)
    targets = nn.one_hot(digits.labels, 10)
    losses: list[Array] = []
    times = [time.perf_counter()]
    with tqdm(total=steps, unit=" steps", desc="training", mininterval=0.2) as bar:
        for number in range(steps):
            params, state, value = step(params, state, batch_key, digits.images, targets, learning_rate, size=size)
            losses.append(value)
            if number % 50 == 0 or number == steps - 1:  # reading a value waits for it
                bar.set_postfix(loss=f"{float(value):.4f}", refresh=False)
            bar.update()
            times[1:] = times[1:] or [time.perf_counter()]
        minijax.block_until_ready(params)
    end = time.perf_counter()
    return Trained(params, np.array([float(x) for x in losses]), times[1] - times[0], end - times[1])
