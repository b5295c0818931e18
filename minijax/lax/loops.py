"""Loops over arrays: scan, map and associative_scan."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.names import function_name
from minijax.calls.scan import scan_p
from minijax.calls.static import no_static
from minijax.config import state
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError, TreeError
from minijax.interpreters.batch import unbatched_type
from minijax.ir.types import ArrayType
from minijax.ops.families import at_line
from minijax.ops.operands import operand as as_operand
from minijax.ops.promotion import common_dtype, convert
from minijax.ops.slicing import slice_
from minijax.ops.structural import concatenate, expand_dims, squeeze
from minijax.tracing.array import is_value, typeof


@boundary
def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None,
         reverse: bool = False, unroll: int | bool = 1, _split_transpose: bool = False, *,
         checkpoint: int | None = None) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` over the leading axis of `xs`: the final carry, and all ys stacked.

    `init`, `xs`, the carry and y are pytrees; the carry keeps one type.  Without `xs`, `length` says how many
    steps there are.  `reverse` goes from the last x to the first; `unroll` steps are compiled as one (True: all).
    `checkpoint` bounds the number of carries that the gradient keeps; it computes the others again.
    Raises `MinijaxTypeError` for a carry that changes its type, `MinijaxValueError` for lengths that differ.

    >>> scan(lambda total, x: (total + x, total), 0.0, np.arange(3.0))
    (Array(3., dtype=float32), Array([0., 0., 1.], dtype=float32, weak_type=True))
    """
    check_callable("scan", f)
    carry, init_tree = _leaves("init", init)
    steps, xs_tree = _leaves("xs", xs)
    length = _length(xs, steps, length)
    loop = {"length": length, "reverse": bool(reverse), "unroll": _unroll(unroll, length)}
    if checkpoint is not None:
        loop["checkpoint"] = operator.index(checkpoint)
    carry, traced, y_tree = _trace(f, carry, init_tree, steps, xs_tree)
    outs = scan_p.bind(*traced.captured, *carry, *steps, jaxpr=traced.jaxpr, num_consts=len(traced.captured), num_carry=len(carry), **loop)
    carries, ys = outs[:len(carry)], outs[len(carry):]
    return init_tree.unflatten(carries), y_tree.unflatten(ys)


def _leaves(name: str, tree: Any) -> tuple[list[Any], Any]:
    leaves, treedef = pytree.flatten(tree)
    return leaves, treedef


def _length(xs: Any, leaves: Sequence[Any], length: int | None) -> int:
    return leaves[0].shape[0] if leaves else length


def _unroll(unroll: Any, length: int) -> int:
    return max(length, 1) if unroll is True else 1 if unroll is False else operator.index(unroll)


def _trace(f: Any, carry: list[Any], init_tree: Any, xs: list[Any], xs_tree: Any) -> Any:
    types = [unbatched_type(typeof(x), 0) for x in xs]
    in_tree = pytree.structure(((init_tree.unflatten(carry), xs_tree.unflatten(xs)), {}))
    traced = trace_cache(f).get(f, (*map(typeof, carry), *types), in_tree, no_static, lambda: [])
    out = traced.out_tree.unflatten(range(traced.out_tree.num_leaves))
    return carry, traced, pytree.structure(out[1])
