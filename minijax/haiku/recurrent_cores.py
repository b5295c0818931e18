"""Recurrent cores: VanillaRNN, GRU, LSTM, and LSTMs over images, whose products are convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import nn
from minijax.haiku.linear import Linear
from minijax.haiku.conv import ConvND
from minijax.haiku.initializers import VarianceScaling
from minijax.haiku.parameters import get_parameter
from minijax.haiku.recurrent import RNNCore, add_batch
from minijax.haiku.refusals import refusal

__all__ = ["Conv1DLSTM", "Conv2DLSTM", "Conv3DLSTM", "GRU", "LSTM", "LSTMState", "VanillaRNN"]


class VanillaRNN(RNNCore):
    """The plain recurrent core: h' = relu(W_i x + b_i + W_h h + b_h), which is its output too.

    Parameters: those of two Linear modules, `linear` of the inputs and `linear_1` of the state.
    Inputs have shape [..., input_size], states [..., hidden_size].

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> f = hk.transform(lambda x: hk.VanillaRNN(3)(x, jnp.zeros(3)))
    >>> sorted(f.init(random.key(0), jnp.ones(2)))
    ['vanilla_rnn/linear', 'vanilla_rnn/linear_1']
    """

    def __init__(self, hidden_size: int, double_bias: bool = True, name: str | None = None):
        """`double_bias` gives both products a bias, of which one would do."""
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.double_bias = double_bias

    def __call__(self, inputs: Any, prev_state: Any) -> tuple[Any, Any]:
        """One step: the new state, twice."""
        prev_state = _checked_state(self, prev_state)
        of_inputs, of_state = Linear(self.hidden_size), Linear(self.hidden_size, with_bias=self.double_bias)
        state = nn.relu(of_inputs(jnp.asarray(inputs)) + of_state(prev_state))
        return state, state

    def initial_state(self, batch_size: int | None) -> Any:
        """Zeros of shape [batch_size, hidden_size], or [hidden_size] for None."""
        return add_batch(jnp.zeros(self.hidden_size), batch_size)


class GRU(RNNCore):
    """Gated recurrent unit: an update gate z and a reset gate r decide what of the state stays.

        z = sigmoid(W_iz x + W_hz h + b_z)          a  = tanh(W_ia x + W_ha (r * h) + b_a)
        r = sigmoid(W_ir x + W_hr h + b_r)          h' = (1 - z) * h + z * a

    Parameters: `w_i` [input_size, 3 * hidden_size], `w_h` [hidden_size, 3 * hidden_size] and `b` [3 * hidden_size],
    each for z, r and a side by side.  Inputs have shape [input_size] or [batch, input_size].
    Source: Chung and others, "Empirical Evaluation of Gated Recurrent Neural Networks", 2014 (arxiv.org/abs/1412.3555).

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> f = hk.transform(lambda x: hk.GRU(3)(x, jnp.zeros(3)))
    >>> {name: w.shape for name, w in f.init(random.key(0), jnp.ones(2))["gru"].items()}
    {'w_i': (2, 9), 'w_h': (3, 9), 'b': (9,)}
    """

    def __init__(self, hidden_size: int, w_i_init: Any = None, w_h_init: Any = None, b_init: Any = None,
                 name: str | None = None):
        """The initializers are `f(shape, dtype)`: by default `VarianceScaling` for the weights, zeros for biases."""
        super().__init__(name=name)
        self.hidden_size = hidden_size
        self.w_i_init = w_i_init or VarianceScaling()
        self.w_h_init = w_h_init or VarianceScaling()
        self.b_init = b_init or jnp.zeros

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """One step: the new state, twice."""
        inputs, state, size = _checked_inputs(self, inputs), _checked_state(self, state), self.hidden_size
        w_i = get_parameter("w_i", (inputs.shape[-1], 3 * size), inputs.dtype, init=self.w_i_init)
        w_h = get_parameter("w_h", (size, 3 * size), inputs.dtype, init=self.w_h_init)
        b = get_parameter("b", (3 * size,), inputs.dtype, init=self.b_init)
        gates_x, candidate_x = jnp.split(jnp.matmul(inputs, w_i), [2 * size], axis=-1)
        gates = nn.sigmoid(gates_x + jnp.matmul(state, w_h[:, :2 * size]) + b[:2 * size])
        update, reset = jnp.split(gates, 2, axis=-1)
        candidate = jnp.tanh(candidate_x + jnp.matmul(reset * state, w_h[:, 2 * size:]) + b[2 * size:])
        state = (1 - update) * state + update * candidate
        return state, state

    def initial_state(self, batch_size: int | None) -> Any:
        """Zeros of shape [batch_size, hidden_size], or [hidden_size] for None."""
        return add_batch(jnp.zeros(self.hidden_size), batch_size)


class LSTMState(NamedTuple):
    """The state of an LSTM: `hidden`, which is the output of the step before, and `cell`, its memory."""

    hidden: Any
    cell: Any


class LSTM(RNNCore):
    """Long short-term memory: an input gate i, a forget gate f and an output gate o around a cell c.

        i, g, f, o = W [x, h] + b
        c' = sigmoid(f + 1) * c + sigmoid(i) * tanh(g)          h' = sigmoid(o) * tanh(c')

    The 1 beside f lets the cell remember at the start of training.
    Parameters: those of one Linear module, `linear`.  Inputs have shape [input_size] or [batch, input_size].
    Sources: Zaremba, Sutskever, Vinyals, "Recurrent Neural Network Regularization", 2014 (arxiv.org/abs/1409.2329);
    Jozefowicz, Zaremba, Sutskever, "An Empirical Exploration of Recurrent Network Architectures", 2015, for the 1.

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> def f(x):
    ...     core = hk.LSTM(3)
    ...     return core(x, core.initial_state(None))
    >>> hk.transform(f).init(random.key(0), jnp.ones(2))["lstm/linear"]["w"].shape
    (5, 12)
    """

    def __init__(self, hidden_size: int, name: str | None = None):
        """`hidden_size` is the number of cells."""
        super().__init__(name=name)
        self.hidden_size = hidden_size

    def __call__(self, inputs: Any, prev_state: LSTMState) -> tuple[Any, LSTMState]:
        """One step: (the new hidden vector, the new state)."""
        inputs, state = _checked_inputs(self, inputs), _checked_lstm_state(self, prev_state, self.hidden_size)
        gates = Linear(4 * self.hidden_size)(jnp.concatenate([inputs, state.hidden], axis=-1))
        return _lstm_step(gates, state.cell)

    def initial_state(self, batch_size: int | None) -> LSTMState:
        """Zeros: hidden and cell of shape [batch_size, hidden_size], or [hidden_size] for None."""
        zeros = jnp.zeros(self.hidden_size)
        return add_batch(LSTMState(zeros, zeros), batch_size)


class _ConvLSTM(RNNCore):
    """What the convolutional LSTMs share; `num_spatial_dims` is the subclass's."""

    num_spatial_dims: int

    def __init__(self, input_shape: Sequence[int], output_channels: int, kernel_shape: int | Sequence[int],
                 name: str | None = None):
        """`input_shape` is the spatial shape of the inputs, without batch and channels, and so that of the state.

        `kernel_shape` is one size for each spatial axis, or one for all.
        """
        super().__init__(name=name)
        self.input_shape = tuple(input_shape)
        self.output_channels = output_channels
        self.kernel_shape = kernel_shape
        if len(self.input_shape) != self.num_spatial_dims:
            raise refusal(self, f"`input_shape` is {self.input_shape}, expected {self.num_spatial_dims} sizes",
                          "Leave batch and channels out of it.")

    def __call__(self, inputs: Any, state: LSTMState) -> tuple[Any, LSTMState]:
        """One step: (the new hidden channels, the new state)."""
        state = _checked_lstm_state(self, state, self.output_channels)
        of_inputs, of_state = (ConvND(self.num_spatial_dims, 4 * self.output_channels, self.kernel_shape, name=name)
                               for name in ("input_to_hidden", "hidden_to_hidden"))
        return _lstm_step(of_inputs(jnp.asarray(inputs)) + of_state(state.hidden), state.cell)

    def initial_state(self, batch_size: int | None) -> LSTMState:
        """Zeros: hidden and cell of shape [batch_size, *input_shape, output_channels]; for None without batch_size."""
        zeros = jnp.zeros((*self.input_shape, self.output_channels))
        return add_batch(LSTMState(zeros, zeros), batch_size)


class Conv1DLSTM(_ConvLSTM):
    """An LSTM over sequences: inputs [batch, width, channels], state [batch, width, output_channels].

    Parameters: those of two convolutions, `input_to_hidden` and `hidden_to_hidden`.
    Source: Shi and others, "Convolutional LSTM Network", 2015 (arxiv.org/abs/1506.04214), without its peepholes.

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> def f(x):
    ...     core = hk.Conv1DLSTM(input_shape=[5], output_channels=2, kernel_shape=3)
    ...     return core(x, core.initial_state(1))
    >>> hk.transform(f).init(random.key(0), jnp.ones((1, 5, 1)))["conv1_dlstm/input_to_hidden"]["w"].shape
    (3, 1, 8)
    """

    num_spatial_dims = 1


class Conv2DLSTM(_ConvLSTM):
    """An LSTM over images: inputs [batch, height, width, channels], state [batch, height, width, output_channels].

    Parameters and source as `Conv1DLSTM`.

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda: hk.Conv2DLSTM([5, 4], output_channels=2, kernel_shape=3).initial_state(1).cell)
    >>> f.apply({}, None).shape
    (1, 5, 4, 2)
    """

    num_spatial_dims = 2


class Conv3DLSTM(_ConvLSTM):
    """An LSTM over volumes: inputs [batch, depth, height, width, channels], state with output_channels.

    Parameters and source as `Conv1DLSTM`.

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda: hk.Conv3DLSTM([5, 4, 3], 2, kernel_shape=3).initial_state(None).cell)
    >>> f.apply({}, None).shape
    (5, 4, 3, 2)
    """

    num_spatial_dims = 3


def _lstm_step(gates: Any, cell: Any) -> tuple[Any, LSTMState]:
    """The output and the new state of an LSTM, of the four gates side by side and the old cell."""
    into, new, forget, out = jnp.split(gates, 4, axis=-1)
    cell = nn.sigmoid(forget + 1) * cell + nn.sigmoid(into) * jnp.tanh(new)
    hidden = nn.sigmoid(out) * jnp.tanh(cell)
    return hidden, LSTMState(hidden, cell)


def _checked_inputs(core: RNNCore, inputs: Any) -> Any:
    """The inputs of one step as an array."""
    inputs = jnp.asarray(inputs)
    if inputs.ndim not in (1, 2):
        raise refusal(core, f"{type(core).__name__} input must be rank-1 or rank-2, got shape {inputs.shape}",
                      "Use hk.dynamic_unroll for sequences, and vmap for more batch axes.")
    return inputs


def _checked_state(core: RNNCore, state: Any, size: int | None = None, which: str = "state") -> Any:
    """A state, or a part of one, as an array whose last axis has the core's size."""
    state, size = jnp.asarray(state), core.hidden_size if size is None else size
    if state.shape[-1:] != (size,):
        raise refusal(core, f"the last axis of the {which} should have size {size}, got shape {state.shape}",
                      "Start from core.initial_state(batch_size).")
    return state


def _checked_lstm_state(core: RNNCore, state: Any, size: int) -> LSTMState:
    if not (hasattr(state, "hidden") and hasattr(state, "cell")):
        raise refusal(core, f"the state should be an LSTMState(hidden, cell), got a {type(state).__name__}",
                      "Start from core.initial_state(batch_size).")
    return LSTMState(*(_checked_state(core, getattr(state, part), size, f"state's {part}")
                       for part in LSTMState._fields))
