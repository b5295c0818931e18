"""A recurrent network learns to write like Python's manual, one character after the other.

    python examples/text_lstm.py

`hk.dynamic_unroll` runs the LSTM along a text as one loop, a `scan`.  To write, the network is run on a single
character at a time, by another `scan`, which hands on the LSTM's state and the character that was drawn.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import lax, nn, optix, random
from minijax.demo import plot
from minijax.demo.loop import repeat
from minijax.demo.main import count, picture, seed
from minijax.demo.text import load, pieces

BATCH, LENGTH, EMBEDDING, UNITS = 32, 64, 64, 256
WRITTEN, TEMPERATURE = 500, 0.7
TEXT = load()
DESCRIPTION = f"""\
Train an LSTM of {UNITS} units on the texts of Python's help(), {len(TEXT.codes) + len(TEXT.held_out):,} characters.
Prints the bits per character of a part that it has not seen, and what it writes itself."""


def unroll(codes, state):
    """Scores of the next characters `f32[n, time, alphabet]` and the LSTM's state, after the characters before.

    Args: codes `i32[n, time]`, and the state before them, None at the start.
    """
    core = hk.LSTM(UNITS)
    inputs = hk.Embed(len(TEXT.alphabet), EMBEDDING)(codes)
    state = core.initial_state(len(codes)) if state is None else state
    outputs, state = hk.dynamic_unroll(core, inputs, state, time_major=False)
    return hk.Linear(len(TEXT.alphabet))(outputs), state


network = hk.without_apply_rng(hk.transform(unroll))
optimizer = optix.chain(optix.clip_by_global_norm(1.0), optix.adam(4e-3))


def bits(params, codes):
    """How many bits each character after the first takes `f32[n, time - 1]`, given those before."""
    logits, _ = network.apply(params, codes[:, :-1], None)
    return -jnp.take_along_axis(nn.log_softmax(logits), codes[:, 1:, None], axis=2)[..., 0] / jnp.log(2.0)


@minijax.jit
def step(params, state, key, codes):
    """One step on pieces of a text drawn at random: the next parameters and state, and the mean of the bits."""
    batch = pieces(key, codes, BATCH, LENGTH + 1)
    value, gradient = minijax.value_and_grad(lambda params: jnp.mean(bits(params, batch)))(params)
    updates, state = optimizer.update(gradient, state)
    return (optix.apply_updates(params, updates), state), value


@minijax.jit
def write(params, key, start):
    """Go on writing: `i32[WRITTEN]` after `i32[n]`."""
    def next_character(carry, key):
        logits, state = carry
        code = random.categorical(key, logits[:, -1:] / TEMPERATURE)  # i32[1, 1]: one text, one character
        return network.apply(params, code, state), code[0, 0]

    logits, state = network.apply(params, start[None], None)
    _, codes = lax.scan(next_character, (logits[:, -1:], state), random.split(key, WRITTEN))
    return codes


def run(options):
    """Train, test, write, draw."""
    init_key, train_key, test_key, write_key = random.split(random.key(options.seed), 4)
    params = minijax.jit(network.init)(init_key, TEXT.codes[None, :LENGTH], None)
    (params, _), losses = repeat(lambda held, number: step(*held, random.fold_in(train_key, number), TEXT.codes),
                                 (params, optimizer.init(params)), options.steps)
    by_place = minijax.jit(bits)(params, pieces(test_key, TEXT.held_out, 512, LENGTH + 1)).mean(axis=0)
    start = "The Python "
    print(start + TEXT.decode(write(params, write_key, TEXT.encode(start))))
    print(f"bits per character: {losses[0]:.2f} at the start, {losses[-20:].mean():.2f} at the end;"
          f" of text not seen before: {by_place.mean():.2f}")
    if options.plot:
        plot.save_text(options.plot, losses, np.asarray(by_place))
        print(f"picture: {options.plot}")


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--steps", type=count, default=500, metavar="N", help="training steps (default: 500)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="fixes all that is random (default: 0)")
    parser.add_argument("--plot", type=picture, metavar="FILE.png", help="draw the loss, and the loss by place")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
