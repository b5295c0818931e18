"""Transforms of programs: the value transform, traced over the evaluator.

    jvp_program        program -> program of (primals, non-zero tangents)
    linearize_program  program -> (known program + residuals, linear program)

Results are kept in the program's own cache, keyed by what was asked.  Output tangents marked in
`force` are made zeros where they are symbolic zeros: carries and branches need tangents that agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minijax.interpreters.dual import forced, jvp_flat, linearize_flat
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import StageTracer, lift_constants, stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.passes import dce
from minijax.ir.types import zero
from minijax.util import partition_list


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
        out_tangents = forced(force, out_tangents, jaxpr.out_types)
        out_nonzero.extend(t is not zero for t in out_tangents)
        return [*outs, *(t for t in out_tangents if t is not zero)]

    _, tangent_types = partition_list(nonzero, jaxpr.in_types)
    return stage(jvp, [*jaxpr.in_types, *tangent_types], jaxpr.debug_name), tuple(out_nonzero)


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
        tape.outs = forced(force, tape.outs, jaxpr.out_types)
        linear, residuals = lift_constants(dce(tape.to_jaxpr(jaxpr.debug_name)))
        places, outs = place_residuals(residuals, primals, outs)
        found.append((linear, places, tuple(t is not zero for t in tape.outs)))
        return outs

    program = stage(known, jaxpr.in_types, jaxpr.debug_name)
    linear, places, out_nonzero = found[0]
    return Linearized(dce(program), linear, places, out_nonzero)


def place_residuals(residuals: Sequence[Any], primals: Sequence[Any],
                    outs: Sequence[Any]) -> tuple[tuple[tuple[str, int], ...], list[Any]]:
    """Where each residual is found; and the outputs of the known program, with residuals that are not at hand."""
    def key(x: Any) -> Any:
        return x.var if isinstance(x, StageTracer) else id(x)

    returned = list(outs)
    places = {key(x): ("input", i) for i, x in enumerate(primals)}
    for i, x in enumerate(outs):
        places.setdefault(key(x), ("output", i))
    for x in residuals:
        if key(x) not in places:
            places[key(x)] = "output", len(returned)
            returned.append(x)
    return tuple(places[key(x)] for x in residuals), returned
