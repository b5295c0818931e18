"""Residual networks for images, of 18 to 200 layers, in both of their published forms.

A network is a convolution, four groups of blocks and a Linear layer.  A block adds to its input what two convolutions
(three in a bottleneck) make of it.  Version 1 normalizes after each convolution, version 2 before it.
Sources: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015 (arxiv.org/abs/1512.03385), and
"Identity Mappings in Deep Residual Networks", 2016 (arxiv.org/abs/1603.05027).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.haiku.linear import Linear
from minijax.haiku.batch_norm import BatchNorm
from minijax.haiku.conv import Conv2D
from minijax.haiku.module import Module
from minijax.haiku.pool import max_pool
from minijax.haiku.refusals import refusal

__all__ = ["ResNet", "ResNet18", "ResNet34", "ResNet50", "ResNet101", "ResNet152", "ResNet200"]

Config = Mapping[str, Any]


def _conv(name: str, channels: int, size: int, stride: int | Sequence[int]) -> Conv2D:
    return Conv2D(channels, size, stride, with_bias=False, name=name)


def _norm_config(config: Config) -> dict[str, Any]:
    return {"create_scale": True, "create_offset": True, "decay_rate": 0.999, **config}


def _layers(channels: int, stride: int | Sequence[int], bottleneck: bool, config: Config,
            last_config: Config) -> tuple[tuple[Conv2D, BatchNorm], ...]:
    """The convolutions of a block, each with its norm: 1x1, 3x3, 1x1 in a bottleneck, else two times 3x3."""
    inner = channels // 4
    sizes = (((inner, 1, 1), (inner, 3, stride), (channels, 1, 1)) if bottleneck
             else ((channels, 3, stride), (channels, 3, 1)))
    configs = [config] * (len(sizes) - 1) + [last_config]
    return tuple((_conv(f"conv_{i}", *size), BatchNorm(name=f"batchnorm_{i}", **config))
                 for i, (size, config) in enumerate(zip(sizes, configs, strict=True)))


class BlockV1(Module):
    """A block that normalizes after each convolution; a bottleneck's last scale starts at 0, so it begins as identity.

    Parameters: `~/conv_i` and `~/batchnorm_i`, and of the projection `~/shortcut_conv` and `~/shortcut_batchnorm`.
    """

    def __init__(self, channels: int, stride: int | Sequence[int], use_projection: bool, bn_config: Config,
                 bottleneck: bool, name: str | None = None):
        """`channels` come out; with `use_projection` the way past the block has a convolution of its own."""
        super().__init__(name=name)
        config = _norm_config(bn_config)
        self.use_projection = use_projection
        if use_projection:
            self.proj_conv = _conv("shortcut_conv", channels, 1, stride)
            self.proj_batchnorm = BatchNorm(name="shortcut_batchnorm", **config)
        starts_at_zero = bottleneck and config["create_scale"]
        last_config = {"scale_init": jnp.zeros, **config} if starts_at_zero else config
        self.layers = _layers(channels, stride, bottleneck, config, last_config)

    def __call__(self, inputs: Any, is_training: bool, test_local_stats: bool) -> Any:
        """Images [batch, height, width, channels], of a size divided by the stride."""
        shortcut = inputs
        if self.use_projection:
            shortcut = self.proj_batchnorm(self.proj_conv(inputs), is_training, test_local_stats)
        x = inputs
        for i, (conv, norm) in enumerate(self.layers):
            x = norm(conv(nn.relu(x) if i else x), is_training, test_local_stats)
        return nn.relu(x + shortcut)


class BlockV2(Module):
    """A block that normalizes before each convolution, so that nothing stands on the way past it.

    Parameters: `~/conv_i` and `~/batchnorm_i`, and of the projection `~/shortcut_conv`.
    """

    def __init__(self, channels: int, stride: int | Sequence[int], use_projection: bool, bn_config: Config,
                 bottleneck: bool, name: str | None = None):
        """As `BlockV1`."""
        super().__init__(name=name)
        config = _norm_config(bn_config)
        self.use_projection = use_projection
        if use_projection:
            self.proj_conv = _conv("shortcut_conv", channels, 1, stride)
        self.layers = _layers(channels, stride, bottleneck, config, config)

    def __call__(self, inputs: Any, is_training: bool, test_local_stats: bool) -> Any:
        """Images [batch, height, width, channels], of a size divided by the stride."""
        x = shortcut = inputs
        for i, (conv, norm) in enumerate(self.layers):
            x = nn.relu(norm(x, is_training, test_local_stats))
            if self.use_projection and i == 0:
                shortcut = self.proj_conv(x)
            x = conv(x)
        return x + shortcut


class BlockGroup(Module):
    """Blocks of one size, `~/block_0`, `~/block_1` and so on, of which the first has the stride and the projection."""

    def __init__(self, channels: int, num_blocks: int, stride: int | Sequence[int], bn_config: Config,
                 resnet_v2: bool, bottleneck: bool, use_projection: bool, name: str | None = None):
        """`num_blocks` blocks; the rest as for a block."""
        super().__init__(name=name)
        block = BlockV2 if resnet_v2 else BlockV1
        self.blocks = [block(channels, 1 if i else stride, use_projection and i == 0, bn_config, bottleneck,
                             name=f"block_{i}") for i in range(num_blocks)]

    def __call__(self, inputs: Any, is_training: bool, test_local_stats: bool) -> Any:
        """Images through all blocks."""
        x = inputs
        for block in self.blocks:
            x = block(x, is_training, test_local_stats)
        return x


def _config(blocks_per_group: tuple[int, ...], bottleneck: bool) -> dict[str, Any]:
    return {"blocks_per_group": blocks_per_group, "bottleneck": bottleneck,
            "channels_per_group": (256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512),
            "use_projection": (bottleneck, True, True, True)}


class ResNet(Module):
    """A residual network of any size: images [batch, height, width, channels] to logits [batch, num_classes].

    Parameters: `~/initial_conv`, `~/initial_batchnorm` (version 1) or `~/final_batchnorm` (version 2), four
    `~/block_group_i` and `~/logits`.  State: the moving averages of all BatchNorms.  The published sizes are classes
    of their own, `ResNet18` to `ResNet200`, whose settings are in `ResNet.CONFIGS`.

    >>> sorted(ResNet.CONFIGS), ResNet.CONFIGS[50]["blocks_per_group"]
    ([18, 34, 50, 101, 152, 200], (3, 4, 6, 3))
    """

    CONFIGS = {18: _config((2, 2, 2, 2), bottleneck=False), 34: _config((3, 4, 6, 3), bottleneck=False),
               50: _config((3, 4, 6, 3), bottleneck=True), 101: _config((3, 4, 23, 3), bottleneck=True),
               152: _config((3, 8, 36, 3), bottleneck=True), 200: _config((3, 24, 36, 3), bottleneck=True)}
    BlockGroup = BlockGroup
    BlockV1 = BlockV1
    BlockV2 = BlockV2

    def __init__(self, blocks_per_group: Sequence[int], num_classes: int, bn_config: Config | None = None,
                 resnet_v2: bool = False, bottleneck: bool = True,
                 channels_per_group: Sequence[int] = (256, 512, 1024, 2048),
                 use_projection: Sequence[bool] = (True, True, True, True), logits_config: Config | None = None,
                 name: str | None = None, initial_conv_config: Config | None = None,
                 strides: Sequence[int] = (1, 2, 2, 2)):
        """Four groups of blocks, with four `blocks_per_group`, `channels_per_group`, `use_projection` and `strides`.

        `bn_config` goes to every BatchNorm (by default decay_rate 0.9), `initial_conv_config` to the first
        convolution (7x7, stride 2, 64 channels), `logits_config` to the last Linear (weights that start at 0).
        Raises `MinijaxValueError` unless those are four each.
        """
        super().__init__(name=name)
        for argument, values in (("blocks_per_group", blocks_per_group), ("channels_per_group", channels_per_group),
                                 ("use_projection", use_projection), ("strides", strides)):
            if len(values) != 4:
                raise refusal(self, f"`{argument}` must be of length 4 not {len(values)}",
                              "Give one value for each group of blocks.")
        bn_config = {"decay_rate": 0.9, "eps": 1e-5, "create_scale": True, "create_offset": True, **(bn_config or {})}
        self.resnet_v2 = resnet_v2
        self.initial_conv = Conv2D(**{"output_channels": 64, "kernel_shape": 7, "stride": 2, "with_bias": False,
                                      "padding": "SAME", "name": "initial_conv", **(initial_conv_config or {})})
        if not resnet_v2:
            self.initial_batchnorm = BatchNorm(name="initial_batchnorm", **bn_config)
        self.block_groups = [
            BlockGroup(channels, blocks, stride, bn_config, resnet_v2, bottleneck, projected, name=f"block_group_{i}")
            for i, (channels, blocks, stride, projected)
            in enumerate(zip(channels_per_group, blocks_per_group, strides, use_projection, strict=True))]
        if resnet_v2:
            self.final_batchnorm = BatchNorm(name="final_batchnorm", **bn_config)
        self.logits = Linear(num_classes, **{"w_init": jnp.zeros, "name": "logits", **(logits_config or {})})

    def __call__(self, inputs: Any, is_training: bool, test_local_stats: bool = False) -> Any:
        """The logits; `is_training` and `test_local_stats` go to every BatchNorm."""
        x = self.initial_conv(inputs)
        if not self.resnet_v2:
            x = nn.relu(self.initial_batchnorm(x, is_training, test_local_stats))
        x = max_pool(x, window_shape=(1, 3, 3, 1), strides=(1, 2, 2, 1), padding="SAME")
        for group in self.block_groups:
            x = group(x, is_training, test_local_stats)
        if self.resnet_v2:
            x = nn.relu(self.final_batchnorm(x, is_training, test_local_stats))
        return self.logits(jnp.mean(x, axis=(1, 2)))


class _PublishedResNet(ResNet):
    """A residual network of a published size, which a subclass names as its `depth`."""

    depth: int

    def __init__(self, num_classes: int, bn_config: Config | None = None, resnet_v2: bool = False,
                 logits_config: Config | None = None, name: str | None = None,
                 initial_conv_config: Config | None = None, strides: Sequence[int] = (1, 2, 2, 2)):
        """As `ResNet`, whose other arguments follow from the depth."""
        super().__init__(num_classes=num_classes, bn_config=bn_config, resnet_v2=resnet_v2,
                         logits_config=logits_config, name=name, initial_conv_config=initial_conv_config,
                         strides=strides, **self.CONFIGS[self.depth])


class ResNet18(_PublishedResNet):
    """The residual network of 18 layers, in blocks of two: 11,689,512 parameters for 1,000 classes.

    >>> import minijax, minijax.haiku as hk
    >>> f = hk.transform_with_state(lambda x: hk.nets.ResNet18(10)(x, is_training=True))
    >>> params, state = minijax.eval_shape(f.init, minijax.random.key(0), jnp.ones((1, 32, 32, 3)))
    >>> params["res_net18/~/logits"]["w"].shape
    (512, 10)
    """

    depth = 18


class ResNet34(_PublishedResNet):
    """The residual network of 34 layers, in blocks of two: 21,797,672 parameters for 1,000 classes."""

    depth = 34


class ResNet50(_PublishedResNet):
    """The residual network of 50 layers, in bottlenecks: 25,557,032 parameters for 1,000 classes."""

    depth = 50


class ResNet101(_PublishedResNet):
    """The residual network of 101 layers, in bottlenecks: 44,549,160 parameters for 1,000 classes."""

    depth = 101


class ResNet152(_PublishedResNet):
    """The residual network of 152 layers, in bottlenecks: 60,192,808 parameters for 1,000 classes."""

    depth = 152


class ResNet200(_PublishedResNet):
    """The residual network of 200 layers, in bottlenecks: 64,673,832 parameters for 1,000 classes."""

    depth = 200
