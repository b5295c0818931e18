"""Programs as JSON, constants and source lines included.

A document is a flat list of programs, each before those that hold it, the main
one last; shared programs stay shared.  A variable is its number in order of
binding, a literal or a parameter that JSON cannot express is an object with
one key that names its kind.  Reading runs nothing, and checks the result.
"""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.errors import JaxprSyntaxError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.check import check_jaxpr
from minijax.ir.constants import const_bytes, const_from_bytes
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from minijax.ir.parse import read_member, read_op, read_record, read_type
from minijax.ir.scalars import read_literal, write_literal, write_scalar
from minijax.ir.text import field_names, named_classes, opaque_text
from minijax.ir.types import ArrayType
from minijax.ir.walk import all_programs

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
    numbers: dict[int, int] = {}
    programs = []
    for number, program in enumerate(all_programs(jaxpr)):
        programs.append(_save_program(program, numbers))
        numbers[id(program)] = number
    return json.dumps({"format": "minijax", "version": VERSION, "programs": programs}, allow_nan=False)


def from_json(text: str) -> Jaxpr:
    """The program of a JSON document; raises `JaxprSyntaxError` or `JaxprCheckError`.

    >>> p = Jaxpr((), (), (), (), (Literal(1.0),))
    >>> print(from_json(to_json(p)))
    { lambda ; . let
      in (1.0:~f32[],) }
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
    return programs[-1]


def _save_program(program: Jaxpr, programs: dict[int, int]) -> dict[str, Any]:
    bound = [*program.constvars, *program.invars, *(var for eqn in program.eqns for var in eqn.outvars)]
    numbers = {var: number for number, var in enumerate(bound)}

    def atom(x: Atom) -> Any:
        return numbers[x] if isinstance(x, Var) else {"literal": write_literal(x)}

    return {
        "name": program.debug_name,
        "constants": [{"type": repr(var.type), "bytes": base64.b64encode(const_bytes(const)).decode()}
                      for var, const in zip(program.constvars, program.consts, strict=True)],
        "inputs": [repr(var.type) for var in program.invars],
        "equations": [_save_equation(eqn, atom, programs) for eqn in program.eqns],
        "results": [atom(x) for x in program.outvars],
    }


def _load_program(saved: dict[str, Any], programs: list[Jaxpr]) -> Jaxpr:
    env: list[Var] = []

    def bind(types: list[str]) -> list[Var]:
        env.extend(made := [Var(read_type(type)) for type in types])
        return made

    def atom(x: Any) -> Atom:
        return env[_index(x)] if type(x) is int else _load_literal(x["literal"])

    constvars = bind([const["type"] for const in saved["constants"]])
    consts = [const_from_bytes(var.type, base64.b64decode(const["bytes"], validate=True))
              for var, const in zip(constvars, saved["constants"], strict=True)]
    invars = bind(saved["inputs"])
    eqns = [_load_equation(eqn, atom, bind, programs) for eqn in saved["equations"]]
    return Jaxpr(constvars, consts, invars, eqns, [atom(x) for x in saved["results"]], str(saved["name"]))


def _save_equation(eqn: Equation, atom: Callable[[Atom], Any], programs: dict[int, int]) -> dict[str, Any]:
    saved = {"op": eqn.op.name, "inputs": [atom(x) for x in eqn.inputs],
             "results": [repr(var.type) for var in eqn.outvars],
             "params": {name: _save_value(value, programs) for name, value in eqn.params.items()}}
    if eqn.source is not None:
        saved["source"] = [eqn.source.file, eqn.source.line, eqn.source.function]
    return saved


def _load_equation(saved: dict[str, Any], atom: Callable[[Any], Atom], bind: Callable[[list[str]], list[Var]],
                   programs: list[Jaxpr]) -> Equation:
    inputs = tuple(atom(x) for x in saved["inputs"])
    params = {name: _load_value(value, programs) for name, value in saved["params"].items()}
    source: Any = SavedSource(*saved["source"]) if "source" in saved else None
    return Equation(read_op(saved["op"]), inputs, tuple(bind(saved["results"])), params, source)


def _load_literal(text: str) -> Literal:
    number, _, type = text.partition(":")
    return read_literal(number, read_type(type))


def _index(x: Any) -> int:
    if type(x) is not int or x < 0:
        raise ValueError(f"{x!r} is not the number of a variable or a program")
    return x


def _save_value(value: Any, programs: dict[int, int]) -> Any:
    cls = type(value)
    if value is None or cls in (bool, int, str):
        return value
    if cls in (float, complex):
        return {cls.__name__: write_scalar(value, np.dtype(cls))}
    if cls is tuple or cls is slice:
        items = value if cls is tuple else (value.start, value.stop, value.step)
        return {cls.__name__: [_save_value(item, programs) for item in items]}
    if cls is ArrayType:
        return {"type": repr(value)}
    if cls is Jaxpr:
        return {"program": programs[id(value)]}
    if isinstance(value, (np.dtype, dtypes.KeyDtype)):
        return {"dtype": dtypes.short_name(value)}
    if isinstance(value, np.generic):
        return {"literal": write_literal(Literal(value, ArrayType((), value.dtype)))}
    return _save_named(value, programs)


def _save_named(value: Any, programs: dict[int, int]) -> Any:
    name = type(value).__name__
    if named_classes.get(name) is not type(value):
        raise MinijaxValueError(f"{opaque_text(value)} cannot be saved: it is a Python object, not data. "
                                "Take it out of the program, or register its class with `register_named`.")
    if isinstance(value, enum.Enum):
        return {"member": [name, value.name]}
    fields = {field: _save_value(getattr(value, field), programs) for field in field_names(type(value))}
    return {"record": [name, fields]}


def _load_value(saved: Any, programs: list[Jaxpr]) -> Any:
    if saved is None or type(saved) in (bool, int, str):
        return saved
    [(kind, data)] = saved.items()
    return _readers[kind](data, programs)


_readers: dict[str, Callable[[Any, list[Jaxpr]], Any]] = {
    "float": lambda data, programs: read_literal(data, ArrayType((), dtypes.float64, True)).value,
    "complex": lambda data, programs: read_literal(data, ArrayType((), dtypes.complex128, True)).value,
    "tuple": lambda data, programs: tuple(_load_value(item, programs) for item in data),
    "slice": lambda data, programs: slice(*(_load_value(item, programs) for item in data)),
    "type": lambda data, programs: read_type(data),
    "program": lambda data, programs: programs[_index(data)],
    "dtype": lambda data, programs: dtypes.from_short_name(data),
    "literal": lambda data, programs: _load_literal(data).value,
    "member": lambda data, programs: read_member(*data),
    "record": lambda data, programs: read_record(
        data[0], {name: _load_value(value, programs) for name, value in data[1].items()}),
}
