"""The network: dense layers with relu between them, and the loss that trains it.

Parameters are a list of layers, each a dict of `weights` and `biases`.
"""

from __future__ import annotations

from collections.abc import Sequence

import minijax.numpy as jnp
from minijax import Array, nn, random

Parameters = list[dict[str, Array]]
SIZES = (64, 128, 10)


def init(key: Array, sizes: Sequence[int] = SIZES) -> Parameters:
    """Random weights with the variance that suits relu (2 / inputs), and zero biases."""
    keys = random.split(key, len(sizes) - 1)
    return [{"weights": jnp.sqrt(2 / rows) * random.normal(k, (rows, columns)), "biases": jnp.zeros(columns)}
            for k, rows, columns in zip(keys, sizes[:-1], sizes[1:], strict=True)]


def logits(params: Parameters, images: Array) -> Array:
    """Scores `f32[n, 10]` of images `f32[n, 64]`: the larger, the likelier."""
    *hidden, last = params
    x = images
    for layer in hidden:
        x = nn.relu(x @ layer["weights"] + layer["biases"])
    return x @ last["weights"] + last["biases"]


def loss(params: Parameters, images: Array, targets: Array) -> Array:
    """Mean cross entropy of the network's distribution and the targets `f32[n, 10]`, a 1 in the column of the label."""
    return -jnp.mean(jnp.sum(targets * nn.log_softmax(logits(params, images)), axis=1))


def predict(params: Parameters, images: Array) -> Array:
    """The likeliest digit of each image."""
    return jnp.argmax(logits(params, images), axis=1)


def accuracy(params: Parameters, images: Array, labels: Array) -> Array:
    """The fraction of images whose likeliest digit is the label."""
    return jnp.mean(predict(params, images) == labels)
