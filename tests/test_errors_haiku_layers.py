"""Bad input to the layers of minijax.haiku: the module's path, what was expected, what was found, the user's line."""

import numpy as np
import pytest

import minijax
import minijax.haiku as hk
from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError

ONES = {"w_init": minijax.numpy.ones}  # compiles quickly
X = np.ones((2, 4, 5, 3), np.float32)
MISTAKES = {
    "Linear of a scalar": (lambda: hk.Linear(2)(1.0), "Linear 'linear'", "scalar", "x[None]"),
    "Linear in another": (lambda: hk.Sequential([lambda x: hk.Linear(2, name="top")(x)])(1.0),
                          "Linear 'sequential/top'"),
    "Linear of integers": (lambda: hk.Linear(2)(np.ones((1, 3), int)), "int32", ".astype(float)"),
    "Bias of a vector": (lambda: hk.Bias()(X[0, 0, 0]), "Bias 'bias'", "(3,)", "x[None]"),
    "Bias of another shape": (lambda: hk.Bias((4, 5))(X), "('batch', 4, 5)", "(2, 4, 5, 3)"),
    "Bias of the batch": (lambda: hk.Bias(bias_dims=[0])(X), "bias_dims=(0,)", "Axis 0 is the batch", "1 to 3"),
    "Bias of no axis": (lambda: hk.Bias(bias_dims=[4])(X), "bias_dims=(4,) has 4", "1 to 3"),
    "Reshape of no axes": (lambda: hk.Reshape((3,), preserve_dims=0)(X), "Reshape 'reshape'", "preserve_dims is 0"),
    "Reshape inferred twice": (lambda: hk.Reshape((-1, -1))(X), "(-1, -1)", "2 sizes of -1"),
    "BatchApply": (lambda: hk.BatchApply(hk.Linear(2), 3)(X[0, 0], 1.0), "merges 3 axes", "[(5, 3), ()]"),
    "BatchApply of a sum": (lambda: hk.BatchApply(lambda x: x.sum())(X), "shape ()", "size 8", "(2, 4)"),
    "expand_apply": (lambda: hk.expand_apply(abs, 1), "axis is 1", "0", "-1"),
    "to_module": (lambda: hk.to_module(abs)(X), "abs", "ndarray", "to_module(f)()(x)"),
    "dropout of all": (lambda: hk.dropout(hk.next_rng_key(), 1.0, X), "rate is 1.0", "[0, 1)"),
    "dropout axis": (lambda: hk.dropout(hk.next_rng_key(), 0.5, X, [4]), "(4,)", "(2, 4, 5, 3)", "0 to 3"),
    "Embed sizes": (lambda: hk.Embed(3), "Embed 'embed'", "vocab_size=3", "embed_dim=None", "embedding_matrix"),
    "Embed matrix": (lambda: hk.Embed(4, embedding_matrix=np.ones((3, 2))), "(3, 2)", "vocab_size=4"),
    "Embed vector": (lambda: hk.Embed(embedding_matrix=np.ones(3)), "(3,)"),
    "Embed floats": (lambda: hk.Embed(3, 2)(X), "Embed 'embed'", "float32", ".astype(int)"),
    "Embed style": (lambda: hk.Embed(3, 2, lookup_style="hash")(np.array([1, 2])), "'hash'", "ARRAY_INDEX or ONE_HOT"),
    "Conv rank": (lambda: hk.Conv2D(2, 3, name="stem")(X[0, 0]), "Conv2D 'stem'", "3 or 4 axes", "'NHWC'",
                  "(5, 3)"),
    "Conv of no axis": (lambda: hk.ConvND(0, 2, 3), "num_spatial_dims is 0", "Linear"),
    "Conv kernel": (lambda: hk.Conv2D(2, (3, 3, 3)), "kernel_shape is (3, 3, 3)", "3 values for 2 axes"),
    "Conv stride": (lambda: hk.Conv3D(2, 3, stride=(1, 2)), "stride is (1, 2)", "for 3 axes"),
    "Conv padding": (lambda: hk.Conv2D(2, 3, padding=[(1, 1)] * 3), "3 pairs for 2 spatial axes"),
    "Conv padding of a number": (lambda: hk.Conv2D(2, 3, padding=1), "padding is 1", "(1, 1)"),
    "Conv empty padding": (lambda: hk.Conv2D(2, 3, padding=[]), "padding is empty", "'VALID'"),
    "Conv unknown padding": (lambda: hk.Conv2D(2, 3, padding="half", **ONES)(X), "'HALF'", "'VALID'"),
    "Conv layout": (lambda: hk.Conv2D(2, 3, data_format="HWC"), "'HWC'", "'NHWC'"),
    "Conv groups": (lambda: hk.Conv2D(4, 3, feature_group_count=2)(X), "Conv2D 'conv2_d'", "3 input channels",
                    "feature_group_count=2"),
    "Conv no groups": (lambda: hk.Conv2D(4, 3, feature_group_count=0)(X), "feature_group_count=0", "1 cuts nothing"),
    "Conv mask": (lambda: hk.Conv2D(2, 3, mask=np.ones((3, 3)), **ONES)(X), "Conv2D 'conv2_d'", "(3, 3)",
                  "(3, 3, 3, 2)"),
    "Transpose rank": (lambda: hk.Conv2DTranspose(2, 3)(X[0, 0]), "Conv2DTranspose 'conv2_d_transpose'", "(5, 3)"),
    "Transpose shape": (lambda: hk.Conv2DTranspose(2, 3, 2, (8, 12), **ONES)(X), "output_shape=(8, 12)", "(4, 6)",
                        "(4, 5)"),
    "Transpose padding": (lambda: hk.Conv2DTranspose(2, 3, 2, 8, padding=(1, 1)), "padding is (1, 1)", "(8, 8)"),
    "Depthwise rank": (lambda: hk.DepthwiseConv1D(1, 3)(X), "DepthwiseConv1D 'depthwise_conv1_d'", "2 or 3 axes"),
    "Pool padding": (lambda: hk.max_pool(X, (2, 2, 1), 1, "same"), "max_pool", "'same'", "'SAME'"),
    "Pool sizes": (lambda: hk.AvgPool((1,) * 5, 1, "SAME")(X), "avg_pool: window_shape", "5 sizes", "(2, 4, 5, 3)"),
    "Pool channels": (lambda: hk.max_pool(X, 1, 1, "SAME", 4), "channel_axis=4", "1 to 3"),
    "Attention without weights": (lambda: hk.MultiHeadAttention(2, 3), "'multi_head_attention'", "got neither"),
    "Attention mask": (lambda: hk.MultiHeadAttention(2, 3, **ONES)(X[0], X[0], X[0], np.ones((5, 5), bool)),
                       "mask has shape (5, 5)", "(4, 2, 5, 5)"),
    "VarianceScaling scale": (lambda: hk.initializers.VarianceScaling(-1.0), "scale is -1.0"),
    "VarianceScaling mode": (lambda: hk.initializers.VarianceScaling(1.0, "fan"), "mode is 'fan'", "'fan_avg'"),
    "VarianceScaling distribution": (lambda: hk.initializers.VarianceScaling(1.0, "fan_in", "cauchy"), "'cauchy'"),
    "TruncatedNormal of integers": (lambda: hk.initializers.TruncatedNormal()((2,), np.int32), "int32", "Constant"),
    "Orthogonal vector": (lambda: hk.initializers.Orthogonal()((2,), np.float32), "Orthogonal", "(2,)"),
    "Identity vector": (lambda: hk.initializers.Identity()((2,), np.float32), "Identity", "(2,)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake):
    body, *words = MISTAKES[mistake]
    with pytest.raises((MinijaxValueError, MinijaxTypeError)) as found:
        minijax.haiku.transform(body).init(minijax.random.PRNGKey(0))
    for word in (*words, "test_errors_haiku_layers.py:"):
        assert word in str(found.value), (word, str(found.value))


def test_deprecations():
    with pytest.warns(DeprecationWarning, match="w_init_scale"), pytest.raises(MinijaxError, match="got both"):
        hk.transform(lambda: hk.MultiHeadAttention(1, 2, 1.0, w_init=hk.initializers.VarianceScaling())).init(None)
    with pytest.warns(DeprecationWarning, match=r"window_shape=\(2, 2, 1\)"):
        hk.transform(lambda: hk.max_pool(X, 2, 1, "SAME")).init(None)
