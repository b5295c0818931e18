"""The loop around a training step, with a progress bar: what the examples share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from tqdm import tqdm

from minijax import Array


def repeat(step: Callable[[Any, int], tuple[Any, Array]], state: Any, steps: int) -> tuple[Any, np.ndarray]:
    """The state after so many times `state, loss = step(state, number)`, and the losses `f32[steps]`.

    >>> repeat(lambda state, number: (state + number, 2.0 * number), 10, 3)
    (13, array([0., 2., 4.]))
    """
    losses = []
    with tqdm(range(steps), unit=" steps", desc="training", mininterval=0.2) as bar:
        for number in bar:
            state, loss = step(state, number)
            losses.append(loss)
            if number % 50 == 0 or number == steps - 1:  # reading a value waits for it
                bar.set_postfix(loss=f"{float(loss):.4f}", refresh=False)
    return state, np.array([float(loss) for loss in losses])
