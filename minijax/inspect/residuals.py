"""What reverse mode keeps: a table of the values between the forward and the backward pass.

The function is traced, not computed.  Each row is a value that `vjp` of the function would hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.api.differentiate import FlatFunction
from minijax.calls.arguments import Arguments
from minijax.calls.names import function_name
from minijax.interpreters.dual import linearize_flat
from minijax.interpreters.stage import StageTracer, stage
from minijax.ir.jaxpr import Atom, Equation, Jaxpr, Source, Var
from minijax.ir.types import ArrayType
from minijax.tracing.array import typeof


class Residual(NamedTuple):
    """A value that is kept: what it is, who asked for it, and which equation of the backward pass reads it.

    `value` is an argument's name, 'a constant', or the op whose result it is; `source` is the user's line;
    `asked_by` tells which rule made it ('linearize of sin'); `used_by` is the equation that reads it, inside of
    calls too: a linear one, which is transposed, or the first of those that are computed again.
    """

    value: str
    type: ArrayType
    source: Source | None
    asked_by: str
    used_by: Equation | None

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.type.nbytes


@boundary
def saved_residuals(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Residual]:
    """The values that `vjp(fun, *args)` holds for its backward pass, largest first.

    >>> from minijax import numpy as np
    >>> [(r.value, r.type, r.asked_by) for r in saved_residuals(np.sin, np.ones(3))]
    [('cos', f32[3], 'linearize of sin')]
    """
    check_callable("saved_residuals", fun)
    call = Arguments("saved_residuals", fun, args, kwargs).checked()
    names = call.names()
    flat = FlatFunction(call)
    found: list[Residual] = []

    def traced(*primals: StageTracer) -> list[Any]:
        linear = [typeof(x).differentiable for x in primals]
        outs, tape = linearize_flat(flat, primals, linear)
        eqns = primals[0].trace.eqns if primals else []  # type: ignore[attr-defined]
        given = {x.var: name for x, name in zip(primals, names, strict=True)}
        made = {v: eqn for eqn in eqns for v in eqn.outvars}
        for var, value, _ in tape.captured.values():
            found.append(_row(value, given, made, _reader(tape.eqns, var)))
        return outs

    stage(traced, call.types(), function_name(fun), names)
    return sorted(found, key=lambda row: -row.nbytes)


def _row(value: Any, given: dict[Any, str], made: dict[Any, Equation], reader: Equation | None) -> Residual:
    if not isinstance(value, StageTracer):
        return Residual("a constant", typeof(value), reader and reader.source, _asker(reader), reader)
    if value.var in given:
        return Residual(given[value.var], value.type, reader and reader.source, _asker(reader), reader)
    eqn = _maker(made[value.var], value.var)
    return Residual(eqn.op.name, value.type, eqn.source, _asker(eqn) or _asker(reader), reader)


def _asker(eqn: Equation | None) -> str:
    """The rule that made an equation."""
    return f"{eqn.origin.transform} of {eqn.origin.op.name}" if eqn is not None and eqn.origin is not None else ""


def _reader(eqns: Iterable[Equation], var: Var) -> Equation | None:
    """The first equation that reads a variable, in the called program if it is given to a call."""
    for eqn in eqns:
        if var in eqn.inputs:
            body: Any = eqn.params.get("jaxpr")
            called = isinstance(body, Jaxpr) and len(body.invars) == len(eqn.inputs)
            return called and _reader(body.eqns, body.invars[list(eqn.inputs).index(var)]) or eqn
    return None


def _maker(eqn: Equation, var: Var) -> Equation:
    """The equation that computes a result: that of the called program, if a call returns it."""
    body: Any = eqn.params.get("jaxpr")
    if isinstance(body, Jaxpr) and len(body.outvars) == len(eqn.outvars):
        result: Atom = body.outvars[list(eqn.outvars).index(var)]
        for inner in body.eqns:
            if result in inner.outvars:
                return _maker(inner, result)  # type: ignore[arg-type]
    return eqn


@boundary
def print_saved_residuals(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Print the values that `vjp(fun, *args)` holds: value, type, bytes, line, rule, and who reads it.

    >>> from minijax import numpy as np
    >>> print_saved_residuals(lambda x: x * 2.0 * x, np.ones(3))  # doctest: +ELLIPSIS
    value ...
    """
    print(residual_table(saved_residuals(fun, *args, **kwargs)))


def residual_table(rows: list[Residual]) -> str:
    """The rows as text, with their sum."""
    cells = [("value", "type", "bytes", "line", "asked for by", "read by")]
    cells += [(row.value, repr(row.type), f"{row.nbytes:,}", _line(row.source), row.asked_by,
               f"{row.used_by.op.name} at {_line(row.used_by.source)}" if row.used_by else "nothing")
              for row in rows]
    cells.append(("total", "", f"{sum(row.nbytes for row in rows):,}", "", "", ""))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join("  ".join(text.rjust(width) if i == 2 else text.ljust(width)
                               for i, (text, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                     for row in cells)


def _line(source: Source | None) -> str:
    return f"{source.file.rpartition('/')[2]}:{source.line}" if source is not None else ""
