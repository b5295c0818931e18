"""Rows of many devices: calling `pmap`, a train step, tracing a gradient, and two devices beside one.

They need several CPU devices, which must be asked for before JAX starts: each is measured in a process of its own.
To profile one, start the command with these variables set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import minijax
from benchmarks.hlo import same
from benchmarks.programs import arrays
from benchmarks.rows import LIBRARIES, ROWS, Result, Row, judge, race, row
from benchmarks.rows_run import SAME
from benchmarks.timing import THREAD, Effort, Work, compete

DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
CORES = 2
EXAMPLES = np.linspace(0.1, 1.0, 8 * 4, dtype=np.float32).reshape(8, 4)


# ---- dispatch: the caller's own time, not that of the devices' threads ----

@race("pmap call, compiled, 8 devices, one array that lies there", limit=1.3, clock=THREAD, environment=DEVICES)
def pmap_placed(lib: Any) -> Work:
    """`pmap(f)(x)` for the result of such a call."""
    f = lib.pmap(lambda x: x + 1)
    x = f(EXAMPLES)
    return lambda: f(x)


@race("pmap call, compiled, 8 devices, one NumPy array", limit=1.3, clock=THREAD, environment=DEVICES)
def pmap_numpy(lib: Any) -> Work:
    """`pmap(f)(x)` for a NumPy array, which is cut and moved in each call."""
    f = lib.pmap(lambda x: x + 1)
    return lambda: f(EXAMPLES)


# ---- a train step ----

def classifier_loss(lib: Any, params: Any, images: Any, one_hot: Any) -> Any:
    """Softmax cross-entropy of two layers on images of 8 x 8 pixels."""
    (w1, b1), (w2, b2) = params
    logits = lib.nn.relu(images @ w1 + b1) @ w2 + b2
    return -lib.numpy.mean(lib.numpy.sum(lib.nn.log_softmax(logits) * one_hot, axis=-1))


def train_step(lib: Any) -> tuple[Any, tuple[Any, ...]]:
    """A step of gradient descent with the devices' mean gradient, and its arguments, which lie on the devices."""
    def step(params: Any, images: Any, one_hot: Any) -> Any:
        def loss(params: Any) -> Any:
            return classifier_loss(lib, params, images, one_hot)

        gradient = lib.lax.pmean(lib.grad(loss)(params), "devices")
        return lib.tree.map(lambda p, g: p - 0.1 * g, params, gradient)

    shapes = (64, 256), (256,), (256, 10), (10,), (256, 64), (256, 10)
    w1, b1, w2, b2, images, one_hot = arrays(lib, *[(CORES, *shape) for shape in shapes])
    placed = lib.pmap(lambda *args: args, axis_name="devices")(((w1, b1), (w2, b2)), images, one_hot)
    return lib.pmap(step, axis_name="devices"), placed


def train_work(lib: Any) -> Work:
    """Run the step and wait for its result."""
    step, args = train_step(lib)
    return lambda: jax.block_until_ready(step(*args))


def train_hlo(lib: Any) -> str:
    """The step's HLO as XLA leaves it."""
    step, args = train_step(lib)
    return lib.jit(step).lower(*args).compile().as_text()


def train(effort: Effort) -> Iterator[Result]:
    """The step's time; equal programs reach the target, since what is measured between them is noise."""
    contest = compete({name: train_work(lib) for name, lib in LIBRARIES.items()}, "jax", effort)
    identical = same(*map(train_hlo, LIBRARIES.values()))
    ratio = contest.ratio["minijax"]
    yield Result(TRAIN, contest.best["minijax"], contest.best["jax"], ratio, target="<= 1 x",
                 reached=identical or ratio <= 1.0, note=SAME if identical else "")


TRAIN = f"pmap train step, MLP, {CORES} devices"
ROWS.append(Row(TRAIN, train, lambda: train_work(minijax), DEVICES))


# ---- tracing ----

@race("make_jaxpr(pmap(grad)), MLP, 8 devices", limit=0.4, clock=THREAD, environment=DEVICES)
def pmap_gradient(lib: Any) -> Work:
    """Tracing the gradient of each device's examples; the function is a new one each time."""
    w1, b1, w2, b2, images, one_hot = arrays(lib, (64, 256), (256,), (256, 10), (10,), (8, 32, 64), (8, 32, 10))

    def trace() -> Any:
        def loss(*args: Any) -> Any:
            return lib.lax.pmean(classifier_loss(lib, *args), "devices")

        gradient = lib.pmap(lib.grad(loss), axis_name="devices", in_axes=(None, 0, 0))
        return lib.make_jaxpr(gradient)(((w1, b1), (w2, b2)), images, one_hot)

    return trace


# ---- scaling ----

def shared_work(lib: Any, devices: int) -> Work:
    """Many small steps, each on one core, over 4096 numbers that the devices share."""
    def steps(x: Any) -> Any:
        return lib.lax.fori_loop(0, 200, lambda _, x: lib.numpy.sin(1.01 * x), x)

    f = lib.pmap(steps)
    x = f(np.linspace(0.1, 1.0, 4096, dtype=np.float32).reshape(devices, -1))
    return lambda: f(x)


SCALING = f"pmap scaling, the same work on {CORES} devices and on 1"


@row(SCALING, environment=DEVICES)
def scaling(effort: Effort) -> Iterator[Result]:
    """What two devices take of one device's time: ours over JAX's.  The times are those of two devices."""
    works = {f"{name} {devices}": shared_work(lib, devices)
             for name, lib in LIBRARIES.items() for devices in (CORES, 1)}
    contest = compete(works, "jax 1", effort, jax.block_until_ready)
    ours = contest.ratio[f"minijax {CORES}"] / contest.ratio["minijax 1"]
    theirs = contest.ratio[f"jax {CORES}"]
    yield judge(SCALING, contest.best[f"minijax {CORES}"],
                contest.best[f"jax {CORES}"], ours / theirs, 1.1, note=f"{ours:.2f} of one device's time")
