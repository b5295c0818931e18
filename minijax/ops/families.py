"""Family helpers: most ops are made here by naming their structure, not by writing rules.

    unary(name, eval, derivative)      elementwise in one operand
    nary(name, eval, tangents)         elementwise in several; operands of rank 0 broadcast
    structural(name, ...)              linear, moves elements about
    zero_derivative                    a jvp rule: results that never depend smoothly on operands

Elementwise operands have equal shapes or rank 0, as in JAX's IR.  The vector-space ops
that the families themselves stand on (add, mul, broadcast_in_dim, transpose, reshape,
reduce_sum) are made at the end of this file, from the same helpers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.tracing.array import Array, typeof
from minijax.tracing.source import at_line
from minijax.util import size_of


def scalar_like(x: Any, value: float | complex) -> Any:
    """A scalar literal of the dtype (and weakness) of `x`, for use in rules."""
    type = typeof(x)
    if type.weak_type and dtypes.canonical_dtype(_python_type(value)) == type.dtype:
        return value
    return type.dtype.type(value)


def _python_type(value: Any) -> type:
    return float if isinstance(value, float) else complex if isinstance(value, complex) else int


def shape_of(x: Any) -> tuple[int, ...]:
    """Shape of an operand of a rule."""
    return x.shape if isinstance(x, (Array, Linear)) else typeof(x).shape


# ---- types ----

def elementwise_shape(name: str, types: Sequence[ArrayType]) -> tuple[int, ...]:
    """The common shape of elementwise operands: scalars and axes of size 1 repeat."""
    shape: tuple[int, ...] = ()
    for t in types:
        if t.shape and t.shape != shape:
            if shape and not _aligned(shape, t.shape):
                shapes = ", ".join(str(u.shape) for u in types)
                raise ShapeError(f"{name}: the operands' shapes {shapes} differ{at_line()}. Elementwise ops take equal "
                                 "shapes, axes of size 1, and scalars: reshape or broadcast one.")
            shape = tuple([m if n == 1 else n for n, m in zip(shape or t.shape, t.shape, strict=True)])
    return shape


def _aligned(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(shape) == len(other) and all([n == m or n == 1 or m == 1 for n, m in zip(shape, other, strict=True)])


def same_dtype(name: str, types: Sequence[ArrayType]) -> Any:
    """The common dtype of operands that must agree."""
    first = types[0].dtype
    for t in types:
        if t.dtype is not first and t.dtype != first:
            raise DtypeError(f"{name}: the operands' dtypes {', '.join(str(u.dtype) for u in types)} differ"
                             f"{at_line()}. Convert one of them with .astype(...).")
    return first


def accepts(name: str, dtype: Any, predicate: Callable[[Any], bool] | None, kinds: str) -> None:
    """Raise `DtypeError` unless the op takes operands of this dtype."""
    if predicate is not None and not predicate(dtype):
        raise DtypeError(f"{name} takes {kinds} operands, got {dtype}{at_line()}. Convert with .astype(...).")


def any_number(dtype: Any) -> bool:
    """Integer, real or complex; not bool, not a key."""
    return dtypes.is_inexact(dtype) or dtypes.is_integer(dtype)


def ordered(dtype: Any) -> bool:
    """Anything that has an order: not a key."""
    return not dtypes.is_key(dtype)


def bitwise(dtype: Any) -> bool:
    """Integer or bool."""
    return dtypes.is_integer(dtype) or dtype == dtypes.bool_


_kinds = {dtypes.is_float: "real floating-point", dtypes.is_inexact: "real or complex floating-point",
          dtypes.is_complex: "complex", dtypes.is_integer: "integer", any_number: "numeric", bitwise: "integer or bool",
          ordered: "numeric or bool"}


def elementwise_type(name: str, takes: Callable[[Any], bool] | None,
                     result: Callable[[Any], Any] | None) -> Callable[..., tuple[ArrayType, ...]]:
    """The type rule of an elementwise op: dtype in, `result(dtype)` out."""
    def type_rule(*types: ArrayType, **params: Any) -> tuple[ArrayType, ...]:
        dtype = same_dtype(name, types)
        accepts(name, dtype, takes, _kinds.get(takes, "other"))  # type: ignore[arg-type]
        out = result(dtype) if result else dtype
        weak = out != dtypes.bool_ and all(t.weak_type for t in types)
        return (ArrayType(elementwise_shape(name, types), out, weak),)

    return type_rule


def to_bool(dtype: Any) -> Any:
    """The result dtype of comparisons."""
    return dtypes.bool_


# ---- batching ----

def elementwise_batch(op: Op) -> Callable[..., Any]:
    """Batch rule of an elementwise op: line the batch axes up, of size 1 where there is none; keep scalars scalars."""
    def batch(size: int, args: Sequence[Any], axes: Sequence[int | None], **params: Any) -> Any:
        ranks = [len(shape_of(x)) - (axis is not None) for x, axis in zip(args, axes, strict=True)]
        rank = max(ranks)
        used = {(axis, r) for axis, r in zip(axes, ranks, strict=True) if axis is not None}
        if len(used) == 1 and used.copy().pop()[1] == rank and not any(
                axis is None and r for axis, r in zip(axes, ranks, strict=True)):
            return op.bind(*args, **params), (used.pop()[0],)
        axis = next((a for a, r in zip(axes, ranks, strict=True) if a is not None and r == rank), 0)
        placed = [_line_up(x, a, r, axis, rank) for x, a, r in zip(args, axes, ranks, strict=True)]
        return op.bind(*placed, **params), (axis,)

    return batch


def _line_up(x: Any, axis: int | None, rank: int, wanted: int, full_rank: int) -> Any:
    if axis is None:
        return broadcast_axis(x, 1, wanted) if rank else x
    if rank == full_rank:
        return moveaxis(x, axis, wanted)
    shape = [1] * (full_rank + 1)
    shape[wanted], = shape_of(x)
    return broadcast_in_dim(x, shape, (wanted,))


# ---- costs: floating-point operations, one for each element of the result ----

def elementwise_cost(each: int) -> Callable[..., int]:
    """`each` operations for every element of the (broadcast) operands."""
    def cost(*types: ArrayType, **params: Any) -> int:
        return each * size_of(elementwise_shape("cost", types))

    return cost


def no_cost(*types: ArrayType, **params: Any) -> int:
    """Moving data takes no floating-point operation."""
    return 0


# ---- derivatives ----

def zero_derivative(op: Op) -> Callable[..., Any]:
    """jvp rule of an op whose results have no derivative: tangents are zero."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        outs = op.bind(*primals, **params)
        return outs, [zero] * len(outs)

    return jvp


