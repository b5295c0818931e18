"""Functions that move elements: reshape, transpose, join, cut, repeat, roll, pad, triangles."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.numpy.creation import asarray
from minijax.numpy.operands import axes_of, axis_of, converted, dtype_of, operand, shape_from
from minijax.ops import slicing, structural
from minijax.ops.families import reshape as reshape_to
from minijax.ops.families import transpose as permute
from minijax.ops.promotion import broadcast_shapes as common_shape
from minijax.ops.promotion import broadcast_to as repeat_to
from minijax.ops.promotion import promoted
from minijax.tracing.array import Array, Tracer
from minijax.tracing.source import at_line
from minijax.util import size_of


# ---- shape, size, ndim ----

def shape(a: Any) -> tuple[int, ...]:
    """Sizes of the axes; nested lists are read as arrays.

    >>> shape([[1, 2, 3]])
    (1, 3)
    """
    return a.shape if hasattr(a, "shape") else np.shape(a)


def ndim(a: Any) -> int:
    """Number of axes."""
    return len(shape(a))


def size(a: Any, axis: Any = None) -> int:
    """Number of elements, or the size along axes."""
    sizes = shape(a)
    return size_of([sizes[i] for i in axes_of("size", axis, len(sizes))])


# ---- axes ----

def _new_sizes(a: Any, shape: Any) -> tuple[int, ...]:
    sizes = [operator.index(n) for n in shape] if isinstance(shape, (tuple, list)) or not isinstance(
        shape, int | np.integer | Tracer) else [operator.index(shape)]
    if sizes.count(-1) > 1:
        raise MinijaxValueError(f"reshape: the shape {tuple(sizes)} leaves more than one size (-1) open{at_line()}.")
    if -1 in sizes:
        rest = size_of([n for n in sizes if n != -1])
        if not rest or a.size % rest:
            raise ShapeError(f"reshape: an array of shape {a.shape} and size {a.size} cannot take the shape "
                             f"{tuple(sizes)}{at_line()}: {a.size} is no multiple of {rest}.")
        sizes[sizes.index(-1)] = a.size // rest
    return tuple(sizes)


def reshape(a: Any, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    """The same elements in another shape; one size may be -1.  `order` 'F' counts the first axis fastest.

    >>> reshape(np.arange(4), (2, -1)).shape
    (2, 2)
    """
    a = operand("reshape", a)
    sizes = _new_sizes(a, shape)
    if order == "C":
        return reshape_to(a, sizes)
    if order != "F":
        raise NotImplementedError(f"reshape: order is 'C' or 'F', got {order!r}.")
    return _backwards(reshape_to(_backwards(a), sizes[::-1]))


def _backwards(x: Any) -> Any:
    return permute(x, range(x.ndim)[::-1])


def ravel(a: Any, order: str = "C") -> Any:
    """The elements in one axis."""
    return reshape(a, (-1,), order) if operand("ravel", a).size else reshape(a, (0,))


def transpose(a: Any, axes: Any = None) -> Any:
    """Axes in another order, reversed by default.

    >>> transpose(np.ones((2, 3, 4)), (0, 2, 1)).shape
    (2, 4, 3)
    """
    a = operand("transpose", a)
    order = tuple(range(a.ndim))[::-1] if axes is None else axes_of("transpose", tuple(axes), a.ndim)
    return permute(a, order)


def matrix_transpose(x: Any, /) -> Any:
    """The last two axes swapped."""
    x = operand("matrix_transpose", x)
    if x.ndim < 2:
        raise MinijaxValueError(f"matrix_transpose takes arrays of two or more axes, got shape {x.shape}{at_line()}.")
    return swapaxes(x, -1, -2)


def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Two axes swapped."""
    a = operand("swapaxes", a)
    i, j = axis_of("swapaxes", axis1, a.ndim), axis_of("swapaxes", axis2, a.ndim)
    order = list(range(a.ndim))
    order[i], order[j] = j, i
    return permute(a, order)


