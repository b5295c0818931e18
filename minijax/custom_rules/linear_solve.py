"""`custom_linear_solve`, the op that solves A x = b with a solver that is given, not differentiated.

    custom_linear_solve[matvec vecmat solve transpose_solve](consts, b) -> (x, aux)

Its four programs take the same consts: matvec(consts, x) = A x, vecmat = A^T x, solve(consts, b) = x,
transpose_solve = the solution of A^T x = b; the two transposed ones may be None.  Derivatives
follow from A dx = db - dA x alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.custom import in_front, linearized
from minijax.calls.jit import CallOp, runs
from minijax.errors import NonlinearError
from minijax.interpreters.batch import batch_program
from minijax.interpreters.dual import instantiate, jvp_flat
from minijax.interpreters.evaluate import run_program
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Linear
from minijax.ir.types import zero
from minijax.ops.arithmetic import neg
from minijax.ops.elementwise import add_any
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof


def _derivative(push: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], *, num_consts: int,
                **params: Any) -> Any:
    """The same op for A dx = db - dA x; `push` differentiates A."""
    outs = linear_solve_p.bind(*primals, num_consts=num_consts, **params)
    consts, count = primals[:num_consts], len(primals) - num_consts
    rhs = list(tangents[num_consts:])
    if any(t is not zero for t in tangents[:num_consts]):
        _, moved = push(functools.partial(run_program, params["matvec"]), [*consts, *outs[:count]],
                        [*tangents[:num_consts], *[zero] * count])
        rhs = [t if m is zero else neg(m) if t is zero else add_any(t, neg(m)) for t, m in zip(rhs, moved, strict=True)]
    no_aux = [zero] * (len(outs) - count)
    if all(t is zero for t in rhs):
        return outs, [*rhs, *no_aux]
    b = [instantiate(t, x) for t, x in zip(rhs, primals[num_consts:], strict=True)]
    return outs, [*linear_solve_p.bind(*consts, *b, num_consts=num_consts, **params)[:count], *no_aux]


def _transpose(cts: Sequence[Any], *args: Any, matvec: Jaxpr, vecmat: Jaxpr | None, solve: Jaxpr,
               transpose_solve: Jaxpr | None, num_consts: int, has_aux: bool) -> Any:
    consts, b = args[:num_consts], args[num_consts:]
    if transpose_solve is None or any(type(x) is Linear for x in consts):
        raise NonlinearError("custom_linear_solve was given no transpose_solve, so it has no reverse-mode derivative. "
                             "Pass transpose_solve(vecmat, b), which solves A^T x = b, or symmetric=True.")
    given = [zeros_of(x.type if type(x) is Linear else typeof(x)) if ct is zero else ct
             for ct, x in zip(cts, b, strict=False)]
    found = linear_solve_p.bind(*consts, *given, matvec=vecmat, vecmat=matvec, solve=transpose_solve,
                                transpose_solve=solve, num_consts=num_consts, has_aux=has_aux)
    return [None] * num_consts + [ct if type(x) is Linear else None for ct, x in zip(found, b, strict=False)]


def _batch(size: int, args: Sequence[Any], axes: Sequence[int | None], *, num_consts: int, has_aux: bool,
           **programs: Any) -> Any:
    """Every right-hand side and solution is batched if anything is; the consts need not be."""
    consts, b = args[:num_consts], in_front(size, args[num_consts:], axes[num_consts:])
    full = (*axes[:num_consts], *[0] * len(b))

    def batched(program: Jaxpr | None) -> Jaxpr | None:
        return program and batch_program(program, size, full, (True,) * len(program.outvars))[0]

    outs = linear_solve_p.bind(*consts, *b, num_consts=num_consts, has_aux=has_aux,
                               **{name: batched(program) for name, program in programs.items()})
    return outs, (0,) * len(outs)


linear_solve_p = CallOp(
    "custom_linear_solve", jvp=functools.partial(_derivative, jvp_flat), transpose=_transpose, batch=_batch,
    linearize=functools.partial(_derivative, linearized), **runs("solve"))
