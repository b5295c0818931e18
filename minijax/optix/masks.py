"""A transformation for some of the parameters only."""

from __future__ import annotations

from typing import Any, NamedTuple

from minijax import tree
from minijax.errors import MinijaxTypeError
from minijax.optix.checks import fields
from minijax.optix.transformation import (GradientTransformation, GradientTransformationExtraArgs,
                                          check_transformation, run_stage)
from minijax.tracing.source import at_line


class MaskedNode(NamedTuple):
    """What the inner transformation finds in place of a subtree that is hidden from it."""


class MaskedState(NamedTuple):
    """The state of the inner transformation."""

    inner_state: Any


def masked(inner: GradientTransformation, mask: Any, *,
           mask_compatible_extra_args: bool = False) -> GradientTransformationExtraArgs:
    """The transformation `inner` for those leaves where `mask` is true; the others keep their updates.

    `mask` is a tree of booleans that the parameters' tree begins with, or a function from such a tree to one;
    `mask_compatible_extra_args` applies it to keywords of `update` that are such trees, too.  Raises `MinijaxTypeError`
    for a mask of anything else, `TreeError` for one of another structure.

    >>> import minijax.numpy as jnp
    >>> from minijax.optix import scale
    >>> half = masked(scale(0.5), {"w": True, "b": False})
    >>> params = {"w": jnp.float32(4.0), "b": jnp.float32(4.0)}
    >>> print(half.update(params, half.init(params))[0])
    {'b': Array(4., dtype=float32), 'w': Array(2., dtype=float32)}
    """
    check_transformation("masked: inner", inner)

    def visible(flags: Any, values: Any) -> Any:
        return tree.map(lambda flag, value: value if flag else MaskedNode(), flags, values)

    def init(params: Any) -> MaskedState:
        return MaskedState(inner.init(visible(flags_of(mask, params), params)))

    def update(updates: Any, state: MaskedState, params: Any = None, **extra: Any) -> tuple[Any, MaskedState]:
        flags = flags_of(mask, updates)
        seen = None if params is None else visible(flags, params)
        old = fields("masked", state, MaskedState).inner_state
        if mask_compatible_extra_args:
            whole = tree.structure(updates)
            extra = {name: visible(flags, value) if tree.structure(value) == whole else value
                     for name, value in extra.items()}
        changed, new = run_stage(inner, visible(flags, updates), old, seen, extra)
        merged = tree.map(lambda flag, new, old: new if flag else old, flags, changed, updates)
        return merged, MaskedState(new)

    return GradientTransformationExtraArgs(init, update)


def flags_of(mask: Any, values: Any) -> Any:
    """The tree of booleans that a mask gives for these values."""
    flags = mask(values) if callable(mask) else mask
    for flag in tree.leaves(flags):
        if not isinstance(flag, bool):
            raise MinijaxTypeError(f"masked: the mask is a tree of True and False, got a {type(flag).__name__} in it"
                                   f"{at_line()}. Use Python booleans, which are known while tracing.")
    return flags
