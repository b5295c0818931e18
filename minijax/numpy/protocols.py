"""Arrays among other libraries: NumPy's own functions find ours, DLpack hands memory over; format, pickle and copy.

`np.sin(x)` and `np.sum(x)` of an array of ours, traced or not, call our function of the same name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax import pytree
from minijax.errors import ConcretizationTypeError, MinijaxTypeError
from minijax.numpy import linalg
from minijax.tracing.array import Array, Tracer

ufuncs: dict[Any, Callable[..., Any]] = {}
functions: dict[Any, Callable[..., Any]] = {}


def fill(names: dict[str, Any]) -> None:
    """Fill the tables of NumPy's functions from a namespace of ours."""
    pairs = [(getattr(np, name, None), ours) for name, ours in names.items() if callable(ours) and
             not name.startswith("_")]
    pairs += [(getattr(np.linalg, name, None), getattr(linalg, name)) for name in linalg.__all__]
    for theirs, ours in pairs:
        table = ufuncs if isinstance(theirs, np.ufunc) else functions
        if isinstance(theirs, np.ufunc) or hasattr(theirs, "_implementation"):
            table[theirs] = ours


def _array_ufunc(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    function = ufuncs.get(ufunc)
    if function is None or method != "__call__" or options:
        inputs, options = _numpy_operands(f"np.{ufunc.__name__}", inputs, options)
        return getattr(ufunc, method)(*inputs, **options)
    return function(*inputs)


def _array_function(self: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    ours = functions.get(function)
    if ours is None:
        name = f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)
        args, kwargs = _numpy_operands(name, args, kwargs)
        return function(*args, **kwargs)
    return ours(*args, **kwargs)


def _numpy_operands(name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Arguments of a NumPy function that has no counterpart here: arrays as NumPy's, tracers refused."""
    if any(isinstance(x, Tracer) for x in pytree.leaves((args, kwargs))):
        raise MinijaxTypeError(f"{name}, with these options, is not known for traced values. "
                               "Use a function of minijax.numpy.")
    numpy_args, numpy_kwargs = pytree.map(lambda x: x.__array__() if isinstance(x, Array) else x, (args, kwargs))
    return numpy_args, numpy_kwargs


_KEEP = "Keep the value as an array inside the traced function."


def _item(self: Any, *index: Any) -> Any:
    """The single element (or the one at `index`) as a Python scalar; a traced value has none."""
    return self.known(ConcretizationTypeError, "`x.item()`", _KEEP).__array__().item(*index)


def _tolist(self: Any) -> Any:
    """The elements as nested lists of Python scalars; a traced value has none."""
    return self.known(ConcretizationTypeError, "`x.tolist()`", _KEEP).__array__().tolist()


def _tobytes(self: Any, order: str = "C") -> bytes:
    """The elements as bytes."""
    return self.__array__().tobytes(order)


def _format(self: Any, spec: str) -> str:
    if not spec and (self.shape or isinstance(self, Tracer)):
        return str(self)
    x = self.known(ConcretizationTypeError, "A format such as f'{x:.3f}'",
                   "Format x without a specification, or after the traced function returned.")
    return format(str(x) if x.shape else x.__array__()[()], spec)


def _reduce(self: Any) -> Any:
    """How to pickle an array: as NumPy's, and whether it is weak."""
    if isinstance(self, Tracer):
        raise ConcretizationTypeError(f"A traced value ({self.type}) cannot be pickled or copied to another process.")
    return _rebuild, (self.__array__(), self.weak_type)


def _rebuild(array: np.ndarray, weak: bool) -> Array:
    return Array(Array.backend.put(array.item() if weak and not array.shape else array, None))


def _block_until_ready(self: Any) -> Any:
    """Wait until the array is computed; returns the array."""
    wait = None if isinstance(self, Tracer) else getattr(self.value, "block_until_ready", None)
    if wait is not None:  # NumPy's are always computed
        wait()
    return self


for _name, _method in {
        "__array_ufunc__": _array_ufunc, "__array_function__": _array_function,
        "__dlpack__": lambda self, **options: self.value.__dlpack__(**options),
        "__dlpack_device__": lambda self: self.value.__dlpack_device__(),
        "__format__": _format, "__reduce__": _reduce,
        "__copy__": lambda self: self, "__deepcopy__": lambda self, memo: self,  # arrays never change
        "block_until_ready": _block_until_ready, "item": _item, "tolist": _tolist, "tobytes": _tobytes,
        "itemsize": property(lambda self: int(self.type.dtype.itemsize), doc="Size of one element in bytes."),
        "aval": property(lambda self: self.type, doc="JAX's name for the type.")}.items():
    Array.define(_name, _method)
