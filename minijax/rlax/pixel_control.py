"""Rewards for changing what is seen, and the loss of learning to earn them."""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax.api import vmap
from minijax.errors import ShapeError
from minijax.rlax.checks import count_of, typed
from minijax.rlax.trajectory_learning import q_lambda
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


@typed(observations="float[T+1, H, W, C]")
def pixel_control_rewards(observations: Any, cell_size: int) -> Any:
    """How much each square cell of a picture changed: the mean of |change| over its pixels and channels.

        result[t, i, j] = mean over the cell of |observations[t+1] - observations[t]|

        axes              time   height           width            channels
        observations      [T+1,  H,               W,               C]   float, best in [0, 1]
        result            [T,    H / cell_size,   W / cell_size]        float

    Raises `ShapeError` and `DtypeError` for other arguments, and where cell_size does not divide H and W.
    Jaderberg and others, "Reinforcement Learning with Unsupervised Auxiliary Tasks", 2017.

    >>> pictures = jnp.stack([jnp.zeros((2, 4, 1)), jnp.ones((2, 4, 1)).at[:, 2:].set(0.0)])
    >>> pixel_control_rewards(pictures, 2)
    Array([[[1., 0.]]], dtype=float32)
    """
    _, height, width, channels = typeof(observations).shape
    cell_size = count_of("pixel_control_rewards", "cell_size", cell_size)
    if height % cell_size or width % cell_size:
        raise ShapeError(f"rlax.pixel_control_rewards: cells of size {cell_size} do not tile pictures of "
                         f"{height} x {width}{at_line()}. Crop the pictures to a multiple of the cells.")
    changes = jnp.abs(observations[1:] - observations[:-1])
    cells = (-1, height // cell_size, cell_size, width // cell_size, cell_size, channels)
    return changes.reshape(cells).mean(axis=(2, 4, 5))


@typed(observations="float[T+1, H, W, C]", actions="int[T]", action_values="float[T+1, I, J, A]",
       discount_factor="float[] | float[T]")
def pixel_control_loss(observations: Any, actions: Any, action_values: Any, discount_factor: Any,
                       cell_size: int) -> Any:
    """The loss of values of actions for each cell, as `q_lambda` learns them from rewards for change.

        loss[t, i, j] = q_lambda(q[:-1, i, j], actions, rewards[:, i, j], discount, q[1:, i, j], lambda_=1.0)[t]**2 / 2

        axes              time   cells down   cells across   actions
        observations      [T+1,  H,           W,             C]   float: pixels, not cells
        actions           [T]                                     int
        action_values     [T+1,  I,           J,             A]   float, I = H / cell_size, J = W / cell_size
        discount_factor   [T], or a scalar for all                float
        result            [T,    I,           J]                  float

    Raises `ShapeError` and `DtypeError` for other arguments.
    Jaderberg and others, "Reinforcement Learning with Unsupervised Auxiliary Tasks", 2017.

    >>> pictures = jnp.stack([jnp.zeros((2, 2, 1)), jnp.ones((2, 2, 1))])
    >>> pixel_control_loss(pictures, jnp.array([0]), jnp.zeros((2, 1, 1, 3)), 0.9, 2)
    Array([[[0.5]]], dtype=float32)
    """
    rewards = pixel_control_rewards(observations, cell_size)
    cells, given = typeof(rewards).shape[1:], typeof(action_values).shape[1:3]
    if cells != given:
        raise ShapeError(f"rlax.pixel_control_loss: pictures of {cells} cells, but action_values of {given}"
                         f"{at_line()}. Give a value for each cell of `cell_size` pixels.")
    discounts = jnp.broadcast_to(discount_factor, typeof(actions).shape)

    def of_cell(q: Any, reward: Any) -> Any:
        return q_lambda(q[:-1], actions, reward, discounts, q[1:], 1.0)

    of_row = vmap(of_cell, in_axes=1, out_axes=1)
    errors = vmap(of_row, in_axes=1, out_axes=1)(action_values, rewards)
    return 0.5 * errors ** 2
