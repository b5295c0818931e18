"""Networks of minijax.haiku, held against dm-haiku; the large ones by names and shapes only."""

import functools

import haiku
import jax
import numpy as np
import pytest
from haiku_checks import by_path, compare, same_module

import minijax
import minijax.haiku
import minijax.numpy as mjnp
from minijax.errors import MinijaxValueError

same_body = functools.partial(same_module, eager_init=False)
numbers = np.random.default_rng(0)
vectors = numbers.normal(size=(3, 4)).astype(np.float32)
maps = numbers.normal(size=(4, 6, 6, 8)).astype(np.float32)
images = numbers.normal(size=(8, 32, 32, 3)).astype(np.float32)

SIZES = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808, 200: 64_673_832}


def perceptrons(hk, jnp):
    """MLPs with and without bias, dropout and a last activation, and one that goes back."""
    def body(x):
        drawn = hk.initializers.RandomNormal()
        mlp = hk.nets.MLP([5, 2], b_init=drawn, activation=jnp.tanh)
        out = mlp(x)
        back = mlp.reverse()
        return [out, back(out), mlp.reverse(activate_final=True, name="back")(out),
                hk.nets.MLP([2], drawn, with_bias=False, activate_final=True)(x),
                hk.nets.MLP(iter([6, 5, 2]))(x, dropout_rate=0.5, rng=hk.next_rng_key()), hk.nets.MLP([])(x)]
    return body


def test_mlps_are_haikus():
    found = same_body(perceptrons, vectors)
    assert {"['mlp/~/linear_0']['w']", "['mlp/~reverse/back/~/linear_1']['b']"} <= set(found["params"])


def quantizers(hk, jnp):
    """Both quantizers, in training and in evaluation."""
    def body(x):
        by_loss = hk.nets.VectorQuantizer(4, 6, commitment_cost=0.25)
        by_averages = hk.nets.VectorQuantizerEMA(4, 6, commitment_cost=0.25, decay=0.9)
        return [by_loss(x, True), by_loss.quantize(jnp.array([1, 5])), by_averages(x, True), by_averages(2 * x, True),
                by_averages(x, False), by_averages.embeddings]
    return body


def test_vector_quantizers_are_haikus():
    found = same_body(quantizers, vectors[None], state=True)
    assert "['vector_quantizer_ema/~/ema_dw']['hidden']" in found["new state"]


def quantizer(axis, hk=minijax.haiku):
    return hk.transform_with_state(lambda x: hk.nets.VectorQuantizerEMA(
        4, 6, commitment_cost=0.25, decay=0.9, cross_replica_axis=axis)(x, is_training=True)["perplexity"])


def test_quantizers_of_replicas_share_their_averages():
    """A law: three replicas of one vector each learn what three vectors teach."""
    params, state = quantizer(None).init(minijax.random.key(0), vectors)
    expected = quantizer(None).apply(params, state, None, vectors)
    found = minijax.vmap(lambda x: quantizer("i").apply(params, state, None, x), axis_name="i")(vectors[:, None])
    for one, wanted in zip(minijax.tree.leaves(found), minijax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, np.broadcast_to(wanted, one.shape), rtol=1e-4)


def pieces(hk, jnp):
    """Each kind of block of residual networks, and MobileNets of one block."""
    net, norm = hk.nets.ResNet, {"decay_rate": 0.5, "eps": 0.1}

    def body(x):
        blocks = [net.BlockV1(12, 2, True, norm, bottleneck=True), net.BlockV1(8, 1, False, norm, bottleneck=False),
                  net.BlockV2(12, 2, True, norm, bottleneck=False)]
        small = dict(strides=(2,), channels=(8,), num_classes=3)
        mobiles = [hk.nets.MobileNetV1(**small), hk.nets.MobileNetV1(**small, use_bn=False)]
        return [block(x, True, False) for block in blocks] + [mobile(x, True) for mobile in mobiles]
    return body


def test_blocks_are_haikus():
    found = same_body(pieces, maps, state=True, tolerance=1e-3)
    assert "['block_v1/~/shortcut_batchnorm/~/mean_ema']['average']" in found["state"]
    assert not found["params"]["['block_v1/~/batchnorm_2']['scale']"].any()


