"""Rows of tracing: a program of mixed ops, per op that the user writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rows import race
from benchmarks.timing import THREAD, Work

REPEATS = 5
SQUARE = np.linspace(0.1, 1.0, 64, dtype=np.float32).reshape(8, 8)


def numpy_block(np: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """20 operations of the NumPy namespace on two f32[8,8]."""
    x = np.sin(x) * y
    y = np.tanh(y + x)
    z = np.where(x > y, x, y)
    z = np.exp(-np.abs(z))
    x = x - np.sum(z, axis=0)
    y = np.maximum(y, 0.5) / 2.0
    x = np.matmul(x, y)
    y = np.reshape(np.transpose(y), (64,))
    y = np.reshape(np.sqrt(y), (8, 8))
    return x, np.log1p(y)


def lax_block(lax: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """20 operations of the lax namespace on two f32[8,8]."""
    x = lax.mul(lax.sin(x), y)
    y = lax.tanh(lax.add(y, x))
    z = lax.select(lax.gt(x, y), x, y)
    z = lax.exp(lax.neg(lax.abs(z)))
    x = lax.sub(x, lax.broadcast_in_dim(lax.reduce_max(z, (0,)), (8, 8), (1,)))
    y = lax.div(lax.max(y, x), z)
    x = lax.dot(x, y)
    y = lax.reshape(lax.transpose(y, (1, 0)), (64,))
    y = lax.reshape(lax.sqrt(y), (8, 8))
    return x, y


def traced(lib: Any, block: Callable[..., Any], namespace: Any) -> Work:
    """Trace `REPEATS` blocks; the function is a new one each time, so that no cache answers."""
    x = lib.numpy.asarray(SQUARE)

    def trace() -> Any:
        def program(x: Any, y: Any) -> Any:
            for _ in range(REPEATS):
                x, y = block(namespace, x, y)
            return x, y

        return lib.make_jaxpr(program)(x, x)

    return trace


@race("make_jaxpr, per jnp op", limit=0.35, per=20 * REPEATS, clock=THREAD)
def make_jaxpr_numpy(lib: Any) -> Work:
    """Tracing a program of 100 operations of the NumPy namespace."""
    return traced(lib, numpy_block, lib.numpy)


@race("make_jaxpr, per lax op", limit=0.5, per=20 * REPEATS, clock=THREAD)
def make_jaxpr_lax(lib: Any) -> Work:
    """Tracing a program of 100 operations of the lax namespace."""
    return traced(lib, lax_block, lib.lax)


# ---- a whole model ----

LAYERS, WIDTH, HEADS, TOKENS = 4, 32, 4, 16


def transformer_parameters(lib: Any) -> list[dict[str, Any]]:
    """Weights of `LAYERS` blocks of attention and a two-layer perceptron."""
    random = np.random.default_rng(0)

    def weights(*shape: int) -> Any:
        return lib.numpy.asarray(random.normal(size=shape).astype(np.float32) / 6)

    return [{"qkv": weights(WIDTH, 3 * WIDTH), "out": weights(WIDTH, WIDTH), "up": weights(WIDTH, 4 * WIDTH),
             "down": weights(4 * WIDTH, WIDTH), "scale": weights(2, WIDTH)} for _ in range(LAYERS)]


def transformer_loss(lib: Any, layers: list[dict[str, Any]], x: Any) -> Any:
    """The mean square of what the blocks make of tokens f32[TOKENS, WIDTH]."""
    jnp = lib.numpy

    def normalized(x: Any, scale: Any) -> Any:
        centred = x - jnp.mean(x, axis=-1, keepdims=True)
        return scale * centred / jnp.sqrt(jnp.mean(centred ** 2, axis=-1, keepdims=True) + 1e-5)

    for layer in layers:
        q, k, v = jnp.split(normalized(x, layer["scale"][0]) @ layer["qkv"], 3, axis=-1)
        q, k, v = (jnp.reshape(y, (TOKENS, HEADS, WIDTH // HEADS)) for y in (q, k, v))
        scores = jnp.einsum("qhd,khd->hqk", q, k) / np.sqrt(WIDTH // HEADS)
        scores = jnp.where(jnp.tril(jnp.ones((TOKENS, TOKENS), bool)), scores, -1e9)
        mixed = jnp.einsum("hqk,khd->qhd", lib.nn.softmax(scores, axis=-1), v)
        x = x + jnp.reshape(mixed, (TOKENS, WIDTH)) @ layer["out"]
        x = x + lib.nn.gelu(normalized(x, layer["scale"][1]) @ layer["up"]) @ layer["down"]
    return jnp.mean(x ** 2)


@race("make_jaxpr(grad), 4-layer transformer", limit=0.35, clock=THREAD)
def transformer_gradient(lib: Any) -> Work:
    """Tracing the gradient of a transformer's loss."""
    layers = transformer_parameters(lib)
    x = lib.numpy.asarray(np.random.default_rng(1).normal(size=(TOKENS, WIDTH)).astype(np.float32))

    def trace() -> Any:
        def loss(layers: Any, x: Any) -> Any:
            return transformer_loss(lib, layers, x)

        return lib.make_jaxpr(lib.grad(loss))(layers, x)

    return trace
