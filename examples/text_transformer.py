"""A transformer learns to write like Python's manual, one character after the other.

    python examples/text_transformer.py

Each character looks back, by `hk.MultiHeadAttention`, at those before it: a causal mask hides the rest.  The layers
are alike, so `hk.layer_stack` runs them as one loop over their parameters, which lie in one array each.
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

BATCH, LENGTH = 32, 64
LAYERS, HEADS, HEAD_SIZE = 3, 4, 24
WIDTH = HEADS * HEAD_SIZE
WRITTEN, TEMPERATURE = 500, 0.7
TEXT = load()
DESCRIPTION = f"""\
Train a transformer of {LAYERS} layers on the texts of Python's help(), {len(TEXT.codes) + len(TEXT.held_out):,}
characters. Prints the bits per character of a part that it has not seen, and what it writes itself."""


def layer(x):
    """One layer, `f32[n, time, WIDTH]` to the same: look at what came before, then think about it."""
    small = hk.initializers.VarianceScaling(2 / LAYERS)
    causal = jnp.tril(jnp.ones((x.shape[1], x.shape[1]), bool))[None, None]
    seen = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(x)
    x = x + hk.MultiHeadAttention(HEADS, HEAD_SIZE, w_init=small)(seen, seen, seen, causal)
    thought = hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(x)
    return x + hk.nets.MLP([4 * WIDTH, WIDTH], w_init=small, activation=nn.gelu)(thought)


def logits(codes):
    """Scores of the next character after each `f32[n, time, alphabet]`, of texts `i32[n, time]`, time <= LENGTH."""
    places = hk.get_parameter("places", (LENGTH, WIDTH), init=hk.initializers.TruncatedNormal(0.1))
    x = hk.Embed(len(TEXT.alphabet), WIDTH, w_init=hk.initializers.TruncatedNormal(0.1))(codes)
    x = hk.layer_stack(LAYERS)(layer)(x + places[:codes.shape[1]])
    return hk.Linear(len(TEXT.alphabet))(hk.LayerNorm(axis=-1, create_scale=True, create_offset=True)(x))


network = hk.without_apply_rng(hk.transform(logits))
optimizer = optix.chain(optix.clip_by_global_norm(1.0), optix.adam(3e-3))


def bits(params, codes):
    """How many bits each character after the first takes `f32[n, time - 1]`, given those before."""
    scores = nn.log_softmax(network.apply(params, codes[:, :-1]))
    return -jnp.take_along_axis(scores, codes[:, 1:, None], axis=2)[..., 0] / jnp.log(2.0)


@minijax.jit
def step(params, state, key, codes):
    """One step on pieces of a text drawn at random: the next parameters and state, and the mean of the bits."""
    batch = pieces(key, codes, BATCH, LENGTH + 1)
    value, gradient = minijax.value_and_grad(lambda params: jnp.mean(bits(params, batch)))(params)
    updates, state = optimizer.update(gradient, state)
    return (optix.apply_updates(params, updates), state), value


@minijax.jit
def write(params, key, start):
    """Go on writing: `i32[WRITTEN]` after `i32[LENGTH]`, each character after the LENGTH before it."""
    def next_character(codes, key):
        code = random.categorical(key, network.apply(params, codes[None])[0, -1] / TEMPERATURE)
        return jnp.append(codes[1:], code), code

    _, codes = lax.scan(next_character, start, random.split(key, WRITTEN))
    return codes


def run(options):
    """Train, test, write, draw."""
    init_key, train_key, test_key, write_key = random.split(random.key(options.seed), 4)
    params = minijax.jit(network.init)(init_key, TEXT.codes[None, :LENGTH])
    (params, _), losses = repeat(lambda held, number: step(*held, random.fold_in(train_key, number), TEXT.codes),
                                 (params, optimizer.init(params)), options.steps)
    by_place = minijax.jit(bits)(params, pieces(test_key, TEXT.held_out, 512, LENGTH + 1)).mean(axis=0)
    start = TEXT.held_out[:LENGTH]
    print(f"After {TEXT.decode(start)!r} it writes:\n{TEXT.decode(write(params, write_key, start))}")
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