def shapes(api, hk, build):
    """Names, shapes and dtypes of parameters and state of a network, which is traced but not computed."""
    model = hk.transform_with_state(build(hk))
    return api.eval_shape(model.init, api.random.PRNGKey(0), jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32))


def named(found):
    leaves, _ = jax.tree_util.tree_flatten_with_path(found)
    return {jax.tree_util.keystr(path): (leaf.shape, np.dtype(leaf.dtype)) for path, leaf in leaves}


def count(params):
    return sum(int(np.prod(leaf.shape)) for leaf in minijax.tree.leaves(params))


LARGE = {
    "ResNet50": lambda hk: lambda x: hk.nets.ResNet50(1000)(x, is_training=True),
    "ResNet34 version 2": lambda hk: lambda x: hk.nets.ResNet34(
        7, resnet_v2=True, strides=(1, 1, 2, 2), initial_conv_config={"stride": 1})(x, is_training=True),
    "ResNet200 version 2": lambda hk: lambda x: hk.nets.ResNet200(1000, resnet_v2=True)(x, is_training=True),
    "MobileNetV1": lambda hk: lambda x: hk.nets.MobileNetV1()(x, is_training=True),
}


@pytest.mark.parametrize("network", LARGE)
def test_large_networks_have_haikus_names_and_shapes(network):
    assert named(shapes(minijax, minijax.haiku, LARGE[network])) == named(shapes(jax, haiku, LARGE[network]))


@pytest.mark.parametrize("depth", SIZES)
def test_residual_networks_have_the_published_sizes(depth):
    hk = minijax.haiku
    assert hk.nets.ResNet.CONFIGS[depth] == haiku.nets.ResNet.CONFIGS[depth]
    network = getattr(hk.nets, f"ResNet{depth}")
    params, _ = shapes(minijax, hk, lambda hk: lambda x: network(1000)(x, is_training=True))
    assert count(params) == SIZES[depth]


def test_mobilenet_has_the_published_size():
    params, _ = shapes(minijax, minijax.haiku, LARGE["MobileNetV1"])
    assert count(params) == 4_231_976


def test_resnet18_is_haikus():
    """Initial values of parameters, and of state: mean and variance of each layer in a first forward pass."""
    ours, theirs = (by_path(api.jit(hk.transform_with_state(
        lambda x: hk.nets.ResNet18(10, resnet_v2=True)(x, is_training=True)).init)(api.random.PRNGKey(0), images))
        for api, hk in ((minijax, minijax.haiku), (jax, haiku)))
    compare(ours, theirs, "init", tolerance=1e-3)


