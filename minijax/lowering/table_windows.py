"""How products, convolutions and windows differ from `jax.lax`: mostly in the names of choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from jax import lax

from minijax.lowering.table import rules
from minijax.ops import convolution, dot, ragged, windows
from minijax.ops.reference_windows import highest, lowest

_SELECT = {"ge": lax.ge_p, "le": lax.le_p}


def _precision(precision: Any) -> Any:
    if hasattr(precision, "accumulation_type"):
        return lax.DotAlgorithm(*precision)
    return lax.DotAlgorithmPreset[precision.name] if hasattr(precision, "name") else precision


def _dot_general(x: Any, y: Any, *, precision: Any, **params: Any) -> Any:
    return lax.dot_general(x, y, precision=_precision(precision), **params)


def _conv(x: Any, kernel: Any, *, dimension_numbers: Any, precision: Any, **params: Any) -> Any:
    return lax.conv_general_dilated(x, kernel, dimension_numbers=lax.ConvDimensionNumbers(*dimension_numbers),
                                    precision=_precision(precision), **params)


def _ragged(x: Any, y: Any, sizes: Any, *, ragged_dot_dimension_numbers: Any, precision: Any, **params: Any) -> Any:
    numbers = lax.RaggedDotDimensionNumbers(*vars(ragged_dot_dimension_numbers).values())
    return lax.ragged_dot_general(x, y, sizes, numbers, precision=_precision(precision), **params)


def _reduce_window(function: Callable[..., Any], initial: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda x, **geometry: lax.reduce_window(x, np.asarray(initial(x.dtype)).astype(x.dtype)[()], function,
                                                   **geometry)


def _selecting(primitive: Any) -> Callable[..., Any]:
    return lambda source, x, *, select, **geometry: primitive.bind(source, x, select_prim=_SELECT[select], **geometry)


rules.update({
    dot.dot_general_p: _dot_general,
    convolution.conv_general_dilated_p: _conv,
    ragged.ragged_dot_general_p: _ragged,
    windows.reduce_window_sum_p: _reduce_window(lax.add, lambda dtype: 0),
    windows.reduce_window_max_p: _reduce_window(lax.max, lowest),
    windows.reduce_window_min_p: _reduce_window(lax.min, highest),
    windows.select_and_gather_add_p: _selecting(lax.select_and_gather_add_p),
    windows.select_and_scatter_add_p: _selecting(lax.select_and_scatter_add_p),
})
