"""Haiku's first example, on handwritten digits: a multi-layer perceptron is trained with Adam.

    python examples/haiku_mlp.py

`hk.transform` makes of the function `logits`, whose layers own their parameters, a pair of pure functions: `init`
makes the parameters, `apply` takes them.  Everything else is plain minijax.
"""

from __future__ import annotations

import argparse
import sys

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import nn, optix, random
from minijax.demo import plot
from minijax.demo.digits import load
from minijax.demo.loop import repeat
from minijax.demo.main import count, picture, seed

BATCH = 128
DESCRIPTION = "Train a perceptron of three layers on scikit-learn's digits, and test it on digits not seen before."


def logits(images):
    """Scores `f32[n, 10]` of images `f32[n, 64]`: the larger, the likelier."""
    return hk.Sequential([hk.Linear(300), nn.relu, hk.Linear(100), nn.relu, hk.Linear(10)])(images)


network = hk.without_apply_rng(hk.transform(logits))
optimizer = optix.adam(1e-3)


def loss(params, images, labels):
    """The mean cross entropy of what the network says and the labels `i32[n]`."""
    return -jnp.mean(jnp.sum(nn.one_hot(labels, 10) * nn.log_softmax(network.apply(params, images)), axis=1))


@minijax.jit
def step(params, state, key, images, labels):
    """One step of Adam on a batch drawn at random: the next parameters and state, and the loss."""
    chosen = random.randint(key, (BATCH,), 0, len(images))
    value, gradient = minijax.value_and_grad(loss)(params, images[chosen], labels[chosen])
    updates, state = optimizer.update(gradient, state)
    return (optix.apply_updates(params, updates), state), value


def train(key, digits, steps):
    """The parameters after so many steps, and the losses."""
    init_key, batch_key = random.split(key)
    params = minijax.jit(network.init)(init_key, digits.images)
    (params, _), losses = repeat(
        lambda held, number: step(*held, random.fold_in(batch_key, number), digits.images, digits.labels),
        (params, optimizer.init(params)), steps)
    return params, losses


def main():
    """Read the options, train, test, draw."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--steps", type=count, default=500, metavar="N", help="training steps (default: 500)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="fixes all that is random (default: 0)")
    parser.add_argument("--plot", type=picture, metavar="FILE.png",
                        help="draw the loss and some held-out digits with the network's answers")
    options = parser.parse_args()
    data_key, train_key = random.split(random.key(options.seed))
    digits = load(data_key)
    params, losses = train(train_key, digits, options.steps)
    print(hk.experimental.parameter_table(params))
    guesses = network.apply(params, digits.test_images).argmax(axis=1)
    print(f"loss {losses[0]:.3f} at the start, {losses[-20:].mean():.4f} at the end\n"
          f"accuracy on {len(guesses)} digits not seen before: {jnp.mean(guesses == digits.test_labels):.1%}")
    if options.plot:
        plot.save(options.plot, digits, losses, guesses)
        print(f"picture: {options.plot}")


if __name__ == "__main__":
    sys.exit(main())
