"""What the normalizing modules share: the axes they run over, and a scale and an offset, learned or given.

A module has its own scale and offset (`create_scale`, `create_offset`; ones and zeros by default), is given them in
each call, or has none.  Here are the checks of both, so that every module says the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.haiku.parameters import get_parameter
from minijax.haiku.refusals import refusal

__all__ = ["Axes", "as_axes", "check_given", "parameter_shape", "positions", "prepare", "scale_and_offset"]

Axes = tuple[int, ...] | slice


def as_axes(module: Any, name: str, axis: Any) -> Axes:
    """The argument `axis` of a module (an int, several, or a slice) as a tuple or a slice; `name` is what it is called.

    >>> as_axes(None, "axis", [1, 2])
    (1, 2)
    """
    if isinstance(axis, slice):
        return axis
    if isinstance(axis, int):
        return (axis,)
    if isinstance(axis, Iterable) and all(isinstance(position, int) for position in axis):
        return tuple(axis)
    raise refusal(module, f"`{name}` should be an int, slice or iterable of ints. Got: {axis!r}",
                  "-1 is the last axis, slice(1, None) all but the first.")


def positions(module: Any, name: str, axes: Axes, ndim: int) -> tuple[int, ...]:
    """The axes of an array of rank `ndim` that `axes` means, as sorted numbers from 0.

    >>> positions(None, "axis", (-1, 1), 3), positions(None, "axis", slice(1, None), 3)
    ((1, 2), (1, 2))
    """
    if isinstance(axes, slice):
        return tuple(range(ndim)[axes])
    outside = [position for position in axes if not -ndim <= position < ndim]
    if outside:
        raise refusal(module, f"`{name}` names axis {outside[0]}, but the inputs have {ndim} axes",
                      f"Use axes from {-ndim} to {ndim - 1}.")
    return tuple(sorted({position % ndim for position in axes}))


def parameter_shape(axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a scale that differs along `axes` of an input of this shape, as Haiku stores it.

    It is the input's, with 1 for the axes that share; but where only the last axis counts, that size alone.

    >>> parameter_shape((2,), (8, 4, 3)), parameter_shape((1,), (8, 4, 3))
    ((3,), (1, 4, 1))
    """
    if axes == (len(shape) - 1,):
        return shape[-1:]
    return tuple(size if position in axes else 1 for position, size in enumerate(shape))


def prepare(module: Any, create_scale: bool, create_offset: bool, scale_init: Any = None,
            offset_init: Any = None) -> None:
    """Store what the constructor was told of scale and offset; refuse an initializer that nothing would use."""
    for name, create, init in (("scale", create_scale, scale_init), ("offset", create_offset, offset_init)):
        if init is not None and not create:
            raise refusal(module, f"Cannot set `{name}_init` if `create_{name}=False`",
                          f"Pass create_{name}=True, or leave {name}_init out.")
    module.create_scale, module.create_offset = create_scale, create_offset
    module.scale_init, module.offset_init = scale_init or jnp.ones, offset_init or jnp.zeros


def check_given(module: Any, scale: Any, offset: Any) -> None:
    """Refuse a scale or an offset given to a module that has its own."""
    for name, create, value in (("scale", module.create_scale, scale), ("offset", module.create_offset, offset)):
        if create and value is not None:
            raise refusal(module, f"Cannot pass `{name}` at call time if `create_{name}=True`",
                          f"Construct the module with create_{name}=False, or leave `{name}` out of the call.")


def scale_and_offset(module: Any, x: Any, shape: tuple[int, ...], scale: Any, offset: Any) -> tuple[Any, Any]:
    """The scale and the offset for inputs `x`, of its rank: learned, of this shape, or given, or 1 and 0."""
    if module.create_scale:
        scale = get_parameter("scale", shape, x.dtype, init=module.scale_init)
    elif scale is None:
        scale = jnp.ones((), x.dtype)
    if module.create_offset:
        offset = get_parameter("offset", shape, x.dtype, init=module.offset_init)
    elif offset is None:
        offset = jnp.zeros((), x.dtype)
    return tuple(lax.broadcast_to_rank(jnp.asarray(value), x.ndim) for value in (scale, offset))
