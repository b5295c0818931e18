"""How convolutions, windows and ragged products become `jax.lax`: one line an op."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op

rules: dict[Op, Callable[..., Any]] = {
}
