"""Depthwise convolutions, each channel with kernels of its own, and a separable one of two passes.

As `haiku.DepthwiseConv1D` and its relatives: kernels `w` have shape (*kernel_shape, 1, inputs * multiplier).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax.haiku import kernels
from minijax.haiku.data_format import get_channel_index, per_axis
from minijax.haiku.initializers import Initializer
from minijax.haiku.module import Module
from minijax.lax import conv_general_dilated

Sizes = int | Sequence[int]


class DepthwiseConvND(Module):
    """Slides `channel_multiplier` kernels over each channel apart: outputs c * multiplier + m come from channel c.

    Args: how many outputs each channel has; the rest as in `ConvND`.  Source: Chollet, CVPR 2017.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: hk.DepthwiseConv2D(2, 3)(x))
    >>> model.init(random.PRNGKey(0), jnp.ones((1, 8, 8, 4)))["depthwise_conv2_d"]["w"].shape
    (3, 3, 1, 8)
    """

    def __init__(self, channel_multiplier: int, kernel_shape: Sizes, num_spatial_dims: int, data_format: str,
                 stride: Sizes = 1, rate: Sizes = 1, padding: Any = "SAME", with_bias: bool = True,
                 w_init: Initializer | None = None, b_init: Initializer | None = None, name: str | None = None):
        super().__init__(name)
        kernels.check_rank(num_spatial_dims)
        self.num_spatial_dims = num_spatial_dims
        self.channel_multiplier = channel_multiplier
        self.kernel_shape = per_axis("kernel_shape", kernel_shape, num_spatial_dims)
        self.stride = per_axis("stride", stride, num_spatial_dims)
        self.lhs_dilation = (1,) * num_spatial_dims
        self.rhs_dilation = per_axis("rate", rate, num_spatial_dims)
        self.padding = kernels.pads(padding, self.kernel_shape, self.rhs_dilation)
        self.with_bias = with_bias
        self.w_init = w_init
        self.b_init = b_init or jnp.zeros
        self.data_format = data_format
        self.channel_index = get_channel_index(data_format)
        self.dn = kernels.layout(num_spatial_dims, self.channel_index)

    def __call__(self, inputs: Any) -> Any:
        """Images, with or without a batch axis, to images with `channel_multiplier` times as many channels.

        Raises `MinijaxValueError` for inputs of another rank.
        """
        inputs, batched = kernels.with_batch(self, inputs)
        channels = inputs.shape[self.channel_index]
        shape = (*self.kernel_shape, 1, self.channel_multiplier * channels)
        w = kernels.kernel(self, shape, math.prod(self.kernel_shape), inputs.dtype)
        out = conv_general_dilated(inputs, w, self.stride, self.padding, self.lhs_dilation, self.rhs_dilation, self.dn,
                                   feature_group_count=channels)
        return kernels.finished(self, out, batched, inputs.dtype)


class DepthwiseConv1D(DepthwiseConvND):
    """`DepthwiseConvND` over one axis; the layout is "NWC" or "NCW"."""

    def __init__(self, channel_multiplier: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NWC", name: str | None = None):
        super().__init__(channel_multiplier, kernel_shape, 1, data_format, stride, rate, padding, with_bias,
                         w_init, b_init, name)


class DepthwiseConv2D(DepthwiseConvND):
    """`DepthwiseConvND` over two axes; the layout is "NHWC" or "NCHW"."""

    def __init__(self, channel_multiplier: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NHWC", name: str | None = None):
        super().__init__(channel_multiplier, kernel_shape, 2, data_format, stride, rate, padding, with_bias,
                         w_init, b_init, name)


class DepthwiseConv3D(DepthwiseConvND):
    """`DepthwiseConvND` over three axes; the layout is "NDHWC" or "NCDHW"."""

    def __init__(self, channel_multiplier: int, kernel_shape: Sizes, stride: Sizes = 1, rate: Sizes = 1,
                 padding: Any = "SAME", with_bias: bool = True, w_init: Initializer | None = None,
                 b_init: Initializer | None = None, data_format: str = "NDHWC", name: str | None = None):
        super().__init__(channel_multiplier, kernel_shape, 3, data_format, stride, rate, padding, with_bias,
                         w_init, b_init, name)


class SeparableDepthwiseConv2D(Module):
    """A depthwise convolution down the rows, then one along the columns, which alone has the bias.

    Args: as in `DepthwiseConv2D`; the first pass has the stride and the channel multiplier.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda x: SeparableDepthwiseConv2D(2, 3)(x))
    >>> [params["w"].shape for params in model.init(random.PRNGKey(0), jnp.ones((1, 8, 8, 4))).values()]
    [(3, 1, 1, 8), (1, 3, 1, 8)]
    """

    def __init__(self, channel_multiplier: int, kernel_shape: Sizes, stride: Sizes = 1, padding: Any = "SAME",
                 with_bias: bool = True, w_init: Initializer | None = None, b_init: Initializer | None = None,
                 data_format: str = "NHWC", name: str | None = None):
        super().__init__(name)
        height, width = per_axis("kernel_shape", kernel_shape, 2)
        shared = {"padding": padding, "w_init": w_init, "b_init": b_init, "data_format": data_format}
        self._conv1 = DepthwiseConv2D(channel_multiplier, (height, 1), stride, with_bias=False, **shared)
        self._conv2 = DepthwiseConv2D(1, (1, width), with_bias=with_bias, **shared)

    def __call__(self, inputs: Any) -> Any:
        """Images, with or without a batch axis, to images with `channel_multiplier` times as many channels."""
        return self._conv2(self._conv1(inputs))
