"""gather and the scatters: reading and writing windows of an array at computed places.

Dimension numbers mean what XLA's do; the last axis of `indices` always holds the index vector:

    gather    out[batch, offset] = x[start(batch) + offset]
    scatter   x[start(batch) + window] = combine(x[...], updates[batch, window])

The two are inverse: a scatter's dimension numbers are a gather's under other names
(`to_gather`, `to_scatter`), its updates have the shape of that gather's result, and
gather's transpose is scatter-add.  Parameter `mode` says what happens outside of `x`.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, MissingRuleError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.text import register_named
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference_indexing as reference
from minijax.ops.comparison import eq, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.elementwise import div, sub
from minijax.ops.families import (add, broadcast_in_dim, moveaxis, mul, no_cost, reshape, same_dtype,
                                  scalar_like, shape_of)
from minijax.ops.structural import batch_in_front, full_of, instantiated, iota, ones_of, zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line
from minijax.util import size_of


@register_named
class GatherScatterMode(enum.Enum):
    """What happens to a window that is not inside the array.

    CLIP moves it inside.  FILL_OR_DROP makes gather return the fill value and scatter leave the
    update out.  PROMISE_IN_BOUNDS says that it does not happen.  ONE_HOT reads as a product with one-hot vectors
    does, zeros from outside, and writes as FILL_OR_DROP.
    """

    CLIP = "clip"
    FILL_OR_DROP = "fill"
    PROMISE_IN_BOUNDS = "promise_in_bounds"
    ONE_HOT = "one_hot"

    @classmethod
    def from_any(cls, mode: GatherScatterMode | str | None) -> GatherScatterMode:
        """The mode of a name: 'clip', 'fill', 'drop', 'promise_in_bounds', 'one_hot'; None is FILL_OR_DROP.

        >>> GatherScatterMode.from_any("drop").name
        'FILL_OR_DROP'
        """
        try:
            return mode if isinstance(mode, cls) else cls("fill" if mode in (None, "drop") else mode)
        except ValueError as error:
            raise MinijaxValueError(f"{mode!r} is not a mode of indexing. Choose 'clip', 'fill' (or 'drop'), "
                                    "'promise_in_bounds' or 'one_hot'.") from error


@register_named
@dataclasses.dataclass(frozen=True)
class GatherDimensionNumbers:
    """Which axes are which in a gather; the fields are JAX's.

    `offset_dims` are the window's axes in the result, `collapsed_slice_dims` the axes of the operand that
    the window lacks, `start_index_map` the operand axes that the index vector counts along, and
    `operand_batching_dims` run together with `start_indices_batching_dims`.
    """

    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    start_indices_batching_dims: tuple[int, ...] = ()

    def to_scatter(self) -> ScatterDimensionNumbers:
        """Those of the scatter that writes where this gather reads."""
        return ScatterDimensionNumbers(*vars(self).values())


@register_named
@dataclasses.dataclass(frozen=True)
class ScatterDimensionNumbers:
    """Which axes are which in a scatter; the fields are JAX's and correspond to a gather's one by one."""

    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    operand_batching_dims: tuple[int, ...] = ()
    scatter_indices_batching_dims: tuple[int, ...] = ()

    def to_gather(self) -> GatherDimensionNumbers:
        """Those of the gather that reads where this scatter writes."""
        return GatherDimensionNumbers(*vars(self).values())


# ---- types

def _ascending(axes: Sequence[int], ndim: int) -> bool:
    return list(axes) == sorted(set(axes)) and all(0 <= a < ndim for a in axes)


def _distinct(axes: Sequence[int], ndim: int) -> bool:
    return _ascending(sorted(axes), ndim)


def _complaints(x: ArrayType, indices: ArrayType, numbers: GatherDimensionNumbers,
                sizes: tuple[int, ...]) -> Iterator[tuple[bool, str]]:
    """Pairs (is it right, what is wrong otherwise); a later pair relies on the earlier ones."""
    offset, collapsed, index_map, batching, indices_batching = vars(numbers).values()
    yield indices.ndim >= 1, "the indices need a last axis that holds the index vector"
    yield len(index_map) == indices.shape[-1], (
        f"the index vectors have {indices.shape[-1]} components for the {len(index_map)} axes {index_map}")
    yield _distinct(index_map, x.ndim), f"the indexed axes {index_map} are not distinct axes of the operand"
    yield _ascending(offset, indices.ndim - 1 + len(offset)), f"the window axes {offset} are not ascending axes"
    yield _ascending(collapsed, x.ndim), f"the collapsed axes {collapsed} are not ascending axes of the operand"
    yield _ascending(batching, x.ndim), f"the batching axes {batching} are not ascending axes of the operand"
    yield not set(batching) & {*collapsed, *index_map}, f"batching axes {batching} are collapsed or indexed as well"
    yield (_distinct(indices_batching, indices.ndim - 1)
           and [indices.shape[a] for a in indices_batching] == [x.shape[a] for a in batching]), (
        f"the batching axes {indices_batching} of the indices do not match {batching} of the operand in size")
    yield len(offset) + len(collapsed) + len(batching) == x.ndim == len(sizes), (
        f"{len(sizes)} sizes, {len(offset)} window, {len(collapsed)} collapsed and {len(batching)} batching axes "
        f"do not make up the {x.ndim} axes of the operand")
    yield not indices.size or all(0 <= s <= n for s, n in zip(sizes, x.shape, strict=True)), (
        f"a window of sizes {sizes} is larger than the operand")
    yield all(sizes[a] == 1 for a in collapsed) and all(sizes[a] <= 1 for a in batching), (
        f"the window sizes {sizes} are not 1 along collapsed and batching axes")


def _gathered_shape(name: str, x: ArrayType, indices: ArrayType, numbers: GatherDimensionNumbers,
                    sizes: tuple[int, ...]) -> tuple[int, ...]:
    if not dtypes.is_integer(indices.dtype):
        raise DtypeError(f"{name}: the indices are {indices}{at_line()}. They must be integers.")
    if not isinstance(numbers, GatherDimensionNumbers):
        raise MinijaxTypeError(f"{name}: dimension_numbers is {numbers!r}{at_line()}, not a GatherDimensionNumbers. "
                               "Write lax.GatherDimensionNumbers(offset_dims=..., ...).")
    for right, complaint in _complaints(x, indices, numbers, sizes):
        if not right:
            raise ShapeError(f"{name} of {x} at indices {indices}: {complaint}{at_line()}. Check {numbers}.")
    dropped = {*numbers.collapsed_slice_dims, *numbers.operand_batching_dims}
    shape = list(indices.shape[:-1])
    for place, n in zip(numbers.offset_dims, [n for i, n in enumerate(sizes) if i not in dropped], strict=True):
        shape.insert(place, n)
    return tuple(shape)


def _gather_type(x: ArrayType, indices: ArrayType, *, dimension_numbers: GatherDimensionNumbers,
                 slice_sizes: tuple[int, ...], **params: Any) -> tuple[ArrayType]:
    return (x.update(shape=_gathered_shape("gather", x, indices, dimension_numbers, slice_sizes)),)


def window_sizes(operand_shape: Sequence[int], updates_shape: Sequence[int],
                 numbers: ScatterDimensionNumbers) -> tuple[int, ...]:
    """Sizes of a scatter's window along each axis of the operand."""
    window = iter([updates_shape[d] for d in numbers.update_window_dims])
    dropped = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    return tuple([min(1, n) if i in numbers.operand_batching_dims else 1 if i in dropped else next(window, 1)
                  for i, n in enumerate(operand_shape)])


