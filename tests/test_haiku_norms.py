"""Norms and moving averages of minijax.haiku, held against dm-haiku: many in one body, so that few programs compile."""

import functools

import ml_dtypes
import numpy as np
import pytest
from haiku_checks import same_module

import minijax
import minijax.haiku
import minijax.numpy as mjnp
from minijax.errors import MinijaxValueError, ShapeError

same_body = functools.partial(same_module, eager_init=False)
numbers = np.random.default_rng(0)
images = numbers.normal(1.0, 2.0, (4, 5, 6, 8)).astype(np.float32)
matrix = numbers.normal(size=(6, 3)).astype(np.float32)


def norms_of_examples(hk, jnp):
    """Every way to normalize an example by itself."""
    drawn = {"scale_init": hk.initializers.RandomNormal(), "offset_init": hk.initializers.RandomNormal()}

    def body(x, half):
        return [
            hk.LayerNorm(-1, True, True, **drawn)(x),
            hk.LayerNorm(slice(1, None), True, True, param_axis=slice(1, -1), **drawn)(x),
            hk.LayerNorm([1, -2], True, False, eps=0.1, use_fast_variance=True, param_axis=(1, 3))(x),
            hk.LayerNorm(-1, False, False)(x, jnp.full((8,), 2.0), jnp.full((6, 1), 3.0)),
            hk.LayerNorm(-1, True, True, **drawn)(half),
            hk.InstanceNorm(True, True, **drawn)(x),
            hk.InstanceNorm(True, True, data_format="NC...", name="channels_first", **drawn)(x),
            hk.RMSNorm(-1, scale_init=hk.initializers.RandomNormal())(x),
            hk.RMSNorm([1, 2], eps=0.1, param_axis=(1, 2))(x),
            hk.GroupNorm(4, **drawn)(x),
            hk.GroupNorm(5, data_format="NCHW", **drawn)(x),
            hk.GroupNorm(2, axis=slice(2, None), create_offset=False)(x),
            hk.GroupNorm(2, axis=3, create_scale=False, create_offset=False)(x, jnp.arange(8.0), jnp.ones((6, 1))),
        ]
    return body


def test_norms_of_examples_are_haikus():
    found = same_body(norms_of_examples, images, images[0].astype(ml_dtypes.bfloat16))
    assert {"['layer_norm_1']['scale']", "['channels_first']['offset']"} <= set(found["params"])


def batch_norms(hk, jnp):
    """BatchNorms in training, then in evaluation."""
    drawn = {"scale_init": hk.initializers.RandomNormal(), "offset_init": hk.initializers.RandomNormal()}

    def body(x):
        modules = [
            hk.BatchNorm(True, True, decay_rate=0.9, **drawn),
            hk.BatchNorm(True, False, decay_rate=0.5, eps=0.1, axis=(0, 1)),
            hk.BatchNorm(True, True, decay_rate=0.9, data_format="NC...", **drawn),
        ]
        given = hk.BatchNorm(False, False, decay_rate=0.9, name="given")
        calls = [given(x, True, scale=jnp.arange(8.0), offset=jnp.ones((6, 1)))]
        for norm in modules:
            calls += [norm(x, True), norm(x * x, True), norm(x, False), norm(x, False, test_local_stats=True)]
        return calls
    return body


def test_batch_norm_is_haikus():
    found = same_body(batch_norms, images, state=True)
    state = found["new state"]["['batch_norm/~/mean_ema']['average']"]
    mean = images.mean((0, 1, 2), keepdims=True), (images * images).mean((0, 1, 2), keepdims=True)
    np.testing.assert_allclose(state, (0.09 * mean[0] + 0.1 * mean[1]) / 0.19, rtol=1e-5)


