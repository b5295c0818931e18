"""Programs as JSON, constants and source lines included.

A document is a flat list of programs, each before those that hold it, the main
one last; shared programs stay shared.  The rules of custom functions are programs of
the list too, wherever they stand, so that a rule may call its own function.  A variable is its number in order of
binding; types, literals and parameters are text in the notation of `ir/README.md`,
with `@3` for program 3 of the list.  Reading runs nothing, and checks the result.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from minijax.custom_rules.storage import RulePrograms, StoredRule, revive
from minijax.errors import JaxprSyntaxError, MinijaxValueError
from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from minijax.ir.scalars import write_literal
from minijax.ir.text import Printer, opaque_text
from minijax.language.constants import const_bytes, const_from_bytes
from minijax.language.parse import parse_value, read_op, read_type
from minijax.language.scalars import read_literal

VERSION = 1


class SavedSource:
    """Where a piece of user code was, in a program that was loaded."""

    __slots__ = ("file", "line", "function")

    def __init__(self, file: str, line: int, function: str) -> None:
        self.file, self.line, self.function = str(file), int(line), str(function)

    def __repr__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"


def to_json(jaxpr: Jaxpr) -> str:
    """The program as a JSON document.

    Raises `MinijaxValueError` if a parameter holds a callable or another object without notation.
    """
    rules = RulePrograms(jaxpr)
    numbers = {key: f"@{number}" for number, key in enumerate(rules.programs)}
    printer = Printer(numbers, opaque=_refuse)
    programs = [_save_program(program, printer, rules) for program in rules.programs.values()]
    return json.dumps({"format": "minijax", "version": VERSION, "programs": programs}, allow_nan=False)


def from_json(text: str) -> Jaxpr:
    """The program of a JSON document; raises `JaxprSyntaxError` or `JaxprCheckError`.

    >>> print(from_json(to_json(Jaxpr((), (), (), (), ()))))
    { lambda ; . let
      in () }
    """
    try:
        return check_jaxpr(_load(json.loads(text)))
    except json.JSONDecodeError as error:
        raise JaxprSyntaxError(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from None
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise JaxprSyntaxError(f"line 1, column 1: this is no saved program: {type(error).__name__}: "
                               f"{str(error)[:200]}") from None


def _load(document: Any) -> Jaxpr:
    if document["format"] != "minijax" or document["version"] != VERSION:
        raise ValueError(f"format {document['format']!r}, version {document['version']!r}; "
                         f"this minijax reads version {VERSION}")
    programs: list[Jaxpr] = []
    for saved in document["programs"]:
        programs.append(_load_program(saved, programs))
    for program in revive(programs):
        check_jaxpr(program)
    return programs[-1]


def _save_program(program: Jaxpr, values: Printer, rules: RulePrograms) -> dict[str, Any]:
    bound = [*program.constvars, *program.invars, *(var for eqn in program.eqns for var in eqn.outvars)]
    numbers = {var: number for number, var in enumerate(bound)}

    def atom(x: Atom) -> Any:
        return numbers[x] if isinstance(x, Var) else write_literal(x)

    return {
        "name": program.debug_name,
        "constants": [{"type": repr(var.type), "bytes": base64.b64encode(const_bytes(const)).decode()}
                      for var, const in zip(program.constvars, program.consts, strict=True)],
        "inputs": [repr(var.type) for var in program.invars],
        "equations": [_save_equation(eqn, atom, values, rules) for eqn in program.eqns],
        "results": [atom(x) for x in program.outvars],
    }


def _load_program(saved: dict[str, Any], programs: list[Jaxpr]) -> Jaxpr:
    env: list[Var] = []

    def bind(types: list[str]) -> list[Var]:
        env.extend(made := [Var(read_type(type)) for type in types])
        return made

    constvars = bind([const["type"] for const in saved["constants"]])
    consts = [const_from_bytes(var.type, base64.b64decode(const["bytes"], validate=True))
              for var, const in zip(constvars, saved["constants"], strict=True)]
    invars = bind(saved["inputs"])
    eqns = []
    for each in saved["equations"]:
        inputs = tuple(_load_atom(x, env) for x in each["inputs"])
        params = {name: parse_value(text, programs) for name, text in each["params"].items()}
        for kind, (name, place) in each.get("rules", {}).items():
            params[kind] = StoredRule(str(name), programs, int(place[1:]))
        source: Any = SavedSource(*each["source"]) if "source" in each else None
        eqns.append(Equation(read_op(each["op"]), inputs, bind(each["results"]), params, source))
    return Jaxpr(constvars, consts, invars, eqns, [_load_atom(x, env) for x in saved["results"]], str(saved["name"]))


def _save_equation(eqn: Equation, atom: Callable[[Atom], Any], values: Printer,
                   rules: RulePrograms) -> dict[str, Any]:
    held = rules.of_equation(eqn)
    saved = {"op": eqn.op.name, "inputs": [atom(x) for x in eqn.inputs],
             "results": [repr(var.type) for var in eqn.outvars],
             "params": {name: values.value(value) for name, value in eqn.params.items() if name not in held}}
    if held:
        saved["rules"] = {kind: [eqn.params[kind].__name__, values.held[id(rule)]] for kind, rule in held.items()}
    if eqn.source is not None:
        saved["source"] = [eqn.source.file, eqn.source.line, eqn.source.function]
    return saved


def _load_atom(saved: Any, env: list[Var]) -> Atom:
    if type(saved) is int and saved >= 0:
        return env[saved]
    number, _, type_text = saved.partition(":")
    return read_literal(number, read_type(type_text))


def _refuse(value: Any) -> str:
    raise MinijaxValueError(f"{opaque_text(value)} cannot be saved: it is a Python object, not data. "
                            "Take it out of the program, or register its class with `register_named`.")
