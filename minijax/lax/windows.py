"""Reductions by a function of scalars, over axes and over windows.

Sums, products, extrema and bits, found by tracing the function, become the ops that know them;
any other associative function becomes an op that holds its program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.calls.arguments import Arguments
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.reduce import combined, reduce_p, reduce_window_p
from minijax.errors import MinijaxTypeError
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.lax.convolution import integers, pads_of
from minijax.lax.elementwise import like_arrays
from minijax.ops import reductions
from minijax.ops.arithmetic import max_p, min_p
from minijax.ops.bits import and_p, or_p, xor_p
from minijax.ops.families import add_p, at_line, mul_p, reduce_sum_p
from minijax.ops.operands import axis_of, operand as as_operand
from minijax.ops.reference_windows import highest, lowest
from minijax.ops.window_shapes import dilated, window_counts
from minijax.ops.windows import (reduce_axes, reduce_window_max_p, reduce_window_min_p, reduce_window_sum_p,
                                 reduce_windows)
from minijax.tracing.array import Tracer, typeof

_identities: dict[Op, Callable[[Any], Any]] = {
    add_p: lambda dtype: 0, mul_p: lambda dtype: 1, max_p: lowest, min_p: highest, or_p: lambda dtype: 0,
    xor_p: lambda dtype: 0, and_p: lambda dtype: ~np.zeros((), dtype)}
_over_axes = {add_p: reduce_sum_p, mul_p: reductions.reduce_prod_p, max_p: reductions.reduce_max_p,
              min_p: reductions.reduce_min_p, and_p: reductions.reduce_and_p, or_p: reductions.reduce_or_p,
              xor_p: reductions.reduce_xor_p}
_over_windows = {add_p: reduce_window_sum_p, max_p: reduce_window_max_p, min_p: reduce_window_min_p}


# ---- the function as a program

def _operands(name: str, operands: Any, init_values: Any) -> tuple[list[Any], list[Any], Any]:
    """Operands and initial values as flat lists of equal dtypes, and their tree."""
    xs, tree = pytree.flatten(operands)
    initial, initial_tree = pytree.flatten(init_values)
    if tree != initial_tree or not xs:
        raise MinijaxTypeError(f"{name}: the operands are a {tree} and the initial values a {initial_tree}{at_line()}. "
                               "Give one initial value for each operand, in the same containers.")
    pairs = [like_arrays(as_operand(name, x), value) for x, value in zip(xs, initial, strict=True)]
    return [x for x, _ in pairs], [value for _, value in pairs], tree


def _traced(name: str, computation: Callable[..., Any], xs: Sequence[Any], tree: Any) -> Traced:
    """The computation of two sets of scalars."""
    scalars = tuple([ArrayType((), typeof(x).dtype) for x in xs])
    call = Arguments(name, computation, (tree.unflatten(scalars), tree.unflatten(scalars)))
    traced = trace_cache(computation).get(call, (*scalars, *scalars))
    if traced.out_tree != tree:
        raise MinijaxTypeError(f"{name}: the computation returns a {traced.out_tree} where the operands are a {tree}"
                               f"{at_line()}. It must return what it takes, combined.")
    return traced


def known_monoid(jaxpr: Jaxpr, initial: Any) -> Op | None:
    """The op that a program of two scalars consists of, if `initial` is its identity."""
    if len(jaxpr.eqns) != 1 or len(jaxpr.invars) != 2 or isinstance(initial, Tracer):
        return None
    eqn, = jaxpr.eqns
    if eqn.op not in _identities or {*eqn.inputs} != {*jaxpr.invars} or jaxpr.outvars[0] is not eqn.outvars[0]:
        return None
    value = np.asarray(initial)
    identity = np.asarray(_identities[eqn.op](value.dtype)).astype(value.dtype)
    return eqn.op if not value.shape and value == identity else None


def _bind(traced: Traced, xs: Sequence[Any], initial: Sequence[Any], known: dict[Op, Op], general: Op,
          spell: Callable[..., Any], params: dict[str, Any], named: dict[str, Any]) -> Sequence[Any]:
    """The named op of a known function, else the general op; spelled out if the function captured values."""
    if traced.captured:
        return spell(functools.partial(combined, traced.jaxpr, traced.captured), [*xs, *initial], **params)
    monoid = known_monoid(traced.jaxpr, initial[0]) if len(xs) == 1 else None
    if monoid in known:
        return known[monoid].bind(*xs, **named)
    return general.bind(*xs, *initial, jaxpr=traced.jaxpr, **params)


# ---- the reductions

def reduce(operands: Any, init_values: Any, computation: Callable[[Any, Any], Any], dimensions: Sequence[int],
           out_sharding: None = None) -> Any:
    """Combine elements along axes by an associative function of scalars, beginning with `init_values`.

    Args: one array, or a pytree of arrays of one shape, as `init_values` of scalars; `computation` takes two
    such trees of scalars and returns one.  The order is the compiler's.  `add`, `mul`, `max`, `min`, `bitwise_and`,
    `bitwise_or` and `bitwise_xor` from their identities become the named reductions.  Differentiable in either mode.
    Raises `ShapeError` if types do not fit.

    >>> reduce(np.float32([1, 2, 3]), 1.0, lambda x, y: x * y + 0, (0,))
    Array(6., dtype=float32)
    """
    xs, initial, tree = _operands("reduce", operands, init_values)
    axes = tuple([axis_of("reduce", axis, xs[0].ndim) for axis in dimensions])
    outs = _bind(_traced("reduce", computation, xs, tree), xs, initial, _over_axes, reduce_p, reduce_axes,
                 {"dimensions": axes}, {"axes": axes})
    return tree.unflatten(outs)


def reduce_window(operand: Any, init_value: Any, computation: Callable[[Any, Any], Any],
                  window_dimensions: Sequence[int], window_strides: Sequence[int] | None = None, padding: Any = "VALID",
                  base_dilation: Sequence[int] | None = None, window_dilation: Sequence[int] | None = None) -> Any:
    """Combine the elements in each window by an associative function of scalars.

    Args: as for `reduce`; sizes and strides of the windows for each axis; padding as in `conv_general_dilated`,
    made of `init_value`; dilation of the operand and of the windows.  `add`, `max` and `min` from their identities
    become ops of their own.  Source: https://openxla.org/xla/operation_semantics.

    >>> from minijax import lax
    >>> reduce_window(np.float32([1, 5, 2, 3]), -np.inf, lax.max, (2,))
    Array([5., 5., 3.], dtype=float32)
    """
    name = "reduce_window"
    xs, initial, tree = _operands(name, operand, init_value)
    rank = xs[0].ndim
    window = integers(name, "window_dimensions", window_dimensions, rank)
    strides = integers(name, "window_strides", window_strides, rank)
    base = integers(name, "base_dilation", base_dilation, rank)
    holes = integers(name, "window_dilation", window_dilation, rank)
    places = [dilated(n, b) for n, b in zip(xs[0].shape, base, strict=True)]
    pads = pads_of(name, padding, places, [dilated(k, d) for k, d in zip(window, holes, strict=True)],
                   [max(s, 1) for s in strides])
    geometry = {"window_dimensions": window, "window_strides": strides, "padding": pads, "base_dilation": base,
                "window_dilation": holes}
    outs = _bind(_traced(name, computation, xs, tree), xs, initial, _over_windows, reduce_window_p, reduce_windows,
                 geometry, geometry)
    return tree.unflatten(outs)


def reduce_window_shape_tuple(operand_shape: Sequence[int], window_dimensions: Sequence[int],
                              window_strides: Sequence[int], padding: Any, base_dilation: Sequence[int] | None = None,
                              window_dilation: Sequence[int] | None = None) -> tuple[int, ...]:
    """Shape of a reduction over windows.

    >>> reduce_window_shape_tuple((9,), (3,), (2,), ((0, 1),))
    (4,)
    """
    ones = (1,) * len(operand_shape)
    return window_counts(operand_shape, window_dimensions, window_strides, padding, base_dilation or ones,
                         window_dilation or ones)
