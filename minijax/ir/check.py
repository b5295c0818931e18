"""The checker: whether a program keeps the rules of the IR.

    every variable is bound once, before it is read
    the results of an equation have the types that its op infers from its inputs
    constants have the types of their variables; called programs fit their inputs

It runs after every transform and pass while `config.check` is on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from minijax.errors import JaxprCheckError
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from minijax.ir.text import format_excerpt
from minijax.ir.types import ArrayType, const_type
from minijax.ir.walk import all_programs


def check_jaxpr(jaxpr: Jaxpr) -> Jaxpr:
    """Check `jaxpr` and every program that it holds; returns it.

    Raises `JaxprCheckError`, which shows the guilty equation.

    >>> from minijax.ir import dtypes
    >>> check_jaxpr(Jaxpr((), (), (), (), (Var(ArrayType((), dtypes.float32)),)))
    Traceback (most recent call last):
    minijax.errors.JaxprCheckError: The variable read as result 0 is not bound by anything before it.
    { lambda ; . let
      in (a,) }
      ^^^^^^^^^
    """
    for program in all_programs(jaxpr):
        for index, problem in _problems(program):
            source = None if index is None else program.eqns[index].source
            where = "" if source is None else f" at {source!r}"
            raise JaxprCheckError(f"{problem}{where}\n{format_excerpt(program, index)}")
    return jaxpr


def _problems(program: Jaxpr) -> Iterator[tuple[int | None, str]]:
    """What is wrong, each with the number of its equation.  What follows the first takes it for granted: stop there."""
    bound: set[Var] = set()
    for problem in chain(_constants(program), _bind((*program.constvars, *program.invars), bound)):
        yield None, problem
    for index, eqn in enumerate(program.eqns):
        for problem in chain(_reads(eqn.inputs, bound, "input"), _call(eqn), _types(eqn), _bind(eqn.outvars, bound)):
            yield index, problem
    for problem in _reads(program.outvars, bound, "result"):
        yield None, problem


def _constants(program: Jaxpr) -> Iterator[str]:
    if len(program.constvars) != len(program.consts):
        yield f"The program names {len(program.constvars)} constants and has {len(program.consts)}."
    for number, (var, const) in enumerate(zip(program.constvars, program.consts, strict=True)):
        type = const_type(const)
        if (type.shape, type.dtype) != (var.type.shape, var.type.dtype):
            yield f"Constant {number} is of type {type!r}, its variable of type {var.type!r}."


def _bind(vars: Iterable[Var], bound: set[Var]) -> Iterator[str]:
    for var in vars:
        if var in bound:
            yield "A variable is bound twice; give each result a new Var."
        bound.add(var)


def _reads(atoms: Iterable[Atom], bound: set[Var], role: str) -> Iterator[str]:
    for number, atom in enumerate(atoms):
        if isinstance(atom, Var) and atom not in bound:
            yield f"The variable read as {role} {number} is not bound by anything before it."


def _call(eqn: Equation) -> Iterator[str]:
    if "call" in eqn.op.traits:
        body, types = eqn.params.get("jaxpr"), [atom.type for atom in eqn.inputs]
        if not isinstance(body, Jaxpr):
            yield f"The op '{eqn.op}' calls a program; its parameter `jaxpr` is {body!r}."
        elif len(types) != len(body.invars) or not all(map(ArrayType.matches, types, body.in_types)):
            yield f"The called program takes {_list(body.in_types)}; the equation gives {_list(types)}."


def _types(eqn: Equation) -> Iterator[str]:
    types = tuple(atom.type for atom in eqn.inputs)
    given = tuple(var.type for var in eqn.outvars)
    try:
        inferred = eqn.op.infer(types, eqn.params)
    except Exception as error:  # a type rule may fail in any way on parameters that make no sense
        yield f"The op '{eqn.op}' refuses inputs {_list(types)}: {type(error).__name__}: {error}"
    else:
        if given != inferred:
            yield (f"The op '{eqn.op}' makes results {_list(inferred)} of these inputs; "
                   f"the equation says {_list(given)}.")


def _list(types: Iterable[ArrayType]) -> str:
    return f"({', '.join(map(repr, types))})"
