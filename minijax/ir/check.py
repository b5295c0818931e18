"""The checker: whether a program keeps the rules of the IR.

    every variable is bound once, before it is read
    the results of an equation have the types that its op infers from its inputs
    constants have the types of their variables; called programs fit their inputs

It runs after every transform and pass while `config.check` is on.
"""

from __future__ import annotations

from collections.abc import Iterable

from minijax.errors import JaxprCheckError
from minijax.ir.constants import const_type
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from minijax.ir.text import format_excerpt
from minijax.ir.types import ArrayType
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
        bound: set[Var] = set()
        problem = _constants_problem(program) or _binding_problem((*program.constvars, *program.invars), bound)
        if problem:
            raise _error(program, None, problem)
        for index, eqn in enumerate(program.eqns):
            problem = _equation_problem(eqn, bound) or _binding_problem(eqn.outvars, bound)
            if problem:
                raise _error(program, index, problem)
        problem = _reading_problem(program.outvars, bound, "result")
        if problem:
            raise _error(program, None, problem)
    return jaxpr


def _error(program: Jaxpr, index: int | None, problem: str) -> JaxprCheckError:
    source = None if index is None else program.eqns[index].source
    where = f" at {source!r}" if source is not None else ""
    return JaxprCheckError(f"{problem}{where}\n{format_excerpt(program, index)}")


def _constants_problem(program: Jaxpr) -> str | None:
    if len(program.constvars) != len(program.consts):
        return f"The program names {len(program.constvars)} constants and has {len(program.consts)}."
    for number, (var, const) in enumerate(zip(program.constvars, program.consts, strict=True)):
        type = const_type(const)
        if (type.shape, type.dtype) != (var.type.shape, var.type.dtype):
            return f"Constant {number} is of type {type!r}, its variable of type {var.type!r}."
    return None


def _binding_problem(vars: Iterable[Var], bound: set[Var]) -> str | None:
    for var in vars:
        if var in bound:
            return "A variable is bound twice; give each result a new Var."
        bound.add(var)
    return None


def _reading_problem(atoms: Iterable[Atom], bound: set[Var], role: str) -> str | None:
    for number, atom in enumerate(atoms):
        if isinstance(atom, Var) and atom not in bound:
            return f"The variable read as {role} {number} is not bound by anything before it."
    return None


def _equation_problem(eqn: Equation, bound: set[Var]) -> str | None:
    problem = _reading_problem(eqn.inputs, bound, "input") or _call_problem(eqn)
    if problem:
        return problem
    types = tuple(atom.type for atom in eqn.inputs)
    try:
        inferred = eqn.op.infer(types, eqn.params)
    except Exception as error:  # a type rule may fail in any way on parameters that make no sense
        return f"The op '{eqn.op}' refuses inputs {_list(types)}: {type(error).__name__}: {error}"
    found = tuple(var.type for var in eqn.outvars)
    if found == inferred:
        return None
    return f"The op '{eqn.op}' makes results {_list(inferred)} of these inputs; the equation says {_list(found)}."


def _call_problem(eqn: Equation) -> str | None:
    if "call" not in eqn.op.traits:
        return None
    body = eqn.params.get("jaxpr")
    if not isinstance(body, Jaxpr):
        return f"The op '{eqn.op}' calls a program; its parameter `jaxpr` is {body!r}."
    types = tuple(atom.type for atom in eqn.inputs)
    if len(types) == len(body.invars) and all(t.matches(v.type) for t, v in zip(types, body.invars, strict=True)):
        return None
    return f"The called program takes {_list(body.in_types)}; the equation gives {_list(types)}."


def _list(types: tuple[ArrayType, ...]) -> str:
    return f"({', '.join(map(repr, types))})"
