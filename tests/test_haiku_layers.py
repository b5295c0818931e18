"""The layers of minijax.haiku against dm-haiku's: names, shapes, initial values, outputs, gradients, and bad input."""

import inspect
import math
import re
import zlib

import haiku
import ml_dtypes
import numpy as np
import pytest

import minijax
import minijax.haiku
import minijax.numpy as jnp
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
IDS = np.array([[3, 1, 4], [1, 5, 2]])
MASK = np.tril(np.ones((1, 4, 4), bool))
KERNEL_MASK = array("mask", (3, 3, 3, 4)) > 0


def known(hk):
    """Initializers that compile quickly and fill no two places alike; the random ones have a test of their own."""
    def wave(shape, dtype):
        return hk.initializers.Constant(np.cos(np.arange(math.prod(shape))).reshape(shape))(shape, dtype)

    return {"w_init": wave, "b_init": wave}


# Each with its own initial values once, of shapes that few programs draw; the others begin with known ones.
GROUPS = {
    "dense": {
        "Linear": (lambda hk: hk.Linear(4), (2, 6)),
        "Linear one example": (lambda hk: hk.Linear(4, **known(hk)), (3,)),
        "Linear many axes": (lambda hk: hk.Linear(2, False, known(hk)["w_init"], name="named"), (2, 5, 4, 3)),
        "Linear bfloat16": (lambda hk: hk.Linear(4, **known(hk)), array("half", (2, 3), HALF)),
        "Linear precision": (lambda hk: lambda x: hk.Linear(4, **known(hk))(x, precision="highest"), (2, 3)),
        "Bias": (lambda hk: hk.Bias(), (2, 3, 4)),
        "Bias of axes": (lambda hk: hk.Bias((3, 4, 5), [1, -2], b_init=known(hk)["b_init"]), (2, 3, 4, 5)),
        "Bias of last axis": (lambda hk: hk.Bias(bias_dims=[-1]), (2, 3, 4)),
        "Bias scalar": (lambda hk: hk.Bias(bias_dims=[], b_init=hk.initializers.Constant(2)), (2, 3)),
        "Bias of size one": (lambda hk: hk.Bias(bias_dims=[1]), (2, 1, 3)),
        "Bias multiplier": (lambda hk: lambda x: hk.Bias(b_init=known(hk)["b_init"])(x, -1), (2, 3)),
        "Sequential": (lambda hk: hk.Sequential([hk.Linear(4, **known(hk)), cubed, hk.Linear(2, **known(hk))]),
                       (2, 3)),
        "Sequential of two arguments": (lambda hk: hk.Sequential([lambda x, y: x - y, cubed]), (2, 3), (2, 3)),
        "Sequential of nothing": (lambda hk: hk.Sequential([]), (2,)),
        "Embed": (lambda hk: hk.Embed(6, 4), IDS),
        "Embed one hot": (lambda hk: hk.Embed(6, 4, lookup_style="one_hot", w_init=known(hk)["w_init"]), IDS),
        "Embed out of range": (lambda hk: lambda ids: [
            hk.Embed(6, 4, None, known(hk)["w_init"], style)(ids) for style in ("array_index", "one_hot")],
            np.array([5, 6, -1, -7])),
        "Embed matrix": (lambda hk: hk.Embed(embedding_matrix=array("matrix", (6, 4))), IDS),
        "Embed style of call": (lambda hk: lambda ids: hk.Embed(6, 4, w_init=known(hk)["w_init"])(
            ids, lookup_style=hk.EmbedLookupStyle.ONE_HOT), IDS),
    },
    "attention": {
        "one example": (lambda hk: hk.MultiHeadAttention(2, 2, w_init=hk.initializers.VarianceScaling()),
                        (4, 6), (5, 6), (5, 6)),
        "masked": (lambda hk: hk.MultiHeadAttention(2, 4, value_size=3, model_size=5, **known(hk)),
                   (2, 4, 5), (2, 4, 5), (2, 4, 5), MASK[None]),
        "no bias": (lambda hk: hk.MultiHeadAttention(1, 4, w_init=known(hk)["w_init"], with_bias=False),
                    (4, 5), (4, 5), (4, 5), MASK),
    },
    "convolution": {
        "Conv1D": (lambda hk: hk.Conv1D(4, 3, **known(hk)), (2, 7, 3)),
        "Conv1D causal": (lambda hk: hk.Conv1D(4, 3, rate=2, padding=hk.pad.causal, **known(hk)), (2, 7, 3)),
        "Conv1D channels first": (lambda hk: hk.Conv1D(4, 3, 2, data_format="NCW", **known(hk)), (2, 3, 7)),
        "Conv2D": (lambda hk: hk.Conv2D(4, 3, stride=2), (2, 8, 7, 3)),
        "Conv2D channels first": (lambda hk: hk.Conv2D(4, (2, 3), data_format="NCHW", **known(hk)), (2, 3, 5, 6)),
        "Conv2D mask": (lambda hk: hk.Conv2D(4, 3, mask=KERNEL_MASK, **known(hk)), (2, 5, 6, 3)),
        "Conv2D groups": (lambda hk: hk.Conv2D(6, 3, padding="valid", feature_group_count=2, **known(hk)),
                          (2, 5, 6, 4)),
        "Conv2D pairs": (lambda hk: hk.Conv2D(4, (3, 2), (1, 2), (2, 1), [(1, 2), (0, 1)], **known(hk)), (2, 5, 6, 3)),
        "Conv2D one pair": (lambda hk: hk.Conv2D(4, 3, padding=(1, 2), **known(hk)), (2, 5, 6, 3)),
        "Conv2D functions": (lambda hk: hk.Conv2D(4, 3, padding=[hk.pad.full, hk.pad.reverse_causal], **known(hk)),
                             (2, 5, 6, 3)),
        "Conv2D one image": (lambda hk: lambda x: hk.Conv2D(4, 3, with_bias=False)(x, precision="highest"), (5, 6, 3)),
        "Conv3D": (lambda hk: hk.Conv3D(2, 2, **known(hk)), (1, 4, 3, 4, 2)),
        "Conv3D channels first": (lambda hk: hk.Conv3D(2, 2, data_format="NCDHW", **known(hk)), (1, 2, 4, 3, 4)),
        "ConvND": (lambda hk: hk.ConvND(1, 3, 2, padding=hk.pad.same, data_format="channels_first", **known(hk)),
                   (2, 7)),
    },
    "transposed": {
        "Conv1DTranspose": (lambda hk: hk.Conv1DTranspose(4, 3, **known(hk)), (2, 5, 3)),
        "Conv1DTranspose shape": (lambda hk: hk.Conv1DTranspose(4, 3, 2, output_shape=9, **known(hk)), (2, 5, 3)),
        "Conv1DTranspose valid": (lambda hk: hk.Conv1DTranspose(4, 3, 2, [12], "VALID", **known(hk)), (2, 5, 3)),
        "Conv2DTranspose": (lambda hk: hk.Conv2DTranspose(3, 3, 2, padding="VALID"), (2, 4, 3, 4)),
        "Conv2DTranspose channels first": (lambda hk: hk.Conv2DTranspose(
            4, (3, 2), 2, output_shape=(7, 8), data_format="NCHW", **known(hk)), (2, 3, 4, 4)),
        "Conv2DTranspose mask": (lambda hk: hk.Conv2DTranspose(3, 3, mask=KERNEL_MASK, **known(hk)), (2, 4, 3, 4)),
        "Conv2DTranspose pairs": (lambda hk: hk.Conv2DTranspose(3, 3, 2, padding=[(1, 2), (2, 1)], **known(hk)),
                                  (2, 4, 3, 4)),
        "Conv2DTranspose one image": (lambda hk: hk.Conv2DTranspose(3, 3, with_bias=False), (4, 3, 4)),
        "Conv3DTranspose": (lambda hk: hk.Conv3DTranspose(2, 2, 2, **known(hk)), (1, 2, 3, 2, 2)),
        "ConvNDTranspose": (lambda hk: hk.ConvNDTranspose(1, 3, 2, 3, data_format="NC...", **known(hk)), (1, 2, 7)),
    },
    "depthwise": {
        "DepthwiseConv1D": (lambda hk: hk.DepthwiseConv1D(2, 3, rate=2, **known(hk)), (2, 7, 3)),
        "DepthwiseConv2D": (lambda hk: hk.DepthwiseConv2D(2, 3, stride=2, with_bias=False), (2, 5, 6, 2)),
        "DepthwiseConv2D channels first": (lambda hk: hk.DepthwiseConv2D(
            2, (3, 2), padding="VALID", data_format="NCHW", **known(hk)), (2, 3, 5, 6)),
        "DepthwiseConv3D": (lambda hk: hk.DepthwiseConv3D(2, 2, **known(hk)), (1, 3, 4, 3, 2)),
        "SeparableDepthwiseConv2D": (lambda hk: hk.SeparableDepthwiseConv2D(2, (3, 2), 2, **known(hk)), (2, 5, 6, 3)),
    },
    "pool": {
        "MaxPool": (lambda hk: hk.MaxPool((2, 3, 1), (2, 1, 1), "SAME"), (2, 5, 6, 3)),
        "MaxPool all axes": (lambda hk: hk.MaxPool((1, 2, 3, 2), 1, "VALID"), (2, 5, 6, 3)),
        "AvgPool": (lambda hk: hk.AvgPool((2, 3, 1), (2, 1, 1), "SAME"), (2, 5, 6, 3)),
        "AvgPool valid": (lambda hk: hk.AvgPool((3, 3, 1), (2, 2, 1), "VALID"), (5, 6, 3)),
        "MaxPool one size": (lambda hk: hk.MaxPool(2, 2, "VALID", channel_axis=1), (2, 3, 5, 6)),
        "AvgPool one size": (lambda hk: hk.AvgPool(2, 3, "SAME", channel_axis=None), (2, 4, 5)),
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
        "BatchApply": (lambda hk: hk.BatchApply(hk.Linear(2, **known(hk))), (4, 2, 3)),
        "BatchApply trees": (lambda hk: hk.BatchApply(lambda t, s: {"sum": t["x"].sum(-1) + t["y"] * s}, 3),
                             {"x": array("x", (2, 3, 4, 2)), "y": array("y", (2, 3, 4))}, np.float32(2)),
        "expand_apply": (lambda hk: hk.expand_apply(hk.Conv1D(2, 3, **known(hk))), (5, 3)),
        "expand_apply last": (lambda hk: hk.expand_apply(lambda x: x * x.shape[-1], axis=-1), (5, 3)),
        "to_module": (lambda hk: hk.to_module(lambda x: scaled(hk, x))(name="scaled"), (2, 3)),
        "to_module of a name": (lambda hk: hk.to_module(named(hk))(), (2, 3)),
        "Deferred": (lambda hk: autoencoder(hk), (2, 3)),
    },
    "inside transforms": {
        "jit": (lambda hk: ours(hk, minijax.jit)(hk.Linear(4, **known(hk))), (2, 3)),
        "jit that makes it": (lambda hk: ours(hk, minijax.jit)(lambda x: hk.Conv1D(2, 3, **known(hk))(x)), (2, 5, 3)),
        "vmap": (lambda hk: ours(hk, minijax.vmap)(hk.Conv2D(4, 3, **known(hk))), (2, 5, 6, 3)),
        "vmap of jit": (lambda hk: ours(hk, minijax.vmap)(ours(hk, minijax.jit)(hk.Embed(6, 4))), IDS),
        "vmap of a pool": (lambda hk: ours(hk, minijax.vmap)(hk.AvgPool((2, 2, 1), (2, 1, 1), "SAME")), (2, 5, 6, 3)),
        "vmap of attention": (lambda hk: ours(hk, minijax.vmap)(hk.MultiHeadAttention(2, 4, **known(hk))),
                              (3, 4, 5), (3, 6, 5), (3, 6, 5)),
        "checkpoint": (lambda hk: ours(hk, minijax.checkpoint)(hk.SeparableDepthwiseConv2D(2, 3, **known(hk))),
                       (2, 5, 6, 3)),
    },
    "chance": {
        "dropout": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.4, x), (4, 5)),
        "dropout shared": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.4, x, [0, -1]), (4, 5, 3)),
        "dropout of nothing": (lambda hk: lambda x: hk.dropout(hk.next_rng_key(), 0.0, x), (4,)),
        "dropout traced": (lambda hk: lambda rate, x: hk.dropout(hk.next_rng_key(), rate, x), np.float32(0.3), (4, 5)),
        "multinomial": (lambda hk: lambda logits: hk.multinomial(hk.next_rng_key(), logits, 4), (2, 3)),
        "multinomial one": (lambda hk: lambda logits: hk.multinomial(hk.next_rng_key(), logits, 1), (2, 3)),
        "one_hot": (lambda hk: lambda ids: hk.one_hot(ids, 5, np.int32), IDS),
    },
}


