"""JAX's custom derivatives, kept: the JAX rule is traced where minijax first needs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from minijax import lax
from minijax.custom_batching import custom_vmap
from minijax.custom_rules import custom_jvp, custom_vjp, linear_call
from minijax.interop.equations import rules, run, traced, within_axes
from minijax.interop.programs import function
from minijax.tracing.array import typeof
from minijax.util import split_list


def _is_smooth(x: Any) -> bool:
    return typeof(x).differentiable


def _custom_jvp(*values: Any, call_jaxpr: Any, jvp_jaxpr_fun: Any, num_consts: int, **_: Any) -> Any:
    consts, args = split_list(values, num_consts)
    fixed = [lax.stop_gradient(c) for c in consts]
    body = function(call_jaxpr)
    call = custom_jvp(lambda *xs: body(*fixed, *xs))

    @call.defjvp
    def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        zeros = [not _is_smooth(x) for x in primals]
        given = [t for t, is_zero in zip(tangents, zeros, strict=True) if not is_zero]
        program, captured, out_zeros = within_axes(lambda: jvp_jaxpr_fun.call_wrapped(*zeros))
        outs, found = split_list(run(program, (*primals, *given), captured), len(out_zeros))
        smooth = iter(found)
        return tuple(outs), tuple([_tangent(x, None if is_zero else next(smooth))
                                   for x, is_zero in zip(outs, out_zeros, strict=True)])

    return call(*args)


def _tangent(x: Any, tangent: Any) -> Any:
    """The tangent of a result, where JAX has none: zeros; derivatives of integers are not looked at."""
    return lax.full_like(x, 0) if tangent is None else tangent


def _custom_vjp(*values: Any, call_jaxpr: Any, fwd_jaxpr_thunk: Any, bwd: Any, out_trees: Any, num_consts: int = 0,
                **_: Any) -> Any:
    consts, args = split_list(values, num_consts)
    fixed = [lax.stop_gradient(c) for c in consts]
    body = function(call_jaxpr)
    call = custom_vjp(lambda *xs: body(*fixed, *xs))

    def forward(*xs: Any) -> Any:
        program, captured = within_axes(lambda: fwd_jaxpr_thunk.call_wrapped(*[True] * len(xs)))
        found = run(program, xs, captured)
        _out_tree, residual_tree, forwarded = out_trees()
        count = residual_tree.num_leaves - sum(i is not None for i in forwarded)
        own, outs = iter(found[:count]), found[count:]
        residuals = [next(own) if i is None else (*fixed, *xs)[i] for i in forwarded]
        return tuple(outs), (tuple(residuals), tuple(xs))

    def backward(saved: Any, cts: Any) -> Any:
        residuals, xs = saved
        return pull_back(bwd, residuals, cts, xs)

    call.defvjp(forward, backward)
    return call(*args)


def _custom_vmap(*values: Any, call: Any, rule: Any, in_tree: Any, out_tree: Any) -> Any:
    """JAX's rule is traced at the types of the batch: its flags of what is batched are known by then."""
    body = custom_vmap(lambda *xs: function(call)(*xs))

    @body.def_vmap
    def batched(size: int, in_batched: Sequence[bool], *xs: Any) -> Any:
        flags: list[bool] = []

        def flat(*xs: Any) -> list[Any]:
            outs, out_batched = rule(size, in_tree.unflatten(in_batched), *in_tree.unflatten(xs))
            flags[:] = jax.tree.leaves(out_batched)
            return jax.tree.leaves(outs)

        program = traced(flat, *xs)
        return tuple(run(program, xs)), tuple(flags)

    return body(*values)


def _linear_call(*values: Any, callee: Any, transpose_thunk: Any, num_callee_consts: int, num_res: int) -> Any:
    consts, residuals, linear = split_list(values, num_callee_consts, num_res)

    def transposed(held: Any, cts: Any) -> Any:
        program, captured = within_axes(transpose_thunk)
        return tuple(run(program, (*captured, *held[1], *cts)))

    return linear_call(lambda held, xs: tuple(run(callee, (*held[0], *held[1], *xs))), transposed,
                       (tuple(consts), tuple(residuals)), tuple(linear))


def pull_back(bwd: Any, residuals: Sequence[Any], cts: Sequence[Any], primals: Sequence[Any]) -> tuple[Any, ...]:
    """The cotangents of the arguments by JAX's rule, which is traced at the types at hand; None for zero."""
    wanted: list[bool] = []
    given = [*residuals, *[ct for ct in cts if _is_smooth(ct)]]

    def flat(*xs: Any) -> list[Any]:
        smooth = iter(xs[len(residuals):])
        full = [next(smooth) if _is_smooth(ct) else np.zeros(typeof(ct).shape, jax.dtypes.float0) for ct in cts]
        found = getattr(bwd, "call_wrapped", bwd)(*xs[:len(residuals)], *full)
        found = found[0] if isinstance(found[0], list) else found  # JAX 0.12 returns logs beside them
        wanted[:] = [isinstance(ct, (jax.Array, np.ndarray, float)) and _is_float(ct) for ct in found]
        return [ct for ct, keep in zip(found, wanted, strict=True) if keep]

    outs = iter(run(traced(flat, *given), given))
    return tuple([next(outs) if keep else None for keep in wanted])


def _is_float(ct: Any) -> bool:
    return jax.numpy.issubdtype(jax.numpy.result_type(ct), jax.numpy.inexact)


rules.update({"custom_jvp_call": _custom_jvp, "custom_vjp_call": _custom_vjp, "custom_vmap_call": _custom_vmap,
              "linear_call": _linear_call})
