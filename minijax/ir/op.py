"""The op record: one primitive operation with all its rules beside it.

Values are positional, parameters are keywords, results are always a tuple:

    type(*types, **params) -> tuple of ArrayType
    eval(*arrays, **params) -> tuple of np.ndarray              the NumPy meaning
    jvp(primals, tangents, **params) -> (outs, out_tangents)    a tangent may be `zero`
    linearize(primals, tangents, **params) -> the same          only for ops that hold programs
    transpose(cotangents, *args, **params) -> one cotangent, `zero` or None for each argument;
                                              a linear argument is a `Linear(type)`
    batch(size, args, axes, **params) -> (outs, out_axes)       an axis is an int or None
    cost(*types, **params) -> floating-point operations         documented beside the op
    dce(used, live, **params) -> (needed, kept, params)         only for ops that hold programs: which inputs matter
                                                                if only the results marked `used` are read, which
                                                                results stay (a loop needs more than are read), and
                                                                the parameters for those; live(program, used) gives
                                                                the pruned program and which of its inputs it reads

Rules call other ops only.  A rule that is missing raises `MissingRuleError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.errors import MissingRuleError
from minijax.ir.types import ArrayType
from minijax.util import bounded

Rule = Callable[..., Any]


class Linear:
    """Stands for a linear argument in a transpose rule: its type is known, its value is not."""

    __slots__ = ("type",)

    def __init__(self, type: ArrayType) -> None:
        self.type = type

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the argument."""
        return self.type.shape

    @property
    def dtype(self) -> Any:
        """Dtype of the argument."""
        return self.type.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the argument."""
        return len(self.type.shape)


class Op:
    """One primitive operation.  `undeclared` names the rules that it does not have, on purpose.

    `traits` is a set of words that passes read: 'elementwise', 'commutative', 'structural', ...
    `effects` are those of every equation of the op.
    """

    __slots__ = ("name", "type", "eval", "jvp", "linearize", "transpose", "batch", "cost", "dce",
                 "traits", "effects", "undeclared", "_inferred")

    def __init__(self, name: str, *, type: Rule | None = None, eval: Rule | None = None, jvp: Rule | None = None,
                 linearize: Rule | None = None, transpose: Rule | None = None, batch: Rule | None = None,
                 cost: Rule | None = None, dce: Rule | None = None, traits: frozenset[str] | set[str] = frozenset(),
                 effects: frozenset[str] = frozenset(), undeclared: tuple[str, ...] = ()) -> None:
        self.name = name
        self.type = type or self._missing("type")
        self.eval = eval or self._missing("eval")
        self.jvp = jvp or self._missing("jvp")
        self.linearize = linearize
        self.transpose = transpose or self._missing("transpose")
        self.batch = batch or self._missing("batch")
        self.cost = cost or self._missing("cost")
        self.dce = dce
        self.traits = frozenset(traits)
        self.effects = effects
        self.undeclared = undeclared
        self._inferred: dict[Any, tuple[ArrayType, ...]] = {}
        ops[name] = self

    def bind(self, *args: Any, **params: Any) -> tuple[Any, ...]:
        """Apply the op to values in the current trace; `tracing/` fills this in."""
        raise AssertionError("minijax.tracing has not been imported")

    def infer(self, types: tuple[ArrayType, ...], params: dict[str, Any]) -> tuple[ArrayType, ...]:
        """Types of the results, from a small cache keyed by types and parameters.

        Parameters that cannot be hashed are worked out anew.  Parameters of equal value
        and different Python type (1 and True) share an entry: no type rule tells them apart.
        """
        key = (types, *params.items()) if params else types
        try:
            found = self._inferred.get(key)
        except TypeError:
            return self.result_types(types, params)
        if found is None:
            found = bounded(self._inferred, key, self.result_types(types, params))
        return found

    def result_types(self, types: tuple[ArrayType, ...], params: dict[str, Any]) -> tuple[ArrayType, ...]:
        """Types of the results: what the rule says, varying over the mesh axes over which an operand does."""
        outs = tuple(self.type(*types, **params))
        varying = frozenset().union(*[t.varying for t in types])
        if not varying or "collective" in self.traits:  # those say it themselves
            return outs
        return tuple([t.update(varying=varying) for t in outs])

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """Effects of one equation, those of the programs it holds included."""
        return self.effects

    def has(self, rule: str) -> bool:
        """Whether the op has this rule."""
        return not getattr(getattr(self, rule), "missing", False)

    def _missing(self, rule: str) -> Rule:
        def missing(*args: Any, **params: Any) -> Any:
            raise MissingRuleError(
                f"The op '{self.name}' has no {rule} rule, which {_used_by[rule]} needs. "
                f"Add it where the op is made: Op({self.name!r}, {rule}=...); minijax/ir/op.py gives its signature.")

        missing.missing = True  # type: ignore[attr-defined]
        return missing

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> Any:
        return find_op, (self.name,)


_used_by = {"type": "tracing", "eval": "the NumPy evaluator", "jvp": "differentiation",
            "transpose": "reverse-mode differentiation", "batch": "vmap", "cost": "counting operations"}
RULES = tuple(_used_by)

ops: dict[str, Op] = {}


def find_op(name: str) -> Op:
    """The op of this name; raises `KeyError`."""
    return ops[name]
