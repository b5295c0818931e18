"""Functions along axes: softmax and its logarithm, logsumexp, standardize; and one_hot.

The largest element is taken out before exp, so that nothing overflows; where it is taken out it
counts as a constant, which leaves the derivatives as they are.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import minijax.numpy as jnp
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.nn.activations import inexact, operand
from minijax.ops.conversion import stop_gradient
from minijax.tracing.array import typeof

over_axis = functools.partial(fused, static_argnames=("axis",))


def as_axis(axis: Any) -> Any:
    """An axis argument that can be a cache key."""
    return tuple(axis) if isinstance(axis, list) else axis


def _masked(x: Any, where: Any, filler: float) -> Any:
    return x if where is None else jnp.where(where, x, filler)


def _shifted_exp(x: Any, axis: Any, where: Any) -> tuple[Any, Any, Any]:
    """x less its largest element, exp of that, and their sum along the axis."""
    largest = jnp.max(x, axis, where=where, initial=_least(x), keepdims=True)
    shifted = _masked(x, where, -jnp.inf) - stop_gradient(largest)
    unnormalized = jnp.exp(shifted)
    return shifted, unnormalized, jnp.sum(unnormalized, axis, where=where, keepdims=True)


def _least(x: Any) -> Any:
    dtype = typeof(x).dtype
    return jnp.iinfo(dtype).min if dtypes.is_integer(dtype) else -jnp.inf


@over_axis
def _softmax(x: Any, axis: Any, where: Any) -> Any:
    _, unnormalized, total = _shifted_exp(operand("softmax", x), axis, where)
    return _masked(unnormalized / total, where, 0.0)


def softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """exp(x) divided by its sum along the axis (an int, several, or None for all).

    Elements where the mask `where` is False count as absent, and give 0.

    >>> softmax(jnp.array([0.0, 0.0, -jnp.inf]))
    Array([0.5, 0.5, 0. ], dtype=float32)
    """
    return _softmax(x, as_axis(axis), where)


@over_axis
def _log_softmax(x: Any, axis: Any, where: Any) -> Any:
    shifted, _, total = _shifted_exp(operand("log_softmax", x), axis, where)
    return _masked(shifted - jnp.log(total), where, -jnp.inf)


def log_softmax(x: Any, axis: Any = -1, where: Any = None) -> Any:
    """log(softmax(x)), exact where softmax is 0 or 1; absent elements give -inf.

    >>> log_softmax(jnp.array([1000.0, 0.0]))
    Array([    0., -1000.], dtype=float32)
    """
    return _log_softmax(x, as_axis(axis), where)


@functools.partial(fused, static_argnames=("axis", "keepdims", "return_sign"))
def _logsumexp(a: Any, axis: Any, b: Any, keepdims: bool, return_sign: bool, where: Any) -> Any:
    a = inexact("logsumexp", a)
    if b is not None:
        a, b = jnp.broadcast_arrays(a, inexact("logsumexp", b))
        dtype = jnp.promote_types(a.dtype, b.dtype)
        a, b = jnp.where(b != 0, a, -jnp.inf).astype(dtype), b.astype(dtype)
    largest = jnp.max(jnp.real(a), axis, where=where, initial=-jnp.inf, keepdims=True)
    largest = stop_gradient(jnp.where(jnp.isfinite(largest), largest, 0))
    terms = jnp.exp(a - largest)
    total = jnp.sum(terms if b is None else terms * b, axis, where=where, keepdims=keepdims)
    shift = largest if keepdims else jnp.squeeze(largest, axis)
    return _logarithm(total, shift, b, return_sign)


def _logarithm(total: Any, shift: Any, b: Any, return_sign: bool) -> Any:
    """log of the sum, or of its size beside its sign; NaN for a negative sum without its sign."""
    if dtypes.is_complex(typeof(total).dtype):
        if return_sign:
            return jnp.log(jnp.abs(total)) + shift, jnp.sign(total)
        return jnp.log(total) + shift
    sign, size = stop_gradient(jnp.sign(total)), jnp.log(jnp.abs(total)) + shift
    if return_sign:
        return size, sign
    return size if b is None else jnp.where(sign < 0, jnp.nan, size)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False,
              where: Any = None) -> Any:
    """log of the sum of b * exp(a) along axes (all by default) without overflow; `b` is 1 by default.

    With `return_sign` it returns (log of the sum's size, the sum's sign).

    >>> logsumexp(jnp.array([1000.0, 1000.0]))
    Array(1000.693..., dtype=float32)
    """
    return _logsumexp(a, as_axis(axis), b, bool(keepdims), bool(return_sign), where)


def logmeanexp(x: Any, axis: Any = None, where: Any = None, keepdims: bool = False) -> Any:
    """log of the mean of exp(x) along axes without overflow.

    >>> logmeanexp(jnp.array([1000.0, 1000.0]))
    Array(1000., dtype=float32)
    """
    x = inexact("logmeanexp", x)
    total = logsumexp(x, axis=axis, where=where, keepdims=keepdims)
    counted = jnp.ones_like(x) if where is None else jnp.broadcast_to(where, typeof(x).shape)
    return total - jnp.log(jnp.sum(counted, as_axis(axis), keepdims=keepdims).astype(typeof(total).dtype))


@over_axis
def _standardize(x: Any, axis: Any, mean: Any, variance: Any, epsilon: Any, where: Any) -> Any:
    x = inexact("standardize", x)
    if mean is None:
        mean = jnp.mean(x, axis, keepdims=True, where=where)
    if variance is None:
        variance = jnp.mean(jnp.square(x), axis, keepdims=True, where=where) - jnp.square(mean)
        variance = jnp.maximum(0, variance)
    return (x - jnp.asarray(mean)) * (1 / jnp.sqrt(jnp.asarray(variance) + epsilon))


def standardize(x: Any, axis: Any = -1, mean: Any = None, variance: Any = None, epsilon: Any = 1e-5,
                where: Any = None) -> Any:
    """x at mean 0 and variance 1 along the axis, or with the mean and variance given.

    >>> standardize(jnp.array([-1.0, 1.0]), epsilon=0.0)
    Array([-1.,  1.], dtype=float32)
    """
    return _standardize(x, as_axis(axis), mean, variance, epsilon, where)


@functools.partial(fused, static_argnames=("num_classes", "dtype", "axis"))
def _one_hot(x: Any, num_classes: int, dtype: Any, axis: int) -> Any:
    x = operand("one_hot", x)
    classes = jnp.arange(num_classes, dtype=typeof(x).dtype)
    others = [i for i in range(typeof(x).ndim + 1) if i != axis]
    return (jnp.expand_dims(x, axis) == jnp.expand_dims(classes, others)).astype(dtype)


def one_hot(x: Any, num_classes: Any, *, dtype: Any = None, axis: int = -1) -> Any:
    """Vectors of zeros with a 1 at position `x`, along a new axis; all zeros where x is no class.

    >>> one_hot(jnp.array([1, -1]), 3)
    Array([[0., 1., 0.],
           [0., 0., 0.]], dtype=float32)
    """
    try:
        count = operator.index(num_classes)
    except TypeError:
        raise MinijaxTypeError(f"nn.one_hot: num_classes is {num_classes!r}, not an int known while tracing.") from None
    ndim = typeof(operand("one_hot", x)).ndim + 1
    if not isinstance(axis, int) or not -ndim <= axis < ndim:
        raise MinijaxValueError(f"nn.one_hot: axis={axis!r} is no axis of the result, which has {ndim} axes.")
    return _one_hot(x, count, dtypes.canonical_dtype(float if dtype is None else dtype), axis % ndim)
