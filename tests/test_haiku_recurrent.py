"""Recurrent cores of minijax.haiku, held against dm-haiku: many in one body, so that few programs compile."""

import functools

import numpy as np
import pytest
from haiku_checks import same_module

import minijax
import minijax.haiku
import minijax.numpy as mjnp
from minijax.errors import MinijaxValueError

same_body = functools.partial(same_module, eager_init=False)
numbers = np.random.default_rng(0)
sequence = numbers.normal(size=(5, 3, 4)).astype(np.float32)  # [time, batch, features]
starts = numbers.random((5, 3)) < 0.4
films = numbers.normal(size=(2, 3, 5, 4, 3, 2)).astype(np.float32)  # [time, batch, depth, height, width, channels]


def single_cores(hk, jnp):
    """A step of each core for a batch, and one for an example without its batch axis."""
    drawn = hk.initializers.RandomNormal()

    def body(x):
        cores = [hk.VanillaRNN(3), hk.VanillaRNN(3, double_bias=False, name="one_bias"),
                 hk.GRU(3), hk.GRU(3, drawn, drawn, drawn, name="drawn"), hk.LSTM(3), hk.IdentityCore()]
        states = [x[1, :, :3]] * 4 + [hk.LSTMState(x[1, :, :3], x[2, :, :3]), ()]
        batches = [core(x[0], state) for core, state in zip(cores, states, strict=True)]
        return batches, [core(x[0, 0], core.initial_state(None)) for core in cores]
    return body


def unrolls(hk, jnp):
    """Sequences through cores, as loops and step by step, in either layout and direction."""
    class Total(hk.RNNCore):
        """Adds up its inputs; has no state without a batch."""

        def __call__(self, inputs, prev_state):
            return prev_state, prev_state + inputs

        def initial_state(self, batch_size):
            return jnp.zeros([batch_size, 4])

    def body(x, starts):
        core = hk.LSTM(3)
        first = core.initial_state(3)
        swapped = jnp.swapaxes(x, 0, 1)
        deep = hk.DeepRNN([hk.GRU(3), jnp.tanh, hk.VanillaRNN(2), hk.IdentityCore()])
        skips = hk.deep_rnn_with_skip_connections([hk.GRU(3), hk.LSTM(2)])
        reset = hk.ResetCore(deep)
        of_parts = hk.LSTMState(starts[:2], starts[:2, :, None] & (x[:2, :, :3] > 0))
        return [
            hk.dynamic_unroll(core, swapped, first, time_major=False, reverse=True, unroll=2),
            hk.dynamic_unroll(core, swapped, first, time_major=False, return_all_states=True),
            hk.static_unroll(core, swapped[:, :2], first, time_major=False),
            hk.dynamic_unroll(skips, x, skips.initial_state(3)),
            hk.dynamic_unroll(reset, (x, starts), reset.initial_state(3)),
            hk.dynamic_unroll(reset, (x[:, 0], starts[:, 0]), reset.initial_state(None)),
            hk.static_unroll(hk.ResetCore(core), (x[:2], of_parts), first),
            hk.dynamic_unroll(hk.ResetCore(Total()), (x, starts), x[0]),
            hk.ResetCore(hk.VanillaRNN(4))((x, starts), x),  # two batch axes
        ]
    return body


def effects_in_a_loop(hk, jnp):
    """A core with parameters, state and random keys of its own."""
    def body(x):
        norm, linear = hk.BatchNorm(True, True, decay_rate=0.5), hk.Linear(2)

        def core(inputs, total):
            kept = hk.dropout(hk.next_rng_key(), 0.5, norm(inputs, is_training=True))
            return linear(kept), total + kept

        return hk.dynamic_unroll(core, x, jnp.zeros_like(x[0])), hk.next_rng_key()
    return body


def films_of_every_rank(hk, jnp):
    """LSTMs over lines, images and volumes: two steps, one step, and one without its batch axis."""
    def body(x):
        line, image = hk.Conv1DLSTM([5], 2, kernel_shape=3), hk.Conv2DLSTM([5, 4], 1, kernel_shape=[3, 2])
        volume = hk.Conv3DLSTM([5, 4, 3], 1, kernel_shape=2)
        return [hk.static_unroll(line, x[:, :, :, 0, 0], line.initial_state(3)),
                image(x[0, ..., 0, :], image.initial_state(3)), volume(x[0, 0], volume.initial_state(None))]
    return body


def test_single_cores_are_haikus():
    found = same_body(single_cores, sequence)
    assert {"['vanilla_rnn/linear_1']['b']", "['one_bias/linear']['b']", "['gru']['w_h']",
            "['lstm/linear']['w']"} <= set(found["params"])


