"""Layers of one weight matrix or one bias: Linear and Bias.

As `haiku.Linear` and `haiku.Bias`, with their parameter names, shapes and initial values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.fusion import fused
from minijax.haiku.initializers import Initializer, TruncatedNormal
from minijax.haiku.module import Module
from minijax.haiku.parameters import get_parameter
from minijax.tracing.source import at_line


class Linear(Module):
    """x -> x w + b, over the last axis.

    Args: the number of outputs; whether to add `b`; how `w` of shape (inputs, outputs) and `b` of shape (outputs,)
    begin: by default from a truncated normal of standard deviation 1 / sqrt(inputs), and with zeros.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: hk.Linear(2)(x))
    >>> params = model.init(random.PRNGKey(0), jnp.ones((4, 3)))
    >>> params["linear"]["w"].shape, model.apply(params, None, jnp.ones((4, 3))).shape
    ((3, 2), (4, 2))
    """

    def __init__(self, output_size: int, with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, name: str | None = None):
        super().__init__(name)
        self.input_size: int | None = None
        self.output_size = output_size
        self.with_bias = with_bias
        self.w_init = w_init
        self.b_init = b_init or jnp.zeros

    def __call__(self, inputs: Any, *, precision: Any = None) -> Any:
        """Inputs of shape (..., inputs) to outputs of shape (..., outputs); parameters have the dtype of the inputs.

        `precision` is that of `minijax.numpy.dot`.  Raises `MinijaxValueError` for a scalar.
        """
        inputs = jnp.asarray(inputs)
        if not inputs.ndim:
            raise MinijaxValueError(f"Linear {self.module_name!r} maps the last axis, and its input is a scalar"
                                    f"{at_line()}. Give it an axis: x[None].")
        self.input_size = inputs.shape[-1]
        w_init = self.w_init or TruncatedNormal(1 / math.sqrt(max(1, self.input_size)))
        w = get_parameter("w", (self.input_size, self.output_size), inputs.dtype, init=w_init)
        if not self.with_bias:
            return jnp.dot(inputs, w, precision=precision)
        return affine(inputs, w, get_parameter("b", (self.output_size,), inputs.dtype, init=self.b_init), precision)


def _affine(x: Any, w: Any, b: Any, precision: Any) -> Any:
    return jnp.dot(x, w, precision=precision) + b


affine = fused(_affine, static_argnames=("precision",))


class Bias(Module):
    """x -> x + b, where b has some of the axes of x but never the first, the batch.

    Args: the shape of the inputs without the batch axis, to be checked; the axes that b has, by default all, while
    it has size 1 along the others, and none before its first one; how b begins, by default with zeros.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: hk.Bias(bias_dims=[1])(x))
    >>> model.init(random.PRNGKey(0), jnp.ones((2, 5, 3)))["bias"]["b"].shape
    (5, 1)
    """

    def __init__(self, output_size: Sequence[int] | None = None, bias_dims: Sequence[int] | None = None,
                 b_init: Initializer | None = None, name: str | None = None):
        super().__init__(name)
        self.output_size = output_size
        self.bias_dims = bias_dims
        self.b_init = b_init or jnp.zeros
        self.bias_shape: tuple[int, ...] | None = None

    def __call__(self, inputs: Any, multiplier: Any = None) -> Any:
        """Inputs of shape (batch, ...), plus b times `multiplier` (by default 1).

        Raises `MinijaxValueError` for inputs without an axis beside the batch, and of another shape than
        `output_size`.
        """
        inputs = jnp.asarray(inputs)
        if inputs.ndim < 2:
            raise MinijaxValueError(f"Bias {self.module_name!r} takes a batch axis and at least one more, got shape "
                                    f"{inputs.shape}{at_line()}. For one example, give x[None].")
        if self.output_size is not None and tuple(self.output_size) != inputs.shape[1:]:
            raise MinijaxValueError(f"Bias {self.module_name!r} is for inputs of shape "
                                    f"{('batch', *self.output_size)}, got {inputs.shape}{at_line()}. "
                                    "Leave output_size out to take it from the inputs.")
        self.input_size = inputs.shape[1:]
        self.bias_shape = _bias_shape(self.module_name, inputs.shape, self.bias_dims)
        b = jnp.broadcast_to(get_parameter("b", self.bias_shape, inputs.dtype, init=self.b_init), inputs.shape)
        return inputs + (b if multiplier is None else b * multiplier)


def _bias_shape(module_name: str, shape: tuple[int, ...], axes: Sequence[int] | None) -> tuple[int, ...]:
    """Sizes along these axes (all if None) and 1 elsewhere, from the first axis after the batch that is not 1."""
    if axes is None:
        return shape[1:]
    rank = len(shape)
    for axis in axes:
        if not -rank < axis < rank or axis == 0:
            raise MinijaxValueError(f"Bias {module_name!r}: bias_dims={tuple(axes)} has {axis}, for inputs of shape "
                                    f"{shape}{at_line()}. Axis 0 is the batch; choose among 1 to {rank - 1}.")
    kept = {axis % rank for axis in axes}
    sizes = [size if axis in kept else 1 for axis, size in enumerate(shape)]
    first = next((axis for axis in range(1, rank) if sizes[axis] != 1), rank)
    return tuple(sizes[first:])
