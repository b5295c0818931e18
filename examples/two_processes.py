"""Two processes train one network on handwritten digits, each with its half of every batch.

    python examples/two_processes.py

The script starts its processes itself, on this machine.  On several machines start `train` on each, with
the address of the first: nothing else changes.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

import minijax
from minijax import nn, random, tree, value_and_grad
from minijax.demo import model
from minijax.demo.digits import load
from minijax.experimental import multihost_utils
from minijax.sharding import NamedSharding, P

BATCH, LEARNING_RATE = 240, 0.1
TOLERANCE = 1e-5
DESCRIPTION = f"""\
Train a network on scikit-learn's digits with several processes, each of which passes its part of every batch
of {BATCH}. At the end they must hold the same parameters, and those of training in one process up to {TOLERANCE:g}:
else the exit status is 1."""


@minijax.jit
def step(params, images, targets):
    """One step of gradient descent: a program over whole arrays, wherever they lie."""
    value, gradient = value_and_grad(model.loss)(params, images, targets)
    return tree.map(lambda x, g: x - LEARNING_RATE * g, params, gradient), value


def descend(params, digits, steps, place, report):
    """The parameters after `steps` batches, which `place` puts where they are to lie."""
    images, targets = np.asarray(digits.images), np.asarray(nn.one_hot(digits.labels, 10))
    order = np.random.default_rng(0)  # the same in every process
    for number in range(1, steps + 1):
        rows = order.choice(len(images), BATCH, replace=False)
        params, value = step(params, place(images[rows]), place(targets[rows]))
        if number % 20 == 0 or number == steps:  # reading a value waits for it
            report(number, float(value))
    return params


def train(address, count, index, steps):
    """What each of `count` processes does; returns whether all ended with the parameters that they should."""
    minijax.distributed.initialize(address, count, index)
    digits, params = load(random.key(0)), minijax.jit(model.init)(random.key(1))
    if index == 0:
        print(f"{count} processes with {minijax.device_count()} devices, {len(digits.images)} digits", flush=True)
    rows = NamedSharding(minijax.make_mesh((minijax.device_count(),), ("batch",)), P("batch"))

    def own_part(batch):
        return minijax.make_array_from_process_local_data(rows, np.split(batch, count)[index])

    def report(number, value):
        if index == 0:
            print(f"\rstep {number} of {steps}: loss {value:.4f} ", end="", flush=True)

    together = descend(params, digits, steps, own_part, report)
    alone = descend(params, digits, steps, np.asarray, lambda number, value: None)
    multihost_utils.assert_equal(together, "The processes hold different parameters")
    largest = max(abs(np.asarray(x) - np.asarray(y)).max() for x, y in
                  zip(tree.leaves(together), tree.leaves(alone), strict=True))
    if index == 0:
        right = float(model.accuracy(alone, digits.test_images, digits.test_labels))
        print(f"\nall processes hold the same parameters; largest difference from one process: {largest:.1e}\n"
              f"accuracy on {len(digits.test_images)} digits not seen before: {right:.1%}", flush=True)
    return largest <= TOLERANCE


def launch(options):
    """Start the processes, wait for them, and return the first exit status that is not 0."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={options.devices}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags,
                   "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    started = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--join", address, str(index)],
                                env=environment) for index in range(options.processes)]
    return next(filter(None, [process.wait() for process in started]), 0)


def main():
    """Read the options; start the processes or be one of them."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--processes", type=int, default=2, metavar="N", help="how many processes (default: 2)")
    parser.add_argument("--devices", type=int, default=1, metavar="N",
                        help="how many virtual CPU devices each of them has (default: 1)")
    parser.add_argument("--steps", type=int, default=300, metavar="N", help="training steps (default: 300)")
    parser.add_argument("--join", nargs=2, metavar=("ADDRESS", "INDEX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.processes, options.devices, options.steps) < 1 or BATCH % (options.processes * options.devices):
        parser.error(f"the {BATCH} digits of a batch must be divisible by processes x devices, all of them at least 1")
    if options.join is None:
        return launch(options)
    address, index = options.join
    return 0 if train(address, options.processes, int(index), options.steps) else 1


if __name__ == "__main__":
    sys.exit(main())
