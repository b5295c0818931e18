"""The rules that JAX's own transformations follow in our programs, so that `jax.grad(minijax.jit(f))` is right too.

XLA needs none of this.  But JAX would differentiate straight through the lowering of a function with derivative rules
of its own: here it becomes JAX's `custom_jvp` or `custom_vjp`, a linear solve JAX's `custom_linear_solve`, and
`checkpoint` JAX's, which then saves what ours does.  Importing this puts the rules in the table with
`minijax.lowering.lower`, around those that were there; whatever installs the backend imports it.

A rule of the user runs on Arrays around the values that JAX traces.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.ad_checkpoint import Offloadable, checkpoint_name

from minijax.calls.checkpoint import checkpoint_p
from minijax.calls.custom import custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_p, custom_vmap_p
from minijax.custom_rules.linear_solve import linear_solve_p
from minijax.interpreters.dual import instantiate
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import ops
from minijax.ir.types import zero
from minijax.lowering import lower
from minijax.lowering.emit import emit
from minijax.lowering.table import Lowering, find_rule
from minijax.lowering.values import bare
from minijax.ops import memory
from minijax.tracing.array import Array, typeof


# ---- functions with derivative rules of their own ----

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


def _with_rules(run: Lowering) -> Lowering:
    """The lowering `run` of a custom op, as a function with JAX's form of the op's derivative rule."""
    def rule(*values: Any, num_consts: int, **params: Any) -> Any:
        def function(*xs: Any) -> tuple[Any, ...]:
            return tuple(run(*xs, num_consts=num_consts, **params))

        if "jvp" in params:
            function = _with_jvp(function, num_consts, params["jvp"])
        elif "fwd" in params:
            function = _with_vjp(function, num_consts, params["fwd"], params["bwd"], params["call_jaxpr"].out_types)
        return function(*values)

    return rule


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


for op in (custom_p, custom_jvp_p, custom_vjp_p, custom_vmap_p, custom_transpose_p):
    lower(op, _with_rules(find_rule(op)))


# ---- linear solves ----

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


lower(linear_solve_p, _linear_solve)


# ---- checkpoints: JAX saves what our policy says ----

NAMES_AND_MEMORIES = ("names_which_can_be_saved", "names_which_can_be_offloaded", "offload_src", "offload_dst")
PLAIN = ("everything_saveable", "nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable")


def policy_of(policy: Any) -> Any:
    """JAX's policy for one of ours; a user's own is asked about the op that has the primitive's name."""
    if policy is None:
        return None
    if isinstance(policy, memory.Policy):
        found = getattr(jax.checkpoint_policies, policy.rule)
        if policy.rule == "save_and_offload_only_these_names":
            return found(**dict(zip(NAMES_AND_MEMORIES, policy.args, strict=True)))
        args = [policy_of(x) if callable(x) else x for x in policy.args]
        return found(*args) if args else found if policy.rule in PLAIN else found()

    def ask(primitive: Any, *types: Any, **params: Any) -> Any:
        answer = primitive.name in ops and policy(ops[primitive.name], *types, **params)
        return Offloadable(*answer) if isinstance(answer, memory.Offloadable) else answer

    return ask


def _checkpointed(run: Lowering) -> Lowering:
    """The lowering `run` of `checkpoint`, as a function that JAX's derivative runs again."""
    def rule(*values: Any, policy: Any, prevent_cse: bool, **params: Any) -> Any:
        def function(*xs: Any) -> tuple[Any, ...]:
            return tuple(run(*xs, policy=policy, prevent_cse=prevent_cse, **params))

        return jax.checkpoint(function, prevent_cse=prevent_cse, policy=policy_of(policy))(*values)

    return rule


lower(checkpoint_p, _checkpointed(find_rule(checkpoint_p)))
lower(memory.name_p, lambda x, *, name: checkpoint_name(x, name))
