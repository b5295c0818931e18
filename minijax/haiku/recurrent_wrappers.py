"""Recurrent cores made of others: IdentityCore, ResetCore, DeepRNN, and a deep one with skip connections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import tree, tree_util
from minijax.haiku.recurrent import RNNCore
from minijax.haiku.refusals import refusal

__all__ = ["DeepRNN", "IdentityCore", "ResetCore", "deep_rnn_with_skip_connections"]


class IdentityCore(RNNCore):
    """Gives its inputs back, with an empty state: for models that are recurrent or not by a setting.

    >>> import minijax.haiku as hk
    >>> hk.transform(lambda x: hk.IdentityCore()(x, ())).apply({}, None, 3.0)
    (3.0, ())
    """

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """The inputs and the state, as they are."""
        return inputs, state

    def initial_state(self, batch_size: int | None) -> Any:
        """The empty state."""
        return ()


class ResetCore(RNNCore):
    """Starts the state of a core anew wherever the inputs say so: for batches in which episodes end apart.

    Inputs are `(inputs, should_reset)`.  `should_reset` is a boolean array whose shape begins the shapes of all
    states, such as [batch], or a pytree like the state, with one for each part.

    >>> import minijax.haiku as hk
    >>> class Count(hk.RNNCore):
    ...     "Counts its calls."
    ...     def __call__(self, inputs, prev_state):
    ...         return prev_state, prev_state + 1
    ...     def initial_state(self, batch_size):
    ...         return jnp.zeros(() if batch_size is None else batch_size)
    >>> xs = (jnp.zeros(4), jnp.array([False, False, True, False]))
    >>> f = hk.transform(lambda xs: hk.static_unroll(hk.ResetCore(Count()), xs, jnp.zeros(()))[0])
    >>> f.apply({}, None, xs)
    Array([0., 1., 0., 1.], dtype=float32)
    """

    def __init__(self, core: RNNCore, name: str | None = None):
        """`core` is the core whose state starts anew."""
        super().__init__(name=name)
        self.core = core

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """One step of the core: (its outputs, its next state), from its initial state where that is asked for."""
        if not isinstance(inputs, (tuple, list)) or len(inputs) != 2:
            raise refusal(self, f"ResetCore takes (inputs, should_reset), got a {type(inputs).__name__}",
                          "Pass both as one pair.")
        inputs, should_reset = inputs
        state = tree.map(jnp.asarray, state)
        fresh = self.initial_state(self._batch_size(inputs, state))
        state = tree.map(self._restart, self._like_state(should_reset, state), state, fresh)
        return self.core(inputs, state)

    def initial_state(self, batch_size: int | None) -> Any:
        """That of the core."""
        return self.core.initial_state(batch_size)

    def _like_state(self, should_reset: Any, state: Any) -> Any:
        """One `should_reset` for each part of the state."""
        structure = tree.structure(should_reset)
        if structure == tree.structure(state):
            return should_reset
        if tree_util.treedef_is_leaf(structure):
            return tree.map(lambda _: should_reset, state)
        raise refusal(self, f"should_reset should be one array, or have the structure of the state, "
                      f"{tree.structure(state)}, got {structure}", "Pass one boolean for each sequence.")

    def _restart(self, should_reset: Any, state: Any, fresh: Any) -> Any:
        """`fresh` where `should_reset` is true: its axes are the first of the state's, not the last."""
        should_reset = jnp.asarray(should_reset)
        if should_reset.shape != state.shape[:should_reset.ndim]:
            raise refusal(self, f"should_reset signal shape {should_reset.shape} is not compatible with state shape "
                          f"{state.shape}, which should begin with it", "Pass one boolean for each sequence.")
        should_reset = should_reset.reshape(should_reset.shape + (1,) * (state.ndim - should_reset.ndim))
        return jnp.where(should_reset, fresh.astype(state.dtype), state)

    def _batch_size(self, inputs: Any, state: Any) -> int | None:
        """The size of the batch axis; None for a state with another number of axes than that of a batch."""
        axes = [part.ndim for part in tree.leaves(state)]
        if not axes or axes != [jnp.ndim(part) for part in tree.leaves(self.initial_state(1))]:
            return None
        return jnp.shape(tree.leaves(inputs)[0])[0]


