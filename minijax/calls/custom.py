"""Ops of functions with rules of their own, any of jvp, vjp, vmap, transpose and lowering.

The op holds its function as Python (so that control flow on concrete values works under
`grad`), or as a program when equations are being recorded; `bind_custom` decides.  A rule is a
function of lists of flat values, run by whichever interpreter needs it:

    jvp(primals, tangents) -> (outs, out_tangents)          a tangent or cotangent may be `zero`
    fwd(primals, perturbed) -> (outs, residuals)            bwd(residuals, cotangents) -> cotangents
    vmap(size, axes, args) -> (outs, out_axes)              vmap.jvp: a call with the derivative of the rule
    lowering(*values) -> outs, the compiler's own           transpose(cotangents, args) -> cotangents, as an op's

What has no rule is derived: from the other rules, or else from the function.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.jit import CallOp, runs
from minijax.calls.masks import Mask, nonzero, present, spread
from minijax.errors import MinijaxTypeError, NonlinearError
from minijax.interpreters.batch import BatchTrace, BatchTracer, batch_program, batched_type, place_axis, unbatched_type
from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import run_by_python, run_program
from minijax.interpreters.pairs import PairTracer
from minijax.interpreters.stage import StageTracer, lift_constants, stage
from minijax.interpreters.transpose import transpose_values
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Linear, Op
from minijax.ir.passes import dce, inline
from minijax.ir.types import zero
from minijax.ops.elementwise import add_any
from minijax.ops.families import moveaxis, reduce_sum
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.context import context, running
from minijax.util import merge_lists, partition_list

Rule = Callable[..., Any]


class CustomOp(CallOp):
    """An op whose parameters are rules: nothing is kept by them, for they may hold much."""

    __slots__ = ()

    def infer(self, types: Any, params: dict[str, Any]) -> Any:
        """Types of the results."""
        return self.type(*types, **params)


def run(function: Rule | Jaxpr, *args: Any) -> Sequence[Any]:
    """Call a function of flat values that may be a program."""
    return run_program(function, *args) if isinstance(function, Jaxpr) else function(*args)


def recorded(x: Any) -> bool:
    """Whether a value is, or stands on, a variable of a program that is being recorded."""
    return type(x) is StageTracer or isinstance(x, PairTracer) and recorded(x.inner)


def bind_custom(op: Op, function: Rule | Jaxpr, consts: Sequence[Any], args: Sequence[Any],
                **params: Any) -> tuple[Any, ...]:
    """Bind `op` to a flat function of (consts, args); values that a recorded function captures become consts.

    Rules are told about `args` only.
    """
    values = (*consts, *args)
    if not isinstance(function, Jaxpr) and (context.trace.records or any(map(recorded, values))):
        function, captured = lift_constants(stage(function, [typeof(x) for x in values], params["name"]))
        consts, values = (*captured, *consts), (*captured, *values)
    return op.bind(*values, call_jaxpr=function, num_consts=len(consts), **params)


# ---- forward mode ----

def own_tangents(name: str, tangents: Sequence[Any], num_consts: int) -> Sequence[Any]:
    """Tangents of the arguments; one of a captured value would be lost, so it is an error."""
    if any(t is not zero for t in tangents[:num_consts]):
        raise MinijaxTypeError(f"The function {name} has a derivative rule and captures a value that is being "
                               "differentiated, which the rule would ignore. Pass the value as an argument.")
    return tangents[num_consts:]


def linearized(function: Rule, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """As `jvp_flat`, under a linear recorder: outputs are known, and tangents alone are recorded."""
    outs, tape = linearize_flat(function, primals, nonzero(tangents))
    return outs, spread(nonzero(tape.outs), run_program(tape.to_jaxpr(), *present(tangents)))


def packed(rule: Rule, marks: Sequence[bool], found: list[bool]) -> Rule:
    """A rule (primals, tangents) -> (outs, out_tangents) on flat values, zeros left out; `found` says of which outs."""
    def flat(*values: Any) -> list[Any]:
        outs, tangents = rule(values[: len(marks)], spread(marks, values[len(marks):]))
        found[:] = nonzero(tangents)
        return [*outs, *present(tangents)]

    return flat


def _jvp(op: Op, primals: Sequence[Any], tangents: Sequence[Any], *, call_jaxpr: Any, num_consts: int, name: str,
         **rules: Any) -> Any:
    args = primals[num_consts:]
    if "jvp" in rules:
        return rules["jvp"](args, own_tangents(name, tangents, num_consts))
    if "fwd" in rules:
        return _by_reverse(push_back, op, name, args, own_tangents(name, tangents, num_consts), **rules)
    if "transpose" in rules:
        return _jvp_of_linear(jvp_flat, op, primals, tangents, call_jaxpr, num_consts, name=name, **rules)
    if "vmap" in rules and not present(tangents[:num_consts]):
        return rules["vmap"].jvp(op, call_jaxpr, primals[:num_consts], args, tangents[num_consts:], name)
    return jvp_flat(functools.partial(run, call_jaxpr), primals, tangents)


def _jvp_of_linear(push: Rule, op: Op, primals: Sequence[Any], tangents: Sequence[Any], function: Any,
                   num_consts: int, **params: Any) -> Any:
    """The function itself on the tangents of its linear arguments, and `push` with respect to the others."""
    linear = [False] * num_consts + list(params["linear"])
    others = [zero if is_linear else t for is_linear, t in zip(linear, tangents, strict=True)]
    if present(others):
        outs, terms = push(functools.partial(run, function), primals, others)
    else:
        outs = bind_custom(op, function, primals[:num_consts], primals[num_consts:], **params)
        terms = [zero] * len(outs)
    if len(present(others)) == len(present(tangents)):
        return outs, terms
    moved = [instantiate(t, x) if is_linear else x for is_linear, t, x in zip(linear, tangents, primals, strict=True)]
    images = bind_custom(op, function, moved[:num_consts], moved[num_consts:], **params)
    return outs, [image if t is zero else add_any(t, image) for t, image in zip(terms, images, strict=True)]


# ---- reverse mode ----

def _linearize(op: Op, primals: Sequence[Any], tangents: Sequence[Any], *, call_jaxpr: Any, num_consts: int,
               name: str, **rules: Any) -> Any:
    args = primals[num_consts:]
    if "fwd" in rules:
        own = own_tangents(name, tangents, num_consts)
        return _by_reverse(custom_vjp_linear_p.bind, op, name, args, own, **rules)
    if "jvp" in rules:
        return _linearize_rule(name, rules["jvp"], args, own_tangents(name, tangents, num_consts))
    if "transpose" in rules:
        return _jvp_of_linear(linearized, op, primals, tangents, call_jaxpr, num_consts, name=name, **rules)
    outs = bind_custom(op, call_jaxpr, primals[:num_consts], args, name=name, **rules)
    return outs, linearized(functools.partial(run, call_jaxpr), primals, tangents)[1]


def _linearize_rule(name: str, rule: Rule, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Run a jvp rule; if a call in it mixes known and linear values, trace it to tell them apart."""
    def mixed(outs: Sequence[Any]) -> bool:
        return any([type(x) is StageTracer and x.trace is context.trace for x in outs])

    outs, out_tangents = rule(primals, tangents)
    if not mixed(outs):
        return outs, out_tangents
    found: list[bool] = []
    values = [*primals, *present(tangents)]
    program = inline(stage(packed(rule, nonzero(tangents), found), [typeof(x) for x in values]))
    count = found.count(True)
    known = run_program(dce(program, [True] * len(found) + [False] * count), *values)
    if mixed(known):
        raise NonlinearError(f"The jvp rule of {name} computes its output from the tangents, so it has no transpose. "
                             "Compute the output from the primals alone.")
    images = run_program(dce(program, [False] * len(found) + [True] * count), *values)
    return known, spread(found, images)


