"""minijax.numpy held against jax.numpy on a table of calls: values, dtypes and weak types, eager and traced."""

import jax
import jax.numpy as theirs
import ml_dtypes
import numpy as np
import pytest

import minijax
import minijax.numpy as ours
from minijax import config
from minijax.errors import MinijaxError
from minijax.tracing.array import Array, typeof

F = np.arange(6, dtype=np.float32).reshape(2, 3) / 2 - 1
G = np.float32([[0.5, -2.0, 3.0], [1.0, 1.0, -0.25]])
I = np.int32([[3, -2, 0], [7, 5, -7]])
J = np.int32([[2, 3, 5], [-2, 1, 3]])
U = np.uint8([3, 0, 200])
B = np.array([[True, False, True], [False, False, True]])
C = np.complex64([1 + 2j, -0.5j, 3])
H = F.astype(ml_dtypes.bfloat16)
S = np.float32([0.0, -0.0, 1.0, -1.5, 2.5, np.inf, -np.inf, np.nan])
E0 = np.zeros((0, 3), np.float32)
V = np.float32([3.0, -1.0, 2.0, 2.0])
V4 = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

UNARY = """exp exp2 expm1 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh
    sqrt cbrt square sign reciprocal floor ceil trunc rint round real imag conjugate angle isnan isfinite isinf isposinf
    isneginf signbit nan_to_num absolute negative positive logical_not deg2rad rad2deg""".split()
BINARY = """add subtract multiply true_divide floor_divide remainder divmod power maximum minimum equal not_equal less
    less_equal greater greater_equal arctan2 float_power logaddexp hypot fmod copysign heaviside logical_and logical_or
    logical_xor isclose nextafter""".split()
NO_COMPLEX = {"cbrt", "floor", "ceil", "trunc", "rint", "isposinf", "isneginf", "signbit", "nan_to_num", "deg2rad",
              "rad2deg", "expm1", "angle", "log1p", "log2", "log10", "sign"}
INTEGER = "bitwise_and bitwise_or bitwise_xor left_shift right_shift".split()
REDUCTIONS = "sum prod max min mean var std all any argmax argmin cumsum cumprod ptp".split() + [
    "nanmax", "nanmin", "nansum", "nanmean"]


def leaves(x):
    """The arrays of a result."""
    return [leaf for each in x for leaf in leaves(each)] if isinstance(x, (tuple, list)) else [x]


def assert_same(mine, other, context):
    """Equal types, weak ones included, and equal values to a few units in the last place."""
    mine, other = leaves(mine), leaves(other)
    assert len(mine) == len(other), context
    for x, y in zip(mine, other, strict=True):
        y = theirs.asarray(y) if isinstance(y, np.ndarray) else y
        if not isinstance(y, jax.Array):
            assert x == y, context
            continue
        assert isinstance(x, Array), (context, type(x))
        aval = jax.typeof(y)
        weak = aval.weak_type if aval.dtype != bool else x.weak_type
        assert (x.shape, x.dtype, x.weak_type) == (aval.shape, aval.dtype, weak), (context, x.type, aval)
        a, b = np.asarray(x), np.asarray(y)
        if b.dtype.kind in "fcV":
            wide = np.complex128 if b.dtype.kind == "c" else np.float64
            np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=3e-6 if b.itemsize > 2 else 8e-3, atol=1e-6,
                                       err_msg=str(context))
        else:
            np.testing.assert_array_equal(a, b, err_msg=str(context))


def compare(name, *args, traced=True, **kwargs):
    """One call of the function `name` on both sides; traced too."""
    other = getattr(theirs, name)(*args, **kwargs)
    context = name, args, kwargs
    assert_same(getattr(ours, name)(*args, **kwargs), other, context)
    arrays = [i for i, x in enumerate(args) if isinstance(x, np.ndarray)]
    if traced and arrays:
        def call(*given):
            full = list(args)
            for i, x in zip(arrays, given, strict=True):
                full[i] = x
            return getattr(ours, name)(*full, **kwargs)

        assert_same(minijax.jit(call)(*[args[i] for i in arrays]), other, ("traced", context))


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    compare(name, F)
    refused = ("square", "sign", "reciprocal", "negative", "absolute", "rint", "round")
    for x in (S, I, H, 2, *([] if name in NO_COMPLEX else [C]), *([] if name in refused else [B])):
        compare(name, x, traced=False)


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    pairs = [(F, G), (I, J), (H, F), (I, 2.5), (3, G), (2, 3), (F[:, :1], G[0])]
    if name == "nextafter":
        pairs = pairs[:1]
    if name in ("hypot", "heaviside"):  # JAX's are strong beside Python scalars
        pairs = [pair for pair in pairs if not isinstance(pair[1], float)]
    for x, y in pairs:
        compare(name, x, y, traced=False)
    if name in ("add", "multiply", "maximum", "equal", "less", "logical_and"):
        compare(name, B, B)
        compare(name, B, 1)
        compare(name, C, C[::-1].copy())


