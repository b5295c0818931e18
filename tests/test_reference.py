"""The NumPy meaning of ops against `jax.lax`, on edge cases of every dtype."""

import itertools
import warnings
from types import SimpleNamespace

import jax
import jax.extend
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from minijax.ops import reference as ref
from minijax.ops import reference_indexing as index

FLOATS = ("float16", "bfloat16", "float32")
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
TOLERANCE = {"float16": 4e-3, "bfloat16": 2e-2, "float32": 1e-5, "complex64": 1e-5}
NAN, INF = np.nan, np.inf
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.3, 7.0, -9.0, 100.0, -100.0, INF, -INF, NAN]


def array(values, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array(values, np.float64 if "float" in dtype else None).astype(dtype)


def integers(dtype):
    info = np.iinfo(dtype)
    return np.array([0, 1, 2, 3, 5, 7, info.max, info.min, info.max - 1, *([-1, -2, -5] if info.min else [])], dtype)


def pairs(values):
    both = list(itertools.product(values, values))
    return np.array([a for a, _ in both], values.dtype), np.array([b for _, b in both], values.dtype)


def agree_on_all(ours, theirs, *args, **options):
    """Both functions return lists; JAX's is compiled as one program, which is quick."""
    for mine, yours in zip(ours(*args), jax.jit(theirs)(*args), strict=True):
        agree(mine, yours, **options)


def agree(ours, theirs, exact=False, signs=True):
    theirs = np.asarray(theirs)
    assert isinstance(ours, np.ndarray), type(ours)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    wide = np.complex128 if ours.dtype.kind == "c" else np.float64
    tolerance = 0 if exact else TOLERANCE.get(ours.dtype.name, 0)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(ours.astype(wide), theirs.astype(wide), rtol=tolerance, atol=tolerance / 100)
        if signs and (ours.dtype.kind == "f" or ours.dtype == ml_dtypes.bfloat16):
            number = ~np.isnan(ours.astype(np.float64))
            np.testing.assert_array_equal(np.signbit(ours[number]), np.signbit(theirs[number]))


UNARY = [(ref.erf, lax.erf), (ref.erfc, lax.erfc), (ref.erf_inv, lax.erf_inv), (ref.cbrt, lax.cbrt),
         (ref.rsqrt, lax.rsqrt), (ref.logistic, lax.logistic), (ref.sign, lax.sign),
         (lambda x: ref.round_(x, 0), lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)),
         (lambda x: ref.round_(x, 1), lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)),
         (lambda x: ref.integer_pow(x, 3), lambda x: lax.integer_pow(x, 3)),
         (lambda x: ref.integer_pow(x, -2), lambda x: lax.integer_pow(x, -2)),
         (lambda x: ref.integer_pow(x, 0), lambda x: lax.integer_pow(x, 0)),
         (lambda x: ref.reduce_precision(x, 5, 7), lambda x: lax.reduce_precision(x, 5, 7)),
         (lambda x: ref.reduce_precision(x, 4, 3), lambda x: lax.reduce_precision(x, 4, 3))]


@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_a_float(dtype):
    for x in (array(NUMBERS, dtype), array(0.3, dtype)):
        agree_on_all(lambda x: [ours(x) for ours, _ in UNARY], lambda x: [theirs(x) for _, theirs in UNARY], x)


@pytest.mark.parametrize("ours, theirs", [(ref.logistic, lax.logistic), (ref.rsqrt, lax.rsqrt), (ref.sign, lax.sign),
                                          (lambda x: ref.integer_pow(x, 2), lambda x: lax.integer_pow(x, 2))])
def test_functions_of_a_complex_number(ours, theirs):
    x = np.array([3 + 4j, -1 - 2j, 1j], "complex64")
    agree(ours(x), theirs(x))


def test_complex_sign_of_zero_and_nan():
    x = np.array([0j, complex(NAN, 1), complex(INF, 1)], "complex64")
    agree(ref.sign(x), lax.sign(x))