def test_our_resnet50_runs_in_haiku():
    """Parameters and state of our network, filled with numbers and loaded into dm-haiku's, give the same logits."""
    build = lambda hk: lambda x: hk.nets.ResNet50(10)(x, is_training=True)
    fill = lambda leaf: (numbers.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(leaf.dtype)
    params, state = minijax.tree.map(fill, shapes(minijax, minijax.haiku, build))
    state = minijax.tree.map(lambda x: 1 + x * x, state)
    logits = [api.jit(hk.transform_with_state(lambda x: hk.nets.ResNet50(10)(x, is_training=False)).apply)(
        params, state, None, images[:1])[0] for api, hk in ((minijax, minijax.haiku), (jax, haiku))]
    compare({"logits": np.asarray(logits[0])}, {"logits": np.asarray(logits[1])}, "outputs", tolerance=1e-4)
    assert np.ptp(np.asarray(logits[0])) > 1e-3


def test_lenet_is_that_of_the_paper():
    """Sixty thousand parameters below the logits; each map of C3 sees the maps of table I, and no others."""
    lenet = minijax.haiku.nets.lenet
    model = minijax.haiku.transform(lambda x: minijax.haiku.nets.LeNet5()(x))
    pictures = numbers.normal(size=(2, 32, 32, 1)).astype(np.float32)
    params = model.init(minijax.random.key(0), pictures)
    sizes = {path: int(leaf.size) for path, leaf in by_path(params).items()}
    assert sum(sizes.values()) == 60_000 + 850
    assert model.apply(params, None, pictures).shape == (2, 10)
    columns = [{maps for maps in range(6) if maps in inputs} for inputs in lenet.C3_INPUTS]
    assert [len(column) for column in columns] == [3] * 6 + [4] * 9 + [6]
    assert sum(0 in column for column in columns) == sum(5 in column for column in columns) == 10

    c3 = minijax.haiku.transform(lambda x: lenet.TableConv(name="c3")(x))
    weights = {"c3": {"w": mjnp.ones((5, 5, 60)), "b": mjnp.zeros(16)}}
    maps = np.broadcast_to(2.0 ** np.arange(6, dtype=np.float32), (1, 5, 5, 6))
    expected = [25 * sum(2.0 ** i for i in column) for column in columns]
    np.testing.assert_array_equal(np.asarray(c3.apply(weights, None, maps)).ravel(), expected)


def test_alexnet_is_that_of_the_paper():
    hk = minijax.haiku
    model = hk.transform(lambda x, is_training: hk.nets.AlexNet(name="net")(x, is_training))
    picture = minijax.ShapeDtypeStruct((1, 224, 224, 3), np.float32)
    init = minijax.eval_shape(lambda key, x: model.init(key, x, True), minijax.random.key(0), picture)
    assert count(init) == 60_965_224
    assert init["net/fc6"]["w"].shape == (9216, 4096)
    assert init["net/conv2"]["w"].shape == (5, 5, 48, 256)
    out = minijax.eval_shape(lambda params, x: model.apply(params, None, x, False), init, picture)
    assert out.shape == (1, 1000)
    nobody = minijax.eval_shape(lambda params, x: model.apply(params, None, x[:0], False), init, picture)
    assert nobody.shape == (0, 1000)


def test_response_norm_looks_at_five_channels():
    x = numbers.normal(size=(2, 1, 1, 7)).astype(np.float32)
    squares = np.pad(x * x, ((0, 0), (0, 0), (0, 0), (2, 2)))
    sums = sum(squares[..., i:i + 7] for i in range(5))
    found = minijax.haiku.nets.alexnet.local_response_norm(x, alpha=0.5)
    np.testing.assert_allclose(found, x / (2 + 0.5 * sums) ** 0.75, rtol=1e-5)


def test_a_planted_error_is_found():
    build = lambda hk, jnp: hk.nets.MLP([2, 2], activate_final=hk is haiku)
    with pytest.raises(AssertionError, match="outputs"):
        same_body(lambda hk, jnp: lambda x: build(hk, jnp)(x), vectors)


MISTAKES = {
    "b_init": (lambda hk: hk.nets.MLP([1], with_bias=False, b_init=mjnp.ones), "b_init must not be set", "MLP 'mlp'"),
    "no rng": (lambda hk: hk.nets.MLP([1])(vectors, dropout_rate=0.5), "an rng key must be passed", "next_rng_key()"),
    "no rate": (lambda hk: hk.nets.MLP([1])(vectors, rng=hk.next_rng_key()), "only be passed when using dropout"),
    "too early": (lambda hk: hk.nets.MLP([1]).reverse(), "cannot reverse an MLP until it has been called"),
    "groups": (lambda hk: hk.nets.ResNet((1, 1), 10), "`blocks_per_group` must be of length 4 not 2", "'res_net'"),
    "strides": (lambda hk: hk.nets.ResNet18(10, strides=(1,)), "`strides` must be of length 4 not 1", "ResNet18"),
    "blocks": (lambda hk: hk.nets.MobileNetV1(strides=(1,)), "`strides` and `channels` must have the same length",
               "1 and 13"),
    "decay": (lambda hk: hk.nets.VectorQuantizerEMA(4, 6, 0.25, decay=2.0), "decay must be in range [0, 1], got 2.0"),
    "last axis": (lambda hk: hk.nets.VectorQuantizer(2, 6, 0.25)(vectors, True), "embedding_dim=2, got shape (3, 4)"),
    "digits": (lambda hk: hk.nets.LeNet5()(images), "images of shape [batch, 32, 32, 1], got (8, 32, 32, 3)"),
    "pictures": (lambda hk: hk.nets.AlexNet()(images, False), "from 64x64 on, got (8, 32, 32, 3)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake):
    body, *words = MISTAKES[mistake]
    with pytest.raises(MinijaxValueError) as found:
        minijax.haiku.transform_with_state(lambda: body(minijax.haiku)).init(minijax.random.key(0))
    assert [word for word in words if word not in str(found.value)] == []
    assert "test_haiku_nets.py" in str(found.value)
