"""How `checkpoint` and its marks become JAX's own, so that JAX's derivatives of our programs save what ours do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.ad_checkpoint import Offloadable, checkpoint_name

from minijax.calls.checkpoint import checkpoint_p
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op, ops
from minijax.lowering.emit import emit, evaluate_program
from minijax.ops import memory

SPACES = {"device": jax.memory.Space.Device, "pinned_host": jax.memory.Space.Host}


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


NAMES_AND_MEMORIES = ("names_which_can_be_saved", "names_which_can_be_offloaded", "offload_src", "offload_dst")
PLAIN = ("everything_saveable", "nothing_saveable", "dots_saveable", "dots_with_no_batch_dims_saveable")


def _checkpoint(*values: Any, jaxpr: Jaxpr, policy: Any, prevent_cse: bool, differentiated: bool) -> tuple[Any, ...]:
    def call(*inputs: Any) -> tuple[Any, ...]:
        if differentiated and prevent_cse:  # else XLA finds what was computed before, and keeps that
            inputs = jax.lax.optimization_barrier(inputs)
        return tuple(emit(jaxpr, inputs))

    return jax.checkpoint(call, prevent_cse=prevent_cse, policy=policy_of(policy))(*values)


def _evaluate(args: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    return evaluate_program(args, {"jaxpr": params["jaxpr"], "name": "checkpointed"})


rules: dict[Op, Callable[..., Any]] = {
    checkpoint_p: _checkpoint,
    memory.name_p: lambda x, *, name: checkpoint_name(x, name),
    memory.to_memory_p: lambda x, *, memory: jax.device_put(x, SPACES[memory]),
}
evaluators = {checkpoint_p: _evaluate}
