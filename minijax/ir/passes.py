"""Passes: functions from a program to a program that computes the same.

They read the traits of ops, never their names: 'call' (the op runs the program
in its parameter `jaxpr` on its inputs, and no other parameter depends on how many
there are), 'fence' (a call that `inline` leaves alone), 'commutative' (the two inputs may
be swapped), 'identity' (the result is the input), 'host' (calls Python when the program
runs, not before).  Equations keep their source, origin and order; effectful ones stay.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

from minijax.config import state
from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Source, Var
from minijax.ir.walk import bottom_up, map_held

T = TypeVar("T")
Pass = Callable[..., Jaxpr]
Hook = Callable[[str, Jaxpr, Jaxpr], None]
_hooks: ContextVar[tuple[Hook, ...]] = ContextVar("pass_hooks", default=())


def print_pass(name: str, before: Jaxpr, after: Jaxpr) -> None:
    """The hook that prints every result."""
    print(f"# {name}: {len(before.eqns)} equations, then {len(after.eqns)}\n{after}")


@contextlib.contextmanager
def trace_passes(hook: Hook = print_pass) -> Iterator[None]:
    """While the context lasts, call `hook(name, before, after)` after every pass; prints by default."""
    token = _hooks.set((*_hooks.get(), hook))
    try:
        yield
    finally:
        _hooks.reset(token)


def program_pass(name: str) -> Callable[[Pass], Pass]:
    """Make a function Jaxpr -> Jaxpr a pass: named, shown to hooks, and checked if `config.check` is on.

    >>> @program_pass("nothing")
    ... def nothing(jaxpr): return jaxpr
    >>> nothing(Jaxpr((), (), (), (), ()))
    { lambda ; . let
      in () }
    """
    def decorate(function: Pass) -> Pass:
        @functools.wraps(function)
        def run(jaxpr: Jaxpr, *args: Any, **options: Any) -> Jaxpr:
            result = function(jaxpr, *args, **options)
            for hook in _hooks.get():
                hook(name, jaxpr, result)
            return check_jaxpr(result) if state.check else result

        return run

    return decorate


# Dead code

Mask = tuple[bool, ...]


@program_pass("dce")
def dce(jaxpr: Jaxpr, used_outputs: Sequence[bool] | None = None) -> Jaxpr:
    """Drop equations whose results nobody reads, and results that `used_outputs` masks out.

    Called programs lose the inputs and results that they do not need; `jaxpr` keeps its inputs.
    """
    used = (True,) * len(jaxpr.outvars) if used_outputs is None else tuple(map(bool, used_outputs))
    return _live_part(jaxpr, used, {})[0]


def _live_part(program: Jaxpr, used: Mask, done: dict[Any, tuple[Jaxpr, Mask]]) -> tuple[Jaxpr, Mask]:
    """The program with the used results only, and which of its inputs that reads."""
    key = id(program), used
    if key not in done:
        outvars = _select(used, program.outvars)
        live: set[Atom] = set(outvars)
        eqns: list[Equation] = []
        for eqn in reversed(program.eqns):
            mask = tuple(var in live for var in eqn.outvars)
            if any(mask) or eqn.op.effects_of(eqn.params):
                eqns.append(_live_equation(eqn, mask, done))
                live.update(eqns[-1].inputs)
        read = [var in live for var in program.constvars]
        result = program.replace(constvars=_select(read, program.constvars), consts=_select(read, program.consts),
                                 eqns=eqns[::-1], outvars=outvars)
        same = all(used) and all(read) and result.eqns == program.eqns
        done[key] = program if same else result, tuple(var in live for var in program.invars)
    return done[key]


def _live_equation(eqn: Equation, used: Mask, done: dict[Any, tuple[Jaxpr, Mask]]) -> Equation:
    def live(program: Jaxpr, used: Mask) -> tuple[Jaxpr, Mask]:
        return _live_part(program, used, done)

    if eqn.op.dce is not None:
        needed, kept, params = eqn.op.dce(used, live, **eqn.params)
    elif "call" in eqn.op.traits:
        body, needed = live(eqn.params["jaxpr"], used)
        if not all(needed):
            key = id(body), "inputs", needed
            body, _ = done.setdefault(key, (body.replace(invars=_select(needed, body.invars)), needed))
        kept, params = used, {**eqn.params, "jaxpr": body}
    else:
        return map_held(eqn, lambda program: live(program, (True,) * len(program.outvars))[0])
    if all(kept) and all(needed) and all(params[name] is value for name, value in eqn.params.items()):
        return eqn
    return eqn.replace(inputs=_select(needed, eqn.inputs), outvars=_select(kept, eqn.outvars), params=params)


def _select(mask: Sequence[bool], items: Sequence[T]) -> tuple[T, ...]:
    return tuple(item for item, keep in zip(items, mask, strict=True) if keep)


# Rewriting: passes that walk forward, replace equations, and read variables as earlier atoms

Env = dict[Var, Atom]
Consts = dict[Var, Any]
Visit = Callable[[Equation, Env, Consts], Iterable[Equation]]


def read(env: Env, atom: Atom) -> Atom:
    return env.get(atom, atom) if isinstance(atom, Var) else atom


def _with_inputs(eqn: Equation, env: Env) -> Equation:
    inputs = tuple(read(env, x) for x in eqn.inputs)
    same = all(new is old for new, old in zip(inputs, eqn.inputs, strict=True))
    return eqn if same else eqn.replace(inputs=inputs)


def rewrite(program: Jaxpr, visit: Visit) -> Jaxpr:
    """The equations that `visit` gives for each; it sees replaced inputs, and may extend `env` and `consts`."""
    env: Env = {}
    consts: Consts = dict(zip(program.constvars, program.consts, strict=True))
    eqns = tuple(new for eqn in program.eqns for new in visit(_with_inputs(eqn, env), env, consts))
    if not env and eqns == program.eqns:
        return program
    return program.replace(constvars=consts, consts=consts.values(), eqns=eqns,
                           outvars=[read(env, x) for x in program.outvars])


# Inlining


@program_pass("inline")
def inline(jaxpr: Jaxpr, when: Callable[[Equation], bool] = lambda eqn: "fence" not in eqn.op.traits) -> Jaxpr:
    """Replace calls by the equations of the programs they call, where `when(equation)` is true."""
    return bottom_up(jaxpr, lambda program: _inline(program, when))


def _inline(program: Jaxpr, when: Callable[[Equation], bool]) -> Jaxpr:
    shared: dict[Var, Var] = {}  # the constants of a program that is called twice are named once

    def visit(eqn: Equation, env: Env, consts: Consts) -> Iterable[Equation]:
        if "call" not in eqn.op.traits or not when(eqn):
            return [eqn]
        body: Jaxpr = eqn.params["jaxpr"]
        inner: Env = dict(zip(body.invars, eqn.inputs, strict=True))
        for var, const in zip(body.constvars, body.consts, strict=True):
            inner[var] = new = shared.setdefault(var, Var(var.type))
            consts[new] = const
        eqns = [_copy(each, inner, eqn.source) for each in body.eqns]
        env.update((var, read(inner, x)) for var, x in zip(eqn.outvars, body.outvars, strict=True))
        return eqns

    return rewrite(program, visit)


def _copy(eqn: Equation, env: Env, source: Source | None) -> Equation:
    """The equation over the variables in `env`, with new results."""
    outvars = tuple(Var(var.type) for var in eqn.outvars)
    copy = _with_inputs(eqn, env).replace(outvars=outvars, source=eqn.source or source)
    env.update(zip(eqn.outvars, outvars, strict=True))
    return copy
