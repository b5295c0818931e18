"""Distributions of real numbers, each made of uniform numbers by a formula.

A kernel draws the numbers; the public function beside it checks the arguments.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ops.arithmetic import div, max as maximum, min as minimum, neg, nextafter, sign, sub
from minijax.ops.comparison import ge, lt, select_n
from minijax.ops.conversion import convert_element_type, stop_gradient
from minijax.ops.elementwise import abs, erf, erf_inv, log, log1p, tan
from minijax.ops.families import add, mul, reshape
from minijax.ops.promotion import broadcast_shapes
from minijax.ops.slicing import slice_
from minijax.random.keys import as_float, as_shape, check_key, kernel, refuse_sharding, two, words
from minijax.random.uniform import as_dtype, as_operand, check_broadcast, spread, uniform_of
from minijax.tracing.array import typeof

_MODES = ("low", "high")


def as_mode(name: str, mode: Any) -> str:
    """How finely small probabilities are resolved: 'low' (None) draws once, 'high' twice."""
    if mode not in (None, *_MODES):
        raise MinijaxValueError(f"random.{name}: mode={mode!r} is not one of 'low' and 'high'.")
    return mode or "low"


def _halves(x: Any) -> tuple[Any, Any]:
    """The two arrays stacked in one of shape (2, ...)."""
    shape = typeof(x).shape[1:]
    zeros = (0,) * len(shape)
    return tuple(reshape(slice_(x, (i, *zeros), (i + 1, *shape)), shape) for i in range(2))


def _tiny(dtype: Any) -> Any:
    return dtype.type(ml_dtypes.finfo(dtype).tiny)


def _epsilon(dtype: Any) -> Any:
    return dtype.type(ml_dtypes.finfo(dtype).eps)


def _above_minus_one(dtype: Any) -> Any:
    """The least number of a dtype that is more than -1."""
    return np.nextafter(dtype.type(-1), dtype.type(0), dtype=dtype)


# ---- normal numbers

def _real_normal(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    u = uniform_of(key_words, shape, dtype, _above_minus_one(dtype), dtype.type(1))
    return mul(dtype.type(math.sqrt(2)), erf_inv(u))


@kernel
def _normal(key: Any, shape: Any, dtype: Any) -> Any:
    if not dtypes.is_complex(dtype):
        return _real_normal(words(key), shape, dtype)
    part = dtypes.real_dtype(dtype)
    real, imag = (convert_element_type(_real_normal(k, shape, part), dtype) for k in two(words(key)))
    return div(add(real, mul(dtype.type(1j), imag)), dtype.type(np.sqrt(part.type(2))))


def normal(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """Normal numbers of mean 0 and variance 1; complex ones have the variance in both parts together.

    >>> normal(np.array([0, 7], np.uint32), (2, 3)).shape
    (2, 3)
    """
    check_key("normal", key)
    refuse_sharding("normal", out_sharding)
    return _normal(key, as_shape("normal", shape), as_float("normal", dtype, complex_too=True))


@kernel
def _truncated_normal(key: Any, lower: Any, upper: Any, shape: Any, dtype: Any) -> Any:
    lower, upper = (as_dtype(x, dtype) for x in (lower, upper))
    root = dtype.type(math.sqrt(2))
    u = uniform_of(words(key), shape, dtype, erf(div(lower, root)), erf(div(upper, root)))
    inside = (nextafter(stop_gradient(x), dtype.type(towards)) for x, towards in ((lower, np.inf), (upper, -np.inf)))
    low, high = (spread(x, shape) for x in inside)
    return minimum(high, maximum(low, mul(root, erf_inv(u))))


def truncated_normal(key: Any, lower: Any, upper: Any, shape: Any = None, dtype: Any = None, *,
                     out_sharding: Any = None) -> Any:
    """Normal numbers between `lower` and `upper`, which broadcast to `shape` (by default their own common one).

    >>> x = np.asarray(truncated_normal(np.array([0, 7], np.uint32), -1.0, 1.0, (100,)))
    >>> bool((abs(x) < 1).all())
    True
    """
    check_key("truncated_normal", key)
    refuse_sharding("truncated_normal", out_sharding)
    bounds = [as_operand("truncated_normal", name, x) for name, x in (("lower", lower), ("upper", upper))]
    own = broadcast_shapes("random.truncated_normal", [typeof(x).shape for x in bounds])
    shape = own if shape is None else as_shape("truncated_normal", shape)
    for name, x in zip(("lower", "upper"), bounds, strict=True):
        check_broadcast("truncated_normal", name, x, shape)
    return _truncated_normal(key, lower, upper, shape, as_float("truncated_normal", dtype))


# ---- coins

@kernel
def _bernoulli(key: Any, p: Any, shape: Any, mode: str) -> Any:
    dtype = typeof(p).dtype
    p = spread(p, shape)
    if mode == "low":
        return lt(uniform_of(words(key), shape, dtype), p)
    coarse, fine = _halves(uniform_of(words(key), (2, *shape), dtype))
    return lt(mul(fine, _epsilon(dtype)), sub(p, coarse))


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, mode: str = "low", *, out_sharding: Any = None) -> Any:
    """True with probability `p`, which broadcasts to `shape` (by default its own).

    `mode="high"` draws twice, so that very small probabilities are met exactly.

    >>> bernoulli(np.array([0, 7], np.uint32), 1.0, (2,))
    Array([ True,  True], dtype=bool)
    """
    check_key("bernoulli", key)
    refuse_sharding("bernoulli", out_sharding)
    dtype = typeof(as_operand("bernoulli", "p", p)).dtype
    if not dtypes.is_float(dtype):
        raise MinijaxTypeError(f"random.bernoulli: p has dtype {dtype}, not a floating-point one. "
                               "Pass a probability such as 0.5, or p.astype('float32').")
    shape = typeof(p).shape if shape is None else as_shape("bernoulli", shape)
    check_broadcast("bernoulli", "p", p, shape)
    return _bernoulli(key, as_dtype(p, dtype), shape, as_mode("bernoulli", mode))


@kernel
def _rademacher(key: Any, shape: Any, dtype: Any) -> Any:
    coin = _bernoulli(key, dtypes.canonical_dtype(float).type(0.5), shape, "low")
    return sub(mul(dtype.type(2), convert_element_type(coin, dtype)), dtype.type(1))


def rademacher(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
    """-1 or 1, each with probability 1/2, integers by default.

    >>> set(np.asarray(rademacher(np.array([0, 7], np.uint32), (50,))).tolist()) == {-1, 1}
    True
    """
    check_key("rademacher", key)
    refuse_sharding("rademacher", out_sharding)
    return _rademacher(key, as_shape("rademacher", shape), dtypes.canonical_dtype(int if dtype is None else dtype))


# ---- others, each a formula of a uniform number

def gumbel_of(key_words: Any, shape: tuple[int, ...], dtype: Any, mode: str) -> Any:
    """Gumbel numbers of a key's words."""
    if mode == "low":
        return neg(log(neg(log(uniform_of(key_words, shape, dtype, _tiny(dtype), dtype.type(1))))))
    coarse, fine = _halves(uniform_of(key_words, (2, *shape), dtype))
    small = add(add(coarse, mul(_epsilon(dtype), fine)), _tiny(dtype))
    u = select_n(ge(coarse, dtype.type(0.5)), small, coarse)
    return neg(log(neg(log1p(neg(u)))))


