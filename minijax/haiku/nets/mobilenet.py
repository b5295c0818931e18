"""MobileNet version 1: an image network whose 3x3 convolutions look at one channel each, and so are cheap.

Source: Howard and others, "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017
(arxiv.org/abs/1704.04861).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.haiku.linear import Linear
from minijax.haiku.batch_norm import BatchNorm
from minijax.haiku.conv import Conv2D
from minijax.haiku.depthwise import DepthwiseConv2D
from minijax.haiku.module import Module
from minijax.haiku.refusals import refusal

__all__ = ["MobileNetV1"]


def _activated(x: Any, use_bn: bool, is_training: bool) -> Any:
    """relu of `x`, normalized before if asked for."""
    if use_bn:
        x = BatchNorm(create_scale=True, create_offset=True, decay_rate=0.999)(x, is_training)
    return nn.relu(x)


class MobileNetV1Block(Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 convolution that mixes them, each with norm and relu.

    Parameters: `depthwise_conv`, `pointwise_conv`, `batch_norm` and `batch_norm_1`.
    """

    def __init__(self, channels: int, stride: int, use_bn: bool = True, name: str | None = None):
        """`channels` come out; the first convolution has the stride; without norms the convolutions have biases."""
        super().__init__(name=name)
        self.channels = channels
        self.stride = stride
        self.use_bn = use_bn
        self.with_bias = not use_bn

    def __call__(self, inputs: Any, is_training: bool) -> Any:
        """Images [batch, height, width, channels], of a size divided by the stride."""
        depthwise = DepthwiseConv2D(1, kernel_shape=3, stride=self.stride, padding=((1, 1), (1, 1)),
                                    with_bias=self.with_bias, name="depthwise_conv")
        pointwise = Conv2D(self.channels, kernel_shape=1, padding="VALID", with_bias=self.with_bias,
                           name="pointwise_conv")
        x = _activated(depthwise(inputs), self.use_bn, is_training)
        return _activated(pointwise(x), self.use_bn, is_training)


class MobileNetV1(Module):
    """MobileNet version 1: images [batch, height, width, channels] to logits [batch, num_classes].

    Parameters: those of a first convolution, thirteen blocks and `logits`: 4,231,976 for 1,000 classes.
    State: the moving averages of the BatchNorms.  Images of 224x224 reach the last block as 7x7, of 32x32 as 1x1.

    >>> import minijax, minijax.haiku as hk
    >>> f = hk.transform_with_state(lambda x: hk.nets.MobileNetV1(num_classes=10)(x, is_training=True))
    >>> params, state = minijax.eval_shape(f.init, minijax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> params["mobile_net_v1/logits"]["w"].shape
    (1024, 10)
    """

    def __init__(self, strides: Sequence[int] = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1),
                 channels: Sequence[int] = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024),
                 num_classes: int = 1000, use_bn: bool = True, name: str | None = None):
        """A block for each of `strides` and `channels`; without `use_bn` the convolutions have biases and no norms.

        Raises `MinijaxValueError` for strides and channels of different lengths.
        """
        super().__init__(name=name)
        if len(strides) != len(channels):
            raise refusal(self, "`strides` and `channels` must have the same length. They have "
                          f"{len(strides)} and {len(channels)}", "Give both for each block.")
        self.strides = strides
        self.channels = channels
        self.use_bn = use_bn
        self.with_bias = not use_bn
        self.num_classes = num_classes

    def __call__(self, inputs: Any, is_training: bool) -> Any:
        """The logits; `is_training` goes to every BatchNorm."""
        x = Conv2D(32, kernel_shape=3, stride=2, padding="VALID", with_bias=self.with_bias)(inputs)
        x = _activated(x, self.use_bn, is_training)
        for channels, stride in zip(self.channels, self.strides, strict=True):
            x = MobileNetV1Block(channels, stride, self.use_bn)(x, is_training)
        return Linear(self.num_classes, name="logits")(jnp.mean(x, axis=(1, 2)))
