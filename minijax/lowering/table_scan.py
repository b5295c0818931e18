"""How `scan` becomes `jax.lax.scan`; its program is emitted while JAX traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from minijax.calls.scan import scan_p
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.emit import emit
from minijax.util import split_list


def _scan(*values: Any, jaxpr: Jaxpr, length: int, reverse: bool, unroll: int, num_consts: int, num_carry: int,
          checkpoint: int | None = None) -> tuple[Any, ...]:
    consts, init, xs = split_list(values, num_consts, num_carry)

    def step(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        outs = emit(jaxpr, [*consts, *carry, *x])
        return outs[:num_carry], outs[num_carry:]

    carries, ys = lax.scan(step, init, xs, length, reverse, unroll)
    return (*carries, *ys)


rules: dict[Op, Callable[..., Any]] = {
    scan_p: _scan,
}
