"""The layers of minijax.haiku against dm-haiku's: names, shapes, initial values, outputs, gradients, and bad input."""

import inspect
import re
import zlib

import haiku
import jax
import ml_dtypes
import numpy as np
import pytest

import minijax
import minijax.haiku
import minijax.numpy as jnp
from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError
from tests.haiku_checks import by_path, compare, same_module


def array(name, shape, dtype=np.float32):
    """Numbers that depend on the name; small whole ones for an integer dtype."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.integers(0, 5, shape).astype(dtype) if dtype == np.int32 else rng.normal(size=shape).astype(dtype)


def inputs_of(cases):
    """The inputs of each case: arrays for shapes, other values as they are."""
    return {name: [array(f"{name}{i}", x) if isinstance(x, tuple) else x for i, x in enumerate(inputs)]
            for name, (_, *inputs) in cases.items()}


def body_of(cases):
    """A body that calls the layer of each case on its inputs; one program for many layers."""
    def build(hk, jnp):
        return lambda inputs: {name: make(hk)(*inputs[name]) for name, (make, *_) in cases.items()}

    return build


HALF = ml_dtypes.bfloat16
WORDS = np.array([[3, 1, 4], [1, 5, 2]])
MASK = np.tril(np.ones((1, 4, 4), bool))
KERNEL_MASK = array("mask", (3, 3, 3, 4)) > 0


def dense(hk):
    """Initializers that say more than the default ones."""
    return {"w_init": hk.initializers.VarianceScaling(2.0, "fan_avg", "uniform"),
            "b_init": hk.initializers.RandomNormal(0.1)}


GROUPS = {
    "dense": {
        "Linear": (lambda hk: hk.Linear(4), (2, 3)),
        "Linear one example": (lambda hk: hk.Linear(4, **dense(hk)), (3,)),
        "Linear many axes": (lambda hk: hk.Linear(2, with_bias=False, name="named"), (2, 5, 4, 3)),
        "Linear bfloat16": (lambda hk: hk.Linear(4), array("half", (2, 3), HALF)),
        "Linear precision": (lambda hk: lambda x: hk.Linear(4)(x, precision="highest"), (2, 3)),
        "Bias": (lambda hk: hk.Bias(), (2, 3, 4)),
        "Bias of axes": (lambda hk: hk.Bias((3, 4, 5), [1, -2], b_init=hk.initializers.RandomNormal()), (2, 3, 4, 5)),
        "Bias of last axis": (lambda hk: hk.Bias(bias_dims=[-1]), (2, 3, 4)),
        "Bias scalar": (lambda hk: hk.Bias(bias_dims=[], b_init=hk.initializers.Constant(2)), (2, 3)),
        "Bias of size one": (lambda hk: hk.Bias(bias_dims=[1]), (2, 1, 3)),
        "Bias multiplier": (lambda hk: lambda x: hk.Bias(b_init=hk.initializers.Constant(2))(x, -1), (2, 3)),
        "Sequential": (lambda hk: hk.Sequential([hk.Linear(4), jnp_tanh, hk.Linear(2)]), (2, 3)),
        "Sequential of arguments": (lambda hk: hk.Sequential([lambda x, y: x - y, hk.Linear(2)]), (2, 3), (2, 3)),
        "Sequential of none": (lambda hk: hk.Sequential([]), (2,)),
        "Embed": (lambda hk: hk.Embed(6, 4), WORDS),
        "Embed one hot": (lambda hk: hk.Embed(6, 4, lookup_style="one_hot"), WORDS),
        "Embed matrix": (lambda hk: hk.Embed(embedding_matrix=array("matrix", (6, 4))), WORDS),
        "Embed style of call": (lambda hk: lambda ids: hk.Embed(6, 4, w_init=hk.initializers.RandomNormal())(
            ids, lookup_style=hk.EmbedLookupStyle.ONE_HOT), WORDS),
    },
    "attention": {
        "one example": (lambda hk: hk.MultiHeadAttention(2, 3, w_init=hk.initializers.VarianceScaling()),
                        (4, 5), (6, 2), (6, 3)),
        "masked": (lambda hk: hk.MultiHeadAttention(2, 4, value_size=3, model_size=5, **dense(hk)),
                   (2, 4, 5), (2, 4, 5), (2, 4, 5), MASK[None]),
        "no bias": (lambda hk: hk.MultiHeadAttention(1, 4, w_init=hk.initializers.Orthogonal(), with_bias=False),
                    (4, 5), (4, 5), (4, 5), MASK),
    },
    "convolution": {
        "Conv1D": (lambda hk: hk.Conv1D(4, 3), (2, 7, 3)),
        "Conv1D causal": (lambda hk: hk.Conv1D(4, 3, rate=2, padding=hk.pad.causal, **dense(hk)), (2, 7, 3)),
        "Conv1D channels first": (lambda hk: hk.Conv1D(4, 3, 2, data_format="NCW"), (2, 3, 7)),
        "Conv2D": (lambda hk: hk.Conv2D(4, 3, stride=2, with_bias=False), (2, 8, 7, 3)),
        "Conv2D channels first": (lambda hk: hk.Conv2D(4, (2, 3), data_format="NCHW", **dense(hk)), (2, 3, 5, 6)),
        "Conv2D mask": (lambda hk: hk.Conv2D(4, 3, mask=KERNEL_MASK), (2, 5, 6, 3)),
        "Conv2D groups": (lambda hk: hk.Conv2D(6, 3, feature_group_count=2, padding="valid"), (2, 5, 6, 4)),
        "Conv2D pairs": (lambda hk: hk.Conv2D(4, (3, 2), (1, 2), (2, 1), padding=[(1, 2), (0, 1)]), (2, 5, 6, 3)),
        "Conv2D one pair": (lambda hk: hk.Conv2D(4, 3, padding=(1, 2)), (2, 5, 6, 3)),
        "Conv2D functions": (lambda hk: hk.Conv2D(4, 3, padding=[hk.pad.full, hk.pad.reverse_causal]), (2, 5, 6, 3)),
        "Conv2D one image": (lambda hk: lambda x: hk.Conv2D(4, 3)(x, precision="highest"), (5, 6, 3)),
        "Conv3D": (lambda hk: hk.Conv3D(2, 2), (1, 4, 3, 4, 2)),
        "Conv3D channels first": (lambda hk: hk.Conv3D(2, 2, data_format="NCDHW"), (1, 2, 4, 3, 4)),
        "ConvND": (lambda hk: hk.ConvND(1, 3, 2, padding=hk.pad.same, data_format="channels_first"), (2, 7)),
    },
    "transposed": {
        "Conv1DTranspose": (lambda hk: hk.Conv1DTranspose(4, 3), (2, 5, 3)),
        "Conv1DTranspose shape": (lambda hk: hk.Conv1DTranspose(4, 3, 2, output_shape=9), (2, 5, 3)),
        "Conv1DTranspose valid": (lambda hk: hk.Conv1DTranspose(4, 3, 2, output_shape=[12], padding="VALID"), (2, 5, 3)),
        "Conv2DTranspose": (lambda hk: hk.Conv2DTranspose(4, 3, 2, padding="VALID"), (2, 4, 3, 3)),
        "Conv2DTranspose channels first": (lambda hk: hk.Conv2DTranspose(
            4, (3, 2), 2, output_shape=(7, 8), data_format="NCHW", **dense(hk)), (2, 3, 4, 4)),
        "Conv2DTranspose mask": (lambda hk: hk.Conv2DTranspose(3, 3, mask=KERNEL_MASK), (2, 4, 3, 4)),
        "Conv2DTranspose pairs": (lambda hk: hk.Conv2DTranspose(3, 3, 2, padding=[(1, 2), (2, 1)]), (2, 4, 3, 4)),
        "Conv2DTranspose one image": (lambda hk: hk.Conv2DTranspose(3, 3, with_bias=False), (4, 3, 2)),
        "Conv3DTranspose": (lambda hk: hk.Conv3DTranspose(2, 2, 2), (1, 2, 3, 2, 2)),
        "ConvNDTranspose": (lambda hk: hk.ConvNDTranspose(1, 3, 2, 3, data_format="NC..."), (1, 2, 7)),
    },
    "depthwise": {
        "DepthwiseConv1D": (lambda hk: hk.DepthwiseConv1D(2, 3, rate=2), (2, 7, 3)),
        "DepthwiseConv2D": (lambda hk: hk.DepthwiseConv2D(1, 3, stride=2, with_bias=False), (2, 5, 6, 3)),
        "DepthwiseConv2D channels first": (lambda hk: hk.DepthwiseConv2D(
            2, (3, 2), padding="VALID", data_format="NCHW", **dense(hk)), (2, 3, 5, 6)),
        "DepthwiseConv3D": (lambda hk: hk.DepthwiseConv3D(2, 2), (1, 3, 4, 3, 2)),
        "SeparableDepthwiseConv2D": (lambda hk: hk.SeparableDepthwiseConv2D(2, (3, 2), 2), (2, 5, 6, 3)),
    },
    "pool": {
        "MaxPool": (lambda hk: hk.MaxPool((2, 3, 1), (2, 1, 1), "SAME"), (2, 5, 6, 3)),
        "MaxPool all axes": (lambda hk: hk.MaxPool((1, 2, 3, 2), 1, "VALID"), (2, 5, 6, 3)),
        "AvgPool": (lambda hk: hk.AvgPool((2, 3, 1), (2, 1, 1), "SAME"), (2, 5, 6, 3)),
        "AvgPool valid": (lambda hk: hk.AvgPool((3, 3, 1), (2, 2, 1), "VALID"), (5, 6, 3)),
        "MaxPool int": (lambda hk: hk.MaxPool(2, 2, "VALID", channel_axis=1), (2, 3, 5, 6)),
        "AvgPool int": (lambda hk: hk.AvgPool(2, 3, "SAME", channel_axis=None), (2, 4, 5)),
        "max_pool": (lambda hk: lambda x: hk.max_pool(x, 3, (1, 2, 1), "SAME", -2), (2, 3, 5)),
    },
    "shape": {
        "Reshape": (lambda hk: hk.Reshape((-1, 3)), (2, 4, 3)),
        "Reshape two axes kept": (lambda hk: hk.Reshape((5, -1), preserve_dims=2), (2, 3, 4, 5)),
        "Reshape trailing": (lambda hk: hk.Reshape([6], preserve_dims=-2), (4, 2, 3)),
        "Reshape too few axes": (lambda hk: hk.Reshape((6, -1), preserve_dims=2), (2, 3)),
        "Flatten": (lambda hk: hk.Flatten(), (2, 3, 4)),
        "Flatten trailing": (lambda hk: hk.Flatten(-2), (2, 3, 4)),
        "Flatten empty": (lambda hk: hk.Flatten(), (0, 3, 4)),
        "BatchApply": (lambda hk: hk.BatchApply(hk.Linear(2)), (4, 2, 3)),
        "BatchApply trees": (lambda hk: hk.BatchApply(lambda t, s: {"sum": t["x"].sum(-1) + t["y"] * s}, 3),
                             {"x": array("x", (2, 3, 4, 2)), "y": array("y", (2, 3, 4))}, np.float32(2)),
        "expand_apply": (lambda hk: hk.expand_apply(hk.Conv1D(2, 3)), (5, 3)),
        "expand_apply last": (lambda hk: hk.expand_apply(lambda x: x * x.shape[-1], axis=-1), (5, 3)),
        "to_module": (lambda hk: hk.to_module(lambda x: scaled(hk, x))(name="scaled"), (2, 3)),
        "to_module named": (lambda hk: hk.to_module(named(hk))(), (2, 3)),
        "one_hot": (lambda hk: lambda ids: hk.one_hot(ids, 5, np.int32), WORDS),
        "dropout": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.4, x), (4, 5)),
        "dropout shared": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.4, x, broadcast_dims=[0, -1]), (4, 5, 3)),
        "dropout of nothing": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.0, x), (4,)),
        "dropout traced": (lambda hk: lambda rate, x: hk.dropout(hk.next_rng_key(), rate, x), np.float32(0.3), (4, 5)),
        "multinomial": (lambda hk: lambda logits: hk.multinomial(hk.next_rng_key(), logits, 4), (2, 3)),
        "multinomial one": (lambda hk: lambda logits: hk.multinomial(hk.next_rng_key(), logits, 1), (2, 3)),
        "Deferred": (lambda hk: deferred(hk), (2, 3)),
    },
}


def jnp_tanh(x):
    """A layer that is a function, of either library's arrays."""
    return 1 - 2 / (x * x + 1)


def scaled(hk, x):
    return x * hk.get_parameter("scale", x.shape[-1:], init=hk.initializers.RandomUniform(1, 2))


def named(hk):
    def my_function(x):
        return scaled(hk, hk.Linear(2)(x))

    return my_function


def deferred(hk):
    """An autoencoder whose second half asks the first one for its size."""
    class Autoencoder(hk.Module):
        def __init__(self):
            super().__init__()
            self.encode = hk.Linear(2)
            self.decode = hk.Deferred(lambda: hk.Linear(self.encode.input_size))

        def __call__(self, x):
            code = self.encode(x)
            return self.decode(code), self.decode.output_size

    return Autoencoder()


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.filterwarnings("ignore:When running under vmap:DeprecationWarning",
                            "ignore:.*means every axis but the first:DeprecationWarning")
def test_layers(group):
    cases = GROUPS[group]
    same_module(body_of(cases), inputs_of(cases))
