"""How parameters begin: callables (shape, dtype) -> array that draw their own random key.

    constant       Constant, Identity
    random         RandomNormal, RandomUniform, TruncatedNormal
    by the fan     VarianceScaling (Glorot, LeCun, He), UniformScaling
    matrices       Orthogonal

As `haiku.initializers`, number for number.  The random ones ask `next_rng_key` and so run inside a
transformed function, as `get_parameter` calls them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import minijax.numpy as jnp
from minijax import random
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.keys import next_rng_key
from minijax.lax import convert_element_type
from minijax.tracing.source import at_line

Initializer = Callable[[Sequence[int], Any], Any]

_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("truncated_normal", "normal", "uniform")
_CUT_DEVIATION = 0.87962566103423978  # of a normal number cut at -2 and 2


# ---- constant

@dataclass(eq=False)
class Constant:
    """One number everywhere, or an array that broadcasts to the shape.

    >>> Constant(2)((2,), float)
    Array([2., 2.], dtype=float32)
    """

    constant: Any

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """The constant, of this shape and dtype."""
        return jnp.broadcast_to(jnp.asarray(self.constant), tuple(shape)).astype(dtype)


@dataclass(eq=False)
class Identity:
    """`gain` times the identity matrix, in the last two axes of the shape.

    >>> Identity(2)((2, 3), float)
    Array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    gain: Any = 1.0

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Matrices of this shape; raises `MinijaxValueError` for fewer than two axes."""
        _check_matrix("Identity", shape)
        eye = jnp.broadcast_to(jnp.eye(shape[-2], shape[-1], dtype=dtype), tuple(shape))
        return convert_element_type(self.gain, dtype) * eye


# ---- random

@dataclass(eq=False)
class RandomNormal:
    """Normal numbers.

    >>> from minijax import haiku as hk
    >>> model = hk.transform(lambda: hk.get_parameter("w", (2, 3), init=RandomNormal(0.1)))
    >>> model.init(random.PRNGKey(0))["~"]["w"].shape
    (2, 3)
    """

    stddev: Any = 1.0
    mean: Any = 0.0

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and (real or complex) floating-point dtype."""
        mean, stddev = convert_element_type(self.mean, dtype), convert_element_type(self.stddev, dtype)
        return mean + stddev * random.normal(next_rng_key(), tuple(shape), dtype)


@dataclass(eq=False)
class TruncatedNormal:
    """Normal numbers between `lower` and `upper` standard deviations from the mean.

    Of a complex dtype, the real and the imaginary part are cut each.
    """

    stddev: Any = 1.0
    mean: Any = 0.0
    lower: Any = -2.0
    upper: Any = 2.0

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and dtype; raises `MinijaxTypeError` unless it is real or complex floating-point."""
        real = _real_dtype("TruncatedNormal", dtype)
        parts = jnp.issubdtype(dtype, jnp.complexfloating)
        draws = random.truncated_normal(next_rng_key(), self.lower, self.upper, (2,) * parts + tuple(shape), real)
        if parts:
            draws = draws[0] + 1j * draws[1]
        return convert_element_type(self.stddev, real) * draws + convert_element_type(self.mean, dtype)


@dataclass(eq=False)
class RandomUniform:
    """Uniform numbers in [minval, maxval)."""

    minval: Any = 0.0
    maxval: Any = 1.0

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and real floating-point dtype."""
        return random.uniform(next_rng_key(), tuple(shape), dtype, self.minval, self.maxval)


# ---- by the number of inputs and outputs of a unit

