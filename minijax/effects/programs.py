"""Programs with effects, made pure: what a handler knows goes in, what it must learn comes out.

    pure(program):  constant, stepwise, inputs, carried  ->  results, emitted, carried

One form for each op that holds programs says where these go: into the constants, the steps and the carries of a
loop, into every branch of a cond.  A program that creates something (a parameter met for the first time) has no
pure form yet: a call is then run equation by equation, a scan runs its first step so, and of branches and of a
`while` what they create is created before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minijax.calls.checkpoint import checkpoint_p
from minijax.calls.cond import cond_p
from minijax.calls.jit import jit_p
from minijax.calls.masks import regrouped
from minijax.calls.scan import CARRY, CONST, STEP, bind_scan, kinds_of, scan_p
from minijax.calls.while_loop import while_p
from minijax.effects import ops
from minijax.effects.handler import Handler, Plan, Values, current, form
from minijax.errors import UnhandledEffectError
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import lift_constants, stage
from minijax.ir.jaxpr import Equation, Jaxpr, Source, Var, held_programs, kept
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops.families import broadcast_axis, reshape
from minijax.ops.slicing import slice_
from minijax.ops.structural import concatenate, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.context import running
from minijax.tracing.source import at_line
from minijax.util import split_list

EFFECT_OPS = frozenset({ops.parameter_p, ops.get_state_p, ops.set_state_p, ops.next_keys_p, ops.reserve_keys_p,
                        ops.module_p, ops.tap_p})


class Use(NamedTuple):
    """One equation with an effect: its op, parameters, number of inputs, line, and the types of what it gives or sets.

    The type of a tap is the one seen from outside: in the body of a scan its values are stacked.
    """

    op: Op
    params: dict[str, Any]
    inputs: int
    source: Source | None
    types: tuple[ArrayType, ...]


@kept
def uses(jaxpr: Jaxpr) -> tuple[Use, ...]:
    """The equations with effects of a program and of the programs that it holds, in their order."""
    return tuple([use for eqn in jaxpr.eqns for use in uses_of(eqn)])


def uses_of(eqn: Equation) -> list[Use]:
    """The uses of one equation."""
    if eqn.op in EFFECT_OPS:
        values, init = eqn.inputs if eqn.op is ops.set_state_p else eqn.outvars, eqn.params.get("init")
        return [*(uses(init) if init is not None else ()),
                Use(eqn.op, eqn.params, len(eqn.inputs), eqn.source, tuple([x.type for x in values]))]
    found = [use for program in held_programs(eqn.params) for use in uses(program)]
    if eqn.op is scan_p:
        length = eqn.params["length"]
        found = [use._replace(types=tuple([t.update(shape=(length, *t.shape)) for t in use.types]))
                 if use.op is ops.tap_p else use for use in found]
    return found


@kept
def pure(jaxpr: Jaxpr, kind: type[Handler], plan: Plan, loop: bool) -> Jaxpr:
    """A program that asks nobody: (constant, stepwise, inputs, carried) -> (results, emitted, carried)."""
    def run(*flat: Any) -> list[Any]:
        constant, stepwise, inputs, carried = split_list(
            flat, len(plan.constant), len(plan.stepwise), len(jaxpr.invars))
        inner = kind.inside(plan, Values(constant, stepwise, carried))
        with running(inner):
            outs = run_program(jaxpr, *inputs)
        emitted, carried = inner.results(plan, loop)
        return [*outs, *emitted, *carried]

    types = [*types_of(plan.constant), *types_of(plan.stepwise), *jaxpr.in_types, *types_of(plan.carried)]
    program, captured = lift_constants(stage(run, types, jaxpr.debug_name))
    assert not captured, "a closed program and a handler's inputs capture nothing"
    return program


def types_of(named: Sequence[tuple[Any, ArrayType]]) -> list[ArrayType]:
    """The types of (name, type) pairs."""
    return [type for _, type in named]


def taken(handler: Handler, plan: Plan, count: int, outs: Sequence[Any]) -> Sequence[Any]:
    """The first `count` outputs of a pure form; the handler learns the rest."""
    results, emitted, carried = split_list(outs, count, len(plan.emitted))
    handler.update(plan, emitted, carried)
    return results


def planned(handler: Handler, programs: Sequence[Jaxpr]) -> Plan:
    """The plan of the bodies of a loop, or of branches; what they create is created first."""
    plan = handler.plan(programs, True)
    if plan is None:
        with current(handler):
            handler.prepare(programs)
        plan = handler.plan(programs, True)
    assert plan is not None, "what the programs create has been created"
    return plan


# ---- the forms ----

@form(jit_p, checkpoint_p)
def _call(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    jaxpr = params["jaxpr"]
    plan = handler.plan((jaxpr,), False)
    if plan is None:
        with current(handler):
            return run_program(jaxpr, *args)
    given = handler.values(plan)
    outs = handler.pass_on(op, *given.constant, *given.stepwise, *args, *given.carried,
                           **{**params, "jaxpr": pure(jaxpr, type(handler), plan, False)})
    return taken(handler, plan, len(jaxpr.outvars), outs)


@form(ops.parameter_p, ops.get_state_p)
def _initialized(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    """The effects of an initializer are answered here: it is run, and what it gives is the initial value."""
    with current(handler):
        values = run_program(params["init"], *args)
    same = [Var(typeof(value)) for value in values]
    return handler.pass_on(op, *values, **{**params, "init": Jaxpr((), (), same, (), same)})


@form(cond_p)
def _cond(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    branches = params["branches"]
    plan = planned(handler, branches)
    given, (index, *operands) = handler.values(plan), args
    programs = tuple([pure(branch, type(handler), plan, True) for branch in branches])
    outs = handler.pass_on(op, index, *given.constant, *given.stepwise, *operands, *given.carried, branches=programs)
    return taken(handler, plan, len(branches[0].outvars), outs)


@form(scan_p)
def _scan(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    jaxpr, num_consts, num_carry = params["jaxpr"], params["num_consts"], params["num_carry"]
    plan = handler.plan((jaxpr,), True)
    if plan is None and params["length"]:
        with current(handler):
            return first_step_apart(args, **params)
    plan = planned(handler, (jaxpr,))
    given, (ins, outs) = handler.values(plan, (params["length"],)), kinds_of(jaxpr, num_consts, num_carry)
    loop = {name: value for name, value in params.items() if name not in ("jaxpr", "num_consts", "num_carry")}
    program, states = pure(jaxpr, type(handler), plan, True), [CARRY] * len(plan.carried)
    with current(handler.parent):
        found = bind_scan(
            program, [*given.constant, *given.stepwise, *args, *given.carried],
            [*[CONST] * len(plan.constant), *[STEP] * len(plan.stepwise), *ins, *states],
            [*outs, *[STEP] * len(plan.emitted), *states], **loop)
    return taken(handler, plan, len(outs), found)


def first_step_apart(args: Sequence[Any], *, jaxpr: Jaxpr, length: int, reverse: bool, num_consts: int, num_carry: int,
                     **loop: Any) -> list[Any]:
    """A scan whose first step is run by itself: it creates what the other steps find."""
    consts, carry, xs = split_list(args, num_consts, num_carry)
    first, rest = (length - 1, (0, length - 1)) if reverse else (0, (1, length))
    step = [reshape(rows(x, first, first + 1), typeof(x).shape[1:]) for x in xs]
    carry, y = split_list(run_program(jaxpr, *consts, *carry, *step), num_carry)
    ys = [broadcast_axis(part, 1, 0) for part in y]
    if length == 1:
        return [*carry, *ys]
    outs = scan_p.bind(*consts, *carry, *[rows(x, *rest) for x in xs], jaxpr=jaxpr, length=length - 1,
                       reverse=reverse, num_consts=num_consts, num_carry=num_carry, **loop)
    carry, others = split_list(outs, num_carry)
    pairs = [(other, own) if reverse else (own, other) for own, other in zip(ys, others, strict=True)]
    return [*carry, *[concatenate(pair, 0) for pair in pairs]]


def rows(x: Any, start: int, limit: int) -> Any:
    """Some of the steps of a stack."""
    return slice_(x, (start, *[0] * (typeof(x).ndim - 1)), (limit, *typeof(x).shape[1:]))


@form(while_p)
def _while(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    cond, body, cond_nconsts = params["cond_jaxpr"], params["body_jaxpr"], params["cond_nconsts"]
    of_cond, plan = planned(handler, (cond,)), planned(handler, (body,))
    if of_cond.carried or of_cond.emitted or plan.stepwise or of_cond.stepwise:
        names = ", ".join(dict.fromkeys(str(name) for name, _ in (*of_cond.carried, *of_cond.emitted, *plan.stepwise)))
        raise UnhandledEffectError(
            f"while_loop: {names}{at_line()} can neither change in the condition of a loop, nor be perturbed in its "
            "body: how often it runs is not known. Move it out of the condition, or use scan.")
    reads, given, count = handler.values(of_cond).constant, handler.values(plan), len(body.outvars)
    cond_consts, body_consts, carry = split_list(args, cond_nconsts, params["body_nconsts"])
    last = [zeros_of(type) for type in types_of(plan.emitted)]  # of what the body emits, the last round's is kept
    program = pure(body, type(handler), plan, True)
    ins = [*range(len(program.invars) - len(given.carried)),
           *types_of(plan.emitted), *range(len(program.invars) - len(given.carried), len(program.invars))]
    test = pure(cond, type(handler), of_cond, True)
    unread = (*types_of(plan.emitted), *types_of(plan.carried))
    outs = handler.pass_on(
        op, *reads, *cond_consts, *given.constant, *body_consts, *carry, *last, *given.carried,
        **{**params, "cond_nconsts": len(reads) + cond_nconsts, "body_nconsts": len(given.constant) + len(body_consts),
           "cond_jaxpr": regrouped(test, (*range(len(test.invars)), *unread), (0,)),
           "body_jaxpr": regrouped(program, tuple(ins), tuple(range(len(program.outvars))))})
    return taken(handler, plan, count, outs)
