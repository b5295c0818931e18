"""The one table from ops to `jax.lax`: `rules[op](*jax_values, **params)` gives the jax results.

A rule returns one value, or a tuple for an op of several results.  `lower` adds a rule,
also for ops made outside minijax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.errors import MissingRuleError
from minijax.ir.op import Op
from minijax.lowering import (table_callbacks, table_elementwise, table_linalg, table_parallel, table_special,
                              table_structural, table_windows)

Lowering = Callable[..., Any]
rules: dict[Op, Lowering] = {**table_elementwise.rules, **table_structural.rules, **table_windows.rules,
                             **table_linalg.rules, **table_special.rules, **table_parallel.rules,
                             **table_callbacks.rules}


def lower(op: Op, rule: Lowering) -> None:
    """Give an op its lowering rule."""
    rules[op] = rule


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