@pytest.mark.parametrize("name", INTEGER)
def test_bits(name):
    compare(name, I, np.abs(J))
    compare(name, U, np.uint8(2))
    compare(name, I, 3)
    if name.startswith("bitwise"):
        compare(name, B, B[0])


def test_power():
    for x, y in ((F, 2), (F, -1), (F, 0), (F, 0.5), (I, 3), (I, J[1] % 4), (2, F), (F, I), (I, 2.0), (2, I % 3), (C, 2),
                 (True, 3), (H, 2), (H, 0.5)):
        compare("power", x, y, traced=False)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name):
    single = name in ("argmax", "argmin", "cumsum", "cumprod")
    compare(name, F, axis=-1)
    compare(name, F, traced=False)
    for x in (I, H, S, 3.0, *([] if name == "ptp" else [B])):
        compare(name, x, axis=0 if np.ndim(x) > 1 else None, traced=False)
    if not single:
        compare(name, V4, axis=(0, -1), keepdims=True, traced=False)
    if name not in ("max", "min", "argmax", "argmin", "ptp", "nanmax", "nanmin", "mean", "var", "std", "nanmean"):
        compare(name, E0, axis=0, traced=False)
    if not single and name not in ("ptp",) and not name.startswith("nan"):
        options = {"initial": 1.0} if name in ("max", "min", "sum", "prod") else {}
        compare(name, F, axis=1, where=B, traced=False, **options)


def test_reduction_options():
    compare("sum", I, dtype="float32")
    compare("sum", U)
    compare("mean", I, dtype="float16")
    compare("var", F, ddof=1)
    compare("std", F, axis=1, ddof=1, keepdims=True)
    compare("var", C)
    compare("argmax", F, keepdims=True)
    compare("sum", F, axis=())
    compare("max", E0, axis=0, initial=2.0)
    compare("cumsum", U)
    compare("cumsum", F, axis=1, dtype="int32")
    compare("average", F, axis=0, weights=G)
    compare("count_nonzero", I, axis=1)
    compare("allclose", F, F + 1e-9)
    compare("array_equal", F, G)
    compare("array_equal", S, S, equal_nan=True)
    compare("array_equiv", F, F[0])


