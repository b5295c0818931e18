"""Recurrent cores and how they run along a sequence: `dynamic_unroll` as a loop, `static_unroll` step by step.

A core is a module `outputs, state = core(inputs, state)` that knows its first state.  `recurrent_cores.py` holds the
cores themselves, `recurrent_wrappers.py` those made of others.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import minijax.numpy as jnp
from minijax import lax, tree
from minijax.errors import MinijaxValueError
from minijax.haiku.module import Module
from minijax.tracing.source import at_line

__all__ = ["RNNCore", "add_batch", "dynamic_unroll", "static_unroll"]


class RNNCore(Module):
    """Base class of recurrent cores: a subclass says what one step does, and what the state is before the first.

    >>> import minijax.haiku as hk
    >>> class Total(hk.RNNCore):
    ...     "Adds up what it gets."
    ...     def __call__(self, inputs, prev_state):
    ...         return prev_state + inputs, prev_state + inputs
    ...     def initial_state(self, batch_size):
    ...         return jnp.zeros(() if batch_size is None else batch_size)
    >>> f = hk.transform(lambda xs: hk.dynamic_unroll(Total(), xs, jnp.zeros(())))
    >>> f.apply({}, None, jnp.array([1.0, 2.0, 3.0]))
    (Array([1., 3., 6.], dtype=float32), Array(6., dtype=float32))
    """

    @abc.abstractmethod
    def __call__(self, inputs: Any, prev_state: Any) -> tuple[Any, Any]:
        """One step: (outputs, the next state); all are pytrees, and the state keeps its structure and types."""

    @abc.abstractmethod
    def initial_state(self, batch_size: int | None) -> Any:
        """The state before the first step: for `batch_size` sequences, or for one without a batch axis (None)."""


def add_batch(state: Any, batch_size: int | None) -> Any:
    """The same state for each of `batch_size` sequences, along a new first axis; itself for None.

    >>> add_batch(jnp.array([1.0, 2.0]), 2)
    Array([[1., 2.],
           [1., 2.]], dtype=float32)
    """
    if batch_size is None:
        return state
    return tree.map(lambda x: jnp.broadcast_to(x, (batch_size, *x.shape)), state)


def dynamic_unroll(core: Callable[[Any, Any], tuple[Any, Any]], input_sequence: Any, initial_state: Any,
                   time_major: bool = True, reverse: bool = False, return_all_states: bool = False,
                   unroll: int = 1) -> tuple[Any, Any]:
    """Run a core along a sequence as one loop, which stays a loop in the program: `lax.scan` with `core` as its body.

    `input_sequence` is a pytree of arrays [T, ...], or [B, T, ...] if not `time_major`, as the outputs are then.
    Gives (output sequence, last state), or with `return_all_states` the states after each step.  `reverse` runs from
    the last step to the first; `unroll` steps are compiled as one.  Raises what `lax.scan` raises.

    >>> dynamic_unroll(lambda x, total: (total, total + x), jnp.array([1.0, 2.0]), jnp.zeros(()))
    (Array([0., 1.], dtype=float32), Array(3., dtype=float32))
    """
    def step(state: Any, inputs: Any) -> tuple[Any, Any]:
        outputs, state = core(inputs, state)
        return state, (outputs, state if return_all_states else None)

    inputs = input_sequence if time_major else _swap_batch_and_time(input_sequence)
    last, (outputs, states) = lax.scan(step, initial_state, inputs, reverse=reverse, unroll=unroll)
    if not time_major:
        outputs, states = _swap_batch_and_time((outputs, states))
    return outputs, states if return_all_states else last


def _swap_batch_and_time(sequences: Any) -> Any:
    return tree.map(lambda x: jnp.swapaxes(x, 0, 1), sequences)


def static_unroll(core: Callable[[Any, Any], tuple[Any, Any]], input_sequence: Any, initial_state: Any,
                  time_major: bool = True) -> tuple[Any, Any]:
    """Run a core along a sequence, each step written out in the program: slower to compile, at times faster to run.

    `input_sequence` is a pytree of arrays [T, ...], or [B, T, ...] if not `time_major`, as the outputs are then.
    Gives (output sequence, last state).  Raises `MinijaxValueError` for sequences of no steps or of several lengths.

    >>> static_unroll(lambda x, total: (total, total + x), jnp.array([1.0, 2.0]), 0.0)
    (Array([0., 1.], dtype=float32), Array(3., dtype=float32))
    """
    axis = 0 if time_major else 1
    leaves, structure = tree.flatten(input_sequence)
    lengths = {jnp.shape(leaf)[axis] for leaf in leaves}
    if len(lengths) != 1 or 0 in lengths:
        raise MinijaxValueError(f"static_unroll takes sequences of one length, of at least one step; along axis {axis} "
                                f"these have {sorted(lengths) or 'no leaves'}{at_line()}. Is time_major={time_major} "
                                "what you mean?")
    state, steps = initial_state, []
    for inputs in zip(*(jnp.unstack(leaf, axis=axis) for leaf in leaves), strict=True):
        outputs, state = core(structure.unflatten(inputs), state)
        steps.append(outputs)
    return tree.map(lambda *outputs: jnp.stack(outputs, axis), *steps), state