def ours(hk, transform):
    """A transform of minijax around a layer of minijax; nothing around one of Haiku, which takes batches as well."""
    return transform if hk is minijax.haiku else lambda layer: layer


def cubed(x):
    return x ** 3


def scaled(hk, x):
    return x * hk.get_parameter("scale", x.shape[-1:], init=known(hk)["w_init"])


def named(hk):
    def my_function(x):
        return scaled(hk, hk.Linear(2, **known(hk))(x))

    return my_function


def autoencoder(hk):
    """An autoencoder whose second half asks the first one for its size."""
    class Autoencoder(hk.Module):
        def __init__(self):
            super().__init__()
            self.encode = hk.Linear(2, name="encode", **known(hk))
            self.decode = hk.Deferred(lambda: hk.Linear(self.encode.input_size, **known(hk)))

        def __call__(self, x):
            code = self.encode(x)
            return self.decode(code), self.decode.output_size

    return Autoencoder()


GUESSED_AXES = pytest.mark.filterwarnings("ignore:When running under vmap:DeprecationWarning",
                                          "ignore:.*means every axis but the first:DeprecationWarning")


@GUESSED_AXES
@pytest.mark.parametrize("group", GROUPS)
def test_layers(group):
    same_module(body_of(GROUPS[group]), inputs_of(GROUPS[group]))


