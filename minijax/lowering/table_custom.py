"""How functions with rules of their own become JAX's own, so that JAX's grad over our programs is right too.

A rule runs on Arrays around the values that JAX traces.  A lowering rule stands for the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from minijax.calls.custom import (custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_linear_p, custom_vjp_p,
                                  custom_vmap_p)
from minijax.calls.linear_solve import linear_solve_p
from minijax.interpreters.dual import instantiate
from minijax.interpreters.evaluate import run_by_python
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.lowering.emit import emit
from minijax.lowering.values import bare
from minijax.tracing.array import Array, typeof


def _arrays(values: Sequence[Any]) -> list[Any]:
    return [Array(x) for x in values]


def _bare(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(map(bare, values))


def _tangents(types: Sequence[Any], tangents: Sequence[Any]) -> list[Any]:
    """JAX's tangents as ours: those of integers are zero."""
    return [Array(t) if type.differentiable else zero for type, t in zip(types, tangents, strict=True)]


def _jax_tangents(values: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, ...]:
    """Our tangents as JAX's, for the values they belong to."""
    return tuple([bare(instantiate(t, x)) if typeof(x).differentiable
                  else jax.numpy.zeros(typeof(x).shape, jax.dtypes.float0)
                  for t, x in zip(tangents, values, strict=True)])


def _custom(*values: Any, call_jaxpr: Jaxpr, num_consts: int, name: str, lowering: Any = None, **rules: Any) -> Any:
    def function(*xs: Any) -> tuple[Any, ...]:
        return tuple(lowering(*xs[num_consts:]) if lowering else emit(call_jaxpr, xs))

    if "jvp" in rules:
        function = _with_jvp(function, num_consts, rules["jvp"])
    elif "fwd" in rules:
        function = _with_vjp(function, num_consts, rules["fwd"], rules["bwd"], call_jaxpr.out_types)
    return function(*values)


def _with_jvp(function: Callable[..., Any], num_consts: int, rule: Any) -> Callable[..., Any]:
    call = jax.custom_jvp(function)

    @call.defjvp
    def jvp(primals: Any, tangents: Any) -> Any:
        args = _arrays(primals[num_consts:])
        outs, found = rule(args, _tangents([typeof(x) for x in args], tangents[num_consts:]))
        return _bare(outs), _jax_tangents(outs, found)

    return call


def _with_vjp(function: Callable[..., Any], num_consts: int, fwd: Any, bwd: Any,
              out_types: Sequence[Any]) -> Callable[..., Any]:
    call = jax.custom_vjp(function)

    def forward(*xs: Any) -> Any:
        args = _arrays(xs[num_consts:])
        outs, residuals = fwd(args, [typeof(x).differentiable for x in args])
        return _bare(outs), (_bare(residuals), xs)

    def backward(saved: Any, cts: Any) -> Any:
        residuals, xs = _arrays(saved[0]), _arrays(saved[1])
        return _jax_tangents(xs, [*[zero] * num_consts, *bwd(residuals, _tangents(out_types, cts))])

    call.defvjp(forward, backward)
    return call


def _linear(*values: Any, **params: Any) -> Any:
    return _bare(custom_vjp_linear_p.eval(*_arrays(values), **params))


def _linear_solve(*values: Any, matvec: Jaxpr, vecmat: Jaxpr | None, solve: Jaxpr, transpose_solve: Jaxpr | None,
                  num_consts: int, has_aux: bool) -> Any:
    consts, b = values[:num_consts], list(values[num_consts:])

    def solver(program: Jaxpr) -> Callable[..., Any]:
        def run(_: Any, b: Any) -> Any:
            outs = emit(program, [*consts, *b])
            return (outs[: len(b)], outs[len(b):]) if has_aux else outs

        return run

    outs = jax.lax.custom_linear_solve(
        lambda x: emit(matvec, [*consts, *x]), b, solver(solve),
        solver(transpose_solve) if transpose_solve is not None else None, has_aux=has_aux)
    return (*outs[0], *outs[1]) if has_aux else tuple(outs)


rules: dict[Op, Callable[..., Any]] = {
    custom_p: _custom,
    custom_jvp_p: _custom,
    custom_vjp_p: _custom,
    custom_vmap_p: _custom,
    custom_transpose_p: _custom,
    custom_vjp_linear_p: _linear,
    linear_solve_p: _linear_solve,
}
evaluators = {op: run_by_python[op] for op in rules if op in run_by_python}  # eager calls run the function itself