def test_unrolls_are_haikus():
    same_body(unrolls, sequence, starts)


def test_state_and_random_keys_go_through_the_loop_as_haikus():
    same_body(effects_in_a_loop, sequence, state=True)


def test_convolutional_cores_are_haikus():
    found = same_body(films_of_every_rank, films)
    assert found["params"]["['conv2_dlstm/hidden_to_hidden']['w']"].shape == (3, 2, 1, 4)


def test_dynamic_and_static_unroll_agree():
    """A law: of one core they give the same; reversed in time, so does a reversed sequence."""
    hk = minijax.haiku

    def body(x):
        core = hk.GRU(3)
        first = core.initial_state(3)
        dynamic, static = hk.dynamic_unroll(core, x, first), hk.static_unroll(core, x, first)
        backwards, _ = hk.dynamic_unroll(core, x, first, reverse=True)
        return dynamic, static, backwards, hk.dynamic_unroll(core, x[::-1], first)[0][::-1]

    model = hk.transform(body)
    params = model.init(minijax.random.key(0), sequence)
    dynamic, static, backwards, reversed_twice = model.apply(params, None, sequence)
    for one, other in zip(minijax.tree.leaves(dynamic), minijax.tree.leaves(static), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(backwards, reversed_twice, atol=1e-6)


def test_a_planted_error_is_found():
    def build(hk, jnp):
        return lambda x: hk.dynamic_unroll(lambda x, total: (total, total + x), x, x[0], reverse=hk is minijax.haiku)

    with pytest.raises(AssertionError, match="outputs"):
        same_body(build, sequence)


MISTAKES = {
    "rank of LSTM": (lambda hk: hk.LSTM(3)(sequence, hk.LSTM(3).initial_state(3)),
                     "LSTM input must be rank-1 or rank-2", "(5, 3, 4)", "LSTM 'lstm'", "dynamic_unroll"),
    "rank of GRU": (lambda hk: hk.GRU(3)(1.0, mjnp.zeros(3)), "GRU input must be rank-1 or rank-2, got shape ()"),
    "size of state": (lambda hk: hk.GRU(3)(sequence[0], mjnp.zeros((3, 4))), "size 3, got shape (3, 4)",
                      "core.initial_state(batch_size)"),
    "kind of state": (lambda hk: hk.LSTM(3)(sequence[0], (0, 0)), "should be an LSTMState(hidden, cell), got a tuple"),
    "size of cell": (lambda hk: hk.LSTM(3)(sequence[0], hk.LSTMState(mjnp.zeros((3, 3)), mjnp.zeros((3, 1)))),
                     "last axis of the state's cell should have size 3"),
    "spatial shape": (lambda hk: hk.Conv2DLSTM([5], 2, 3), "`input_shape` is (5,), expected 2 sizes", "Conv2DLSTM"),
    "no pair": (lambda hk: hk.ResetCore(hk.GRU(3))(sequence[0], mjnp.zeros((3, 3))), "takes (inputs, should_reset)"),
    "shape of resets": (lambda hk: hk.ResetCore(hk.GRU(3))((sequence[0], starts[:, 0]), mjnp.zeros((3, 3))),
                        "should_reset signal shape (5,) is not compatible with state shape (3, 3)"),
    "structure of resets": (lambda hk: hk.ResetCore(hk.GRU(3))((sequence[0], [True, True]), mjnp.zeros((3, 3))),
                            "should be one array, or have the structure of the state"),
    "number of states": (lambda hk: hk.DeepRNN([hk.GRU(3), mjnp.tanh])(sequence[0], ()), "should hold 1 states"),
    "skips over functions": (lambda hk: hk.deep_rnn_with_skip_connections([mjnp.tanh]),
                             "skip_connections requires for all", "tanh"),
    "no steps": (lambda hk: hk.static_unroll(hk.GRU(3), sequence[:0], mjnp.zeros((3, 3))), "at least one step", "[0]"),
    "lengths": (lambda hk: hk.static_unroll(hk.GRU(3), (sequence, starts[1:]), mjnp.zeros((3, 3))), "[4, 5]"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake):
    body, *words = MISTAKES[mistake]
    with pytest.raises(MinijaxValueError) as found:
        minijax.haiku.transform(lambda: body(minijax.haiku)).init(minijax.random.key(0))
    assert [word for word in words if word not in str(found.value)] == []
    assert "test_haiku_recurrent.py" in str(found.value)


def test_a_core_needs_both_methods():
    class Half(minijax.haiku.RNNCore):
        """A core without an initial state."""

        def __call__(self, inputs, prev_state):
            return inputs, prev_state

    with pytest.raises(TypeError, match="initial_state"):
        minijax.haiku.transform(lambda: Half()).init(None)
