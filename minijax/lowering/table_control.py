"""How `cond` and `while` become `jax.lax`; their programs are emitted while JAX traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from minijax.calls.cond import cond_p, taken_branch
from minijax.calls.while_loop import while_p
from minijax.config import state
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.lowering.eager import new_kernel, program_evaluators
from minijax.lowering.emit import emit, evaluate_program
from minijax.lowering.values import bare
from minijax.tracing.array import Array
from minijax.util import split_list


def _program(jaxpr: Jaxpr) -> Callable[..., tuple[Any, ...]]:
    return lambda *values: tuple(emit(jaxpr, values))


def _cond(index: Any, *operands: Any, branches: tuple[Jaxpr, ...]) -> Any:
    functions = [_program(branch) for branch in branches]
    if jax.numpy.result_type(index) == bool:
        return jax.lax.cond(index, *reversed(functions), *operands)
    return jax.lax.switch(index, functions, *operands)


def _while(*values: Any, cond_jaxpr: Jaxpr, cond_nconsts: int, body_jaxpr: Jaxpr, body_nconsts: int,
           **kept_states: int) -> Any:
    cond_consts, body_consts, init = split_list(values, cond_nconsts, body_nconsts)
    return jax.lax.while_loop(lambda carry: emit(cond_jaxpr, [*cond_consts, *carry])[0],
                              lambda carry: tuple(emit(body_jaxpr, [*body_consts, *carry])), tuple(init))


rules: dict[Op, Callable[..., Any]] = {cond_p: _cond, while_p: _while}


# ---- eager calls ----

def evaluate_cond(args: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run the branch that the index chooses, compiled; all of them are compiled if JAX traces the index."""
    taken = taken_branch(args[0], params["branches"])
    if taken is None:
        return tuple(map(Array, _cond(*map(bare, args), **params)))
    return evaluate_program(args[1:], {"jaxpr": taken, "name": "branch"})


def evaluate_while(args: Sequence[Any], params: dict[str, Any]) -> tuple[Any, ...]:
    """Run a loop, compiled; the compiled form is kept by its body."""
    cache, key = params["body_jaxpr"].cache, ("kernel", *params.items(), state.token)
    kernel = cache.get(key) or cache.setdefault(key, new_kernel(while_p, params))
    return tuple(map(Array, kernel(*map(bare, args))))


program_evaluators[cond_p] = evaluate_cond
program_evaluators[while_p] = evaluate_while
