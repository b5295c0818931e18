"""Modules and functions made of others: in sequence, over more batch axes, or from a function.

    Sequential    one after the other
    BatchApply    leading axes merged, and split again
    expand_apply  an axis more, and removed again
    to_module     a class of modules from a function
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import minijax.numpy as jnp
from minijax import tree
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.module import Module
from minijax.tracing.source import at_line


class Sequential(Module):
    """Calls layers in a row: modules or functions, the first one with any arguments, the others with one.

    >>> from minijax import haiku as hk, nn, random
    >>> model = hk.transform(lambda x: hk.Sequential([hk.Linear(4), nn.relu, hk.Linear(2)])(x))
    >>> list(model.init(random.PRNGKey(0), jnp.ones((1, 3))))
    ['linear', 'linear_1']
    """

    def __init__(self, layers: Iterable[Callable[..., Any]], name: str | None = None):
        super().__init__(name)
        self.layers = tuple(layers)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the last layer gives; without layers, the inputs."""
        if not self.layers:
            return inputs
        first, *others = self.layers
        out = first(inputs, *args, **kwargs)
        for layer in others:
            out = layer(out)
        return out


class BatchApply:
    """Calls `f` with the first `num_dims` axes of every array merged into one, and splits them in its results.

    Arrays with fewer axes are handed on as they are.  For a module made for (batch, ...), on (time, batch, ...).

    >>> BatchApply(lambda x: x.sum(-1) + x.shape[0])(jnp.ones((2, 3, 4)))
    Array([[10., 10., 10.],
           [10., 10., 10.]], dtype=float32)
    """

    def __init__(self, f: Callable[..., Any], num_dims: int = 2):
        self._f = f
        self.num_dims = num_dims

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Arguments are trees of arrays.  Raises `MinijaxValueError` if none can be merged, or no result split."""
        count = self.num_dims
        shapes = [jnp.shape(leaf) for leaf in tree.leaves((args, kwargs)) if jnp.ndim(leaf) >= count]
        if not shapes:
            found = [jnp.shape(leaf) for leaf in tree.leaves((args, kwargs))]
            raise MinijaxValueError(f"BatchApply merges {count} axes, and its arguments have shapes {found}{at_line()}."
                                    f" Give at least one array of {count} axes or more, or another num_dims.")
        merged_shape = shapes[0][:count]

        def merge(x: Any) -> Any:
            return jnp.reshape(x, (math.prod(x.shape[:count]), *x.shape[count:])) if jnp.ndim(x) >= count else x

        def split(x: Any) -> Any:
            if math.prod(jnp.shape(x)) != math.prod(merged_shape + jnp.shape(x)[1:]):
                raise MinijaxValueError(f"BatchApply: a result has shape {jnp.shape(x)}, whose first axis should have "
                                        f"size {math.prod(merged_shape)}, to be split into {merged_shape}{at_line()}. "
                                        "Keep the batch axis first in what the function returns.")
            return jnp.reshape(x, merged_shape + jnp.shape(x)[1:])

        args, kwargs = tree.map(merge, (args, kwargs))
        return tree.map(split, self._f(*args, **kwargs))


def expand_apply(f: Callable[..., Any], axis: int = 0) -> Callable[..., Any]:
    """`f` on arrays with an axis of size 1 more, which its results lose again.

    Args: a function of trees of arrays; where the axis is, 0 or -1.  Raises `MinijaxValueError` for another axis.
    For a function made for (time, batch, ...), on one step.

    >>> expand_apply(lambda x: x * x.shape[0])(jnp.ones(3))
    Array([1., 1., 1.], dtype=float32)
    """
    if axis not in (0, -1):
        raise MinijaxValueError(f"expand_apply: axis is {axis!r}{at_line()}. Give 0 for a first axis or -1 for a last.")

    @functools.wraps(f)
    def expanded(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map(lambda x: jnp.expand_dims(x, axis), (args, kwargs))
        return tree.map(lambda x: jnp.squeeze(x, axis), f(*args, **kwargs))

    return expanded


def to_module(f: Callable[..., Any]) -> type[Module]:
    """A class of modules that call `f`, named for it; each of them has parameters of its own.

    >>> from minijax import haiku as hk, random
    >>> Shift = to_module(lambda x: x + hk.get_parameter("b", (), init=jnp.zeros))
    >>> model = hk.transform(lambda x: Shift("there")(Shift("here")(x)))
    >>> list(model.init(random.PRNGKey(0), 1.0))
    ['here', 'there']
    """

    class FunctionModule(Module):
        """A module that calls a function."""

        def __init__(self, name: str | None = None):
            if name is not None and not isinstance(name, str):
                raise MinijaxTypeError(
                    f"{f.__name__}: a module's name is a string, got a {type(name).__name__}{at_line()}. "
                    "to_module makes a class: make a module first, then call it: to_module(f)()(x).")
            super().__init__(f.__name__ if name is None else name)

        @functools.wraps(f)
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return f(*args, **kwargs)

    FunctionModule.__doc__ = f.__doc__ or FunctionModule.__doc__
    return FunctionModule
