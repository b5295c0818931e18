"""The forms of ops that hold more than a program: functions with rules of their own, and programs on many devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.custom import (custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_linear_p, custom_vjp_p,
                                  custom_vmap_p)
from minijax.calls.shard_map import shard_map_p
from minijax.effects.handler import Handler, Plan, Told, Values, current, form
from minijax.effects.programs import pure, taken, types_of
from minijax.errors import MinijaxTypeError, UnhandledEffectError
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.parallel import on_devices
from minijax.interpreters.stage import lift_constants, stage
from minijax.ir.jaxpr import Jaxpr, Var
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, zero
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import running
from minijax.tracing.source import at_line
from minijax.util import split_list

Rule = Callable[..., Any]


@form(custom_p, custom_jvp_p, custom_vjp_p, custom_vmap_p, custom_transpose_p, custom_vjp_linear_p)
def _custom(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    """A function with rules: what the handler gives becomes arguments, which the rules are not told of."""
    function = params.get("call_jaxpr")
    if function is None or not isinstance(function, Jaxpr) and not any([isinstance(x, Tracer) for x in args]):
        return handler.parent.process(op, tuple(args), params)  # type: ignore[union-attr]
    num_consts = params["num_consts"]
    if not isinstance(function, Jaxpr):
        with current(handler):
            function, captured = lift_constants(stage(function, [typeof(x) for x in args], params["name"]))
        args, num_consts = (*captured, *args), num_consts + len(captured)
    if handler.effects.isdisjoint(function.effects):
        return handler.parent.process(op, tuple(args), {  # type: ignore[union-attr]
            **params, "call_jaxpr": function, "num_consts": num_consts})
    plan = handler.plan((function,), False)
    if plan is None:
        with current(handler):
            outs = run_program(function, *args)
        return handler.pass_on(custom_jvp_p, *outs, call_jaxpr=unchanged(tuple(map(typeof, outs))), num_consts=0,
                               name=params["name"], jvp=unruled(params["name"]))
    given, moved = handler.values(plan), {}
    consts, own = args[:num_consts], args[num_consts:]
    for kind, rule in params.items():
        if kind not in ("call_jaxpr", "num_consts", "name"):
            moved[kind] = told_less(kind, rule, params["name"], type(handler), plan, len(function.outvars))
    program, front = pure(function, type(handler), plan, False), len(plan.constant) + len(plan.stepwise)
    states = program.invars[front + len(args):]
    program = program.replace(invars=[*program.invars[front: front + num_consts], *program.invars[:front], *states,
                                      *program.invars[front + num_consts: front + len(args)]])
    outs = handler.pass_on(op, *consts, *given.constant, *given.stepwise, *given.carried, *own, call_jaxpr=program,
                           num_consts=num_consts, name=params["name"], **moved)
    return taken(handler, plan, len(function.outvars), outs)


@functools.cache
def unchanged(types: tuple[ArrayType, ...]) -> Jaxpr:
    """The program that returns what it is given."""
    same = [Var(type) for type in types]
    return Jaxpr((), (), same, (), same)


@functools.cache
def unruled(name: str) -> Rule:
    """The rule of the results of a function that was run equation by equation, without its rules."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        raise MinijaxTypeError(
            f"The function {name} has rules of its own, and is differentiated where it makes a parameter or a state, "
            f"or gives a state another structure{at_line()}: the rules would not be used. Do so before it is called.")

    return jvp


def told_less(kind: str, rule: Rule, name: str, handler: type[Handler], plan: Plan, count: int) -> Rule:
    """A rule of a function, for the function that takes what a handler gives as arguments too, in front."""
    sizes = len(plan.constant), len(plan.stepwise), len(plan.carried)

    def inside(args: Sequence[Any], moving: Sequence[Any], nothing: Any, run: Rule) -> tuple[Any, Any, list[Any]]:
        *given, own = split_list(args, *sizes)
        if any([t is not nothing for t in moving[:sum(sizes)]]):
            raise MinijaxTypeError(
                f"The function {name} has a derivative rule and reads a parameter or a state that is being "
                f"differentiated, which the rule would ignore{at_line()}. Read it outside, and pass it as argument.")
        inner = handler.inside(plan, Values(*given))
        inner.told = Told(name, plan)
        with running(inner):
            outs, more = run(own, moving[sum(sizes):])
        emitted, carried = inner.results(plan, False)
        return outs, more, [*emitted, *carried]

    def jvp(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        outs, out_tangents, rest = inside(primals, tangents, zero, rule)
        return [*outs, *rest], [*out_tangents, *[zero] * len(rest)]

    def fwd(primals: Sequence[Any], perturbed: Sequence[bool]) -> Any:
        outs, residuals, rest = inside(primals, perturbed, False, rule)
        return [*outs, *rest], residuals

    def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
        return [*[zero] * sum(sizes), *rule(residuals, cts[:count])]

    wrapped = {"jvp": jvp, "fwd": fwd, "bwd": bwd}
    if kind not in wrapped:
        raise UnhandledEffectError(f"The function {name} has a {kind} rule and effects{at_line()}: what they mean "
                                   "under the rule is not known. Leave the effects out of the function.")
    return wrapped[kind]


@form(shard_map_p)
def _shard_map(handler: Handler, op: Op, args: Sequence[Any], params: dict[str, Any]) -> Sequence[Any]:
    """A program on many devices: each is given the whole of what the handler has."""
    jaxpr, in_specs, out_specs = params["jaxpr"], params["in_specs"], params["out_specs"]
    rest = {name: value for name, value in params.items() if name not in ("jaxpr", "in_specs", "out_specs")}
    plan = handler.plan((jaxpr,), True)
    if plan is None:
        with current(handler):
            handler.prepare((jaxpr,), runs=True)
        plan = handler.plan((jaxpr,), True)
    assert plan is not None, "what the program creates has been created"
    changed = [name for name, _ in (*plan.emitted, *plan.carried)]
    if changed and not params["tracked"]:
        raise UnhandledEffectError(
            f"pmap: {', '.join(sorted(set(map(str, changed))))} would change on each device by itself{at_line()}, and "
            "there is one for all. Map init and apply instead: pmap(f.apply, in_axes=...), or use shard_map.")
    with current(handler.parent), on_devices(**rest):
        program = pure(jaxpr, type(handler), plan, True)
    check_shared(plan, program.out_types[len(jaxpr.outvars):])
    given = handler.values(plan)
    whole = [tuple([((),) * type.ndim for type in types_of(part)])
             for part in (plan.constant, plan.stepwise, plan.carried, plan.emitted)]
    outs = handler.pass_on(op, *given.constant, *given.stepwise, *args, *given.carried, jaxpr=program,
                           in_specs=(*whole[0], *whole[1], *in_specs, *whole[2]),
                           out_specs=(*out_specs, *whole[3], *whole[2]), **rest)
    return taken(handler, plan, len(jaxpr.outvars), outs)


def check_shared(plan: Plan, types: Sequence[ArrayType]) -> None:
    """Raise `UnhandledEffectError` for what a program on many devices gives out, if it is not the same on all."""
    names = [*[f"the tap '{name}'" for name, _ in plan.emitted], *[str(name) for name, _ in plan.carried]]
    for name, type in zip(names, types, strict=True):
        if type.varying:
            raise UnhandledEffectError(
                f"shard_map: {name} would differ between the devices along {', '.join(sorted(map(str, type.varying)))}"
                f"{at_line()}, and there is one for all. Reduce it first, with lax.pmean or lax.psum, or make it a "
                "result of the function.")