class _DeepRNN(RNNCore):
    """Cores and functions, one after another, as one core; with skip connections all see the inputs."""

    def __init__(self, layers: Sequence[Any], skip_connections: bool, name: str | None = None):
        super().__init__(name=name)
        self.layers = layers
        self.skip_connections = skip_connections
        others = [layer for layer in layers if not isinstance(layer, RNNCore)]
        if skip_connections and others:
            raise refusal(self, f"skip_connections requires for all layers to be `hk.RNNCore`s, got {others[0]!r}",
                          "Put functions inside a core of your own.")

    def __call__(self, inputs: Any, state: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
        """One step through all layers: (the outputs, the next states of the cores)."""
        cores = [layer for layer in self.layers if isinstance(layer, RNNCore)]
        if len(state) != len(cores):
            raise refusal(self, f"the state should hold {len(cores)} states, one for each core, got {len(state)}",
                          "Start from core.initial_state(batch_size).")
        states, next_states, outputs = iter(state), [], []
        x = inputs
        for layer in self.layers:
            if isinstance(layer, RNNCore):
                x, next_state = layer(_beside(inputs, x) if self.skip_connections and outputs else x, next(states))
                next_states.append(next_state)
                outputs.append(x)
            else:
                x = layer(x)
        if self.skip_connections:
            x = tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *outputs)
        return x, tuple(next_states)

    def initial_state(self, batch_size: int | None) -> tuple[Any, ...]:
        """The states of the cores, in order."""
        return tuple(layer.initial_state(batch_size) for layer in self.layers if isinstance(layer, RNNCore))


def _beside(inputs: Any, outputs: Any) -> Any:
    """Inputs and outputs joined along the last axis; None in the inputs stays None."""
    def join(x: Any, y: Any) -> Any:
        return None if x is None else jnp.concatenate([x, y], axis=-1)

    return tree.map(join, inputs, outputs, is_leaf=lambda x: x is None)


class DeepRNN(_DeepRNN):
    """Cores and functions, one after another, as one core; its state is a tuple with the state of each core.

    >>> import minijax.haiku as hk
    >>> from minijax import random, nn
    >>> def f(x):
    ...     core = hk.DeepRNN([hk.VanillaRNN(3), nn.relu, hk.VanillaRNN(2)])
    ...     return core(x, core.initial_state(None))
    >>> sorted(hk.transform(f).init(random.key(0), jnp.ones(1)))[::2]
    ['vanilla_rnn/linear', 'vanilla_rnn_1/linear']
    """

    def __init__(self, layers: Sequence[RNNCore | Callable[[Any], Any]], name: str | None = None):
        """`layers` are cores, and functions of one argument."""
        super().__init__(layers, skip_connections=False, name=name)


def deep_rnn_with_skip_connections(layers: Sequence[RNNCore], name: str | None = None) -> RNNCore:
    """Cores one after another as one core, in which each also sees the inputs, and all outputs are the output.

    A core after the first gets the inputs and the output of the one before it, joined along the last axis; the
    output joins those of all cores.  Raises `MinijaxValueError` for layers that are no cores.
    Source: Graves, "Generating Sequences With Recurrent Neural Networks", 2013 (arxiv.org/abs/1308.0850).

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> def f(x):
    ...     core = hk.deep_rnn_with_skip_connections([hk.VanillaRNN(3), hk.VanillaRNN(2)])
    ...     return core(x, core.initial_state(None))[0]
    >>> f = hk.transform(f)
    >>> f.apply(f.init(random.key(0), jnp.ones(1)), None, jnp.ones(1)).shape
    (5,)
    """
    return _DeepRNN(layers, skip_connections=True, name=name)
