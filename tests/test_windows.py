"""Reductions by functions, over axes and windows, ragged products and products' precision; against JAX."""

import jax
import numpy as np
import pytest

import minijax
from minijax import config, lax
from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.language import parse
from minijax.ops.windows import reduce_window_max_p
from tests.cases import array
from tests.test_convolution import agree

X = array((2, 4, 5))
WINDOW = dict(window_dimensions=(1, 2, 3), window_strides=(1, 1, 2), padding="SAME")
DILATED = WINDOW | dict(padding=((0, 0), (1, -1), (2, 1)), base_dilation=(1, 2, 1), window_dilation=(1, 1, 2))


def logsumexp(lib):
    """A monoid of pairs: the largest number so far, and the sum of exponentials relative to it."""
    def combine(x, y):
        top = lib.lax.max(x[0], y[0])
        return top, x[1] * lib.numpy.exp(x[0] - top) + y[1] * lib.numpy.exp(y[0] - top)

    return combine


# ---- known functions become the ops that know them

@pytest.mark.parametrize("function, initial, over_axes, over_windows", [
    (lax.add, 0.0, "reduce_sum", "reduce_window_sum"), (lambda x, y: y + x, 0.0, "reduce_sum", "reduce_window_sum"),
    (lax.max, -np.inf, "reduce_max", "reduce_window_max"), (lax.min, np.inf, "reduce_min", "reduce_window_min"),
    (lax.mul, 1.0, "reduce_prod", "reduce_window"), (lax.max, 0.0, "reduce", "reduce_window"),
    (lambda x, y: x + x, 0.0, "reduce", "reduce_window")])
def test_known_functions(function, initial, over_axes, over_windows):
    program = minijax.make_jaxpr(lambda x: (lax.reduce(x, initial, function, (0, -1)),
                                            lax.reduce_window(x, initial, function, **WINDOW)))(X)
    assert [eqn.op.name for eqn in program.eqns] == [over_axes, over_windows]
    assert str(parse(str(program))) == str(program)


def test_known_functions_of_bits():
    bits = array((3, 4), "int32", 0, 9)
    for name, initial in (("bitwise_and", -1), ("bitwise_or", 0), ("bitwise_xor", 0)):
        ours = lax.reduce(bits, np.int32(initial), getattr(lax, name), (1,))
        agree(ours, jax.lax.reduce(bits, np.int32(initial), getattr(jax.lax, name), (1,)))


# ---- values and derivatives

def reductions(lib):
    """Functions of one array; JAX's derivatives leave initial values out, so these are identities."""
    mul, pair = lib.lax.mul, logsumexp(lib)
    return [
        lambda x: lib.lax.reduce(x, 1.0, lambda a, b: a * b * 1.0, (0, 2)),
        lambda x: lib.lax.reduce(x, 0.0, lambda a, b: a + b + 0.0 * a * b, (1,)),
        lambda x: lib.lax.reduce((x, x * 0 + 1), (-9.0, 0.0), pair, (2,)),
        lambda x: lib.lax.reduce({"a": x}, {"a": 1.0}, lambda a, b: {"a": a["a"] * b["a"] * 1.0}, ()),
        lambda x: lib.lax.reduce(x[:0], 3.0, mul, (0,))]


def window_reductions(lib):
    """Functions of one array, of which JAX has no reverse derivative, but for the first."""
    mul, pair, lowest = lib.lax.mul, logsumexp(lib), -np.inf
    return [
        lambda x: lib.lax.reduce_window(x, lowest, lib.lax.max, **WINDOW),
        lambda x: lib.lax.reduce_window(x, lowest, lib.lax.max, **DILATED),
        lambda x: lib.lax.reduce_window(x, 1.0, mul, **WINDOW), lambda x: lib.lax.reduce_window(x, 2.0, mul, **DILATED),
        lambda x: lib.lax.reduce_window((x, x * 0 + 1), (-9.0, 0.0), pair, (2, 1, 2), padding="VALID")]


def leaves_of(lib, functions, x):
    """The results of functions that are defined on every element: infinities of empty windows are cut off."""
    return [lib.numpy.maximum(y, -50.0) for f in functions for y in lib.tree.leaves(f(x))]


def derivatives(lib, functions, x, reverse):
    """Forward, second forward, and reverse derivatives of all functions."""
    def values(x):
        return leaves_of(lib, functions, x)

    def loss(x):
        return sum((y ** 2).sum() for y in values(x))

    def pushed(x):
        return lib.jvp(values, (x,), (x,))[1]

    found = [values(x), pushed(x), lib.vmap(values, 1)(lib.numpy.stack([x, 2 * x], 1))]
    return [found, [lib.grad(loss)(x), lib.jvp(lib.grad(loss), (x,), (x,))[1]]
            if reverse else [lib.jvp(pushed, (x,), (x,))[1]]]


