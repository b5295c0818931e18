"""The printer: a program as text, in JAX's notation.

The grammar is in `ir/README.md`; `language/parse.py` reads it back.  Names are
`a`, `b`, ... in order of binding and start afresh in every held program, so
that a program reads the same wherever it is printed.
"""

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import os
import re
import string
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minijax.ir import dtypes, jaxpr as language
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from minijax.ir.scalars import write_complex, write_literal
from minijax.ir.types import ArrayType
from minijax.ir.walk import all_programs, ordered_params

WORD = r"[A-Za-z_](?:-?[A-Za-z0-9_])*"
reserved = {"True", "False", "None", "nan", "inf", "lambda", "let", "in", *dtypes.dtype_names.values()}
named_classes: dict[str, type] = {}


def register_named(cls: type) -> type:
    """Let parameters hold members of an `enum.Enum`, named tuples or dataclasses of class `cls`.

    They print as `Mode.clip` and `Window(size=3)`, and are saved by name; use it as a decorator.
    """
    named_classes[cls.__name__] = cls
    return cls


class Printer:
    """Prints programs whose held programs are printed already.

    `held` maps the id of a held program to its text, `source` asks for comments
    with source lines and origins, `opaque` prints what has no notation.
    """

    def __init__(self, held: dict[int, str], source: bool = False,
                 opaque: Callable[[Any], str] | None = None) -> None:
        self.held = held
        self.source = source
        self.opaque = opaque or opaque_text

    def program(self, jaxpr: Jaxpr) -> str:
        """The text of one program."""
        return _layout(self.lines(jaxpr))

    def lines(self, jaxpr: Jaxpr) -> list[str]:
        """The text of one program in parts: head, equations, results."""
        names = Names()
        groups = [" ".join(f"{names[v]}:{v.type!r}" for v in group) for group in (jaxpr.constvars, jaxpr.invars)]
        used = {x for eqn in jaxpr.eqns for x in eqn.inputs}.union(jaxpr.outvars)
        eqns = [self.equation(eqn, names, used) for eqn in jaxpr.eqns]
        results = _parentheses([atom_text(x, names) for x in jaxpr.outvars])
        return [f"{{ lambda {groups[0]}; {groups[1]}. let", *eqns, f"in {results} }}"]

    def equation(self, eqn: Equation, names: Names, used: set[Atom]) -> str:
        """One equation; results that are not in `used` are `_`."""
        inputs = [atom_text(x, names) for x in eqn.inputs]
        binders = [f"{names[v] if v in used else '_'}:{v.type!r}" for v in eqn.outvars]
        call = " ".join([eqn.op.name + self.params(eqn.params), *inputs])
        line = " ".join([*binders, "=", call]) if binders else call
        return line + (source_comment(eqn) if self.source else "")

    def params(self, params: dict[str, Any]) -> str:
        """Parameters in brackets: on one line, or one a line if some hold programs."""
        if not params:
            return ""
        texts = [f"{name}={self.value(value)}" for name, value in ordered_params(params)]
        if any("\n" in text for text in texts):
            lines = "\n".join(texts).replace("\n", "\n  ")
            return f"[\n  {lines}\n]"
        return f"[{' '.join(texts)}]"

    def value(self, value: Any) -> str:
        """A parameter's value."""
        cls = type(value)
        if cls in _writers:
            return _writers[cls](value)
        if cls is tuple:
            return _parentheses([self.value(item) for item in value])
        if cls is slice:
            return f"slice({self.value(value.start)}, {self.value(value.stop)}, {self.value(value.step)})"
        if cls is Jaxpr and id(value) in self.held:
            return self.held[id(value)]
        if isinstance(value, (np.dtype, dtypes.KeyDtype)) and value in dtypes.dtype_names:
            return dtypes.dtype_names[value]
        if isinstance(value, np.generic) and value.dtype in dtypes.dtype_names:
            return write_literal(Literal(value, ArrayType((), value.dtype)))
        if named_classes.get(cls.__name__) is cls:
            return self.named(value)
        return self.opaque(value)

    def named(self, value: Any) -> str:
        """A value of a registered class."""
        cls = type(value)
        if isinstance(value, enum.Enum):
            return f"{cls.__name__}.{value.name}"
        names = [f.name for f in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else cls._fields
        return f"{cls.__name__}({', '.join([f'{name}={self.value(getattr(value, name))}' for name in names])})"


def string_text(value: str) -> str:
    """A string parameter: bare if it reads as a word, else quoted as in JSON.

    >>> print(string_text('clip'), string_text('<lambda>'), string_text('float32'))
    clip "<lambda>" "float32"
    """
    return value if re.fullmatch(WORD, value) and value not in reserved else json.dumps(value)


_writers: dict[type, Callable[[Any], str]] = {
    bool: repr, int: repr, float: repr, type(None): repr, complex: write_complex, str: string_text, ArrayType: repr}


def opaque_text(value: Any) -> str:
    """What stands for a value without notation: `<callable f>`; the parser refuses it."""
    name = getattr(value, "__name__", type(value).__name__)
    return f"<{'callable' if callable(value) else 'object'} {re.sub(r'[^A-Za-z0-9_.]', '', name)}>"


def source_comment(eqn: Equation) -> str:
    """The source line and the origin of an equation: `  # file.py:12 (f) <- jvp of sin`."""
    parts = []
    if eqn.source is not None:
        parts.append(f"{os.path.basename(eqn.source.file)}:{eqn.source.line} ({eqn.source.function})")
    if eqn.origin is not None:
        parts.append(f"<- {eqn.origin!r}")
    return f"  # {' '.join(parts)}".replace("\n", " ") if parts else ""


class Names(dict[Var, str]):
    """Names of variables, given out in the order of asking."""

    def __init__(self) -> None:
        self.fresh = _letters()

    def __missing__(self, var: Var) -> str:
        self[var] = name = next(self.fresh)
        return name


def _letters() -> Iterator[str]:
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            name = "".join(letters)
            if name not in reserved:
                yield name


def atom_text(atom: Atom, names: Names) -> str:
    """A variable's name, or a literal with its type."""
    return names[atom] if isinstance(atom, Var) else write_literal(atom)


def _layout(lines: list[str]) -> str:
    return "\n".join(lines[:-1]).replace("\n", "\n    ") + f"\n  {lines[-1]}"


def _printer(jaxpr: Jaxpr, source: bool = False) -> Printer:
    printer = Printer({}, source)
    for program in all_programs(jaxpr)[:-1]:
        printer.held[id(program)] = printer.program(program)
    return printer


def _parentheses(texts: list[str]) -> str:
    if any("\n" in text for text in texts):
        return "(\n  " + ",\n".join([*texts[:-1], texts[-1] + "," * (len(texts) == 1)]).replace("\n", "\n  ") + "\n)"
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"


def format_jaxpr(jaxpr: Jaxpr, source: bool = False) -> str:
    """The text of a program; with `source`, each equation's source line and origin as a comment.

    >>> x = Var(ArrayType((3,), dtypes.float32))
    >>> print(format_jaxpr(Jaxpr((), (), (x,), (), (x,))))
    { lambda ; a:f32[3]. let
      in (a,) }
    """
    return _printer(jaxpr, source).program(jaxpr)


def format_equation(jaxpr: Jaxpr, index: int) -> str:
    """The text of one equation, with the names it has in the text of `jaxpr`."""
    return _printer(jaxpr).lines(jaxpr)[index + 1]


def format_excerpt(jaxpr: Jaxpr, index: int | None, around: int = 5) -> str:
    """The program's text near equation `index`, with `^^^` under it; under the results for None."""
    head, *eqns, results = _printer(jaxpr).lines(jaxpr)
    at = len(eqns) if index is None else index
    marker = "^" * max(3, len([*eqns, results][at].split("\n")[-1]))
    if index is None:
        results += f"\n  {marker}"
    else:
        eqns[index] += f"\n{marker}"
    shown = eqns[max(0, at - around) : at + around + 1]
    before, after = ["..."] * (at > around), ["..."] * (at + around + 1 < len(eqns))
    return _layout([head, *before, *shown, *after, results])


show = language.printer = format_jaxpr
