"""`checkpoint`, the op that runs its program and forgets: a derivative computes again what it did not save.

    checkpoint[jaxpr policy prevent_cse differentiated](inputs) -> outputs

Its linearize rule cuts the known part of the program where the policy allows a result to be saved:

    forward    inputs -> outputs + saved
    backward   inputs + saved + tangents -> output tangents

Both are bound as `checkpoint` again.  The second computes the residuals before its linear equations,
and its transpose does so too.  What has an effect is saved, never run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.jit import CallOp, call_rules, runs
from minijax.calls.masks import Mask
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.programs import Linearized, linearize_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, Var, kept
from minijax.ir.passes import dce, inline
from minijax.ops.memory import Offloadable, to_memory

Policy = Callable[..., Any] | None


def residual_atoms(known: Jaxpr, places: Sequence[tuple[str, int]]) -> list[Any]:
    """The variables of a known program at these places: residuals."""
    atoms = {"input": known.invars, "output": known.outvars}
    return [atoms[where][i] for where, i in places]


def cut(known: Jaxpr, residuals: Sequence[Any], policy: Policy) -> tuple[dict[Var, Any], Jaxpr]:
    """What to save, with the policy's answers, and the program (inputs it needs, saved) -> residuals."""
    needed, saved, again = set(residuals), {}, []
    for eqn in reversed(known.eqns):
        if needed.isdisjoint(eqn.outvars):
            continue
        answer = bool(eqn.op.effects_of(eqn.params)) or (
            policy is not None and policy(eqn.op, *[a.type for a in eqn.inputs], **eqn.params))
        if answer:
            saved.update((v, answer) for v in eqn.outvars if v in needed)
        else:
            again.append(eqn)
            needed.update(eqn.inputs)
    invars = [*[v for v in known.invars if v in needed], *saved]
    return saved, known.replace(invars=invars, eqns=again[::-1], outvars=residuals)


@kept
def split_program(jaxpr: Jaxpr, marks: Mask, policy: Policy) -> Linearized:
    """A program as forward (the known part) and backward (the linear one): cut where the policy saves."""
    split = linearize_program(jaxpr, marks)
    known, count = inline(split.known), len(jaxpr.outvars)
    saved, again = cut(known, residual_atoms(known, split.residuals), policy)
    moved = {v: answer for v, answer in saved.items() if isinstance(answer, Offloadable)}
    extra = [v for v in saved if v in moved or v not in known.outvars[:count]]
    at_hand = known.replace(outvars=[*known.outvars[:count], *extra])

    def forward(*inputs: Any) -> list[Any]:
        outs = run_program(at_hand, *inputs)
        return [*outs[:count], *[to_memory(x, moved[v].dst) if v in moved else x
                                 for v, x in zip(extra, outs[count:], strict=True)]]

    def backward(*flat: Any) -> list[Any]:
        inputs = [to_memory(x, moved[v].src) if v in moved else x for v, x in zip(again.invars, flat, strict=False)]
        return run_program(split.linear, *run_program(again, *inputs), *flat[len(inputs):])

    places = [("input", known.invars), ("output", at_hand.outvars)]
    at = {v: (where, i) for where, atoms in places for i, v in enumerate(atoms)}
    types = [*again.in_types, *split.linear.in_types[len(split.residuals):]]
    return Linearized(dce(stage(forward, jaxpr.in_types, jaxpr.debug_name)) if extra else jaxpr,
                      dce(stage(backward, types, jaxpr.debug_name)), tuple([at[v] for v in again.invars]),
                      split.out_nonzero)


checkpoint_p = CallOp("checkpoint", **runs("jaxpr"), traits={"call", "fence"})
call_rules(checkpoint_p, "jaxpr", lambda marks, *, jaxpr, policy, **params: split_program(jaxpr, marks, policy),
           differentiated=True)
