"""`while`, the loop whose length its data decides.

    while[cond_jaxpr cond_nconsts=m body_jaxpr body_nconsts=n] *cond_consts *body_consts *carry

runs carry = body(*body_consts, *carry) as long as cond(*cond_consts, *carry) is true.  What a carry has
(a tangent, a batch axis, a reader) it has in every round, so rules look for the fixpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any

import numpy as np

from minijax.calls.cond import refuse_effects
from minijax.calls.jit import CallOp, check_fit, program_cost
from minijax.calls.masks import Mask, batched_by, carried, fixpoint, front_axes, narrowed, nonzero, regrouped, spread
from minijax.calls.scan import CONST, instantiated, kinds_of
from minijax.errors import NonlinearError
from minijax.interpreters.batch import batch_program, place_axis
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, held_programs, kept
from minijax.ir.types import ArrayType
from minijax.ops.reductions import reduce_or
from minijax.ops.rows import lend_row, select_rows
from minijax.tracing.source import at_line
from minijax.util import split_list


def _type(*types: ArrayType, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr, body_nconsts: int,
          **kept_states: int) -> Any:
    cond_consts, body_consts, carry = split_list(types, cond_nconsts, body_nconsts)
    check_fit("while: the inputs of the condition", cond_jaxpr.in_types, [*cond_consts, *carry])
    check_fit("while: the inputs of the body", body_jaxpr.in_types, [*body_consts, *carry])
    check_fit("while: the results of the body", body_jaxpr.out_types, carry)
    return body_jaxpr.out_types


def _eval(*arrays: np.ndarray, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr, body_nconsts: int,
          **kept_states: int) -> Any:
    cond_consts, body_consts, carry = split_list(arrays, cond_nconsts, body_nconsts)
    while run_numpy(cond_jaxpr, [*cond_consts, *carry])[0]:
        carry = run_numpy(body_jaxpr, [*body_consts, *carry])
    return carry


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, cond_jaxpr: Jaxpr, cond_nconsts: int,
         body_jaxpr: Jaxpr, body_nconsts: int, **kept_states: int) -> Any:
    cond_consts, inputs = split_list(primals, cond_nconsts)
    _, tangents = split_list(tangents, cond_nconsts)
    ins, carries = kinds_of(body_jaxpr, body_nconsts, len(body_jaxpr.outvars))
    (body, moving), marks = carried(jvp_program, body_jaxpr, nonzero(tangents), body_nconsts, len(carries))
    kinds = [*ins, *compress(ins, marks)]
    order = sorted(range(len(kinds)), key=kinds.__getitem__)
    values = [*inputs, *instantiated(marks, tangents, inputs)]
    types = compress(body_jaxpr.out_types, moving)  # of tangents, which the condition does not read
    outs = while_p.bind(
        *cond_consts, *[values[i] for i in order],
        cond_jaxpr=regrouped(cond_jaxpr, (*range(len(cond_jaxpr.invars)), *types), (0,)), cond_nconsts=cond_nconsts,
        body_jaxpr=regrouped(body, tuple(order), tuple(range(len(body.outvars)))), body_nconsts=kinds.count(CONST),
        **kept_states)
    return outs[: len(carries)], spread(moving, outs[len(carries):])


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> Any:
    raise NonlinearError(f"A while loop{at_line()} has no transpose: how often it runs may depend on what it computes. "
                         "Differentiate it with grad or vjp, or use scan, or fori_loop with bounds known beforehand.")


# ---- batching ----

def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, cond_jaxpr: Jaxpr, cond_nconsts: int,
           body_jaxpr: Jaxpr, body_nconsts: int, **kept_states: int) -> Any:
    of_cond, of_body = split_list([axis is not None for axis in axes], cond_nconsts)
    (body, carry), marks = carried(batched_by(size), body_jaxpr, of_body, body_nconsts, len(body_jaxpr.outvars))
    cond, (by_example,) = batch_program(cond_jaxpr, size, front_axes([*of_cond, *carry]))
    if by_example:
        refuse_effects("while", (cond_jaxpr, body_jaxpr))
        carry = (True,) * len(carry)
        marks = (*marks[:body_nconsts], *carry)
        cond, _ = batch_program(cond_jaxpr, size, front_axes([*of_cond, *carry]))
        body, _ = batch_program(body_jaxpr, size, front_axes(marks), carry)
        cond, body = by_rows(cond, cond_nconsts, body, marks)
    placed = [place_axis(x, size, axis, 0) if batched else x
              for x, axis, batched in zip(args, axes, [*of_cond, *marks], strict=True)]
    cond_consts, rest = placed[:cond_nconsts], placed if by_example else placed[cond_nconsts:]
    outs = while_p.bind(*cond_consts, *rest, cond_jaxpr=cond, cond_nconsts=cond_nconsts, body_jaxpr=body,
                        body_nconsts=len(rest) - len(carry), **kept_states)
    return outs, front_axes(carry)


@kept
def by_rows(cond: Jaxpr, cond_nconsts: int, body: Jaxpr, batched: Mask) -> tuple[Jaxpr, Jaxpr]:
    """Condition and body of a batched loop that goes on as long as any row wants to; the other rows stand still.

    Meanwhile their part of the work is done on the carry and batched consts of a row that goes on: what the body
    gives for values on which it would not run may be infinite, and NaN in the gradient of consts that rows share.
    The body comes to take the consts of the condition, too, in front of its own.
    """
    def any_row(*flat: Any) -> list[Any]:
        return [reduce_or(run_program(cond, *flat)[0], (0,))]

    def some_rows(*flat: Any) -> list[Any]:
        cond_consts, inputs = split_list(flat, cond_nconsts)
        carry = inputs[len(inputs) - len(body.outvars):]
        wants, = run_program(cond, *cond_consts, *carry)
        outs = run_program(body, *lend_row(wants, inputs, batched))
        return [select_rows(wants, x, y) for x, y in zip(carry, outs, strict=True)]

    types = [*cond.in_types[:cond_nconsts], *body.in_types]
    return stage(any_row, cond.in_types, cond.debug_name), stage(some_rows, types, body.debug_name)


def _dce(used: Mask, live: Callable[..., tuple[Jaxpr, Mask]], *, cond_jaxpr: Jaxpr, cond_nconsts: int,
         body_jaxpr: Jaxpr, body_nconsts: int, **kept_states: int) -> Any:
    cond, cond_needs = live(cond_jaxpr, (True,))
    asked = [a or b for a, b in zip(used, cond_needs[cond_nconsts:], strict=True)]
    carry = fixpoint(lambda mask: live(body_jaxpr, mask)[1][body_nconsts:], asked)
    body, body_needs = live(body_jaxpr, carry)
    of_cond, of_body = cond_needs[:cond_nconsts], body_needs[:body_nconsts]
    return of_cond + of_body + carry, carry, {
        "cond_jaxpr": narrowed(cond, of_cond + carry), "cond_nconsts": sum(of_cond),
        "body_jaxpr": narrowed(body, of_body + carry), "body_nconsts": sum(of_body), **kept_states}


while_p = CallOp("while", type=_type, eval=_eval, jvp=_jvp, transpose=_transpose, batch=_batch, dce=_dce,
                 cost=lambda *types, **params: sum(program_cost(jaxpr=p) for p in held_programs(params)))  # one round