def test_layers_without_jit():
    cases = {name: GROUPS["dense"][name] for name in ("Linear", "Bias multiplier", "Embed matrix")}
    same_module(body_of(cases), inputs_of(cases), jit=False)


# ---- initializers

INITIALIZERS = {
    "Constant": ((2.5,), {}), "Constant array": ((np.arange(4),), {}), "Identity": ((3.0,), {}),
    "RandomNormal": ((0.1, 2.0), {}), "RandomUniform": ((-0.5, 2.0), {}),
    "TruncatedNormal": ((0.3, 1.0), {}), "TruncatedNormal bounds": ((0.3, 0.0, -1.0, 0.5), {}),
    "UniformScaling": ((1.3,), {}), "Orthogonal": ((2.0,), {}), "Orthogonal axis": ((1.0, 0), {}),
    "VarianceScaling": ((), {}), "VarianceScaling out": ((2, "fan_out", "normal"), {}),
    "VarianceScaling average": ((1.5, "fan_avg", "Uniform"), {}),
    "VarianceScaling axes": ((1.0, "fan_in"), {"fan_in_axes": (0, 1)}),
}
COMPLEX = ["Constant", "Identity", "RandomNormal", "TruncatedNormal", "Orthogonal", "VarianceScaling out"]
PLACES = [((6, 4), np.float32, INITIALIZERS), ((3, 3, 3, 4), np.float32, INITIALIZERS), ((6, 4), np.complex64, COMPLEX),
          ((6, 4), HALF, ["RandomUniform", "TruncatedNormal", "VarianceScaling", "VarianceScaling out"]),
          ((0, 4), np.float32, ["RandomNormal", "VarianceScaling"]), ((), np.float32, ["VarianceScaling"]),
          ((4,), np.int32, ["Constant", "Constant array"])]


