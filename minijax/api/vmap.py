"""`vmap`: a function of examples becomes one of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import check_callable, flatten_values, function_name, leaf_names
from minijax.api.boundary import boundary
from minijax.api.jit import eagerly_jitted
from minijax.api.differentiate import FlatFunction, as_result
from minijax.errors import MinijaxTypeError, MinijaxValueError, TreeError
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.tracing.array import typeof


@boundary
def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, axis_name: Any = None,
         axis_size: int | None = None, spmd_axis_name: Any = None) -> Callable[..., Any]:
    """A function that applies `fun` to each example of a batch, vectorized.

    `in_axes` says along which axis each argument is batched: an int, None for the same value for all
    examples, or a tuple with one item (a pytree prefix of such) for each argument.  `out_axes` says where
    the results' batch axes go.  `axis_name` names the axis; `axis_size` is needed only if nothing is batched.
    Raises `MinijaxValueError` for axes out of range and sizes that differ, naming the arguments.

    >>> import numpy as np
    >>> vmap(lambda x, y: x * y, in_axes=(0, None))(np.arange(3.0), 2.0)
    Array([0., 2., 4.], dtype=float32)
    """
    check_callable("vmap", fun)
    if isinstance(in_axes, list):
        in_axes = tuple(in_axes)
    if not isinstance(in_axes, (int, tuple, type(None), dict)) or isinstance(in_axes, bool):
        raise MinijaxTypeError(f"vmap: in_axes is an int, None or a tuple of them, got {in_axes!r}.")
    if axis_size is not None and not isinstance(axis_size, (int, np.integer)):
        raise MinijaxTypeError(f"vmap: axis_size is an int, got {axis_size!r}.")

    options = in_axes, out_axes, axis_name, axis_size
    return eagerly_jitted(fun, ("vmap", *options), lambda f: _vmap(f, *options))


def _vmap(fun: Callable[..., Any], in_axes: Any, out_axes: Any, axis_name: Any,
          axis_size: int | None) -> Callable[..., Any]:
    @functools.wraps(fun)
    def vmap_fun(*args: Any, **kwargs: Any) -> Any:
        leaves, in_tree = flatten_values("vmap", fun, args, kwargs)
        named = len(pytree.leaves(kwargs)) if kwargs else 0
        axes = flat_axes(fun, in_axes, args, len(leaves) - named) + [0] * named
        axes = [check_axis(fun, args, kwargs, i, x, axis) for i, (x, axis) in enumerate(zip(leaves, axes, strict=True))]
        size = batch_size(fun, args, kwargs, leaves, axes, axis_size)
        flat = FlatFunction("vmap", lambda a, k: fun(*a, **k), in_tree)
        outs, found = batch_flat(flat, size, leaves, axes, axis_name)
        wanted = flat_out_axes(fun, out_axes, flat.out_tree)
        placed = [place_result(fun, x, size, axis, want) for x, axis, want in zip(outs, found, wanted, strict=True)]
        return flat.out_tree.unflatten(placed)

    return vmap_fun


def is_axis(x: Any) -> bool:
    """Whether `x` is a leaf of an axes tree."""
    return x is None


def flat_axes(fun: Any, in_axes: Any, args: Sequence[Any], count: int) -> list[Any]:
    """The batch axis of each of the `count` leaves of the arguments."""
    if isinstance(in_axes, tuple) and len(in_axes) != len(args):
        raise MinijaxValueError(f"vmap of {function_name(fun)}: in_axes {in_axes} has {len(in_axes)} items, but the "
                                f"function was called with {len(args)} positional arguments. Give one item for each.")
    if type(in_axes) is int:
        return [in_axes] * count
    try:
        axes = pytree.broadcast_prefix(in_axes, tuple(args), is_leaf=is_axis)
    except TreeError as error:
        raise TreeError(f"vmap of {function_name(fun)}: in_axes is no prefix of the arguments: {error} "
                        "Give each argument an int, None, or a tree of its own structure.") from None
    for axis in axes:
        if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
            raise MinijaxTypeError(f"vmap: in_axes holds ints and None, got {axis!r} in {in_axes!r}.")
    return axes


def check_axis(fun: Any, args: Any, kwargs: Any, number: int, x: Any, axis: int | None) -> int | None:
    """The axis, non-negative; raises `MinijaxValueError` if the leaf has no such axis."""
    if axis is None:
        return None
    ndim = len(typeof(x).shape)
    if not -ndim <= axis < ndim:
        name = leaf_names(fun, args, kwargs)[number]
        raise MinijaxValueError(f"vmap of {function_name(fun)}: argument {name} has type {typeof(x)}, so it has no "
                                f"axis {axis} to batch over. Its axes are {list(range(ndim))}; use None in in_axes to "
                                "pass it to every example as it is.")
    return axis % ndim


def batch_size(fun: Any, args: Any, kwargs: Any, leaves: list[Any], axes: list[int | None],
               axis_size: int | None) -> int:
    """The common size of the batched axes."""
    sizes = [typeof(x).shape[axis] for x, axis in zip(leaves, axes, strict=True) if axis is not None]
    if axis_size is not None:
        sizes.append(axis_size)
    if not sizes:
        raise MinijaxValueError(f"vmap of {function_name(fun)}: nothing is batched (every entry of in_axes is None), "
                                "so the batch size is unknown. Give one argument a batch axis, or pass axis_size.")
    if len(set(sizes)) > 1:
        names = leaf_names(fun, args, kwargs)
        lines = [f"  argument {name}: {typeof(x).shape[axis]} (axis {axis} of {typeof(x)})"
                 for name, x, axis in zip(names, leaves, axes, strict=True) if axis is not None]
        if axis_size is not None:
            lines.append(f"  axis_size: {axis_size}")
        raise MinijaxValueError("\n".join([
            f"vmap of {function_name(fun)}: the sizes of the batched axes differ:", *lines,
            "Make them equal, or use None in in_axes for what is not batched."]))
    return sizes[0]


def flat_out_axes(fun: Any, out_axes: Any, out_tree: Any) -> list[Any]:
    """Where the batch axis of each result goes."""
    if type(out_axes) is int:
        return [out_axes] * out_tree.num_leaves
    wanted = tuple(out_axes) if isinstance(out_axes, list) else out_axes
    try:
        axes = pytree.broadcast_prefix(wanted, out_tree.unflatten(range(out_tree.num_leaves)), is_leaf=is_axis)
    except TreeError as error:
        raise TreeError(f"vmap of {function_name(fun)}: out_axes is no prefix of the result: {error} "
                        "Give each result an int, None, or a tree of its own structure.") from None
    for axis in axes:
        if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
            raise MinijaxTypeError(f"vmap: out_axes holds ints and None, got {axis!r} in {out_axes!r}.")
    return axes


def place_result(fun: Any, x: Any, size: int, axis: int | None, wanted: int | None) -> Any:
    """A result with its batch axis where `out_axes` wants it."""
    if wanted is None:
        if axis is not None:
            raise MinijaxValueError(f"vmap of {function_name(fun)}: out_axes is None for a result that differs between "
                                    "examples. Use an axis, or reduce over the batch.")
        return as_result(x)
    ndim = len(typeof(x).shape) + (axis is None)
    if not -ndim <= wanted < ndim:
        raise MinijaxValueError(f"vmap of {function_name(fun)}: out_axes asks for axis {wanted} of a batched result "
                                f"with {ndim} axes.")
    return as_result(place_axis(x, size, axis, wanted % ndim))
