"""Convolutions through the functions that users call, against JAX: layouts, padding, compositions, errors."""

import jax
import numpy as np
import pytest

import minijax
from minijax import config, lax
from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.language import parse
from minijax.lax.convolution import padtype_to_pads
from tests.cases import array

X, KERNEL = array((2, 4, 5, 3)), array((3, 2, 3, 4), seed=1)  # NHWC, HWIO
IMAGES = ("NHWC", "HWIO", "NHWC")
CALLS = [
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, (2, 1), "SAME", dimension_numbers=IMAGES),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, [1, 2], "same_lower", None, (2, 1), IMAGES),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, (2, 1), [(2, 0), (1, 1)], (2, 3), (2, 1), IMAGES),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, (1, 1), [(-1, 2), (3, -1)], dimension_numbers=(
        "NHWC", "WHIO", "CNWH"), precision=("highest", "default")),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NCHW")),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k.reshape(3, 2, 1, 12), (1, 1), "SAME", dimension_numbers=IMAGES,
                                                   feature_group_count=3),
    lambda lib, x, k: lib.lax.conv_general_dilated(x, k, (1, 1), "SAME", dimension_numbers=IMAGES,
                                                   batch_group_count=2),
    lambda lib, x, k: lib.lax.conv(x.transpose(0, 3, 1, 2), k.transpose(3, 2, 0, 1), (2, 2), "SAME"),
    lambda lib, x, k: lib.lax.conv_with_general_padding(x.transpose(0, 3, 1, 2), k.transpose(3, 2, 0, 1), (1, 1),
                                                        [(0, 1), (2, 0)], (2, 1), None),
    lambda lib, x, k: lib.lax.conv_transpose(x, k, (2, 3), "SAME"),
    lambda lib, x, k: lib.lax.conv_transpose(x, k, (2, 1), "VALID", rhs_dilation=(1, 2)),
    lambda lib, x, k: lib.lax.conv_transpose(x, k.swapaxes(2, 3), (2, 3), "SAME", transpose_kernel=True),
    lambda lib, x, k: lib.lax.conv_transpose(x, k, (2, 2), [(1, 0), (0, 1)], use_consistent_padding=True),
    lambda lib, x, k: lib.lax.conv_transpose(x, k, (2, 2), [(1, 0), (0, 1)], dimension_numbers=IMAGES),
    lambda lib, x, k: lib.lax.conv_general_dilated_patches(x, (2, 3), (1, 2), "SAME", dimension_numbers=IMAGES),
    lambda lib, x, k: lib.lax.conv_general_dilated_patches(x, (2, 2), (1, 1), "VALID", rhs_dilation=(1, 2),
                                                           dimension_numbers=("NHWC", "WHIO", "CNHW")),
    lambda lib, x, k: lib.lax.conv_general_dilated_local(
        x, lib.numpy.tile(k.reshape(72), 3).reshape(3, 3, 12, 2), (1, 1), "VALID", (2, 2), rhs_dilation=(1, 2),
        dimension_numbers=IMAGES)]


def agree(ours, theirs, rtol=2e-4):
    """Two trees agree, leaf by leaf."""
    found, expected = minijax.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(found) == len(expected)
    for x, y in zip(found, expected, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol)


def every_call(lib, gradients):
    """All calls, or the gradients of a loss of each."""
    def run(x, kernel):
        def loss(call):
            return lambda *args: (call(lib, *args) ** 2).sum()

        return [lib.grad(loss(call), (0, 1))(x, kernel) if gradients else call(lib, x, kernel) for call in CALLS]

    return run


@pytest.mark.parametrize("gradients", [False, True])
def test_layouts_padding_and_forms(gradients):
    theirs = jax.jit(every_call(jax, gradients))(X, KERNEL)
    with config.override("evaluator", "numpy"):
        agree(every_call(minijax, gradients)(X, KERNEL), theirs)


def test_the_compiled_program_is_the_same_as_that_of_jax():
    texts = [lib.jit(every_call(lib, False)).lower(X, KERNEL).as_text() for lib in (minijax, jax)]
    assert [text.count("stablehlo.convolution") for text in texts] == [len(CALLS)] * 2


