"""The picture: the loss at each step, and held-out digits with what the network says they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minijax.demo import model
from minijax.demo.digits import Digits
from minijax.demo.train import Trained

ROWS, COLUMNS = 3, 6


def save(path: Path, digits: Digits, trained: Trained, accuracy: float) -> None:
    """Write the picture to a file; its mistakes come first, in red."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
    draw_losses(left.subplots(), trained.losses)
    labels, guesses = np.asarray(digits.test_labels), np.asarray(model.predict(trained.params, digits.test_images))
    order = np.argsort(labels == guesses, kind="stable")
    right.suptitle(f"{np.sum(labels != guesses)} of {len(labels)} held-out digits are wrong ({accuracy:.1%} right)")
    for axes, i in zip(right.subplots(ROWS, COLUMNS).flat, order, strict=False):
        draw_digit(axes, digits.test_pixels[i], labels[i], guesses[i])
    figure.savefig(path, dpi=120)


def draw_losses(axes: Axes, losses: np.ndarray) -> None:
    """The loss at each step and its mean over 20 steps, on a logarithmic scale."""
    window = min(20, len(losses))
    axes.semilogy(np.arange(1, len(losses) + 1), losses, color="0.8", label="one batch")
    axes.semilogy(np.arange(window, len(losses) + 1), np.convolve(losses, np.full(window, 1 / window), "valid"),
                  label=f"mean of {window}")
    axes.set(xlabel="step", ylabel="cross entropy", title="training loss")
    axes.legend()


def draw_digit(axes: Axes, pixels: np.ndarray, label: int, guess: int) -> None:
    """One digit under what it was taken for."""
    axes.imshow(pixels.reshape(8, 8), cmap="gray_r")
    wrong = label != guess
    axes.set_title(f"{guess} (is {label})" if wrong else f"{guess}", color="crimson" if wrong else "black", fontsize=10)
    axes.set_axis_off()