@pytest.mark.parametrize("functions, reverse", [(reductions, True), (window_reductions, False)])
def test_reductions_by_functions(functions, reverse):
    theirs = jax.jit(lambda x: derivatives(jax, functions(jax), x, reverse))(X)
    with config.override("evaluator", "numpy"):
        agree(derivatives(minijax, functions(minijax), X, reverse), theirs)
    agree(minijax.jit(lambda x: leaves_of(minijax, functions(minijax), x))(X), leaves_of(jax, functions(jax), X))


def test_reverse_derivatives_of_windows_agree_with_forward_ones():
    functions, t = window_reductions(minijax), array(X.shape, seed=2)

    def loss(x):
        return sum((y ** 2).sum() for y in leaves_of(minijax, functions, x))

    with config.override("evaluator", "numpy"):
        forward, reverse = minijax.jvp(loss, (X,), (t,))[1], minijax.grad(loss)(X)
        second = minijax.jvp(minijax.grad(loss), (X,), (t,))[1]
        twice = minijax.grad(lambda x: (minijax.grad(loss)(x) * t).sum())(X)
    np.testing.assert_allclose(np.vdot(np.asarray(reverse), t), np.asarray(forward), rtol=1e-4)
    np.testing.assert_allclose(np.asarray(second), np.asarray(twice), rtol=1e-3, atol=1e-3)


def pools(lib):
    """Gradients of pooling, to second order, batched along odd axes."""
    def loss(x, y):
        top = lib.lax.reduce_window(x * y, -np.inf, lib.lax.max, (2, 2), (1, 2), "SAME")
        low = lib.lax.reduce_window(x, np.inf, lib.lax.min, (2, 3), (2, 1), ((1, 0), (0, 1)))
        mean = lib.lax.reduce_window(x, 0.0, lib.lax.add, (3, 2), (1, 2), "SAME", window_dilation=(1, 2))
        return (top ** 2).sum() + (low ** 3).sum() + lib.numpy.sin(mean).sum()

    def run(x, y):
        grad = lib.grad(loss)
        return [lib.vmap(grad, (2, None))(x, y), lib.vmap(grad, (None, 1), 1)(x[:, :, 0], lib.numpy.stack([y, -y], 1)),
                lib.grad(lambda x: lib.vmap(loss, (1, None))(x.swapaxes(1, 2), y).sum())(x),
                lib.vmap(lambda v: lib.jvp(lambda x: grad(x, y), (x[..., 0],), (v,))[1], 2)(x)]

    return run


def test_pools():
    x, y = array((4, 5, 3)), array((4, 5), seed=1)
    with config.override("evaluator", "numpy"):
        agree(pools(minijax)(x, y), jax.jit(pools(jax))(x, y))


def test_initial_values_have_derivatives_and_batches():
    def f(x, start, factor):
        scaled = lax.reduce(x, start, lambda a, b: a * b * factor, (0,))
        return scaled.sum() + lax.reduce_window(x, start, lax.mul, (2, 1), padding="SAME").sum()

    def by_hand(x, start, factor):
        windows = [start * x[i] * (x[i + 1] if i < 2 else 1) for i in range(3)]
        return (start * factor ** 3 * x[0] * x[1] * x[2]).sum() + sum(w.sum() for w in windows)

    x, start, factor = array((3, 4)), np.float32([1.5, 2, 3]), np.float32(0.5)
    grads = [lib.grad(g, (0, 1, 2)) for lib, g in ((minijax, f), (jax, by_hand))]
    with config.override("evaluator", "numpy"):
        agree(minijax.vmap(grads[0], (None, 0, None))(x, start, factor),
              jax.jit(jax.vmap(grads[1], (None, 0, None)))(x, start, factor))


def test_the_derivative_of_tied_extrema_is_that_of_the_first():
    with config.override("evaluator", "numpy"):
        found = minijax.grad(lambda x: reduce_window_max_p.bind(
            x, window_dimensions=(2,), window_strides=(1,), padding=((0, 0),), base_dilation=(1,),
            window_dilation=(2,))[0].sum())(np.zeros(4, np.float32))
    agree(found, np.float32([1, 1, 0, 0]))


# ---- ragged products