CALLS = [
    ("array", [1, 2.5]), ("array", [[True, 2]]), ("array", 3), ("array", 3.0), ("array", []),
    ("array", [np.float16(1), 2.0]),
    ("array", [1, 2], "float32"), ("array", (F, G)), ("array", 2 + 1j), ("array", True),
    ("asarray", I, "float32"), ("asarray", 1, "bfloat16"), ("asarray", [np.uint8(1), 3]), ("array", 7, "int8"),
    ("zeros", (2, 3)), ("zeros", 3, "int32"), ("ones", (), "bool"), ("full", (2,), 7),
    ("full", (2, 2), np.float32([1.0, 2.0])),
    ("full", 2, 3, "float32"), ("full", (), 1.5), ("eye", 3), ("eye", 2, 3, 1, "int32"), ("identity", 2), ("arange", 5),
    ("arange", 2, 8, 3), ("arange", 1.0, 2.0, 0.25), ("arange", 5, None, None, "float32"), ("arange", 3.5),
    ("arange", 5, 0, -2),
    ("arange", -2), ("linspace", 0, 1, 5), ("linspace", 0.0, 10.0, 4, False), ("linspace", F[0], G[0], 3),
    ("linspace", 1, 2, 1),
    ("linspace", 0, 9, 4, True, False, "int32"), ("zeros_like", I), ("ones_like", 2.0), ("full_like", F, 3),
    ("full_like", I, 2.5), ("zeros_like", H), ("ones_like", F, "int32", (3,)), ("tri", 3, 4, -1), ("tril", F),
    ("triu", I, 1),
    ("tril", B), ("tril", V4, -1), ("diag", F[0], 1), ("diag", F, -1), ("diagonal", V4, 1, 0, 2), ("trace", F),
    ("trace", V4, 0, 1, 2),
    ("reshape", F, (3, -1)), ("reshape", F, 6), ("reshape", F, (3, 2), "F"), ("reshape", E0, (3, 0)), ("ravel", F),
    ("ravel", E0),
    ("ravel", F, "F"), ("transpose", V4), ("transpose", V4, (1, 0, 2)), ("transpose", V4, (-1, 0, 1)),
    ("swapaxes", V4, 0, -1),
    ("moveaxis", V4, 0, -1), ("moveaxis", V4, (0, 1), (-1, -2)), ("rollaxis", V4, 2), ("squeeze", F[None, :, None]),
    ("squeeze", F[None], 0), ("expand_dims", F, 1), ("expand_dims", F, (0, -1)), ("stack", [F, G]),
    ("stack", [F, I], -1),
    ("stack", [1, 2.0]), ("concatenate", [F, G], 1), ("concatenate", [F, I]), ("concatenate", [F, G[0]], None),
    ("vstack", [F, F[0]]),
    ("hstack", [F, G]), ("hstack", [V, V]), ("dstack", [F, G]), ("column_stack", [V, V]), ("append", F, V),
    ("split", V, 2),
    ("split", F, [1, 2], 1), ("array_split", V, 3), ("array_split", F, 2, 1), ("hsplit", F, 3), ("unstack", F),
    ("tile", F, 2), ("tile", F, (2, 1, 2)), ("tile", V, ()), ("tile", 3.0, 2), ("repeat", F, 2), ("repeat", F, 2, 1),
    ("repeat", V, np.array([1, 0, 2, 3])), ("repeat", F, np.array([1, 2]), 0), ("repeat", 2.0, 3), ("flip", F),
    ("flip", F, -1),
    ("flipud", F), ("fliplr", F), ("roll", F, 1), ("roll", F, -1, 1), ("roll", F, (1, 2), (0, 1)), ("roll", E0, 1),
    ("roll", V, 9),
    ("rot90", F), ("rot90", F, 2), ("rot90", F, -1), ("pad", F, 1), ("pad", F, ((1, 0), (0, 2)), "constant"),
    ("pad", F, (1, 2), "edge"),
    ("pad", V, 2, "reflect"), ("pad", V, (3, 1), "wrap"), ("pad", V, 2, "symmetric"), ("take", V, np.array([2, 0])),
    ("take", F, np.array([[1, 5], [-1, 7]])), ("take", F, np.array([0, 2]), 1), ("take", V, 1),
    ("take", V, np.array([9, -9]), 0, None, "clip"),
    ("take", V, np.array([9, -9]), 0, None, "wrap"), ("take_along_axis", F, np.array([[2, 0], [1, -1]]), 1),
    ("take_along_axis", F, np.array([[0, 1, 9]]), 0), ("broadcast_to", V, (2, 4)),
    ("broadcast_to", F[:, :1], (3, 2, 3)), ("broadcast_to", 1.0, (2,)),
    ("broadcast_arrays", F, F[0], 2.0), ("broadcast_shapes", (2, 1), (3,)), ("atleast_1d", 3.0), ("atleast_2d", V),
    ("atleast_3d", V, F),
    ("meshgrid", V, F[0]), ("where", B, F, 0.0), ("where", B, 1, 2.0), ("where", B, I, F), ("where", F, F, G[0]),
    ("where", True, F, I),
    ("where", B), ("where", B[0], F[:, None], 0), ("select", [B, ~B], [F, G], 7), ("sort", V), ("sort", F, 0),
    ("sort", S), ("sort", F, None),
    ("argsort", V), ("argsort", F, 0), ("argsort", S), ("searchsorted", np.sort(V), V),
    ("searchsorted", np.sort(S), S), ("nonzero", I),
    ("unique", V), ("lexsort", (V, V[::-1].copy())), ("clip", F, 0, 1), ("clip", I, 0, 2.5), ("clip", F, None, 0.5),
    ("clip", F, G[0], None),
    ("round", F, 1), ("round", I, 2), ("round", H, 1), ("round", S, 2), ("isclose", S, S), ("dot", F, G.T),
    ("dot", F, V[:3]), ("dot", F, 2.0),
    ("dot", V4, V4[0].T), ("matmul", F, G.T), ("matmul", V4, V4.transpose(0, 2, 1)),
    ("matmul", V, np.ones((4, 2), np.float32)),
    ("matmul", V4, V), ("matmul", V, V), ("matmul", V4[:1], V4.transpose(0, 2, 1)), ("matmul", I, J.T),
    ("matmul", H, H.T), ("matmul", F, I.T),
    ("vdot", C, C), ("vdot", F, G), ("inner", F, G), ("inner", F, 2.0), ("outer", V, F), ("outer", V, 2),
    ("tensordot", V4, V4, 3),
    ("tensordot", V4, V4, ((1, 2), (1, 2))), ("tensordot", F, V, 0), ("vecdot", F, G), ("cross", F, G), ("kron", F, G),
    ("einsum", "ij,kj->ik", F, G),
    ("einsum", "ij,ij", F, G), ("einsum", "ij->ji", F), ("einsum", "ii", F[:, :2]), ("einsum", "ii->i", F[:, :2]),
    ("einsum", "ij,jk,kl", F, G.T, F),
    ("einsum", "...ij,...jk->...ik", V4, V4.transpose(0, 2, 1)), ("einsum", "bij,bij->b", V4, V4),
    ("einsum", "i,j", V, F[0]), ("einsum", "ij->", F),
    ("einsum", "ij,j->ij", F, I[0]), ("einsum", F, [0, 1], G, [2, 1], [0, 2]),
    ("einsum", "ijk,ijk,ijk->i", V4, V4, V4), ("einsum", "ij,jk", F[:, :1], G),
    ("einsum", "...,...", F, 2.0), ("shape", F), ("ndim", F), ("size", F), ("size", F, 1), ("result_type", F, 2),
    ("result_type", I, 2.0),
    ("result_type", "int8", "uint8"), ("promote_types", "bfloat16", "float16"), ("promote_types", "int32", "float16"),
    ("issubdtype", "bfloat16", np.floating),
    ("issubdtype", "int32", np.integer), ("issubdtype", np.float32, np.float64),
    ("issubdtype", "uint8", np.signedinteger), ("angle", C, True),
    ("isdtype", "float32", "real floating"), ("nan_to_num", S, True, 1.0, 2.0, 3.0),
    ("median", V) if hasattr(ours, "median") else ("ndim", V),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_call(call):
    name, *args = call
    traced = name in ("reshape", "split", "roll", "diag", "take", "take_along_axis", "pad", "clip", "tensordot",
                      "cross")
    compare(name, *args, traced=traced)


NORMS = [(F,), (V,), (V, 1), (V, np.inf), (V, -np.inf), (V, 0), (V, 3), (F, None, 1), (F, "fro"), (F, 1), (F, np.inf),
         (F, -1), (C,), (I,), (V4, None, (0, 1)), (F, None, 0, True), (F, 2, 1)]


@pytest.mark.parametrize("args", NORMS, ids=str)
def test_norm(args):
    assert_same(ours.linalg.norm(*args), theirs.linalg.norm(*args), args)


def test_where_and_nonzero_of_known_size():
    compare("where", B, size=4, fill_value=-1)
    compare("nonzero", I, size=2, traced=False)
    compare("argwhere", B, size=5, traced=False)
    compare("flatnonzero", np.zeros(3, np.float32), size=2, fill_value=7)
    compare("unique", V, size=5, traced=False)
    compare("unique", I, return_counts=True, traced=False)
    compare("repeat", V, np.array([1, 0, 2, 3]), total_repeat_length=8)
    compare("repeat", V, np.array([1, 0, 2, 3]), total_repeat_length=4)
    compare("argsort", V, descending=True, traced=False)
    compare("sort", V, descending=True)
    compare("pad", F, ((1, 2), (0, 1)), constant_values=((1.0, 2.0), (3.0, 4.0)))
    compare("full_like", F, np.float32(2), shape=(2,), dtype="int32")
    compare("roll", V, np.int32(3))
    compare("meshgrid", V, F[0], indexing="ij", sparse=True)
    compare("linspace", 0, 1, num=3, retstep=True)


def test_x64():
    with config.override("jax_enable_x64", True):
        for name, *args in (("arange", 3), ("array", [1.5]), ("sum", I), ("mean", I), ("array", 1), ("zeros", 2),
                            ("sin", 1), ("true_divide", I, J),
                            ("add", F, 1.5), ("linspace", 0, 1, 3), ("cumsum", U), ("argmax", V),
                            ("exp", np.int64([1, 2])), ("power", 2, 3.0)):
            compare(name, *args)
        assert ours.float64(3).dtype == np.float64


def test_weak_types_of_arrays():
    weak, strong = ours.asarray(2.0), ours.ones(3, "bfloat16")
    assert weak.weak_type and (weak + strong).dtype == ours.bfloat16 and (weak * 2).weak_type
    assert not (weak + ours.float32(1)).weak_type
    assert ours.sum(weak).weak_type == theirs.sum(theirs.asarray(2.0)).weak_type
    for f in ("mean", "max", "cumsum", "prod", "var", "argmax", "any", "abs", "square", "floor", "ravel", "conj",
              "zeros_like"):
        assert getattr(ours, f)(weak).weak_type == getattr(theirs, f)(theirs.asarray(2.0)).weak_type, f


def test_scalar_types_and_constants():
    assert ours.float32(3).dtype == np.float32 and ours.int8([1, 2]).shape == (2,)
    assert ours.zeros(1).dtype == ours.float32 and ours.float32 == np.float32
    assert np.dtype(ours.bfloat16) == ml_dtypes.bfloat16
    assert {ours.float32: 1}[ours.float32] == 1 and ours.newaxis is None and ours.pi == np.pi
    assert ours.finfo(ours.bfloat16).bits == 16 and ours.iinfo(ours.int32).max == 2**31 - 1
    assert ours.issubdtype(ours.bfloat16, ours.floating) and not ours.issubdtype(ours.bool_, ours.integer)
    assert isinstance(ours.zeros(1), ours.ndarray) and ours.dtype("int32") == ours.int32


def test_arrays_of_tracers():
    def f(x):
        return ours.array([x[0], 2 * x[1], [x[2]][0]]).sum() + ours.stack([x, x]).sum() + ours.asarray([[x[0], 1]])[0,
                                                                                                                    1]

    assert float(minijax.jit(f)(V[:3])) == float(f(V[:3])) == 12.0
    np.testing.assert_array_equal(minijax.grad(f)(ours.asarray(V[:3])), [3, 4, 3])


GRADIENTS = [
    lambda np, x: np.sum(np.sin(x) * x), lambda np, x: np.mean(x ** 3), lambda np, x: np.var(x), lambda np,
    x: np.std(x, axis=0).sum(),
    lambda np, x: np.max(x), lambda np, x: np.linalg.norm(x), lambda np, x: np.logaddexp(x, 1.0).sum(), lambda np,
    x: np.logaddexp(x, x).sum(),
    lambda np, x: np.hypot(x, 2.0).sum(), lambda np, x: np.clip(x, -0.5, 0.5).sum(), lambda np,
    x: np.where(x > 0, x * x, 0.0).sum(),
    lambda np, x: np.einsum("ij,kj->ik", x, x).sum(), lambda np, x: (x @ x.T)[0, 1], lambda np,
    x: np.sort(x.ravel())[2],
    lambda np, x: np.take_along_axis(x, np.array([[1], [0]]), 1).sum(), lambda np, x: np.roll(x, 1, 0)[0, 0] * x[0, 0],
    lambda np, x: np.cumsum(x, 1).prod(),
    lambda np, x: np.tril(x @ x.T).sum(), lambda np, x: (x % 0.7).sum(), lambda np, x: np.prod(x + 3, axis=1).sum(),
    lambda np, x: np.repeat(x, 2, 1)[:, 1].sum(),
    lambda np, x: np.pad(x, 1, mode="reflect").sum(), lambda np, x: np.linspace(x[0, 0], x[1, 1], 5)[2], lambda np,
    x: x.at[0].mul(x[1]).sum(),
    lambda np, x: (2.0 ** x).sum(), lambda np, x: np.abs(x).sum(), lambda np, x: np.concatenate([x, x * x])[1:3].sum(),
    lambda np, x: np.nanmax(x, axis=1).sum(),
]


@pytest.mark.parametrize("f", GRADIENTS)
def test_gradients(f):
    x = G + 0.1
    value, slope = jax.value_and_grad(lambda x: f(theirs, x))(x)
    mine, my_slope = minijax.jit(minijax.value_and_grad(lambda x: f(ours, x)))(x)
    np.testing.assert_allclose(mine, value, rtol=2e-6)
    np.testing.assert_allclose(my_slope, slope, rtol=2e-5, atol=1e-6)


ERRORS = [
    (lambda: ours.sum([1, 2]), "Convert it with minijax.numpy.asarray"),
    (lambda: ours.sum(F, axis=2), "axis 2 is out of bounds"),
    (lambda: ours.add(F, V), "do not broadcast"), (lambda: ours.reshape(F, (4, -1)), "cannot take the shape"),
    (lambda: ours.reshape(F, (5,)), "6 elements"), (lambda: ours.matmul(F, G), "do not fit"),
    (lambda: ours.matmul(F, 2.0), "scalars take"),
    (lambda: ours.dot(F, F), "do not fit"), (lambda: ours.einsum("ij,jk", F, F), "has the sizes"),
    (lambda: ours.einsum("ij,j", F), "names 2 operands"),
    (lambda: ours.einsum("ij->k", F), "distinct labels"), (lambda: ours.stack([F, V]), "They must be equal"),
    (lambda: ours.concatenate([F, V]), "differ"),
    (lambda: ours.concatenate([]), "at least one"), (lambda: ours.array("text"), "numbers and bool"),
    (lambda: ours.array([[1], [1, 2]]), "equal lengths"),
    (lambda: ours.array(object()), "numbers and bool"), (lambda: ours.zeros(-1), "negative size"),
    (lambda: ours.zeros((2, "a")), "made of integers"),
    (lambda: ours.max(E0, axis=0), "hold no elements"), (lambda: ours.argmax(E0), "empty"),
    (lambda: ours.max(F, where=B), "needs an `initial`"),
    (lambda: ours.squeeze(F, 0), "not all of size 1"), (lambda: ours.split(V, 3), "equal pieces"),
    (lambda: ours.broadcast_to(F, (2,)), "does not broadcast"),
    (lambda: ours.where(B, F), "both x and y"), (lambda: ours.zeros(2, "no such dtype"), "does not name a dtype"),
    (lambda: ours.transpose(F, (0, 0)), "twice"),
    (lambda: ours.negative(B), "takes numeric operands"), (lambda: ours.floor_divide(C, C), "Divide with /"),
    (lambda: ours.bitwise_and(F, G), "integer or bool"),
    (lambda: ours.take_along_axis(F, G), "must be integers"), (lambda: ours.tril(V), "two or more axes"),
    (lambda: ours.pad(F, -1), "non-negative"),
    (lambda: minijax.jit(lambda x: ours.nonzero(x))(F), "Give size="),
    (lambda: minijax.jit(lambda x: ours.repeat(x, x))(I), "total_repeat_length"),
    (lambda: minijax.jit(lambda n: ours.zeros(n))(3), "static_argnums"),
    (lambda: ours.linalg.norm(V4, 2), "Give axis"),
    (lambda: minijax.jit(lambda n: ours.arange(n))(3), "static"), (lambda: ours.power(I, -1), "no power"),
    (lambda: ours.meshgrid(F), "takes vectors"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, text = ERRORS[number]
    with pytest.raises(MinijaxError, match=text):
        call()


def test_unsupported_options_and_warnings():
    with pytest.raises(NotImplementedError, match="immutable"):
        ours.sum(F, out=F)
    with pytest.raises(NotImplementedError, match="mode 'median'|mode"):
        ours.pad(F, 1, "median")
    with pytest.warns(UserWarning, match="jax_enable_x64"):
        assert ours.zeros(2, "float64").dtype == np.float32


def test_numpy_arrays_are_copied():
    x = np.zeros(4096, np.float32)
    y = ours.asarray(x)
    x[0] = 1
    assert float(y[0]) == 0.0 and typeof(y).dtype == np.float32
