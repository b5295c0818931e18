"""NaN reports: which op made the first NaN, and on which line of the user's code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from minijax.ir.jaxpr import Jaxpr, Literal, held_programs
from minijax.lowering.table import apply_rule
from minijax.tracing.source import at_line


def has_nan(value: Any) -> bool:
    """Whether a concrete floating-point value has a NaN."""
    if not jax.numpy.issubdtype(value.dtype, jax.numpy.inexact):
        return False
    try:
        return bool(np.isnan(np.asarray(value)).any())
    except jax.errors.TracerArrayConversionError:  # inside somebody's jax.jit: nothing to see yet
        return False


def check_nans(what: str, outs: Sequence[Any]) -> None:
    """Raise `FloatingPointError` if a result has a NaN."""
    if any(has_nan(x) for x in outs):
        raise FloatingPointError(f"invalid value (nan) encountered in {what}{at_line()}. "
                                 "jax_debug_nans is on; switch it off to let NaNs pass.")


def find_nan(jaxpr: Jaxpr, args: Sequence[Any]) -> None:
    """Run a program equation by equation and raise at the first that makes a NaN."""
    env = dict(zip(jaxpr.invars, args, strict=True)) | dict(zip(jaxpr.constvars, jaxpr.consts, strict=True))
    for eqn in jaxpr.eqns:
        values = [a.value if isinstance(a, Literal) else env[a] for a in eqn.inputs]
        outs = apply_rule(eqn.op, values, eqn.params)
        if any(has_nan(x) for x in outs):
            for held in held_programs(eqn.params):
                if [t.shape for t in held.in_types] == list(map(np.shape, values)):  # not the step of a loop over xs
                    find_nan(held, values)
            origin = f", made by {eqn.origin}" if eqn.origin else ""
            raise FloatingPointError(f"invalid value (nan) encountered in {eqn.op.name} at {eqn.source}{origin}. "
                                     "jax_debug_nans is on; switch it off to let NaNs pass.")
        env.update(zip(eqn.outvars, outs, strict=True))
