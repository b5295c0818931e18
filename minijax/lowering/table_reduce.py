"""How reductions by a function of scalars become `jax.lax`; the program is emitted while JAX traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jax import lax

from minijax.calls.reduce import reduce_p, reduce_window_p
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.emit import emit


def _reducer(function: Callable[..., Any], *order: str) -> Callable[..., Any]:
    def rule(*values: Any, jaxpr: Jaxpr, **params: Any) -> tuple[Any, ...]:
        count = len(values) // 2
        return tuple(function(list(values[:count]), list(values[count:]), lambda x, y: emit(jaxpr, [*x, *y]),
                              *[params[name] for name in order]))

    return rule


rules: dict[Op, Callable[..., Any]] = {
    reduce_p: _reducer(lax.reduce, "dimensions"),
    reduce_window_p: _reducer(lax.reduce_window, "window_dimensions", "window_strides", "padding", "base_dilation",
                              "window_dilation"),
}
