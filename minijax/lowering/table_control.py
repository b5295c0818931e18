"""How `cond` and `while` become `jax.lax`; their programs are emitted while JAX traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op

rules: dict[Op, Callable[..., Any]] = {
}
