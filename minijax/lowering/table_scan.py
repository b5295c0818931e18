"""How `scan` becomes `jax.lax.scan`; its program is emitted while JAX traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op

rules: dict[Op, Callable[..., Any]] = {
}
