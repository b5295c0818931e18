"""Lowering of custom rules to JAX's own, so that JAX's grad over our programs is right too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from minijax.calls.custom import custom_jvp_p, custom_vjp_linear_p, custom_vjp_p
from minijax.interpreters.evaluate import run_by_python
from minijax.ir.types import zero
from minijax.lowering.eager import program_evaluators
from minijax.lowering.emit import emit
from minijax.lowering.table import lower
from minijax.lowering.values import bare
from minijax.tracing.array import Array


def _bare_list(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(bare, values))


def _cotangents(cts: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(jax.numpy.zeros_like(x) if ct is zero else bare(ct) for ct, x in zip(cts, values, strict=True))


def _lower_custom_jvp(*values: Any, function: Any, captured: int, rule: Any) -> Any:
    call = jax.custom_jvp(lambda *xs: tuple(emit(function, xs)))

    @call.defjvp
    def jvp(primals: Any, tangents: Any) -> Any:
        outs, out_tangents = rule(list(map(Array, primals[captured:])), list(map(Array, tangents[captured:])))
        return _bare_list(outs), _cotangents(out_tangents, _bare_list(outs))

    return call(*values)


def _lower_custom_vjp(*values: Any, function: Any, captured: int, fwd: Any, bwd: Any) -> Any:
    call = jax.custom_vjp(lambda *xs: tuple(emit(function, xs)))

    def forward(*xs: Any) -> Any:
        outs, residuals = fwd(*map(Array, xs[captured:]))
        return _bare_list(outs), (_bare_list(residuals), xs)

    def backward(saved: Any, cts: Any) -> Any:
        residuals, xs = saved
        found = bwd(list(map(Array, residuals)), list(map(Array, cts)))
        return (*map(jax.numpy.zeros_like, xs[:captured]), *_cotangents(found, xs[captured:]))

    call.defvjp(forward, backward)
    return call(*values)


def install() -> None:
    """Enter the rules; eager calls run the function itself."""
    lower(custom_jvp_p, _lower_custom_jvp)
    lower(custom_vjp_p, _lower_custom_vjp)
    lower(custom_vjp_linear_p, lambda *values, **params: custom_vjp_linear_p.eval(*values))
    program_evaluators.update(run_by_python)