def _transpose(op: Op, cts: Sequence[Any], *args: Any, call_jaxpr: Any, num_consts: int, **rules: Any) -> list[Any]:
    if "transpose" in rules and not any(type(x) is Linear for x in args[:num_consts]):
        return [*[None] * num_consts, *rules["transpose"](cts, args[num_consts:])]
    return transpose_values(call_jaxpr, args, cts)


# ---- batches ----

@dataclasses.dataclass(frozen=True)
class Batched:
    """A rule on batches: arguments have their batch axes at `axes`, all else in front.  Compares by its parts."""

    kind: str
    rule: Rule
    size: int
    axes: tuple[int | None, ...]

    @property
    def __name__(self) -> str:
        return str(getattr(self.rule, "__name__", self.kind))

    def __call__(self, *values: Any) -> Any:
        return getattr(self, f"_{self.kind}")(*values)

    def _jvp(self, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        return batch_lists(self.rule, self.size, (primals, tangents), (self.axes, self.axes))

    def _fwd(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Any:
        return batch_lists(lambda xs: self.rule(xs, perturbed), self.size, (primals,), (self.axes,))

    def _bwd(self, residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
        return self.pull((residuals, cts), ((0,) * len(residuals), (0,) * len(cts)))

    def _transpose(self, cts: Sequence[Any], args: Sequence[Any]) -> Any:
        return self.pull((cts, args), ((0,) * len(cts), self.axes))

    def pull(self, lists: Any, axes: Any) -> list[Any]:
        """Cotangents with the axes of their arguments; one of an argument without is summed over the batch."""
        cts, = batch_lists(lambda *lists: (self.rule(*lists),), self.size, lists, axes)
        return [ct if ct is zero or ct is None else reduce_sum(ct, (0,)) if axis is None else moveaxis(ct, 0, axis)
                for ct, axis in zip(cts, self.axes, strict=True)]


def batch_lists(rule: Rule, size: int, lists: Sequence[Sequence[Any]], axes: Sequence[Sequence[int | None]]) -> Any:
    """Run a rule of lists of values on batches; the lists it returns have their batch axes in front."""
    def example(x: Any, axis: int | None) -> Any:
        if axis is None or x is zero:
            return x
        return Linear(unbatched_type(x.type, axis)) if type(x) is Linear else BatchTracer(trace, x, axis)

    with running(BatchTrace(context.trace, size)) as trace:
        found = rule(*[[example(x, a) for x, a in zip(*each, strict=True)] for each in zip(lists, axes, strict=True)])
        return [in_front(size, *trace.split(each)) for each in found]


def in_front(size: int, values: Sequence[Any], axes: Sequence[int | None]) -> list[Any]:
    """Batches with their axes in front; what stands for no value is left alone."""
    return [x if x is zero or x is None else place_axis(x, size, a, 0) for x, a in zip(values, axes, strict=True)]


def _batch(op: Op, size: int, args: Sequence[Any], axes: Sequence[int | None], *, call_jaxpr: Any, num_consts: int,
           name: str, vmap: Rule | None = None, lowering: Rule | None = None, **rules: Any) -> Any:
    own_axes = tuple(axes[num_consts:])
    if vmap is not None and all(axis is None for axis in axes[:num_consts]):
        if not rules:
            return vmap(size, own_axes, args[num_consts:])
        function: Any = lambda *xs: in_front(size, *vmap(size, own_axes, xs[num_consts:]))  # noqa: E731
    elif isinstance(call_jaxpr, Jaxpr):
        function = batch_program(call_jaxpr, size, tuple(axes), (True,) * len(call_jaxpr.outvars))[0]
    else:
        function = lambda *xs: batch_lists(lambda ys: (call_jaxpr(*ys),), size, (xs,), (axes,))[0]  # noqa: E731
    moved = {kind: rule if kind == "linear" else Batched(kind, rule, size, own_axes) for kind, rule in rules.items()}
    outs = bind_custom(op, function, args[:num_consts], args[num_consts:], name=name, **moved)
    return outs, (0,) * len(outs)


# ---- the ops ----

def custom_op(name: str) -> Op:
    """An op of functions with rules; the name says which rule was given first."""
    op = CustomOp(name, **runs("call_jaxpr"), traits={"custom"})
    op.jvp, op.linearize, op.transpose, op.batch = [functools.partial(rule, op)
                                                    for rule in (_jvp, _linearize, _transpose, _batch)]
    run_by_python[op] = lambda args, params: tuple(run(params["call_jaxpr"], *args))
    return op


custom_p, custom_jvp_p, custom_vjp_p, custom_vmap_p, custom_transpose_p = [
    custom_op(f"custom_{kind}call") for kind in ("", "jvp_", "vjp_", "vmap_", "transpose_")]
custom_vjp_p.traits |= {"reverse only"}


# ---- the linear half of a reverse rule: it exists to be transposed ----

def _by_reverse(push: Rule, op: Op, name: str, args: Sequence[Any], tangents: Sequence[Any], *, fwd: Rule, bwd: Rule,
                **rules: Any) -> Any:
    outs, residuals = fwd(args, nonzero(tangents))
    return outs, push(*residuals, *present(tangents), name=name, bwd=bwd, present=nonzero(tangents),
                      residuals=len(residuals), out_types=tuple([typeof(x) for x in outs]),
                      forward=op is not custom_vjp_p)


def push_back(*args: Any, name: str, bwd: Rule, present: Mask, residuals: int, out_types: Any, forward: bool) -> Any:
    """J t from the rule for ct -> J^T ct: the transpose of the transpose."""
    if not forward:
        raise MinijaxTypeError("jvp of a custom_vjp function: it has a reverse rule only. "
                               "Use grad or vjp, or give the function a rule with custom_jvp.")
    tangents, smooth = spread(present, args[residuals:]), [t.differentiable for t in out_types]
    pairs: list[Any] = []

    def pull(*cts: Any) -> list[Any]:
        found = bwd(args[:residuals], spread(smooth, cts))
        pairs[:] = [(ct, t) for ct, t in zip(found, tangents, strict=True) if ct is not zero and t is not zero]
        return [ct for ct, _ in pairs]

    program = stage(pull, [t for t in out_types if t.differentiable])
    return spread(smooth, transpose_values(program, [Linear(v.type) for v in program.invars], [t for _, t in pairs]))


def _linear_eval(*args: Any, out_types: Any, **params: Any) -> Any:
    found = push_back(*args, out_types=out_types, **params)
    return [zeros_of(t) if x is zero else x for x, t in zip(found, out_types, strict=True)]


def _linear_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    return jvp_flat(lambda *xs: _linear_eval(*xs, **params), primals, tangents)


def _linear_transpose(cts: Sequence[Any], *args: Any, bwd: Rule, present: Mask, residuals: int,
                      **params: Any) -> list[Any]:
    if any(isinstance(x, Linear) for x in args[:residuals]):
        raise NonlinearError("A rule for reverse mode is linear in cotangents alone, not in what its fwd rule saved.")
    _, wanted = partition_list(present, bwd(args[:residuals], cts))
    linear = [ct if isinstance(x, Linear) else None for ct, x in zip(wanted, args[residuals:], strict=True)]
    return [None] * residuals + linear


def _linear_batch(size: int, args: Any, axes: Any, *, bwd: Rule, present: Any, residuals: int, out_types: Any,
                  **params: Any) -> Any:
    own_axes = tuple(merge_lists(present, [None] * present.count(False), axes[residuals:]))
    types = tuple([batched_type(t, size) for t in out_types])
    outs = custom_vjp_linear_p.bind(
        *in_front(size, args[:residuals], axes[:residuals]), *args[residuals:], bwd=Batched("bwd", bwd, size, own_axes),
        present=present, residuals=residuals, out_types=types, **params)
    return outs, (0,) * len(outs)


custom_vjp_linear_p = CustomOp(
    "custom_vjp_linear", type=lambda *types, out_types, **params: out_types, eval=_linear_eval, jvp=_linear_jvp,
    transpose=_linear_transpose, batch=_linear_batch, undeclared=("cost",), traits={"custom"})
run_by_python[custom_vjp_linear_p] = lambda args, params: tuple(_linear_eval(*args, **params))
