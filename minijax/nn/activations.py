"""Activation functions, elementwise (but `glu`); formulas that neither overflow nor lose their gradient at large x.

Each is one kernel when called eagerly; under a trace programs show its ops.
"""

from __future__ import annotations

import math
from typing import Any

import minijax.numpy as jnp
from minijax.custom_rules import custom_jvp
from minijax.errors import MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.numpy import operands
from minijax.ops.elementwise import erfc, logistic
from minijax.ops.promotion import promoted_inexact
from minijax.tracing.array import typeof


def operand(name: str, x: Any) -> Any:
    """An argument as an array; raises `MinijaxTypeError` for lists and what is no array."""
    return operands.operand(f"nn.{name}", x)


def inexact(name: str, x: Any) -> Any:
    """An argument as a floating-point array; integers are converted."""
    return promoted_inexact(f"nn.{name}", operand(name, x))[0]


def identity(x: Any) -> Any:
    """x.

    >>> identity(jnp.array([1.0, 2.0]))
    Array([1., 2.], dtype=float32)
    """
    return operand("identity", x)


# ---- rectifiers

@custom_jvp
def _relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


@_relu.defjvp
def _relu_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _relu(x), jnp.where(x > 0, t, 0)


@custom_jvp
def _relu6(x: Any) -> Any:
    return jnp.minimum(jnp.maximum(x, 0), 6.0)


@_relu6.defjvp
def _relu6_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _relu6(x), jnp.where((x > 0) & (x < 6), t, 0)


@fused
def relu(x: Any) -> Any:
    """max(x, 0), whose derivative at 0 is 0.

    >>> relu(jnp.array([-1.0, 0.0, 2.0]))
    Array([0., 0., 2.], dtype=float32)
    """
    return _relu(operand("relu", x))


@fused
def relu6(x: Any) -> Any:
    """min(max(x, 0), 6), whose derivative at 0 and 6 is 0.

    >>> relu6(jnp.array([-1.0, 3.0, 9.0]))
    Array([0., 3., 6.], dtype=float32)
    """
    return _relu6(operand("relu6", x))


@fused
def leaky_relu(x: Any, negative_slope: Any = 1e-2) -> Any:
    """x, times `negative_slope` where it is negative.

    >>> leaky_relu(jnp.array([-1.0, 2.0]), 0.5)
    Array([-0.5,  2. ], dtype=float32)
    """
    x = operand("leaky_relu", x)
    return jnp.where(x >= 0, x, negative_slope * x)


@fused
def hard_tanh(x: Any) -> Any:
    """x moved into [-1, 1].

    >>> hard_tanh(jnp.array([-3.0, 0.5]))
    Array([-1. ,  0.5], dtype=float32)
    """
    x = operand("hard_tanh", x)
    return jnp.where(x > 1, 1, jnp.where(x < -1, -1, x))


