"""A residual network learns handwritten digits on several devices, each with its part of every batch.

    python examples/resnet.py

`pmap` runs one step on all devices.  `pmean` averages their gradients, and `cross_replica_axis` lets BatchNorm take
its statistics over all parts of the batch: so parameters and averages, of which each device has its own, stay alike.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

import minijax
import minijax.haiku as hk
import minijax.numpy as jnp
from minijax import lax, nn, optix, random, tree
from minijax.demo import plot
from minijax.demo.devices import devices_of
from minijax.demo.digits import load
from minijax.demo.loop import repeat
from minijax.demo.main import count, picture, seed

BATCH = 128
DESCRIPTION = f"""\
Train a small residual network on scikit-learn's digits with several devices, each of which takes its part of every
batch of {BATCH}. If they end with different parameters or averages the exit status is 1."""


def logits(images, is_training):
    """Scores `f32[n, 10]` of images `f32[n, 64]`: the larger, the likelier."""
    return hk.nets.ResNet([1, 1, 1, 1], 10, bottleneck=False, channels_per_group=[16, 32, 64, 64],
                          strides=[1, 2, 1, 1], bn_config={"cross_replica_axis": "devices" if is_training else None},
                          initial_conv_config={"output_channels": 16, "kernel_shape": 3, "stride": 1},
                          )(images.reshape(-1, 8, 8, 1), is_training)


network = hk.without_apply_rng(hk.transform_with_state(logits))
optimizer = optix.adam(2e-3)


def loss(params, state, images, labels):
    """The mean cross entropy of what the network says and the labels `i32[n]`, and the new averages."""
    scores, state = network.apply(params, state, images, True)
    return -jnp.mean(jnp.sum(nn.one_hot(labels, 10) * nn.log_softmax(scores), axis=1)), state


def init(key, images):
    """The parameters, the averages and the state of the optimizer."""
    params, state = network.init(key, images, True)
    return params, state, optimizer.init(params)


def step(held, images, labels):
    """One step of Adam, on this device's part of a batch and the gradients of all."""
    params, state, moments = held
    (value, state), gradient = minijax.value_and_grad(loss, has_aux=True)(params, state, images, labels)
    updates, moments = optimizer.update(lax.pmean(gradient, "devices"), moments)
    return (optix.apply_updates(params, updates), state, moments), lax.pmean(value, "devices")


def train(devices, key, digits, steps):
    """What each device holds after so many batches drawn at random, and the losses."""
    init_key, batch_key = random.split(key)
    images, labels = np.asarray(digits.images), np.asarray(digits.labels)
    held = minijax.pmap(init, "devices", in_axes=(None, 0), devices=devices)(
        init_key, images[:2 * len(devices)].reshape(len(devices), 2, -1))
    together = minijax.pmap(step, "devices", out_axes=(0, None), devices=devices)

    def next_batch(held, number):
        chosen = np.asarray(random.randint(random.fold_in(batch_key, number), (len(devices), BATCH // len(devices)), 0,
                                           len(images)))
        return together(held, images[chosen], labels[chosen])

    return repeat(next_batch, held, steps)


def differing(held):
    """The names of parameters and averages that are not the same, to the last bit, on all devices."""
    return [f"{module}/{name}" for bundles in held[:2] for module, bundle in bundles.items()
            for name, value in bundle.items() if np.any(np.asarray(value) != np.asarray(value[0]))]


def run(options):
    """Train, compare the devices, test, draw; returns the exit status."""
    devices = devices_of(options.devices)
    if len(devices) < options.devices:
        print(f"There are {len(devices)} devices, not {options.devices}: see XLA_FLAGS.", file=sys.stderr)
        return 2
    data_key, train_key = random.split(random.key(options.seed))
    digits = load(data_key)
    held, losses = train(devices, train_key, digits, options.steps)
    params, state, _ = tree.map(lambda value: np.asarray(value[0]), held)
    scores, _ = minijax.jit(network.apply, static_argnums=3)(params, state, digits.test_images, False)
    guesses, different = np.asarray(scores).argmax(axis=1), differing(held)
    print(f"{len(different)} of {len(tree.leaves((params, state)))} parameters and averages differ between"
          f" {len(devices)} devices{': ' * bool(different)}{', '.join(different)}\n"
          f"loss {losses[0]:.3f} at the start, {losses[-20:].mean():.4f} at the end\n"
          f"accuracy on {len(guesses)} digits not seen before: {np.mean(guesses == digits.test_labels):.1%}")
    if options.plot:
        plot.save(options.plot, digits, losses, guesses)
        print(f"picture: {options.plot}")
    return 1 if different else 0


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--devices", type=count, default=4, metavar="N", help="how many devices (default: 4)")
    parser.add_argument("--steps", type=count, default=150, metavar="N", help="training steps (default: 150)")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="fixes all that is random (default: 0)")
    parser.add_argument("--plot", type=picture, metavar="FILE.png",
                        help="draw the loss and some held-out digits with the network's answers")
    options = parser.parse_args()
    if BATCH % options.devices:
        parser.error(f"the {BATCH} digits of a batch must be divisible by the number of devices, {options.devices}")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
