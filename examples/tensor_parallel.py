"""Eight devices hold one network together: each a part of its hidden units, and a part of every batch.

    python examples/tensor_parallel.py

The devices are a mesh of two axes.  Along `model` the hidden layer is cut, along `data` the batch; `shard_map` runs
on each device what it computes of its parts.  Without accelerators the devices are virtual ones of this CPU.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from tqdm import tqdm

import minijax
import minijax.numpy as jnp
from minijax import ir, lax, nn, optimize, random, tree, tree_util, value_and_grad
from minijax.demo import model
from minijax.demo.devices import devices_of
from minijax.demo.digits import load
from minijax.demo.main import count
from minijax.sharding import NamedSharding, P

BATCH, LEARNING_RATE = 240, 0.1
MESH = {"data": 2, "model": 4}
TOLERANCE = 1e-5
DESCRIPTION = f"""\
Train a network on scikit-learn's digits with 8 devices as a mesh of 2 x 4: the batches are cut in 2, the hidden layer
in 4. Prints the program of the loss, and where the weights lie. At the end the same is trained on one device: if
the parameters differ by more than {TOLERANCE:g} the exit status is 1."""

# For each axis of each parameter, the axis of the mesh along which it is cut.
SPECS = [{"weights": P(None, "model"), "biases": P("model")}, {"weights": P("model", None), "biases": P()}]


def loss(params, images, targets):
    """The loss of a batch, from this device's hidden units for its part of the batch."""
    first, last = params
    hidden = nn.relu(images @ first["weights"] + first["biases"])
    logits = lax.psum(hidden @ last["weights"], "model") + last["biases"]
    return lax.pmean(-jnp.mean(jnp.sum(targets * nn.log_softmax(logits), axis=1)), "data")


def step(params, images, targets, of_loss=loss):
    """One step of gradient descent.

    On the mesh it needs no further collectives: parameters do not vary along `data`, so their gradient is summed.
    """
    value, gradient = value_and_grad(of_loss)(params, images, targets)
    return tree.map(lambda x, g: x - LEARNING_RATE * g, params, gradient), value


def train(take, params, batches, title):
    """The parameters after a step for each batch, taken by the function `take`."""
    with tqdm(batches, unit=" steps", desc=title, mininterval=0.2) as bar:
        for number, (images, targets) in enumerate(bar):
            params, value = take(params, images, targets)
            if number % 50 == 0 or number == len(batches) - 1:  # reading a value waits for it
                bar.set_postfix(loss=f"{float(value):.4f}", refresh=False)
    return params


def print_program(mesh, params, images, targets):
    """Print the program of the loss, whose types say along which axes of the mesh a value varies."""
    on_mesh = minijax.shard_map(loss, mesh=mesh, in_specs=(SPECS, P("data"), P("data")), out_specs=P())
    program = minijax.make_jaxpr(on_mesh)(params, images, targets)
    print(f"--- loss on {dict(mesh.shape)}\n\n{ir.dce(optimize.fold(program))}\n")


def print_places(params):
    """Print for each parameter its spec, and which devices hold which part."""
    for path, x in tree.leaves_with_path(params):
        print(f"params{tree_util.keystr(path)}: {x.shape} cut by {x.sharding.spec}")
        holders = {}
        for shard in x.addressable_shards:
            part = ", ".join(f"{i.start or 0}:{i.stop or n}" for i, n in zip(shard.index, x.shape, strict=True))
            holders.setdefault(part, []).append(shard.device.id)
        for part, ids in holders.items():
            print(f"    [{part}] on devices {', '.join(map(str, ids))}")


def run(steps):
    """Train on the mesh and on one device, compare, test; returns the exit status."""
    wanted = MESH["data"] * MESH["model"]
    devices = devices_of(wanted)
    if len(devices) < wanted:
        print(f"There are {len(devices)} devices, not {wanted}: see XLA_FLAGS.", file=sys.stderr)
        return 2
    mesh = minijax.make_mesh(tuple(MESH.values()), tuple(MESH), devices=devices)
    digits, order = load(random.key(0)), np.random.default_rng(0)
    images, targets = np.asarray(digits.images), np.asarray(nn.one_hot(digits.labels, 10))
    chosen = [order.choice(len(images), BATCH, replace=False) for _ in range(steps)]
    batches = [(images[rows], targets[rows]) for rows in chosen]
    params = minijax.jit(model.init)(random.key(1))

    cut = minijax.device_put(params, tree.map(lambda spec: NamedSharding(mesh, spec), SPECS))
    print_program(mesh, cut, *batches[0])
    on_mesh = minijax.shard_map(step, mesh=mesh, in_specs=(SPECS, P("data"), P("data")), out_specs=(SPECS, P()))
    together = train(on_mesh, cut, batches, "mesh")
    print_places(together)

    alone = train(minijax.jit(lambda *args: step(*args, of_loss=model.loss)), minijax.device_put(params, devices[0]),
                  batches, "one device")
    largest = max(abs(np.asarray(x) - np.asarray(y)).max()
                  for x, y in zip(tree.leaves(together), tree.leaves(alone), strict=True))
    right = float(model.accuracy(alone, *minijax.device_put((digits.test_images, digits.test_labels), devices[0])))
    print(f"largest difference from one device: {largest:.1e} (at most {TOLERANCE:g})\n"
          f"accuracy on {len(digits.test_images)} digits not seen before: {right:.1%}")
    return 0 if largest <= TOLERANCE else 1


def main():
    """Read the options and run."""
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    parser.add_argument("--steps", type=count, default=300, metavar="N", help="training steps (default: 300)")
    return run(parser.parse_args().steps)


if __name__ == "__main__":
    sys.exit(main())
