"""More derivatives, from `jvp`, `vjp` and `vmap`: Jacobians, Hessians, linear parts and their transposes.

Nothing here is part of the kernel: each is a page of Python over the transformations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import canonical_argnums, check_callable, check_inexact
from minijax.api.boundary import boundary
from minijax.api.differentiate import (FlatFunction, as_result, as_tangent, grad, jvp, match_cotangents,
                                       match_tangents, pull_back, vjp)
from minijax.api.trace import as_types
from minijax.api.vmap import vmap
from minijax.calls.arguments import Arguments
from minijax.calls.names import function_name
from minijax.errors import MinijaxTypeError
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import stage
from minijax.interpreters.transpose import transpose_values
from minijax.ir.op import Linear
from minijax.ir.types import zero
from minijax.ops.comparison import eq
from minijax.ops.conversion import convert_element_type
from minijax.ir import dtypes
from minijax.ops.families import add, reshape, transpose
from minijax.ops.slicing import slice_
from minijax.ops.structural import iota, zeros_of
from minijax.tracing.array import typeof

Function = Callable[..., Any]


def standard_basis(tree: Any) -> Any:
    """A tree of batches: together the unit vectors of the space of `tree`, one for each element."""
    leaves, treedef = pytree.flatten(tree)
    types = [typeof(x) for x in leaves]
    total, start, blocks = sum(t.size for t in types), 0, []
    for t in types:
        rows = iota(dtypes.int32, (total, t.size), 0)
        columns = iota(dtypes.int32, (total, t.size), 1)
        shifted = eq(rows, add(columns, np.int32(start)))
        blocks.append(reshape(convert_element_type(shifted, t.dtype), (total, *t.shape)))
        start += t.size
    return treedef.unflatten(blocks)


def _split_columns(batch: Any, types: Sequence[Any], treedef: Any, last: bool) -> Any:
    """Cut the axis over basis vectors of `batch` into the shapes of `types`."""
    shape, start, parts = typeof(batch).shape, 0, []
    for t in types:
        part = slice_(batch, (start, *[0] * len(shape[1:])), (start + t.size, *shape[1:]))
        rest = shape[1:]
        part = reshape(part, (*t.shape, *rest))
        if last:
            n, m = t.ndim, len(rest)
            part = transpose(part, (*range(n, n + m), *range(n)))
        parts.append(part)
        start += t.size
    return treedef.unflatten(parts)


def _jacobian(name: str, fun: Function, argnums: Any, has_aux: bool, holomorphic: bool, allow_int: bool,
              compute: Callable[..., Any]) -> Function:
    check_callable(name, fun)

    @boundary
    @functools.wraps(fun)
    def jacobian_fun(*args: Any, **kwargs: Any) -> Any:
        numbers = canonical_argnums(name, argnums, len(args))
        call = Arguments(name, fun, args, kwargs, numbers)
        check_inexact(call, holomorphic, allow_int)
        result, aux = compute(lambda *xs: call.apply(xs, {}), [args[n] for n in numbers])
        if not isinstance(argnums, (tuple, list)):
            result = pytree.map(lambda row: row[0], result, is_leaf=lambda x: isinstance(x, _Row))
        else:
            result = pytree.map(tuple, result, is_leaf=lambda x: isinstance(x, _Row))
        return (result, aux) if has_aux else result

    return jacobian_fun


def check_complex(name: str, fun: Any, types: Sequence[Any]) -> None:
    """Raise `MinijaxTypeError` for a result that is not complex, where holomorphic=True promises it."""
    for t in types:
        if not dtypes.is_complex(t.dtype):
            raise MinijaxTypeError(f"{name} with holomorphic=True needs complex results, but {function_name(fun)} "
                                   f"returned one of dtype {t.dtype}. Leave holomorphic=True out.")


class _Row(list):  # type: ignore[type-arg]
    """The derivatives of one output leaf with respect to the chosen arguments."""


def jacfwd(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False,
           holomorphic: bool = False) -> Function:
    """The Jacobian of `fun` by forward mode: a column for each input element; best for tall Jacobians.

    The result has the output's structure; each leaf is replaced by the structure of the argument, with
    leaves of shape (*output shape, *input shape).

    >>> import numpy as np
    >>> jacfwd(lambda x: x * x)(np.float32([1., 2.]))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """
    def compute(f: Function, chosen: list[Any]) -> tuple[Any, Any]:
        leaves, treedef = pytree.flatten(chosen)
        types = [typeof(x) for x in leaves]
        aux = []

        def push(tangents: Any) -> Any:
            found = jvp(f, tuple(chosen), tuple(tangents), has_aux)
            aux.append(found[2] if has_aux else None)
            return found[1]

        columns = vmap(push)(standard_basis(chosen))
        if holomorphic:
            check_complex("jacfwd", fun, [typeof(y) for y in pytree.leaves(columns)])
        return pytree.map(lambda y: _Row(_split_columns(y, types, treedef, True)), columns), aux[0]

    return _jacobian("jacfwd", fun, argnums, has_aux, holomorphic, False, compute)


def jacrev(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False, holomorphic: bool = False,
           allow_int: bool = False) -> Function:
    """The Jacobian of `fun` by reverse mode: a row for each output element; best for wide Jacobians.

    Shapes as for `jacfwd`.

    >>> import numpy as np
    >>> jacrev(lambda x: x * x)(np.float32([1., 2.]))
    Array([[2., 0.],
           [0., 4.]], dtype=float32)
    """
    def compute(f: Function, chosen: list[Any]) -> tuple[Any, Any]:
        found = vjp(f, *chosen, has_aux=has_aux)
        outs, out_tree = pytree.flatten(found[0])
        types = [typeof(y) for y in outs]
        if holomorphic:
            check_complex("jacrev", fun, types)
        for t in types:
            if not holomorphic and not dtypes.is_float(t.dtype):
                raise MinijaxTypeError(f"jacrev needs real floating-point results, but {function_name(fun)} returned "
                                       f"{t}. Convert it with .astype('float32'), or use jacfwd.")
        rows = vmap(found[1])(standard_basis(found[0]))
        leaves, in_tree = pytree.flatten(list(rows))
        cut = [pytree.leaves(_split_columns(x, types, out_tree, False)) for x in leaves]
        per_output = [_Row(in_tree.unflatten([c[i] for c in cut])) for i in range(len(outs))]
        return out_tree.unflatten(per_output), found[2] if has_aux else None

    return _jacobian("jacrev", fun, argnums, has_aux, holomorphic, allow_int, compute)


jacobian = jacrev


def hessian(fun: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False,
            holomorphic: bool = False) -> Function:
    """The matrix of second derivatives of `fun`, forward over reverse.

    >>> import numpy as np
    >>> hessian(lambda x: (x ** 3).sum())(np.float32([1., 2.]))
    Array([[ 6.,  0.],
           [ 0., 12.]], dtype=float32)
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)


