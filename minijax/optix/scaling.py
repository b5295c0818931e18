"""Transformations that scale, bound or gather the updates."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import Array, lax, tree
from minijax.optix.checks import (check_schedule, count_of, fields, map_trees, number, scalar_or_schedule,
                                  schedule_value)
from minijax.optix.counting import first_count, next_count, square, zeros
from minijax.optix.transformation import EmptyState, GradientTransformation, identity, init_empty_state
from minijax.tracing.array import typeof

Schedule = Callable[[Any], Any]
ClipState = ClipByGlobalNormState = ScaleState = EmptyState


class ScaleByScheduleState(NamedTuple):
    """The number of steps, i32[]."""

    count: Array


class ApplyEvery(NamedTuple):
    """The number of steps i32[] since updates were let through, and the sum of those held back."""

    count: Array
    grad_acc: Any


def scale(step_size: Any) -> GradientTransformation:
    """Updates times a number.

    >>> print(scale(-0.5).update(jnp.float32(3.0), EmptyState())[0])
    -1.5
    """
    number("scale", "step_size", step_size)

    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        return tree.map(lambda g: step_size * g, updates), state

    return GradientTransformation(init_empty_state, update)


def scale_by_schedule(step_size_fn: Schedule) -> GradientTransformation:
    """Updates times `step_size_fn(count)`, where `count` i32[] is the number of steps before this one.

    >>> halved = scale_by_schedule(lambda count: 0.5 ** count)
    >>> updates, state = halved.update(jnp.float32(3.0), halved.init(None))
    >>> print(updates, halved.update(jnp.float32(3.0), state)[0])
    3.0 1.5
    """
    check_schedule("scale_by_schedule", "step_size_fn", step_size_fn)

    def init(params: Any) -> ScaleByScheduleState:
        return ScaleByScheduleState(first_count())

    def update(updates: Any, state: ScaleByScheduleState, params: Any = None) -> tuple[Any, ScaleByScheduleState]:
        count = fields("scale_by_schedule", state, ScaleByScheduleState).count
        step_size = schedule_value("scale_by_schedule", step_size_fn, count)
        scaled = tree.map(lambda g: jnp.asarray(step_size, dtype=typeof(g).dtype) * g, updates)
        return scaled, ScaleByScheduleState(next_count(count))

    return GradientTransformation(init, update)


def scale_by_learning_rate(learning_rate: Any = None, *, flip_sign: bool = True) -> GradientTransformation:
    """Updates times minus the learning rate, a number or a schedule: a step downhill; None changes nothing.

    >>> print(scale_by_learning_rate(0.5).update(jnp.float32(3.0), EmptyState())[0])
    -1.5
    """
    if learning_rate is None:
        return identity()
    scalar_or_schedule("scale_by_learning_rate", "learning_rate", learning_rate, least=0)
    sign = -1 if flip_sign else 1
    if callable(learning_rate):
        return scale_by_schedule(lambda count: sign * learning_rate(count))
    return scale(sign * learning_rate)


def clip(max_delta: Any) -> GradientTransformation:
    """Every entry of the updates brought into [-max_delta, max_delta].

    >>> print(clip(1.0).update(jnp.array([-3.0, 0.5]), EmptyState())[0])
    [-1.   0.5]
    """
    number("clip", "max_delta", max_delta, least=0)

    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        return tree.map(lambda g: jnp.clip(g, -max_delta, max_delta), updates), state

    return GradientTransformation(init_empty_state, update)


def global_norm(updates: Any) -> Array:
    """The length of all leaves together as one vector.

    >>> print(global_norm({"w": jnp.array([3.0, 0.0]), "b": 4.0}))
    5.0
    """
    squares = [jnp.sum(square(jnp.asarray(leaf))) for leaf in tree.leaves(updates)]
    return jnp.sqrt(functools.reduce(operator.add, squares, 0))


def clip_by_global_norm(max_norm: Any) -> GradientTransformation:
    """Updates shortened to the length `max_norm` if they are longer together (Pascanu et al., 2013).

    >>> print(clip_by_global_norm(1.0).update(jnp.array([3.0, 4.0]), EmptyState())[0])
    [0.6 0.8]
    """
    number("clip_by_global_norm", "max_norm", max_norm, least=0)

    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        norm = global_norm(updates)
        short = norm < max_norm

        def shortened(g: Any) -> Any:
            g = jnp.asarray(g)
            return lax.select(short, g, g / norm.astype(g.dtype) * jnp.asarray(max_norm, dtype=g.dtype))

        return tree.map(shortened, updates), state

    return GradientTransformation(init_empty_state, update)


def apply_every(k: Any = 1) -> GradientTransformation:
    """The sum of the updates of `k` steps in each k-th step, zeros in the others.

    >>> pairs = apply_every(2)
    >>> updates, state = pairs.update(jnp.float32(3.0), pairs.init(jnp.float32(0.0)))
    >>> print(updates, pairs.update(jnp.float32(4.0), state)[0])
    0.0 7.0
    """
    count_of("apply_every", "k", k, least=1)

    def init(params: Any) -> ApplyEvery:
        return ApplyEvery(first_count(), zeros(params))

    def update(updates: Any, state: ApplyEvery, params: Any = None) -> tuple[Any, ApplyEvery]:
        state = fields("apply_every", state, ApplyEvery)
        position = state.count % k
        total = map_trees("apply_every", lambda g, t: (position != 0) * t + g, updates=updates,
                          **{"state.grad_acc": state.grad_acc})
        through = tree.map(lambda t: (position == k - 1) * t, total)
        return through, ApplyEvery(next_count(state.count) % k, total)

    return GradientTransformation(init, update)
