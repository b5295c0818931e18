"""The one table from ops to `jax.lax`: `rules[op](*jax_values, **params)` gives the jax results.

An op with the name and the parameters of a function of `jax.lax` lowers to that function, and has no line anywhere;
what differs is in the files table_*.py.  This goes for the ops of the modules below only: an op made outside
minijax has the rule that it is given with `lower`, or none.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from jax import lax
from jax.lax import linalg

from minijax.errors import MissingRuleError
from minijax.interpreters.evaluate import Evaluator
from minijax.ir.op import Op
from minijax.ops import (arithmetic, bits, comparison, conversion, elementwise, families, fourier, generators,
                         orthogonal, parallel, reductions, scans, searching, slicing, solving, special, spectral,
                         structural)

Lowering = Callable[..., Any]


def ops_of(*modules: ModuleType) -> list[Op]:
    """The ops that have a name in these modules."""
    return [op for module in modules for op in vars(module).values() if isinstance(op, Op)]


def namesakes(*modules: ModuleType) -> dict[Op, Lowering]:
    """For each op of these modules the function of `jax.lax` or `jax.lax.linalg` of its name, where there is one."""
    return {op: getattr(namespace, op.name) for op in ops_of(*modules) for namespace in (lax, linalg)
            if hasattr(namespace, op.name)}


rules: dict[Op, Lowering] = namesakes(
    arithmetic, bits, comparison, conversion, elementwise, families, fourier, generators, orthogonal, parallel,
    reductions, scans, searching, slicing, solving, special, spectral, structural)
eager_rules: dict[Op, Evaluator] = {}


def lower(op: Op, rule: Lowering, eager: Evaluator | None = None) -> None:
    """Give an op its lowering rule, which returns one value, or several in a tuple or a list.

    Eager calls compile the rule, once for each set of parameters; ops that do otherwise say how:
    `eager(op, args, params)` takes Arrays and gives a tuple of them.
    """
    rules[op] = rule
    if eager is not None:
        eager_rules[op] = eager


def find_rule(op: Op) -> Lowering:
    """The lowering rule of an op; `MissingRuleError` if it has none."""
    try:
        return rules[op]
    except KeyError:
        raise MissingRuleError(f"The op '{op.name}' has no lowering rule, which compiling for XLA needs. "
                               f"Add one with minijax.lowering.lower({op.name}_p, rule).") from None


def apply_rule(op: Op, values: tuple[Any, ...] | list[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run an op's lowering rule; the results as a tuple."""
    outs = find_rule(op)(*values, **params)
    return outs if type(outs) is tuple else tuple(outs) if isinstance(outs, list) else (outs,)