def test_negative_axes_of_a_batch_count_from_the_end():
    """A law: they mean the same numbers, and parameters of the same shapes; Haiku's parameters are larger."""
    hk = minijax.haiku
    drawn = {"scale_init": hk.initializers.RandomNormal(), "offset_init": hk.initializers.RandomNormal()}
    found = []
    for axis in ((0, 1, 2), [-2, -4, 1]):
        model = hk.transform_with_state(lambda x, axis=axis: hk.BatchNorm(True, True, 0.9, axis=axis, **drawn)(x, True))
        params, state = model.init(minijax.random.key(0), images)
        found.append((params, *model.apply(params, state, None, images)))
    for one, other in zip(*map(minijax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(one, other)


def batch_norm_over(axis, groups=None):
    """A BatchNorm in training whose batch may extend over a mapped axis."""
    return minijax.haiku.transform_with_state(lambda x: minijax.haiku.BatchNorm(
        True, True, decay_rate=0.9, cross_replica_axis=axis, cross_replica_axis_index_groups=groups)(x, True))


def test_a_batch_over_replicas_counts_as_one():
    """A law: four replicas of one image each give what four images give; replicas in pairs what pairs give."""
    whole, split = batch_norm_over(None), images[:, None]
    params, state = whole.init(None, images)
    apply = lambda model: minijax.vmap(lambda x: model.apply(params, state, None, x), axis_name="replicas")(split)
    expected, expected_state = whole.apply(params, state, None, images)
    for axis in ("replicas", ["replicas"]):
        out, new_state = apply(batch_norm_over(axis))
        np.testing.assert_allclose(out[:, 0], expected, atol=1e-5)
        for average, wanted in zip(minijax.tree.leaves(new_state), minijax.tree.leaves(expected_state), strict=True):
            np.testing.assert_allclose(average, np.broadcast_to(wanted, average.shape), rtol=1e-5)
    pairs, _ = apply(batch_norm_over("replicas", [[0, 1], [2, 3]]))
    np.testing.assert_allclose(pairs[:2, 0], whole.apply(params, state, None, images[:2])[0], atol=1e-5)
    np.testing.assert_allclose(pairs[2:, 0], whole.apply(params, state, None, images[2:])[0], atol=1e-5)


def averages(hk, jnp):
    """Moving averages of every kind, over several calls, and of trees of parameters."""
    def body(x, params):
        kinds = [hk.ExponentialMovingAverage(0.9), hk.ExponentialMovingAverage(0.9, zero_debias=False),
                 hk.ExponentialMovingAverage(jnp.float32(0.5), zero_debias=False, warmup_length=2)]
        kinds[1].initialize(x.shape, x.dtype)
        calls = [ema(value) for ema in kinds for value in (x, 2 * x, x * x, x)]
        calls += [ema(x, update_stats=False) for ema in kinds] + [ema.average for ema in kinds]
        tree = hk.EMAParamsTree(0.5, ignore_regex=".*/b")
        late = hk.EMAParamsTree(0.5, False, 1, name="late")
        return calls, tree(params), tree(params, update_stats=False), late(params)
    return body


def spectral_norms(hk, jnp):
    """Spectral norms of matrices, of a kernel, and of trees of parameters."""
    def body(x, kernel, params):
        one, three = hk.SpectralNorm(), hk.SpectralNorm(eps=1e-6, n_steps=3)
        before = one.sigma
        calls = [one(x), one(2 * x), one(x, update_stats=False), three(kernel), three(kernel, update_stats=False)]
        return before, calls, one.u0, one.sigma, three.sigma, hk.SNParamsTree(n_steps=2, ignore_regex=".*/b$")(params)
    return body


def test_averages_and_spectral_norms_are_haikus():
    params = {"net/~/linear": {"w": matrix, "b": matrix[0]}}
    found = same_body(averages, matrix, params, state=True)
    assert "['ema_params_tree/net___tilde___linear__w']['average']" in found["state"]
    found = same_body(spectral_norms, matrix, images, params, state=True)
    assert "['sn_params_tree/net___tilde__linear__w']['sigma']" in found["new state"]


def test_enough_steps_find_the_largest_singular_value():
    hk = minijax.haiku
    model = hk.transform_with_state(lambda x: hk.SpectralNorm(eps=1e-12, n_steps=50)(x))
    params, state = model.init(minijax.random.key(1), matrix)
    out, state = model.apply(params, state, None, matrix)
    largest = np.linalg.svd(matrix, compute_uv=False)[0]
    np.testing.assert_allclose(state["spectral_norm"]["sigma"], largest, rtol=1e-5)
    np.testing.assert_allclose(out, matrix / largest, rtol=1e-5)


PLANTED = {
    "outputs": lambda ours: lambda hk, jnp: lambda x: hk.LayerNorm(-1, True, True, eps=1e-3 if ours(hk) else 1e-5)(x),
    "params": lambda ours: lambda hk, jnp: lambda x: hk.LayerNorm(-1, True, not ours(hk))(x),
    "state": lambda ours: lambda hk, jnp: lambda x: hk.ExponentialMovingAverage(0.9, not ours(hk))(x),
}


@pytest.mark.parametrize("part", PLANTED)
def test_a_planted_error_is_found(part):
    build = PLANTED[part](lambda hk: hk is minijax.haiku)
    with pytest.raises(AssertionError, match=part):
        same_body(build, matrix, state=part == "state")


MISTAKES = {
    "scale_init": (lambda hk: hk.LayerNorm(-1, False, True, scale_init=mjnp.ones),
                   "Cannot set `scale_init` if `create_scale=False`, in LayerNorm 'layer_norm' (", "create_scale=True"),
    "offset_init": (lambda hk: hk.BatchNorm(True, False, 0.9, offset_init=mjnp.ones), "Cannot set `offset_init`",
                    "BatchNorm 'batch_norm'"),
    "scale": (lambda hk: hk.GroupNorm(2)(images, scale=1.0), "Cannot pass `scale` at call time if `create_scale=True`",
              "GroupNorm 'group_norm'", "create_scale=False"),
    "offset": (lambda hk: hk.LayerNorm(-1, True, True)(images, offset=1.0), "Cannot pass `offset` at call time"),
    "axis": (lambda hk: hk.RMSNorm("channels"), "`axis` should be an int, slice or iterable of ints. Got: 'channels'"),
    "param_axis": (lambda hk: hk.LayerNorm(-1, True, True, param_axis=1.5), "`param_axis` should be an int", "1.5"),
    "axis outside": (lambda hk: hk.LayerNorm(4, True, True)(images), "`axis` names axis 4", "have 4 axes", "-4 to 3"),
    "axis of a batch": (lambda hk: hk.BatchNorm(True, True, 0.9, axis=[0, 4])(images, True), "`axis` names axis 4"),
    "groups of channels": (lambda hk: hk.GroupNorm(3)(images), "must be divisible by the number of groups",
                           "channels=8, groups=3", "(4, 5, 6, 8)"),
    "no groups": (lambda hk: hk.GroupNorm(0)(images), "channels=8, groups=0"),
    "vectors in groups": (lambda hk: hk.GroupNorm(1)(images[0, 0, 0]), "a batch axis and channels, got shape (8,)"),
    "groups of replicas": (lambda hk: hk.BatchNorm(True, True, 0.9, cross_replica_axis_index_groups=[[0]]),
                           "no `cross_replica_axis` is given", "pmap"),
    "no average": (lambda hk: hk.BatchNorm(True, True, 0.9)(images, is_training=False), "there is no average yet",
                   "'batch_norm/~/mean_ema'", "is_training=True"),
    "decay": (lambda hk: hk.ExponentialMovingAverage(1.5), "`decay` is 1.5", "from 0 to 1"),
    "warmup": (lambda hk: hk.ExponentialMovingAverage(0.5, warmup_length=-1), "`warmup_length` is -1"),
    "warmup and debias": (lambda hk: hk.ExponentialMovingAverage(0.5, warmup_length=1),
                          "Zero debiasing does not make sense with warmup_length=1", "zero_debias=False"),
    "steps": (lambda hk: hk.SpectralNorm(n_steps=0), "`n_steps` is 0", "at least one step"),
    "vector": (lambda hk: hk.SpectralNorm()(matrix[0]), "not well defined for scalar or vector inputs, got shape (3,)"),
    "kernel": (lambda hk: hk.SpectralNorm()(images, error_on_non_matrix=True), "Input is 4D but", "(4, 5, 6, 8)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_explained(mistake):
    body, *words = MISTAKES[mistake]
    with pytest.raises(MinijaxValueError) as found:
        minijax.haiku.transform_with_state(lambda: body(minijax.haiku)).init(minijax.random.key(0))
    assert [word for word in words if word not in str(found.value)] == []
    assert "test_haiku_norms.py" in str(found.value)


def test_a_module_keeps_to_the_shape_of_its_state():
    hk = minijax.haiku
    with pytest.raises(ShapeError, match=r"'exponential_moving_average' averages values of shape \(3,\), got one"):
        hk.transform_with_state(two_averages).init(None)
    with pytest.raises(MinijaxValueError, match="The rank of the inputs cannot change between calls, the original"):
        hk.transform(two_ranks).init(minijax.random.key(0))


def two_averages():
    ema = minijax.haiku.ExponentialMovingAverage(0.5)
    return ema(matrix[0]), ema(matrix[:, 0])


def two_ranks():
    norm = minijax.haiku.GroupNorm(2)
    return norm(images), norm(images[0])


def test_initialize_of_a_value_is_deprecated():
    def body():
        ema = minijax.haiku.ExponentialMovingAverage(0.5)
        ema.initialize(mjnp.ones(3))
        return ema.average

    with pytest.warns(DeprecationWarning, match="value.shape, value.dtype"):
        _, state = minijax.haiku.transform_with_state(body).init(None)
    assert state["exponential_moving_average"]["average"].shape == (3,)
