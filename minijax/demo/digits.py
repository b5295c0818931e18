"""Scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, standardised and split."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

import minijax.numpy as jnp
from minijax import Array, random

HELD_OUT = 360


class Digits(NamedTuple):
    """Images `f32[n, 64]` and labels `i32[n]`, to train with and held out; `test_pixels` are the raw images."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array
    test_pixels: np.ndarray


def load(key: Array) -> Digits:
    """The digits in random order, the last `HELD_OUT` set apart; mean 0 and variance 1 over the rest."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.asarray(random.permutation(key, len(labels)))
    pixels, labels = pixels[order].astype(np.float32), jnp.asarray(labels[order].astype(np.int32))
    mean, deviation = pixels[:-HELD_OUT].mean(0), pixels[:-HELD_OUT].std(0)
    images = jnp.asarray((pixels - mean) / np.where(deviation > 0, deviation, 1))  # some pixels are always blank
    return Digits(images[:-HELD_OUT], labels[:-HELD_OUT], images[-HELD_OUT:], labels[-HELD_OUT:], pixels[-HELD_OUT:])
