"""The parser: text in the notation of the printer, back to a program.

The grammar is in `ir/README.md`.  The parser reads one token ahead and calls
itself for held programs and nested values only, at most `MAX_DEPTH` deep.
Whatever the text, the outcome is a checked program, a `JaxprSyntaxError` or a
`JaxprCheckError`; nothing in the text is ever run.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from minijax.errors import JaxprSyntaxError
from minijax.ir import dtypes
from minijax.ir.check import check_jaxpr
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Var
from minijax.ir.op import Op, find_op, ops
from minijax.ir.text import WORD, named_classes
from minijax.ir.types import ArrayType
from minijax.language.scalars import COMPLEX, NUMBER, read_complex, read_literal

MAX_DEPTH = 50
_type = re.compile(r"(~?)([A-Za-z0-9_]+(?:<\w+>)?)\[((?:[0-9]{1,18}(?:,[0-9]{1,18})*)?)\](?:\{([\w,]+)\})?", re.ASCII)
_token = re.compile(rf"""(?:[ \t\r\n]|\#[^\n]*)*(?:
    (?P<type>~?[A-Za-z_]\w*(?:<\w+>)?\[[0-9,]*\](?:\{{[\w,]+\}})?) | (?P<number>0x[0-9a-f]+|{NUMBER}|{COMPLEX})
  | (?P<word>{WORD}(?:<\w+>)?) | (?P<string>"(?:[^"\\\n]|\\.)*") | (?P<opaque><[^<>\n]*>)
  | (?P<held>@[0-9]+) | (?P<mark>[][{{}}();:,.=]) | (?P<end>\Z) | (?P<other>.) )""",
                    re.VERBOSE | re.ASCII | re.DOTALL)
_words: dict[str, Any] = {"None": None} | {name: d for d, name in dtypes.dtype_names.items()}


def parse(text: str, consts: Mapping[str, Any] | Sequence[Any] | None = None, *,
          objects: Mapping[str, Any] | None = None) -> Jaxpr:
    """Read the text of a program.

    `consts` gives the arrays that the text names before the `;`: by name, or in the order in which the text names them,
    those of held programs included (`all_consts` lists a program's).  `objects` gives the Python objects that the
    text can only name, rules and callbacks: {"f": f} for `<callable f>`.  Raises `JaxprSyntaxError`
    with line and column, and `JaxprCheckError` for a program that breaks the rules of the IR.

    >>> parse("{ lambda ; a:f32[3]. let in (a, 1.0:f32[]) }").out_types
    (f32[3], f32[])
    """
    return check_jaxpr(_read(_Parser(text, consts, objects=objects), _Parser.program))


def parse_value(text: str, programs: Sequence[Jaxpr] = ()) -> Any:
    """Read the text of one parameter; `@3` stands for `programs[3]`.  Raises `JaxprSyntaxError`.

    >>> parse_value("(1, clip, float32)")
    (1, 'clip', dtype('float32'))
    """
    return _read(_Parser(text, None, programs), _Parser.value)


def _read(parser: _Parser, rule: Callable[[_Parser], Any]) -> Any:
    """The whole text, by one rule of the grammar; what the reader of a word raises becomes a syntax error there."""
    try:
        found = rule(parser)
    except LookupError as error:
        parser.fail(f"there is no {error}", parser.last)
    except (ValueError, TypeError, ArithmeticError, AttributeError) as error:
        parser.fail(str(error), parser.last)
    parser.finish()
    return found


@functools.lru_cache(maxsize=4096)
def read_type(text: str) -> ArrayType:
    """The type that prints as `text`; raises `ValueError`.

    >>> read_type('~f32[2,3]').shape
    (2, 3)
    """
    parts = _type.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text[:60]!r} is not a type such as f32[3,4]")
    weak, name, shape, varying = parts.groups()
    try:
        dtype = dtypes.from_short_name(name)
    except KeyError:
        raise ValueError(f"{name!r} is not a dtype such as f32") from None
    names = frozenset(varying.split(",")) if varying else frozenset()
    return ArrayType(tuple(int(n) for n in shape.split(",") if n), dtype, bool(weak), names)


def read_op(name: str) -> Op:
    """The op of this name; raises `ValueError` that suggests names like it."""
    try:
        return find_op(name)
    except KeyError:
        close = difflib.get_close_matches(name[:60], ops)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"there is no op named '{name[:60]}'.{hint}") from None


class _Parser:
    """Recursive descent with one token of lookahead: its kind, its text, and whether it begins a line.

    `start` is where that token begins, `last` where the one before it does.
    """

    def __init__(self, text: str, consts: Mapping[str, Any] | Sequence[Any] | None,
                 programs: Sequence[Jaxpr] = (), objects: Mapping[str, Any] | None = None) -> None:
        self.objects = objects or {}
        self.text = text
        self.programs = programs
        self.consts = dict(consts) if isinstance(consts, Mapping) else list(consts or ())[::-1]
        self.start = self.end = self.depth = 0
        self.advance()

    def advance(self) -> str:
        """Step to the next token; returns the text of the one left behind."""
        before, end, match = getattr(self, "token", ""), self.end, _token.match(self.text, self.end)
        assert match is not None and match.lastgroup is not None, "the last alternatives match any text"
        self.kind: str = match.lastgroup
        self.token: str = match[self.kind]
        self.last, (self.start, self.end) = self.start, match.span(self.kind)
        self.first_on_line = "\n" in self.text[end : self.start]
        return before

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        """Raise a `JaxprSyntaxError` that shows the line."""
        at = self.start if at is None else at
        begin = self.text.rfind("\n", 0, at) + 1
        left = max(begin, at - 60)
        shown = self.text[left : at + 60].split("\n")[0]
        where = f"line {self.text.count(chr(10), 0, at) + 1}, column {at - begin + 1}"
        raise JaxprSyntaxError(f"{where}: {problem}\n  {shown}\n  {'':{at - left}}^")

    def expect(self, token: str) -> None:
        """Step over `token`."""
        if self.token != token:
            self.fail(f"expected {token!r}, found {self.token[:60]!r}")
        self.advance()

    def word(self, role: str) -> str:
        """Step over a word."""
        if self.kind != "word" or self.token in ("lambda", "let", "in"):
            self.fail(f"expected {role}, found {self.token[:60]!r}")
        return self.advance()

    @contextlib.contextmanager
    def nested(self) -> Iterator[None]:
        """One level deeper."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail(f"programs and values are nested more than {MAX_DEPTH} deep")
        yield
        self.depth -= 1

    def finish(self) -> None:
        """Nothing may follow the program, no constant be left over."""
        if self.kind != "end":
            self.fail(f"expected the end of the text, found {self.token[:60]!r}")
        if self.consts:
            self.fail(f"{len(self.consts)} more constants are given than the text names")

    def program(self) -> Jaxpr:
        """`{ lambda consts ; inputs . let equations in (results) }`"""
        with self.nested():
            self.expect("{")
            self.expect("lambda")
            env: dict[str, Var] = {}
            consts: list[Any] = []
            constvars = self.binders(env, ";", consts)
            invars = self.binders(env, ".")
            self.expect("let")
            eqns = []
            while self.token != "in":
                eqns.append(self.equation(env))
            self.advance()
            outvars = self.listed(lambda: self.atom(env))
            self.expect("}")
            return Jaxpr(constvars, consts, invars, eqns, outvars)

    def binders(self, env: dict[str, Var], mark: str, consts: list[Any] | None = None) -> list[Var]:
        """`a:f32[3] b:f32[]` up to `mark`; with `consts`, their values go there."""
        found = []
        while self.token != mark:
            name, type, at = self.binder(f"a variable or {mark!r}")
            if consts is not None:
                consts.append(self.constant(name, type))
            found.append(self.bind(env, name, type, at))
        self.advance()
        return found

    def binder(self, role: str) -> tuple[str, ArrayType, int]:
        """`a:f32[3]`, and where it begins."""
        at = self.start
        return self.word(role), self.type(), at

    def constant(self, name: str, type: ArrayType) -> Any:
        """The array given for a constant."""
        try:
            value = self.consts.pop(name) if isinstance(self.consts, dict) else self.consts.pop()
        except LookupError:
            self.fail(f"the constant {name}:{type!r} has no value. Pass it: parse(text, {{'{name}': array}}), "
                      "or all constants as a sequence.", self.last)
        return value if hasattr(value, "dtype") else np.asarray(value, type.dtype)

    def bind(self, env: dict[str, Var], name: str, type: ArrayType, at: int) -> Var:
        """A new variable; `_` has no name."""
        if name in env:
            self.fail(f"the variable {name} is bound twice", at)
        var = Var(type)
        if name != "_":
            env[name] = var
        return var

    def type(self) -> ArrayType:
        """`:f32[3,4]`"""
        self.expect(":")
        return read_type(self.advance())

    def equation(self, env: dict[str, Var]) -> Equation:
        """`a:f32[3] b:f32[] = op[params] inputs`; inputs end with the line or at `;`."""
        results, op = self.results()
        params = self.params() if self.token == "[" else {}
        inputs = []
        while not self.first_on_line and self.token not in (";", "in", "}", ""):
            inputs.append(self.atom(env))
        if self.token == ";":
            self.advance()
        return Equation(op, tuple(inputs), tuple(self.bind(env, *result) for result in results), params)

    def results(self) -> tuple[list[tuple[str, ArrayType, int]], Op]:
        """`a:f32[3] b:f32[] = op`, or the op alone if there are no results."""
        at, word = self.start, self.word("an equation or 'in'")
        if self.token != ":":
            return [], read_op(word)
        results = [(word, self.type(), at)]
        while self.token != "=":
            results.append(self.binder("a variable or '='"))
        self.advance()
        return results, read_op(self.word("an op"))

    def atom(self, env: dict[str, Var]) -> Atom:
        """A variable, or a literal `1.0:f32[]`."""
        if self.kind == "number" or self.token in ("True", "False"):
            return read_literal(self.advance(), self.type())
        name = self.token
        if self.kind != "word":
            self.fail(f"expected a variable or a literal, found {name[:60]!r}")
        if name not in env:
            self.fail(f"the variable {name[:60]} is not bound before it is read")
        self.advance()
        return env[name]

    def params(self) -> dict[str, Any]:
        """`[axes=(0,) name=f]`"""
        self.expect("[")
        params: dict[str, Any] = {}
        while self.token != "]":
            name = self.word("a parameter or ']'")
            if name in params:
                self.fail(f"the parameter {name} is given twice", self.last)
            self.expect("=")
            params[name] = self.value()
        self.advance()
        return params

    def listed(self, item: Any) -> list[Any]:
        """`(x, y)`, `(x,)` or `()`."""
        items = []
        self.expect("(")
        while self.token != ")":
            items.append(item())
            if self.token != ")":
                self.expect(",")
        self.advance()
        return items

    def value(self) -> Any:
        """The value of a parameter."""
        with self.nested():
            if self.token == "(":
                return tuple(self.listed(self.value))
            if self.token == "{":
                return self.program()
            if self.kind == "type":
                return read_type(self.advance())
            if self.kind == "string":
                return json.loads(self.advance())
            if self.kind == "number" or self.token in ("True", "False"):
                return self.number(self.advance())
            if self.kind == "word":
                return self.named(self.advance())
            if self.kind == "held":
                return self.programs[int(self.advance()[1:])]
            if self.kind == "opaque":
                return self.object()
            self.fail(f"expected a value, found {self.token[:60]!r}")

    def object(self) -> Any:
        """What `<callable f>` stands for, as `parse` was told."""
        name = self.token[1:-1].split()[-1]
        if name not in self.objects:
            self.fail(f"{self.token[:60]} stands for a Python object, which text cannot hold: give it to parse as "
                      f"objects={{{name[:60]!r}: ...}}")
        self.advance()
        return self.objects[name]

    def number(self, text: str) -> Any:
        """A Python number or bool, or a NumPy scalar if a type follows."""
        if self.token == ":":
            return read_literal(text, self.type()).value
        if text in ("True", "False"):
            return text == "True"
        if text[0] == "(":
            return read_complex(text)
        return int(text) if re.fullmatch("-?[0-9]+", text) else float(text)

    def named(self, word: str) -> Any:
        """What begins with a word: None, a dtype, a slice, a value of a registered class, a string."""
        cls = slice if word == "slice" else named_classes.get(word)
        if cls is slice and self.token == "(":
            return slice(*self.listed(self.value))
        if cls is not None and self.token == "(":
            return cls(**dict(self.listed(self.field)))
        if cls is not None and self.token == ".":
            self.advance()
            return cls.__members__[self.word("a name")]  # type: ignore[attr-defined]
        return _words.get(word, word)

    def field(self) -> tuple[str, Any]:
        """`name=value`"""
        name = self.word("a field")
        self.expect("=")
        return name, self.value()