def test_initializers():
    def build(hk, jnp):
        def draw(name, i, shape, dtype):
            args, options = INITIALIZERS[name]
            init = getattr(hk.initializers, name.split()[0])(*args, **options)
            return hk.get_parameter(f"{name} {i}", shape, dtype, init)

        return lambda: [draw(name, i, shape, dtype) for i, (shape, dtype, names) in enumerate(PLACES) for name in names]

    same_module(build)


def test_negative_axes_of_inputs_are_counted_from_the_end():
    """So in both numbers; Haiku counts them among the axes of outputs, too."""
    fans = minijax.haiku.initializers.fans
    assert fans((2, 5, 7), fan_in_axes=(0, 1)) == fans((2, 5, 7), fan_in_axes=(-3, 1)) == (10, 7)


def test_initializers_that_haiku_warns_of():
    """Complex numbers by their variance, and uniform ones without inputs."""
    def draw(init, shape, dtype):
        model = minijax.haiku.transform(lambda: init(shape, dtype))
        return model.apply({}, minijax.random.PRNGKey(0))

    hk = minijax.haiku.initializers
    cut = float(np.float32(0.87962566103423978))  # the standard deviation of normal numbers cut at -2 and 2
    scaled, plain = hk.VarianceScaling(1.0), hk.TruncatedNormal(math.sqrt(1 / 6) / cut)
    np.testing.assert_array_equal(draw(scaled, (6, 4), np.complex64), draw(plain, (6, 4), np.complex64))
    assert draw(hk.UniformScaling(), (0, 4), np.float32).shape == (0, 4)


