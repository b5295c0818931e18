"""Cases of special functions, Fourier transforms, searches, bit generators and the barrier."""

import numpy as np
from jax import lax

from minijax.ops import bits, fourier, generators, searching, special
from tests.cases import array, cases

SMALL = [(array((2, 3), low=0.3, high=3.0),), (array((), low=0.3, high=3.0),), (array((3,), "bfloat16", 0.5, 3),)]


def pair(low=0.4, high=3.0, seed=1):
    """Two positive operands: of equal shapes, and one of rank 0."""
    return [(array((2, 3), low=low, high=high), array((2, 3), low=low, high=high, seed=seed)),
            (array((), low=low, high=high), array((3,), low=low, high=high, seed=seed)),
            (array((3,), "bfloat16", low, high), array((3,), "bfloat16", low, high, seed))]


def spread(function):
    """JAX's function of operands of which one may have rank 0."""
    def of_broadcast(*xs):
        shape = np.broadcast_shapes(*[np.shape(x) for x in xs])
        return function(*[x if np.shape(x) == shape else lax.broadcast(x, shape) for x in xs])

    return of_broadcast


WHOLE = np.array([[1, 2, 3], [0, 4, 2]], np.float32)
UNIT = array((2, 3), low=0.1, high=0.9)
BETA = [(*pair()[0], UNIT), (np.float32(1.5), np.float32(2.5), UNIT)]

FUNCTIONS = [
    *cases(special.lgamma_p, lax.lgamma, *SMALL, (np.float32([-0.5, -1.5, 7]),), rtol=2e-2),
    *cases(special.digamma_p, lax.digamma, *SMALL, (np.float32([-0.5, 7]),), rtol=4e-2),
    *cases(special.polygamma_p, spread(lax.polygamma), (WHOLE, SMALL[0][0]), (np.float32(1), SMALL[0][0]), wrt=(1,),
           rtol=1e-3),
    *cases(special.zeta_p, spread(lax.zeta), (SMALL[0][0] + np.float32(1.5), SMALL[0][0]), wrt=()),
    *cases(special.igamma_p, spread(lax.igamma), *pair()[:1], smooth=False, rtol=2e-2),
    *cases(special.igamma_p, spread(lax.igamma), *pair()[1:2], wrt=(1,), rtol=1e-3),
    *cases(special.igammac_p, spread(lax.igammac), *pair()[:1], wrt=(1,), rtol=1e-3),
    *cases(special.igammac_p, spread(lax.igammac), *pair()[1:], wrt=(), rtol=2e-2),
    *cases(special.igamma_grad_a_p, spread(lax.igamma_grad_a), *pair(), wrt=(), rtol=2e-2),
    *cases(special.random_gamma_grad_p, spread(lax.random_gamma_grad), *pair(), wrt=(), rtol=2e-2),
    *cases(special.betainc_p, spread(lax.betainc), *BETA[:1], wrt=(2,), rtol=1e-3),
    *cases(special.betainc_p, spread(lax.betainc), *BETA[1:], wrt=()),
    *cases(special.bessel_i0e_p, lax.bessel_i0e, *SMALL, (np.float32([-0.5, 9, -20]),), rtol=2e-2),
    *cases(special.bessel_i1e_p, lax.bessel_i1e, *SMALL, (np.float32([-0.5, 9, -20]),), rtol=2e-2),
    *cases(special.bessel_i1e_p, lax.bessel_i1e, (np.float32([0, 1e-9]),), smooth=False),
    *cases(bits.mulhi_p, lax.mulhi, (array((4,), "int32", -2e9, 2e9), array((4,), "int32", -2e9, 2e9, 1)),
           (array((4,), "uint8", 0, 255), array((4,), "uint8", 0, 255, 1))),
]

KINDS = {"fft": lax.FftType.FFT, "ifft": lax.FftType.IFFT, "rfft": lax.FftType.RFFT, "irfft": lax.FftType.IRFFT}


def transform(fft_type, lengths, *arguments):
    """Cases of one kind of Fourier transform."""
    def oracle(x, fft_type, fft_lengths):
        return lax.fft(x, KINDS[fft_type], fft_lengths)

    return cases(fourier.fft_p, oracle, *arguments, fft_type=fft_type, fft_lengths=lengths, rtol=3e-4)


FOURIER = [
    *transform("fft", (4,), (array((2, 4), "complex64"),), (array((4,), "complex64"),)),
    *transform("fft", (2, 3), (array((2, 2, 3), "complex64"),)),
    *transform("ifft", (3,), (array((2, 3), "complex64"),)),
    *transform("rfft", (5,), (array((2, 5)),)),
    *transform("rfft", (3, 4), (array((3, 4)),)),
    *transform("irfft", (4,), (array((2, 3), "complex64"),)),
    *transform("irfft", (3, 5), (array((3, 3), "complex64"),)),
]

TIES = np.float32([[3, 1, 3, 2], [0, 0, 0, -1]])


def approximate(x, is_max_k, **params):
    """JAX's approximate search."""
    return (lax.approx_max_k if is_max_k else lax.approx_min_k)(x, **params)


SEARCHES = [
    *cases(searching.top_k_p, lax.top_k, (array((2, 5)),), (array((2, 5), "int32", -9, 9),), k=3, axis=1),
    *cases(searching.top_k_p, lax.top_k, (TIES,), k=3, axis=1, smooth=False),
    *cases(searching.top_k_p, lax.top_k, (array((4, 2, 3)),), (array((4, 3), "bfloat16"),), k=2, axis=0),
    *[case for is_max_k in (True, False)
      for case in cases(searching.approx_top_k_p, approximate, (array((2, 5)),), k=2, reduction_dimension=1,
                        recall_target=0.95, is_max_k=is_max_k, reduction_input_size_override=-1,
                        aggregate_to_topk=True)],
]


def bits_of(key, shape, dtype, algorithm):
    """JAX's generator, of the algorithm of this name."""
    return lax.rng_bit_generator(key, shape, dtype, lax.RandomAlgorithm[f"RNG_{algorithm.upper()}"])


KEY = np.uint32([1, 2, 3, 4])
GENERATORS = [
    case for algorithm in ("default", "three_fry", "philox") for shape, dtype in (((3, 5), "uint32"), ((2, 3), "uint8"))
    for case in cases(generators.rng_bit_generator_p, bits_of, (KEY,), shape=shape, dtype=np.dtype(dtype),
                      algorithm=algorithm, loops=False)]


def barrier(*xs):
    """JAX's barrier of several operands."""
    return lax.optimization_barrier(xs)


BARRIER = cases(generators.optimization_barrier_p, barrier, (array((2, 3)),), (array((2, 3)), array((4,), "complex64")))

CASES = [*FUNCTIONS, *FOURIER, *SEARCHES, *GENERATORS, *BARRIER]
