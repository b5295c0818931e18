"""conv_general_dilated: windows of x times a kernel, the op of convolutional networks.

`dimension_numbers` says which axes of x, kernel and result are (batch, features, *spatial), for the
kernel (output features, input features, *spatial).  For features f of group g of the result:

    out[n, f, i] = sum over c, k of  x[n, g c, i * stride + k * rhs_dilation - low] * kernel[f, c, k]

where x is padded and has lhs_dilation - 1 zeros between neighbours.  With batch groups it is the batch
axis of x that is cut into groups.  Bilinear: both transposes, and vmap over either or both
operands, are convolutions again, with groups for what runs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.text import register_named
from minijax.ir.types import ArrayType
from minijax.ops import reference_windows as reference
from minijax.ops.comparison import not_a_key
from minijax.ops.conversion import convert_element_type
from minijax.ops.dot import bilinear_jvp
from minijax.ops.families import accepts, moveaxis, reshape, same_dtype, shape_of
from minijax.ops.structural import rev, zeros_of
from minijax.ops.window_shapes import (Pads, check_padding, check_windows, dilated, transposed_padding,
                                       window_counts)
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import size_of


@register_named
class ConvDimensionNumbers(NamedTuple):
    """Which axes are which in a convolution; the fields are JAX's.

    `lhs_spec` and `out_spec` are (batch, features, *spatial) axes, `rhs_spec` those of
    (output features, input features, *spatial).
    """

    lhs_spec: tuple[int, ...]
    rhs_spec: tuple[int, ...]
    out_spec: tuple[int, ...]


# ---- type

def _sizes(x: Any, spec: Sequence[int]) -> tuple[int, ...]:
    shape = x.shape if type(x) is ArrayType else shape_of(x)
    return tuple([shape[axis] for axis in spec])


def _check_axes(x: ArrayType, kernel: ArrayType, numbers: ConvDimensionNumbers) -> None:
    if x.ndim != kernel.ndim or x.ndim < 2:
        raise ShapeError(f"conv_general_dilated: the operand {x} and the kernel {kernel} must have the same number of "
                         f"axes, batch and features among them{at_line()}. Reshape one of them.")
    for field, spec in zip(numbers._fields, numbers, strict=True):
        if sorted(spec) != list(range(x.ndim)):
            raise ShapeError(f"conv_general_dilated: {field} is {spec}{at_line()}. It must name each of the {x.ndim} "
                             "axes once: (batch, features, *spatial).")


def _check_groups(batch: int, features: int, kernel_out: int, kernel_in: int, feature_groups: int,
                  batch_groups: int) -> None:
    def wrong(what: str) -> ShapeError:
        return ShapeError(f"conv_general_dilated: {what}{at_line()}. A kernel takes (input features / "
                          "feature_group_count) features, and the groups divide its output features.")

    if min(feature_groups, batch_groups) < 1 or max(feature_groups, batch_groups) > 1 < min(
            feature_groups, batch_groups):
        raise wrong(f"feature_group_count is {feature_groups} and batch_group_count {batch_groups}, of which one "
                    "must be 1 and both positive")
    if features != feature_groups * kernel_in:
        raise wrong(f"the operand has {features} features in {feature_groups} groups, but the kernel takes {kernel_in}")
    if batch % batch_groups:
        raise wrong(f"batch_group_count {batch_groups} does not divide the batch of size {batch}")
    if kernel_out % (feature_groups * batch_groups):
        raise wrong(f"{feature_groups * batch_groups} groups do not divide the kernel's {kernel_out} output features")


def preferred_type(name: str, dtype: Any, preferred: Any) -> Any:
    """The dtype of a product of `dtype`s, if this one is preferred; raises `DtypeError` for what loses meaning."""
    if preferred is None or preferred == dtype:
        return dtype
    kinds = [(dtypes.is_integer(each), dtypes.is_float(each), dtypes.is_complex(each)) for each in (dtype, preferred)]
    allowed = kinds[0] == kinds[1] or (kinds[0][0] and kinds[1][1])
    if not allowed or dtype == dtypes.bool_ or dtype.itemsize > preferred.itemsize:
        raise DtypeError(f"{name} of {dtype} cannot give {preferred}{at_line()}. preferred_element_type must hold what "
                         "the operands hold: integers may become wider or floats, floats wider floats.")
    return preferred


def _conv_type(x: ArrayType, kernel: ArrayType, *, window_strides: tuple[int, ...], padding: Pads,
               lhs_dilation: tuple[int, ...], rhs_dilation: tuple[int, ...], dimension_numbers: ConvDimensionNumbers,
               feature_group_count: int, batch_group_count: int, precision: Any,
               preferred_element_type: Any) -> tuple[ArrayType]:
    name = "conv_general_dilated"
    dtype = same_dtype(name, (x, kernel))
    accepts(name, dtype, not_a_key, "numeric or bool")
    _check_axes(x, kernel, dimension_numbers)
    x_spec, kernel_spec, out_spec = dimension_numbers
    (batch, features, *places), (kernel_out, kernel_in, *window) = _sizes(x, x_spec), _sizes(kernel, kernel_spec)
    check_windows(name, len(places), window, padding, window_strides=window_strides, lhs_dilation=lhs_dilation,
                  rhs_dilation=rhs_dilation)
    check_padding(name, places, padding, lhs_dilation)
    _check_groups(batch, features, kernel_out, kernel_in, feature_group_count, batch_group_count)
    counts = window_counts(places, window, window_strides, padding, lhs_dilation, rhs_dilation)
    sizes = dict(zip(out_spec, (batch // batch_group_count, kernel_out, *counts), strict=True))
    return (ArrayType(tuple([sizes[i] for i in range(x.ndim)]), preferred_type(name, dtype, preferred_element_type),
                      preferred_element_type is None and x.weak_type and kernel.weak_type),)


def _conv_eval(x: np.ndarray, kernel: np.ndarray, *, precision: Any, preferred_element_type: Any,
               **params: Any) -> tuple[np.ndarray]:
    return (reference.conv_general_dilated(x, kernel, dtype=preferred_element_type, **params),)


# ---- moving what runs together from one axis to another

def split_axis(x: Any, axis: int, count: int) -> Any:
    """An axis of size count * n as two, of sizes count and n."""
    shape = shape_of(x)
    return reshape(x, (*shape[:axis], count, shape[axis] // count, *shape[axis + 1:]))


def merge_axis(x: Any, source: int, target: int) -> Any:
    """An axis made the slow part of axis `target`, which is counted without it."""
    shape = shape_of(x := moveaxis(x, source, target))
    return reshape(x, (*shape[:target], shape[target] * shape[target + 1], *shape[target + 2:]))


def _regroup(x: Any, source: int, target: int, groups: int) -> Any:
    """Groups of the axis `source` become groups of the axis `target`."""
    return x if groups == 1 else merge_axis(split_axis(x, source, groups), source, target)


def _take_in(x: Any, axis: int, target: int, groups: int) -> Any:
    """A batch axis made part of axis `target` of an example, inside of its groups: (group, example, rest)."""
    if groups == 1:
        return merge_axis(x, axis, target)
    x = merge_axis(split_axis(moveaxis(x, axis, 0), target + 1, groups), 0, target + 1)
    return merge_axis(x, target, target)


def _take_out(x: Any, target: int, size: int, groups: int) -> Any:
    """Undo `_take_in`: the batch axis stands at `target`."""
    if groups == 1:
        return split_axis(x, target, size)
    x = split_axis(split_axis(x, target, groups), target + 1, size)
    return merge_axis(x, target, target + 1)


# ---- transpose

def _conv_transpose(cts: Any, x: Any, kernel: Any, **params: Any) -> Any:
    ct, other = cts[0], kernel if type(x) is Linear else x
    linear = x if type(x) is Linear else kernel
    if 0 in shape_of(ct):
        found = zeros_of(linear.type)
    else:  # the cotangent has the preferred dtype; its partner follows
        rule = _operand_cotangent if linear is x else _kernel_cotangent
        found = rule(ct, linear, convert_element_type(other, typeof(ct).dtype, typeof(other).weak_type), **params)
        found = convert_element_type(found, linear.dtype, linear.type.weak_type)
    return (found, None) if linear is x else (None, found)


def _operand_cotangent(ct: Any, x: Linear, kernel: Any, *, window_strides: Any, padding: Pads, lhs_dilation: Any,
                       rhs_dilation: Any, dimension_numbers: ConvDimensionNumbers, feature_group_count: int,
                       batch_group_count: int, **params: Any) -> Any:
    """Convolve the cotangent with the reversed kernel whose input and output features are exchanged."""
    x_spec, kernel_spec, out_spec = dimension_numbers
    groups = feature_group_count * batch_group_count
    pads = transposed_padding(_sizes(x, x_spec[2:]), _sizes(kernel, kernel_spec[2:]), _sizes(ct, out_spec[2:]),
                              window_strides, padding, lhs_dilation, rhs_dilation)
    kernel = rev(_regroup(kernel, kernel_spec[0], kernel_spec[1], groups), kernel_spec[2:])
    numbers = ConvDimensionNumbers(out_spec, (kernel_spec[1], kernel_spec[0], *kernel_spec[2:]), x_spec)
    out, = conv_general_dilated_p.bind(
        ct, kernel, window_strides=lhs_dilation, padding=pads, lhs_dilation=window_strides, rhs_dilation=rhs_dilation,
        dimension_numbers=numbers, feature_group_count=groups, batch_group_count=1, **params)
    return _regroup(out, x_spec[1], x_spec[0], batch_group_count)


def _kernel_cotangent(ct: Any, kernel: Linear, x: Any, *, window_strides: Any, padding: Pads, lhs_dilation: Any,
                      rhs_dilation: Any, dimension_numbers: ConvDimensionNumbers, feature_group_count: int,
                      batch_group_count: int, **params: Any) -> Any:
    """Convolve the operand with the cotangent as its kernel: batches are summed, features run alongside."""
    x_spec, kernel_spec, out_spec = dimension_numbers
    sizes = zip(_sizes(x, x_spec[2:]), _sizes(kernel, kernel_spec[2:]), _sizes(ct, out_spec[2:]), padding,
                window_strides, lhs_dilation, rhs_dilation, strict=True)
    pads = tuple([(low, dilated(k, d) + dilated(m, s) - 1 - dilated(n, b) - low)
                  for n, k, m, (low, _), s, b, d in sizes])
    numbers = ConvDimensionNumbers(*[(spec[1], spec[0], *spec[2:]) for spec in (x_spec, out_spec, kernel_spec)])
    return conv_general_dilated_p.bind(
        x, ct, window_strides=rhs_dilation, padding=pads, lhs_dilation=lhs_dilation, rhs_dilation=window_strides,
        dimension_numbers=numbers, feature_group_count=batch_group_count, batch_group_count=feature_group_count,
        **params)[0]


# ---- batch

def _example(type: ArrayType, axis: int | None) -> ArrayType:
    return type if axis is None else type.update(shape=(*type.shape[:axis], *type.shape[axis + 1:]))


def _conv_batch(size: int, args: Any, axes: Any, *, dimension_numbers: ConvDimensionNumbers, feature_group_count: int,
                batch_group_count: int, **params: Any) -> Any:
    (x, kernel), (x_axis, kernel_axis) = args, axes
    if not size:
        types = [_example(typeof(x), axis) for x, axis in zip(args, axes, strict=True)]
        out, = _conv_type(*types, dimension_numbers=dimension_numbers, feature_group_count=feature_group_count,
                          batch_group_count=batch_group_count, **params)
        return (zeros_of(out.update(shape=(0, *out.shape))),), (0,)
    (batch, features, *_), (kernel_out, *_), (out_batch, out_features, *_) = dimension_numbers
    groups = feature_group_count * batch_group_count
    place, inner = out_features, groups
    if kernel_axis is None:
        x, place, inner = _take_in(x, x_axis, batch, batch_group_count), out_batch, 1
    elif x_axis is None:
        kernel = _take_in(kernel, kernel_axis, kernel_out, groups)
    else:  # each example is a group, or several
        kernel, inner = merge_axis(kernel, kernel_axis, kernel_out), 1
        x = merge_axis(x, x_axis, batch if batch_group_count > 1 else features)
        batch_group_count, feature_group_count = (
            (batch_group_count * size, 1) if batch_group_count > 1 else (1, feature_group_count * size))
    out, = conv_general_dilated_p.bind(x, kernel, dimension_numbers=dimension_numbers, **params,
                                       batch_group_count=batch_group_count, feature_group_count=feature_group_count)
    return (_take_out(out, place, size, inner),), (place,)


def _conv_cost(x: ArrayType, kernel: ArrayType, **params: Any) -> int:
    """A multiplication and an addition for each element of the result, place in the window and input feature.

    The zeros between the elements of a dilated input, which gradients of strides have, are not counted.
    """
    out, = _conv_type(x, kernel, **params)
    _, kernel_in, *window = _sizes(kernel, params["dimension_numbers"].rhs_spec)
    return 2 * out.size * kernel_in * size_of(window) // size_of(params["lhs_dilation"])


conv_general_dilated_p = Op("conv_general_dilated", type=_conv_type, eval=_conv_eval, transpose=_conv_transpose,
                            batch=_conv_batch, cost=_conv_cost, traits={"dot"})
conv_general_dilated_p.jvp = bilinear_jvp(conv_general_dilated_p)
