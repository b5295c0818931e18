"""Programs whose compiled form is compared: each is built from a library and gives (function, arguments).

`LIMITS` are the ratios that count as reached: derivatives of convolutions, attention and loops run as fast as JAX's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

PROGRAMS: dict[str, Callable[[Any], tuple[Callable[..., Any], tuple[Any, ...]]]] = {}
LIMITS: dict[str, float] = {}


def program(name: str, limit: float = 1.05) -> Callable[[Any], Any]:
    """Enter a program under a name."""
    def enter(build: Any) -> Any:
        PROGRAMS[name], LIMITS[name] = build, limit
        return build

    return enter


def arrays(lib: Any, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """Normal numbers, the same for every library."""
    rng = np.random.default_rng(0)
    return tuple(lib.numpy.asarray(rng.normal(size=shape).astype(np.float32)) for shape in shapes)


@program("gradient of an MLP's loss")
def mlp_gradient(lib: Any) -> Any:
    """Softmax cross-entropy of two layers, by its parameters."""
    jnp = lib.numpy
    w1, b1, w2, b2, images, one_hot = arrays(lib, (256, 128), (128,), (128, 10), (10,), (128, 256), (128, 10))

    def loss(params: Any, images: Any, one_hot: Any) -> Any:
        (w1, b1), (w2, b2) = params
        logits = jnp.tanh(images @ w1 + b1) @ w2 + b2
        return -jnp.mean(jnp.sum(lib.nn.log_softmax(logits) * one_hot, axis=-1))

    return lib.grad(loss), (((w1, b1), (w2, b2)), images, one_hot)


def attend(lib: Any, q: Any, k: Any, v: Any) -> Any:
    """Softmax attention of heads on the first axis."""
    jnp = lib.numpy
    scores = jnp.matmul(q, jnp.swapaxes(k, -1, -2)) / 8.0
    return jnp.matmul(lib.nn.softmax(scores, axis=-1), v)


@program("attention", limit=1.0)
def attention(lib: Any) -> Any:
    """Softmax attention of four heads."""
    return functools.partial(attend, lib), arrays(lib, (4, 128, 64), (4, 128, 64), (4, 128, 64))


@program("gradient of attention", limit=1.0)
def attention_gradient(lib: Any) -> Any:
    """The sum of squares of attention, by queries, keys and values."""
    def loss(q: Any, k: Any, v: Any) -> Any:
        return lib.numpy.sum(attend(lib, q, k, v) ** 2)

    return lib.grad(loss, argnums=(0, 1, 2)), arrays(lib, (4, 128, 64), (4, 128, 64), (4, 128, 64))


@program("gradient of layer normalization")
def layer_norm(lib: Any) -> Any:
    """Normalize rows, scale, square; by the input."""
    jnp = lib.numpy

    def loss(x: Any, scale: Any) -> Any:
        mean = jnp.mean(x, axis=-1, keepdims=True)
        variance = jnp.var(x, axis=-1, keepdims=True)
        return jnp.sum(jnp.square((x - mean) / jnp.sqrt(variance + 1e-5) * scale))

    return lib.grad(loss), arrays(lib, (256, 256), (256,))


@program("gradient of a convolutional network", limit=1.0)
def convolutional_network(lib: Any) -> Any:
    """Two convolutions with pooling between, a linear layer and softmax cross-entropy; by the parameters."""
    jnp, lax = lib.numpy, lib.lax
    first, second, last = arrays(lib, (3, 3, 1, 8), (3, 3, 8, 16), (256, 10))
    images, one_hot = arrays(lib, (32, 16, 16, 1), (32, 10))

    def convolved(x: Any, kernel: Any) -> Any:
        x = lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return lax.reduce_window(lib.nn.relu(x), -np.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")

    def loss(params: Any, images: Any, one_hot: Any) -> Any:
        first, second, last = params
        features = convolved(convolved(images, first), second).reshape(images.shape[0], -1)
        return -jnp.mean(jnp.sum(lib.nn.log_softmax(features @ last) * one_hot, axis=-1))

    return lib.grad(loss), ((first, second, last), images, one_hot)


@program("gradient of a scan", limit=1.0)
def scan_gradient(lib: Any) -> Any:
    """The mean square of the states of a recurrent network of 50 steps, by its weights and first state."""
    jnp = lib.numpy

    def loss(weights: Any, state: Any, xs: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            state = jnp.tanh(state @ weights / 8.0 + x)
            return state, state

        return jnp.mean(jnp.square(lib.lax.scan(step, state, xs)[1]))

    return lib.grad(loss, argnums=(0, 1)), arrays(lib, (64, 64), (16, 64), (50, 16, 64))


@program("derivative of a while loop", limit=1.0)
def while_derivative(lib: Any) -> Any:
    """At most 50 steps until the state is small, and their derivative along the weights."""
    jnp = lib.numpy

    def last_state(weights: Any, state: Any) -> Any:
        def unfinished(carry: Any) -> Any:
            return (carry[0] < 50) & (jnp.max(jnp.abs(carry[1])) > 1e-3)

        return lib.lax.while_loop(unfinished, lambda carry: (carry[0] + 1, jnp.sin(carry[1] @ weights / 8.0)),
                                  (0, state))[1]

    def derivative(weights: Any, state: Any, direction: Any) -> Any:
        return lib.jvp(lambda weights: last_state(weights, state), (weights,), (direction,))

    return derivative, arrays(lib, (64, 64), (16, 64), (64, 64))


@program("elementwise chain")
def chain(lib: Any) -> Any:
    """Twelve elementwise operations on 10^5 numbers."""
    jnp = lib.numpy

    def run(x: Any, y: Any) -> Any:
        for _ in range(3):
            x = jnp.sin(x) * y + jnp.exp(-jnp.abs(x))
        return jnp.where(x > 0, jnp.log1p(jnp.abs(x)), y)

    return run, arrays(lib, (100_000,), (100_000,))


@program("reductions")
def reductions(lib: Any) -> Any:
    """Sums, moments and extrema along both axes."""
    jnp = lib.numpy

    def run(x: Any) -> Any:
        return jnp.sum(x, axis=0), jnp.mean(x, axis=1), jnp.max(x, axis=1), jnp.std(x), jnp.argmax(x, axis=0)

    return run, arrays(lib, (512, 512))


@program("sort and cumulative sum")
def sorting(lib: Any) -> Any:
    """Sort rows, accumulate, order."""
    jnp = lib.numpy
    return lambda x: (jnp.cumsum(jnp.sort(x, axis=-1), axis=-1), jnp.argsort(x, axis=-1)), arrays(lib, (64, 512))


@program("indexing and scatter")
def indexing(lib: Any) -> Any:
    """Slices, a gather, and a scatter of sums."""
    where = lib.numpy.asarray(np.random.default_rng(1).integers(0, 1000, size=4000))

    def run(x: Any, y: Any, where: Any) -> Any:
        taken = x[where] * y
        return x.at[where].add(taken), x[::2] + x[1::2], x[5:900]

    return run, (*arrays(lib, (1000, 32), (4000, 32)), where)


@program("random normals")
def normals(lib: Any) -> Any:
    """Normal and uniform numbers from two keys."""
    def run(key: Any) -> Any:
        first, second = lib.random.split(key)
        return lib.random.normal(first, (20_000,)) + lib.random.uniform(second, (20_000,))

    return run, (lib.random.PRNGKey(0),)