def linear_jvp(op: Op) -> Callable[..., Any]:
    """jvp rule of an op linear in its one operand: the op itself."""
    def jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        return op.bind(*primals, **params), op.bind(*tangents, **params)

    return jvp


def broadcast_tangent(t: Any, y: Any) -> Any:
    """A tangent of an operand that may repeat, broadcast to the shape of the result."""
    return broadcast_in_dim(t, shape_of(y), range(len(shape_of(t))))


def unbroadcast(ct: Any, operand: Any) -> Any:
    """The cotangent of an operand that may repeat: summed over the axes along which it does."""
    shape, own = shape_of(ct), shape_of(operand)
    if shape == own:
        return ct
    return reshape(reduce_sum(ct, [i for i, n in enumerate(shape) if not own or own[i] != n]), own)


# ---- the families ----

def unary(name: str, eval: Callable[..., Any], derivative: Callable[..., Any] | None = None, *,
          takes: Callable[[Any], bool] | None = dtypes.is_inexact, result: Callable[[Any], Any] | None = None,
          jvp: Callable[..., Any] | None = None, transpose: Callable[..., Any] | None = None, cost: int = 1,
          traits: Sequence[str] = ()) -> Op:
    """An elementwise op in one operand.

    `eval` maps NumPy arrays; `derivative(y, x, **params)` is dy/dx in terms of ops.  Without a
    derivative and without a `jvp` rule the op's derivative is zero.
    """
    op = Op(name, type=elementwise_type(name, takes, result), eval=lambda *xs, **params: (eval(*xs, **params),),
            transpose=transpose, cost=elementwise_cost(cost), traits={"elementwise", *traits},
            undeclared=() if transpose else ("transpose",))

    def unary_jvp(primals: Sequence[Any], tangents: Sequence[Any], **params: Any) -> Any:
        (x,), (t,) = primals, tangents
        y, = op.bind(x, **params)
        return (y,), mul_p.bind(t, derivative(y, x, **params))  # type: ignore[misc]

    op.jvp = jvp or (unary_jvp if derivative else zero_derivative(op))
    op.batch = elementwise_batch(op)
    return op


