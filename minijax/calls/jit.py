"""`jit`, the op that holds a program, and the traced programs of Python functions.

Every rule of the op is the same rule for its program: jvp, linearize, transpose and
batch transform the held program (once; it keeps the result) and bind the op again.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from minijax import pytree
from minijax.calls.arguments import Arguments, check_outputs
from minijax.calls.masks import Mask, agreeing, front_axes, nonzero, present, spread
from minijax.calls.names import function_name
from minijax.config import state
from minijax.errors import MinijaxTypeError
from minijax.interpreters.batch import batch_program
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program, linearize_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.interpreters.transpose import transpose_program
from minijax.ir.jaxpr import Jaxpr, held_programs
from minijax.ir.op import Linear, Op, Rule
from minijax.ir.types import ArrayType
from minijax.tracing.array import Tracer
from minijax.tracing.context import context
from minijax.tracing.source import at_line
from minijax.util import bounded, merge_lists, partition_list


class CallOp(Op):
    """An op that runs the programs it holds; its effects are theirs, and so is what its results vary over."""

    __slots__ = ()

    def result_types(self, types: tuple[ArrayType, ...], params: dict[str, Any]) -> tuple[ArrayType, ...]:
        """Types of the results, as the programs say."""
        return tuple(self.type(*types, **params))

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """Effects of the held programs."""
        return frozenset().union(*[program.effects for program in held_programs(params)])


def program_cost(*types: ArrayType, jaxpr: Jaxpr, **params: Any) -> int:
    """Operations of a held program: the sum over its equations."""
    return sum(eqn.op.cost(*[a.type for a in eqn.inputs], **eqn.params) for eqn in jaxpr.eqns)


def runs(param: str) -> dict[str, Rule]:
    """Type, NumPy meaning and cost of an op that runs the program in a parameter."""
    return {"type": lambda *types, **params: params[param].out_types,
            "eval": lambda *arrays, **params: run_numpy(params[param], arrays),
            "cost": lambda *types, **params: program_cost(jaxpr=params[param])}


def check_fit(what: str, types: Sequence[ArrayType], wanted: Sequence[ArrayType]) -> None:
    """Raise `MinijaxTypeError` unless the types are those wanted, but for weakness."""
    if len(types) != len(wanted) or not all([t.matches(u) for t, u in zip(types, wanted, strict=True)]):
        raise MinijaxTypeError(f"{what} are {tuple(types)} where {tuple(wanted)} is needed{at_line()}.")


# ---- the rules of ops that run a program on their inputs ----

def call_rules(op: Op, param: str, split: Rule, lead: int = 0, **of_linear: Any) -> None:
    """Give its rules to an op that runs a program on its inputs: it is bound again, to the transformed program.

    The parameter `param` is the program, or a tuple of several, of which the first `lead` inputs choose.
    `split(marks, **params)` makes two of it, as `Linearized` says; the linear one is bound with parameters `of_linear`.
    """
    def transformed(transform: Callable[..., Any], params: dict[str, Any], *args: Any) -> tuple[dict[str, Any], Mask]:
        found, every = agreeing(transform, list(held_programs(params)), *args)
        programs = tuple([program for program, _ in found])
        return {**params, param: programs if lead else programs[0]}, every

    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        params, every = transformed(jvp_program, params, nonzero(tangents[lead:]))
        outs = op.bind(*primals, *present(tangents), **params)
        return outs[: len(every)], spread(every, outs[len(every):])

    def linearize(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        known, linear, places, every = split(nonzero(tangents[lead:]), **params)
        outs = op.bind(*primals, **{**params, param: known})
        at = {"input": primals[lead:], "output": outs}
        residuals = [at[where][i] for where, i in places]
        images = op.bind(*primals[:lead], *residuals, *present(tangents), **{**params, param: linear, **of_linear})
        return outs[: len(every)], spread(every, images)

    def transpose(cts: Sequence[Any], *args: Any, **params: Any) -> list[Any]:
        linear = tuple([type(x) is Linear for x in args[lead:]])
        params, every = transformed(transpose_program, params, linear, nonzero(cts))
        known, _ = partition_list(linear, args[lead:])
        outs = op.bind(*args[:lead], *known, *present(cts), **params)
        return [None] * lead + merge_lists(linear, [None] * len(known), spread(every, outs))

    def batch(size: int, args: Sequence[Any], axes: Sequence[int | None], **params: Any) -> Any:
        params, every = transformed(batch_program, params, size, tuple(axes[lead:]))
        return op.bind(*args, **params), front_axes(every)

    op.jvp, op.linearize, op.transpose, op.batch = jvp, linearize, transpose, batch


jit_p = CallOp("jit", **runs("jaxpr"), traits={"call"})
call_rules(jit_p, "jaxpr", lambda marks, *, jaxpr, name: linearize_program(jaxpr, marks))


# ---- programs of Python functions ----

class Traced(NamedTuple):
    """A function traced at some types: a closed program, its captured values, and its output tree."""

    jaxpr: Jaxpr
    captured: tuple[Any, ...]
    out_tree: Any

    def results(self) -> Any:
        """The types of the results, in their tree."""
        return self.out_tree.unflatten(self.jaxpr.out_types)

    def open(self) -> Jaxpr:
        """The program with its captured values as constants, as the user sees it."""
        count, invars = len(self.captured), self.jaxpr.invars
        return self.jaxpr.replace(constvars=invars[:count], consts=self.captured, invars=invars[count:])


class TraceCache:
    """Programs of one function, keyed by input types, tree, fixed arguments and the meaning of settings.

    Bounded; safe under threads (at worst two threads trace the same function).  A program that
    captured somebody's tracer is never kept.
    """

    def __init__(self) -> None:
        self.programs: dict[Any, Traced] = {}

    def get(self, call: Arguments, types: tuple[ArrayType, ...]) -> Traced:
        """The program of the function called, for leaves of these types; traced on first need."""
        key, around = (types, call.tree, call.fixed, state.token, context.trace.axes()), context.trace.around()
        found = around.find(self.programs, key) if around else self.programs.get(key)
        if found is None:
            found = trace_function(call, types)
            key = around.key(key) if around else key
            if not any([isinstance(c, Tracer) for c in found.captured]):
                bounded(self.programs, key, found, 1024)
        return found


_trace_caches: weakref.WeakKeyDictionary[Any, TraceCache] = weakref.WeakKeyDictionary()


def trace_cache(function: Callable[..., Any]) -> TraceCache:
    """The programs of `function`, held as long as the function lives."""
    try:
        return _trace_caches.setdefault(function, TraceCache())
    except TypeError:  # cannot be referred to weakly, or not hashed: nothing is remembered
        return TraceCache()


def trace_function(call: Arguments, types: Sequence[ArrayType]) -> Traced:
    """Trace a function of pytrees for leaves of the given types; `call` tells the rest."""
    out_trees = []

    def flat(*leaves: Any) -> list[Any]:
        outs, tree = pytree.flatten(call.apply_leaves(leaves))
        check_outputs(f"The function {function_name(call.function)}", outs, tree)
        out_trees.append(tree)
        return outs

    closed, captured = lift_constants(stage(flat, types, function_name(call.function), call.names()))
    return Traced(closed, captured, out_trees[0])


def call_traced(traced: Traced, leaves: Sequence[Any], name: str, inline: bool) -> Any:
    """Bind a traced function to values in the current trace; returns its output tree."""
    args = (*traced.captured, *leaves)
    outs = run_program(traced.jaxpr, *args) if inline else jit_p.bind(*args, jaxpr=traced.jaxpr, name=name)
    return traced.out_tree.unflatten(outs)
