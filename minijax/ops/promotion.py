"""Bringing operands together: common dtypes by JAX's lattice, common shapes by NumPy's rules.

    matched(x, y)          the fast path: operands that agree already, or an array and a Python scalar
    promoted(name, *xs)    operands at their common dtype; `numeric` and `inexact` leave bool, or integers, behind
    harmonize(name, *xs)   promoted, and brought to a common rank: elementwise ops repeat axes of size 1 themselves
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from minijax.config import state
from minijax.errors import IntegerOverflowError, MinijaxTypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import broadcast_in_dim, reshape, shape_of
from minijax.tracing.array import Array, is_value, typeof
from minijax.tracing.source import at_line

INEXACT = frozenset(d for d in dtypes.dtype_names if dtypes.is_inexact(d))
NUMBERS = INEXACT | frozenset(d for d in dtypes.dtype_names if dtypes.is_integer(d))
_python_types = {float: float, int: int, complex: complex, bool: bool}


def matched(x: Any, y: Any, kinds: Collection[Any] | None = None) -> tuple[Any, Any] | None:
    """The operands as an elementwise op takes them, if they need no conversion; None if they do.

    `kinds` are the dtypes that the op takes, None for all.
    """
    if isinstance(x, Array):
        t = x.type
        if kinds is not None and t.dtype not in kinds:
            return None
        if isinstance(y, Array):
            u = y.type
            if t.dtype is u.dtype and (t.shape == u.shape or not t.shape or not u.shape):
                return x, y
            return None
        scalar = like_scalar(y, t)
        return None if scalar is None else (x, scalar)
    if isinstance(y, Array):
        t = y.type
        if kinds is None or t.dtype in kinds:
            scalar = like_scalar(x, t)
            return None if scalar is None else (scalar, y)
    return None


def like_scalar(value: Any, type: ArrayType) -> Any:
    """A Python scalar as a literal of an array's dtype; None where promotion must decide."""
    cls = value.__class__
    if cls is float:
        fits = type.dtype in INEXACT
    elif cls is int:
        fits = type.dtype in NUMBERS
    else:
        return None
    if not fits:
        return None
    if type.weak_type:
        return value if type.dtype == dtypes.canonical_dtype(cls) else None
    try:
        if -65504.0 <= value <= 65504.0:  # float16's range: no dtype overflows
            return type.dtype.type(value)
        with np.errstate(over="ignore"):
            return type.dtype.type(value)
    except OverflowError:
        raise too_large(value, type.dtype) from None


def too_large(value: int, dtype: Any) -> IntegerOverflowError:
    """The error for a Python integer that a dtype cannot hold."""
    return IntegerOverflowError(f"The Python integer {value} does not fit into {dtype}{at_line()}. "
                                "Use a float, a wider dtype, or 64-bit integers with jax_enable_x64.")


# ---- dtypes ----

def check_values(name: str, operands: Sequence[Any]) -> None:
    """Raise `MinijaxTypeError` unless all operands are arrays or scalars."""
    for x in operands:
        if not is_value(x):
            raise MinijaxTypeError(f"{name} takes arrays and scalars, got {x!r} of type "
                                   f"{type(x).__name__}{at_line()}. Convert it with minijax.numpy.asarray(...).")


def common_dtype(name: str, operands: Sequence[Any]) -> tuple[Any, bool]:
    """The dtype that operands promote to, and whether it is weak."""
    check_values(name, operands)
    types = [typeof(x) for x in operands]
    return dtypes.promote(tuple([t.dtype for t in types]), tuple([t.weak_type for t in types]), state.jax_enable_x64)


def to_numeric(dtype: Any) -> Any:
    """int32 (int64 under x64) for bool; other dtypes as they are."""
    return dtypes.canonical_dtype(int) if dtype == dtypes.bool_ else dtype


def to_inexact(dtype: Any) -> Any:
    """The floating-point dtype of integers and bool; other dtypes as they are.

    >>> to_inexact(dtypes.int8)
    dtype('float32')
    """
    if dtype == dtypes.bool_ or dtypes.is_integer(dtype):
        return dtypes.canonical_dtype(dtypes.float64) if dtype.itemsize == 8 else dtypes.float32
    return dtype


