"""The arithmetic of windows that slide over axes: sizes, dilation, and the padding of transposed windows.

Along one axis of size n, with base dilation b, padding (low, high), window size k, window dilation d
and stride s, window number i covers the places i*s, i*s + d, ..., i*s + (k-1)*d of the padded axis,
in which b - 1 holes lie between neighbouring elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.errors import ShapeError
from minijax.tracing.source import at_line

Pads = tuple[tuple[int, int], ...]


def dilated(size: int, dilation: int) -> int:
    """Length of `size` elements with dilation - 1 holes between neighbours."""
    return (size - 1) * dilation + 1 if size else 0


def window_counts(shape: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Pads,
                  base_dilation: Sequence[int], window_dilation: Sequence[int]) -> tuple[int, ...]:
    """How many windows there are along each axis.

    >>> window_counts((5,), (3,), (2,), ((1, 1),), (1,), (1,))
    (3,)
    """
    counts = []
    for n, k, s, (low, high), b, d in zip(shape, window, strides, padding, base_dilation, window_dilation, strict=True):
        room = dilated(n, b) + low + high - dilated(k, d)
        counts.append(room // s + 1 if room >= 0 else 0)
    return tuple(counts)


def transposed_padding(shape: Sequence[int], window: Sequence[int], counts: Sequence[int], strides: Sequence[int],
                       padding: Pads, base_dilation: Sequence[int], window_dilation: Sequence[int]) -> Pads:
    """The padding with which reversed windows over the (stride-dilated) windows give `shape` back."""
    pads = []
    for n, k, m, s, (low, _), b, d in zip(shape, window, counts, strides, padding, base_dilation, window_dilation,
                                          strict=True):
        before = dilated(k, d) - 1 - low
        pads.append((before, dilated(n, b) + dilated(k, d) - 1 - dilated(m, s) - before))
    return tuple(pads)


def check_windows(name: str, ndim: int, window: Sequence[int], padding: Pads, **positive: Sequence[int]) -> None:
    """Raise `ShapeError` unless there is a positive number of everything for each of `ndim` axes."""
    for what, numbers in {"window": window, **positive}.items():
        if len(numbers) != ndim or any(n < 1 for n in numbers):
            raise ShapeError(f"{name}: {what} is {tuple(numbers)}, for {ndim} axes{at_line()}. "
                             f"Give one number for each axis, 1 at least: for example {(1,) * ndim}.")
    if len(padding) != ndim or any(len(pair) != 2 for pair in padding):
        raise ShapeError(f"{name}: padding is {tuple(padding)}, for {ndim} axes{at_line()}. "
                         f"Give a pair (low, high) for each axis: for example {((0, 0),) * ndim}.")


def check_padding(name: str, shape: Sequence[int], padding: Pads, base_dilation: Sequence[int]) -> None:
    """Raise `ShapeError` if negative padding cuts off more than there is."""
    for axis, (n, (low, high), b) in enumerate(zip(shape, padding, base_dilation, strict=True)):
        if dilated(n, b) + low + high < 0:
            raise ShapeError(f"{name}: padding {(low, high)} takes away more than the {dilated(n, b)} places of window "
                             f"axis {axis}{at_line()}. Negative padding may cut off an axis' size at most.")


def insert(values: Sequence[Any], place: int, value: Any) -> tuple[Any, ...]:
    """The tuple with one more entry: that of a batch axis."""
    return (*values[:place], value, *values[place:])
