"""`reduce` and `reduce_window` by a function of scalars, which the op holds as a program.

The program takes two sets of scalars and gives one; it must be associative.  What the ops mean is
spelled out by `ops/windows.py`: a tree of the program on arrays.  That tree, a program itself, is their
NumPy meaning and their derivative, forward and reverse, by initial values too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax.calls.jit import CallOp, jit_p, program_cost
from minijax.interpreters.batch import batch_program, unbatched_type
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import stage
from minijax.ir.jaxpr import Jaxpr, kept
from minijax.ir.types import ArrayType
from minijax.ops.families import moveaxis, reshape, shape_of
from minijax.ops.windows import (batched_geometry, reduce_axes, reduce_windows, reduced_shape, reducer_types,
                                 windows_shape)
from minijax.tracing.array import typeof
from minijax.util import size_of


def combined(jaxpr: Jaxpr, captured: Sequence[Any], left: Sequence[Any], right: Sequence[Any]) -> list[Any]:
    """A program of captured values and two sets of scalars on all elements of arrays of one shape."""
    shape, size = shape_of(left[0]), size_of(shape_of(left[0]))
    axes = (*[None] * len(captured), *[0] * (2 * len(left)))
    program, _ = batch_program(jaxpr, size, axes, (True,) * len(left))
    outs = run_program(program, *captured, *[reshape(x, (size,)) for x in (*left, *right)])
    return [reshape(x, shape) for x in outs]


@kept
def spelled_out(jaxpr: Jaxpr, spell: Callable[..., Any], types: tuple[ArrayType, ...],
                params: tuple[tuple[str, Any], ...]) -> Jaxpr:
    """The program on arrays of these types that an op with the program of scalars `jaxpr` stands for."""
    combine = functools.partial(combined, jaxpr, ())
    return stage(lambda *values: spell(combine, values, **dict(params)), types, jaxpr.debug_name)


def _reducing(name: str, spell: Callable[..., Any], shape: Callable[..., Any], batched: Callable[..., Any]) -> CallOp:
    def meaning(types: Any, jaxpr: Jaxpr, **params: Any) -> dict[str, Any]:
        return {"jaxpr": spelled_out(jaxpr, spell, tuple(types), tuple(params.items())), "name": name}

    def by_program(rule: Callable[..., Any]) -> Callable[..., Any]:
        return lambda primals, tangents, **params: rule(primals, tangents, **meaning(map(typeof, primals), **params))

    def evaluate(*arrays: Any, **params: Any) -> Any:
        return jit_p.eval(*arrays, **meaning(map(typeof, arrays), **params))

    def type_rule(*types: ArrayType, jaxpr: Jaxpr, **params: Any) -> Any:
        operands = reducer_types(name, types, jaxpr.out_types)
        return tuple([t.update(shape=shape(name, operands[0].shape, **params)) for t in jaxpr.out_types])

    def batch(size: int, args: Any, axes: Any, *, jaxpr: Jaxpr, **params: Any) -> Any:
        count = len(args) // 2
        if None in axes[:count] or any(a is not None for a in axes[count:]):
            types = [typeof(x) if a is None else unbatched_type(typeof(x), a) for x, a in zip(args, axes, strict=True)]
            return jit_p.batch(size, args, axes, **meaning(types, jaxpr, **params))
        moved = [moveaxis(x, a, 0) for x, a in zip(args[:count], axes, strict=False)]
        return op.bind(*moved, *args[count:], jaxpr=jaxpr, **batched(**params)), (0,) * count

    def cost(x: ArrayType, *types: ArrayType, jaxpr: Jaxpr, **params: Any) -> int:
        return x.size * size_of(params.get("window_dimensions", ())) * program_cost(jaxpr=jaxpr)

    op = CallOp(name, type=type_rule, eval=evaluate, batch=batch, cost=cost, jvp=by_program(jit_p.jvp),
                linearize=by_program(jit_p.linearize), undeclared=("transpose",))
    return op


reduce_p = _reducing("reduce", reduce_axes, reduced_shape,
                     lambda dimensions: {"dimensions": tuple([d + 1 for d in dimensions])})
reduce_window_p = _reducing("reduce_window", reduce_windows, windows_shape,
                            lambda **geometry: batched_geometry(0, **geometry))