def _scatter_type(name: str) -> Callable[..., Any]:
    def type_rule(x: ArrayType, indices: ArrayType, updates: ArrayType, *, dimension_numbers: ScatterDimensionNumbers,
                  **params: Any) -> tuple[ArrayType]:
        same_dtype(name, (x, updates))
        if not _ascending(dimension_numbers.update_window_dims, updates.ndim):
            raise ShapeError(f"{name}: the window axes {dimension_numbers.update_window_dims} are not ascending axes "
                             f"of the updates {updates}{at_line()}.")
        sizes = window_sizes(x.shape, updates.shape, dimension_numbers)
        roomy = x.update(shape=tuple([max(n, s) if i in dimension_numbers.inserted_window_dims else n
                                      for i, (n, s) in enumerate(zip(x.shape, sizes, strict=True))]))
        expected = _gathered_shape(name, roomy, indices, dimension_numbers.to_gather(), sizes)
        if expected != updates.shape:
            raise ShapeError(f"{name} of {x} at indices {indices}: the updates {updates} should have shape {expected}"
                             f"{at_line()}. Check {dimension_numbers}.")
        return (x,)

    return type_rule


# ---- gather

def _gather_eval(x: np.ndarray, indices: np.ndarray, *, dimension_numbers: GatherDimensionNumbers,
                 slice_sizes: tuple[int, ...], mode: GatherScatterMode, fill_value: Any,
                 **hints: Any) -> tuple[np.ndarray]:
    if fill_value is None and x.dtype.names is not None:
        fill_value = np.frombuffer(b"\xff" * x.dtype.itemsize, x.dtype)[0]  # a key of all ones
    return (reference.gather(x, indices, dimension_numbers, slice_sizes, mode.value, fill_value),)