@pytest.mark.parametrize("exponent_bits, mantissa_bits", [(5, 10), (8, 7), (3, 2), (8, 23), (2, 1)])
def test_reduce_precision(exponent_bits, mantissa_bits):
    bits = np.random.default_rng(0).integers(0, 2**32, 2000, dtype=np.uint32)
    x = np.concatenate([bits.view(np.float32), array([65519.9, 65520, 6e-5, 6.2e-5, 6e-8], "float32")])
    agree(ref.reduce_precision(x, exponent_bits, mantissa_bits),
          lax.reduce_precision(x, exponent_bits, mantissa_bits), exact=True)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_functions_of_an_integer(dtype):
    x = integers(dtype)
    for ours, theirs in [(ref.population_count, lax.population_count), (ref.clz, lax.clz), (ref.sign, lax.sign),
                         (lambda x: ref.integer_pow(x, 3), lambda x: lax.integer_pow(x, 3))]:
        agree(ours(x), theirs(x))
        agree(ours(x[3]), theirs(x[3]))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("ours, theirs", [
    (ref.div, lax.div), (ref.rem, lax.rem), (ref.shift_left, lax.shift_left),
    (ref.shift_right_logical, lax.shift_right_logical), (ref.shift_right_arithmetic, lax.shift_right_arithmetic)])
def test_functions_of_two_integers(ours, theirs, dtype):
    x, y = pairs(integers(dtype))
    agree(ours(x, y), theirs(x, y))
    agree(ours(x[3], y[1]), theirs(x[3], y[1]))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_shifts_by_every_amount(dtype):
    names = ("shift_left", "shift_right_logical", "shift_right_arithmetic")
    x, amount = (each.ravel() for each in np.meshgrid(integers(dtype), np.array([0, 1, 7, 8, 31, 32, 33], dtype)))
    agree_on_all(lambda *xs: [getattr(ref, name)(*xs) for name in names],
                 lambda *xs: [getattr(lax, name)(*xs) for name in names], x, amount)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("ours, theirs", [(ref.div, lax.div), (ref.rem, lax.rem), (ref.nextafter, lax.nextafter),
                                          (ref.pow_, lax.pow)])
def test_functions_of_two_floats(ours, theirs, dtype):
    x, y = pairs(array(NUMBERS, dtype))
    agree(ours(x, y), theirs(x, y))


def test_pow_with_an_integer_exponent():
    x, y = np.array([2.0, -2.0, 0.0, 3.0], "float32"), np.array([3, -3, -1, 0], "int32")
    agree(ref.pow_(x, y), lax.pow(x, y))


@pytest.mark.parametrize("dtype", (*FLOATS, "int32", "uint8"))
def test_clamp(dtype):
    values = array([0, 3, 1, NAN], dtype) if dtype in FLOATS else np.array([0, 3, 1, 2], dtype)
    low, x, high = (np.array(each, dtype) for each in zip(*itertools.product(values, repeat=3), strict=True))
    agree(ref.clamp(low, x, high), lax.clamp(low, x, high))
    agree(ref.clamp(low[0], x, high[5]), lax.clamp(low[0], x, high[5]))


def test_select_n():
    cases = [np.full(5, k, "bfloat16") for k in range(3)]
    which = np.array([0, 1, 2, 3, -1], "int32")
    agree(ref.select_n(which, *cases), lax.select_n(which, *cases))
    agree(ref.select_n(np.array(True), *cases[:2]), lax.select_n(np.array(True), *cases[:2]))
    agree(ref.select_n(which > 1, *cases[:2]), lax.select_n(which > 1, *cases[:2]))


def test_threefry():
    bits = np.random.default_rng(0).integers(0, 2**32, (4, 50), dtype=np.uint32)
    ours = ref.threefry2x32(*bits)
    theirs = jax.extend.random.threefry2x32_p.bind(*bits)
    agree(ours[0], theirs[0])
    agree(ours[1], theirs[1])


ALL_DTYPES = ("bool", *INTEGERS, *FLOATS, "complex64")


@pytest.mark.filterwarnings("ignore:Casting complex values to real")
@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_convert_element_type(dtype):
    values = [*NUMBERS, 3e9, -3e9, 1e20, 255.9, 256, -1.7, 300, 65536, 2147483520]
    if dtype == "complex64":
        x = np.array([1.7 + 2j, 1j, 0, -3, 300 + 1j], dtype)
    else:
        x = array(values, dtype) if dtype in FLOATS else integers(dtype) if dtype != "bool" else np.array([True, False])
    agree_on_all(lambda x: [ref.convert_element_type(x, new) for new in ALL_DTYPES],
                 lambda x: [lax.convert_element_type(x, new) for new in ALL_DTYPES], x, exact=True)


