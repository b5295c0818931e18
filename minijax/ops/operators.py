"""Operands of Python operators: promotion, broadcasting, and the operators themselves.

`harmonize` brings operands to a common dtype and shape by JAX's rules; the operators
of `Array` and `Tracer` are filled in at the end, in one visible loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.config import state
from minijax.errors import MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops.elementwise import convert_element_type
from minijax.ops.families import at_line, broadcast_in_dim, reshape
from minijax.tracing.array import Array, is_value, typeof


def harmonize(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands at their common dtype and shape; scalars stay scalars.

    Raises `ShapeError` or `DtypeError` if they have none, `MinijaxTypeError` if one is no array.
    """
    if isinstance(x, Array):
        t = x.type
        if isinstance(y, Array):
            u = y.type
            if t.dtype is u.dtype and (t.shape == u.shape or not t.shape or not u.shape):
                return x, y
        else:
            scalar = like_scalar(y, t)
            if scalar is not None:
                return x, scalar
    elif isinstance(y, Array):
        scalar = like_scalar(x, y.type)
        if scalar is not None:
            return scalar, y
    x, y = promote_dtypes(name, x, y)
    x, y = broadcast_operands(name, x, y)
    return x, y


def like_scalar(value: Any, type: ArrayType) -> Any:
    """A Python scalar as a literal of an array's dtype; None where promotion must decide."""
    cls = value.__class__
    if cls is float:
        fits = dtypes.is_inexact(type.dtype)
    elif cls is int:
        fits = type.dtype != dtypes.bool_ and not dtypes.is_key(type.dtype)
    else:
        return None
    if not fits:
        return None
    if type.weak_type:
        return value if type.dtype == dtypes.canonical_dtype(cls) else None
    return type.dtype.type(value)


def promote_dtypes(name: str, *operands: Any) -> list[Any]:
    """Operands converted to their common dtype; a weak one stays weak only if all are."""
    for x in operands:
        if not is_value(x):
            raise MinijaxTypeError(f"{name} takes arrays and scalars, got {x!r} of type "
                                   f"{type(x).__name__}{at_line()}. Convert it with minijax.numpy.asarray(...).")
    types = [typeof(x) for x in operands]
    dtype, weak = dtypes.promote(tuple(t.dtype for t in types), tuple(t.weak_type for t in types),
                                 state.jax_enable_x64)
    return [convert(x, dtype, weak) for x in operands]


def convert(x: Any, dtype: Any, weak: bool = False) -> Any:
    """`x` at a dtype; Python scalars become literals."""
    t = typeof(x)
    if t.dtype == dtype and (t.weak_type == weak or weak):
        return x
    if not isinstance(x, Array) and t.shape == () and not weak and isinstance(x, (bool, int, float, complex)):
        return dtype.type(x)
    return convert_element_type(x, dtype, weak)


def broadcast_shapes(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rules; raises `ShapeError`."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        distinct = {n for n in sizes if n != 1}
        if len(distinct) > 1:
            raise ShapeError(f"{name}: the shapes {', '.join(str(tuple(s)) for s in shapes)} do not broadcast{at_line()}: "
                             f"aligned at the right, sizes {sorted(distinct)} meet. Reshape an operand so that they agree or are 1.")
        out.append(distinct.pop() if distinct else 1)
    return tuple(out)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Repeat `x` to a shape that its own broadcasts to."""
    own = typeof(x).shape
    if own == shape:
        return x
    offset = len(shape) - len(own)
    kept = [i for i, n in enumerate(own) if n == shape[i + offset]]
    squeezed = reshape(x, tuple(own[i] for i in kept))
    return broadcast_in_dim(squeezed, shape, tuple(i + offset for i in kept))


def broadcast_operands(name: str, *operands: Any) -> list[Any]:
    """Operands at their common shape; those of rank 0 are left alone."""
    shapes = [typeof(x).shape for x in operands]
    if len({s for s in shapes if s}) <= 1:
        return list(operands)
    if state.jax_numpy_rank_promotion == "raise" and len({len(s) for s in shapes if s}) > 1:
        raise ShapeError(f"{name}: operands of ranks {[len(s) for s in shapes]} meet{at_line()}, and "
                         "jax_numpy_rank_promotion is 'raise'. Reshape them to equal rank.")
    shape = broadcast_shapes(name, shapes)
    return [x if not s else broadcast_to(x, shape) for x, s in zip(operands, shapes, strict=True)]


def binary(op: Op, name: str) -> Callable[[Any, Any], Any]:
    """The NumPy-style function of an elementwise op in two operands."""
    def operator(x: Any, y: Any) -> Any:
        x, y = harmonize(name, x, y)
        return op.bind(x, y)[0]

    operator.__name__ = operator.__qualname__ = name
    return operator
