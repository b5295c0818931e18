"""LeNet-5, the network that read handwritten digits, with the connections, activations and sizes of its paper.

Source: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998, section II.B
(layers and table I) and appendix A (the activation and the initial weights).  One thing differs: logits come from a
Linear layer, where the paper measures distances to fixed pictures of the characters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minijax.numpy as jnp
from minijax import lax
from minijax.haiku.linear import Linear
from minijax.haiku.conv import Conv2D
from minijax.haiku.initializers import RandomUniform
from minijax.haiku.module import Module
from minijax.haiku.parameters import get_parameter
from minijax.haiku.pool import avg_pool
from minijax.haiku.refusals import refusal

__all__ = ["LeNet5"]

# Table I: which of the six maps of S2 each of the sixteen maps of C3 sees.
C3_INPUTS = ((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1),
             (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2),
             (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5))


def squash(x: Any) -> Any:
    """The activation of the paper, 1.7159 tanh(2x/3), which gives 1 for 1 and -1 for -1.

    >>> squash(jnp.array([0.0, 1.0])).round(3)
    Array([0., 1.], dtype=float32)
    """
    return 1.7159 * jnp.tanh(2 / 3 * x)


def _within(fan_in: int) -> RandomUniform:
    """Weights of a unit with so many inputs: uniform, up to 2.4 by that number."""
    return RandomUniform(-2.4 / fan_in, 2.4 / fan_in)


class Subsampling(Module):
    """Halves images: the sum of each 2x2 places times a weight plus a bias, one of each for a channel, squashed.

    Parameters: `w` and `b`, of shape [channels].
    """

    def __call__(self, inputs: Any) -> Any:
        """Images [batch, height, width, channels] to [batch, height / 2, width / 2, channels]."""
        shape = inputs.shape[-1:]
        w = get_parameter("w", shape, inputs.dtype, init=_within(4))
        b = get_parameter("b", shape, inputs.dtype, init=jnp.zeros)
        return squash(4 * avg_pool(inputs, (1, 2, 2, 1), (1, 2, 2, 1), "VALID") * w + b)


def _connection_weights(shape: Any, dtype: Any) -> Any:
    """Weights of the connections of table I, each within the bound of its own unit, which sees 3, 4 or 6 maps."""
    bounds = [2.4 / (25 * len(maps)) for maps in C3_INPUTS for _ in maps]
    return jnp.asarray(bounds, dtype) * RandomUniform(-1.0, 1.0)(shape, dtype)


class TableConv(Module):
    """A 5x5 convolution of whose connections between channels only those of table I exist.

    Parameters: `w`, of shape [5, 5, 60], one 5x5 kernel for each connection; `b`, of shape [16].
    """

    def __call__(self, inputs: Any) -> Any:
        """Images [batch, height, width, 6] to [batch, height - 4, width - 4, 16]."""
        into, out = np.array([(i, o) for o, maps in enumerate(C3_INPUTS) for i in maps]).T
        w = get_parameter("w", (5, 5, len(into)), inputs.dtype, init=_connection_weights)
        b = get_parameter("b", (len(C3_INPUTS),), inputs.dtype, init=jnp.zeros)
        kernel = jnp.zeros((5, 5, inputs.shape[-1], len(C3_INPUTS)), inputs.dtype).at[:, :, into, out].set(w)
        return lax.conv_general_dilated(inputs, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")) + b


class LeNet5(Module):
    """LeNet-5: images [batch, 32, 32, 1] of values from about -0.1 (white) to 1.175 (black) to logits.

        layer   what                                   maps   size     parameters
        C1      5x5 convolution                          6    28x28         156
        S2      subsampling by 2                         6    14x14          12
        C3      5x5 convolution, connected by table I   16    10x10       1,516
        S4      subsampling by 2                        16     5x5           32
        C5      5x5 convolution                        120     1x1       48,120
        F6      Linear                                                   10,164
        logits  Linear                                              850 for 10 classes

    To F6 that is the paper's 60,000.  Pictures of 28x28 are padded to 32x32.

    >>> import minijax.haiku as hk
    >>> from minijax import eval_shape, random
    >>> f = hk.transform(lambda x: hk.nets.LeNet5()(x))
    >>> params = eval_shape(f.init, random.key(0), jnp.ones((1, 32, 32, 1)))
    >>> params["le_net5/c3"]["w"].shape, params["le_net5/f6"]["w"].shape
    ((5, 5, 60), (120, 84))
    """

    def __init__(self, num_classes: int = 10, name: str | None = None):
        """`num_classes` is the number of logits."""
        super().__init__(name=name)
        self.num_classes = num_classes

    def __call__(self, inputs: Any) -> Any:
        """The logits, [batch, num_classes]; raises `MinijaxValueError` for images of another shape."""
        inputs = jnp.asarray(inputs)
        if inputs.ndim != 4 or inputs.shape[1:] != (32, 32, 1):
            raise refusal(self, f"LeNet5 takes images of shape [batch, 32, 32, 1], got {inputs.shape}",
                          "Pad digits of 28x28: jnp.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0))).")
        x = squash(Conv2D(6, 5, padding="VALID", w_init=_within(25), name="c1")(inputs))
        x = Subsampling(name="s2")(x)
        x = squash(TableConv(name="c3")(x))
        x = Subsampling(name="s4")(x)
        x = squash(Conv2D(120, 5, padding="VALID", w_init=_within(400), name="c5")(x))
        x = squash(Linear(84, w_init=_within(120), name="f6")(x.reshape(len(x), 120)))
        return Linear(self.num_classes, w_init=_within(84), name="logits")(x)
