"""How decompositions and solvers become `jax.lax.linalg`: one line an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op

rules: dict[Op, Callable[..., Any]] = {
}