# ---- compositions

SMALL, FILTER = array((3, 2, 5, 2)), array((3, 2, 2, 2), seed=1)


def losses(lib, **options):
    """A non-linear function of one example of a batch and one kernel of several."""
    def loss(x, kernel):
        groups = options.get("feature_group_count", 1)
        shape = (2, 2 // groups, 2)
        out = lib.lax.conv_general_dilated(x, kernel.reshape(-1)[:int(np.prod(shape))].reshape(shape), (2,), [(1, -1)],
                                           (2,), (1,), ("CWN", "OIW", "NWC"), **options)
        return lib.numpy.sum(lib.numpy.sin(out))

    return loss


def compositions(lib, x, kernel, **options):
    """Gradients of gradients, of batches, and batches of gradients."""
    loss = losses(lib, **options)
    grads = lib.grad(loss, (0, 1))

    def along(x, kernel):
        return lib.jvp(lambda k: lib.grad(loss)(x, k), (kernel,), (kernel,))[1]

    return [
        lib.vmap(grads)(x, kernel), lib.vmap(grads, (1, None), 1)(x.swapaxes(0, 1), kernel[0]),
        lib.vmap(grads, (None, 2), (1, 2))(x[0], kernel.transpose(1, 2, 0, 3)),
        lib.grad(lambda x: lib.vmap(loss)(x, kernel).sum())(x),
        lib.grad(lambda k: (grads(x[0], k)[0] ** 2).sum())(kernel[0]), lib.vmap(along, (0, None))(x, kernel[0]),
        lib.vmap(lib.vmap(loss, (None, 0)), (0, None))(x, kernel)]


@pytest.mark.parametrize("options", [{}, {"feature_group_count": 2}, {"batch_group_count": 2}], ids=str)
def test_compositions(options):
    theirs = jax.jit(lambda x, k: compositions(jax, x, k, **options))(SMALL, FILTER)
    with config.override("evaluator", "numpy"):
        agree(compositions(minijax, SMALL, FILTER, **options), theirs)


def test_compositions_compiled():
    agree(minijax.jit(lambda x, k: compositions(minijax, x, k))(SMALL, FILTER),
          jax.jit(lambda x, k: compositions(jax, x, k))(SMALL, FILTER))


def test_no_windows_have_no_derivative():
    x, kernel = array((1, 2, 1)), array((3, 2, 2), seed=1)
    with config.override("evaluator", "numpy"):
        found = minijax.grad(lambda *args: lax.conv(*args, (1,), "VALID").sum(), (0, 1))(x, kernel)
    agree(found, (np.zeros_like(x), np.zeros_like(kernel)))


# ---- shapes and text

def test_shapes_of_convolutions():
    numbers = ("NWC", "WIO", "NWC")
    for name, args in (("conv_shape_tuple", ((4, 3, 9), (4, 3, 2), (2,), ((1, 1),), 2)),
                       ("conv_general_shape_tuple", ((1, 9, 3), (2, 3, 4), (2,), "SAME", numbers)),
                       ("conv_transpose_shape_tuple", ((1, 9, 3), (2, 3, 4), (2,), "VALID", numbers)),
                       ("conv_general_permutations", (numbers,)),
                       ("conv_dimension_numbers", ((1, 9, 3), (2, 3, 4), numbers)),
                       ("reduce_window_shape_tuple", ((9,), (3,), (2,), ((0, 1),), (2,), (3,)))):
        assert tuple(getattr(lax, name)(*args)) == tuple(getattr(jax.lax, name)(*args))
    for padding in ("VALID", "SAME", "SAME_LOWER"):
        assert padtype_to_pads((9, 8), (2, 3), (2, 1), padding) == list(
            jax.lax.padtype_to_pads((9, 8), (2, 3), (2, 1), padding))


def test_programs_print_and_parse():
    program = minijax.make_jaxpr(lambda x, k: lax.conv_general_dilated(
        x, k, (1, 1), "SAME", dimension_numbers=IMAGES, precision="BF16_BF16_F32"))(X, KERNEL)
    text = str(program)
    assert "ConvDimensionNumbers(lhs_spec=(0, 3, 1, 2)" in text and "DotAlgorithmPreset.BF16_BF16_F32" in text
    assert str(parse(text)) == text


# ---- errors

@pytest.mark.parametrize("error, text, call", [
    (ShapeError, "3 features in 1 groups, but the kernel takes 2",
     lambda: lax.conv_general_dilated(X, KERNEL[:, :, :2], (1, 1), "SAME", dimension_numbers=IMAGES)),
    (ShapeError, "do not divide the kernel's 4 output features",
     lambda: lax.conv_general_dilated(X, KERNEL[:, :, :1], (1, 1), "SAME", None, None, IMAGES, 3)),
    (ShapeError, "of which one must be 1",
     lambda: lax.conv_general_dilated(X, KERNEL, (1, 1), "SAME", None, None, IMAGES, 3, 2)),
    (ShapeError, "does not divide the batch of size 2",
     lambda: lax.conv_general_dilated(X, KERNEL, (1, 1), "SAME", None, None, IMAGES, 1, 4)),
    (ShapeError, "takes away more", lambda: lax.conv(X, X, (1, 1), [(-9, 0), (0, 0)])),
    (ShapeError, "window_strides is \\(0, 1\\)", lambda: lax.conv(X, X, (0, 1), "SAME")),
    (MinijaxTypeError, "window_strides is 2, for 2 axes", lambda: lax.conv(X, X, 2, "SAME")),
    (MinijaxTypeError, "padding is \\[\\(1, 1\\)\\], for 2 axes", lambda: lax.conv(X, X, (1, 1), [(1, 1)])),
    (MinijaxValueError, "'full' is not a padding", lambda: lax.conv(X, X, (1, 1), "full")),
    (MinijaxTypeError, "same number of axes", lambda: lax.conv(X, X[0], (1, 1), "SAME")),
    (MinijaxTypeError, "'NHWX' should be made of the letters", lambda: lax.conv_general_dilated(
        X, KERNEL, (1, 1), "SAME", dimension_numbers=("NHWX", "HWIO", "NHWC"))),
    (MinijaxTypeError, "do not name 4 axes", lambda: lax.conv_general_dilated(
        X, KERNEL, (1, 1), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))),
    (ShapeError, "rhs_spec is \\(0, 0, 1, 2\\)", lambda: lax.conv_general_dilated(
        X, X, (1, 1), "SAME", dimension_numbers=lax.ConvDimensionNumbers((0, 1, 2, 3), (0, 0, 1, 2), (0, 1, 2, 3)))),
    (DtypeError, "dtypes float32, int32 differ", lambda: lax.conv(X, X.astype(np.int32), (1, 1), "SAME")),
    (DtypeError, "cannot give int32", lambda: lax.conv(X, X, (1, 1), "SAME", None, np.int32)),
    (MinijaxValueError, "is not a precision", lambda: lax.conv(X, X, (1, 1), "SAME", "exact")),
    (MinijaxValueError, "'FULL' is not a padding", lambda: lax.conv_transpose(X, KERNEL, (1, 1), "FULL"))])
def test_errors(error, text, call):
    with config.override("evaluator", "numpy"), pytest.raises(error, match=text):
        call()


def test_batches_of_no_examples():
    """vmap of size 0, of either operand or of both, has the shape that JAX gives it."""
    x, k = np.zeros((0, 2, 4, 5), np.float32), np.zeros((0, 4, 2, 2), np.float32)
    for axes in ((0, 0), (0, None), (None, 0)):
        args = [v if axis == 0 else np.zeros(v.shape[1:], np.float32) for v, axis in zip((x, k), axes, strict=True)]
        for groups in ({"feature_group_count": 2}, {"batch_group_count": 2}):
            args[1] = args[1] if "feature_group_count" in groups else np.zeros((*args[1].shape[:-2], 4, 2), np.float32)
            shapes = [vmap(lambda x, k: lax.conv_general_dilated(x, k, (1,), "SAME", **groups), axes)(*args).shape
                      for lax, vmap in ((minijax.lax, minijax.vmap), (jax.lax, jax.vmap))]
            assert shapes[0] == shapes[1]
