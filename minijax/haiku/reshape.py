"""Other shapes for the axes behind the batch: Reshape and Flatten.

As `haiku.Reshape` and `haiku.Flatten`; neither has parameters, and neither moves an element.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.haiku.module import Module
from minijax.tracing.source import at_line


class Reshape(Module):
    """Gives the axes from `preserve_dims` on another shape, in which one size may be -1: what is left.

    A negative `preserve_dims` is the number of trailing axes to reshape, so that inputs may lack a batch axis.
    Inputs of no more than `preserve_dims` axes are returned as they are.
    Raises `MinijaxValueError` for `preserve_dims=0` and for more than one -1.

    >>> from minijax import haiku as hk
    >>> model = hk.transform(lambda x: hk.Reshape((2, -1))(x))
    >>> model.apply({}, None, jnp.zeros((5, 4, 3))).shape
    (5, 2, 6)
    """

    def __init__(self, output_shape: Sequence[int], preserve_dims: int = 1, name: str | None = None):
        super().__init__(name)
        if preserve_dims == 0:
            raise MinijaxValueError(f"{type(self).__name__} {self.module_name!r}: preserve_dims is 0{at_line()}. "
                                    "Give 1 to keep the batch axis, or use minijax.numpy.reshape.")
        self.output_shape = tuple(output_shape)
        self.preserve_dims = preserve_dims
        if self.output_shape.count(-1) > 1:
            raise MinijaxValueError(f"Reshape {self.module_name!r}: output_shape={self.output_shape} has "
                                    f"{self.output_shape.count(-1)} sizes of -1{at_line()}. Only one can be inferred.")

    def __call__(self, inputs: Any) -> Any:
        """An array of any shape to one of the same number of elements; raises `ShapeError` if that cannot be."""
        if inputs.ndim <= self.preserve_dims:
            return inputs
        kept, replaced = inputs.shape[:self.preserve_dims], inputs.shape[self.preserve_dims:]
        return jnp.reshape(inputs, (*kept, *_inferred(self.output_shape, replaced)))


def _inferred(shape: tuple[int, ...], old: tuple[int, ...]) -> tuple[int, ...]:
    """A shape whose -1 is what the old shape leaves for it; also where another axis, as the batch, is empty."""
    known = math.prod(size for size in shape if size != -1)
    return tuple([math.prod(old) // max(1, known) if size == -1 else size for size in shape])


class Flatten(Reshape):
    """Makes one axis of all axes from `preserve_dims` on; if it is negative, of so many trailing axes.

    >>> from minijax import haiku as hk
    >>> hk.transform(lambda x: hk.Flatten()(x)).apply({}, None, jnp.zeros((5, 4, 3))).shape
    (5, 12)
    """

    def __init__(self, preserve_dims: int = 1, name: str | None = None):
        super().__init__((-1,), preserve_dims, name)
