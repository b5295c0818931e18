"""Several devices train one network on handwritten digits, each with its part of every batch.

    python examples/data_parallel.py

`pmap` runs one step on all devices and `pmean` averages the gradients, so that all hold the same parameters.
Without accelerators the devices are virtual ones of this CPU.
"""

from __future__ import annotations

import argparse
import functools
import sys
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

import minijax
import minijax.numpy as jnp
from minijax import lax, nn, random, tree, value_and_grad
from minijax.demo import model, plot
from minijax.demo.devices import devices_of
from minijax.demo.digits import load
from minijax.demo.main import count, picture

BATCH, LEARNING_RATE, MOMENTUM = 240, 0.02, 0.9
TOLERANCE = 1e-5
DESCRIPTION = f"""\
Train a network on scikit-learn's digits with several devices, each of which takes its part of every batch of
{BATCH}. At the end the same is trained on one device: if the parameters differ by more than {TOLERANCE:g} the
exit status is 1."""


class State(NamedTuple):
    """The parameters, and the running sum of gradients along which they move."""

    params: model.Parameters
    velocity: model.Parameters


def step(state, images, targets, average=lambda values: values):
    """One step of gradient descent with momentum on a batch, or on a part of which `average` knows the others."""
    value, gradient = average(value_and_grad(model.loss)(state.params, images, targets))
    velocity = tree.map(lambda v, g: MOMENTUM * v + g, state.velocity, gradient)
    return State(tree.map(lambda x, v: x - LEARNING_RATE * v, state.params, velocity), velocity), value


def step_together(devices):
    """The step of all devices: a function of the state, which all share, and of a batch with a row for each."""
    average = functools.partial(lax.pmean, axis_name="devices")
    return minijax.pmap(functools.partial(step, average=average), "devices", in_axes=(None, 0, 0), out_axes=None,
                        devices=devices)


def train(take, digits, steps, shape, device, title):
    """The parameters and the losses after `steps` batches of `shape`, each taken by the function `take`."""
    images, targets = np.asarray(digits.images), np.asarray(nn.one_hot(digits.labels, 10))
    params = minijax.device_put(minijax.jit(model.init)(random.key(1)), device)
    state, losses = State(params, tree.map(jnp.zeros_like, params)), []
    order = np.random.default_rng(0)  # the same batches each time
    with tqdm(total=steps, unit=" steps", desc=title, mininterval=0.2) as bar:
        for number in range(steps):
            rows = order.choice(len(images), BATCH, replace=False).reshape(shape)
            state, value = take(state, images[rows], targets[rows])
            losses.append(value)
            if number % 50 == 0 or number == steps - 1:  # reading a value waits for it
                bar.set_postfix(loss=f"{float(value):.4f}", refresh=False)
            bar.update()
    return state.params, np.array([float(x) for x in losses])


def largest_difference(params: Any, others: Any) -> float:
    """The largest difference between two trees of arrays."""
    return max(abs(np.asarray(x) - np.asarray(y)).max()
               for x, y in zip(tree.leaves(params), tree.leaves(others), strict=True))


def run(options):
    """Train with all devices and with one, compare, test, draw; returns the exit status."""
    devices = devices_of(options.devices)
    if len(devices) < options.devices:
        print(f"There are {len(devices)} devices, not {options.devices}: see XLA_FLAGS.", file=sys.stderr)
        return 2
    digits = load(random.key(0))
    print(f"{len(devices)} devices, the first is {devices[0]}; {len(digits.images)} digits", flush=True)
    part = len(devices), BATCH // len(devices)
    together, losses = train(step_together(devices), digits, options.steps, part, None, "all devices")
    print(f"each device has the parameters: {together[0]['weights'].sharding}")
    alone, _ = train(minijax.jit(step), digits, options.steps, (BATCH,), devices[0], "one device")
    largest = largest_difference(together, alone)
    guesses = np.asarray(model.predict(alone, minijax.device_put(digits.test_images, devices[0])))
    print(f"largest difference from one device: {largest:.1e} (at most {TOLERANCE:g})\n"
          f"accuracy on {len(digits.test_images)} digits not seen before: {np.mean(guesses == digits.test_labels):.1%}")
    if options.plot:
        plot.save(options.plot, digits, losses, guesses)
        print(f"picture: {options.plot}")
    return 0 if largest <= TOLERANCE else 1


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--devices", type=count, default=8, metavar="N", help="how many devices (default: 8)")
    parser.add_argument("--steps", type=count, default=300, metavar="N", help="training steps (default: 300)")
    parser.add_argument("--plot", type=picture, metavar="FILE.png",
                        help="draw the loss and some held-out digits with the network's answers")
    options = parser.parse_args()
    if BATCH % options.devices:
        parser.error(f"the {BATCH} digits of a batch must be divisible by the number of devices, {options.devices}")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
