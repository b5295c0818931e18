"""`vmap`: a function of examples becomes one of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.api.arguments import check_callable, spread
from minijax.api.boundary import boundary
from minijax.api.jit import eagerly_jitted
from minijax.api.differentiate import FlatFunction, as_result
from minijax.calls.arguments import Arguments
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


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
    in_axes, out_axes = (tuple(axes) if isinstance(axes, list) else axes for axes in (in_axes, out_axes))
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
        call = Arguments("vmap", fun, args, kwargs).checked()
        axes = argument_axes(call, in_axes)
        size = batch_size(call, axes, axis_size)
        flat = FlatFunction(call)
        outs, found = batch_flat(flat, size, call.leaves, axes, axis_name)
        wanted = spread(call.who, "out_axes", out_axes, "result", flat.out_tree.unflatten(outs), is_axis,
                        "ints and None")
        placed = [place_result(call.who, x, size, axis, want)
                  for x, axis, want in zip(outs, found, wanted, strict=True)]
        return flat.out_tree.unflatten(placed)

    return vmap_fun


def is_axis(x: Any) -> bool:
    """Whether `x` is an entry of `in_axes` or `out_axes`."""
    return x is None or isinstance(x, int) and not isinstance(x, bool)


def argument_axes(call: Arguments, in_axes: Any) -> list[int | None]:
    """The batch axis of each leaf of a call, not negative; arguments by keyword are batched along axis 0."""
    if isinstance(in_axes, tuple) and len(in_axes) != len(call.args):
        raise MinijaxValueError(f"{call.who}: in_axes {in_axes} has {len(in_axes)} items, but the function was called "
                                f"with {len(call.args)} positional arguments{at_line()}. Give one item for each.")
    moving = range(len(call.args)) if call.positions is None else call.positions
    prefix = tuple([in_axes[n] for n in moving]) if isinstance(in_axes, tuple) else in_axes
    args = tuple([call.args[n] for n in moving])
    by_position = spread(call.who, "in_axes", prefix, "arguments", args, is_axis, "ints and None")
    axes = by_position + [0] * (len(call.leaves) - len(by_position))
    for number, (axis, type) in enumerate(zip(axes, call.types(), strict=True)):
        if axis is not None and not -type.ndim <= axis < type.ndim:
            raise MinijaxValueError(f"{call.who}: {call.names()[number]} has type {type}, so it has no axis {axis} to "
                                    f"batch over{at_line()}. Its axes are {list(range(type.ndim))}; use None in "
                                    "in_axes to pass it to every example as it is.")
        axes[number] = axis if axis is None else axis % type.ndim
    return axes


def batch_size(call: Arguments, axes: list[int | None], axis_size: int | None) -> int:
    """The common size of the batched axes."""
    batched = [(number, axis) for number, axis in enumerate(axes) if axis is not None]
    types = call.types()
    sizes = [types[number].shape[axis] for number, axis in batched]
    if axis_size is not None:
        sizes.append(axis_size)
    if not sizes:
        raise MinijaxValueError(f"{call.who}: nothing is batched (every entry of in_axes is None), so the batch size "
                                f"is unknown{at_line()}. Give one argument a batch axis, or pass axis_size.")
    if len(set(sizes)) > 1:
        names = call.names()
        lines = [f"  {names[number]}: {size} (axis {axis} of {types[number]})"
                 for (number, axis), size in zip(batched, sizes, strict=False)]
        if axis_size is not None:
            lines.append(f"  axis_size: {axis_size}")
        raise MinijaxValueError("\n".join([f"{call.who}: the sizes of the batched axes differ{at_line()}:", *lines,
                                           "Make them equal, or use None in in_axes for what is not batched."]))
    return sizes[0]


def place_result(who: str, x: Any, size: int, axis: int | None, wanted: int | None) -> Any:
    """A result with its batch axis where `out_axes` wants it."""
    if wanted is None:
        if axis is not None:
            raise MinijaxValueError(f"{who}: out_axes is None for a result that differs between examples"
                                    f"{at_line()}. Use an axis, or reduce over the batch.")
        return as_result(x)
    ndim = len(typeof(x).shape) + (axis is None)
    if not -ndim <= wanted < ndim:
        raise MinijaxValueError(f"{who}: out_axes asks for axis {wanted} of a result with {ndim} axes{at_line()}.")
    return as_result(place_axis(x, size, axis, wanted % ndim))
