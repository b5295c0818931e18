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

from minijax.api.trace import ShapeDtypeStruct
from minijax.errors import MinijaxTypeError, MissingRuleError
from minijax.interop import runtime
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.language import SavedSource
from minijax.tracing.array import Array, typeof
from minijax.tracing.context import attributed, context
from minijax.tracing.source import is_internal

Rule = Callable[..., Any]
rules: dict[str, Rule] = {}
_STRUCTURED = {"cond", "while", "scan", "checkpoint", "custom_jvp_call", "custom_vjp_call", "custom_vmap_call"}
refused: dict[str, str] = {}  # why JAX's primitive of this name has no meaning here, and what to do instead


class Reference:
    """What a mutable reference of JAX's holds while its program is run."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


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


def traced(function: Callable[..., Any], *values: Any) -> Any:
    """The JAX program of a function of flat values at the types of minijax values, mapped axes with names included."""
    stand_ins = [runtime.abstract(ShapeDtypeStruct.of(typeof(x))) for x in values]
    return jax.make_jaxpr(function, axis_env=axes_around())(*stand_ins)


def axes_around() -> list[tuple[Any, int]]:
    """Names and sizes of the mapped axes around."""
    return [(axis.name, axis.size) for axis in context.trace.axes()]


def within_axes(function: Callable[[], Any]) -> Any:
    """What `function` returns, called where JAX knows the mapped axes with names: rules are traced on first need."""
    found = []
    jax.make_jaxpr(lambda: found.append(function()), axis_env=axes_around())()
    return found[0]


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
    """The results of one JAX equation: by its rule, or by the JAX program that it says it is."""
    rule = rules.get(eqn.primitive.name)
    if eqn.primitive.name in _STRUCTURED and any(isinstance(x, Reference) for x in values):
        raise MissingRuleError(f"from_jax: a mutable reference goes into JAX's '{eqn.primitive.name}'{_at(eqn)}. In "
                               "minijax loops, branches and custom rules work on values: carry the value instead.")
    outs = rule(*values, **eqn.params) if rule is not None else run(implementation(eqn, values), values)
    return outs if isinstance(outs, (tuple, list)) else (outs,)


def implementation(eqn: Any, values: Sequence[Any]) -> Any:
    """The program of a primitive that is implemented by other primitives; raises `MissingRuleError` if it is not."""
    primitive = eqn.primitive
    if primitive.name in refused:
        raise MissingRuleError(f"from_jax: JAX's primitive '{primitive.name}'{_at(eqn)} has no meaning in minijax: "
                               f"{refused[primitive.name]}")
    cause = None
    try:
        program = traced(lambda *xs: primitive.impl(*xs, **eqn.params), *values)
    except Exception as error:  # whatever an implementation for concrete values raises when it meets others
        cause = error
    if cause is not None or binds(primitive, program):
        raise MissingRuleError(
            f"from_jax: JAX's primitive '{primitive.name}'{_at(eqn)} has no meaning in minijax. Give it one with "
            f"minijax.interop.register({primitive.name!r}, rule), where rule(*values, **params) computes its results "
            "with minijax.") from cause
    return program


def binds(primitive: Any, program: Any) -> bool:
    """Whether a JAX program, or one that it calls, applies the primitive: an implementation that is none."""
    return any(eqn.primitive is primitive or "jaxpr" in eqn.params and binds(primitive, eqn.params["jaxpr"])
               for eqn in opened(program)[0].eqns)


def _at(eqn: Any) -> str:
    source = source_of(eqn)
    return f" at {source}" if source else ""


def source_of(eqn: Any) -> Any:
    """The user's line that made a JAX equation; None if JAX did not keep it."""
    traceback = getattr(getattr(eqn, "source_info", None), "traceback", None)
    for frame in getattr(traceback, "frames", ()):
        if not is_internal(frame.file_name):
            return SavedSource(frame.file_name, frame.line_num, frame.function_name)
    return None
