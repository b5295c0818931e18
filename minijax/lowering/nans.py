"""NaN reports: which op made the first NaN, and on which line of the user's code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from minijax.ir.jaxpr import Jaxpr, Literal, held_programs
from minijax.ir.op import Op
from minijax.lowering.table import apply_rule


def has_nan(values: Sequence[Any]) -> bool:
    """Whether one of these concrete values has a NaN."""
    try:
        return any([np.isnan(np.asarray(x)).any() for x in values if jax.numpy.issubdtype(x.dtype, jax.numpy.inexact)])
    except jax.errors.TracerArrayConversionError:  # inside somebody's jax.jit: nothing to see yet
        return False


def find_nan(jaxpr: Jaxpr, args: Sequence[Any]) -> None:
    """Run a program equation by equation and raise at the first that makes a NaN."""
    env = dict(zip(jaxpr.invars, args, strict=True)) | dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
    for eqn in jaxpr.eqns:
        values = [a.value if isinstance(a, Literal) else env[a] for a in eqn.inputs]
        outs = apply_rule(eqn.op, values, eqn.params)
        if has_nan(outs):
            origin = f", made by {eqn.origin}" if eqn.origin else ""
            report_nan(eqn.op, values, eqn.params, f" at {eqn.source}{origin}")
        env.update(zip(eqn.outvars, outs, strict=True))


def report_nan(op: Op, values: Sequence[Any], params: dict[str, Any], where: str) -> None:
    """Raise `FloatingPointError` for an op that made a NaN, or for the equation that did in a program that it holds."""
    for held in held_programs(params):
        if [t.shape for t in held.in_types] == list(map(np.shape, values)):  # not the step of a loop over xs
            find_nan(held, values)
    raise FloatingPointError(f"invalid value (nan) encountered in {op.name}{where}. "
                             "jax_debug_nans is on; switch it off to let NaNs pass.")