def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other places; the others keep their order.

    >>> moveaxis(np.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    a = operand("moveaxis", a)
    sources, places = axes_of("moveaxis", source, a.ndim), axes_of("moveaxis", destination, a.ndim)
    if len(sources) != len(places):
        raise MinijaxValueError(f"moveaxis: {len(sources)} axes and {len(places)} destinations{at_line()}.")
    order = [i for i in range(a.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return permute(a, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """One axis moved before another; `moveaxis` is clearer."""
    a = operand("rollaxis", a)
    axis, start = axis_of("rollaxis", axis, a.ndim), start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


def squeeze(a: Any, axis: Any = None) -> Any:
    """Without axes of size 1, all of them by default.

    >>> squeeze(np.ones((1, 2, 1)), 0).shape
    (2, 1)
    """
    a = operand("squeeze", a)
    axes = [i for i, n in enumerate(a.shape) if n == 1] if axis is None else axes_of("squeeze", axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise MinijaxValueError(f"squeeze: the axes {tuple(axes)} of shape {a.shape} are not all of size 1{at_line()}.")
    return structural.squeeze(a, axes)


def expand_dims(a: Any, axis: Any) -> Any:
    """With new axes of size 1, at the places `axis` of the result.

    >>> expand_dims(np.ones(3), (0, -1)).shape
    (1, 3, 1)
    """
    a = operand("expand_dims", a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return structural.expand_dims(a, axes_of("expand_dims", tuple(axes), a.ndim + len(axes)))


def broadcast_to(array: Any, shape: Any) -> Any:
    """`array` repeated to a shape that its own broadcasts to; raises `ShapeError`.

    >>> broadcast_to(np.ones(3), (2, 3)).shape
    (2, 3)
    """
    array, sizes = operand("broadcast_to", array), shape_from("broadcast_to", shape)
    fits = array.ndim <= len(sizes) and all(
        n in (1, m) for n, m in zip(array.shape[::-1], sizes[::-1], strict=False))
    if not fits:
        raise ShapeError(f"broadcast_to: the shape {array.shape} does not broadcast to {sizes}{at_line()}.")
    return repeat_to(array, sizes)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that shapes broadcast to.

    >>> broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    return common_shape("broadcast_shapes", [shape_from("broadcast_shapes", s) for s in shapes])


def broadcast_arrays(*args: Any) -> list[Any]:
    """Arrays at their common shape."""
    arrays = [operand("broadcast_arrays", x) for x in args]
    common = common_shape("broadcast_arrays", [x.shape for x in arrays])
    return [repeat_to(x, common) for x in arrays]


def _at_least(count: int) -> Callable[..., Any]:
    def function(*arys: Any) -> Any:
        out = [_with_axes(asarray(x), count) for x in arys]
        return out[0] if len(out) == 1 else out

    function.__name__ = function.__qualname__ = f"atleast_{count}d"
    function.__doc__ = f"Arrays of {count} axes at least; one argument gives one array, several a list."
    return function


def _with_axes(x: Any, count: int) -> Any:
    if x.ndim >= count:
        return x
    last = count == 3 and x.ndim > 0
    x = structural.expand_dims(x, range(count - x.ndim - last))
    return structural.expand_dims(x, (2,)) if last else x


atleast_1d, atleast_2d, atleast_3d = _at_least(1), _at_least(2), _at_least(3)


# ---- joining ----

def _pieces(name: str, arrays: Any, dtype: Any) -> list[Any]:
    if isinstance(arrays, Array):
        arrays = list(arrays)
    if not isinstance(arrays, (list, tuple, np.ndarray)):
        raise MinijaxTypeError(f"{name} takes a sequence of arrays, got {type(arrays).__name__}{at_line()}.")
    if not len(arrays):
        raise MinijaxValueError(f"{name} takes at least one array{at_line()}.")
    pieces = promoted(name, *[operand(name, x) for x in arrays])
    dtype = dtype_of(name, dtype)
    return pieces if dtype is None else [converted(x, dtype) for x in pieces]


def concatenate(arrays: Any, axis: int | None = 0, dtype: Any = None) -> Any:
    """Arrays joined along an axis they have; None flattens them first.

    >>> concatenate([np.ones(2), np.zeros(1)])
    Array([1., 1., 0.], dtype=float32)
    """
    pieces = _pieces("concatenate", arrays, dtype)
    if axis is None:
        pieces, axis = [ravel(x) for x in pieces], 0
    if not pieces[0].ndim:
        raise MinijaxValueError(f"concatenate: arrays without axes cannot be joined{at_line()}. Use stack.")
    return structural.concatenate(pieces, axis_of("concatenate", axis, pieces[0].ndim))


def concat(arrays: Any, /, *, axis: int | None = 0) -> Any:
    """As `concatenate`."""
    return concatenate(arrays, axis)


def stack(arrays: Any, axis: int = 0, out: None = None, dtype: Any = None) -> Any:
    """Arrays of one shape joined along a new axis.

    >>> stack([np.ones(2), np.zeros(2)], axis=1).shape
    (2, 2)
    """
    pieces = _pieces("stack", arrays, dtype)
    if len({x.shape for x in pieces}) > 1:
        raise MinijaxValueError(f"stack: the shapes {[x.shape for x in pieces]} differ{at_line()}. They must be equal.")
    place = axis_of("stack", axis, pieces[0].ndim + 1)
    return _stack(*pieces, axis=place)


def _stack_of(*pieces: Any, axis: int) -> Any:
    return structural.concatenate([structural.expand_dims(x, (axis,)) for x in pieces], axis)


_stack = fused(_stack_of, static_argnames=("axis",))


def vstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the first axis, vectors as rows."""
    return concatenate([atleast_2d(x) for x in tup], 0, dtype)


def hstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the second axis, vectors along their only one."""
    pieces = [atleast_1d(x) for x in tup]
    return concatenate(pieces, 0 if pieces[0].ndim == 1 else 1, dtype)


def dstack(tup: Any, dtype: Any = None) -> Any:
    """Arrays joined along the third axis."""
    return concatenate([atleast_3d(x) for x in tup], 2, dtype)


def column_stack(tup: Any) -> Any:
    """Vectors, and matrices, joined as columns."""
    return concatenate([x if ndim(x) > 1 else reshape(x, (-1, 1)) for x in map(asarray, tup)], 1)


def append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """`values` joined to the end of `arr`, along an axis or both flattened."""
    return concatenate([arr, values], axis)


# ---- cutting ----

def _cut(name: str, ary: Any, sections: Any, axis: int, even: bool) -> list[Any]:
    ary = operand(name, ary)
    axis = axis_of(name, axis, ary.ndim)
    length = ary.shape[axis]
    if isinstance(sections, (tuple, list, np.ndarray)) or isinstance(sections, Array) and sections.ndim:
        edges = [0, *[slice(None, operator.index(i)).indices(length)[1] for i in sections], length]
        spans = [(low, max(low, high)) for low, high in zip(edges[:-1], edges[1:], strict=True)]
        if all(low <= high for low, high in zip(edges[:-1], edges[1:], strict=True)):
            return list(structural.split(ary, [high - low for low, high in spans], axis))
        return [slicing.slice_(ary, *_span(ary.shape, axis, *span)) for span in spans]
    count = operator.index(sections)
    each, rest = divmod(length, count)
    if even and rest:
        raise MinijaxValueError(f"{name}: axis {axis} of size {length} cannot be cut into {count} equal pieces"
                                f"{at_line()}. "
                                "Use array_split for pieces of unequal sizes.")
    return list(structural.split(ary, [each + 1] * rest + [each] * (count - rest), axis))


def _span(shape: Sequence[int], axis: int, low: int, high: int) -> tuple[list[int], list[int]]:
    return [low if i == axis else 0 for i in range(len(shape))], [high if i == axis else n for i, n in enumerate(shape)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """A list of pieces along an axis: that many equal ones, or cut before each of the given places.

    >>> [x.shape for x in split(np.ones(6), [1, 3])]
    [(1,), (2,), (3,)]
    """
    return _cut("split", ary, indices_or_sections, axis, True)


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """As `split`; the first pieces are one longer if the size is no multiple."""
    return _cut("array_split", ary, indices_or_sections, axis, False)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the first axis."""
    return split(ary, indices_or_sections, 0)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the second axis, of vectors along their only one."""
    return split(ary, indices_or_sections, 0 if ndim(ary) == 1 else 1)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the third axis."""
    return split(ary, indices_or_sections, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """The slices along an axis, as a tuple."""
    x = operand("unstack", x)
    axis = axis_of("unstack", axis, x.ndim)
    return tuple([structural.squeeze(piece, (axis,)) for piece in structural.split(x, [1] * x.shape[axis], axis)])
