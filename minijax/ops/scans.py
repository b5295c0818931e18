"""Cumulative ops along an axis: cumsum, cumprod, cummax, cummin, cumlogsumexp.

cumsum is linear.  The derivatives of the others run an associative scan over pairs of
a value and its tangent, which is right at zeros, and at ties shares as JAX does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops import reference
from minijax.ops.arithmetic import max, max_p, min_p, neg, sub
from minijax.ops.comparison import eq, ne, select_n
from minijax.ops.elementwise import abs, exp, log1p
from minijax.ops.families import (accepts, add, any_number, broadcast_in_dim, elementwise_cost, linear_jvp, mul, mul_p,
                                  reshape, scalar_like, shape_of)
from minijax.ops.slicing import pad, slice_
from minijax.ops.structural import concatenate, rev
from minijax.tracing.source import at_line

Combine = Callable[[Sequence[Any], Sequence[Any]], Sequence[Any]]


# ---- the associative scan ----

def associative_scan(combine: Combine, xs: Sequence[Any], axis: int) -> list[Any]:
    """All prefixes of the arrays `xs`, combined along an axis, in a logarithmic number of steps.

    Neighbours are combined, the half as long arrays scanned, and the even places filled in from the odd ones.
    """
    size = shape_of(xs[0])[axis]
    if size < 2:
        return list(xs)
    pairs = combine([_every_second(x, axis, 0, size - 1) for x in xs], [_every_second(x, axis, 1, size) for x in xs])
    odd = associative_scan(combine, pairs, axis)
    before = [_cut(x, axis, 0, (size - 1) // 2) for x in odd]
    even = combine(before, [_every_second(x, axis, 2, size) for x in xs]) if size > 2 else before
    even = [concatenate([_cut(x, axis, 0, 1), y], axis) for x, y in zip(xs, even, strict=True)]
    return [_interleave(x, y, axis, size) for x, y in zip(even, odd, strict=True)]


def reduce_rows(combine: Combine, xs: Sequence[Any], initial: Sequence[Any]) -> list[Any]:
    """The arrays `xs` combined along axis 0, in order, neighbours first; then `initial` scalars before them."""
    xs, shape = list(xs), shape_of(xs[0])[1:]
    start = [broadcast_in_dim(x, shape, ()) for x in initial]
    while (size := shape_of(xs[0])[0]) > 1:
        even = size - size % 2
        pairs = combine([_every_second(x, 0, 0, even) for x in xs], [_every_second(x, 0, 1, even) for x in xs])
        xs = [concatenate([y, _cut(x, 0, even, size)], 0) if even < size else y for x, y in zip(xs, pairs, strict=True)]
    return list(combine(start, [reshape(x, shape) for x in xs])) if size else start


def _cut(x: Any, axis: int, start: int, limit: int, stride: int = 1) -> Any:
    shape = shape_of(x)
    return slice_(x, [start if i == axis else 0 for i in range(len(shape))],
                  [limit if i == axis else n for i, n in enumerate(shape)],
                  [stride if i == axis else 1 for i in range(len(shape))])


def _every_second(x: Any, axis: int, start: int, limit: int) -> Any:
    return _cut(x, axis, start, limit, 2)


def _interleave(even: Any, odd: Any, axis: int, size: int) -> Any:
    def spread(x: Any, low: int, high: int) -> Any:
        config = [(low, high, 1) if i == axis else (0, 0, 0) for i in range(len(shape_of(x)))]
        return pad(x, scalar_like(x, 0), config)

    return add(spread(even, 0, 1 - size % 2), spread(odd, 1, size % 2))


# ---- the family ----

def _cumulative(name: str, eval: Callable[..., Any], takes: Callable[[Any], bool], kinds: str) -> Op:
    def type_rule(x: ArrayType, *, axis: int, reverse: bool) -> tuple[ArrayType]:
        accepts(name, x.dtype, takes, kinds)
        if not 0 <= axis < x.ndim:
            raise ShapeError(f"{name}: {x} has no axis {axis}{at_line()}. Choose among {tuple(range(x.ndim))}.")
        return (x,)

    def batch(size: int, args: Any, axes: Any, *, axis: int, reverse: bool) -> Any:
        return op.bind(*args, axis=axis + (axis >= axes[0]), reverse=reverse), axes

    op = Op(name, type=type_rule, eval=lambda x, **params: (eval(x, **params),), batch=batch,
            cost=elementwise_cost(1), traits={"cumulative"}, undeclared=("transpose",))
    return op


def _scan_jvp(op: Op, combine: Combine) -> Callable[..., Any]:
    """jvp rule by an associative scan; `combine` joins a value and its tangent with another such pair."""
    def jvp(primals: Any, tangents: Any, *, axis: int, reverse: bool) -> Any:
        outs = op.bind(*primals, axis=axis, reverse=reverse)
        pair = [rev(x, (axis,)) if reverse else x for x in (primals[0], tangents[0])]
        tangent = associative_scan(combine, pair, axis)[1]
        return outs, (rev(tangent, (axis,)) if reverse else tangent,)

    return jvp


def _dual(op: Op) -> Combine:
    """The op on pairs of a value and its tangent."""
    def combine(x: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
        (z,), (t,) = op.jvp((x[0], y[0]), (x[1], y[1]))
        return z, t

    return combine


def _dual_logaddexp(x: Sequence[Any], y: Sequence[Any]) -> Sequence[Any]:
    (x, t), (y, s) = x, y
    z = _logaddexp(x, y)
    return z, add(mul(t, exp(_difference(x, z))), mul(s, exp(_difference(y, z))))


def _logaddexp(x: Any, y: Any) -> Any:
    gap = sub(x, y)
    total = add(max(x, y), log1p(exp(neg(abs(gap)))))
    return select_n(ne(gap, gap), total, add(x, y))  # equal infinities, or a NaN


def _difference(x: Any, z: Any) -> Any:
    return sub(_finite_above(x), _finite_above(z))


def _finite_above(x: Any) -> Any:
    return select_n(eq(x, scalar_like(x, np.inf)), x, scalar_like(x, 0.0))


cumsum_p = _cumulative("cumsum", reference.cumsum, any_number, "numeric")
cumsum_p.jvp = linear_jvp(cumsum_p)
cumsum_p.transpose = lambda cts, x, *, axis, reverse: (cumsum(cts[0], axis, not reverse),)
cumsum_p.undeclared = ()
cumprod_p = _cumulative("cumprod", reference.cumprod, any_number, "numeric")
cumprod_p.jvp = _scan_jvp(cumprod_p, _dual(mul_p))
cummax_p = _cumulative("cummax", reference.cummax, any_number, "numeric")
cummax_p.jvp = _scan_jvp(cummax_p, _dual(max_p))
cummin_p = _cumulative("cummin", reference.cummin, any_number, "numeric")
cummin_p.jvp = _scan_jvp(cummin_p, _dual(min_p))
cumlogsumexp_p = _cumulative("cumlogsumexp", reference.cumlogsumexp, dtypes.is_float, "real floating-point")
cumlogsumexp_p.jvp = _scan_jvp(cumlogsumexp_p, _dual_logaddexp)


def _function(op: Op, doc: str) -> Callable[..., Any]:
    def function(x: Any, axis: int = 0, reverse: bool = False) -> Any:
        return op.bind(x, axis=axis, reverse=reverse)[0]

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


cumsum = _function(cumsum_p, "Sums of the elements so far along an axis (non-negative), from the end if `reverse`.")
cumprod = _function(cumprod_p, "Products of the elements so far along an axis, from the end if `reverse`.")
cummax = _function(cummax_p, "The largest element so far along an axis, from the end if `reverse`.")
cummin = _function(cummin_p, "The smallest element so far along an axis, from the end if `reverse`.")
cumlogsumexp = _function(cumlogsumexp_p, "log of the sum of exp so far along an axis, from the end if `reverse`.")
