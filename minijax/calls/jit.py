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
from minijax.calls.names import function_name
from minijax.config import state
from minijax.interpreters.batch import batch_program
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program, linearize_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.interpreters.transpose import transpose_program
from minijax.ir.jaxpr import Jaxpr, held_programs
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.tracing.array import Tracer
from minijax.tracing.context import context
from minijax.util import bounded, merge_lists, partition_list


def program_type(*types: ArrayType, jaxpr: Jaxpr, **params: Any) -> tuple[ArrayType, ...]:
    """Types of the results of a held program."""
    return jaxpr.out_types


def program_eval(*arrays: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
    """NumPy meaning of an op that runs its program."""
    return run_numpy(jaxpr, arrays)


def _linearize(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, name: str) -> Any:
    split = linearize_program(jaxpr, tuple([t is not zero for t in tangents]))
    outs = jit_p.bind(*primals, jaxpr=split.known, name=name)
    places = {"input": primals, "output": outs}
    residuals = [places[where][i] for where, i in split.residuals]
    linear_outs = jit_p.bind(*residuals, *[t for t in tangents if t is not zero], jaxpr=split.linear, name=name)
    zeros = [zero] * split.out_nonzero.count(False)
    return outs[: len(jaxpr.outvars)], merge_lists(split.out_nonzero, zeros, linear_outs)


def call_rules(op: Op) -> tuple[Any, Any, Any]:
    """jvp, transpose and batch of an op that runs its program: bind it again, to the transformed program."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], *, jaxpr: Jaxpr, **params: Any) -> Any:
        program, out_nonzero = jvp_program(jaxpr, tuple([t is not zero for t in tangents]))
        outs = op.bind(*primals, *[t for t in tangents if t is not zero], jaxpr=program, **params)
        count = len(jaxpr.outvars)
        zeros = [zero] * out_nonzero.count(False)
        return outs[:count], merge_lists(out_nonzero, zeros, outs[count:])

    def transpose(cts: Sequence[Any], *args: Any, jaxpr: Jaxpr, **params: Any) -> list[Any]:
        linear = tuple([type(x) is Linear for x in args])
        nonzero = tuple([ct is not zero for ct in cts])
        program, out_nonzero = transpose_program(jaxpr, linear, nonzero)
        known, _ = partition_list(linear, args)
        outs = op.bind(*known, *[ct for ct in cts if ct is not zero], jaxpr=program, **params)
        linear_cts = merge_lists(out_nonzero, [zero] * out_nonzero.count(False), outs)
        return merge_lists(linear, [None] * len(known), linear_cts)

    def batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, jaxpr: Jaxpr, **params: Any) -> Any:
        program, out_axes = batch_program(jaxpr, size, tuple(axes))
        return op.bind(*args, jaxpr=program, **params), out_axes

    return jvp, transpose, batch


def program_cost(*types: ArrayType, jaxpr: Jaxpr, **params: Any) -> int:
    """Operations of a held program: the sum over its equations."""
    return sum(eqn.op.cost(*[a.type for a in eqn.inputs], **eqn.params) for eqn in jaxpr.eqns)


class CallOp(Op):
    """An op that runs the programs it holds; its effects are theirs."""

    __slots__ = ()

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """Effects of the held programs."""
        return frozenset().union(*[program.effects for program in held_programs(params)])


jit_p = CallOp("jit", type=program_type, eval=program_eval, linearize=_linearize, cost=program_cost, traits={"call"})
jit_p.jvp, jit_p.transpose, jit_p.batch = call_rules(jit_p)


# ---- programs of Python functions ----

class Traced(NamedTuple):
    """A function traced at some types: a closed program, its captured values, and its output tree."""

    jaxpr: Jaxpr
    captured: tuple[Any, ...]
    out_tree: Any

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
        key = types, call.tree, call.fixed, state.token, context.trace.axis_sizes()
        found = self.programs.get(key)
        if found is None:
            found = trace_function(call, types)
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
