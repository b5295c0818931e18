"""The program: variables, literals, equations, and the Jaxpr that holds them.

    Jaxpr(constvars, consts, invars, eqns, outvars)

A variable is bound once, by an input, a constant or one equation, and read
later.  Variables and programs compare by identity; `same_program` in
`language/alpha.py` compares meaning.  Objects here are immutable by convention:
a pass makes a new program (`Jaxpr.replace`).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from minijax.ir.types import ArrayType, scalar_type

if TYPE_CHECKING:
    from minijax.ir.op import Op

T = TypeVar("T")


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class Var:
    """A variable: nothing but an identity and a type."""

    type: ArrayType


class Literal:
    """A scalar written into the program: a Python scalar (weak) or a NumPy scalar."""

    __slots__ = ("value", "type")

    def __init__(self, value: Any, type: ArrayType | None = None) -> None:
        known = type or scalar_type(value)
        assert known is not None, f"a literal is a scalar, got {value!r}"
        self.value = value
        self.type = known


Atom = Var | Literal


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class Source:
    """Where a piece of user code is: a code object and an instruction offset.

    Cheap to make while tracing; line and column are looked up when asked for.
    """

    code: Any
    offset: int

    @property
    def file(self) -> str:
        """Path of the file."""
        return str(self.code.co_filename)

    @property
    def function(self) -> str:
        """Qualified name of the function."""
        return str(self.code.co_qualname)

    @property
    def line(self) -> int:
        """Line number, counted from 1; 0 if the code object has none."""
        for index, position in enumerate(self.code.co_positions()):
            if index * 2 == self.offset:
                return position[0] or 0
        return 0

    def __repr__(self) -> str:
        return f"{self.file}:{self.line} ({self.function})"


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class Origin:
    """Which transform made an equation, and from what.

    `transform` is the name of the interpreter whose rule ran, `op` the op whose rule it was,
    `equation` the earlier equation if the program had one, and `parent` the origin in force
    when the rule ran (transforms nest).
    """

    transform: str
    op: Op
    equation: Equation | None = None
    parent: Origin | None = None

    def __repr__(self) -> str:
        text = f"{self.transform} of {self.op.name}"
        return text if self.parent is None else f"{text}, {self.parent!r}"


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class Equation:
    """`outvars = op[params] inputs`, with the source line and the origin it came from."""

    op: Op
    inputs: Sequence[Atom]
    outvars: Sequence[Var]
    params: dict[str, Any]
    source: Source | None = None
    origin: Origin | None = None

    @property
    def primitive(self) -> Op:
        """JAX's name for `op`."""
        return self.op

    @property
    def invars(self) -> Sequence[Atom]:
        """JAX's name for `inputs`."""
        return self.inputs

    def replace(self, **changes: Any) -> Equation:
        """This equation with some of its fields changed."""
        return dataclasses.replace(self, **changes)


class Jaxpr:
    """A program with its array constants.

    `constvars[i]` is bound to `consts[i]`.  `debug_name` is the traced function's name.
    `cache` holds what transforms derive from this program, and dies with it.
    """

    __slots__ = ("constvars", "consts", "invars", "eqns", "outvars", "debug_name", "cache", "__weakref__")

    def __init__(self, constvars: Sequence[Var], consts: Sequence[Any], invars: Sequence[Var],
                 eqns: Sequence[Equation], outvars: Sequence[Atom], debug_name: str = "") -> None:
        self.constvars = tuple(constvars)
        self.consts = tuple(consts)
        self.invars = tuple(invars)
        self.eqns = tuple(eqns)
        self.outvars = tuple(outvars)
        self.debug_name = debug_name
        self.cache: dict[Any, Any] = {}

    @property
    def in_types(self) -> tuple[ArrayType, ...]:
        """Types of the inputs, constants not included."""
        return tuple(v.type for v in self.invars)

    @property
    def out_types(self) -> tuple[ArrayType, ...]:
        """Types of the results."""
        return tuple(v.type for v in self.outvars)

    @property
    def effects(self) -> frozenset[str]:
        """Effects of the program: the union over its equations."""
        found = self.cache.get("effects")
        if found is None:
            found = self.cache["effects"] = frozenset().union(*(eqn.op.effects_of(eqn.params) for eqn in self.eqns))
        return found

    def replace(self, **changes: Any) -> Jaxpr:
        """This program with some of its fields changed, and an empty cache."""
        fields = {name: getattr(self, name) for name in Jaxpr.__slots__[:6]}
        return Jaxpr(**{**fields, **changes})

    def __repr__(self) -> str:
        return printer(self)

    def pretty_print(self, *, source: bool = False) -> str:
        """The text of the program; with `source`, each equation's line and origin beside it."""
        return printer(self, source=source)


def kept(function: Callable[..., T]) -> Callable[..., T]:
    """Make a function of a program and hashable arguments remember its results, in the program's cache."""
    @functools.wraps(function)
    def find(jaxpr: Jaxpr, *args: Any) -> T:
        key = function, *args
        if key not in jaxpr.cache:
            jaxpr.cache[key] = function(jaxpr, *args)
        return jaxpr.cache[key]  # type: ignore[no-any-return]

    return find


def held_programs(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """The programs among an equation's parameters, those inside tuples included."""
    for value in params.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Jaxpr):
                yield item


printer: Callable[..., str] = object.__repr__  # `ir/text.py` puts its own here