# ---- the checker finds what is wrong

def mine(hk):
    return hk is minijax.haiku


PLANTED = {
    "params: ours has": lambda hk, jnp: lambda x: hk.Linear(3, name="other" if mine(hk) else None, **known(hk))(x),
    "params['linear']['b']: ours is float32[4], theirs float32[3]":
        lambda hk, jnp: lambda x: hk.Linear(3 + mine(hk), **known(hk))(x),
    "Not equal to tolerance rtol=1.19209e-07, atol=0\nparams['linear']['w']": lambda hk, jnp: lambda x: hk.Linear(
        3, w_init=lambda s, d: (1 + 1e-6 * mine(hk)) * known(hk)["w_init"](s, d))(x),
    "outputs": lambda hk, jnp: lambda x: hk.Linear(3, False, **known(hk))(x.T if mine(hk) else x),
    "outputs: ours is float16[3, 3]": lambda hk, jnp: lambda x: x.astype(np.float16) if mine(hk) else x,
    "gradients[0]['linear']['b']": lambda hk, jnp: lambda x: stopped(hk, hk.Linear(3, **known(hk))(x)),
    "gradients[1][0]": lambda hk, jnp: lambda x: hk.Linear(3, **known(hk))(stopped(hk, x)),
    "state: ours has": lambda hk, jnp: lambda x: x + (hk.get_state("n", (), init=jnp.ones) if mine(hk) else 1),
    "new state['~']['n']": lambda hk, jnp: lambda x: counted(hk, jnp, x),
}


def stopped(hk, x):
    return minijax.lax.stop_gradient(x) if mine(hk) else x


def counted(hk, jnp, x):
    hk.set_state("n", hk.get_state("n", (), init=jnp.ones) + mine(hk))
    return x


