"""How ops that hold programs become `jax.lax`; the programs are emitted while JAX traces.

An op that runs its program and says nothing more to XLA becomes what its program becomes: so do functions with
rules of their own and checkpoints.  (interop/transforms.py says what JAX's own derivatives need of them.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from minijax.calls.checkpoint import checkpoint_p
from minijax.calls.cond import cond_p, taken_branch
from minijax.calls.custom import (custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_linear_p, custom_vjp_p,
                                  custom_vmap_p)
from minijax.calls.jit import jit_p
from minijax.calls.reduce import reduce_p, reduce_window_p
from minijax.calls.scan import scan_p
from minijax.calls.while_loop import while_p
from minijax.interpreters.evaluate import evaluate_numpy
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.eager import kept_kernel
from minijax.lowering.emit import compiled, emit
from minijax.lowering.table import apply_rule, lower
from minijax.lowering.values import bare
from minijax.tracing.array import Array
from minijax.util import split_list


# ---- programs that run once ----

def _jit(*values: Any, jaxpr: Jaxpr, name: str) -> Any:
    return compiled(jaxpr, name)(*values)


def _jit_now(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    outs = compiled(**params)(*[x.value if type(x) is Array else bare(x) for x in args])
    return tuple(map(Array, outs))


def _checkpoint(*values: Any, jaxpr: Jaxpr, prevent_cse: bool, differentiated: bool, **policy: Any) -> list[Any]:
    if differentiated and prevent_cse:  # else XLA finds what was computed before, and keeps that
        values = lax.optimization_barrier(values)
    return emit(jaxpr, values)


def _checkpoint_now(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    return jit_p.bind(*args, jaxpr=params["jaxpr"], name="checkpointed")


def _custom(*values: Any, call_jaxpr: Jaxpr, num_consts: int, lowering: Any = None, **rules: Any) -> list[Any]:
    return lowering(*values[num_consts:]) if lowering else emit(call_jaxpr, values)


def _linear(*values: Any, **params: Any) -> list[Any]:
    return [bare(x) for x in custom_vjp_linear_p.eval(*map(Array, values), **params)]


lower(jit_p, _jit, _jit_now)
lower(checkpoint_p, _checkpoint, _checkpoint_now)
for op in (custom_p, custom_jvp_p, custom_vjp_p, custom_vmap_p, custom_transpose_p):
    lower(op, _custom, evaluate_numpy)  # which runs the Python function itself
lower(custom_vjp_linear_p, _linear, evaluate_numpy)


# ---- branches and loops ----

def _cond(index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> Any:
    functions = [lambda *xs, branch=branch: tuple(emit(branch, xs)) for branch in branches]
    if jax.numpy.result_type(index) == bool:
        return lax.cond(index, *reversed(functions), *operands)
    return lax.switch(index, functions, *operands)


def _cond_now(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run the branch that the index chooses, compiled; all of them are compiled if JAX traces the index."""
    taken = taken_branch(args[0], params["branches"])
    if taken is None:
        return tuple(map(Array, apply_rule(op, [bare(x) for x in args], params)))
    return jit_p.bind(*args[1:], jaxpr=taken, name="branch")


def _while(*values: Any, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr, body_nconsts: int,
           **kept_states: int) -> Any:
    cond_consts, body_consts, init = split_list(values, cond_nconsts, body_nconsts)
    return lax.while_loop(lambda carry: emit(cond_jaxpr, [*cond_consts, *carry])[0],
                          lambda carry: tuple(emit(body_jaxpr, [*body_consts, *carry])), tuple(init))


def _while_now(op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run a loop, compiled; the compiled form is kept by its body."""
    return tuple(map(Array, kept_kernel(op, params, params["body_jaxpr"])(*map(bare, args))))


def _scan(*values: Any, jaxpr: Jaxpr, length: int, reverse: bool, unroll: int, num_consts: int, num_carry: int,
          checkpoint: int | None = None) -> tuple[Any, ...]:
    consts, init, xs = split_list(values, num_consts, num_carry)

    def step(carry: list[Any], x: list[Any]) -> tuple[list[Any], list[Any]]:
        outs = emit(jaxpr, [*consts, *carry, *x])
        return outs[:num_carry], outs[num_carry:]

    carries, ys = lax.scan(step, init, xs, length, reverse, unroll)
    return (*carries, *ys)


lower(cond_p, _cond, _cond_now)
lower(while_p, _while, _while_now)
lower(scan_p, _scan)


# ---- reductions by a function of scalars ----

def _reducer(function: Callable[..., Any]) -> Callable[..., Any]:
    def rule(*values: Any, jaxpr: Jaxpr, **geometry: Any) -> Any:
        count = len(values) // 2
        return function(list(values[:count]), list(values[count:]), lambda x, y: emit(jaxpr, [*x, *y]), **geometry)

    return rule


lower(reduce_p, _reducer(lax.reduce))
lower(reduce_window_p, _reducer(lax.reduce_window))
