"""AlexNet, whose victory at ImageNet in 2012 made convolutional networks the rule, with the sizes of its paper.

Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012.  Its two
processors, which saw half of the channels each, are groups of channels here.
"""

from __future__ import annotations

import math
from typing import Any

import minijax.numpy as jnp
from minijax import lax, nn
from minijax.haiku.linear import Linear
from minijax.haiku.conv import Conv2D
from minijax.haiku.functions import dropout
from minijax.haiku.initializers import Constant, RandomNormal
from minijax.haiku.keys import next_rng_key
from minijax.haiku.module import Module
from minijax.haiku.pool import max_pool
from minijax.haiku.refusals import refusal

__all__ = ["AlexNet"]


def local_response_norm(x: Any, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> Any:
    """Each value divided by (k + alpha * the sum of the squares in `size` channels around it) ** beta (section 3.3).

    >>> local_response_norm(jnp.ones((1, 1, 1, 1)), k=1.0, alpha=3.0, beta=0.5)
    Array([[[[0.5]]]], dtype=float32)
    """
    window = (1,) * (x.ndim - 1) + (size,)
    sums = lax.reduce_window(jnp.square(x), 0.0, lax.add, window, (1,) * x.ndim, "SAME")
    return x / (k + alpha * sums) ** beta


def _pool(x: Any) -> Any:
    return max_pool(x, (1, 3, 3, 1), (1, 2, 2, 1), "VALID")


class AlexNet(Module):
    """AlexNet: images [batch, 224, 224, 3] to logits [batch, num_classes]; 60,965,224 parameters for 1,000 classes.

        layer   what                                       channels   size
        conv1   11x11, stride 4, response norm, pool            96    55x55, pooled 27x27
        conv2   5x5 in two groups, response norm, pool         256    27x27, pooled 13x13
        conv3   3x3                                            384    13x13
        conv4   3x3 in two groups                              384    13x13
        conv5   3x3 in two groups, pool                        256    13x13, pooled 6x6
        fc6     Linear, dropout                               4096
        fc7     Linear, dropout                               4096
        logits  Linear                                    num_classes

    Every layer but the last ends with relu.  A pool takes the largest of 3x3 places at stride 2.

    >>> import minijax.haiku as hk
    >>> from minijax import eval_shape, random
    >>> f = hk.transform(lambda x: hk.nets.AlexNet()(x, is_training=True))
    >>> params = eval_shape(f.init, random.key(0), jnp.ones((1, 224, 224, 3)))
    >>> params["alex_net/fc6"]["w"].shape
    (9216, 4096)
    """

    def __init__(self, num_classes: int = 1000, dropout_rate: float = 0.5, name: str | None = None):
        """`dropout_rate` is the share of the units of fc6 and fc7 that are 0 in training."""
        super().__init__(name=name)
        self.num_classes = num_classes
        self.dropout_rate = dropout_rate

    def __call__(self, inputs: Any, is_training: bool) -> Any:
        """The logits; in training dropout takes two random keys.

        Raises `MinijaxValueError` for images too small to reach fc6.
        """
        inputs = jnp.asarray(inputs)
        if inputs.ndim != 4 or min(inputs.shape[1:3]) < 64:
            raise refusal(self, "AlexNet takes images of shape [batch, height, width, channels] from 64x64 on, got "
                          f"{inputs.shape}", "Resize them; the paper has 224x224.")
        x = _pool(local_response_norm(_conv("conv1", 96, 11, inputs, stride=4, padding=(1, 2))))
        x = _pool(local_response_norm(_conv("conv2", 256, 5, x, groups=2, bias=1.0)))
        x = _conv("conv3", 384, 3, x)
        x = _conv("conv4", 384, 3, x, groups=2, bias=1.0)
        x = _pool(_conv("conv5", 256, 3, x, groups=2, bias=1.0))
        x = x.reshape(len(x), math.prod(x.shape[1:]))
        for name in ("fc6", "fc7"):
            x = nn.relu(_linear(name, 4096, x, bias=1.0))
            x = dropout(next_rng_key(), self.dropout_rate, x) if is_training else x
        return _linear("logits", self.num_classes, x)


def _conv(name: str, channels: int, size: int, x: Any, stride: int = 1, padding: Any = "SAME", groups: int = 1,
          bias: float = 0.0) -> Any:
    """relu of a convolution, with the initial weights of section 5."""
    padding = padding if isinstance(padding, str) else (padding, padding)
    conv = Conv2D(channels, size, stride, padding=padding, w_init=RandomNormal(0.01), b_init=Constant(bias),
                  feature_group_count=groups, name=name)
    return nn.relu(conv(x))


def _linear(name: str, size: int, x: Any, bias: float = 0.0) -> Any:
    return Linear(size, w_init=RandomNormal(0.01), b_init=Constant(bias), name=name)(x)
