"""Writing an interpreter: what the values are, and what each op does to them.

    class Intervals(Interpreter):
        def lift(self, value, type): ...        # constants and literals

    @Intervals.rule(mul)
    def mul_rule(self, eqn, x, y): ...          # always a tuple of results

Ops without a rule go to `default`; calls go through their programs.
`docs/interpreters.md` has three interpreters in full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import numpy as np

from minijax.errors import MinijaxTypeError
from minijax.ir import dtypes
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Literal, Var
from minijax.ir.op import Op
from minijax.ir.types import ArrayType

R = TypeVar("R", bound=Callable[..., Any])


class Interpreter:
    """Runs a program over values of any kind; by itself, over NumPy arrays.

    >>> Interpreter().run(Jaxpr((), (), (), (), (Literal(1.0),)))
    (array(1., dtype=float32),)
    """

    rules: ClassVar[dict[Op, Callable[..., Any]]] = {}

    def __init__(self) -> None:
        self.env: dict[Var, Any] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.rules = dict(cls.rules)

    @classmethod
    def rule(cls, *ops: Op) -> Callable[[R], R]:
        """Decorate the rule of some ops: a function of interpreter, equation and inputs that returns a tuple."""
        def decorate(function: R) -> R:
            cls.rules.update(dict.fromkeys(ops, function))
            return function

        return decorate

    def run(self, jaxpr: Jaxpr, *args: Any) -> tuple[Any, ...]:
        """The results of a program on these inputs; raises `MinijaxTypeError` for a wrong number of them."""
        if len(args) != len(jaxpr.invars):
            raise MinijaxTypeError(f"The program takes {len(jaxpr.invars)} inputs, got {len(args)}. "
                                   "Pass one for each variable after the ';' of its text.")
        outer, self.env = self.env, {}
        try:
            for var, const in zip(jaxpr.constvars, jaxpr.consts, strict=True):
                self.write(var, self.lift(const, var.type))
            for var, arg in zip(jaxpr.invars, args, strict=True):
                self.write(var, arg)
            for eqn in jaxpr.eqns:
                results = self.equation(eqn, *(self.read(x) for x in eqn.inputs))
                for var, result in zip(eqn.outvars, results, strict=True):
                    self.write(var, result)
            return tuple(self.read(x) for x in jaxpr.outvars)
        finally:
            self.env = outer

    def read(self, atom: Atom) -> Any:
        """The value of a variable or a literal."""
        return self.lift(atom.value, atom.type) if isinstance(atom, Literal) else self.env[atom]

    def write(self, var: Var, value: Any) -> None:
        """Bind a variable."""
        self.env[var] = value

    def lift(self, value: Any, type: ArrayType) -> Any:
        """The value that a constant or a literal has here."""
        return value if dtypes.is_key(type.dtype) else np.asarray(value).astype(type.dtype)

    def equation(self, eqn: Equation, *inputs: Any) -> tuple[Any, ...]:
        """The results of one equation: by the op's rule, through the called program, or by `default`."""
        rule = self.rules.get(eqn.op)
        if rule is not None:
            return tuple(rule(self, eqn, *inputs))
        if "call" in eqn.op.traits:
            return self.run(eqn.params["jaxpr"], *inputs)
        return self.default(eqn, *inputs)

    def default(self, eqn: Equation, *inputs: Any) -> tuple[Any, ...]:
        """What ops without a rule do: their NumPy meaning."""
        return tuple(eqn.op.eval(*inputs, **eqn.params))