@boundary
def hvp(fun: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Hessian times vector: the derivative of `grad(fun)` at `primals` along `tangents`, without the Hessian.

    Returns a gradient-shaped result for the first argument, or a tuple if there are several.

    >>> import numpy as np
    >>> hvp(lambda x: (x ** 3).sum(), (np.float32([1., 2.]),), (np.float32([1., 0.]),))
    Array([6., 0.], dtype=float32)
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise MinijaxTypeError("hvp takes tuples of primals and tangents, one item for each argument: "
                               f"hvp(f, (x,), (t,)). Got {type(primals).__name__} and {type(tangents).__name__}.")
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    return jvp(grad(fun, argnums), tuple(primals), tuple(tangents))[1]


@boundary
def linear_transpose(fun: Callable[..., Any], *primals: Any, reduce_axes: Any = ()) -> Callable[[Any], Any]:
    """The transpose of a linear function: from output cotangents to a tuple of input cotangents.

    `primals` give shapes and dtypes only (arrays or `ShapeDtypeStruct`s).

    >>> linear_transpose(lambda x: 3.0 * x, 1.0)(1.0)
    (Array(3., dtype=float32, weak_type=True),)
    """
    check_callable("linear_transpose", fun)
    call = Arguments("linear_transpose", fun, primals)
    types, flat = as_types(call), FlatFunction(call)
    jaxpr = stage(flat, types, function_name(fun))

    @boundary
    def transposed(cotangents: Any) -> Any:
        cts = match_cotangents(flat, jaxpr.out_types, cotangents)
        found = transpose_values(jaxpr, [Linear(t) for t in types], cts)
        full = [zeros_of(t) if ct is zero else ct for t, ct in zip(types, found, strict=True)]
        return call.tree.unflatten(map(as_result, full))[0]

    return transposed


@boundary
def linearize(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """Value of `fun` at `primals`, and its derivative there as a function of tangents.

    The function is run once; the derivative replays the recorded linear program.

    >>> y, f_jvp = linearize(lambda x: x * x, 3.0); f_jvp(1.0)
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable("linearize", fun)
    call = Arguments("linearize", fun, primals).checked()
    pull, aux = pull_back(call, has_aux)
    flat, linear, outs, tape = pull.flat, pull.linear, pull.outs, pull.tape
    jaxpr = tape.to_jaxpr(function_name(fun))

    @boundary
    def derivative(*tangents: Any) -> Any:
        found = match_tangents(call, tangents)
        values = iter(run_program(jaxpr, *[t for t, is_linear in zip(found, linear, strict=True) if is_linear]))
        full = [as_tangent(zero if t is zero else next(values), x) for x, t in zip(outs, tape.outs, strict=True)]
        return flat.out_tree.unflatten(full)

    derivative.jaxpr = jaxpr  # type: ignore[attr-defined]
    result = flat.out_tree.unflatten(map(as_result, outs))
    return (result, derivative, aux) if has_aux else (result, derivative)
