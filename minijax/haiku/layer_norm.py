"""Norms of each example by itself: LayerNorm, InstanceNorm, RMSNorm and GroupNorm.

They bring the elements along some axes of one example to mean 0 and variance 1 (RMSNorm: to mean square 1), then
apply a scale and an offset.  Nothing here looks across the batch or keeps state, so training and evaluation are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.haiku.data_format import get_channel_index
from minijax.haiku.module import Module
from minijax.haiku.refusals import refusal
from minijax.haiku.scale_offset import as_axes, check_given, parameter_shape, positions, prepare, scale_and_offset

__all__ = ["GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


class LayerNorm(Module):
    """Brings each example to mean 0 and variance 1 along `axis`, then scales and shifts it.

    Parameters, where created: `scale` and `offset`, which differ along `param_axis` (by default the last axis).
    Source: Ba, Kiros, Hinton, "Layer Normalization", 2016 (arxiv.org/abs/1607.06450).

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda x: hk.LayerNorm(axis=-1, create_scale=False, create_offset=False)(x))
    >>> f.apply({}, None, jnp.array([1.0, 3.0]))
    Array([-0.99..., 0.99...], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] | slice, create_scale: bool, create_offset: bool, eps: float = 1e-5,
                 scale_init: Any = None, offset_init: Any = None, use_fast_variance: bool = False,
                 name: str | None = None, *, param_axis: int | Sequence[int] | slice | None = None):
        """`axis` says what is normalized together, `param_axis` along which axes scale and offset differ.

        `eps` is added to the variance.  `use_fast_variance` computes the variance as mean of squares less square of
        the mean: one pass fewer, and less exact where the mean is large.  The initializers are `f(shape, dtype)`.
        Raises `MinijaxValueError` for an initializer without its parameter and for axes that are none.
        """
        super().__init__(name=name)
        prepare(self, create_scale, create_offset, scale_init, offset_init)
        self.axis = as_axes(self, "axis", axis)
        self.param_axis = as_axes(self, "param_axis", -1 if param_axis is None else param_axis)
        self.eps = eps
        self.use_fast_variance = use_fast_variance

    def __call__(self, inputs: Any, scale: Any = None, offset: Any = None) -> Any:
        """The normalized inputs, of the same shape; `scale` and `offset` broadcast to it, where not created."""
        inputs = jnp.asarray(inputs)
        check_given(self, scale, offset)
        axes = positions(self, "axis", self.axis, inputs.ndim)
        mean = jnp.mean(inputs, axes, keepdims=True)
        if self.use_fast_variance:
            variance = jnp.mean(jnp.square(inputs), axes, keepdims=True) - jnp.square(mean)
        else:
            variance = jnp.var(inputs, axes, keepdims=True)
        shape = parameter_shape(positions(self, "param_axis", self.param_axis, inputs.ndim), inputs.shape)
        scale, offset = scale_and_offset(self, inputs, shape, scale, offset)
        return scale * lax.rsqrt(variance + self.eps) * (inputs - mean) + offset


class InstanceNorm(LayerNorm):
    """Brings each channel of each example to mean 0 and variance 1 over its places.

    Parameters, where created: `scale` and `offset`, one number for each channel.
    Source: Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", 2016 (arxiv.org/abs/1607.08022).

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda x: hk.InstanceNorm(create_scale=False, create_offset=False)(x))
    >>> f.apply({}, None, jnp.array([[[1.0], [3.0]]])).ravel()
    Array([-0.99..., 0.99...], dtype=float32)
    """

    def __init__(self, create_scale: bool, create_offset: bool, eps: float = 1e-5, scale_init: Any = None,
                 offset_init: Any = None, data_format: str = "channels_last", name: str | None = None):
        """`data_format` says where the channels are: "channels_last", "channels_first", or a form such as "NCHW"."""
        channels = get_channel_index(data_format)
        super().__init__(slice(2, None) if channels == 1 else slice(1, -1), create_scale, create_offset, eps,
                         scale_init, offset_init, name=name, param_axis=channels)


