"""Pictures: the loss at each step, and held-out digits with what the network says they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from minijax import Array
from minijax.demo.digits import Digits

ROWS, COLUMNS = 3, 6


class PlainLogFormatter(LogFormatter):
    """Ticks of a logarithmic axis as plain numbers, no powers; which of them have one matplotlib says."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def save(path: Path, digits: Digits, losses: np.ndarray, guesses: Array | np.ndarray) -> None:
    """Write the picture of the losses and of held-out digits to a file; wrong guesses come first, in red."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.2))
    draw_losses(left.subplots(), losses)
    labels, guesses = np.asarray(digits.test_labels), np.asarray(guesses)
    known = labels == guesses
    right.suptitle(f"{np.sum(~known)} of {len(labels)} held-out digits are wrong ({known.mean():.1%} right)")
    for axes, i in zip(right.subplots(ROWS, COLUMNS).flat, np.argsort(known, kind="stable"), strict=False):
        draw_digit(axes, digits.test_pixels[i], labels[i], guesses[i])
    figure.savefig(path, dpi=120)


def draw_losses(axes: Axes, losses: np.ndarray, unit: str = "cross entropy") -> None:
    """The loss at each step and its mean over 20 steps, on a logarithmic scale."""
    window = min(20, len(losses))
    axes.semilogy(np.arange(1, len(losses) + 1), losses, color="0.8", label="one batch")
    axes.semilogy(np.arange(window, len(losses) + 1), np.convolve(losses, np.full(window, 1 / window), "valid"),
                  label=f"mean of {window}")
    axes.set(xlabel="step", ylabel=unit, title="training loss")
    axes.yaxis.set_major_formatter(PlainLogFormatter())
    axes.yaxis.set_minor_formatter(PlainLogFormatter())
    axes.legend()


def draw_digit(axes: Axes, pixels: np.ndarray, label: int, guess: int) -> None:
    """One digit under what it was taken for."""
    axes.imshow(pixels.reshape(8, 8), cmap="gray_r")
    wrong = label != guess
    axes.set_title(f"{guess} (is {label})" if wrong else f"{guess}", color="crimson" if wrong else "black", fontsize=10)
    axes.set_axis_off()


def draw_mosaic(axes: Axes, images: np.ndarray, title: str) -> None:
    """Many digits `[rows, columns, 8, 8]` as one picture, with values from 0 (white) to 1 (black)."""
    rows, columns = images.shape[:2]
    framed = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=0.15)
    axes.imshow(framed.swapaxes(1, 2).reshape(10 * rows, 10 * columns), cmap="gray_r", vmin=0, vmax=1)
    axes.set_title(title)
    axes.set_axis_off()


def save_text(path: Path, losses: np.ndarray, by_place: np.ndarray) -> None:
    """Write the picture of a text's losses to a file, and of the loss by place: how many characters came before."""
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_losses(left, losses, "bits per character")
    right.plot(np.arange(1, len(by_place) + 1), by_place)
    right.set(xlabel="characters seen before", ylabel="bits per character", title="text not seen before")
    figure.savefig(path, dpi=120)
