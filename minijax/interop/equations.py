"""JAX's programs, equation by equation: an environment, `read`, `write` and a loop.

`rules[name](*values, **params)` gives minijax values for a JAX primitive: the lowering
table in the other direction.  What it binds remembers the line of the JAX equation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from minijax.errors import MinijaxTypeError, MissingRuleError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.language import SavedSource
from minijax.tracing.array import Array
from minijax.tracing.context import attributed, context
from minijax.tracing.source import is_internal

Rule = Callable[..., Any]
rules: dict[str, Rule] = {}


def register(primitive: Any, rule: Rule) -> None:
    """Say what a JAX primitive means: `rule(*values, **params)` returns a minijax value, or a tuple of several.

    `primitive` is JAX's primitive or its name; `params` are those of JAX's equation.  A rule for a name that
    has one already replaces it.

    >>> from minijax import lax
    >>> register("my_double", lambda x, **params: lax.add(x, x))
    """
    name = primitive if isinstance(primitive, str) else getattr(primitive, "name", None)
    if not isinstance(name, str) or not callable(rule):
        raise MinijaxTypeError(f"register takes a JAX primitive or its name, and a function; got {primitive!r} and "
                               f"{rule!r}.")
    rules[name] = rule


def array_type(aval: Any) -> ArrayType:
    """The IR type of a JAX type."""
    return ArrayType(tuple(aval.shape), dtypes.as_dtype(aval.dtype), bool(getattr(aval, "weak_type", False)))


def opened(program: Any) -> tuple[Any, Sequence[Any]]:
    """A JAX program and its constants, whether it is closed over them or not."""
    return getattr(program, "jaxpr", program), getattr(program, "consts", ())


def run(program: Any, args: Sequence[Any], consts: Sequence[Any] | None = None) -> list[Any]:
    """Run a JAX program on minijax values in the current trace."""
    jaxpr, own = opened(program)
    given = (*(own if consts is None else consts), *args)  # JAX 0.12 has constants among the inputs of some programs
    env: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], given, strict=True))

    def read(atom: Any) -> Any:
        return literal(atom) if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        source, origin, earlier = context.attribution
        with attributed(source_of(eqn) or source, origin, earlier):
            outs = apply(eqn, [read(x) for x in eqn.invars])
        env.update(zip(eqn.outvars, outs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def literal(atom: Any) -> Any:
    """A scalar of a JAX program; None for a derivative of integers, which has no value."""
    aval = atom.aval
    if aval.dtype == jax.dtypes.float0:
        return None
    if aval.weak_type:
        return np.asarray(atom.val).item()
    return np.asarray(atom.val, aval.dtype)[()] if not aval.shape else Array(np.asarray(atom.val, aval.dtype))


def apply(eqn: Any, values: Sequence[Any]) -> Sequence[Any]:
    """The results of one JAX equation."""
    rule = rules.get(eqn.primitive.name)
    if rule is None:
        source = source_of(eqn)
        raise MissingRuleError(
            f"from_jax: JAX's primitive '{eqn.primitive.name}'{f' at {source}' if source else ''} has no meaning in "
            f"minijax. Give it one with minijax.interop.register({eqn.primitive.name!r}, rule), where "
            "rule(*values, **params) computes its results with minijax.")
    outs = rule(*values, **eqn.params)
    return outs if isinstance(outs, (tuple, list)) else (outs,)


def source_of(eqn: Any) -> Any:
    """The user's line that made a JAX equation; None if JAX did not keep it."""
    traceback = getattr(getattr(eqn, "source_info", None), "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        if not is_internal(frame.file_name):
            return SavedSource(frame.file_name, frame.line_num, frame.function_name)
    return None