class RMSNorm(Module):
    """Divides each example by the root of its mean square along `axis`, then scales it; the mean stays where it is.

    Parameter, where created: `scale`, which differs along `param_axis` (by default the last axis).
    Source: Zhang, Sennrich, "Root Mean Square Layer Normalization", 2019 (arxiv.org/abs/1910.07467).

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda x: hk.RMSNorm(axis=-1, create_scale=False)(x))
    >>> f.apply({}, None, jnp.array([1.0, 7.0]))
    Array([0.19..., 1.39...], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] | slice, eps: float = 1e-5, scale_init: Any = None,
                 name: str | None = None, create_scale: bool = True, *,
                 param_axis: int | Sequence[int] | slice | None = None):
        """`axis` says what is normalized together, `param_axis` along which axes the scale differs."""
        super().__init__(name=name)
        prepare(self, create_scale, create_offset=False, scale_init=scale_init)
        self.axis = as_axes(self, "axis", axis)
        self.param_axis = as_axes(self, "param_axis", -1 if param_axis is None else param_axis)
        self.eps = eps

    def __call__(self, inputs: Any) -> Any:
        """The normalized inputs, of the same shape."""
        inputs = jnp.asarray(inputs)
        axes = positions(self, "axis", self.axis, inputs.ndim)
        mean_square = jnp.mean(jnp.square(inputs), axes, keepdims=True)
        shape = parameter_shape(positions(self, "param_axis", self.param_axis, inputs.ndim), inputs.shape)
        scale, _ = scale_and_offset(self, inputs, shape, None, None)
        return inputs * scale * lax.rsqrt(mean_square + self.eps)


class GroupNorm(Module):
    """Brings each group of channels of each example to mean 0 and variance 1, then scales and shifts the channels.

    Parameters, where created: `scale` and `offset`, one number for each channel.
    Source: Wu, He, "Group Normalization", 2018 (arxiv.org/abs/1803.08494).

    >>> import minijax.haiku as hk
    >>> f = hk.transform(lambda x: hk.GroupNorm(groups=2, create_scale=False, create_offset=False)(x))
    >>> f.apply({}, None, jnp.array([[1.0, 3.0, 10.0, 30.0]]))
    Array([[-0.99..., 0.99..., -0.99..., 0.99...]], dtype=float32)
    """

    def __init__(self, groups: int, axis: int | slice | Sequence[int] = slice(1, None), create_scale: bool = True,
                 create_offset: bool = True, eps: float = 1e-5, scale_init: Any = None, offset_init: Any = None,
                 data_format: str = "channels_last", name: str | None = None):
        """`groups` divides the number of channels; `axis` is what is normalized together, by default all but the first.

        An axis that holds the channels means those of one group.  For sequences, slice(2, None) keeps the steps apart.
        Raises `MinijaxValueError` for an initializer without its parameter and for axes that are none.
        """
        super().__init__(name=name)
        prepare(self, create_scale, create_offset, scale_init, offset_init)
        self.axis = as_axes(self, "axis", axis)
        self.groups = groups
        self.eps = eps
        self.data_format = data_format
        self.channel_index = get_channel_index(data_format)
        self.rank = None

    def __call__(self, x: Any, scale: Any = None, offset: Any = None) -> Any:
        """The normalized `x`, of the same shape; `scale` and `offset` broadcast to it, where not created."""
        x = jnp.asarray(x)
        check_given(self, scale, offset)
        self._check_inputs(x)
        channels = self.channel_index % x.ndim
        size = x.shape[channels] // self.groups
        grouped = x.reshape(*x.shape[:channels], self.groups, size, *x.shape[channels + 1:])
        axes = tuple(axis + 1 if axis >= channels else axis  # the axis of the groups is new, and never among these
                     for axis in positions(self, "axis", self.axis, x.ndim))
        mean, variance = (f(grouped, axes, keepdims=True) for f in (jnp.mean, jnp.var))
        normalized = ((grouped - mean) * lax.rsqrt(variance + self.eps)).reshape(x.shape)
        shape = (x.shape[channels],) + (1,) * (x.ndim - channels - 1)
        scale, offset = scale_and_offset(self, x, shape, scale, offset)
        return normalized * scale + offset

    def _check_inputs(self, x: Any) -> None:
        if self.rank not in (None, x.ndim):
            raise refusal(self, "The rank of the inputs cannot change between calls, the original call was "
                          f"rank={self.rank} but this call was rank={x.ndim}", "Make a second GroupNorm for those.")
        self.rank = x.ndim
        if x.ndim < 2:
            raise refusal(self, f"GroupNorm takes inputs with a batch axis and channels, got shape {x.shape}",
                          "Add an axis: x[None].")
        channels = x.shape[self.channel_index]
        if self.groups < 1 or channels % self.groups:
            raise refusal(self, f"The number of channels must be divisible by the number of groups, was {channels=}, "
                          f"groups={self.groups}, for {self.data_format} inputs of shape {x.shape}",
                          "Choose groups that divide the channels, or another data_format.")
