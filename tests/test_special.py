"""Special functions, transforms and generators beyond their cases: derivatives that JAX lacks, errors, functions."""

import jax
import numpy as np
import pytest

import minijax
from minijax import config, lax
from minijax.errors import DtypeError, MinijaxValueError, ShapeError
from minijax.ops import searching, special

A, X = np.float64([0.7, 1.5, 3.0]), np.float64([0.4, 2.0, 2.5])


@pytest.mark.parametrize("function", [special.zeta, special.igamma_grad_a, special.random_gamma_grad,
                                      special.igamma, special.polygamma], ids=lambda f: f.__name__)
def test_derivatives_in_the_second_argument(function):
    with config.override("evaluator", "numpy"), config.override("jax_enable_x64", True):
        first = np.float64([2.0, 3.0, 1.0]) + (function is not special.polygamma) * 0.5
        slope = minijax.jvp(lambda x: function(first, x), (X,), (np.ones(3),))[1]
        difference = (np.asarray(function(first, X + 1e-6)) - np.asarray(function(first, X - 1e-6))) / 2e-6
    np.testing.assert_allclose(np.asarray(slope), difference, rtol=1e-5, atol=1e-7)


def test_gamma_samples_move_with_their_shape():
    with config.override("evaluator", "numpy"), config.override("jax_enable_x64", True):
        slope = np.asarray(special.random_gamma_grad(A, X))
        quantile = np.asarray(special.igamma(A, X))
        moved = np.asarray(special.igamma(A + 1e-6, X + slope * 1e-6))
    np.testing.assert_allclose(moved, quantile, atol=1e-11)


@pytest.mark.parametrize("call, argument", [
    (lambda a: special.polygamma(a, 1.0), "m"), (lambda a: special.zeta(a, 1.0), "x"),
    (lambda a: special.betainc(a, 1.0, 0.5), "a"), (lambda a: special.betainc(1.0, a, 0.5), "b"),
    (lambda a: special.igamma_grad_a(a, 1.0), "a")])
def test_unknown_derivatives_are_errors(call, argument):
    with config.override("evaluator", "numpy"), pytest.raises(MinijaxValueError, match=fr"argument {argument} \("):
        minijax.jvp(call, (2.0,), (1.0,))


def test_candidates_of_the_approximate_search():
    count = jax.lax.approx_max_k
    for size, rank, k, recall in [(100, 1, 2, 0.95), (5000, 1, 10, 0.95), (1025, 2, 10, 0.95), (5000, 2, 10, 0.99),
                                  (1000, 2, 1, 0.5), (100000, 2, 10, 0.99), (3000, 2, 3, 1.0)]:
        x = jax.ShapeDtypeStruct((2,) * (rank - 1) + (size,), np.float32)
        theirs = jax.eval_shape(lambda x, k=k, r=recall: count(x, k, recall_target=r, aggregate_to_topk=False), x)
        assert searching.candidates(size, rank, k, recall, -1) == theirs[0].shape[-1]


def test_uniform_draws_differ_and_are_not_merged():
    @minijax.jit
    def two():
        return lax.rng_uniform(0.0, 1.0, (8,)), lax.rng_uniform(0.0, 1.0, (8,))

    first, second = map(np.asarray, two())
    assert (first != second).any() and ((0 <= first) & (first < 1)).all()


def test_functions_of_lax():
    x = np.float32([[1, 2, 3, 4]])
    np.testing.assert_allclose(lax.fft(x, "FFT", 4), jax.lax.fft(x, "FFT", (4,)))
    np.testing.assert_allclose(lax.fft(np.int32([1, 2, 3]), lax.FftType.RFFT, (3,)), np.fft.rfft([1, 2, 3]), atol=1e-6)
    np.testing.assert_array_equal(lax.top_k(x, 2)[1], [[3, 2]])
    np.testing.assert_array_equal(lax.broadcast_like(x[0], np.zeros((2, 4))), np.broadcast_to(x[0], (2, 4)))
    dot = {"precision": lax.DotAlgorithmPreset.F32_F32_F32}
    np.testing.assert_array_equal(lax.dot_general(x, x, (((1,), (1,)), ((), ())), **dot), [[30]])
    key = np.uint32([1, 2, 3, 4])
    drawn = [f.rng_bit_generator(key, (3,), algorithm=f.RandomAlgorithm.RNG_THREE_FRY) for f in (lax, jax.lax)]
    for mine, theirs in zip(*drawn, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    lhs, rhs = np.ones((2, 4), "float32"), np.arange(8, dtype="float32").reshape(4, 2)
    mine, theirs = [np.float32(f.scaled_dot(lhs, rhs, lhs_scale=np.float32([[1, 2], [3, 4]]))) for f in (lax, jax.lax)]
    np.testing.assert_array_equal(mine, theirs)


def test_a_batch_of_keys_draws_as_in_jax():
    keys = np.arange(8, dtype=np.uint32).reshape(2, 4)
    for mine, theirs in zip(minijax.vmap(lambda k: lax.rng_bit_generator(k, (3,)))(keys),
                            jax.vmap(lambda k: jax.lax.rng_bit_generator(k, (3,)))(keys), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("call, error, text", [
    (lambda x: lax.fft(x, "fast", 4), MinijaxValueError, "'fast' is no kind of transform"),
    (lambda x: lax.fft(x, "fft", (5,)), ShapeError, r"c64\[4\] does not fit fft_lengths=\(5,\)"),
    (lambda x: lax.fft(1j * x, "rfft", 4), DtypeError, "RFFT takes real numbers"),
    (lambda x: lax.top_k(x, 5), MinijaxValueError, "k is 5, of 4 elements along axis 0"),
    (lambda x: lax.approx_max_k(x, 2, recall_target=2.0), MinijaxValueError, "recall_target=2.0"),
    (lambda x: lax.lgamma(x > 0), DtypeError, "lgamma takes real floating-point operands"),
    (lambda x: lax.rng_bit_generator(x, (2,)), ShapeError, r"takes a key u32\[4\] or u64\[2\]"),
    (lambda x: lax.rng_bit_generator(np.uint32([1, 2, 3, 4]), (2,), "int32"), DtypeError, "not int32"),
])
def test_errors(call, error, text):
    with config.override("evaluator", "numpy"), pytest.raises(error, match=text):
        call(minijax.numpy.arange(4.0))
