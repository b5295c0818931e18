"""Schedules: functions from the count of steps, i32[] and perhaps traced, to a hyper-parameter.

Give one in place of a learning rate or a weight decay, or to `scale_by_schedule`.  With p the part that is done,

    polynomial    end + (start - end) (1 - p)^power           exponential    start rate^p
    cosine        start ((1 - alpha) ((1 + cos(pi p)) / 2)^exponent + alpha)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.optix.checks import check_schedule, count_of, not_negative, number
from minijax.tracing.source import at_line

Schedule = Callable[[Any], Any]


def constant_schedule(value: Any) -> Schedule:
    """The same value in every step.

    >>> constant_schedule(0.1)(1000)
    0.1
    """
    number("constant_schedule", "value", value)
    return lambda count: value


def polynomial_schedule(init_value: Any, end_value: Any, power: Any, transition_steps: int,
                        transition_begin: int = 0) -> Schedule:
    """From `init_value` to `end_value` in `transition_steps` steps after `transition_begin`, as a power of the rest.

    Without steps of transition the value stays `init_value`.

    >>> print(polynomial_schedule(1.0, 0.0, power=2, transition_steps=10)(5))
    0.25
    """
    who = "polynomial_schedule"
    for name, value in (("init_value", init_value), ("end_value", end_value), ("power", power)):
        number(who, name, value)
    count_of(who, "transition_steps", transition_steps)
    count_of(who, "transition_begin", transition_begin)
    if transition_steps == 0:
        return constant_schedule(init_value)

    def schedule(count: Any) -> Any:
        done = jnp.clip(count - transition_begin, 0, transition_steps) / transition_steps
        return (init_value - end_value) * (1 - done) ** power + end_value

    return schedule


def linear_schedule(init_value: Any, end_value: Any, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """From `init_value` to `end_value` in equal steps.

    >>> print(linear_schedule(0.0, 1.0, transition_steps=4)(1))
    0.25
    """
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def exponential_decay(init_value: Any, transition_steps: int, decay_rate: Any, transition_begin: int = 0,
                      staircase: bool = False, end_value: Any = None) -> Schedule:
    """`init_value` times `decay_rate` to the number of transitions done; `staircase` counts whole ones only.

    The value does not go beyond `end_value`.  Without steps of transition, or with a rate of zero, it stays
    `init_value`.

    >>> print(exponential_decay(1.0, transition_steps=10, decay_rate=0.5)(20))
    0.25
    """
    who = "exponential_decay"
    number(who, "init_value", init_value)
    not_negative(who, decay_rate=decay_rate)
    count_of(who, "transition_steps", transition_steps)
    count_of(who, "transition_begin", transition_begin)
    if transition_steps == 0 or decay_rate == 0:
        return constant_schedule(init_value)
    bounded = end_value is not None and (jnp.maximum if decay_rate < 1.0 else jnp.minimum)

    def schedule(count: Any) -> Any:
        begun = count - transition_begin
        done = jnp.floor(begun / transition_steps) if staircase else begun / transition_steps
        value = jnp.where(begun <= 0, init_value, init_value * jnp.power(decay_rate, done))
        return bounded(value, end_value) if bounded else value

    return schedule


def piecewise_constant_schedule(init_value: Any, boundaries_and_scales: Mapping[int, float] | None = None) -> Schedule:
    """`init_value`, multiplied by a factor after each of some steps: a dict from step to factor.

    >>> print(piecewise_constant_schedule(1.0, {10: 0.5, 20: 0.1})(15))
    0.5
    """
    number("piecewise_constant_schedule", "init_value", init_value)
    steps = sorted((boundaries_and_scales or {}).items())
    for step, factor in steps:
        count_of("piecewise_constant_schedule", "a boundary", step)
        number("piecewise_constant_schedule", f"the scale from step {step}", factor, least=0)

    def schedule(count: Any) -> Any:
        value = init_value
        for step, factor in steps:
            before = jnp.maximum(0.0, jnp.sign(step - count))
            value = value * before + (1 - before) * factor * value
        return value

    return schedule


def cosine_decay_schedule(init_value: Any, decay_steps: int, alpha: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    """From `init_value` to `alpha` times it along half a cosine (Loshchilov and Hutter, 2017).

    >>> print(cosine_decay_schedule(1.0, decay_steps=10)(10))
    0.0
    """
    for name, value in (("init_value", init_value), ("alpha", alpha), ("exponent", exponent)):
        number("cosine_decay_schedule", name, value)
    number("cosine_decay_schedule", "decay_steps", decay_steps, least=0)
    if decay_steps == 0:
        raise MinijaxValueError(f"cosine_decay_schedule: decay_steps is at least 1, got 0{at_line()}. With a warm-up, "
                                "decay_steps counts its steps, too, and is larger than warmup_steps.")
    steps = float(decay_steps) if isinstance(decay_steps, int) else decay_steps

    def schedule(count: Any) -> Any:
        done = math.pi * jnp.minimum(float(count) if isinstance(count, int) else count, steps) / steps
        return init_value * ((1 - alpha) * (0.5 * (1 + jnp.cos(done))) ** exponent + alpha)

    return schedule


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """The first schedule up to the first boundary, then the second, and so on; each counts from its own boundary.

    Raises `MinijaxValueError` unless there is one boundary between two schedules.

    >>> print(join_schedules([constant_schedule(1.0), constant_schedule(2.0)], [10])(10))
    2.0
    """
    for position, each in enumerate(schedules):
        check_schedule("join_schedules", f"schedules[{position}]", each)
    for position, boundary in enumerate(boundaries):
        count_of("join_schedules", f"boundaries[{position}]", boundary)
    if len(boundaries) != len(schedules) - 1:
        raise MinijaxValueError(f"join_schedules: {len(schedules)} schedules have {len(schedules) - 1} boundaries "
                                f"between them, got {len(boundaries)}{at_line()}. Pass the step at which each but the "
                                "first begins.")

    def schedule(step: Any) -> Any:
        value = schedules[0](step)
        for boundary, later in zip(boundaries, schedules[1:], strict=True):
            value = jnp.where(step < boundary, value, later(step - boundary))
        return value

    return schedule


def warmup_constant_schedule(init_value: Any, peak_value: Any, warmup_steps: int) -> Schedule:
    """From `init_value` to `peak_value` in equal steps, where it stays.

    >>> print(warmup_constant_schedule(0.0, 1.0, warmup_steps=4)(100))
    1.0
    """
    return linear_schedule(init_value, peak_value, warmup_steps)


def warmup_cosine_decay_schedule(init_value: Any, peak_value: Any, warmup_steps: int, decay_steps: int,
                                 end_value: Any = 0.0, exponent: Any = 1.0) -> Schedule:
    """A linear warm-up to `peak_value`, then half a cosine to `end_value`; `decay_steps` counts the warm-up, too.

    >>> schedule = warmup_cosine_decay_schedule(0.0, 1.0, warmup_steps=10, decay_steps=30)
    >>> print(schedule(5), schedule(10), schedule(30))
    0.5 1.0 0.0
    """
    not_negative("warmup_cosine_decay_schedule", warmup_steps=warmup_steps, decay_steps=decay_steps)
    alpha = end_value * (peak_value != 0.0) / (peak_value + (peak_value == 0.0))  # 0 without a peak, traced or not
    decay = cosine_decay_schedule(peak_value, decay_steps - warmup_steps, alpha, exponent)
    return join_schedules([linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])


def warmup_exponential_decay_schedule(init_value: Any, peak_value: Any, warmup_steps: int, transition_steps: int,
                                      decay_rate: Any, transition_begin: int = 0, staircase: bool = False,
                                      end_value: Any = None) -> Schedule:
    """A linear warm-up to `peak_value`, then `exponential_decay`.

    >>> schedule = warmup_exponential_decay_schedule(0.0, 1.0, warmup_steps=10, transition_steps=10, decay_rate=0.5)
    >>> print(schedule(5), schedule(20))
    0.5 0.5
    """
    decay = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return join_schedules([linear_schedule(init_value, peak_value, warmup_steps), decay], [warmup_steps])