def ragged_by_hand(x, y, sizes):
    """Rows of each group times its matrix."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    rows = [x[i] @ y[g] for i, g in enumerate(groups)] + [np.zeros(y.shape[2], x.dtype)] * (len(x) - len(groups))
    return np.stack(rows)


def numbers(lib, pairs, ragged, group=()):
    """RaggedDotDimensionNumbers of either library."""
    return lib.lax.RaggedDotDimensionNumbers(pairs, (ragged,), group)


SIZES = np.int32([[1, 2], [3, 0]])
FORMS = [
    ((4, 2, 5), (2, 3, 4, 5), SIZES[0], ((((2,), (3,)), ((0,), (2,)))), 1, (0,)),
    ((2, 4, 5), (2, 5, 3), SIZES, ((((2,), (1,)), ((), ()))), 1, (0,)),
    ((2, 4, 5), (5, 3, 2), SIZES, ((((2,), (0,)), ((0,), (2,)))), 1, (1,)),
    ((2, 4, 5), (3, 4, 2), SIZES, ((((1,), (1,)), ((0,), (2,)))), 1, ()),
    ((4, 2, 5), (3, 4, 2), SIZES, ((((1, 0), (2, 1)), ((), ()))), 0, ()),
    ((2, 4, 5), (2, 5, 3), SIZES[0], ((((2,), (1,)), ((0,), (0,)))), 0, ())]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_forms_of_ragged_products(form):
    x_shape, y_shape, sizes, pairs, ragged, group = form
    if group and y_shape[group[0]] != sizes.shape[-1]:
        y_shape = tuple(sizes.shape[-1] if i == group[0] else n for i, n in enumerate(y_shape))
    x, y = array(x_shape), array(y_shape, seed=1)
    theirs = jax.lax.ragged_dot_general(x, y, sizes, numbers(jax, pairs, ragged, group))
    ct = array(theirs.shape, seed=2)

    def loss(x, y):
        return (lax.ragged_dot_general(x, y, sizes, numbers(minijax, pairs, ragged, group)) * ct).sum()

    with config.override("evaluator", "numpy"):
        agree(lax.ragged_dot_general(x, y, sizes, numbers(minijax, pairs, ragged, group)), theirs)
        x_ct, y_ct = minijax.grad(loss, (0, 1))(x, y)
        along = minijax.jvp(loss, (x, y), (x, y))[1]
    value = float((np.asarray(theirs) * ct).sum())  # of each operand the product is linear: <ct, f(x)> = <f^T ct, x>
    np.testing.assert_allclose([np.vdot(np.asarray(x_ct), x), np.vdot(np.asarray(y_ct), y), along],
                               [value, value, 2 * value], rtol=1e-3, atol=1e-3)


def test_batches_of_ragged_products():
    x, y, sizes = array((3, 5, 2)), array((3, 2, 2, 4), seed=1), np.int32([[2, 3], [0, 4], [1, 1]])
    with config.override("evaluator", "numpy"):
        for axes in ((0, 0, 0), (0, None, 0), (0, None, None), (None, 0, None), (None, None, 0), (0, 0, None)):
            picked = [v if a is not None else v[0] for v, a in zip((x, y, sizes), axes, strict=True)]
            each = [[v[i] if a is not None else v for v, a in zip(picked, axes, strict=True)] for i in range(3)]
            agree(minijax.vmap(lax.ragged_dot, axes)(*picked), np.stack([ragged_by_hand(*args) for args in each]))

            def loss(x, y, sizes):
                return (lax.ragged_dot(x, y, sizes) ** 2).sum()

            found = minijax.vmap(minijax.grad(loss, (0, 1)), axes)(*picked)
            grads = [minijax.grad(loss, (0, 1))(*args) for args in each]
            agree(found, [np.stack([np.asarray(g[k]) for g in grads]) for k in range(2)])


def test_ragged_products_from_a_group_on():
    x, y = array((6, 2)), array((4, 2, 3), seed=1)
    sizes = np.int32([1, 2, 1, 1])
    full = np.array(ragged_by_hand(x, y, sizes))
    full[[0, 4]] = 0  # groups 0 and 3
    agree(lax.ragged_dot(x, y[1:3], sizes, group_offset=np.int32([1])), full)


# ---- precision and dtypes of products

@pytest.mark.parametrize("dtypes", [("bfloat16", "float32"), ("int8", "float16"), ("uint8", "int8"),
                                    ("float16", "bfloat16"), ("int32", "complex64"), ("bool", "int8")], ids=str)
def test_products_of_two_dtypes(dtypes):
    x, y = array((2, 3), dtypes[0]), array((3, 2), dtypes[1], seed=1)
    pairs = (((1,), (0,)), ((), ()))
    with config.override("evaluator", "numpy"):
        ours, theirs = lax.dot_general(x, y, pairs), jax.lax.dot_general(x, y, pairs)
        assert ours.dtype == theirs.dtype
        agree(ours.astype("complex64"), theirs.astype("complex64"), 2e-2)


def test_precision_is_named_in_the_program():
    algorithm = lax.DotAlgorithm(np.float32, np.float32, np.float32)
    for precision, text in (("highest", "precision=highest"), (("high", "default"), "precision=(high, default)"),
                            (lax.DotAlgorithmPreset.F32_F32_F32, "precision=DotAlgorithmPreset.F32_F32_F32"),
                            (algorithm, "precision=DotAlgorithm(lhs_precision_type=float32")):
        def loss(x, precision=precision):
            return lax.dot(x, x, precision=precision, preferred_element_type=np.float32).sum()

        program = minijax.make_jaxpr(minijax.grad(loss))(array((2, 2), "bfloat16"))
        assert str(program).count(text) == 3 and str(parse(str(program))) == str(program)
        assert program.out_types[0].dtype.name == "bfloat16"


def test_an_algorithm_compiles():
    x = array((2, 2))
    agree(minijax.jit(lambda x: lax.dot(x, x, precision="F32_F32_F32"))(x),
          jax.jit(lambda x: jax.lax.dot(x, x, precision="F32_F32_F32"))(x))


# ---- errors

GROUPS = numbers(minijax, (((1,), (1,)), ((), ())), 0, (0,))
MATRIX, STACK = X[0], array((2, 5, 3))


@pytest.mark.parametrize("error, text, call", [
    (MinijaxTypeError, "one initial value for each operand", lambda: lax.reduce((X, X), 0.0, lax.add, (0,))),
    (MinijaxTypeError, "the computation returns a", lambda: lax.reduce(X, 1.0, lambda a, b: (a, b), (0,))),
    (ShapeError, "the computation returns", lambda: lax.reduce(X, 1.0, lambda a, b: a < b, (0,))),
    (ShapeError, "Operands have one shape", lambda: lax.reduce((X, MATRIX), (1.0, 1.0), lambda a, b: a, (0,))),
    (ShapeError, "initial value", lambda: lax.reduce(X, X[0], lambda a, b: a * b * 1, (0,))),
    (MinijaxValueError, "axis 3 is out of bounds", lambda: lax.reduce(X, 0.0, lax.add, (3,))),
    (MinijaxTypeError, "window_dimensions is \\(2, 2\\), for 3 axes",
     lambda: lax.reduce_window(X, 0.0, lax.add, (2, 2))),
    (ShapeError, "window is \\(0, 1, 1\\)", lambda: lax.reduce_window(X, 0.0, lax.add, (0, 1, 1))),
    (ShapeError, "takes away more", lambda: lax.reduce_window(X, 0.0, lax.mul, (1, 1, 1), padding=[(-9, 0)] * 3)),
    (ShapeError, "should count the 3 groups", lambda: lax.ragged_dot(MATRIX, STACK, np.int32([1, 2, 1]))),
    (ShapeError, "group sizes should have shape", lambda: lax.ragged_dot(MATRIX, STACK, np.int32([[1, 2]]))),
    (ShapeError, "do not fit together", lambda: lax.ragged_dot(MATRIX.T, STACK, np.int32([1, 2]))),
    (ShapeError, "one free or summed axis", lambda: lax.ragged_dot_general(
        MATRIX, STACK, np.int32([1, 2]), numbers(minijax, GROUPS.dot_dimension_numbers, 7, (0,)))),
    (ShapeError, "should be one free axis", lambda: lax.ragged_dot_general(
        MATRIX, STACK, np.int32([1, 2]), numbers(minijax, GROUPS.dot_dimension_numbers, 0, ()))),
    (DtypeError, "must be integers", lambda: lax.ragged_dot(MATRIX, STACK, np.float32([1, 2]))),
    (MinijaxValueError, "group_offset",
     lambda: lax.ragged_dot(MATRIX, STACK, np.int32([1, 2]), group_offset=np.int32(1))),
    (MinijaxValueError, "is not a precision", lambda: lax.dot(MATRIX, MATRIX.T, precision=("highest", "exact")))])
def test_errors(error, text, call):
    with config.override("evaluator", "numpy"), pytest.raises(error, match=text):
        call()
