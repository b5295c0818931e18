"""Collectives: ops over a named axis of examples (`vmap(axis_name=...)`) or of devices.

Each has the trait 'collective' and the parameter `axis_name`, a tuple of names.  Its batch rule is
called with the size of the mapped axis, which carries the axis' name if it has one (`NamedSize`): over
an axis of its own name the collective becomes plain ops along the batch axis, over another one it is batched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.errors import MinijaxValueError, ShapeError
from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr, held_programs, kept
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ir.walk import all_programs
from minijax.ops.arithmetic import div
from minijax.ops.comparison import eq, not_a_key, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import (accepts, any_number, broadcast_axis, broadcast_in_dim, elementwise_cost,
                                  linear_jvp, moveaxis, mul, no_cost, reduce_sum, reshape, scalar_like, shape_of,
                                  zero_derivative)
from minijax.ops.indexing import GatherDimensionNumbers, GatherScatterMode, gather
from minijax.ops.reductions import reduce_max, reduce_min
from minijax.ops.structural import batch_in_front, iota, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

Groups = tuple[tuple[int, ...], ...] | None


class NamedSize(int):
    """The size of a mapped axis that has a name, as batch rules get it; equal to one of the same name only."""

    name: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedSize) and int(self) == int(other) and self.name == other.name

    def __hash__(self) -> int:
        return hash((int(self), self.name))

    @classmethod
    def of(cls, size: int, name: Any) -> NamedSize:
        """`size` with the name of its axis."""
        named = cls(size)
        named.name = name
        return named


@kept
def axis_names(jaxpr: Jaxpr) -> frozenset[Any]:
    """Names of the axes that collectives inside a program run over."""
    return frozenset(name for program in all_programs(jaxpr) for eqn in program.eqns
                     if "collective" in eqn.op.traits for name in eqn.params["axis_name"])


def runs_over(op: Op, params: dict[str, Any], name: Any) -> bool:
    """Whether an op, or a program that it holds, is a collective over the axis `name`; a Python function may be."""
    if "collective" in op.traits:
        return name in params["axis_name"]
    return "custom" in op.traits or any(name in axis_names(program) for program in held_programs(params))


# ---- the family ----

Own = Callable[..., tuple[Any, int | None]]


def _collective(name: str, type: Callable[..., Any], own: Own, other: Callable[..., Any],
                transpose: Callable[..., Any] | None = None, cost: Callable[..., int] = no_cost) -> Op:
    """A collective of one operand, linear if it has a `transpose`.

    `own(x, size, axis, **params)` gives the result for a batch over its own axis, and the result's batch axis;
    `other(axis, **params)` the parameters and the batch axis of the result for an operand with another batch axis
    in front.
    """
    def batch(size: int, args: Any, axes: Any, *, axis_name: tuple[Any, ...], **params: Any) -> Any:
        (x,), (axis,) = args, axes
        if getattr(size, "name", None) not in axis_name:
            shifted, out_axis = other(**params)
            return op.bind(moveaxis(x, axis, 0), axis_name=axis_name, **shifted), (out_axis,)
        if params.get("axis_index_groups") is not None:
            return (in_groups(own, other, x, int(size), axis, **params),), (0,)
        type = typeof(x)
        example = type if axis is None else type.update(shape=(*type.shape[:axis], *type.shape[axis + 1:]))
        op.infer((example,), {"axis_name": axis_name, **params})  # names what does not fit
        rest = tuple([other_name for other_name in axis_name if other_name != size.name])
        out, out_axis = own(x, int(size), axis, **params)
        return (op.bind(out, axis_name=rest, **params) if rest else (out,)), (out_axis,)

    op = Op(name, type=type, batch=batch, cost=cost, traits={"collective"},
            transpose=transpose and (lambda cts, x, **params: (transpose(cts[0], x, **params),)),
            undeclared=("eval",) if transpose else ("eval", "transpose"))
    op.jvp = linear_jvp(op)
    return op


def in_groups(own: Own, other: Callable[..., Any], x: Any, size: int, batch: int | None, /, *,
              axis_index_groups: tuple[tuple[int, ...], ...], **params: Any) -> Any:
    """The results for a batch whose examples work in groups: each group is a batch, beside an axis of groups."""
    order, count = np.array(axis_index_groups, np.int32), len(axis_index_groups[0])
    rows = take_rows(batch_in_front(size, x, batch), order.ravel())
    grouped = reshape(rows, (*order.shape, *shape_of(rows)[1:]))
    shifted, _ = other(axis_index_groups=None, **params)
    out, out_axis = own(grouped, count, 1, **shifted)
    out = broadcast_axis(out, count, 1) if out_axis is None else moveaxis(out, out_axis, 1)
    return take_rows(reshape(out, (size, *shape_of(out)[2:])), np.argsort(order.ravel()).astype(np.int32))


def group_size(axis_size: int, axis_index_groups: Groups) -> int:
    """How many take part: all along the axis, or those of one group."""
    return axis_size if axis_index_groups is None else len(axis_index_groups[0])


# ---- pvary: the same value for all, taken as one that differs ----

def _vary_type(x: ArrayType, *, axis_name: tuple[Any, ...]) -> tuple[ArrayType]:
    return (x.update(varying=x.varying | {*axis_name}),)


pvary_p = _collective("pvary", _vary_type, lambda x, size, axis, **params: (x, axis), lambda **params: (params, 0),
                      lambda ct, x, *, axis_name: psum(ct, frozenset(axis_name) - x.type.varying))


def vary(x: Any, names: Any) -> Any:
    """`x`, of a type that varies along these mesh axes too."""
    missing = frozenset(names) - typeof(x).varying if names else names
    return pvary_p.bind(x, axis_name=tuple(sorted(missing, key=str)))[0] if missing else x


# ---- psum, pmax, pmin ----

def _reduce_type(name: str, takes: Callable[[Any], bool]) -> Callable[..., Any]:
    def type_rule(x: ArrayType, *, axis_name: tuple[Any, ...], axis_index_groups: Groups) -> tuple[ArrayType]:
        accepts(name, x.dtype, takes, "numeric")
        return (x.update(varying=x.varying - {*axis_name}) if axis_index_groups is None else x,)

    return type_rule


def _unmoved(**params: Any) -> Any:
    return params, 0


def _psum_own(x: Any, size: int, axis: int | None, **params: Any) -> Any:
    return (mul(x, scalar_like(x, size)) if axis is None else reduce_sum(x, (axis,))), None


def _extremum_own(reduce: Callable[..., Any]) -> Own:
    return lambda x, size, axis, **params: (x if axis is None else reduce(x, (axis,)), None)


def _extremum_jvp(op: Callable[[], Op]) -> Callable[..., Any]:
    """Examples that tie share the tangent equally, as elements do in reduce_max."""
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        (x,), (t,) = primals, tangents
        y, = op().bind(x, **params)
        here = convert_element_type(eq(x, y), typeof(x).dtype)
        return (y,), (div(psum_p.bind(mul(t, here), **params)[0], psum_p.bind(here, **params)[0]),)

    return jvp


def _ordered(dtype: Any) -> bool:
    return not_a_key(dtype) and not dtypes.is_complex(dtype)


def _psum_transpose(ct: Any, x: Any, *, axis_name: tuple[Any, ...], axis_index_groups: Groups) -> Any:
    """Where types tell that the sum is one value for all, each term gets its cotangent; else the sum of theirs."""
    tracked = x.type.varying.intersection(axis_name) if axis_index_groups is None else ()
    rest = tuple([name for name in axis_name if name not in tracked])
    return vary(psum_p.bind(ct, axis_name=rest, axis_index_groups=axis_index_groups)[0] if rest else ct, tracked)


psum_p = _collective("psum", _reduce_type("psum", any_number), _psum_own, _unmoved, _psum_transpose,
                     elementwise_cost(1))
pmax_p = _collective("pmax", _reduce_type("pmax", _ordered), _extremum_own(reduce_max), _unmoved,
                     cost=elementwise_cost(1))
pmin_p = _collective("pmin", _reduce_type("pmin", _ordered), _extremum_own(reduce_min), _unmoved,
                     cost=elementwise_cost(1))


def psum(x: Any, names: Any) -> Any:
    """The sum over these axes; `x` itself over none."""
    return psum_p.bind(x, axis_name=tuple(sorted(names, key=str)), axis_index_groups=None)[0] if names else x


pmax_p.jvp, pmin_p.jvp = _extremum_jvp(lambda: pmax_p), _extremum_jvp(lambda: pmin_p)


# ---- all_gather and psum_scatter ----

def _gather_type(x: ArrayType, *, axis_name: tuple[Any, ...], axis: int, axis_size: int,
                 axis_index_groups: Groups) -> tuple[ArrayType]:
    if not 0 <= axis <= x.ndim:
        raise ShapeError(f"all_gather: {axis} is no axis of a result with {x.ndim + 1} axes{at_line()}.")
    size = group_size(axis_size, axis_index_groups)
    return (x.update(shape=(*x.shape[:axis], size, *x.shape[axis:])),)


def _gather_own(x: Any, size: int, batch: int | None, *, axis: int, **params: Any) -> Any:
    return (broadcast_axis(x, size, axis) if batch is None else moveaxis(x, batch, axis)), None


def _scatter_type(x: ArrayType, *, axis_name: tuple[Any, ...], axis: int, axis_size: int,
                  axis_index_groups: Groups) -> tuple[ArrayType]:
    _check_split("psum_scatter", x, axis, group_size(axis_size, axis_index_groups))
    return (x.update(shape=(*x.shape[:axis], *x.shape[axis + 1:])),)


def _check_split(name: str, x: ArrayType, axis: int, size: int) -> None:
    if not 0 <= axis < x.ndim or x.shape[axis] != size:
        raise ShapeError(f"{name}: {x} needs an axis {axis} of the {size} examples or devices that take part"
                         f"{at_line()}. With tiled=True its size may be a multiple of that.")


def _scatter_own(x: Any, size: int, batch: int | None, *, axis: int, **params: Any) -> Any:
    if batch is None:
        return mul(x, scalar_like(x, size)), axis
    return reduce_sum(x, (batch,)), axis


def _shifted_axis(*, axis: int, **params: Any) -> Any:
    return {**params, "axis": axis + 1}, 0


all_gather_p = _collective("all_gather", _gather_type, _gather_own, _shifted_axis,
                           lambda ct, x, **params: psum_scatter_p.bind(ct, **params)[0])
psum_scatter_p = _collective("psum_scatter", _scatter_type, _scatter_own, _shifted_axis,
                             lambda ct, x, **params: all_gather_p.bind(ct, **params)[0], elementwise_cost(1))


# ---- all_to_all ----

def _exchange_type(x: ArrayType, *, axis_name: tuple[Any, ...], split_axis: int, concat_axis: int, axis_size: int,
                   axis_index_groups: Groups) -> tuple[ArrayType]:
    size = group_size(axis_size, axis_index_groups)
    _check_split("all_to_all", x, split_axis, size)
    rest = (*x.shape[:split_axis], *x.shape[split_axis + 1:])
    if not 0 <= concat_axis <= len(rest):
        raise ShapeError(f"all_to_all: {concat_axis} is no axis of the result, which has {x.ndim} axes{at_line()}.")
    return (x.update(shape=(*rest[:concat_axis], size, *rest[concat_axis:])),)


def _exchange_own(x: Any, size: int, batch: int | None, *, split_axis: int, concat_axis: int, **params: Any) -> Any:
    blocks = moveaxis(batch_in_front(size, x, batch), split_axis + 1, 0)  # [to, from, ...]
    return moveaxis(blocks, 1, concat_axis + 1), 0


def _exchange_transpose(ct: Any, x: Any, *, split_axis: int, concat_axis: int, **params: Any) -> Any:
    return all_to_all_p.bind(ct, split_axis=concat_axis, concat_axis=split_axis, **params)[0]


def _shifted_axes(*, split_axis: int, concat_axis: int, **params: Any) -> Any:
    return {**params, "split_axis": split_axis + 1, "concat_axis": concat_axis + 1}, 0


all_to_all_p = _collective("all_to_all", _exchange_type, _exchange_own, _shifted_axes, _exchange_transpose)


# ---- ppermute ----

def _permute_type(x: ArrayType, *, axis_name: tuple[Any, ...], perm: tuple[tuple[int, int], ...],
                  axis_size: int) -> tuple[ArrayType]:
    check_pairs(perm, axis_size)
    return (x,)


def check_pairs(perm: tuple[tuple[int, int], ...], axis_size: int) -> None:
    """Raise `MinijaxValueError` unless each source and each destination is named at most once."""
    sources, targets = zip(*perm, strict=True) if perm else ((), ())
    inside = all(0 <= i < axis_size for i in (*sources, *targets))
    if not inside or len(set(sources)) < len(perm) or len(set(targets)) < len(perm):
        raise MinijaxValueError(f"ppermute: the (source, destination) pairs {perm} must name each source and each "
                                f"destination once, among 0 .. {axis_size - 1}{at_line()}.")


def _permute_own(x: Any, size: int, batch: int | None, *, perm: tuple[tuple[int, int], ...], **params: Any) -> Any:
    rows = batch_in_front(size, x, batch)
    source = dict((target, source) for source, target in perm)
    taken = take_rows(rows, np.array([source.get(i, 0) for i in range(size)], np.int32))
    if len(perm) == size:
        return taken, 0
    reached = broadcast_in_dim(np.array([i in source for i in range(size)]), shape_of(taken), (0,))
    return select_n(reached, zeros_of(typeof(taken)), taken), 0


def take_rows(x: Any, places: np.ndarray) -> Any:
    """The rows of `x` at these places."""
    rank = len(shape_of(x))
    numbers = GatherDimensionNumbers(offset_dims=tuple(range(1, rank)), collapsed_slice_dims=(0,), start_index_map=(0,))
    return gather(x, places[:, None], numbers, (1, *shape_of(x)[1:]), mode=GatherScatterMode.PROMISE_IN_BOUNDS)


def _permute_transpose(ct: Any, x: Any, *, perm: tuple[tuple[int, int], ...], **params: Any) -> Any:
    return ppermute_p.bind(ct, perm=tuple([(target, source) for source, target in perm]), **params)[0]


ppermute_p = _collective("ppermute", _permute_type, _permute_own, _unmoved, _permute_transpose)


# ---- axis_index ----

axis_index_p = Op("axis_index", type=lambda *, axis_name: (ArrayType((), dtypes.int32),),
                  batch=lambda size, args, axes, *, axis_name: ((iota(dtypes.int32, (int(size),)),), (0,)),
                  cost=no_cost, traits={"collective"}, undeclared=("eval", "transpose"))
axis_index_p.jvp = zero_derivative(axis_index_p)
