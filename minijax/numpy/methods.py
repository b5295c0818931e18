"""The methods of `Array` and `Tracer`, indexing, and `.at`.

Filled in by two visible loops: methods are the functions of this package with the array
as their first argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.errors import MinijaxTypeError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.numpy import arrange, creation, elementwise, linear, reductions, selection, shaping
from minijax.numpy.at import AtIndexer
from minijax.numpy.operands import converted, dtype_of, operand
from minijax.ops.conversion import bitcast_convert_type
from minijax.ops.families import at_line
from minijax.ops.families import reshape as reshape_to
from minijax.numpy.indexing import getitem, normalize_static_index
from minijax.ops.operators import Fusible
from minijax.tracing.array import Array

for _fusible in Fusible.every:
    _fusible.run = fused(_fusible.run)


# ---- indexing ----

_read_static = fused(lambda x, index: getitem(x, index), static_argnames=("index",))
_read_mixed = fused(lambda x, index: getitem(x, index))


def _getitem(self: Any, index: Any) -> Any:
    """x[index]: integers, slices, None, `...`, integer arrays, boolean masks of known size, and mixes."""
    spec = normalize_static_index(index)
    return getitem(self, index) if spec is None else _read_static(self, index=spec)


def _iterate(self: Any) -> Any:
    if not self.shape:
        raise MinijaxTypeError("iteration over an array of no axes (0-d). Use x[None] to give it one.")
    return (self[i] for i in range(self.shape[0]))


def _assign(self: Any, index: Any, value: Any) -> None:
    raise MinijaxTypeError("arrays are immutable: x[i] = y cannot work. "
                           "Write x = x.at[i].set(y), which returns a new array.")


def _contains(self: Any, value: Any) -> bool:
    return bool(reductions.any(elementwise.equal(self, value)))


# ---- methods that are not simply functions ----

def _reshape(self: Any, *shape_: Any, order: str = "C", copy: bool | None = None) -> Any:
    """`numpy.reshape`, with the sizes as one tuple or as several arguments."""
    return shaping.reshape(self, shape_[0] if len(shape_) == 1 else shape_, order)


def _transpose(self: Any, *axes: Any) -> Any:
    """`numpy.transpose`, with the axes as one tuple or as several arguments."""
    if not axes or axes == (None,):
        return shaping.transpose(self)
    return shaping.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)


def _astype(self: Any, dtype: Any, copy: bool = False, device: Any = None) -> Any:
    """The array at another dtype; complex numbers lose their imaginary part."""
    return converted(self, dtype_of("astype", dtype, reductions.to_inexact(dtypes.bool_)))


def astype(x: Any, dtype: Any, /, *, copy: bool = False, device: Any = None) -> Any:
    """`x` at another dtype.

    >>> astype(np.array([1.5]), 'int32')
    Array([1], dtype=int32)
    """
    return _astype(operand("astype", x), dtype)


def _view(self: Any, dtype: Any = None) -> Any:
    """The bits read as another dtype; a last axis grows or shrinks with the elements' size."""
    if dtype is None:
        return self
    old, new = self.dtype, dtype_of("view", dtype)
    if old == dtypes.bool_ or new == dtypes.bool_:
        out = self.astype(np.uint8) if old == dtypes.bool_ else self
        return out.view(new) if new != dtypes.bool_ else bitcast_convert_type(out, np.uint8) != 0
    ratio = new.itemsize // old.itemsize
    if ratio > 1:
        if not self.ndim or self.shape[-1] % ratio:
            raise MinijaxTypeError(f"view: the last axis of {self.shape} is no multiple of {ratio}{at_line()}.")
        return bitcast_convert_type(reshape_to(self, (*self.shape[:-1], self.shape[-1] // ratio, ratio)), new)
    out = bitcast_convert_type(self, new)
    return out if ratio == 1 else reshape_to(out, (*self.shape[:-1], self.shape[-1] * (old.itemsize // new.itemsize)))


def _round(self: Any, ndigits: int | None = None) -> Any:
    out = elementwise.round(self, ndigits or 0)
    return out.astype(int) if ndigits is None else out


def _to_device(self: Any, device: Any, *, stream: Any = None) -> Any:
    """The array on another device."""
    return Array(Array.backend.put(self, device))


_methods: dict[str, Callable[..., Any]] = {
    "__getitem__": _getitem, "__setitem__": _assign, "__iter__": _iterate, "__contains__": _contains,
    "__round__": _round, "reshape": _reshape, "transpose": _transpose, "astype": _astype, "view": _view,
    "to_device": _to_device, "copy": creation.copy, "clone": creation.copy, "flatten": shaping.ravel,
    "conj": elementwise.conj, "conjugate": elementwise.conj, "round": elementwise.round, "clip": elementwise.clip,
    "dot": linear.dot,
    **{name: getattr(reductions, name) for name in (
        "all", "any", "argmax", "argmin", "cumprod", "cumsum", "max", "mean", "min", "prod", "ptp", "std", "sum",
        "var")},
    **{name: getattr(shaping, name) for name in ("ravel", "squeeze", "swapaxes")},
    **{name: getattr(arrange, name) for name in ("diagonal", "repeat", "trace")},
    **{name: getattr(selection, name) for name in ("argsort", "nonzero", "searchsorted", "sort", "take")}}
_properties: dict[str, Callable[[Any], Any]] = {
    "T": shaping.transpose, "mT": shaping.matrix_transpose, "real": elementwise.real, "imag": elementwise.imag,
    "at": AtIndexer}

for _name, _method in _methods.items():
    Array.define(_name, _method)
for _name, _method in _properties.items():
    Array.define(_name, property(_method, doc=(_method.__doc__ or "").partition("\n")[0]))
