"""Batch normalization: each channel brought to mean 0 and variance 1 over the batch, or by averages of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.haiku.data_format import get_channel_index
from minijax.haiku.module import Module
from minijax.haiku.moving_averages import ExponentialMovingAverage
from minijax.haiku.refusals import refusal
from minijax.haiku.scale_offset import as_axes, check_given, positions, prepare, scale_and_offset

__all__ = ["BatchNorm"]


class BatchNorm(Module):
    """Brings each channel to mean 0 and variance 1 over a batch, then scales and shifts it.

    In training the batch's own mean and variance count, and go into moving averages; in evaluation those averages.
    Parameters, where created: `scale` and `offset`, of the inputs' shape but for the axes averaged over, where they
    have size 1: by default one number for each channel.
    State: two averages, `~/mean_ema` and `~/var_ema`.  Under `vmap` each example of the mapped axis is a batch of
    its own, unless `cross_replica_axis` names that axis.
    Source: Ioffe, Szegedy, "Batch Normalization", 2015 (arxiv.org/abs/1502.03167).

    >>> import minijax.haiku as hk
    >>> f = hk.transform_with_state(lambda x, train: hk.BatchNorm(True, True, decay_rate=0.9)(x, is_training=train))
    >>> x = jnp.array([[1.0], [3.0]])
    >>> params, state = f.init(None, x, True)
    >>> normalized, state = f.apply(params, state, None, x, True)
    >>> normalized.ravel(), state["batch_norm/~/mean_ema"]["average"]
    (Array([-0.99..., 0.99...], dtype=float32), Array([[2.]], dtype=float32))
    """

    def __init__(self, create_scale: bool, create_offset: bool, decay_rate: float, eps: float = 1e-5,
                 scale_init: Any = None, offset_init: Any = None, axis: Sequence[int] | None = None,
                 cross_replica_axis: str | Sequence[str] | None = None,
                 cross_replica_axis_index_groups: Sequence[Sequence[int]] | None = None,
                 data_format: str = "channels_last", name: str | None = None):
        """`decay_rate` is that of the averages, `eps` is added to the variance; initializers are `f(shape, dtype)`.

        `axis` lists the axes to average over, by default all but the channels', which `data_format` places; negative
        ones count from the end (where Haiku averages over them, but gives them a scale for each place).
        `cross_replica_axis` names mapped axes (of pmap or vmap) over which a batch extends, and
        `cross_replica_axis_index_groups` divides that axis into groups that share their statistics.
        Raises `MinijaxValueError` for an initializer without its parameter, for axes that are none, and for groups
        without an axis.
        """
        super().__init__(name=name)
        prepare(self, create_scale, create_offset, scale_init, offset_init)
        if cross_replica_axis is None and cross_replica_axis_index_groups is not None:
            raise refusal(self, "`cross_replica_axis_index_groups` divides a mapped axis, but no `cross_replica_axis` "
                          "is given", "Pass the axis_name of the surrounding pmap as cross_replica_axis.")
        self.eps = eps
        self.axis = None if axis is None else as_axes(self, "axis", axis)
        self.cross_replica_axis = cross_replica_axis
        self.cross_replica_axis_index_groups = cross_replica_axis_index_groups
        self.channel_index = get_channel_index(data_format)
        self.mean_ema = ExponentialMovingAverage(decay_rate, name="mean_ema")
        self.var_ema = ExponentialMovingAverage(decay_rate, name="var_ema")

    def __call__(self, inputs: Any, is_training: bool, test_local_stats: bool = False, scale: Any = None,
                 offset: Any = None) -> Any:
        """The normalized inputs, of the same shape; `scale` and `offset` broadcast to it, where not created.

        `is_training` updates the averages; `test_local_stats` uses the batch's own statistics in evaluation too.
        """
        inputs = jnp.asarray(inputs)
        check_given(self, scale, offset)
        axes = self._axes(inputs.ndim)
        if is_training or test_local_stats:
            mean = self._batch_mean(inputs, axes)
            variance = self._batch_mean(jnp.square(inputs), axes) - jnp.square(mean)
        else:
            mean, variance = (ema.average.astype(inputs.dtype) for ema in (self.mean_ema, self.var_ema))
        if is_training:
            self.mean_ema(mean)
            self.var_ema(variance)
        shape = tuple(1 if axis in axes else size for axis, size in enumerate(inputs.shape))
        scale, offset = scale_and_offset(self, inputs, shape, scale, offset)
        return (inputs - mean) * (scale * lax.rsqrt(variance + self.eps)) + offset

    def _axes(self, ndim: int) -> tuple[int, ...]:
        if self.axis is not None:
            return positions(self, "axis", self.axis, ndim)
        return tuple(axis for axis in range(ndim) if axis != self.channel_index % ndim)

    def _batch_mean(self, x: Any, axes: tuple[int, ...]) -> Any:
        """The mean over these axes, and over the replicas that share a batch."""
        mean = jnp.mean(x, axes, keepdims=True)
        if not self.cross_replica_axis:
            return mean
        return lax.pmean(mean, self.cross_replica_axis, axis_index_groups=self.cross_replica_axis_index_groups)
