"""Walking over the programs that a program holds, without recursion.

`all_programs` lists them inner first, each once; passes, the printer and the
checker go through that list, so that depth costs no Python stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minijax.ir.jaxpr import Equation, Jaxpr, held_programs


def all_programs(jaxpr: Jaxpr) -> list[Jaxpr]:
    """Every program inside `jaxpr` and itself: held ones before their holder, shared ones once.

    >>> program = Jaxpr((), (), (), (), ())
    >>> all_programs(program) == [program]
    True
    """
    order: list[Jaxpr] = []
    seen: set[int] = set()
    stack = [(jaxpr, False)]
    while stack:
        program, finished = stack.pop()
        if finished:
            order.append(program)
        elif id(program) not in seen:
            seen.add(id(program))
            stack.append((program, True))
            stack += [(inner, False) for eqn in program.eqns if eqn.params for inner in held_programs(eqn.params)]
    return order


def ordered_params(params: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Parameters in the order they are printed: by name, those that hold programs last."""
    return sorted(params.items(), key=lambda item: (any(held_programs({"": item[1]})), item[0]))


def map_held(eqn: Equation, change: Callable[[Jaxpr], Jaxpr]) -> Equation:
    """`eqn` with each program it holds changed; `eqn` itself if none is."""
    if not any(change(program) is not program for program in held_programs(eqn.params)):
        return eqn

    def changed(value: Any) -> Any:
        if type(value) is tuple:
            return tuple(change(item) if isinstance(item, Jaxpr) else item for item in value)
        return change(value) if isinstance(value, Jaxpr) else value

    return eqn.replace(params={name: changed(value) for name, value in eqn.params.items()})


def bottom_up(jaxpr: Jaxpr, rewrite: Callable[[Jaxpr], Jaxpr]) -> Jaxpr:
    """Apply `rewrite` to every program inside `jaxpr`, inner first, then to `jaxpr` itself.

    `rewrite` must keep the types of inputs and results.
    """
    done: dict[int, Jaxpr] = {}
    for program in all_programs(jaxpr):
        eqns = [map_held(eqn, lambda p: done[id(p)]) if eqn.params else eqn for eqn in program.eqns]
        same = all(new is old for new, old in zip(eqns, program.eqns, strict=True))
        done[id(program)] = rewrite(program if same else program.replace(eqns=eqns))
    return done[id(jaxpr)]
