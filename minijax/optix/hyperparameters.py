"""Hyper-parameters kept in the state: changing one compiles nothing anew.

    optimizer = inject_hyperparams(adam)(learning_rate=0.1)
    state.hyperparams["learning_rate"] = 0.01
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

import minijax.numpy as jnp
from minijax import Array, tree
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.optix.checks import fields, schedule_value
from minijax.optix.counting import first_count, next_count
from minijax.optix.transformation import GradientTransformation, GradientTransformationExtraArgs, run_stage
from minijax.tracing.source import at_line


class WrappedScheduleState(NamedTuple):
    """The number of steps, i32[]."""

    count: Array


class InjectStatefulHyperparamsState(NamedTuple):
    """The number of steps i32[], hyper-parameters by name, the counts of those with a schedule, the inner state."""

    count: Array
    hyperparams: dict[str, Any]
    hyperparams_states: dict[str, WrappedScheduleState]
    inner_state: Any


InjectHyperparamsState = InjectStatefulHyperparamsState


class Injected(GradientTransformationExtraArgs):
    """A transformation with hyper-parameters in its state; `built(updates, state)` has those of the state built in."""

    built: Callable[[Any, Any], GradientTransformation]


def inject_hyperparams(inner_factory: Callable[..., GradientTransformation], static_args: str | Iterable[str] = (),
                       hyperparam_dtype: Any = None) -> Callable[..., GradientTransformationExtraArgs]:
    """`inner_factory`, such as `adam`, with its numbers and schedules kept in the state.

    The new factory takes the same arguments.  Each number, array or schedule among them becomes
    `state.hyperparams[name]`, in `hyperparam_dtype` or the largest float dtype of the parameters; what `static_args`
    names, booleans, None and other objects stay as they are.  A schedule is asked anew in each step.  Raises
    `MinijaxValueError` for a static name that is no parameter of the factory.

    >>> from minijax.optix import sgd
    >>> optimizer = inject_hyperparams(sgd)(learning_rate=0.5)
    >>> state = optimizer.init(jnp.float32(0.0))
    >>> state.hyperparams["learning_rate"] = jnp.float32(0.25)
    >>> print(optimizer.update(jnp.float32(4.0), state)[0])
    -1.0
    """
    signature = inspect.signature(inner_factory)
    static = {static_args} if isinstance(static_args, str) else set(static_args)
    if unknown := static - set(signature.parameters):
        raise MinijaxValueError(f"inject_hyperparams: static_args {sorted(unknown)} are no parameters of "
                                f"{inner_factory.__name__}{signature}{at_line()}. Name some of its own.")

    @functools.wraps(inner_factory)
    def factory(*args: Any, **kwargs: Any) -> GradientTransformationExtraArgs:
        given = bound_arguments(inner_factory, signature, args, kwargs)
        free = {name: value for name, value in given.items() if name not in static}
        schedules = {name: value for name, value in free.items() if callable(value)}
        numbers = {name: value for name, value in free.items() if is_number(value)}

        def inner(values: dict[str, Any]) -> GradientTransformation:
            return inner_factory(**{**given, **values})

        def init(params: Any) -> InjectStatefulHyperparamsState:
            convert = converter(hyperparam_dtype, params)
            counts = {name: WrappedScheduleState(first_count()) for name in schedules}
            values = {**numbers, **scheduled(schedules, counts)}
            values = {name: jnp.asarray(convert(value)) for name, value in values.items()}
            return InjectStatefulHyperparamsState(first_count(), values, counts, inner(values).init(params))

        def current(updates: Any, state: InjectStatefulHyperparamsState) -> dict[str, Any]:
            state = fields("inject_hyperparams", state, InjectStatefulHyperparamsState)
            convert = converter(hyperparam_dtype, updates)
            values = {**state.hyperparams, **scheduled(schedules, state.hyperparams_states)}
            return {name: convert(value) for name, value in values.items()}

        def update(updates: Any, state: InjectStatefulHyperparamsState, params: Any = None,
                   **extra: Any) -> tuple[Any, InjectStatefulHyperparamsState]:
            values = current(updates, state)
            updates, inner_state = run_stage(inner(values), updates, state.inner_state, params, extra)
            counts = {name: WrappedScheduleState(next_count(each.count))
                      for name, each in state.hyperparams_states.items()}
            return updates, InjectStatefulHyperparamsState(next_count(state.count), values, counts, inner_state)

        inner({name: schedule(first_count()) for name, schedule in schedules.items()})  # checks what it is given
        injected = Injected(init, update)
        injected.built = lambda updates, state: inner(current(updates, state))
        return injected

    return factory


def bound_arguments(factory: Callable[..., Any], signature: inspect.Signature, args: Any,
                    kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, defaults included; `MinijaxTypeError` for a call that does not fit."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise MinijaxTypeError(f"{factory.__name__}{signature}: {error}{at_line()}. "
                               "Pass one value for each parameter.") from None
    bound.apply_defaults()
    return bound.arguments


def scheduled(schedules: dict[str, Any], counts: dict[str, WrappedScheduleState]) -> dict[str, Any]:
    """What each schedule says for its count of steps."""
    return {name: schedule_value(f"inject_hyperparams: {name}", schedule, counts[name].count)
            for name, schedule in schedules.items()}


def is_number(value: Any) -> bool:
    """Whether a value is a hyper-parameter that a state can hold.

    >>> is_number(0.1), is_number(True), is_number(None)
    (True, False, False)
    """
    return isinstance(value, (int, float, Array, np.ndarray, np.number)) and not isinstance(value, bool)


def converter(dtype: Any, params: Any) -> Callable[[Any], Any]:
    """A function that gives floats without a dtype of their own this dtype, or the largest float dtype of `params`."""
    dtypes = [jnp.asarray(leaf).dtype for leaf in tree.leaves(params)]
    chosen = dtype or max(dtypes, key=lambda each: each.itemsize, default=None)

    def convert(value: Any) -> Any:
        typed = hasattr(value, "dtype") and not getattr(value, "weak_type", False)
        is_float = jnp.issubdtype(jnp.asarray(value).dtype, jnp.floating)
        return jnp.asarray(value, dtype=chosen) if is_float and not typed else value

    return convert
