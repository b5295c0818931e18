"""`jet`, the Taylor series of a function along a curve, and `laplacian`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.api.differentiate import as_result
from minijax.api.vmap import vmap
from minijax.calls.arguments import check_outputs
from minijax.calls.names import function_name
from minijax.derivatives import standard_basis
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.types import zero
from minijax.ops.families import reduce_sum
from minijax.ops.promotion import convert
from minijax.ops.structural import zeros_of
from minijax.taylor import control, rules  # noqa: F401  (they fill the tables of rules)
from minijax.taylor.trace import JetTrace, Series, scaled
from minijax.tracing.array import typeof
from minijax.tracing.context import context, running


@boundary
def jet(fun: Callable[..., Any], primals: Sequence[Any], series: Sequence[Sequence[Any]],
        factorial_scaled: bool = True) -> tuple[Any, Any]:
    """The Taylor series of `fun` along a curve, from that of its arguments: all orders in one sweep.

    `primals` has one item for each argument, its value at t = 0; `series` has for each argument the list of its next
    K coefficients, each of the argument's structure.  With `factorial_scaled` coefficient k is the k-th derivative
    in t, as in JAX; without it is the normal coefficient of t^k, the derivative divided by k!.  Returns the value of
    `fun` and, in its structure, lists of the K coefficients of each leaf.  Raises `MinijaxValueError` for series of
    different lengths.

    >>> y, (first, second) = jet(lambda x: x ** 3, (2.0,), ([1.0, 0.0],))
    >>> first, second
    (Array(12., dtype=float32, weak_type=True), Array(12., dtype=float32, weak_type=True))
    >>> jet(lambda x: x ** 3, (2.0,), ([1.0, 0.0],), factorial_scaled=False)[1][1]
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable("jet", fun)
    order = series_order(fun, primals, series)
    leaves, in_tree = pytree.flatten(tuple(primals))
    columns = [flat_coefficient(fun, primals, series, k, factorial_scaled) for k in range(order)]
    with running(JetTrace(context.trace, order)) as trace:
        assert isinstance(trace, JetTrace)
        inputs = [trace.tracer([x, *[column[i] for column in columns]]) for i, x in enumerate(leaves)]
        outs, out_tree = pytree.flatten(fun(*in_tree.unflatten(inputs)))
        check_outputs(f"jet: {function_name(fun)}", outs, out_tree)
        found = [trace.series_of(x) for x in outs]
    return (out_tree.unflatten([as_result(x[0]) for x in found]),
            out_tree.unflatten([coefficients(x, factorial_scaled) for x in found]))


def series_order(fun: Any, primals: Any, series: Any) -> int:
    """How many coefficients each argument's series has after its value."""
    if not all(isinstance(each, (tuple, list)) for each in (primals, series, *series)):
        raise MinijaxTypeError("jet takes a tuple of primals, and a tuple with a list of coefficients for each: "
                               "jet(f, (x,), ([x1, x2],)).")
    lengths = [len(each) for each in series]
    if len(lengths) != len(primals) or len(set(lengths)) > 1:
        raise MinijaxValueError(f"jet of {function_name(fun)}: {len(primals)} arguments have series of lengths "
                                f"{lengths}. Give each argument a series, all of one length; zeros fill up.")
    return lengths[0] if lengths else 0


def flat_coefficient(fun: Any, primals: Any, series: Any, k: int, factorial_scaled: bool) -> list[Any]:
    """Leaves of coefficient k + 1 of all arguments, as normal coefficients; `zero` for what has no derivative."""
    given = tuple([each[k] for each in series])
    leaves, tree = pytree.flatten(given)
    values, in_tree = pytree.flatten(tuple(primals))
    if tree != in_tree:
        raise MinijaxTypeError(f"jet of {function_name(fun)}: coefficients {k + 1} have the structure {tree}, the "
                               f"arguments {in_tree}. They must be equal.")
    found = []
    for x, c in zip(values, leaves, strict=True):
        type = typeof(x)
        if not type.differentiable:
            found.append(zero)
            continue
        if typeof(c).shape != type.shape:
            raise MinijaxTypeError(f"jet of {function_name(fun)}: coefficient {k + 1} of an argument is {typeof(c)}, "
                                   f"the argument {type}. They must have the same shape.")
        c = convert(c, type.dtype, type.weak_type)
        found.append(scaled(c, 1 / math.factorial(k + 1)) if factorial_scaled else c)
    return found


def coefficients(x: Series, factorial_scaled: bool) -> list[Any]:
    """The coefficients after the value, zeros made arrays."""
    return [as_result(zeros_of(typeof(x[0])) if c is zero else
                      scaled(c, math.factorial(k)) if factorial_scaled else c) for k, c in enumerate(x[1:], 1)]


def laplacian(fun: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The function that gives the sum of the second derivatives of `fun` in all elements of an argument.

    It is the trace of the Hessian, from a series of order two along each axis: exact, and without the Hessian.
    The argument is a pytree of real arrays; the result has the structure of `fun`'s.

    >>> import numpy as np
    >>> laplacian(lambda x: x[0] ** 2 * x[1])(np.float32([3, 5]))
    Array(10., dtype=float32)
    """
    check_callable("laplacian", fun)

    @boundary
    def laplacian_fun(*args: Any, **kwargs: Any) -> Any:
        x = args[argnums]
        for leaf in pytree.leaves(x):
            if not dtypes.is_float(typeof(leaf).dtype):
                raise MinijaxTypeError(f"laplacian of {function_name(fun)}: argument {argnums} holds {typeof(leaf)}, "
                                       "and is differentiated in real numbers. Convert it with .astype('float32').")

        def of_one(y: Any) -> Any:
            return fun(*args[:argnums], y, *args[argnums + 1:], **kwargs)

        still = pytree.map(lambda leaf: zeros_of(typeof(leaf)), x)

        def along(direction: Any) -> Any:
            out, found = jet(of_one, (x,), ([direction, still],))
            return pytree.map(lambda _, each: each[1], out, found)

        return pytree.map(lambda each: reduce_sum(each, (0,)), vmap(along)(standard_basis(x)))

    return laplacian_fun
