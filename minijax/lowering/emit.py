"""From a program to XLA: run its equations with `jax.lax` while JAX traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from minijax.config import state
from minijax.errors import UnhandledEffectError
from minijax.ir.jaxpr import Atom, Jaxpr, Literal
from minijax.lowering.table import apply_rule, rules
from minijax.lowering.values import bare, to_device


def emit(jaxpr: Jaxpr, args: Sequence[Any]) -> list[Any]:
    """The program's results as JAX values, for inputs that are JAX values."""
    check_effects(jaxpr)
    env: dict[Any, Any] = {v: bare(c) for v, c in zip(jaxpr.constvars, jaxpr.consts, strict=True)}
    env.update(zip(jaxpr.invars, args, strict=True))

    def read(atom: Atom) -> Any:
        return to_device(atom.value) if type(atom) is Literal else env[atom]

    for eqn in jaxpr.eqns:
        outs = apply_rule(eqn.op, [read(atom) for atom in eqn.inputs], eqn.params)
        env.update(zip(eqn.outvars, outs, strict=True))
    return [jax.numpy.asarray(read(a)) if type(a) is Literal else env[a] for a in jaxpr.outvars]


def check_effects(jaxpr: Jaxpr) -> None:
    """Refuse a program with an effect that nobody handled and that has no lowering, naming its line."""
    for eqn in jaxpr.eqns:
        for effect in eqn.op.effects if eqn.op not in rules else ():
            raise UnhandledEffectError(f"The effect '{effect}' of '{eqn.op.name}' at {eqn.source} has no handler. "
                                       "Run the program under the transform that answers it.")


def compiled(jaxpr: Jaxpr, name: str) -> Callable[..., Any]:
    """The program as a jitted JAX function of bare values; kept by the program."""
    key = "compiled", state.token
    return jaxpr.cache.get(key) or jaxpr.cache.setdefault(key, jitted(name, lambda *xs: tuple(emit(jaxpr, xs))))


def jitted(name: str, function: Callable[..., Any], **options: Any) -> Any:
    """A function compiled by JAX under a name."""
    function.__name__ = name
    return jax.jit(function, **options)
