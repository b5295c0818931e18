"""Transposed convolutions, which make images larger: over any number of axes, and by name over one to three.

As `haiku.ConvNDTranspose` and its relatives: kernels `w` have shape (*kernel_shape, outputs, inputs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.haiku import kernels, pad
from minijax.haiku.data_format import get_channel_index, per_axis
from minijax.haiku.initializers import Initializer
from minijax.haiku.module import Module
from minijax.lax import conv_transpose
from minijax.tracing.source import at_line

Sizes = int | Sequence[int]


class ConvNDTranspose(Module):
    """A convolution over inputs whose elements are spread `stride` apart: the shapes of a convolution's gradient.

    Args: the number of spatial axes and of output channels; the kernel's size and the stride (one number, or one for
    each axis); the spatial shape of the results, where several fit; `padding`, "SAME" or "VALID" (the convolution
    undone) or pairs (before, after) for the inputs spread out; the rest as in `ConvND`.
    Raises `MinijaxValueError` for numbers that do not fit.  Source: Zeiler et al., CVPR 2010.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: hk.ConvNDTranspose(2, 8, 3, stride=2)(x))
    >>> params = model.init(random.PRNGKey(0), jnp.ones((1, 14, 14, 4)))
    >>> params["conv_nd_transpose"]["w"].shape, model.apply(params, None, jnp.ones((1, 14, 14, 4))).shape
    ((3, 3, 8, 4), (1, 28, 28, 8))
    """

    def __init__(self, num_spatial_dims: int, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1,
                 output_shape: Sizes | None = None, padding: Any = "SAME", with_bias: bool = True,
                 w_init: Initializer | None = None, b_init: Initializer | None = None,
                 data_format: str = "channels_last", mask: Any = None, name: str | None = None):
        super().__init__(name)
        kernels.check_rank(num_spatial_dims)
        self.num_spatial_dims = num_spatial_dims
        self.output_channels = output_channels
        self.kernel_shape = per_axis("kernel_shape", kernel_shape, num_spatial_dims)
        self.stride = per_axis("stride", stride, num_spatial_dims)
        if output_shape is not None:
            output_shape = per_axis("output_shape", output_shape, num_spatial_dims)
            if padding not in ("SAME", "VALID"):
                raise MinijaxValueError(f"{kernels.titled(self)}: padding is {padding!r}, with output_shape="
                                        f"{output_shape}{at_line()}. Give 'SAME' or 'VALID', or no output_shape.")
        self.output_shape = output_shape
        self.padding = padding if isinstance(padding, str) else pad.create_from_tuple(padding, num_spatial_dims)
        self.with_bias = with_bias
        self.w_init = w_init
        self.b_init = b_init or jnp.zeros
        self.data_format = data_format
        self.channel_index = get_channel_index(data_format)
        self.dimension_numbers = kernels.layout(num_spatial_dims, self.channel_index, transposed=True)
        self.mask = mask

    def __call__(self, inputs: Any, *, precision: Any = None) -> Any:
        """Images, with or without a batch axis, to larger ones with `output_channels` channels.

        `precision` is that of `minijax.lax.conv_transpose`.  Raises `MinijaxValueError` for inputs of another rank, an
        `output_shape` that they cannot give, and a mask of another shape than the kernel.
        """
        inputs, batched = kernels.with_batch(self, inputs)
        channels = inputs.shape[self.channel_index]
        shape = (*self.kernel_shape, self.output_channels, channels)
        fan_in = math.prod(self.kernel_shape) * channels
        w = kernels.masked(self, kernels.kernel(self, shape, fan_in, inputs.dtype))
        out = conv_transpose(inputs, w, self.stride, _pads(self, inputs.shape),
                             dimension_numbers=self.dimension_numbers, precision=precision)
        return kernels.finished(self, out, batched, inputs.dtype)


def _pads(module: ConvNDTranspose, shape: tuple[int, ...]) -> Any:
    """The padding, for the wanted output shape if there is one."""
    if module.output_shape is None:
        return module.padding
    sizes = tuple([shape[axis] for axis in module.dimension_numbers.lhs_spec[2:]])
    axes = tuple(zip(module.output_shape, module.kernel_shape, module.stride, strict=True))
    expected = tuple([inputs_for(*axis, module.padding) for axis in axes])
    if sizes != expected:
        raise MinijaxValueError(f"{kernels.titled(module)}: output_shape={module.output_shape} needs inputs of spatial "
                                f"shape {expected}, got {sizes}{at_line()}. Give another output_shape, or none.")
    return tuple([pads_for(size, *axis, module.padding) for size, axis in zip(sizes, axes, strict=True)])


def inputs_for(size: int, kernel: int, stride: int, padding: str) -> int:
    """How many windows a convolution finds in an axis of this size: the inputs of the transposed one.

    >>> inputs_for(7, 3, 2, "SAME"), inputs_for(7, 3, 2, "VALID")
    (4, 3)
    """
    return -(-size // stride) if padding == "SAME" else (size - kernel + stride) // stride


def pads_for(inputs: int, outputs: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after the spread-out inputs, so that there are `outputs` windows.

    >>> pads_for(4, 7, 3, 2, "SAME")
    (1, 1)
    """
    spread = (inputs - 1) * stride + 1
    cut = max(0, spread - 1 + kernel - outputs) // 2 if padding == "SAME" else 0
    before = kernel - 1 - cut
    return before, outputs + kernel - 1 - spread - before


class Conv1DTranspose(ConvNDTranspose):
    """`ConvNDTranspose` over one axis; the layout is "NWC" or "NCW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1,
                 output_shape: Sizes | None = None, padding: Any = "SAME", with_bias: bool = True,
                 w_init: Initializer | None = None, b_init: Initializer | None = None, data_format: str = "NWC",
                 mask: Any = None, name: str | None = None):
        super().__init__(1, output_channels, kernel_shape, stride, output_shape, padding, with_bias, w_init, b_init,
                         data_format, mask, name)


class Conv2DTranspose(ConvNDTranspose):
    """`ConvNDTranspose` over two axes; the layout is "NHWC" or "NCHW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1,
                 output_shape: Sizes | None = None, padding: Any = "SAME", with_bias: bool = True,
                 w_init: Initializer | None = None, b_init: Initializer | None = None, data_format: str = "NHWC",
                 mask: Any = None, name: str | None = None):
        super().__init__(2, output_channels, kernel_shape, stride, output_shape, padding, with_bias, w_init, b_init,
                         data_format, mask, name)


class Conv3DTranspose(ConvNDTranspose):
    """`ConvNDTranspose` over three axes; the layout is "NDHWC" or "NCDHW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1,
                 output_shape: Sizes | None = None, padding: Any = "SAME", with_bias: bool = True,
                 w_init: Initializer | None = None, b_init: Initializer | None = None, data_format: str = "NDHWC",
                 mask: Any = None, name: str | None = None):
        super().__init__(3, output_channels, kernel_shape, stride, output_shape, padding, with_bias, w_init, b_init,
                         data_format, mask, name)
