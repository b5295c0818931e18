"""Rows of eager work: single operations, an index, gradients taken op by op."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.rows import race
from benchmarks.timing import Work

VECTOR = np.linspace(0.1, 1.0, 8, dtype=np.float32)


@race("eager sin", limit=1.5)
def eager_sin(lib: Any) -> Work:
    """One elementwise function."""
    x, sin = lib.numpy.asarray(VECTOR), lib.numpy.sin
    return lambda: sin(x)


@race("eager add", limit=1.2)
def eager_add(lib: Any) -> Work:
    """One operator."""
    x = lib.numpy.asarray(VECTOR)
    return lambda: x + x


@race("eager sum", limit=1.2)
def eager_sum(lib: Any) -> Work:
    """One reduction."""
    x, total = lib.numpy.asarray(VECTOR), lib.numpy.sum
    return lambda: total(x)


@race("eager x[0]", limit=0.3)
def eager_index(lib: Any) -> Work:
    """One static index."""
    x = lib.numpy.asarray(VECTOR)
    return lambda: x[0]


def sine_loss(np: Any) -> Callable[[Any], Any]:
    """sum(sin(x) * x) in a NumPy namespace."""
    return lambda x: np.sum(np.sin(x) * x)


def autograd_gradient() -> Work:
    """The same in Autograd."""
    g = importlib.import_module("autograd").grad(sine_loss(importlib.import_module("autograd.numpy")))
    return lambda: g(VECTOR)


def torch_gradient() -> Work:
    """The same in PyTorch."""
    torch = importlib.import_module("torch")
    x = torch.tensor(VECTOR, requires_grad=True)
    return lambda: torch.autograd.grad(torch.sum(torch.sin(x) * x), x)[0]


@race("eager grad(sum(sin(x)*x))", limit=0.12, others={"autograd": autograd_gradient, "torch": torch_gradient})
def eager_grad(lib: Any) -> Work:
    """A gradient, nothing of it compiled as a whole; a new `grad` each time."""
    x, f = lib.numpy.asarray(VECTOR), sine_loss(lib.numpy)
    return lambda: lib.grad(f)(x)


def cubic(x: Any) -> Any:
    """x^3 + 2x."""
    return x ** 3 + 2 * x


def autograd_third() -> Work:
    """The same in Autograd."""
    grad = importlib.import_module("autograd").grad
    return lambda: grad(grad(grad(cubic)))(2.0)


def torch_third() -> Work:
    """The same in PyTorch."""
    torch = importlib.import_module("torch")

    def third() -> Any:
        x = torch.tensor(2.0, requires_grad=True)
        y = cubic(x)
        for _ in range(3):
            y, = torch.autograd.grad(y, x, create_graph=True)
        return y

    return third


@race("eager grad(grad(grad(x**3+2x)))", limit=0.1, others={"autograd": autograd_third, "torch": torch_third})
def eager_third(lib: Any) -> Work:
    """A third derivative at a Python float."""
    return lambda: lib.grad(lib.grad(lib.grad(cubic)))(2.0)