def _gather_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    x, indices = primals
    return gather_p.bind(x, indices, **params), (gather(tangents[0], indices, **{**params, "fill_value": 0}),)


def _gather_transpose(cts: Any, x: Any, indices: Any, *, dimension_numbers: GatherDimensionNumbers,
                      mode: GatherScatterMode, indices_are_sorted: bool, unique_indices: bool, **params: Any) -> Any:
    out, = scatter_add_p.bind(zeros_of(x.type), indices, cts[0], dimension_numbers=dimension_numbers.to_scatter(),
                              indices_are_sorted=indices_are_sorted, unique_indices=unique_indices, mode=mode)
    return out, None


def _up(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple([a + 1 for a in axes])


def _batched_numbers(numbers: GatherDimensionNumbers, operand: bool, indices: bool) -> GatherDimensionNumbers:
    """The dimension numbers once a batch axis stands in front of the operand, of the indices, or of both.

    Along the operand's alone the windows stretch; along both the new axes are batching axes.
    """
    offset, collapsed, index_map, batching, indices_batching = vars(numbers).values()
    if operand and not indices:
        return GatherDimensionNumbers((0, *_up(offset)), _up(collapsed), _up(index_map), _up(batching),
                                      indices_batching)
    if not operand:
        return GatherDimensionNumbers(_up(offset), collapsed, index_map, batching, _up(indices_batching))
    return GatherDimensionNumbers(_up(offset), _up(collapsed), _up(index_map), (0, *_up(batching)),
                                  (0, *_up(indices_batching)))


def _gather_batch(size: int, args: Any, axes: Any, *, dimension_numbers: GatherDimensionNumbers,
                  slice_sizes: tuple[int, ...], **params: Any) -> Any:
    x, indices = [v if a is None else moveaxis(v, a, 0) for v, a in zip(args, axes, strict=True)]
    operand_batched, indices_batched = axes[0] is not None, axes[1] is not None
    if operand_batched:
        slice_sizes = (min(1, size) if indices_batched else size, *slice_sizes)
    else:  # examples may name the same places
        params |= {"indices_are_sorted": False, "unique_indices": False}
    numbers = _batched_numbers(dimension_numbers, operand_batched, indices_batched)
    return gather_p.bind(x, indices, dimension_numbers=numbers, slice_sizes=slice_sizes, **params), (0,)


gather_p = Op("gather", type=_gather_type, eval=_gather_eval, jvp=_gather_jvp, transpose=_gather_transpose,
              batch=_gather_batch, cost=no_cost, traits={"structural"})


def gather(x: Any, indices: Any, dimension_numbers: GatherDimensionNumbers, slice_sizes: Sequence[int], *,
           mode: GatherScatterMode | str | None = None, fill_value: Any = None, indices_are_sorted: bool = False,
           unique_indices: bool = False) -> Any:
    """Windows of `x` that start at the vectors in the last axis of `indices`, collected.

    The default mode is PROMISE_IN_BOUNDS.  Without a `fill_value`, mode 'fill' gives NaN, the lowest signed
    or highest unsigned integer, or True.
    """
    mode = GatherScatterMode.PROMISE_IN_BOUNDS if mode is None else GatherScatterMode.from_any(mode)
    if mode is GatherScatterMode.ONE_HOT:
        mode, fill_value = GatherScatterMode.FILL_OR_DROP, 0
    return gather_p.bind(x, indices, dimension_numbers=dimension_numbers, slice_sizes=tuple(slice_sizes), mode=mode,
                         fill_value=fill_value if mode is GatherScatterMode.FILL_OR_DROP else None,
                         indices_are_sorted=indices_are_sorted, unique_indices=unique_indices)[0]


# ---- the scatters

def _gather_back(values: Any, indices: Any, updates: Any, *, dimension_numbers: ScatterDimensionNumbers,
                 mode: GatherScatterMode, fill_value: Any = 0, **hints: Any) -> Any:
    """What `values` holds at the places that each update goes to."""
    sizes = window_sizes(shape_of(values), shape_of(updates), dimension_numbers)
    return gather(values, indices, dimension_numbers.to_gather(), sizes, mode=mode, fill_value=fill_value)


def _scatter_batch(op: Op) -> Callable[..., Any]:
    def batch(size: int, args: Any, axes: Any, *, dimension_numbers: ScatterDimensionNumbers, **params: Any) -> Any:
        x, indices, updates = args
        x, updates = batch_in_front(size, x, axes[0]), batch_in_front(size, updates, axes[2])
        indices = indices if axes[1] is None else moveaxis(indices, axes[1], 0)
        numbers = _batched_numbers(dimension_numbers.to_gather(), True, axes[1] is not None).to_scatter()
        return op.bind(x, indices, updates, dimension_numbers=numbers, **params), (0,)

    return batch


def _scatter_op(name: str, combine: np.ufunc | None, cost: Callable[..., int], **rules: Any) -> Op:
    def eval_rule(x: np.ndarray, indices: np.ndarray, updates: np.ndarray, *, dimension_numbers: Any,
                  mode: GatherScatterMode, **hints: Any) -> tuple[np.ndarray]:
        return (reference.scatter(x, indices, updates, dimension_numbers, mode.value, combine),)

    op = Op(name, type=_scatter_type(name), eval=eval_rule, cost=cost, **rules)
    op.batch = _scatter_batch(op)
    return op


def _per_update(x: ArrayType, indices: ArrayType, updates: ArrayType, **params: Any) -> int:
    return updates.size


# scatter-add is linear in operand and updates together.

def _scatter_add_transpose(cts: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    return (cts[0] if type(x) is Linear else None, None,
            _gather_back(cts[0], indices, updates, **params) if type(updates) is Linear else None)


def _scatter_linear_jvp(op: Op, primals: Any, tangents: Any, **params: Any) -> Any:
    x, indices, updates = primals
    outs = op.bind(x, indices, updates, **params)
    if tangents[0] is zero and tangents[2] is zero:
        return outs, (zero,)
    x_t, updates_t = instantiated((tangents[0], tangents[2]), (x, updates))
    return outs, op.bind(x_t, indices, updates_t, **params)


scatter_add_p: Op = _scatter_op("scatter-add", np.add, _per_update, transpose=_scatter_add_transpose,
                                jvp=lambda *duals, **params: _scatter_linear_jvp(scatter_add_p, *duals, **params))


# scatter (overwriting) is linear too, but which of several updates of one element wins is open.

def _scatter_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    x, indices, updates = primals
    if params["unique_indices"] or tangents[2] is zero:
        return _scatter_linear_jvp(scatter_p, primals, tangents, **params)
    x_t, updates_t = instantiated((tangents[0], tangents[2]), (x, updates))
    return _scatter_jvp_of_winners(x, indices, updates, x_t, updates_t, **params)


def _scatter_jvp_of_winners(x: Any, indices: Any, updates: Any, x_t: Any, updates_t: Any, **params: Any) -> Any:
    """Number the windows and scatter the numbers: only windows that find their own number again have won."""
    ids = _window_numbers(shape_of(updates), params["dimension_numbers"])
    zeros = full_of(ArrayType(shape_of(x), dtypes.uint32), 0)
    winners, = scatter_p.bind(zeros, indices, ids, **params)
    kept = eq(winners, zeros)
    won = eq(ids, _gather_back(winners, indices, updates, **params))

    def merge(old: Any, new: Any) -> Any:
        old = select_n(kept, scalar_like(old, 0.0), old)
        new = select_n(won, scalar_like(new, 0.0), new)
        return scatter_add_p.bind(old, indices, new, **params)

    return merge(x, updates), merge(x_t, updates_t)


def _window_numbers(shape: Sequence[int], numbers: ScatterDimensionNumbers) -> Any:
    """1, 2, 3, ... for the windows of updates of this shape, repeated over each window."""
    batch_axes = [i for i in range(len(shape)) if i not in numbers.update_window_dims]
    sizes = [shape[i] for i in batch_axes]
    counted = add(iota(dtypes.uint32, (size_of(sizes),)), np.uint32(1))
    return broadcast_in_dim(reshape(counted, sizes), shape, batch_axes)


def _scatter_transpose(cts: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    x_ct = updates_ct = None
    if type(x) is Linear:
        x_ct, = scatter_p.bind(cts[0], indices, zeros_of(ArrayType(shape_of(updates), typeof(cts[0]).dtype)), **params)
    if type(updates) is Linear:
        _require_unique("scatter", params)
        updates_ct = _gather_back(cts[0], indices, updates, **params)
    return x_ct, None, updates_ct


def _require_unique(name: str, params: dict[str, Any]) -> None:
    if not params["unique_indices"]:
        raise MissingRuleError(f"The derivative of '{name}' by its updates is known for distinct indices only"
                               f"{at_line()}. Pass unique_indices=True if no element is named twice.")


scatter_p = _scatter_op("scatter", None, no_cost, jvp=_scatter_jvp, transpose=_scatter_transpose, traits={"structural"})


# scatter-mul is linear in the operand, and in the updates if no two of them meet.

def _scatter_mul_jvp(primals: Any, tangents: Any, **params: Any) -> Any:
    (x, indices, updates), (x_t, _, updates_t) = primals, tangents
    outs = scatter_mul_p.bind(x, indices, updates, **params)
    terms: list[Any] = []
    if x_t is not zero:
        terms += scatter_mul_p.bind(x_t, indices, updates, **params)
    if updates_t is not zero:
        _require_unique("scatter-mul", params)
        terms += [mul(x, scatter_add_p.bind(zeros_of(typeof(x)), indices, updates_t, **params)[0])]
    return outs, (add(*terms) if len(terms) == 2 else terms[0] if terms else zero,)


def _scatter_mul_transpose(cts: Any, x: Any, indices: Any, updates: Any, **params: Any) -> Any:
    if type(x) is Linear:
        return scatter_mul_p.bind(cts[0], indices, updates, **params)[0], None, None
    _require_unique("scatter-mul", params)
    return None, None, _gather_back(mul(cts[0], x), indices, updates, **params)


scatter_mul_p = _scatter_op("scatter-mul", np.multiply, _per_update, jvp=_scatter_mul_jvp,
                            transpose=_scatter_mul_transpose)


# scatter-min and scatter-max: contenders that tie share the derivative equally.

def _extremal_jvp(op: Op, primals: Any, tangents: Any, **params: Any) -> Any:
    x, indices, updates = primals
    out, = op.bind(x, indices, updates, **params)
    if tangents[0] is zero and tangents[2] is zero:
        return (out,), (zero,)
    x_t, updates_t = instantiated((tangents[0], tangents[2]), (x, updates))
    one, none = scalar_like(x, 1.0), scalar_like(x, 0.0)

    def back(values: Any) -> Any:
        return _gather_back(values, indices, updates, **{**params, "fill_value": 1})

    def counted(which: Any) -> Any:
        return back(scatter_add_p.bind(zeros_of(typeof(x)), indices, which, **params)[0])

    best = back(out)
    wins, stays = eq(updates, best), eq(back(x), best)
    won, stayed = convert_element_type(wins, typeof(x).dtype), convert_element_type(stays, typeof(x).dtype)
    share = div(one, add(counted(won), stayed))
    lost = div(sub(select_n(stays, none, share), one), counted(ones_of(typeof(updates))))
    change = add(mul(back(x_t), lost), mul(updates_t, select_n(wins, none, share)))
    return (out,), scatter_add_p.bind(x_t, indices, change, **params)


scatter_min_p: Op = _scatter_op("scatter-min", np.minimum, _per_update, undeclared=("transpose",),
                                jvp=lambda *duals, **params: _extremal_jvp(scatter_min_p, *duals, **params))
scatter_max_p: Op = _scatter_op("scatter-max", np.maximum, _per_update, undeclared=("transpose",),
                                jvp=lambda *duals, **params: _extremal_jvp(scatter_max_p, *duals, **params))


def _scatter_function(op: Op, doc: str) -> Callable[..., Any]:
    def scatter_function(x: Any, indices: Any, updates: Any, dimension_numbers: ScatterDimensionNumbers, *,
                         indices_are_sorted: bool = False, unique_indices: bool = False,
                         mode: GatherScatterMode | str | None = None) -> Any:
        mode = GatherScatterMode.from_any(mode)
        mode = GatherScatterMode.FILL_OR_DROP if mode is GatherScatterMode.ONE_HOT else mode
        return op.bind(x, indices, updates, dimension_numbers=dimension_numbers, indices_are_sorted=indices_are_sorted,
                       unique_indices=unique_indices, mode=mode)[0]

    scatter_function.__name__ = op.name.replace("-", "_")
    scatter_function.__doc__ = f"`x` with {doc} at the vectors in the last axis of `indices`."
    return scatter_function


scatter = _scatter_function(scatter_p, "windows replaced by `updates`")
scatter_add = _scatter_function(scatter_add_p, "`updates` added to windows")
scatter_mul = _scatter_function(scatter_mul_p, "windows multiplied by `updates`")
scatter_min = _scatter_function(scatter_min_p, "windows lowered to `updates` where these are less")
scatter_max = _scatter_function(scatter_max_p, "windows raised to `updates` where these are greater")
