"""Convolutions over any number of spatial axes, and by name over one, two and three.

As `haiku.ConvND`, `Conv1D`, `Conv2D` and `Conv3D`: kernels `w` of shape (*kernel_shape, inputs / groups,
outputs), biases `b` of shape (outputs,), or (outputs, 1, ...) where channels come first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.haiku import kernels
from minijax.haiku.data_format import get_channel_index, per_axis
from minijax.haiku.initializers import Initializer
from minijax.haiku.module import Module
from minijax.lax import conv_general_dilated
from minijax.tracing.source import at_line

Sizes = int | Sequence[int]


class ConvND(Module):
    """Slides a kernel over `num_spatial_dims` axes: each result is a weighted sum of a window, plus a bias.

    Args: the number of spatial axes and of output channels; the kernel's size, its stride, and its dilation `rate`
    (one number, or one for each axis); `padding`, "SAME", "VALID", pairs (before, after) or functions of
    `minijax.haiku.pad`; whether to add a bias, and how both parameters begin (by default as `Linear`'s); the layout
    (`get_channel_index`); an array that multiplies the kernel, of its shape; into how many groups channels are cut,
    group g of the inputs making group g of the outputs.  Raises `MinijaxValueError` for numbers that do not fit.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: hk.ConvND(2, 8, 3, stride=2)(x))
    >>> params = model.init(random.PRNGKey(0), jnp.ones((1, 28, 28, 1)))
    >>> params["conv_nd"]["w"].shape, model.apply(params, None, jnp.ones((1, 28, 28, 1))).shape
    ((3, 3, 1, 8), (1, 14, 14, 8))
    """

    def __init__(self, num_spatial_dims: int, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1,
                 rate: Sizes = 1, padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "channels_last", mask: Any = None,
                 feature_group_count: int = 1, name: str | None = None):
        super().__init__(name)
        kernels.check_rank(num_spatial_dims)
        self.num_spatial_dims = num_spatial_dims
        self.output_channels = output_channels
        self.kernel_shape = per_axis("kernel_shape", kernel_shape, num_spatial_dims)
        self.stride = per_axis("stride", stride, num_spatial_dims)
        self.lhs_dilation = (1,) * num_spatial_dims
        self.kernel_dilation = per_axis("rate", rate, num_spatial_dims)
        self.padding = kernels.pads(padding, self.kernel_shape, self.kernel_dilation)
        self.with_bias = with_bias
        self.w_init = w_init
        self.b_init = b_init or jnp.zeros
        self.data_format = data_format
        self.channel_index = get_channel_index(data_format)
        self.dimension_numbers = kernels.layout(num_spatial_dims, self.channel_index)
        self.mask = mask
        self.feature_group_count = feature_group_count

    def __call__(self, inputs: Any, *, precision: Any = None) -> Any:
        """Images, with or without a batch axis, to images with `output_channels` channels.

        `precision` is that of `minijax.lax.conv_general_dilated`.  Raises `MinijaxValueError` for inputs of another
        rank, channels that cannot be cut into groups, and a mask of another shape than the kernel.
        """
        inputs, batched = kernels.with_batch(self, inputs)
        channels, groups = inputs.shape[self.channel_index], self.feature_group_count
        if groups < 1 or channels % groups or self.output_channels % groups:
            raise MinijaxValueError(f"{kernels.titled(self)}: {channels} input channels and {self.output_channels} "
                                    f"output channels cannot be cut into feature_group_count={groups} groups"
                                    f"{at_line()}. Make both multiples of it; 1 cuts nothing.")
        shape = (*self.kernel_shape, channels // groups, self.output_channels)
        w = kernels.masked(self, kernels.kernel(self, shape, math.prod(shape[:-1]), inputs.dtype))
        out = conv_general_dilated(inputs, w, self.stride, self.padding, self.lhs_dilation, self.kernel_dilation,
                                   self.dimension_numbers, groups, precision=precision)
        return kernels.finished(self, out, batched, inputs.dtype)


class Conv1D(ConvND):
    """`ConvND` over one axis; the layout is "NWC" or "NCW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NWC", mask: Any = None,
                 feature_group_count: int = 1, name: str | None = None):
        super().__init__(1, output_channels, kernel_shape, stride, rate, padding, with_bias, w_init, b_init,
                         data_format, mask, feature_group_count, name)


class Conv2D(ConvND):
    """`ConvND` over two axes; the layout is "NHWC" or "NCHW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NHWC", mask: Any = None,
                 feature_group_count: int = 1, name: str | None = None):
        super().__init__(2, output_channels, kernel_shape, stride, rate, padding, with_bias, w_init, b_init,
                         data_format, mask, feature_group_count, name)


class Conv3D(ConvND):
    """`ConvND` over three axes; the layout is "NDHWC" or "NCDHW"."""

    def __init__(self, output_channels: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NDHWC", mask: Any = None,
                 feature_group_count: int = 1, name: str | None = None):
        super().__init__(3, output_channels, kernel_shape, stride, rate, padding, with_bias, w_init, b_init,
                         data_format, mask, feature_group_count, name)
