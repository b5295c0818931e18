"""Ops with rules of their own: what `custom_jvp` and `custom_vjp` bind.

The op holds its function as Python (so that control flow on concrete values works under
`grad`), or as a program when equations are being recorded; `bind_custom` decides.  The
user's rule is a function of flat values, run by whichever interpreter needs it:

    rule(primals, tangents) -> (outs, out_tangents)
    fwd(*primals) -> (outs, residuals)         bwd(residuals, cotangents) -> cotangents or zero
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.jit import program_cost
from minijax.errors import MinijaxTypeError
from minijax.interpreters.batch import batch_flat, place_axis
from minijax.interpreters.dual import instantiate
from minijax.interpreters.evaluate import run_by_python, run_numpy, run_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Linear, Op
from minijax.ir.types import zero
from minijax.ops.families import moveaxis, reduce_sum
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.util import merge_lists, partition_list

Flat = Callable[..., Any]


def run(function: Flat | Jaxpr, args: Sequence[Any]) -> Sequence[Any]:
    """Call a function of flat values that may be a program."""
    return run_program(function, *args) if isinstance(function, Jaxpr) else function(*args)


def bind_custom(op: Op, function: Flat, args: Sequence[Any], **rules: Any) -> tuple[Any, ...]:
    """Bind `op` to a flat function and its rules; values that a recorded function captures become inputs."""
    if not context.trace.records:
        return op.bind(*args, function=function, captured=0, **rules)
    closed, captured = lift_constants(stage(function, [typeof(x) for x in args]))
    return op.bind(*captured, *args, function=closed, captured=len(captured), **rules)


def batched(function: Flat, size: int, axes: Sequence[int | None]) -> Flat:
    """A flat function on batches; every result gets its batch axis in front."""
    def call(*args: Any) -> list[Any]:
        outs, out_axes = batch_flat(function, size, args, axes)
        return [place_axis(x, size, axis, 0) for x, axis in zip(outs, out_axes, strict=True)]

    return call


def own_tangents(op: str, tangents: Sequence[Any], captured: int) -> Sequence[Any]:
    """Tangents of the arguments; one of a captured value would be lost, so it is an error."""
    if any(t is not zero for t in tangents[:captured]):
        raise MinijaxTypeError(f"A {op} function captures a value that is being differentiated, and its rule would "
                               "ignore that. Pass the value as an argument.")
    return tangents[captured:]


def _type(*types: Any, function: Jaxpr, **params: Any) -> Any:
    return function.out_types


def _eval(*arrays: Any, function: Any, **params: Any) -> Any:
    return run_numpy(function, arrays)


def _cost(*types: Any, function: Jaxpr, **params: Any) -> int:
    return program_cost(*types, jaxpr=function)


# ---- custom_jvp ----

def _custom_jvp_jvp(primals: Sequence[Any], tangents: Sequence[Any], *, function: Any, captured: int,
                    rule: Flat) -> Any:
    own = own_tangents("custom_jvp", tangents, captured)
    args = primals[captured:]
    return rule(args, [instantiate(t, x) for x, t in zip(args, own, strict=True)])


def _custom_jvp_batch(size: int, args: Any, axes: Any, *, function: Any, captured: int, rule: Flat) -> Any:
    own_axes = axes[captured:]

    def batched_rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        def joined(*flat: Any) -> list[Any]:
            outs, ts = rule(flat[: len(own_axes)], flat[len(own_axes):])
            return [*outs, *map(instantiate, ts, outs)]

        both = batched(joined, size, (*own_axes, *own_axes))(*primals, *tangents)
        return both[: len(both) // 2], both[len(both) // 2:]

    moved = batched(lambda *xs: run(function, xs), size, axes)
    consts = args[:captured]
    outs = bind_custom(custom_jvp_p, lambda *xs: moved(*consts, *xs), args[captured:], rule=batched_rule)
    return outs, (0,) * len(outs)


custom_jvp_p = Op("custom_jvp_call", type=_type, eval=_eval, jvp=_custom_jvp_jvp, batch=_custom_jvp_batch, cost=_cost,
                  undeclared=("transpose",), traits={"custom"})


# ---- custom_vjp ----

def _custom_vjp_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    raise MinijaxTypeError("jvp of a custom_vjp function: it has a reverse rule only. "
                           "Use grad or vjp, or give the function a rule with custom_jvp.")


def _custom_vjp_linearize(primals: Sequence[Any], tangents: Sequence[Any], *, function: Any, captured: int,
                          fwd: Flat, bwd: Flat) -> Any:
    own = own_tangents("custom_vjp", tangents, captured)
    outs, residuals = fwd(*primals[captured:])
    present = tuple([t is not zero for t in own])
    out_tangents = custom_vjp_linear_p.bind(
        *residuals, *[t for t in own if t is not zero], bwd=bwd, present=present, residuals=len(residuals),
        out_types=tuple([typeof(x) for x in outs]))
    return outs, out_tangents


def _custom_vjp_batch(size: int, args: Any, axes: Any, *, function: Any, captured: int, fwd: Flat, bwd: Flat) -> Any:
    own_axes = axes[captured:]
    counts: list[int] = []

    def batched_fwd(*primals: Any) -> Any:
        def joined(*xs: Any) -> list[Any]:
            outs, residuals = fwd(*xs)
            counts[:] = [len(outs)]
            return [*outs, *residuals]

        flat = batched(joined, size, own_axes)(*primals)
        return flat[: counts[0]], flat[counts[0]:]

    moved = batched(lambda *xs: run(function, xs), size, axes)
    consts = args[:captured]
    outs = bind_custom(custom_vjp_p, lambda *xs: moved(*consts, *xs), args[captured:], fwd=batched_fwd,
                       bwd=batched_bwd(bwd, size, own_axes))
    return outs, (0,) * len(outs)


def batched_bwd(bwd: Flat, size: int, axes: Sequence[int | None]) -> Flat:
    """A reverse rule on batches; the cotangent of an argument without batch axis is summed over the batch."""
    def call(residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        count, missing = len(residuals), []

        def joined(*flat: Any) -> list[Any]:
            found = bwd(flat[:count], flat[count:])
            missing[:] = [ct is zero for ct in found]
            return [ct for ct in found if ct is not zero]

        placed = batched(joined, size, [0] * (count + len(cts)))(*residuals, *cts)
        full = merge_lists([not m for m in missing], [zero] * sum(missing), placed)
        return [ct if ct is zero else reduce_sum(ct, (0,)) if axis is None else moveaxis(ct, 0, axis)
                for ct, axis in zip(full, axes, strict=True)]

    return call


custom_vjp_p = Op("custom_vjp_call", type=_type, eval=_eval, jvp=_custom_vjp_jvp, linearize=_custom_vjp_linearize,
                  batch=_custom_vjp_batch, cost=_cost, undeclared=("transpose",), traits={"custom"})


run_by_python[custom_jvp_p] = run_by_python[custom_vjp_p] = lambda args, params: tuple(run(params["function"], args))


# ---- the linear half of custom_vjp: it exists to be transposed ----

def _linear_type(*types: Any, out_types: Any, **params: Any) -> Any:
    return out_types


def _linear_transpose(cts: Sequence[Any], *args: Any, bwd: Flat, present: tuple[bool, ...], residuals: int,
                      out_types: Any) -> list[Any]:
    full = [zeros_of(t) if ct is zero else ct for ct, t in zip(cts, out_types, strict=True)]
    _, wanted = partition_list(present, bwd(args[:residuals], full))
    linear = [ct if isinstance(x, Linear) else None for ct, x in zip(wanted, args[residuals:], strict=True)]
    return [None] * residuals + linear


def _linear_batch(size: int, args: Any, axes: Any, *, bwd: Flat, present: Any, residuals: int, out_types: Any) -> Any:
    res = [place_axis(x, size, axis, 0) for x, axis in zip(args[:residuals], axes[:residuals], strict=True)]
    given = iter(axes[residuals:])
    own_axes = [next(given) if p else None for p in present]
    types = tuple(t.update(shape=(size, *t.shape)) for t in out_types)
    outs = custom_vjp_linear_p.bind(*res, *args[residuals:], bwd=batched_bwd(bwd, size, own_axes), present=present,
                                    residuals=residuals, out_types=types)
    return outs, (0,) * len(outs)


def _linear_eval(*arrays: Any, **params: Any) -> Any:
    return _custom_vjp_jvp((), ())


custom_vjp_linear_p = Op("custom_vjp_linear", type=_linear_type, eval=_linear_eval, jvp=_custom_vjp_jvp,
                         transpose=_linear_transpose, batch=_linear_batch, undeclared=("cost",), traits={"custom"})