@pytest.mark.parametrize("old, new, shape", [
    ("float32", "uint32", ()), ("float32", "uint8", ()), ("float32", "uint16", (2,)), ("uint16", "float32", (3, 2)),
    ("uint8", "int32", (4,)), ("bfloat16", "int16", (2, 3)), ("float32", "float32", (2,)),
    ("uint8", "float16", (0, 2))])
def test_bitcast_convert_type(old, new, shape):
    x = np.random.default_rng(0).integers(0, 100, shape).astype(old)
    agree(ref.bitcast_convert_type(x, new), lax.bitcast_convert_type(x, new), exact=True)


REDUCTIONS = {"sum": ref.reduce_sum, "prod": ref.reduce_prod, "max": ref.reduce_max, "min": ref.reduce_min,
              "and": ref.reduce_and, "or": ref.reduce_or, "xor": ref.reduce_xor}


def data(dtype, shape=(3, 4), seed=0):
    values = np.random.default_rng(seed).integers(-5 if dtype not in ("bool", *INTEGERS[1::2]) else 0, 6, shape)
    return (values % 2 == 0) if dtype == "bool" else values.astype(dtype)


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_reductions(dtype):
    inexact = dtype in (*FLOATS, "complex64")
    names = [name for name in REDUCTIONS if name not in (
        ("and", "or", "xor") if inexact else ("sum", "prod") if dtype == "bool" else ())]
    cases = list(itertools.product(names, ((0,), (1,), (0, 1), ())))
    for x in (data(dtype), data(dtype, (0, 2))):
        agree_on_all(lambda x: [REDUCTIONS[name](x, axes) for name, axes in cases],
                     lambda x: [getattr(lax, f"reduce_{name}")(x, axes=axes) for name, axes in cases], x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_reductions_pass_nan_on(name, dtype):
    x = array([[1, NAN, INF], [-INF, 2, 3]], dtype)
    agree(REDUCTIONS[name](x, (1,)), getattr(lax, f"reduce_{name}")(x, axes=(1,)))


def test_narrow_floats_are_summed_in_float32():
    agree(ref.reduce_sum(np.ones(300, "bfloat16"), (0,)), lax.reduce_sum(np.ones(300, "bfloat16"), axes=(0,)))


@pytest.mark.parametrize("dtype", ("bool", *INTEGERS, *FLOATS))
def test_argmax_and_argmin(dtype):
    x = array([[1, NAN, 3, NAN], [2, 5, 5, -INF]], dtype) if dtype in FLOATS else data(dtype)
    agree_on_all(lambda x: [getattr(ref, f)(x, axis, "int32") for f in ("argmax", "argmin") for axis in (0, 1)],
                 lambda x: [getattr(lax, f)(x, axis, np.int32) for f in ("argmax", "argmin") for axis in (0, 1)], x)


@pytest.mark.parametrize("dtype", (*INTEGERS, *FLOATS))
def test_scans(dtype):
    names = ["cumsum", "cumprod", "cummax", "cummin", *(["cumlogsumexp"] if dtype in FLOATS else [])]
    cases = list(itertools.product(names, (0, 1), (False, True)))
    agree_on_all(lambda x: [getattr(ref, name)(x, *rest) for name, *rest in cases],
                 lambda x: [getattr(lax, name)(x, *rest) for name, *rest in cases], data(dtype))


def test_scans_of_special_values():
    x = array([-INF, 0, 1, INF, -INF], "float32")
    agree(ref.cumlogsumexp(x, 0, False), lax.cumlogsumexp(x))
    agree(ref.cummax(array([1, NAN, 3], "float32"), 0), lax.cummax(array([1, NAN, 3], "float32")))


@pytest.mark.parametrize("dtype", ALL_DTYPES)
def test_sort(dtype):
    x, y = data(dtype, (2, 20)), data("int32", (2, 20), seed=1)
    for dimension, num_keys in itertools.product((0, 1), (1, 2)):
        ours = ref.sort(x, y, dimension=dimension, num_keys=num_keys)
        theirs = lax.sort((x, y), dimension=dimension, num_keys=num_keys)
        for a, b in zip(ours, theirs, strict=True):
            agree(a, b, exact=True)


@pytest.mark.parametrize("dtype", (*FLOATS, "complex64"))
def test_sort_of_special_values(dtype):
    x = array([0.0, -0.0, NAN, -NAN, 1, -INF, INF, 0.0], dtype) if dtype in FLOATS else np.array(
        [1 + 2j, 1 - 1j, complex(NAN, 0), 0, complex(0, NAN), complex(NAN, NAN)], dtype)
    place = np.arange(len(x))
    ours = ref.sort(x, place.astype("int32"), dimension=0, num_keys=1)
    theirs = lax.sort((x, place.astype("int32")), num_keys=1)
    agree(ours[1], theirs[1])
    agree(ours[0], theirs[0], exact=True)


DOTS = [((3, 4), (4, 5), (((1,), (0,)), ((), ()))), ((2, 3, 4), (4, 2, 5), (((2,), (0,)), ((0,), (1,)))),
        ((3,), (3,), (((0,), (0,)), ((), ()))), ((2, 3), (4,), (((), ()), ((), ()))),
        ((2, 3, 4), (3, 4), (((1, 2), (0, 1)), ((), ()))), ((2, 0), (0, 3), (((1,), (0,)), ((), ())))]


@pytest.mark.parametrize("dtype, preferred", [
    *[(dtype, None) for dtype in ALL_DTYPES], ("int8", "int32"), ("bfloat16", "float32"), ("float16", "float32")])
def test_dot_general(dtype, preferred):
    args = [(data(dtype, a), data(dtype, b, seed=1)) for a, b, _ in DOTS]
    agree_on_all(
        lambda *args: [ref.dot_general(*arg, numbers, preferred)
                       for arg, (*_, numbers) in zip(args, DOTS, strict=True)],
        lambda *args: [lax.dot_general(*arg, numbers, preferred_element_type=preferred)
                       for arg, (*_, numbers) in zip(args, DOTS, strict=True)], *args, signs=False)


@pytest.mark.parametrize("dtype", ("int8", "uint16", "int32", *FLOATS, "complex64"))
def test_iota(dtype):
    agree(index.iota(dtype, (2, 300), 1), lax.broadcasted_iota(dtype, (2, 300), 1))


@pytest.mark.parametrize("shape, out, dimensions", [((), (2, 3), ()), ((3,), (2, 3), (1,)), ((2, 1), (2, 4, 3), (0, 2)),
                                                    ((1, 3), (0, 3), (0, 1))])
def test_broadcast_in_dim(shape, out, dimensions):
    x = data("bfloat16", shape)
    agree(index.broadcast_in_dim(x, out, dimensions), lax.broadcast_in_dim(x, out, dimensions))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 2)), max_size=3))