def nary(name: str, eval: Callable[..., Any], tangents: Sequence[Callable[..., Any] | None] = (), *,
         takes: Callable[[Any], bool] | None = any_number, result: Callable[[Any], Any] | None = None,
         type: Callable[..., Any] | None = None, transpose: Callable[..., Any] | None = None, cost: int = 1,
         traits: Sequence[str] = ()) -> Op:
    """An elementwise op in several operands.

    `tangents[i](t, y, *operands, **params)` is the tangent of the result for the tangent `t` of operand i,
    None if the result does not depend on operand i smoothly.  Without `tangents` the derivative is zero.
    """
    op = Op(name, type=type or elementwise_type(name, takes, result), eval=lambda *xs, **params: (eval(*xs, **params),),
            transpose=transpose, cost=elementwise_cost(cost), traits={"elementwise", *traits},
            undeclared=() if transpose else ("transpose",))

    def nary_jvp(primals: Sequence[Any], out_tangents: Sequence[Any], **params: Any) -> Any:
        y, = op.bind(*primals, **params)
        total = zero
        for t, rule in zip(out_tangents, tangents, strict=True):
            if t is not zero and rule is not None:
                term = broadcast_tangent(rule(t, y, *primals, **params), y)
                total = term if total is zero else add_p.bind(total, term)[0]
        return (y,), (total,)

    op.jvp = nary_jvp if tangents else zero_derivative(op)
    op.batch = elementwise_batch(op)
    return op


def structural(name: str, type: Callable[..., Any], eval: Callable[..., Any], transpose: Callable[..., Any],
               batch: Callable[..., Any], traits: Sequence[str] = ()) -> Op:
    """An op linear in its one operand that moves elements: rules for type, eval, transpose and batch."""
    op = Op(name, type=type, eval=lambda x, **params: (eval(x, **params),), batch=batch, cost=no_cost,
            transpose=lambda cts, x, **params: (transpose(cts[0], x, **params),), traits={"structural", *traits})
    op.jvp = linear_jvp(op)
    return op


# ---- functions of ops ----

def unary_function(op: Op, doc: str) -> Callable[[Any], Any]:
    """The Python function of an op in one operand."""
    def function(x: Any) -> Any:
        return op.bind(x)[0]

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


def binary_function(op: Op, doc: str) -> Callable[[Any, Any], Any]:
    """The Python function of an op in two operands."""
    def function(x: Any, y: Any) -> Any:
        return op.bind(x, y)[0]

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = doc
    return function


# ---- add and mul ----

def _add_transpose(cts: Sequence[Any], *args: Any) -> Any:
    return tuple(unbroadcast(cts[0], x) if type(x) is Linear else None for x in args)


def _mul_transpose(cts: Sequence[Any], x: Any, y: Any) -> Any:
    if type(x) is Linear:
        return unbroadcast(mul_p.bind(cts[0], y)[0], x), None
    return None, unbroadcast(mul_p.bind(x, cts[0])[0], y)


add_p = nary("add", np.add, (lambda t, z, x, y: t, lambda t, z, x, y: t), transpose=_add_transpose,
             traits=("commutative",))
mul_p = nary("mul", np.multiply, (lambda t, z, x, y: mul_p.bind(t, y)[0], lambda t, z, x, y: mul_p.bind(x, t)[0]),
             transpose=_mul_transpose, traits=("commutative",))