def _exponential(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return neg(log1p(neg(uniform_of(key_words, shape, dtype))))


def _laplace(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    u = uniform_of(key_words, shape, dtype, dtype.type(-1 + float(ml_dtypes.finfo(dtype).epsneg)), dtype.type(1))
    return mul(sign(u), log1p(neg(abs(u))))


def _logistic(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    u = uniform_of(key_words, shape, dtype, _tiny(dtype), dtype.type(1))
    return sub(log(u), log1p(neg(u)))


def _cauchy(key_words: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    u = uniform_of(key_words, shape, dtype, _epsilon(dtype), dtype.type(1))
    return tan(mul(dtype.type(math.pi), sub(u, dtype.type(0.5))))


def _standard(formula: Any, name: str, doc: str) -> Any:
    """The public function of a distribution without parameters."""
    @kernel
    def draw(key: Any, shape: Any, dtype: Any) -> Any:
        return formula(words(key), shape, dtype)

    def distribution(key: Any, shape: Any = (), dtype: Any = None, *, out_sharding: Any = None) -> Any:
        check_key(name, key)
        refuse_sharding(name, out_sharding)
        return draw(key, as_shape(name, shape), as_float(name, dtype))

    distribution.__name__ = distribution.__qualname__ = name
    distribution.__doc__ = doc
    return distribution


exponential = _standard(_exponential, "exponential", "Exponential numbers of mean 1.")
laplace = _standard(_laplace, "laplace", "Laplace numbers of mean 0 and scale 1.")
logistic = _standard(_logistic, "logistic", "Logistic numbers of mean 0 and scale 1.")
cauchy = _standard(_cauchy, "cauchy", "Cauchy numbers of median 0 and scale 1.")


@kernel
def _gumbel(key: Any, shape: Any, dtype: Any, mode: str) -> Any:
    return gumbel_of(words(key), shape, dtype, mode)


def gumbel(key: Any, shape: Any = (), dtype: Any = None, mode: str | None = None, *, out_sharding: Any = None) -> Any:
    """Gumbel numbers; `mode="high"` draws twice, which resolves the tail better.

    >>> gumbel(np.array([0, 7], np.uint32), (4,)).dtype
    dtype('float32')
    """
    check_key("gumbel", key)
    refuse_sharding("gumbel", out_sharding)
    return _gumbel(key, as_shape("gumbel", shape), as_float("gumbel", dtype), as_mode("gumbel", mode))
