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
from typing import Any, NamedTuple

from minijax.calls.jit import CallOp, call_rules, program_cost, program_eval, program_type
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.programs import linearize_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, Var, kept
from minijax.ir.passes import dce, inline
from minijax.ir.types import zero
from minijax.ops.memory import Offloadable, to_memory
from minijax.util import merge_lists

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


class Split(NamedTuple):
    """The two programs of a derivative; `places` are backward's first inputs among forward's inputs and outputs."""

    forward: Jaxpr
    backward: Jaxpr
    places: list[int]
    out_nonzero: tuple[bool, ...]


@kept
def split_program(jaxpr: Jaxpr, nonzero: tuple[bool, ...], policy: Policy) -> Split:
    """Cut the known part of a program where the policy saves."""
    split = linearize_program(jaxpr, nonzero)
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

    number = {v: i for i, v in enumerate([*known.invars, *at_hand.outvars])}
    types = [*again.in_types, *split.linear.in_types[len(split.residuals):]]
    return Split(dce(stage(forward, jaxpr.in_types, jaxpr.debug_name)) if extra else jaxpr,
                 dce(stage(backward, types, jaxpr.debug_name)), [number[v] for v in again.invars], split.out_nonzero)


def _linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, policy: Policy,
               differentiated: bool, prevent_cse: bool) -> Any:
    split = split_program(jaxpr, tuple([t is not zero for t in tangents]), policy)
    params = {"policy": policy, "prevent_cse": prevent_cse}
    outs = checkpoint_p.bind(*primals, jaxpr=split.forward, differentiated=differentiated, **params)
    known = [*primals, *outs]
    linear = checkpoint_p.bind(*[known[i] for i in split.places], *[t for t in tangents if t is not zero],
                               jaxpr=split.backward, differentiated=True, **params)
    zeros = [zero] * split.out_nonzero.count(False)
    return outs[: len(jaxpr.outvars)], merge_lists(split.out_nonzero, zeros, linear)


checkpoint_p = CallOp("checkpoint", type=program_type, eval=program_eval, linearize=_linearize, cost=program_cost,
                      traits={"call", "fence"})
checkpoint_p.jvp, checkpoint_p.transpose, checkpoint_p.batch = call_rules(checkpoint_p)
