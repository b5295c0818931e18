"""Convolutions as functions: layouts by name, padding by name, and convolutions made of convolutions.

`dimension_numbers` is None for (batch, features, *spatial), a triple of strings such as
("NHWC", "HWIO", "NHWC"), or a `ConvDimensionNumbers`.  `padding` is "VALID", "SAME",
"SAME_LOWER" or a pair (low, high) for each spatial axis.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.lax.elementwise import like_arrays
from minijax.lax.enums import precision_of
from minijax.lax.reductions import dot_general
from minijax.ops import convolution as ops
from minijax.ops.convolution import ConvDimensionNumbers
from minijax.ops.families import at_line, transpose
from minijax.ops.operands import operand as as_operand
from minijax.ops.structural import rev
from minijax.ops.window_shapes import dilated, window_counts
from minijax.util import size_of

ConvGeneralDilatedDimensionNumbers = None | ConvDimensionNumbers | tuple[str, str, str]


# ---- layouts and padding

def conv_dimension_numbers(lhs_shape: Sequence[int], rhs_shape: Sequence[int],
                           dimension_numbers: Any) -> ConvDimensionNumbers:
    """Axes as `ConvDimensionNumbers`; strings name them N (batch), C (features), O, I (of the kernel), else spatial.

    >>> conv_dimension_numbers((1, 8, 3), (2, 3, 4), ("NWC", "WIO", "NWC")).rhs_spec
    (2, 1, 0)
    """
    if isinstance(dimension_numbers, ConvDimensionNumbers):
        return dimension_numbers
    if len(lhs_shape) != len(rhs_shape):
        raise MinijaxTypeError(f"A convolution's operand and kernel have the same number of axes, got shapes "
                               f"{tuple(lhs_shape)} and {tuple(rhs_shape)}{at_line()}. Reshape one of them.")
    if dimension_numbers is None:
        return ConvDimensionNumbers(*[tuple(range(len(lhs_shape)))] * 3)
    if hasattr(dimension_numbers, "lhs_spec") or not all(isinstance(spec, str) for spec in dimension_numbers):
        return ConvDimensionNumbers(*[tuple(map(int, spec)) for spec in dimension_numbers])
    if len(dimension_numbers) != 3 or any(len(spec) != len(lhs_shape) for spec in dimension_numbers):
        raise MinijaxTypeError(f"dimension_numbers {dimension_numbers} do not name {len(lhs_shape)} axes of operand, "
                               f"kernel and result{at_line()}. For images: ('NHWC', 'HWIO', 'NHWC').")
    return ConvDimensionNumbers(*conv_general_permutations(dimension_numbers))


def conv_general_permutations(dimension_numbers: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """The axes (batch, features, *spatial) of three strings; spatial axes in the kernel's order."""
    lhs, rhs, out = dimension_numbers
    order = [letter for letter in rhs if letter not in "OI"]
    specs = []
    for text, first in ((lhs, "NC"), (rhs, "OI"), (out, "NC")):
        if sorted(text) != sorted([*first, *order]) or len(set(text)) != len(text):
            raise MinijaxTypeError(f"dimension_numbers {tuple(dimension_numbers)}: {text!r} should be made of the "
                                   f"letters {first[0]}, {first[1]} and {', '.join(order)}, each once{at_line()}. "
                                   "For images: ('NHWC', 'HWIO', 'NHWC').")
        specs.append(tuple([text.index(letter) for letter in (*first, *order)]))
    return tuple(specs)


