"""A variational auto-encoder of handwritten digits: it learns to write digits that nobody wrote.

    python examples/vae.py --plot digits.png

A pixel of these digits counts the dots, of 16, that are black.  The decoder says from a code how likely each dot is
to be black, the encoder which codes may have led to a digit; both learn to raise the evidence lower bound (ELBO) of
Kingma and Welling, "Auto-Encoding Variational Bayes", 2013 (arxiv.org/abs/1312.6114).
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import nn, optix, random
from minijax.demo import plot
from minijax.demo.loop import repeat
from minijax.demo.main import count, picture, seed

BATCH, HELD_OUT = 128, 360
DOTS, PIXELS, CODE, HIDDEN = 16, 64, 12, 256
LOG_CHOICES = jnp.log(np.float32([math.comb(DOTS, black) for black in range(DOTS + 1)]))
DESCRIPTION = """\
Train a variational auto-encoder on scikit-learn's digits. Prints the evidence lower bound of digits not seen before;
the picture shows some of these, what is left of them when they pass through a code, and digits from random codes."""


def auto_encoder():
    """The functions of an encoder and a decoder: the bound, for which both have to be made, and what else they do."""
    encoder = hk.nets.MLP([HIDDEN, HIDDEN, 2 * CODE], name="encoder")
    decoder = hk.nets.MLP([HIDDEN, HIDDEN, PIXELS], name="decoder")

    def encode(dots):
        """Means and logarithms of deviations `f32[n, CODE]` of the codes of digits `i32[n, 64]`."""
        return jnp.split(encoder(dots / DOTS), 2, axis=1)

    def bound(dots):
        """For each digit a lower bound of the logarithm of its probability `f32[n]`, in nats."""
        mean, log_deviation = encode(dots)
        codes = mean + jnp.exp(log_deviation) * random.normal(hk.next_rng_key(), mean.shape)
        logits = decoder(codes)
        evidence = jnp.sum(LOG_CHOICES[dots] + dots * logits - DOTS * nn.softplus(logits), axis=1)
        divergence = jnp.sum(jnp.exp(2 * log_deviation) + mean**2 - 1 - 2 * log_deviation, axis=1) / 2
        return evidence - divergence

    def decode(codes):
        """How likely a dot is to be black, for each pixel `f32[n, 64]`, from codes `f32[n, CODE]`."""
        return nn.sigmoid(decoder(codes))

    def reconstruct(dots):
        """What the decoder says of the likeliest codes of digits."""
        return decode(encode(dots)[0])

    return bound, (bound, decode, reconstruct)


model = hk.multi_transform(auto_encoder)
bound, decode, reconstruct = (minijax.jit(function) for function in model.apply)
optimizer = optix.adam(1e-3)


@minijax.jit
def step(params, state, key, digits):
    """One step of Adam on a batch drawn at random: the next parameters and state, and the negative bound."""
    batch_key, code_key = random.split(key)
    batch = digits[random.randint(batch_key, (BATCH,), 0, len(digits))]
    value, gradient = minijax.value_and_grad(lambda params: -jnp.mean(bound(params, code_key, batch)))(params)
    updates, state = optimizer.update(gradient, state)
    return (optix.apply_updates(params, updates), state), value


def draw(path, losses, digits, again, drawn):
    """Write the picture: the loss, digits beside their reconstructions, digits from random codes."""
    figure = Figure(figsize=(13, 4.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    plot.draw_losses(left, losses, "negative ELBO in nats")
    pairs = np.stack([digits[:32] / DOTS, again[:32]], axis=1).reshape(8, 8, 8, 8)
    plot.draw_mosaic(middle, pairs, "digits not seen before, and from their codes")
    plot.draw_mosaic(right, drawn.reshape(8, 8, 8, 8), "from random codes")
    figure.savefig(path, dpi=120)


def run(options):
    """Train, test, draw."""
    order_key, init_key, train_key, test_key, draw_key = random.split(random.key(options.seed), 5)
    digits = random.permutation(order_key, load_digits().data.astype(np.int32))
    digits, held_out = digits[:-HELD_OUT], digits[-HELD_OUT:]
    params = minijax.jit(model.init)(init_key, digits[:1])
    (params, _), losses = repeat(lambda held, number: step(*held, random.fold_in(train_key, number), digits),
                                 (params, optimizer.init(params)), options.steps)
    nats = bound(params, test_key, held_out).mean()
    print(f"negative ELBO {losses[0]:.1f} nats at the start, {losses[-20:].mean():.1f} at the end\n"
          f"ELBO of {HELD_OUT} digits not seen before: {nats:.1f} nats a digit,"
          f" {-nats / math.log(2) / PIXELS:.2f} bits a pixel (of {math.log2(DOTS + 1):.2f})")
    if options.plot:
        again, drawn = reconstruct(params, None, held_out), decode(params, None, random.normal(draw_key, (64, CODE)))
        draw(options.plot, losses, *map(np.asarray, (held_out, again, drawn)))
        print(f"picture: {options.plot}")


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--steps", type=count, default=2000, metavar="N", help="training steps (default: 2000)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="fixes all that is random (default: 0)")
    parser.add_argument("--plot", type=picture, metavar="FILE.png", help="draw the loss and the digits")
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
