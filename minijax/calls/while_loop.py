"""`while`, the loop whose length its data decides.

    while[cond_jaxpr cond_nconsts=m body_jaxpr body_nconsts=n] *cond_consts *body_consts *carry

runs carry = body(*body_consts, *carry) as long as cond(*cond_consts, *carry) is true.  What a carry has
(a tangent, a batch axis, a reader) it has in every round, so rules look for the fixpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.calls.cond import check_fit, narrowed, refuse_effects
from minijax.calls.jit import CallOp, program_cost
from minijax.calls.scan import Mask, fixpoint, present, regrouped, spread
from minijax.errors import NonlinearError
from minijax.interpreters.batch import batch_program, place_axis
from minijax.interpreters.dual import instantiate
from minijax.interpreters.evaluate import run_numpy, run_program
from minijax.interpreters.programs import jvp_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, Var, held_programs, kept
from minijax.ir.types import ArrayType, zero
from minijax.ops.reductions import reduce_or
from minijax.ops.rows import lend_row, select_rows
from minijax.tracing.source import at_line
from minijax.util import partition_list, split_list


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


def _cost(*types: ArrayType, cond_jaxpr: Jaxpr, body_jaxpr: Jaxpr, **counts: int) -> int:
    return program_cost(jaxpr=cond_jaxpr) + program_cost(jaxpr=body_jaxpr)  # one round: how many is not known


def _jvp(primals: Sequence[Any], tangents: Sequence[Any], *, cond_jaxpr: Jaxpr, cond_nconsts: int,
         body_jaxpr: Jaxpr, body_nconsts: int, **kept_states: int) -> Any:
    cond_consts, body_consts, carry = split_list(primals, cond_nconsts, body_nconsts)
    _, consts_t, carry_t = split_list(tangents, cond_nconsts, body_nconsts)
    given = tuple([t is not zero for t in consts_t])
    moving = fixpoint(lambda mask: jvp_program(body_jaxpr, given + mask)[1], [t is not zero for t in carry_t])
    body, _ = jvp_program(body_jaxpr, given + moving, moving)
    started = [instantiate(t, x) for t, x, moves in zip(carry_t, carry, moving, strict=True) if moves]
    groups = split_list(range(len(body.invars)), body_nconsts, len(carry), sum(given))
    order = tuple([i for group in (0, 2, 1, 3) for i in groups[group]])  # from consts, carry and the tangents of both
    _, types = partition_list(moving, body_jaxpr.in_types[body_nconsts:])
    outs = while_p.bind(
        *cond_consts, *body_consts, *present(consts_t), *carry, *started,
        cond_jaxpr=beside(cond_jaxpr, tuple(types)), cond_nconsts=cond_nconsts,
        body_jaxpr=regrouped(body, order, tuple(range(len(body.outvars)))), body_nconsts=body_nconsts + sum(given),
        **kept_states)
    return outs[: len(carry)], spread(moving, outs[len(carry):])


@kept
def beside(program: Jaxpr, types: tuple[ArrayType, ...]) -> Jaxpr:
    """The program with further inputs, which it does not read."""
    return program.replace(invars=[*program.invars, *map(Var, types)])


def _transpose(cts: Sequence[Any], *args: Any, **params: Any) -> Any:
    raise NonlinearError(f"A while loop{at_line()} has no transpose: how often it runs may depend on what it computes. "
                         "Differentiate it with grad or vjp, or use scan, or fori_loop with bounds known beforehand.")


# ---- batching ----

def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, cond_jaxpr: Jaxpr, cond_nconsts: int,
           body_jaxpr: Jaxpr, body_nconsts: int, **kept_states: int) -> Any:
    args = [x if axis is None else place_axis(x, size, axis, 0) for x, axis in zip(args, axes, strict=True)]
    cond_axes, body_axes, carry_axes = split_list([a if a is None else 0 for a in axes], cond_nconsts, body_nconsts)
    cond_consts, body_consts, carry = split_list(args, cond_nconsts, body_nconsts)

    def in_front(mask: Mask) -> list[int | None]:
        return [0 if batched else None for batched in mask]

    def body(mask: Mask) -> Any:
        return batch_program(body_jaxpr, size, (*body_axes, *in_front(mask)), mask)

    mask = fixpoint(lambda mask: [a is not None for a in body(mask)[1]], [a is not None for a in carry_axes])
    cond, (by_example,) = batch_program(cond_jaxpr, size, (*cond_axes, *in_front(mask)))
    loop = {"cond_jaxpr": cond, "body_jaxpr": body(mask)[0]}
    if by_example is not None:
        refuse_effects("while", (cond_jaxpr, body_jaxpr))
        mask = (True,) * len(mask)
        cond, _ = batch_program(cond_jaxpr, size, (*cond_axes, *in_front(mask)))
        loop = by_rows(cond, cond_nconsts, body(mask)[0], tuple([axis is not None for axis in body_axes]))
        body_consts = [*cond_consts, *body_consts]
    carry = [place_axis(x, size, axis, 0) if b else x for x, axis, b in zip(carry, carry_axes, mask, strict=True)]
    outs = while_p.bind(*cond_consts, *body_consts, *carry, cond_nconsts=cond_nconsts, body_nconsts=len(body_consts),
                        **loop, **kept_states)
    return outs, in_front(mask)


@kept
def by_rows(cond: Jaxpr, cond_nconsts: int, body: Jaxpr, batched: Mask) -> dict[str, Jaxpr]:
    """The programs of a batched loop that goes on as long as any row wants to; the other rows stand still.

    Meanwhile their part of the work is done on the carry and batched consts of a row that goes on: what the body
    gives for values on which it would not run may be infinite, and NaN in the gradient of consts that rows share.
    """
    def any_row(*flat: Any) -> list[Any]:
        return [reduce_or(run_program(cond, *flat)[0], (0,))]

    def some_rows(*flat: Any) -> list[Any]:
        cond_consts, consts, carry = split_list(flat, cond_nconsts, len(batched))
        wants, = run_program(cond, *cond_consts, *carry)
        safe = lend_row(wants, [*consts, *carry], (*batched, *[True] * len(carry)))
        return [select_rows(wants, x, y) for x, y in zip(carry, run_program(body, *safe), strict=True)]

    types = [*cond.in_types[:cond_nconsts], *body.in_types]
    return {"cond_jaxpr": stage(any_row, cond.in_types, cond.debug_name),
            "body_jaxpr": stage(some_rows, types, body.debug_name)}


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