def padtype_to_pads(in_shape: Sequence[int], window_shape: Sequence[int], window_strides: Sequence[int],
                    padding: Any) -> list[tuple[int, int]]:
    """A pair (low, high) for each axis: none for 'VALID'; for 'SAME' as many as give ceil(size / stride) windows.

    An odd one goes to the end for 'SAME', to the start for 'SAME_LOWER'.

    >>> padtype_to_pads((9, 9), (2, 3), (1, 1), "SAME")
    [(0, 1), (1, 1)]
    """
    name = str(getattr(padding, "name", padding)).upper()
    if name == "VALID":
        return [(0, 0)] * len(in_shape)
    if name not in ("SAME", "SAME_LOWER"):
        raise MinijaxValueError(f"{padding!r} is not a padding{at_line()}. Choose 'VALID', 'SAME' or 'SAME_LOWER', or "
                                "give a pair (low, high) for each axis.")
    pads = []
    for n, k, s in zip(in_shape, window_shape, window_strides, strict=True):
        missing = max((-(-n // s) - 1) * s + k - n, 0)
        less, more = missing // 2, missing - missing // 2
        pads.append((less, more) if name == "SAME" else (more, less))
    return pads


def integers(name: str, what: str, values: Any, count: int) -> tuple[int, ...]:
    """A tuple of `count` integers; None means ones.  Raises `MinijaxTypeError` for anything else."""
    if values is None:
        return (1,) * count
    try:
        found = tuple([operator.index(n) for n in values])
    except TypeError:
        found = ()
    if len(found) != count:
        raise MinijaxTypeError(f"{name}: {what} is {values!r}, for {count} axes{at_line()}. "
                               f"Give one integer for each: for example {(1,) * count}.")
    return found


def pads_of(name: str, padding: Any, shape: Sequence[int], window: Sequence[int],
            strides: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Padding by name or pairs, as a tuple of pairs."""
    if isinstance(padding, str) or hasattr(padding, "name"):
        return tuple(padtype_to_pads(shape, window, strides, padding))
    pairs = tuple(padding) if isinstance(padding, (tuple, list, np.ndarray)) else ()
    if len(pairs) != len(shape) or any(np.shape(pair) != (2,) for pair in pairs):
        raise MinijaxTypeError(f"{name}: padding is {padding!r}, for {len(shape)} axes{at_line()}. "
                               "Give 'VALID', 'SAME' or a pair (low, high) for each.")
    return tuple([(operator.index(low), operator.index(high)) for low, high in pairs])


# ---- the convolution

def conv_general_dilated(lhs: Any, rhs: Any, window_strides: Sequence[int], padding: Any,
                         lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
                         dimension_numbers: Any = None, feature_group_count: int = 1, batch_group_count: int = 1,
                         precision: Any = None, preferred_element_type: Any = None, out_sharding: None = None) -> Any:
    """Windows of `lhs` times the kernel `rhs`, summed over places and input features.

    Args: arrays of one dtype and rank; strides of the windows; padding (of `lhs`, negative cuts off), holes
    between neighbours in `lhs` and in windows (dilation - 1), the layout, and into how many groups features or batch
    are cut: group g of `lhs` meets group g of the output features.  `preferred_element_type` is the result's dtype.
    Raises `ShapeError` for sizes that do not fit.  Source: the op of XLA (https://openxla.org/xla/operation_semantics).

    >>> x, kernel = np.ones((1, 1, 4), np.float32), np.ones((1, 1, 2), np.float32)
    >>> conv_general_dilated(x, kernel, (1,), "SAME")
    Array([[[2., 2., 2., 1.]]], dtype=float32)
    """
    name = "conv_general_dilated"
    x, kernel = like_arrays(as_operand(name, lhs), rhs)
    numbers = conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    spatial = len(numbers.lhs_spec) - 2
    strides = integers(name, "window_strides", window_strides, spatial)
    lhs_dilation = integers(name, "lhs_dilation", lhs_dilation, spatial)
    rhs_dilation = integers(name, "rhs_dilation", rhs_dilation, spatial)
    places = [dilated(x.shape[axis], d) for axis, d in zip(numbers.lhs_spec[2:], lhs_dilation, strict=True)]
    window = [dilated(kernel.shape[axis], d) for axis, d in zip(numbers.rhs_spec[2:], rhs_dilation, strict=True)]
    dtype = None if preferred_element_type is None else dtypes.canonical_dtype(preferred_element_type)
    return ops.conv_general_dilated_p.bind(
        x, kernel, window_strides=strides, padding=pads_of(name, padding, places, window, [max(s, 1) for s in strides]),
        lhs_dilation=lhs_dilation, rhs_dilation=rhs_dilation, dimension_numbers=numbers,
        feature_group_count=operator.index(feature_group_count), batch_group_count=operator.index(batch_group_count),
        precision=precision_of(precision), preferred_element_type=dtype)[0]


def conv(lhs: Any, rhs: Any, window_strides: Sequence[int], padding: str, precision: Any = None,
         preferred_element_type: Any = None) -> Any:
    """`conv_general_dilated` of (batch, features, *spatial) with (output, input features, *spatial), undilated."""
    return conv_general_dilated(lhs, rhs, window_strides, padding, precision=precision,
                                preferred_element_type=preferred_element_type)


def conv_with_general_padding(lhs: Any, rhs: Any, window_strides: Sequence[int], padding: Any,
                              lhs_dilation: Sequence[int] | None, rhs_dilation: Sequence[int] | None,
                              precision: Any = None, preferred_element_type: Any = None) -> Any:
    """`conv_general_dilated` of (batch, features, *spatial) with (output, input features, *spatial)."""
    return conv_general_dilated(lhs, rhs, window_strides, padding, lhs_dilation, rhs_dilation, precision=precision,
                                preferred_element_type=preferred_element_type)


def _transposing_pads(k: int, s: int, padding: Any) -> tuple[int, int]:
    """The padding of the stride-dilated operand that undoes 'SAME' or 'VALID' windows of size k at stride s."""
    if padding == "SAME":
        total = k + s - 2
        before = k - 1 if s > k - 1 else -(-total // 2)
    elif padding == "VALID":
        total = k + s - 2 + max(k - s, 0)
        before = k - 1
    else:
        raise MinijaxValueError(f"conv_transpose: {padding!r} is not a padding{at_line()}. Choose 'SAME' or 'VALID', "
                                "or give a pair (low, high) for each axis.")
    return before, total - before


def conv_transpose(lhs: Any, rhs: Any, strides: Sequence[int], padding: Any, rhs_dilation: Sequence[int] | None = None,
                   dimension_numbers: Any = None, transpose_kernel: bool = False, precision: Any = None,
                   preferred_element_type: Any = None, use_consistent_padding: bool = False) -> Any:
    """The operand spread out by `strides`, convolved: "deconvolution", with the shapes of a convolution's gradient.

    With `transpose_kernel` it is the gradient itself: the kernel is reversed, and its features are exchanged.
    Pairs of padding belong to the spread out operand; with `use_consistent_padding` to the convolution undone.
    Without `dimension_numbers` features come last.  Source: Long, Shelhamer, Darrell, CVPR 2015; Noh et al., ICCV 2015.

    >>> conv_transpose(np.ones((1, 2, 1), np.float32), np.ones((2, 1, 1), np.float32), (2,), "VALID").shape
    (1, 4, 1)
    """
    name = "conv_transpose"
    x, kernel = as_operand(name, lhs), as_operand(name, rhs)
    letters = "DHW"[-(x.ndim - 2):] if 2 < x.ndim < 6 else ""
    if dimension_numbers is None and x.ndim == 2:
        dimension_numbers = ("NC", "IO", "NC")
    elif dimension_numbers is None and letters:
        dimension_numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    elif dimension_numbers is None:
        raise MinijaxValueError(f"{name} of {x.ndim} axes needs dimension_numbers{at_line()}.")
    numbers = conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    spatial = len(numbers.lhs_spec) - 2
    strides = integers(name, "strides", strides, spatial)
    dilation = integers(name, "rhs_dilation", rhs_dilation, spatial)
    window = [dilated(kernel.shape[axis], d) for axis, d in zip(numbers.rhs_spec[2:], dilation, strict=True)]
    if isinstance(padding, str):
        pads = [_transposing_pads(k, s, padding) for k, s in zip(window, strides, strict=True)]
    else:
        pads = pads_of(name, padding, window, window, strides)
        if use_consistent_padding:
            pads = [(k - 1 - low, k - 1 - high) for k, (low, high) in zip(window, pads, strict=True)]
    if transpose_kernel:
        out, taken, *places = numbers.rhs_spec
        kernel = rev(kernel, places)
        order = list(range(kernel.ndim))
        order[out], order[taken] = taken, out
        kernel = transpose(kernel, order)
    return conv_general_dilated(x, kernel, (1,) * spatial, pads, strides, dilation, numbers, precision=precision,
                                preferred_element_type=preferred_element_type)


# ---- windows as features, and kernels of their own for every place

def conv_general_dilated_patches(lhs: Any, filter_shape: Sequence[int], window_strides: Sequence[int], padding: Any,
                                 lhs_dilation: Sequence[int] | None = None, rhs_dilation: Sequence[int] | None = None,
                                 dimension_numbers: Any = None, precision: Any = None,
                                 preferred_element_type: Any = None) -> Any:
    """The windows themselves: feature c * places + p of the result is place p of feature c's window.

    >>> conv_general_dilated_patches(np.arange(3, dtype=np.float32).reshape(1, 1, 3), (2,), (1,), "VALID")[0]
    Array([[0., 1.],
           [1., 2.]], dtype=float32)
    """
    name = "conv_general_dilated_patches"
    x = as_operand(name, lhs)
    sizes = integers(name, "filter_shape", filter_shape, x.ndim - 2)
    numbers = conv_dimension_numbers(x.shape, x.shape, dimension_numbers)
    features, places = x.shape[numbers.lhs_spec[1]], size_of(sizes)
    kernel = np.tile(np.eye(places, dtype=x.dtype).reshape(places, 1, *sizes), (features, *[1] * (x.ndim - 1)))
    kernel = transpose(as_operand(name, kernel), [numbers.rhs_spec.index(i) for i in range(x.ndim)])
    return conv_general_dilated(x, kernel, window_strides, padding, lhs_dilation, rhs_dilation, numbers, features,
                                precision=precision, preferred_element_type=preferred_element_type)


def conv_general_dilated_local(lhs: Any, rhs: Any, window_strides: Sequence[int], padding: Any,
                               filter_shape: Sequence[int], lhs_dilation: Sequence[int] | None = None,
                               rhs_dilation: Sequence[int] | None = None, dimension_numbers: Any = None,
                               precision: Any = None) -> Any:
    """A convolution whose kernel differs from window to window.

    The spatial axes of `rhs` are those of the result, and its input feature axis has size
    features * places in a window, in the order of `conv_general_dilated_patches`.

    >>> kernels = np.float32([[[1, 0], [0, 10]]])
    >>> conv_general_dilated_local(np.float32([[[1, 2, 3]]]), kernels, (1,), "VALID", (2,))
    Array([[[ 1., 30.]]], dtype=float32)
    """
    x, kernel = as_operand("conv_general_dilated_local", lhs), as_operand("conv_general_dilated_local", rhs)
    numbers = conv_dimension_numbers(x.shape, kernel.shape, dimension_numbers)
    patches = conv_general_dilated_patches(x, filter_shape, window_strides, padding, lhs_dilation, rhs_dilation,
                                           numbers, precision)
    (_, taken, *places), (batch, features, *windows) = numbers.rhs_spec, numbers.out_spec
    found = dot_general(kernel, patches, (((taken,), (features,)), (tuple(places), tuple(windows))),
                        precision)
    order = [batch, features, *windows]  # of the axes (*windows, out, batch)
    source = dict(zip(order, (len(places) + 1, len(places), *range(len(places))), strict=True))
    return transpose(found, [source[i] for i in range(x.ndim)])


# ---- shapes

def conv_shape_tuple(lhs_shape: Sequence[int], rhs_shape: Sequence[int], strides: Sequence[int], pads: Any,
                     batch_group_count: int = 1) -> tuple[int, ...]:
    """Shape of an undilated convolution of (batch, features, *spatial).

    >>> conv_shape_tuple((1, 3, 9), (4, 3, 2), (2,), ((1, 1),))
    (1, 4, 5)
    """
    ones = (1,) * (len(lhs_shape) - 2)
    pads = pads_of("conv_shape_tuple", pads, lhs_shape[2:], rhs_shape[2:], strides)
    counts = window_counts(lhs_shape[2:], rhs_shape[2:], strides, pads, ones, ones)
    return (lhs_shape[0] // batch_group_count, rhs_shape[0], *counts)


def conv_general_shape_tuple(lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int],
                             padding: Any, dimension_numbers: Any) -> tuple[int, ...]:
    """Shape of an undilated convolution of any layout."""
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    found = conv_shape_tuple([lhs_shape[i] for i in numbers.lhs_spec], [rhs_shape[i] for i in numbers.rhs_spec],
                             window_strides, padding)
    return tuple([found[numbers.out_spec.index(i)] for i in range(len(found))])


def conv_transpose_shape_tuple(lhs_shape: Sequence[int], rhs_shape: Sequence[int], window_strides: Sequence[int],
                               padding: Any, dimension_numbers: Any) -> tuple[int, ...]:
    """Shape of `conv_transpose`.

    >>> conv_transpose_shape_tuple((1, 9, 3), (2, 3, 4), (2,), "SAME", ("NWC", "WIO", "NWC"))
    (1, 18, 4)
    """
    numbers = conv_dimension_numbers(lhs_shape, rhs_shape, dimension_numbers)
    window, places = [rhs_shape[i] for i in numbers.rhs_spec[2:]], [lhs_shape[i] for i in numbers.lhs_spec[2:]]
    ones = (1,) * len(window)
    pads = [_transposing_pads(k, s, padding) for k, s in zip(window, window_strides, strict=True)] if isinstance(
        padding, str) else pads_of("conv_transpose_shape_tuple", padding, places, window, ones)
    counts = window_counts(places, window, ones, pads, window_strides, ones)
    sizes = (lhs_shape[numbers.lhs_spec[0]], rhs_shape[numbers.rhs_spec[0]], *counts)
    return tuple([sizes[numbers.out_spec.index(i)] for i in range(len(sizes))])
