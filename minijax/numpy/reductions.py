"""Reductions over axes: sums, means, extrema, tests; and the cumulative functions.

16-bit floats are summed in float32, small integers in the default integer dtype, as JAX does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from minijax.errors import MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.numpy.elementwise import as_bool, conjugate, isclose, isnan
from minijax.numpy.operands import axes_of, axis_of, converted, default_int, dtype_of, operand, refuse
from minijax.ops import arithmetic, elementwise, reductions, scans
from minijax.ops.comparison import select_n
from minijax.ops.conversion import convert_element_type, real
from minijax.ops.families import mul, reduce_sum, reduce_sum_p, reshape, scalar_like
from minijax.ops.operators import add, bitwise_and, bitwise_or, equal, maximum, minimum, multiply, subtract, true_divide
from minijax.ops.promotion import broadcast_operands, broadcast_shapes, broadcast_to, to_inexact
from minijax.ops.structural import expand_dims
from minijax.tracing.array import Array
from minijax.tracing.source import at_line
from minijax.util import size_of


def _masked(name: str, x: Any, where: Any, neutral: Any) -> Any:
    """`x` with the neutral element where the mask is False."""
    if where is None:
        return x
    mask = operand(name, where)
    shape = broadcast_shapes(name, (x.shape, mask.shape))
    return select_n(broadcast_to(as_bool(mask), shape), scalar_like(x, neutral), broadcast_to(x, shape))


def _kept(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    return expand_dims(x, axes) if keepdims and axes else x


# ---- sum and prod ----

def _sum_dtype(dtype: Any, asked: Any, promote_integers: bool) -> Any:
    if asked is not None:
        return asked
    if promote_integers and (dtype == dtypes.bool_ or dtypes.is_integer(dtype) and (
            dtype.itemsize < default_int().itemsize)):
        return dtypes.canonical_dtype(dtypes.uint64) if dtypes.is_unsigned(dtype) else default_int()
    return default_int() if dtype == dtypes.bool_ else dtype


def _total(name: str, reduce: Callable[..., Any], combine: Callable[..., Any], neutral: int) -> Callable[..., Any]:
    def total(a: Any, initial: Any, where: Any, axes: tuple[int, ...], dtype: Any, keepdims: bool) -> Any:
        work = dtypes.float32 if dtypes.is_float(dtype) and dtype.itemsize < 4 else dtype
        x = reduce(_masked(name, convert_element_type(a, work), where, neutral), axes)
        if initial is not None:
            x = combine(convert_element_type(operand(name, initial), work), x)
        return _kept(converted(x, dtype), axes, keepdims)

    total.__name__ = total.__qualname__ = name
    return fused(total, static_argnames=("axes", "dtype", "keepdims"))


_sum = _total("sum", reduce_sum, add, 0)
_prod = _total("prod", reductions.reduce_prod, multiply, 1)


def sum(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
        where: Any = None, promote_integers: bool = True) -> Any:
    """Sum over axes (all by default) of the elements where `where`, plus `initial`.

    >>> sum(np.ones((2, 3), np.float32), axis=0)
    Array([2., 2., 2.], dtype=float32)
    """
    if out is dtype is initial is where is None and not keepdims and isinstance(a, Array):
        t = a.type
        if t.dtype is dtypes.float32 and t.shape and not t.weak_type:  # one op, and no questions
            return reduce_sum_p.bind(a, axes=axes_of("sum", axis, len(t.shape)))[0]
    refuse("sum", out=out)
    a = operand("sum", a)
    axes = axes_of("sum", axis, a.ndim)
    asked = dtype_of("sum", dtype)
    return _sum(a, initial, where, axes=axes, dtype=_sum_dtype(a.dtype, asked, promote_integers),
                keepdims=bool(keepdims))


def prod(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
         where: Any = None, promote_integers: bool = True) -> Any:
    """Product over axes of the elements where `where`, times `initial`.

    >>> prod(np.array([2, 3]))
    Array(6, dtype=int32)
    """
    refuse("prod", out=out)
    a = operand("prod", a)
    dtype = _sum_dtype(a.dtype, dtype_of("prod", dtype), promote_integers)
    return _prod(a, initial, where, axes=axes_of("prod", axis, a.ndim), dtype=dtype, keepdims=bool(keepdims))


# ---- max and min ----

def _limit(dtype: Any, largest: bool) -> Any:
    """The neutral element of min (largest) or of max."""
    if dtype == dtypes.bool_:
        return largest
    if dtypes.is_integer(dtype):
        limits = ml_dtypes.iinfo(dtype) if dtype.kind == "V" else np.iinfo(dtype)
        return limits.max if largest else limits.min
    return math.inf if largest else -math.inf


def _extremum(name: str, reduce: Callable[..., Any], combine: Callable[..., Any], largest: bool) -> Callable[..., Any]:
    def extremum(a: Any, initial: Any, where: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        x = reduce(_masked(name, a, where, _limit(a.dtype, largest)), axes)
        if initial is not None:
            x = combine(convert_element_type(operand(name, initial), a.dtype), x)
        return _kept(converted(x, a.dtype), axes, keepdims)

    extremum.__name__ = extremum.__qualname__ = name
    compiled = fused(extremum, static_argnames=("axes", "keepdims"))

    def function(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, initial: Any = None,
                 where: Any = None) -> Any:
        refuse(name, out=out)
        a = operand(name, a)
        axes = axes_of(name, axis, a.ndim)
        if where is not None and initial is None:
            raise MinijaxValueError(f"{name}: a `where` mask needs an `initial` value, for the case that it "
                                    "is all False.")
        if initial is None and 0 in [a.shape[i] for i in axes]:
            raise MinijaxValueError(f"{name}: the axes {axes} of shape {a.shape} hold no elements{at_line()}. "
                                    "Give `initial`.")
        return compiled(a, initial, where, axes=axes, keepdims=bool(keepdims))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (f"The {'smallest' if largest else 'largest'} element along axes (all by default); NaN if "
                        "there is one.\n\n"
                        "    Raises `MinijaxValueError` for axes without elements unless `initial` is given.\n    ")
    return function


max = amax = _extremum("max", reductions.reduce_max, maximum, False)
min = amin = _extremum("min", reductions.reduce_min, minimum, True)


def ptp(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Any:
    """The largest minus the smallest element along axes."""
    return subtract(max(a, axis, out, keepdims), min(a, axis, out, keepdims))


# ---- all and any ----

def _test(name: str, reduce: Callable[..., Any], neutral: bool) -> Callable[..., Any]:
    def test(a: Any, where: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        return _kept(reduce(_masked(name, as_bool(a), where, neutral), axes), axes, keepdims)

    test.__name__ = test.__qualname__ = name
    return fused(test, static_argnames=("axes", "keepdims"))


_all, _any = _test("all", reductions.reduce_and, True), _test("any", reductions.reduce_or, False)


def all(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Any:
    """Whether all elements along axes are true.

    >>> all(np.array([True, False]))
    Array(False, dtype=bool)
    """
    refuse("all", out=out)
    a = operand("all", a)
    return _all(a, where, axes=axes_of("all", axis, a.ndim), keepdims=bool(keepdims))


def any(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Any:
    """Whether any element along axes is true."""
    refuse("any", out=out)
    a = operand("any", a)
    return _any(a, where, axes=axes_of("any", axis, a.ndim), keepdims=bool(keepdims))


def count_nonzero(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """How many elements along axes are not zero."""
    return sum(as_bool(a), axis, dtype=default_int(), keepdims=keepdims)


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Any:
    """Whether all elements agree: |a - b| <= atol + rtol |b|.

    >>> allclose(np.ones(2), 1.0)
    Array(True, dtype=bool)
    """
    return all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """Whether two arrays have one shape and equal elements."""
    a1, a2 = operand("array_equal", a1), operand("array_equal", a2)
    if a1.shape != a2.shape:
        return operand("array_equal", np.False_)
    same = equal(a1, a2)
    return all(bitwise_or(same, bitwise_and(isnan(a1), isnan(a2))) if equal_nan else same)


def array_equiv(a1: Any, a2: Any) -> Any:
    """Whether two arrays have equal elements once they are broadcast."""
    try:
        broadcast_shapes("array_equiv", [operand("array_equiv", x).shape for x in (a1, a2)])
    except ShapeError:
        return operand("array_equiv", np.False_)
    return all(equal(a1, a2))


# ---- mean, var, std ----

def _mean_dtype(dtype: Any, asked: Any) -> Any:
    return to_inexact(dtype) if asked is None else asked


def _count(name: str, x: Any, where: Any, axes: tuple[int, ...], dtype: Any, keepdims: bool) -> Any:
    """How many elements are averaged, as a number of a dtype."""
    if where is None:
        return dtype.type(size_of([x.shape[i] for i in axes]))
    mask = broadcast_to(as_bool(where), x.shape)
    return _kept(reduce_sum(convert_element_type(mask, dtype), axes), axes, keepdims)


def _mean_of(a: Any, where: Any, axes: tuple[int, ...], dtype: Any, keepdims: bool) -> Any:
    work = dtypes.float32 if dtypes.is_float(dtype) and dtype.itemsize < 4 else dtype
    if where is None and a.dtype == dtype == work and not a.weak_type:
        total = _kept(reduce_sum(a, axes), axes, keepdims)
        return arithmetic.div(total, dtype.type(size_of([a.shape[i] for i in axes])))
    total = _sum(a, None, where, axes=axes, dtype=work, keepdims=keepdims)
    return converted(true_divide(total, _count("mean", a, where, axes, work, keepdims)), dtype)


_mean = fused(_mean_of, static_argnames=("axes", "dtype", "keepdims"))


def mean(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *,
         where: Any = None) -> Any:
    """Arithmetic mean over axes of the elements where `where`.

    >>> mean(np.array([1, 2]))
    Array(1.5, dtype=float32)
    """
    refuse("mean", out=out)
    a = operand("mean", a)
    dtype = _mean_dtype(a.dtype, dtype_of("mean", dtype))
    return _mean(a, where, axes=axes_of("mean", axis, a.ndim), dtype=dtype, keepdims=bool(keepdims))


def _var_of(a: Any, where: Any, mean: Any, ddof: Any, axes: tuple[int, ...], dtype: Any, keepdims: bool) -> Any:
    work = dtypes.float32 if dtypes.is_float(dtype) and dtype.itemsize < 4 else dtype
    x = convert_element_type(a, work if dtypes.is_complex(work) or not dtypes.is_complex(a.dtype) else a.dtype)
    centre = _mean_of(x, where, axes, x.dtype, True) if mean is None else convert_element_type(mean, x.dtype)
    centred = subtract(x, centre)
    squares = real(mul(centred, conjugate(centred))) if dtypes.is_complex(x.dtype) else elementwise.square(centred)
    free = subtract(_count("var", x, where, axes, squares.dtype, keepdims), convert_element_type(ddof, squares.dtype))
    total = _sum(squares, None, where, axes=axes, dtype=squares.dtype, keepdims=keepdims)
    total, free = broadcast_operands("var", total, free)
    out = select_n(arithmetic.sign(free) > 0, scalar_like(total, math.nan), true_divide(total, free))
    return converted(out, dtypes.real_dtype(dtype))


_var = fused(_var_of, static_argnames=("axes", "dtype", "keepdims"))
_std = fused(lambda *args, **statics: elementwise.sqrt(_var_of(*args, **statics)),
             static_argnames=("axes", "dtype", "keepdims"))


def var(a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
        where: Any = None, mean: Any = None, correction: Any = None) -> Any:
    """Variance over axes: the squared distances from the mean, divided by their number less `ddof`.

    >>> var(np.array([1.0, 3.0]))
    Array(1., dtype=float32)
    """
    return _spread("var", _var, a, axis, dtype, out, correction if correction is not None else ddof, keepdims, where,
                   mean)


def std(a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: int = 0, keepdims: bool = False, *,
        where: Any = None, mean: Any = None, correction: Any = None) -> Any:
    """Standard deviation over axes: the square root of `var`."""
    return _spread("std", _std, a, axis, dtype, out, correction if correction is not None else ddof, keepdims, where,
                   mean)


def _spread(name: str, compiled: Callable[..., Any], a: Any, axis: Any, dtype: Any, out: Any, ddof: Any, keepdims: bool,
            where: Any, mean: Any) -> Any:
    refuse(name, out=out)
    a = operand(name, a)
    dtype = _mean_dtype(a.dtype, dtype_of(name, dtype))
    return compiled(a, where, mean, ddof, axes=axes_of(name, axis, a.ndim), dtype=dtype, keepdims=bool(keepdims))


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """Mean over axes, weighted if weights of `a`'s shape are given.

    >>> average(np.array([1.0, 3.0]), weights=np.array([3.0, 1.0]))
    Array(1.5, dtype=float32)
    """
    if weights is None:
        out = mean(a, axis, keepdims=keepdims)
        total = true_divide(operand("average", a).size, out.size)
    else:
        a, weights = operand("average", a), operand("average", weights)
        if a.shape != weights.shape and weights.ndim == 1 and axis is not None:
            weights = reshape(weights, [n if i == axis_of("average", axis, a.ndim) else 1 for i,
                                        n in enumerate(a.shape)])
        total = sum(broadcast_to(weights, a.shape), axis, keepdims=keepdims)
        out = true_divide(sum(multiply(a, weights), axis, keepdims=keepdims), total)
    return (out, broadcast_to(total, out.shape)) if returned else out


# ---- positions ----

def _position(name: str, find: Callable[..., Any], word: str) -> Callable[..., Any]:
    def function(a: Any, axis: int | None = None, out: None = None, keepdims: bool | None = None) -> Any:
        refuse(name, out=out)
        a = operand(name, a)
        number = None if axis is None else axis_of(name, axis, a.ndim)
        if 0 in ([a.size] if number is None else [a.shape[number]]):
            raise MinijaxValueError(f"{name} of an empty sequence: shape {a.shape}{at_line()}.")
        return compiled(a, axis=number, keepdims=bool(keepdims))

    def position(a: Any, axis: int | None, keepdims: bool) -> Any:
        flat, along = (reshape(a, (a.size,)), 0) if axis is None else (a, axis)
        found = find(flat, along, default_int())
        return _kept(found, tuple(range(a.ndim)) if axis is None else (along,), keepdims)

    compiled = fused(position, static_argnames=("axis", "keepdims"))
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Position of the {word} element, the first of equals, along an axis or in the flattened array."
    return function


argmax = _position("argmax", reductions.argmax, "largest")
argmin = _position("argmin", reductions.argmin, "smallest")


# ---- cumulative functions ----

def _cumulative(name: str, scan: Callable[..., Any], word: str) -> Callable[..., Any]:
    def run(a: Any, axis: int | None, dtype: Any) -> Any:
        x = reshape(a, (a.size,)) if axis is None else a
        return scan(converted(x, dtype), 0 if axis is None else axis)

    compiled = fused(run, static_argnames=("axis", "dtype"))

    def function(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        refuse(name, out=out)
        a = operand(name, a)
        dtype = dtype_of(name, dtype) or (default_int() if a.dtype == dtypes.bool_ else a.dtype)
        return compiled(a, axis=None if axis is None else axis_of(name, axis, a.ndim), dtype=dtype)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Cumulative {word} along an axis, or of the flattened array."
    return function


cumsum = _cumulative("cumsum", scans.cumsum, "sum")
cumprod = _cumulative("cumprod", scans.cumprod, "product")


# ---- leaving NaN out ----

def _without_nan(name: str, function: Callable[..., Any], neutral: Callable[[Any], Any], meaning: str) -> Callable[...,
                                                                                                                   Any]:
    def call(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        x = operand(name, a)
        if not dtypes.is_inexact(x.dtype):
            return function(x, axis, keepdims=keepdims)
        total = function(select_n(isnan(x), x, scalar_like(x, neutral(x.dtype))), axis, keepdims=keepdims)
        if name in ("nansum", "nanprod"):
            return total
        return select_n(all(isnan(x), axis, keepdims=keepdims), total, scalar_like(total, math.nan))

    call.__name__ = call.__qualname__ = name
    call.__doc__ = meaning
    return call


nansum = _without_nan("nansum", sum, lambda dtype: 0.0, "Sum over axes of the elements that are not NaN.")
nanprod = _without_nan("nanprod", prod, lambda dtype: 1.0, "Product over axes of the elements that are not NaN.")
nanmax = _without_nan("nanmax", max, lambda dtype: -math.inf, "The largest element along axes that is not NaN.")
nanmin = _without_nan("nanmin", min, lambda dtype: math.inf, "The smallest element along axes that is not NaN.")


def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False,
            where: Any = None) -> Any:
    """Mean over axes of the elements that are not NaN."""
    mask = arithmetic.sign(convert_element_type(isnan(a), dtypes.int32)) == 0
    return mean(a, axis, dtype, out, keepdims, where=mask if where is None else multiply(mask, where))