@dataclass(eq=False, init=False)
class VarianceScaling:
    """Numbers of mean 0 and variance scale / n: what goes through a layer keeps its size.

    Args: `mode` says what n is: "fan_in" (the number of inputs of a unit), "fan_out" (of outputs) or "fan_avg" (their
    mean); `distribution` is "truncated_normal", "normal" or "uniform"; `fan_in_axes` are the axes whose product is
    the number of inputs, for shapes of three axes or more: without them, the last axis holds the units.
    Raises `MinijaxValueError` for others.  Source: Glorot and Bengio, AISTATS 2010; He et al., ICCV 2015.

        Glorot  VarianceScaling(1.0, "fan_avg", ...)
        LeCun   VarianceScaling(1.0, "fan_in", ...)
        He      VarianceScaling(2.0, "fan_in", ...)
    """

    scale: Any
    mode: str
    distribution: str
    fan_in_axes: Sequence[int] | None

    def __init__(self, scale: Any = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
                 fan_in_axes: Sequence[int] | None = None):
        self.scale = scale
        self.mode = mode
        self.distribution = str(distribution).lower()
        self.fan_in_axes = fan_in_axes
        if scale < 0:
            raise MinijaxValueError(f"VarianceScaling: scale is {scale}{at_line()}. A variance is not negative.")
        for name, value, known in (("mode", mode, _MODES), ("distribution", self.distribution, _DISTRIBUTIONS)):
            if value not in known:
                raise MinijaxValueError(f"VarianceScaling: {name} is {value!r}{at_line()}. "
                                        f"Choose one of {', '.join(map(repr, known))}.")

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and floating-point dtype."""
        fan_in, fan_out = fans(shape, self.fan_in_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1, n)
        if self.distribution == "normal":
            return RandomNormal(np.sqrt(variance))(shape, dtype)
        if self.distribution == "uniform":
            limit = np.sqrt(3 * variance)
            return RandomUniform(-limit, limit)(shape, dtype)
        cut = float(np.asarray(_CUT_DEVIATION, _real_dtype("VarianceScaling", dtype)))
        return TruncatedNormal(np.sqrt(variance) / cut)(shape, dtype)


def fans(shape: Sequence[int], fan_in_axes: Sequence[int] | None = None) -> tuple[int, int]:
    """How many inputs and outputs a unit of a weight has; axes before the last two are a window.

    >>> fans((3, 3, 4, 8)), fans((2, 5, 7), fan_in_axes=(0, 1))
    ((36, 72), (10, 7))
    """
    if len(shape) > 2 and fan_in_axes is not None:
        inside = {axis % len(shape) for axis in fan_in_axes}
        sizes = [(axis in inside, size) for axis, size in enumerate(shape)]
        return math.prod(size for is_in, size in sizes if is_in), math.prod(size for is_in, size in sizes if not is_in)
    if len(shape) < 2:
        return (math.prod(shape),) * 2
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@dataclass(eq=False)
class UniformScaling:
    """Uniform numbers of mean 0 and standard deviation scale / sqrt(n), for n inputs: all axes but the last."""

    scale: Any = 1.0

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and real floating-point dtype."""
        limit = np.sqrt(3 / max(1, math.prod(shape[:-1]))) * self.scale
        return RandomUniform(-limit, limit)(shape, dtype)


# ---- matrices

@dataclass(eq=False)
class Orthogonal:
    """`scale` times an orthogonal matrix, uniform among all: of `axis` and the product of the other axes.

    The smaller of the two has orthonormal vectors.  Source: Saxe, McClelland, Ganguli, arXiv:1312.6120.
    """

    scale: Any = 1.0
    axis: int = -1

    def __call__(self, shape: Sequence[int], dtype: Any) -> Any:
        """Numbers of this shape and dtype; raises `MinijaxValueError` for fewer than two axes."""
        _check_matrix("Orthogonal", shape)
        others = list(shape)
        rows = others.pop(self.axis)
        matrix = random.orthogonal(next_rng_key(), rows, (), dtype, math.prod(others))
        matrix = jnp.moveaxis(matrix.reshape(rows, *others), 0, self.axis)
        return convert_element_type(self.scale, dtype) * matrix


# ---- checks

def _check_matrix(name: str, shape: Sequence[int]) -> None:
    if len(shape) < 2:
        raise MinijaxValueError(f"{name} makes matrices, got shape {tuple(shape)}{at_line()}. "
                                "Give two axes at least, or begin with Constant or RandomNormal.")


def _real_dtype(name: str, dtype: Any) -> Any:
    """The dtype of a number's real part."""
    if not jnp.issubdtype(dtype, jnp.inexact):
        raise MinijaxTypeError(f"{name} draws floating-point numbers, got dtype {np.dtype(dtype).name}{at_line()}. "
                               "Give the layer inputs of such a dtype, .astype(float), or begin with Constant.")
    return jnp.finfo(dtype).dtype