@settings(max_examples=60, deadline=None)
def test_pad(axes):
    x, config = data("float32", [size for size, *_ in axes]), [tuple(rest) for _, *rest in axes]
    if any(low + size + max(size - 1, 0) * inner + high < 0 for (size, *_), (low, high, inner) in zip(axes, config)):
        return
    agree(index.pad(x, np.float32(7), config), lax.pad(x, np.float32(7), config))


@pytest.mark.parametrize("starts", [(0, 0), (1, 2), (-5, 9), (100, -100)])
def test_dynamic_slices(starts):
    x, update, starts = data("int32", (4, 5)), data("int32", (2, 3), seed=1), [np.int32(s) for s in starts]
    agree(index.dynamic_slice(x, *starts, slice_sizes=(2, 3)), lax.dynamic_slice(x, starts, (2, 3)))
    agree(index.dynamic_update_slice(x, update, *starts), lax.dynamic_update_slice(x, update, starts))


# Cases: operand shape, batch shape of the indices, axes indexed, batching axes (of operand, of indices),
# axes taken away, window sizes, places of the window in the result.
CASES = [
    ((5,), (3,), (0,), ((), ()), (0,), (1,), ()),
    ((5, 4), (3,), (0,), ((), ()), (0,), (1, 4), (1,)),
    ((5, 4), (2, 3), (1,), ((), ()), (1,), (2, 1), (0,)),
    ((5, 4, 3), (2,), (2, 0), ((), ()), (0,), (1, 4, 2), (0, 2)),
    ((5, 4, 3), (), (0, 1, 2), ((), ()), (), (2, 2, 2), (0, 1, 2)),
    ((3, 5), (3,), (1,), ((0,), (0,)), (1,), (1, 1), ()),
    ((5, 2, 4, 3), (6, 3, 2), (2,), ((1, 3), (2, 1)), (2,), (2, 1, 1, 1), (1,)),
    ((), (2,), (), ((), ()), (), (), ()),
    ((4,), (0,), (0,), ((), ()), (0,), (1,), ()),
]
MODES = {"clip": lax.GatherScatterMode.CLIP, "fill": lax.GatherScatterMode.FILL_OR_DROP,
         "promise_in_bounds": lax.GatherScatterMode.PROMISE_IN_BOUNDS}


