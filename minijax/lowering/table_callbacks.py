"""How calls back to Python become JAX's callbacks: one line an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op

rules: dict[Op, Callable[..., Any]] = {
}
