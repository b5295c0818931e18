"""minijax.lax held against jax.lax: values, dtypes and weak types."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.lax as theirs
import numpy as np
import pytest

import minijax
import minijax.lax as ours
from minijax.errors import MinijaxError
from test_numpy import V4, B, C, F, G, I, J, V, assert_same

ROOT = Path(__file__).resolve().parents[1]
P = np.float32([0.1, 0.5, 0.9])
NUMBERS = dict(offset_dims=(1,), collapsed_slice_dims=(0,), start_index_map=(0,))
SCATTER = dict(update_window_dims=(1,), inserted_window_dims=(0,), scatter_dims_to_operand_dims=(0,))
K = np.int32([[1], [0]])

CALLS = [
    *[(name, P) for name in """exp exp2 expm1 log log1p logistic sin cos tan asin acos atan sinh cosh tanh asinh
      atanh sqrt rsqrt cbrt square erf erfc erf_inv
      abs neg sign floor ceil is_finite reciprocal round""".split()],
    *[(name, F, G) for name in "add sub mul div rem max min nextafter atan2 eq ne lt le gt ge complex".split()],
    *[(name, I, np.abs(J)) for name in """add mul div rem max bitwise_and bitwise_or bitwise_xor shift_left
      shift_right_logical shift_right_arithmetic""".split()],
    ("acosh", P + 1), ("add", F, 1.0), ("mul", 2.0, F), ("max", I, 3), ("pow", P, 2.0), ("pow", P, np.int32(2)),
    ("integer_pow", F, 3), ("bitwise_not", I),
    ("population_count", I), ("clz", I), ("real", C), ("imag", C), ("conj", C), ("conj", F),
    ("round", F, theirs.RoundingMethod.TO_NEAREST_EVEN), ("clamp", 0.0, F, 0.5), ("clamp", F[0], G[0], G[1]),
    ("select", B, F, G), ("select_n", I % 2, F, G), ("convert_element_type", F, "int32"),
    ("bitcast_convert_type", F, "int32"), ("reduce_precision", F, 5, 2), ("stop_gradient", F),
    ("broadcast", F, (2,)), ("broadcast_in_dim", V, (2, 4), (1,)), ("broadcast_shapes", (2, 1), (3,)),
    ("broadcast_to_rank", V, 3), ("reshape", F, (3, 2)), ("reshape", F, (6,), (1, 0)), ("collapse", V4, 1),
    ("collapse", V4, 0, 2), ("transpose", V4, (2, 0, 1)), ("squeeze", F[None], (0,)), ("expand_dims", F, (0, -1)),
    ("concatenate", [F, G], 1), ("split", V, (1, 3)), ("tile", F, (2, 1)), ("rev", F, (1,)),
    ("pad", F, 0.0, [(1, -1, 0), (0, 2, 1)]), ("iota", "int32", 4), ("broadcasted_iota", "float32", (2, 3), 1),
    ("full", (2,), 1.5), ("full", (2,), 3, "float32"), ("full_like", F, 2.0), ("full_like", 1.0, 2.0),
    ("slice", F, (0, 1), (2, 3)), ("slice", V, (0,), (4,), (2,)), ("slice_in_dim", V, 1, -1),
    ("slice_in_dim", F, None, None, 2, 1), ("index_in_dim", F, 1), ("index_in_dim", F, -1, 1, False),
    ("dynamic_slice", F, (1, -2), (1, 2)), ("dynamic_slice", F, np.int32([5, 0]), (1, 2)),
    ("dynamic_slice_in_dim", F, 1, 2, 1), ("dynamic_index_in_dim", F, np.int32(-1)),
    ("dynamic_index_in_dim", F, 1, 1, False),
    ("dynamic_update_slice", F, G[:1], (1, 0)), ("dynamic_update_slice_in_dim", F, G[:, :1], 2, 1),
    ("dynamic_update_index_in_dim", F, G[0], 1, 0), ("reduce_sum", F, (0,)), ("reduce_prod", F, (0, 1)),
    ("reduce_max", I, (1,)),
    ("reduce_min", F, (0,)), ("reduce_and", B, (0,)), ("reduce_or", I, (0,)), ("reduce_xor", I, (1,)),
    ("argmax", F, 1, "int32"), ("argmin", F, 0, "int32"), ("cumsum", F, 1), ("cumsum", F, 0, True), ("cumprod", F),
    ("cummax", V), ("cummin", V, 0, True), ("cumlogsumexp", F, 1), ("dot", F, G.T), ("dot", V, V),
    ("batch_matmul", V4, V4.transpose(0, 2, 1)), ("dot_general", F, G, (((1,), (1,)), ((0,), (0,)))), ("sort", V),
    ("sort", (V, P[[0, 1, 2, 0]])),
    ("sort", (V, V[::-1].copy()), -1, True, 2), ("sort_key_val", V, np.arange(4)), ("top_k", V, 3), ("top_k", F, 2),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call[0])
def test_call(call):
    name, *args = call
    mine = [ours.RoundingMethod(int(x)) if isinstance(x, theirs.RoundingMethod) else x for x in args]
    assert_same(getattr(ours, name)(*mine), getattr(theirs, name)(*args), call)


def test_gather_and_scatter():
    mine, other = ours.GatherDimensionNumbers(**NUMBERS), theirs.GatherDimensionNumbers(**NUMBERS)
    assert_same(ours.gather(F, K, mine, (1, 3)), theirs.gather(F, K, other, (1, 3)), "gather")
    mine, other = ours.ScatterDimensionNumbers(**SCATTER), theirs.ScatterDimensionNumbers(**SCATTER)
    for name in ("scatter", "scatter_add", "scatter_mul", "scatter_min", "scatter_max", "scatter_sub"):
        assert_same(getattr(ours, name)(F, K, G, mine), getattr(theirs, name)(F, K, G, other), name)


def test_precision_and_derivatives():
    assert_same(ours.dot(F, G.T, precision=ours.Precision.HIGHEST),
                theirs.dot(F, G.T, precision=theirs.Precision.HIGHEST), "dot")
    assert_same(ours.dot(F, G.T, preferred_element_type="float32"),
                theirs.dot(F, G.T, preferred_element_type="float32"), "dot")
    for f in (lambda lax, x: lax.top_k(x, 2)[0].sum(), lambda lax, x: lax.stop_gradient(x).sum() + (x * x).sum(),
              lambda lax, x: lax.cumprod(x, 1)[0, 2],
              lambda lax, x: lax.dynamic_slice(x, (0, 1), (2, 1)).sum(), lambda lax, x: lax.rsqrt(x * x + 1).sum()):
        np.testing.assert_allclose(minijax.grad(lambda x: f(ours, x))(minijax.numpy.asarray(G)),
                                   jax.grad(lambda x: f(theirs, x))(G), rtol=1e-5, atol=1e-6)
    tree = ours.stop_gradient({"a": F, "b": [1, 2.0]})
    assert set(tree) == {"a", "b"}


ERRORS = [(lambda: ours.add(F, I), "dtypes"), (lambda: ours.add(F, V), "shapes"),
          (lambda: ours.concatenate([], 0), "at least one"), (lambda: ours.reshape(F, (4,)), "elements"),
          (lambda: ours.sort(F, 5), "out of bounds"),
          (lambda: ours.dynamic_slice(F, (0,), (1, 1)), "start indices"),
          (lambda: ours.dynamic_slice(F, (0.5, 0), (1, 1)), "integer scalar"), (lambda: ours.top_k(V, 9), "k is 9"),
          (lambda: ours.dot(V4, F), "dot_general"),
          (lambda: ours.full((2,), V), "scalar"), (lambda: ours.slice(V, (0,), (9,)), "not inside"),
          (lambda: ours.stop_gradient("a"), "takes arrays"), (lambda: ours.exp(I), "takes"),
          (lambda: ours.dot(F, G.T, precision="low"), "precision")]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, text = ERRORS[number]
    with pytest.raises(MinijaxError, match=text):
        call()


def parameters(function):
    """(name, whether by keyword alone, default) of the parameters; no default for one that is a private mark."""
    def shown(default):
        return None if type(default) in (type, object) else str(default)

    return [(p.name, p.kind is p.KEYWORD_ONLY, shown(p.default))
            for p in inspect.signature(function).parameters.values()]


OWN = {"while_loop": "checkpoint", "scan": "checkpoint"}  # beyond JAX
ABSENT = {"after_all", "composite", "create_token", "dce_sink", "precv", "psend", "shape_as_value", "stage",
          "random_gamma_grad"}  # the last one takes *args in JAX


# What JAX 0.12 has beyond 0.10, the version that minijax follows: functions, and parameters of functions.
NEW = {"log2", "one_minus_square", "polynomial", "psum_scatter_start"}
NEW_PARAMETERS = {"erfc": "accuracy", "reduce_max": "out_sharding", "reduce_min": "out_sharding", "top_k": "is_stable"}


@pytest.mark.parametrize("mine, other", [(ours, theirs), (ours.linalg, theirs.linalg)], ids=["lax", "linalg"])
def test_signatures(mine, other):
    """Every function of jax.lax is here, with its parameters and defaults."""
    names = {name for name in dir(other) if inspect.isroutine(getattr(other, name)) and name[0] != "_"} - ABSENT
    if jax.__version_info__ >= (0, 12):
        assert mine is ours.linalg or NEW <= names
        names -= NEW
    for name in sorted(names):
        found = [p for p in parameters(getattr(mine, name)) if p[0] != OWN.get(name)]
        wanted = parameters(getattr(other, name))
        if name in NEW_PARAMETERS and jax.__version_info__ >= (0, 12):
            new, = [p for p in wanted if p[0] == NEW_PARAMETERS[name]]
            wanted.remove(new)
        assert [p[:2] for p in found] == [p[:2] for p in wanted], name
        if name != "rng_bit_generator":  # a class of dtypes in JAX
            assert [p[2] for p in found] == [p[2] for p in wanted], name
    assert len(names) >= (15 if mine is ours.linalg else 180)


def test_what_depends_on_the_platform():
    both = {"cpu": lambda x: x + 1, "cuda": lambda x: x + 1}
    for f in (lambda x: ours.platform_dependent(x, **both), lambda x: ours.platform_dependent(x, default=both["cpu"])):
        assert minijax.jit(f)(1.0) == f(1.0) == 2.0
    with pytest.raises(MinijaxError, match="None is no device or sharding"):  # as in JAX
        ours.with_sharding_constraint({"a": F}, None)
    with pytest.raises(MinijaxError, match="no function for .*Give one, or a default"):
        ours.platform_dependent(1.0, abacus=lambda x: x)


def test_axis_env():
    """Collectives traced with named axes given by hand, under transformations too."""
    def f(x):
        return ours.psum(x * x, "i") + ours.axis_index("j")

    env = [("i", 4), ("j", 2)]
    text = str(minijax.make_jaxpr(minijax.grad(f), axis_env=env)(1.0))
    assert "psum" in text and "axis_name=(i,)" in text
    assert minijax.make_jaxpr(lambda x: x * ours.axis_size("i"), axis_env=env, return_shape=True)(2.0)[1].shape == ()
    assert str(minijax.make_jaxpr(lambda x: x * ours.axis_size("i"), axis_env=env)(2.0)).count("4") == 1
    with pytest.raises(MinijaxError, match="'k'.*'j', 'i'"):
        minijax.make_jaxpr(lambda x: ours.psum(x, "k"), axis_env=env)(1.0)


CLAMPS = """
import jax, numpy as np, minijax, minijax.lax as ours

minijax.config.update("check", True)
z, low, high = np.complex64([0, 2 + 3j, 1 - 4j, 1, 1 + 2j, np.nan + 1j, 1.5 + 9j]), 1 + 1j, np.complex64(2 + 2j)
wanted = np.asarray(jax.lax.clamp(np.complex64(low), z, high))
clamped = lambda z: ours.clamp(low, z, high)
for f in clamped, minijax.jit(clamped), minijax.vmap(clamped):
    np.testing.assert_array_equal(f(z), wanted)
with minijax.config.override("evaluator", "numpy"):
    np.testing.assert_array_equal(clamped(z), wanted)
try:
    minijax.jvp(clamped, (z,), (z,))
except minijax.errors.MinijaxError as error:
    print(error)
"""


def test_clamp_of_complex_numbers():
    """They are compared by their real parts; there is no derivative, as in JAX.

    In a process of its own: XLA of JAX 0.10 cannot clamp them with the flags of conftest.py.
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", CLAMPS], cwd=ROOT, env={**os.environ, "XLA_FLAGS": ""},
                          capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert re.search("clamp of complex numbers.*no derivative", done.stdout), done.stdout
