"""Rows of the module layer, beside dm-haiku on JAX: tracing init and apply, an eager apply, a step of ResNet-50.

Time to the first result is tracing, lowering and compiling a new step and running it once; it is taken once a side.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from time import perf_counter
from typing import Any

import haiku
import jax
import numpy as np

import minijax
from benchmarks.hlo import same
from benchmarks.rows import LIBRARIES, ROWS, Result, Row, race
from benchmarks.rows_run import SAME
from benchmarks.timing import THREAD, Effort, Work, compete

MODULES = {"minijax": minijax.haiku, "jax": haiku}
FIRST, RUN = "a training step of ResNet-50: time to the first result", "a training step of ResNet-50: run time"
SIZES = (300, 100, 10)


def network(lib: Any) -> Any:
    """A new pair of init and apply: an MLP with normalized layers, and dropout by keys of its own."""
    hk = MODULES[lib.__name__]

    def apply(x: Any) -> Any:
        for size in SIZES:
            x = lib.nn.relu(hk.LayerNorm(-1, True, True)(hk.Linear(size)(x)))
            x = hk.dropout(hk.next_rng_key(), 0.1, x)
        return x

    return hk.transform(apply)


def arguments(lib: Any) -> tuple[Any, Any, Any]:
    """Parameters, a key and a batch."""
    key, x = lib.random.PRNGKey(0), lib.numpy.ones((8, 64))
    return network(lib).init(key, x), key, x


@race("init of an MLP of modules: make_jaxpr, beside dm-haiku", limit=0.4, clock=THREAD)
def init_trace(lib: Any) -> Work:
    """Tracing a new init."""
    _, key, x = arguments(lib)
    return lambda: lib.make_jaxpr(network(lib).init)(key, x)


@race("apply of an MLP of modules: make_jaxpr, beside dm-haiku", limit=0.4, clock=THREAD)
def apply_trace(lib: Any) -> Work:
    """Tracing a new apply."""
    params, key, x = arguments(lib)
    return lambda: lib.make_jaxpr(network(lib).apply)(params, key, x)


@race("eager apply of an MLP, beside dm-haiku", limit=0.3)
def eager_apply(lib: Any) -> Work:
    """An apply that is not compiled, of Haiku's own MLP."""
    hk = MODULES[lib.__name__]
    f = hk.without_apply_rng(hk.transform(lambda x: hk.nets.MLP(SIZES)(x)))
    x = lib.numpy.ones((8, 64))
    params = f.init(lib.random.PRNGKey(0), x)
    return lambda: jax.block_until_ready(f.apply(params, x))


def resnet_step(lib: Any) -> Any:
    """A new network, and a function (params, state, images, labels) -> (params, state, loss): a step downhill."""
    hk = MODULES[lib.__name__]
    net = hk.transform_with_state(lambda images: hk.nets.ResNet50(1000)(images, is_training=True))

    def loss(params: Any, state: Any, images: Any, labels: Any) -> Any:
        logits, state = net.apply(params, state, None, images)
        return -lib.numpy.mean(lib.numpy.sum(lib.nn.log_softmax(logits) * lib.nn.one_hot(labels, 1000), -1)), state

    def step(params: Any, state: Any, images: Any, labels: Any) -> Any:
        (value, state), gradients = lib.value_and_grad(loss, has_aux=True)(params, state, images, labels)
        return lib.tree.map(lambda p, g: p - 0.1 * g, params, gradients), state, value

    return net, step


def resnet_arguments(lib: Any) -> tuple[Any, ...]:
    """Parameters, state, images and labels: zeros and ones of the shapes that dm-haiku's init makes."""
    images, labels = np.ones((2, 64, 64, 3), np.float32), np.arange(2)
    net, _ = resnet_step(jax)
    shapes = jax.eval_shape(net.init, jax.random.PRNGKey(0), images)
    filled = jax.tree.map(lambda t: lib.numpy.full(t.shape, 0.01, t.dtype), shapes)
    return (*filled, lib.numpy.asarray(images), lib.numpy.asarray(labels))


@cache
def compiled(name: str) -> tuple[Any, tuple[Any, ...], float]:
    """A library's compiled step, its arguments, and the seconds that its first result took."""
    lib = LIBRARIES[name]
    args = resnet_arguments(lib)
    start = perf_counter()
    step = lib.jit(resnet_step(lib)[1]).lower(*args).compile()
    jax.block_until_ready(step(*args))
    return step, args, perf_counter() - start


def resnet_work(name: str) -> Work:
    """Run the compiled step and wait for its results."""
    step, args, _ = compiled(name)
    return lambda: jax.block_until_ready(step(*args))


def resnet(effort: Effort) -> Iterator[Result]:
    """The step's first result, and its time after that."""
    ours, theirs = (compiled(name)[2] for name in LIBRARIES)
    yield Result(FIRST, ours, theirs, ours / theirs, target="<= 0.8 x", reached=ours / theirs <= 0.8)
    contest = compete({name: resnet_work(name) for name in LIBRARIES}, "jax", effort)
    identical, ratio = same(*[compiled(name)[0].as_text() for name in LIBRARIES]), contest.ratio["minijax"]
    yield Result(RUN, contest.best["minijax"], contest.best["jax"], ratio, target="<= 1 x",
                 reached=identical or ratio <= 1.0, note=SAME if identical else "")


ROWS.append(Row("a training step of ResNet-50", resnet, lambda: resnet_work("minijax")))