@fused
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6, a sigmoid of straight lines.

    >>> hard_sigmoid(jnp.array([-4.0, 0.0]))
    Array([0. , 0.5], dtype=float32)
    """
    return _relu6(operand("hard_sigmoid", x) + 3.0) / 6.0


@fused
def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x).

    >>> hard_silu(jnp.array([-4.0, 3.0]))
    Array([-0.,  3.], dtype=float32)
    """
    x = operand("hard_silu", x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


# ---- of exponentials

@fused
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)).

    >>> sigmoid(jnp.array([0.0, 100.0]))
    Array([0.5, 1. ], dtype=float32)
    """
    return logistic(inexact("sigmoid", x))


@fused
def softplus(x: Any) -> Any:
    """log(1 + exp(x)).

    >>> softplus(jnp.array([-200.0, 200.0]))
    Array([  0., 200.], dtype=float32)
    """
    return jnp.logaddexp(operand("softplus", x), 0)


@fused
def log_sigmoid(x: Any) -> Any:
    """log(sigmoid(x)).

    >>> log_sigmoid(jnp.array([-200.0, 200.0]))
    Array([-200.,   -0.], dtype=float32)
    """
    return -softplus(-inexact("log_sigmoid", x))


@fused
def silu(x: Any) -> Any:
    """x * sigmoid(x), also called swish.

    >>> silu(jnp.array([0.0, 100.0]))
    Array([  0., 100.], dtype=float32)
    """
    x = operand("silu", x)
    return x * sigmoid(x)


swish = silu


@fused
def mish(x: Any) -> Any:
    """x * tanh(softplus(x)).

    >>> mish(jnp.array([0.0, 50.0]))
    Array([ 0., 50.], dtype=float32)
    """
    x = inexact("mish", x)
    return x * jnp.tanh(softplus(x))


@fused
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """x where positive, else alpha * (exp(x) - 1).

    >>> elu(jnp.array([-100.0, 2.0]))
    Array([-1.,  2.], dtype=float32)
    """
    x = operand("elu", x)
    return jnp.where(x > 0, x, alpha * jnp.expm1(jnp.where(x > 0, 0.0, x)))


@fused
def selu(x: Any) -> Any:
    """elu with the scales that keep mean 0 and variance 1.

    >>> selu(jnp.array([0.0]))
    Array([0.], dtype=float32)
    """
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)


@fused
def celu(x: Any, alpha: Any = 1.0) -> Any:
    """x where positive, else alpha * (exp(x / alpha) - 1).

    >>> celu(jnp.array([-100.0, 2.0]), 0.5)
    Array([-0.5,  2. ], dtype=float32)
    """
    x = operand("celu", x)
    return jnp.maximum(x, 0.0) + alpha * jnp.expm1(jnp.minimum(x, 0.0) / alpha)


def gelu(x: Any, approximate: bool = True) -> Any:
    """x times the probability that a normal number is less; by tanh, or exactly if `approximate` is False.

    >>> gelu(jnp.array([-100.0, 100.0]))
    Array([ -0., 100.], dtype=float32)
    """
    return _gelu_by_tanh(x) if approximate else _gelu(x)


@fused
def _gelu_by_tanh(x: Any) -> Any:
    x = inexact("gelu", x)
    slope = typeof(x).dtype.type(math.sqrt(2 / math.pi))
    return x * (0.5 * (1.0 + jnp.tanh(slope * (x + 0.044715 * x ** 3))))


@fused
def _gelu(x: Any) -> Any:
    x = inexact("gelu", x)
    return 0.5 * x * erfc(-x * typeof(x).dtype.type(math.sqrt(0.5)))


@fused
def log1mexp(x: Any) -> Any:
    """log(1 - exp(-x)) for positive x.

    >>> log1mexp(jnp.array([jnp.inf]))
    Array([-0.], dtype=float32)
    """
    return _log1mexp(inexact("log1mexp", x))


@custom_jvp
def _log1mexp(x: Any) -> Any:
    return jnp.where(x < math.log(2.0), jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))


@_log1mexp.defjvp
def _log1mexp_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return _log1mexp(x), t / jnp.expm1(x)


# ---- of roots and quotients

@fused
def soft_sign(x: Any) -> Any:
    """x / (|x| + 1).

    >>> soft_sign(jnp.array([-1.0, 3.0]))
    Array([-0.5 ,  0.75], dtype=float32)
    """
    x = operand("soft_sign", x)
    return x / (jnp.abs(x) + 1)


@fused
def squareplus(x: Any, b: Any = 4) -> Any:
    """(x + sqrt(x**2 + b)) / 2.

    >>> squareplus(jnp.array([0.0]))
    Array([1.], dtype=float32)
    """
    x = operand("squareplus", x)
    return (x + jnp.sqrt(jnp.square(x) + b)) / 2


@fused
def sparse_plus(x: Any) -> Any:
    """0 up to -1, x from 1 on, and (x + 1)**2 / 4 between.

    >>> sparse_plus(jnp.array([-2.0, 0.0, 2.0]))
    Array([0.  , 0.25, 2.  ], dtype=float32)
    """
    x = operand("sparse_plus", x)
    return jnp.where(x <= -1.0, 0.0, jnp.where(x >= 1.0, x, (x + 1.0) ** 2 / 4))


@fused
def sparse_sigmoid(x: Any) -> Any:
    """(x + 1) / 2 moved into [0, 1], the derivative of sparse_plus.

    >>> sparse_sigmoid(jnp.array([-2.0, 0.0, 2.0]))
    Array([0. , 0.5, 1. ], dtype=float32)
    """
    return 0.5 * jnp.clip(operand("sparse_sigmoid", x) + 1.0, 0.0, 2.0)


# ---- gated

def glu(x: Any, axis: int = -1) -> Any:
    """First half of `x` along an axis, times the sigmoid of the second half.

    Raises `ShapeError` if the axis has no two halves.

    >>> glu(jnp.array([3.0, 0.0]))
    Array([1.5], dtype=float32)
    """
    shape = typeof(operand("glu", x)).shape
    if not -len(shape) <= axis < len(shape):
        raise MinijaxValueError(f"nn.glu: axis={axis} is no axis of an array of shape {shape}.")
    if shape[axis] % 2:
        raise ShapeError(f"nn.glu: axis {axis} of an array of shape {shape} has an odd size, so it has no two halves.")
    return _glu(x, axis)


def _glu_of(x: Any, axis: int) -> Any:
    first, second = jnp.split(jnp.asarray(x), 2, axis)
    return first * sigmoid(second)


_glu = fused(_glu_of, static_argnames=("axis",))
