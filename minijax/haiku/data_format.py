"""Axes of images and sequences: where the channels are, and one number for each spatial axis.

Layouts are named as TensorFlow names them: "NHWC" and its relatives end with the channels, "NCHW" and
its relatives have them second; "channels_last" and "channels_first" say it for every rank.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.tracing.source import at_line

_CHANNELS_LAST = re.compile("N[^C]*C|(BT|TB)[^D]*D|channels_last")
_CHANNELS_FIRST = re.compile("NC[^C]*|channels_first")


def get_channel_index(data_format: str) -> int:
    """The axis of the channels in a layout: -1 or 1.

    Args: "channels_last", "channels_first", a spatial layout such as "NHWC", "NCDHW" or "N...C", or a sequential
    one such as "BTD".  Raises `MinijaxValueError` for others.  As `haiku.get_channel_index`.

    >>> get_channel_index("NHWC"), get_channel_index("NC...")
    (-1, 1)
    """
    if _CHANNELS_FIRST.fullmatch(data_format):
        return 1
    if _CHANNELS_LAST.fullmatch(data_format):
        return -1
    raise MinijaxValueError(f"data_format {data_format!r} does not say where the channels are{at_line()}. Give "
                            "'channels_last', 'channels_first', or a layout such as 'NHWC', 'NCHW' or 'BTD'.")


def per_axis(name: str, value: Any, count: int) -> tuple[Any, ...]:
    """`count` values, one for each axis: of one value, or of a sequence of one or `count` values.

    `name` is the argument's, for errors.  Raises `MinijaxTypeError` for sequences of other lengths.

    >>> per_axis("stride", 2, 3), per_axis("stride", [1, 2], 2)
    ((2, 2, 2), (1, 2))
    """
    if isinstance(value, (str, bytes)) or not isinstance(value, (Sequence, np.ndarray)):
        return (value,) * count
    if len(value) not in (1, count):
        raise MinijaxTypeError(f"{name} is {value!r}, which has {len(value)} values for {count} axes{at_line()}. "
                               f"Give one value, or a sequence of {count}.")
    return tuple(value) * (count if len(value) == 1 else 1)
