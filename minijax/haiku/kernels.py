"""What all convolutions share: the order of axes, the optional batch axis, the kernel and the bias.

The functions here take a module with the attributes `num_spatial_dims`, `channel_index`, `with_bias`,
`w_init` and `b_init`; they are functions, not methods, so that modules show their own methods only.
"""

from __future__ import annotations

import math
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxValueError
from minijax.haiku import pad
from minijax.haiku.initializers import TruncatedNormal
from minijax.haiku.module import Module
from minijax.haiku.parameters import get_parameter
from minijax.lax import ConvDimensionNumbers
from minijax.tracing.source import at_line


def layout(num_spatial_dims: int, channel_index: int, transposed: bool = False) -> ConvDimensionNumbers:
    """The axes of images and of kernels (*spatial, inputs, outputs); transposed ones are (*spatial, outputs, inputs).

    >>> layout(2, channel_index=-1).lhs_spec, layout(2, channel_index=-1).rhs_spec
    ((0, 3, 1, 2), (3, 2, 0, 1))
    """
    n = num_spatial_dims
    image = (0, 1, *range(2, n + 2)) if channel_index == 1 else (0, n + 1, *range(1, n + 1))
    outputs, inputs = (n, n + 1) if transposed else (n + 1, n)
    return ConvDimensionNumbers(image, (outputs, inputs, *range(n)), image)


def check_rank(num_spatial_dims: int) -> None:
    """Raises `MinijaxValueError` unless there is an axis to slide along."""
    if num_spatial_dims < 1:
        raise MinijaxValueError(f"num_spatial_dims is {num_spatial_dims}{at_line()}. "
                                "A convolution slides along 1 axis at least; use Linear for none.")


def pads(padding: Any, kernel: tuple[int, ...], rate: tuple[int, ...]) -> Any:
    """A padding's name in capitals, or a pair for each axis, of pairs or padding functions."""
    if isinstance(padding, str):
        return padding.upper()
    if pad.is_padfn(padding):
        return pad.create_from_padfn(padding, kernel, rate, len(kernel))
    return pad.create_from_tuple(padding, len(kernel))


def with_batch(module: Any, inputs: Any) -> tuple[Any, bool]:
    """The inputs with a batch axis, and whether they had one; raises `MinijaxValueError` for other ranks."""
    inputs, n = jnp.asarray(inputs), module.num_spatial_dims
    if inputs.ndim not in (n + 1, n + 2):
        raise MinijaxValueError(f"{titled(module)} takes {n} spatial axes, channels, and optionally a batch: "
                                f"{n + 1} or {n + 2} axes in the layout {module.data_format!r}, got shape "
                                f"{inputs.shape}{at_line()}. Reshape the input, or use the convolution of its rank.")
    batched = inputs.ndim == n + 2
    return (inputs if batched else jnp.expand_dims(inputs, 0)), batched


def kernel(module: Any, shape: tuple[int, ...], fan_in: int, dtype: Any) -> Any:
    """The parameter `w`, by default from a truncated normal of standard deviation 1 / sqrt(fan_in)."""
    init = module.w_init or TruncatedNormal(1 / math.sqrt(max(1, fan_in)))
    return get_parameter("w", shape, dtype, init=init)


def masked(module: Any, w: Any) -> Any:
    """A kernel times the module's mask; raises `MinijaxValueError` if their shapes differ."""
    if module.mask is None:
        return w
    if tuple(module.mask.shape) != w.shape:
        raise MinijaxValueError(f"{titled(module)}: the mask has shape {tuple(module.mask.shape)} and the kernel "
                                f"{w.shape}{at_line()}. Give a mask of the kernel's shape: (*kernel_shape, ...).")
    return w * module.mask


def finished(module: Any, out: Any, batched: bool, dtype: Any) -> Any:
    """The result of a convolution plus the parameter `b`, without the batch axis if the inputs had none."""
    if module.with_bias:
        channels = out.shape[module.channel_index]
        shape = (channels, *[1] * module.num_spatial_dims) if module.channel_index == 1 else (channels,)
        out = out + get_parameter("b", shape, dtype, init=module.b_init)
    return out if batched else jnp.squeeze(out, 0)


def titled(module: Module) -> str:
    """A module in an error message: its class and its path."""
    return f"{type(module).__name__} {module.module_name!r}"