def add(x: Any, y: Any) -> Any:
    """x + y, of equal dtypes."""
    return add_p.bind(x, y)[0]


def mul(x: Any, y: Any) -> Any:
    """x * y, of equal dtypes."""
    return mul_p.bind(x, y)[0]


# ---- broadcast_in_dim ----

def _broadcast_type(x: ArrayType, *, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> Any:
    fits = len(broadcast_dimensions) == x.ndim and all(
        0 <= d < len(shape) and n in (1, shape[d]) for n, d in zip(x.shape, broadcast_dimensions, strict=False))
    if not fits or list(broadcast_dimensions) != sorted(set(broadcast_dimensions)):
        raise ShapeError(f"broadcast_in_dim: {x} does not fit into shape {shape} along axes {broadcast_dimensions}"
                         f"{at_line()}. Each axis of the operand must have size 1 or that of the axis it maps to.")
    return (x.update(shape=tuple(shape)),)


def _broadcast_eval(x: np.ndarray, *, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> Any:
    sizes = [1] * len(shape)
    for d, n in zip(broadcast_dimensions, x.shape, strict=True):
        sizes[d] = n
    return np.broadcast_to(x.reshape(sizes), shape)


def _broadcast_transpose(ct: Any, x: Any, *, shape: tuple[int, ...], broadcast_dimensions: tuple[int, ...]) -> Any:
    kept = {d for d, n in zip(broadcast_dimensions, x.shape, strict=True) if n == shape[d]}
    summed = reduce_sum(ct, [d for d, n in enumerate(shape) if d not in kept and n != 1])
    return reshape(summed, x.shape)


def _broadcast_batch(size: int, args: Any, axes: Any, *, shape: Any, broadcast_dimensions: Any) -> Any:
    (x,), (axis,) = args, axes
    dims = tuple(d + 1 for d in broadcast_dimensions)
    dims = (*dims[:axis], 0, *dims[axis:])
    moved = moveaxis(x, axis, 0)
    return broadcast_in_dim_p.bind(moved, shape=(size, *shape), broadcast_dimensions=(0, *[d for d in dims if d])), (0,)


broadcast_in_dim_p = structural("broadcast_in_dim", _broadcast_type, _broadcast_eval, _broadcast_transpose,
                                _broadcast_batch)


# ---- reshape ----

def _reshape_type(x: ArrayType, *, new_sizes: tuple[int, ...]) -> Any:
    if size_of(new_sizes) != x.size or any(n < 0 for n in new_sizes):
        raise ShapeError(f"reshape: {x} has {x.size} elements, the new shape {new_sizes} has {size_of(new_sizes)}"
                         f"{at_line()}. The numbers must agree; -1 stands for the size that makes them agree.")
    return (x.update(shape=tuple(new_sizes)),)


def _reshape_batch(size: int, args: Any, axes: Any, *, new_sizes: Any) -> Any:
    return reshape_p.bind(moveaxis(args[0], axes[0], 0), new_sizes=(size, *new_sizes)), (0,)


reshape_p = structural("reshape", _reshape_type, lambda x, *, new_sizes: x.reshape(new_sizes),
                       lambda ct, x, *, new_sizes: reshape(ct, x.shape), _reshape_batch)


# ---- transpose ----

def _transpose_type(x: ArrayType, *, permutation: tuple[int, ...]) -> Any:
    if sorted(permutation) != list(range(x.ndim)):
        raise ShapeError(f"transpose: {permutation} is not a permutation of the axes of {x}{at_line()}. "
                         f"Name each of {tuple(range(x.ndim))} once.")
    return (x.update(shape=tuple(x.shape[i] for i in permutation)),)


def _transpose_batch(size: int, args: Any, axes: Any, *, permutation: Any) -> Any:
    (x,), (axis,) = args, axes
    return transpose_p.bind(x, permutation=(axis, *[i + (i >= axis) for i in permutation])), (0,)


transpose_p = structural(
    "transpose", _transpose_type, lambda x, *, permutation: x.transpose(permutation),
    lambda ct, x, *, permutation: transpose(ct, tuple(int(i) for i in np.argsort(permutation))), _transpose_batch)


# ---- reduce_sum ----

def reduced_type(name: str, x: ArrayType, axes: tuple[int, ...], dtype: Any = None) -> tuple[ArrayType, ...]:
    """Type of a reduction of `x` over `axes`."""
    if len(set(axes)) != len(axes) or any(not 0 <= a < x.ndim for a in axes):
        raise ShapeError(f"{name}: the axes {axes} are not distinct axes of {x}{at_line()}. "
                         f"Choose among {tuple(range(x.ndim))}.")
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return (ArrayType(shape, dtype or x.dtype, x.weak_type and dtype is None, x.varying),)


def _reduce_sum_type(x: ArrayType, *, axes: tuple[int, ...]) -> Any:
    accepts("reduce_sum", x.dtype, any_number, "numeric")
    return reduced_type("reduce_sum", x, axes)


def _reduce_sum_transpose(ct: Any, x: Any, *, axes: tuple[int, ...]) -> Any:
    return broadcast_in_dim(ct, x.shape, tuple(i for i in range(x.ndim) if i not in axes))


def reduction_batch(op: Callable[[], Op]) -> Callable[..., Any]:
    """Batch rule of a reduction with parameter `axes`; `op` is a thunk, as the record is being made."""
    def batch(size: int, args: Any, batch_axes: Any, *, axes: tuple[int, ...], **params: Any) -> Any:
        (x,), (b,) = args, batch_axes
        shifted = tuple(a + (a >= b) for a in axes)
        return op().bind(x, axes=shifted, **params), (b - sum(a < b for a in shifted),)

    return batch


def _reduce_sum_eval(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    return reference.reduce_sum(x, axes)


reduce_sum_p = structural("reduce_sum", _reduce_sum_type, _reduce_sum_eval, _reduce_sum_transpose,
                          reduction_batch(lambda: reduce_sum_p))
reduce_sum_p.traits = frozenset({"reduction"})
reduce_sum_p.cost = elementwise_cost(1)


def reduce_sum(x: Any, axes: Sequence[int]) -> Any:
    """Sum over axes (non-negative)."""
    return reduce_sum_p.bind(x, axes=tuple(axes))[0] if axes else x


# ---- functions over these ops, for rules and for the namespaces ----

def broadcast_in_dim(x: Any, shape: Sequence[int], broadcast_dimensions: Sequence[int]) -> Any:
    """Map the axes of `x` to axes of `shape`; the other axes repeat."""
    if shape_of(x) == tuple(shape):
        return x
    return broadcast_in_dim_p.bind(x, shape=tuple(shape), broadcast_dimensions=tuple(broadcast_dimensions))[0]


def reshape(x: Any, shape: Sequence[int]) -> Any:
    """The same elements, row by row, in another shape."""
    return x if shape_of(x) == tuple(shape) else reshape_p.bind(x, new_sizes=tuple(shape))[0]


def transpose(x: Any, permutation: Sequence[int]) -> Any:
    """Permute axes: axis i of the result is axis permutation[i] of `x`."""
    permutation = tuple(permutation)
    return x if permutation == tuple(range(len(permutation))) else transpose_p.bind(x, permutation=permutation)[0]


def moveaxis(x: Any, source: int, destination: int) -> Any:
    """Move one axis of `x`; both indices non-negative."""
    if source == destination:
        return x
    order = [i for i in range(len(shape_of(x))) if i != source]
    order.insert(destination, source)
    return transpose_p.bind(x, permutation=tuple(order))[0]


def broadcast_axis(x: Any, size: int, axis: int) -> Any:
    """Repeat `x` along a new axis."""
    shape = shape_of(x)
    return broadcast_in_dim_p.bind(x, shape=(*shape[:axis], int(size), *shape[axis:]),
                                   broadcast_dimensions=tuple(i for i in range(len(shape) + 1) if i != axis))[0]
