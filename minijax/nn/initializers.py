"""Initializers: functions (key, shape, dtype) -> array, drawn as `jax.nn.initializers` draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minijax.numpy as jnp
from minijax import random
from minijax.errors import MinijaxValueError, ShapeError
from minijax.ir import dtypes

Initializer = Callable[..., Any]
Axes = int | Sequence[int]


def _float(dtype: Any) -> Any:
    return dtypes.canonical_dtype(float if dtype is None else dtype)


def _refuse(out_sharding: Any) -> None:
    if out_sharding is not None:
        raise MinijaxValueError("Initializers take no out_sharding. Leave it None and use device_put.")


def zeros(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Zeros; the key is not used.

    >>> zeros(None, (2,))
    Array([0., 0.], dtype=float32)
    """
    _refuse(out_sharding)
    return jnp.zeros(shape, _float(dtype))


def ones(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
    """Ones; the key is not used.

    >>> ones(None, (2,))
    Array([1., 1.], dtype=float32)
    """
    _refuse(out_sharding)
    return jnp.ones(shape, _float(dtype))


def constant(value: Any, dtype: Any = None) -> Initializer:
    """The initializer that gives `value` everywhere.

    >>> constant(7.0)(None, (2,))
    Array([7., 7.], dtype=float32)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        _refuse(out_sharding)
        return jnp.full(shape, value, _float(default if dtype is None else dtype))

    return init


def _scaled(draw: Callable[..., Any], factor: float, default: Any) -> Initializer:
    """The initializer that gives `factor` times what `draw(key, shape, dtype)` gives."""
    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        _refuse(out_sharding)
        dtype = _float(default if dtype is None else dtype)
        return draw(key, shape, dtype) * jnp.asarray(factor, dtype)

    return init


def uniform(scale: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Uniform numbers in [0, scale).

    >>> uniform(0.1)(random.PRNGKey(0), (2, 3)).shape
    (2, 3)
    """
    return _scaled(random.uniform, scale, dtype)


def normal(stddev: Any = 1e-2, dtype: Any = None) -> Initializer:
    """Normal numbers of mean 0 and this standard deviation.

    >>> normal(0.1)(random.PRNGKey(0), (2, 3)).shape
    (2, 3)
    """
    return _scaled(random.normal, stddev, dtype)


def truncated_normal(stddev: Any = 1e-2, dtype: Any = None, lower: Any = -2.0, upper: Any = 2.0) -> Initializer:
    """Normal numbers between `lower` and `upper`, times `stddev`.

    >>> truncated_normal(0.1)(random.PRNGKey(0), (2, 3)).shape
    (2, 3)
    """
    def draw(key: Any, shape: Any, dtype: Any) -> Any:
        return random.truncated_normal(key, lower, upper, shape, dtype)

    return _scaled(draw, stddev, dtype)


# ---- variance scaling

def _product(shape: Sequence[int], axes: Axes) -> int:
    return math.prod(shape[axis] for axis in ((axes,) if isinstance(axes, int) else axes))


def fans(shape: Sequence[int], in_axis: Axes, out_axis: Axes, batch_axis: Axes) -> tuple[float, float]:
    """How many inputs and outputs each unit of a weight of this shape has; other axes are a window."""
    if len(shape) < 2:
        raise ShapeError(f"Variance scaling needs a shape with an input and an output axis, got shape={tuple(shape)}. "
                         "Use normal or uniform for vectors.")
    inputs, outputs = _product(shape, in_axis), _product(shape, out_axis)
    window = math.prod(shape) / inputs / outputs / _product(shape, batch_axis)
    return inputs * window, outputs * window


_MODES = ("fan_in", "fan_out", "fan_avg", "fan_geo_avg")
_DISTRIBUTIONS = ("normal", "truncated_normal", "uniform")


def _denominator(mode: str, fan_in: float, fan_out: float) -> float:
    return {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2,
            "fan_geo_avg": math.sqrt(fan_in * fan_out)}[mode]


def _draw(key: Any, shape: Any, dtype: Any, variance: Any, distribution: str) -> Any:
    """Numbers of a distribution that have this variance."""
    if distribution == "normal":
        return random.normal(key, shape, dtype) * jnp.sqrt(variance)
    if distribution == "uniform":
        return random.uniform(key, shape, dtype, -1) * jnp.sqrt(3 * variance)
    deviation = jnp.asarray(0.87962566103423978, dtype)  # of a normal number cut at -2 and 2
    return random.truncated_normal(key, -2, 2, shape, dtype) * (jnp.sqrt(variance) / deviation)


def variance_scaling(scale: Any, mode: str, distribution: str, in_axis: Axes = -2, out_axis: Axes = -1,
                     batch_axis: Axes = (), dtype: Any = None) -> Initializer:
    """Numbers of variance scale / n, where n is the number of inputs, of outputs, or their mean, as `mode` says.

    `mode` is 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo_avg'; `distribution` 'normal', 'truncated_normal' or
    'uniform'.  Raises `MinijaxValueError` for others, and `ShapeError` when called with fewer than two axes.

    >>> variance_scaling(2.0, "fan_in", "normal")(random.PRNGKey(0), (4, 3)).shape
    (4, 3)
    """
    for value, known in ((mode, _MODES), (distribution, _DISTRIBUTIONS)):
        if value not in known:
            raise MinijaxValueError(f"variance_scaling: {value!r} is not one of {', '.join(map(repr, known))}.")
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        _refuse(out_sharding)
        dtype = _float(default if dtype is None else dtype)
        if dtypes.is_complex(dtype) and distribution != "normal":
            raise MinijaxValueError(f"variance_scaling: complex numbers are drawn from 'normal', not {distribution!r}.")
        n = _denominator(mode, *fans(shape, in_axis, out_axis, batch_axis))
        return _draw(key, shape, dtype, jnp.asarray(np.divide(scale, n), dtype), distribution)

    return init


def _scaling(name: str, scale: float, mode: str, distribution: str, doc: str) -> Callable[..., Initializer]:
    def make(in_axis: Axes = -2, out_axis: Axes = -1, batch_axis: Axes = (), dtype: Any = None) -> Initializer:
        return variance_scaling(scale, mode, distribution, in_axis, out_axis, batch_axis, dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = doc
    return make


glorot_uniform = _scaling("glorot_uniform", 1.0, "fan_avg", "uniform", "Uniform, of variance 2 / (inputs + outputs).")
glorot_normal = _scaling("glorot_normal", 1.0, "fan_avg", "truncated_normal",
                         "Normal, of variance 2 / (inputs + outputs).")
lecun_uniform = _scaling("lecun_uniform", 1.0, "fan_in", "uniform", "Uniform, of variance 1 / inputs.")
lecun_normal = _scaling("lecun_normal", 1.0, "fan_in", "truncated_normal", "Normal, of variance 1 / inputs.")
he_uniform = _scaling("he_uniform", 2.0, "fan_in", "uniform", "Uniform, of variance 2 / inputs.")
he_normal = _scaling("he_normal", 2.0, "fan_in", "truncated_normal", "Normal, of variance 2 / inputs.")
xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal = glorot_uniform, glorot_normal, he_uniform, he_normal


# ---- orthogonal matrices

def orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Orthogonal matrices, uniform among all, times `scale`: `column_axis` and the product of the other axes.

    Whichever of the two is smaller is orthonormal.  Raises `ShapeError` when called with fewer than two axes.

    >>> orthogonal()(random.PRNGKey(0), (4, 3)).shape
    (4, 3)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        _refuse(out_sharding)
        if len(shape) < 2:
            raise ShapeError(f"orthogonal needs a shape of two axes at least, got {tuple(shape)}. "
                             "Use normal or uniform for vectors.")
        dtype = _float(default if dtype is None else dtype)
        if 0 in shape:
            return jnp.zeros(shape, dtype)
        columns = shape[column_axis]
        q = random.orthogonal(key, math.prod(shape) // columns, (), dtype, columns)
        others = np.delete(shape, column_axis).tolist()
        return jnp.asarray(scale, dtype) * jnp.moveaxis(q.reshape(*others, columns), -1, column_axis)

    return init


def delta_orthogonal(scale: Any = 1.0, column_axis: int = -1, dtype: Any = None) -> Initializer:
    """Kernels of convolutions with one, two or three window axes: an orthogonal matrix at the centre, zeros around.

    Raises `ShapeError` for other ranks, and for more inputs than outputs.

    >>> delta_orthogonal()(random.PRNGKey(0), (3, 2, 4)).shape
    (3, 2, 4)
    """
    default = dtype

    def init(key: Any, shape: Any, dtype: Any = None, out_sharding: Any = None) -> Any:
        _refuse(out_sharding)
        if len(shape) not in (3, 4, 5) or shape[-1] < shape[-2]:
            raise ShapeError(f"delta_orthogonal needs three to five axes, the last ones for inputs and at least as "
                             f"many outputs, got {tuple(shape)}.")
        dtype = _float(default if dtype is None else dtype)
        centre = tuple((n - 1) // 2 for n in shape[:-2])
        return jnp.zeros(shape, dtype).at[centre].set(orthogonal(scale, column_axis, dtype)(key, shape[-2:]))

    return init
