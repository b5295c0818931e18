"""Reading NumPy index expressions: what each element of an index means for an axis of `x`.

An index becomes one entry for each axis, with None and Ellipsis between them:

    int      a static position            range    a slice, its bounds resolved
    array    integers, perhaps traced     None     a new axis

Boolean masks, which must be concrete, become the positions of their true entries; a scalar boolean
is an index array into an axis of size 1 that `x` is to get first.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax.errors import MinijaxIndexError, MinijaxTypeError, MinijaxValueError, NonConcreteBooleanIndexError
from minijax.ir import dtypes
from minijax.ops.comparison import lt, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import add, shape_of
from minijax.tracing.array import Array, Tracer, is_value, typeof
from minijax.tracing.source import at_line

Spec = tuple[Any, ...]


class Index(NamedTuple):
    """Entries, the axes of size 1 to put into `x` first (for scalar booleans), and whether places are distinct."""

    entries: list[Any]
    added_to_x: tuple[int, ...]
    distinct: bool

    @property
    def arrays(self) -> list[Any]:
        return [e for e in self.entries if isinstance(e, (Array, np.ndarray))]


def normalize_static_index(index: Any) -> Spec | None:
    """A hashable form of an index of integers, slices, None and Ellipsis; None if it holds anything else.

    `getitem` takes it in place of the index.

    >>> normalize_static_index((0, slice(None, 3), ...))
    (0, StaticSlice(start=None, stop=3, step=None), Ellipsis)
    """
    spec: list[Any] = []
    for e in index if type(index) is tuple else (index,):
        if type(e) is int or e is None or e is Ellipsis:
            spec.append(e)
        elif isinstance(e, slice):
            if any(isinstance(part, Tracer) for part in (e.start, e.stop, e.step)):
                return None
            spec.append(StaticSlice.of(e))
        elif type(e) is not bool and isinstance(e, (int, np.integer)):
            spec.append(int(e))
        elif type(e) is StaticSlice:
            spec.append(e)
        else:
            return None
    return tuple(spec)


class StaticSlice(NamedTuple):
    """A slice that can be hashed."""

    start: int | None
    stop: int | None
    step: int | None

    @classmethod
    def of(cls, e: slice | StaticSlice) -> StaticSlice:
        """The bounds as Python integers; refuses traced ones."""
        return cls(*[None if part is None else operator.index(part) for part in (e.start, e.stop, e.step)])


def read_index(shape: tuple[int, ...], index: Any, strict: bool, wrap: bool = True) -> Index:
    """The entries of an index into an array of this shape; `strict` refuses static integers out of bounds.

    `wrap` counts negative integers from the end; without it they are out of bounds.
    """
    pieces = [piece for e in _as_tuple(index) for piece in _pieces(e)]
    consumed = sum(e is not None and e is not Ellipsis and e is not _TRUE and e is not _FALSE for e in pieces)
    if sum(e is Ellipsis for e in pieces) > 1:
        raise MinijaxIndexError(f"an index can only have a single ellipsis ('...'){at_line()}. Write : for the others.")
    if consumed > len(shape):
        raise MinijaxIndexError(f"too many indices for array: array is {len(shape)}-dimensional, but {consumed} were "
                                f"indexed{at_line()}.")
    rest = [slice(None)] * (len(shape) - consumed)
    at = next((i + 1 for i, e in enumerate(pieces) if e is Ellipsis), len(pieces))
    entries: list[Any] = []
    added: list[int] = []
    axis = 0
    for e in (*pieces[:at], *rest, *pieces[at:]):
        if e is _TRUE or e is _FALSE:
            added.append(axis + len(added))
            entries.append(np.zeros(int(e is _TRUE), np.int32))
        elif e is None or e is Ellipsis:
            entries.append(e)
        else:
            entries.append(_entry(e, axis, shape[axis], strict, wrap))
            axis += 1
    masks = sum(isinstance(e, Mask) and e.position == 0 for e in pieces)
    others = sum(is_value(e) and not isinstance(e, int) and bool(shape_of(e)) for e in pieces) + len(added)
    return Index(entries, tuple(added), masks + others == 0 or (masks == 1 and others == 0))


class Mask(NamedTuple):
    """The positions of a mask's true entries along one of its axes, and that axis' size."""

    positions: np.ndarray
    position: int
    size: int


_TRUE, _FALSE = object(), object()  # scalar booleans


def _as_tuple(index: Any) -> tuple[Any, ...]:
    if isinstance(index, (list, set, frozenset)):
        raise MinijaxTypeError(f"Using a non-tuple sequence for multidimensional indexing is not allowed{at_line()}: "
                               "use x[array(seq)] to pick elements, or x[tuple(seq)] for one index an axis.")
    return index if isinstance(index, tuple) and type(index) is not StaticSlice else (index,)


def _pieces(e: Any) -> Sequence[Any]:
    """One piece for each axis that an element of an index consumes; masks become their positions."""
    if e is None or e is Ellipsis or isinstance(e, (slice, StaticSlice)):
        return [e]
    if isinstance(e, (list, tuple)):
        raise MinijaxTypeError(f"A list inside of an index is not allowed{at_line()}: use x[array(seq)], for example "
                               f"jnp.array({e!r}).")
    if not is_value(e):
        raise MinijaxIndexError("only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or "
                                f"boolean arrays are valid indices, got {e!r}{at_line()}.")
    dtype = typeof(e).dtype
    if dtype == dtypes.bool_:
        return _mask_pieces(e)
    if not dtypes.is_integer(dtype):
        raise MinijaxTypeError(f"An array of dtype {dtype} cannot be an index{at_line()}. Indices are integers or "
                               "booleans: convert with .astype('int32').")
    return [int(e) if isinstance(e, (int, np.integer)) else e]


def _mask_pieces(e: Any) -> Sequence[Any]:
    value = e
    while isinstance(value, Tracer):
        value = value.concrete()
    if value is None:
        raise NonConcreteBooleanIndexError(
            f"A boolean mask must be concrete, this one is traced: {e!r}{at_line()}. The number of its true entries "
            "would be a shape. Use jnp.where(mask, a, b), or jnp.nonzero(mask, size=...).")
    mask = np.asarray(value)
    if not mask.ndim:
        return [_TRUE if mask else _FALSE]
    return [Mask(where.astype(np.int32), i, mask.shape[i]) for i, where in enumerate(np.nonzero(mask))]


def _entry(e: Any, axis: int, size: int, strict: bool, wrap: bool) -> Any:
    """What an element of an index means for an axis of this size; negative positions become positive."""
    if isinstance(e, int):
        if strict and not -size <= e < size:
            fix = (f"Valid are {-size} to {size - 1}; x.at[...].get(mode='clip') moves it inside." if size else
                   "That axis has no elements: test x.size first.")
            raise MinijaxIndexError(f"index {e} is out of bounds for axis {axis} with size {size}{at_line()}. {fix}")
        return e + size if e < 0 and wrap else e
    if isinstance(e, (slice, StaticSlice)):
        parts = StaticSlice.of(e)
        if parts.step == 0:
            raise MinijaxValueError(f"slice step cannot be zero{at_line()}.")
        return range(*slice(*parts).indices(size))
    if isinstance(e, Mask):
        if e.size != size:
            raise MinijaxIndexError(f"boolean index did not match indexed array along axis {axis}; size of axis is "
                                    f"{size} but size of corresponding boolean axis is {e.size}{at_line()}.")
        return e.positions
    return _wrapped(e, size, wrap)


def _wrapped(e: Any, size: int, wrap: bool) -> Any:
    """Integers as an index dtype, the negative ones counted from the end; NumPy arrays stay NumPy arrays."""
    dtype = dtypes.int32 if size < 2**31 else dtypes.int64
    wrap = wrap and not dtypes.is_unsigned(typeof(e).dtype)
    if isinstance(e, np.ndarray):
        return np.asarray(np.where(e < 0, e + size, e) if wrap else e).astype(dtype)
    e = convert_element_type(e, dtype)
    return select_n(lt(e, dtype.type(0)), e, add(e, dtype.type(size))) if wrap else e
