"""Transforms of programs: the value transform, traced over the evaluator.

    jvp_program        program -> program of (primals, non-zero tangents)
    linearize_program  program -> (known program + residuals, linear program)

Results are kept in the program's own cache, keyed by what was asked.  Output tangents marked in
`force` are made zeros where they are symbolic zeros: carries and branches need tangents that agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minijax.interpreters.dual import instantiate, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import StageTracer, stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.passes import dce
from minijax.ir.types import zero
from minijax.ops.parallel import vary
from minijax.tracing.array import typeof


@kept
def jvp_program(jaxpr: Jaxpr, nonzero: tuple[bool, ...],
                force: tuple[bool, ...] | None = None) -> tuple[Jaxpr, tuple[bool, ...]]:
    """The program (primals, non-zero tangents) -> (outputs, their non-zero tangents), and which those are."""
    out_nonzero: list[bool] = []
    count = len(jaxpr.invars)

    def jvp(*flat: Any) -> list[Any]:
        given = iter(flat[count:])
        tangents = [next(given) if is_nonzero else zero for is_nonzero in nonzero]
        outs, out_tangents = jvp_flat(lambda *xs: run_program(jaxpr, *xs), flat[:count], tangents)
        out_tangents = forced(force, out_tangents, outs)
        out_nonzero.extend(t is not zero for t in out_tangents)
        return [*outs, *(t for t in out_tangents if t is not zero)]

    tangent_types = [t for t, is_nonzero in zip(jaxpr.in_types, nonzero, strict=True) if is_nonzero]
    return stage(jvp, [*jaxpr.in_types, *tangent_types], jaxpr.debug_name), tuple(out_nonzero)


def forced(force: tuple[bool, ...] | None, tangents: list[Any], primals: list[Any]) -> list[Any]:
    """The tangents, those marked in `force` without symbolic zeros; they vary over the mesh axes that primals do."""
    full = tangents if force is None else [instantiate(t, x) if must else t
                                           for must, t, x in zip(force, tangents, primals, strict=True)]
    return [t if t is zero else vary(t, typeof(x).varying) for t, x in zip(full, primals, strict=True)]


class Linearized(NamedTuple):
    """A program split in two.

    `known`: inputs -> outputs + computed residuals.
    `linear`: residuals + non-zero tangents -> non-zero output tangents.
    `residuals`: where each residual is: ('input', i), ('output', i) of known, so that
    nothing is copied that is already at hand.
    """

    known: Jaxpr
    linear: Jaxpr
    residuals: tuple[tuple[str, int], ...]
    out_nonzero: tuple[bool, ...]


@kept
def linearize_program(jaxpr: Jaxpr, nonzero: tuple[bool, ...],
                      force: tuple[bool, ...] | None = None) -> Linearized:
    """Split a program into what depends on the inputs alone and what is linear in their tangents."""
    found: list[Any] = []

    def known(*primals: StageTracer) -> list[Any]:
        outs, tape = linearize_flat(lambda *xs: run_program(jaxpr, *xs), primals, nonzero)
        tape.outs = forced(force, tape.outs, outs)
        linear = dce(tape.to_jaxpr(jaxpr.debug_name))
        places, extra = _place_residuals(linear.consts, primals, outs)
        linear = linear.replace(constvars=(), consts=(), invars=linear.constvars + linear.invars)
        found.append((linear, places, tuple(t is not zero for t in tape.outs)))
        return [*outs, *extra]

    program = stage(known, jaxpr.in_types, jaxpr.debug_name)
    linear, places, out_nonzero = found[0]
    return Linearized(dce(program), linear, places, out_nonzero)


def _place_residuals(residuals: Any, primals: Any, outs: list[Any]) -> tuple[tuple[tuple[str, int], ...], list[Any]]:
    """Where each residual is found, and the values that the known program must return besides."""
    at = {id(x.var): ("input", i) for i, x in enumerate(primals)}
    for i, x in enumerate(outs):
        if isinstance(x, StageTracer):
            at.setdefault(id(x.var), ("output", i))
    places, extra = [], []
    for x in residuals:
        key = id(x.var) if isinstance(x, StageTracer) else id(x)
        if key not in at:
            at[key] = "output", len(outs) + len(extra)
            extra.append(x)
        places.append(at[key])
    return tuple(places), extra