@pytest.mark.parametrize("where", PLANTED)
def test_a_planted_error_is_found(where):
    with pytest.raises(AssertionError) as found:
        same_module(PLANTED[where], array("planted", (3, 3)), state="new" in where)
    assert where in str(found.value)


def test_swapped_axes_of_a_kernel_are_found():
    def build(hk, jnp):
        swapped = lambda shape, dtype: jnp.swapaxes(known(hk)["w_init"](shape, dtype), 0, 1)
        return lambda x: hk.Conv2D(2, 3, w_init=swapped if mine(hk) else known(hk)["w_init"])(x)

    with pytest.raises(AssertionError, match="conv2_d"):
        same_module(build, array("image", (1, 4, 4, 2)))


# ---- what Haiku cannot do

def test_depthwise_biases_fit_images_of_every_rank():
    """Channels first, in one and three dimensions: the same as channels last."""
    hk = minijax.haiku

    def body(x):
        line, block = x[0, :, :, 0], x[:, :, :, None]
        return [(hk.DepthwiseConv1D(2, 3, name="line", **known(hk))(line[None]),
                 hk.DepthwiseConv3D(2, 2, name="block", **known(hk))(block)),
                (hk.DepthwiseConv1D(2, 3, data_format="NCW", **known(hk))(line.T[None]).swapaxes(1, 2),
                 jnp.moveaxis(hk.DepthwiseConv3D(2, 2, data_format="NCDHW", **known(hk))(
                     jnp.moveaxis(block, -1, 1)), 1, -1))]

    model = hk.transform(body)
    x = array("x", (1, 4, 3, 2))
    last, first = minijax.jit(model.apply)(model.init(None, x), None, x)
    compare(by_path(first), by_path(last), "channels first", 1e-5)


def test_deferred_is_its_module_once_there_is_one():
    hk = minijax.haiku

    class Pair(hk.Module):
        def encode(self, x):
            return 2 * x

        def __call__(self, x):
            return x / 2

    class Holder(hk.Module):
        def __init__(self):
            super().__init__()
            self.first = hk.Linear(2, **known(hk))
            self.second = hk.Deferred(lambda: hk.Linear(3, **known(hk)))

        def __call__(self, x):
            return self.second(self.first(x))

    def body(x):
        pair = hk.Deferred(Pair, call_methods=["__call__", "encode"])
        with pytest.raises(AttributeError, match="not made yet"):
            pair.decode
        pair.note = "before"
        assert pair.encode(x) == 4 and pair(x) == 1 and pair.name == "pair" and pair.note == "before"
        pair.more = 1
        assert pair.target.more == 1 and repr(pair) == "Deferred(Pair())"
        del pair.more
        assert not hasattr(pair.target, "more")
        return Holder()(jnp.ones((1, 2)))

    shapes = {name: p["w"].shape for name, p in hk.transform(body).init(None, 2.0).items()}
    assert shapes == {"holder/~/linear": (2, 2), "holder/~/linear_1": (2, 3)}


# ---- signatures

NAMES = [
    *[name for name in vars(haiku) if re.search("^(Conv|Depthwise|Separable)(?!.*LSTM)|[Pp]ool$|^Embed$", name)],
    "Linear", "Bias", "Sequential", "BatchApply", "Flatten", "Reshape", "Deferred", "MultiHeadAttention", "dropout",
    "one_hot", "multinomial", "expand_apply", "to_module", "get_channel_index"]
SIGNATURES = [*NAMES, *[f"initializers.{name}" for name in haiku.initializers.__all__ if name != "Initializer"],
              *[f"pad.{name}" for name in haiku.pad.__all__ if name != "PadFn"]]


def parameters(root, name):
    for part in name.split("."):
        root = getattr(root, part)
    found = inspect.signature(root).parameters.values()
    return [(p.name, p.kind, getattr(p.default, "name", p.default)) for p in found]


def test_signatures_are_haikus():
    assert len(NAMES) == 31
    for name in SIGNATURES:
        assert parameters(minijax.haiku, name) == parameters(haiku, name), name