def indices_for(case, mode, dtype="int32"):
    shape, batch, mapped, *_, window, _ = case
    low, high = (0, 1) if mode == "promise_in_bounds" or dtype[0] == "u" else (-2, 3)
    columns = [np.random.default_rng(axis).integers(low, max(shape[axis] - window[axis] + high, 1), batch)
               for axis in mapped]
    return np.stack(columns, -1).astype(dtype) if columns else np.zeros((*batch, 0), dtype)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_gather(case, mode):
    shape, _, mapped, (batching, indices_batching), collapsed, window, offset = case
    numbers = lax.GatherDimensionNumbers(offset, collapsed, mapped, batching, indices_batching)
    xs = [data(dtype, shape) for dtype in ("float32", "uint8", "bool", "bfloat16", "int16")]
    agree_on_all(lambda indices, *xs: [index.gather(x, indices, numbers, window, mode) for x in xs],
                 lambda indices, *xs: [lax.gather(x, indices, numbers, window, mode=MODES[mode]) for x in xs],
                 indices_for(case, mode), *xs, exact=True)


def test_gather_fills_with_a_given_value():
    shape, _, mapped, batching, collapsed, window, offset = case = CASES[1]
    numbers = lax.GatherDimensionNumbers(offset, collapsed, mapped, *batching)
    x, indices = data("int32", shape), indices_for(case, "fill")
    agree(index.gather(x, indices, numbers, window, "fill", 9),
          lax.gather(x, indices, numbers, window, mode="fill", fill_value=9))


COMBINERS = [(None, lax.scatter), (np.add, lax.scatter_add), (np.multiply, lax.scatter_mul),
             (np.minimum, lax.scatter_min), (np.maximum, lax.scatter_max)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_scatter(case, mode):
    shape, batch, mapped, (batching, indices_batching), inserted, window, places = case
    if not shape:  # XLA fails on a batch of updates of a scalar
        batch = ()
    gather_numbers = lax.GatherDimensionNumbers(places, inserted, mapped, batching, indices_batching)
    numbers = lax.ScatterDimensionNumbers(places, inserted, mapped, batching, indices_batching)
    indices = indices_for((shape, batch, *case[2:]), mode)
    updates_shape = jax.eval_shape(lambda x: lax.gather(x, indices, gather_numbers, window),
                                   data("float32", shape)).shape
    for dtype in ("float32", "int8") if case is not CASES[1] else ("bfloat16", "float16", "uint32"):
        agree_on_all(lambda *args: [index.scatter(*args, numbers, mode, combine) for combine, _ in COMBINERS],
                     lambda *args: [theirs(*args, numbers, mode=MODES[mode]) for _, theirs in COMBINERS],
                     data(dtype, shape), indices, data(dtype, updates_shape, seed=1))


def test_gather_with_unsigned_indices():
    numbers = SimpleNamespace(offset_dims=(), collapsed_slice_dims=(0,), start_index_map=(0,),
                              operand_batching_dims=(), start_indices_batching_dims=())
    indices = np.array([[0], [4], [2**32 - 1]], "uint32")
    np.testing.assert_array_equal(index.gather(np.arange(5), indices, numbers, (1,), "fill", -1), [0, 4, -1])