def promoted(name: str, *operands: Any) -> list[Any]:
    """Operands converted to their common dtype; the result is weak only if all are."""
    if all([isinstance(x, Array) for x in operands]) and len({x.type.dtype for x in operands}) == 1:
        return list(operands)
    dtype, weak = common_dtype(name, operands)
    return [convert(x, dtype, weak) for x in operands]


def promoted_numeric(name: str, *operands: Any) -> list[Any]:
    """As `promoted`, with bool taken for an integer."""
    dtype, weak = common_dtype(name, operands)
    return [convert(x, to_numeric(dtype), weak) for x in operands]


def promoted_inexact(name: str, *operands: Any) -> list[Any]:
    """As `promoted`, with integers and bool taken for floating-point numbers."""
    dtype, weak = common_dtype(name, operands)
    return [convert(x, to_inexact(dtype), weak) for x in operands]


def convert(x: Any, dtype: Any, weak: bool = False) -> Any:
    """`x` at a dtype; Python scalars become literals."""
    t = typeof(x)
    if t.dtype == dtype and (t.weak_type == weak or weak):
        return x
    if x.__class__ in _python_types and not dtypes.is_key(dtype):
        try:
            return dtype.type(x).item() if weak and dtype.kind in "fic" else dtype.type(x)
        except OverflowError:
            raise too_large(x, dtype) from None
    return convert_element_type(x, dtype, weak)


# ---- shapes ----

def broadcast_shapes(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rules; raises `ShapeError`."""
    found = common_shape(tuple(shapes))
    if isinstance(found, list):
        raise ShapeError(f"{name}: the shapes {', '.join(str(tuple(s)) for s in shapes)} do not broadcast{at_line()}: "
                         f"aligned at the right, sizes {found} meet. Reshape an operand so that they agree or are 1.")
    return found


@functools.lru_cache(maxsize=4096)
def common_shape(shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...] | list[int]:
    """The common shape, or the list of sizes that do not agree."""
    rank = max((len(s) for s in shapes), default=0)
    padded = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        distinct = {n for n in sizes if n != 1}
        if len(distinct) > 1:
            return sorted(distinct)
        out.append(distinct.pop() if distinct else 1)
    return tuple(out)


def broadcast_to(x: Any, shape: tuple[int, ...]) -> Any:
    """Repeat `x` to a shape that its own broadcasts to."""
    own = shape_of(x)
    if own == shape:
        return x
    squeezed, places = _placement(own, shape)
    return broadcast_in_dim(reshape(x, squeezed), shape, places)


@functools.lru_cache(maxsize=4096)
def _placement(own: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape without the axes that repeat, and where the others go."""
    offset = len(shape) - len(own)
    kept = [i for i, n in enumerate(own) if n == shape[i + offset]]
    return tuple([own[i] for i in kept]), tuple([i + offset for i in kept])


def broadcast_operands(name: str, *operands: Any) -> list[Any]:
    """Operands that elementwise ops take: of a common rank, by axes of size 1 in front; those of rank 0 stay."""
    shapes = tuple([shape_of(x) for x in operands])
    if len({s for s in shapes if s}) <= 1:
        return list(operands)
    if state.jax_numpy_rank_promotion == "raise" and len({len(s) for s in shapes if s}) > 1:
        raise ShapeError(f"{name}: operands of ranks {[len(s) for s in shapes]} meet{at_line()}, and "
                         "jax_numpy_rank_promotion is 'raise'. Reshape them to equal rank.")
    rank = len(broadcast_shapes(name, shapes))
    return [broadcast_in_dim(x, (1,) * (rank - len(s)) + s, range(rank - len(s), rank)) if s else x
            for x, s in zip(operands, shapes, strict=True)]


def harmonize(name: str, *operands: Any) -> list[Any]:
    """Operands at their common dtype and rank; scalars stay scalars.

    Raises `ShapeError` or `DtypeError` if they have none, `MinijaxTypeError` if one is no array.
    """
    return broadcast_operands(name, *promoted(name, *operands))
