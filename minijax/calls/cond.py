"""`cond`, the op that runs one of several programs: `cond[branches=(p, q, ...)] index *operands`.

A bool index runs the second of two programs if it is true; an int32 index is moved into range.  Each rule
transforms every branch, so that their results agree, and binds the op again.  A branch that is known to be
taken stands for the op.  A batched index runs all branches and selects; `select_hooks` are told what that costs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from minijax.calls.jit import CallOp, call_rules, check_fit, jit_p, program_cost
from minijax.calls.masks import Mask, agreeing, narrowed, union
from minijax.errors import UnhandledEffectError
from minijax.interpreters.batch import batch_program, place_axis
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import Linearized, linearize_program
from minijax.interpreters.stage import stage
from minijax.ir.dtypes import bool_, int32
from minijax.ir.jaxpr import Jaxpr, Var, kept
from minijax.ir.types import ArrayType
from minijax.ops.arithmetic import clamp
from minijax.ops.comparison import eq
from minijax.ops.random import placeholder
from minijax.ops.rows import select_rows, smooth_rows
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line, user_source

Branches = tuple[Jaxpr, ...]


def taken_branch(index: Any, branches: Branches) -> Jaxpr | None:
    """The branch that runs, if that is known."""
    try:
        number = int(index.concrete() if isinstance(index, Tracer) else index)
    except TypeError:  # None, or a value that JAX is tracing
        return None
    return branches[min(max(number, 0), len(branches) - 1)]


def _type(index: ArrayType, *operands: ArrayType, branches: Branches) -> tuple[ArrayType, ...]:
    wanted = ArrayType((), bool_ if index.dtype == bool_ and len(branches) == 2 else int32)
    check_fit(f"cond: the types of an index into {len(branches)} branches", [index], [wanted])
    for n, branch in enumerate(branches):
        check_fit(f"cond: the inputs of branch {n}", branch.in_types, operands)
        check_fit(f"cond: the results of branch {n}", branch.out_types, branches[0].out_types)
    results = zip(*[branch.out_types for branch in branches], strict=True)
    return tuple([types[0].update(weak_type=all([t.weak_type for t in types]),
                                  varying=index.varying.union(*[t.varying for t in types])) for types in results])


# ---- derivatives ----

@kept
def split_branches(first: Jaxpr, branches: Branches,
                   marks: Mask) -> tuple[Branches, Branches, list[tuple[str, int]], Mask]:
    """Known branches, linear branches, where these find their residuals, and whose tangents: as `Linearized` has it.

    Residuals of one type share a result of the known branches: each fills its own, and the rest with placeholders.
    """
    parts, every = agreeing(linearize_program, branches, marks)
    results, numbers = list(first.out_types), []
    for part in parts:
        mine = list(range(len(every)))
        for type in part.known.out_types[len(every):]:
            free = [i for i, t in enumerate(results) if t == type and i not in mine]
            mine.append(free[0] if free else len(results))
            results += [] if free else [type]
        numbers.append(mine)
    owned = [{(where, i if where == "input" else mine[i]): v
              for (where, i), v in zip(part.residuals, part.linear.invars, strict=False)}
             for part, mine in zip(parts, numbers, strict=True)]
    places = {place: v.type for own in owned for place, v in own.items()}

    def known(part: Linearized, mine: list[int]) -> Jaxpr:
        def run(*operands: Any) -> list[Any]:
            at = dict(zip(mine, run_program(part.known, *operands), strict=True))
            return [at[i] if i in at else placeholder(t) for i, t in enumerate(results)]

        return stage(run, first.in_types, part.known.debug_name)

    def linear(part: Linearized, own: dict[Any, Var]) -> Jaxpr:
        residuals = [own[place] if place in own else Var(type) for place, type in places.items()]
        return part.linear.replace(invars=[*residuals, *part.linear.invars[len(part.residuals):]])

    return tuple(map(known, parts, numbers)), tuple(map(linear, parts, owned)), list(places), every


# ---- batching ----

select_hooks: ContextVar[tuple[Callable[..., None], ...]] = ContextVar("select_hooks", default=())


def batch_by_select(size: int, index: Any, args: Sequence[Any], axes: Sequence[int | None],
                    branches: Branches) -> Any:
    """Run every branch on the whole batch, and select: what a batched index means."""
    refuse_effects("cond", branches)
    for hook in select_hooks.get():
        hook(context.attribution[0] or user_source(), tuple([program_cost(jaxpr=branch) for branch in branches]))
    if typeof(index).dtype == int32:
        index = clamp(np.int32(0), index, np.int32(len(branches) - 1))
    smooth = [typeof(x).differentiable for x in args]
    args = [place_axis(x, size, axis, 0) if s else x for s, x, axis in zip(smooth, args, axes, strict=True)]
    axes, results = tuple([0 if s else axis for s, axis in zip(smooth, axes, strict=True)]), []
    for number, branch in enumerate(branches):
        program, _ = batch_program(branch, size, axes, (True,) * len(branch.outvars))
        mine = eq(index, typeof(index).dtype.type(number))
        safe = [smooth_rows(mine, x) if s else x for s, x in zip(smooth, args, strict=True)]
        results.append(run_program(program, *safe))
    return [select_rows(index, *cases) for cases in zip(*results, strict=True)], (0,) * len(branches[0].outvars)


harmless = {"debug", "ordered_debug", "module", "parameter", "initial rng"}  # done for none, they change nothing


def refuse_effects(name: str, programs: Sequence[Jaxpr]) -> None:
    """Raise `UnhandledEffectError` for programs that would act where no example asked them to."""
    for effect in sorted(set().union(*[program.effects for program in programs]) - harmless):
        raise UnhandledEffectError(f"{name}: under vmap with a batched predicate every example runs everything, so the "
                                   f"effect '{effect}'{at_line()} would happen where it should not. Leave it out, use "
                                   "a predicate without batch axis, or map the handler: vmap(collect(f)), vmap(apply).")


def _dce(used: Mask, live: Callable[..., tuple[Jaxpr, Mask]], *, branches: Branches) -> Any:
    pruned = [live(branch, used) for branch in branches]
    needed = union(mask for _, mask in pruned)
    programs = tuple([narrowed(program, needed) for program, _ in pruned])
    return (True, *needed), used, {"branches": branches if programs == branches else programs}


cond_p = CallOp("cond", type=_type, dce=_dce,
                eval=lambda index, *arrays, branches: run_numpy(taken_branch(index, branches), arrays),
                cost=lambda *types, branches: max(program_cost(jaxpr=branch) for branch in branches))  # of the dearest
call_rules(cond_p, "branches", lambda marks, *, branches: split_branches(branches[0], branches, marks), lead=1)


def _of_taken(rule: str) -> Callable[..., Any]:
    """A derivative: that of the branch which is known to run, or else of all."""
    of_all, of_one = getattr(cond_p, rule), getattr(jit_p, rule)

    def derivative(primals: Sequence[Any], tangents: Sequence[Any], *, branches: Branches) -> Any:
        taken = taken_branch(primals[0], branches)
        if taken is None:
            return of_all(primals, tangents, branches=branches)
        return of_one(primals[1:], tangents[1:], jaxpr=taken, name="branch")

    return derivative


def _batch(of_all: Callable[..., Any], size: int, args: Sequence[Any], axes: Sequence[int | None], *,
           branches: Branches) -> Any:
    if axes[0] is None:
        return of_all(size, args, axes, branches=branches)
    return batch_by_select(size, place_axis(args[0], size, axes[0], 0), args[1:], axes[1:], branches)


cond_p.jvp, cond_p.linearize = _of_taken("jvp"), _of_taken("linearize")
cond_p.batch = functools.partial(_batch, cond_p.batch)
