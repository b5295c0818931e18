"""Array, the value users hold, and Tracer, its stand-in while a program is traced.

`Array` is a thin class around a device value: a `jax.Array`, or an `np.ndarray`
under the NumPy evaluator.  Both classes share one table of operators and methods:
`ops/` fills in the operators (`define`), `numpy/` the methods, and iteration,
formatting and pickling with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from minijax.errors import (ConcretizationTypeError, DistributedError, DonatedArrayError, MinijaxTypeError,
                            MinijaxValueError, NonlinearError, TracerArrayConversionError, TracerBoolConversionError,
                            TracerIntegerConversionError)
from minijax.ir.op import Linear
from minijax.ir.dtypes import is_key
from minijax.ir.types import ArrayType, scalar_type
from minijax.tracing.backend import Backend
from minijax.tracing.context import Trace
from minijax.tracing.source import at_line

Refusal = Callable[[str], ConcretizationTypeError]


class Array:
    """An array on a device.  Make one with `minijax.numpy.array` and friends.

    `value` is the bare device array.
    """

    __slots__ = ("value", "__weakref__")
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 100
    backend = Backend()

    def __init__(self, value: Any) -> None:
        self.value = value

    @classmethod
    def define(cls, name: str, method: Any) -> None:
        """Add an operator, method or property to arrays and tracers alike."""
        setattr(cls, name, method)

    @property
    def type(self) -> ArrayType:
        """The IR type."""
        return Array.backend.type_of(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        shape: tuple[int, ...] = self.value.shape
        return shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getattr__(self, name: str) -> Any:
        """Attributes of the device value: `devices`, `sharding`, `is_ready`, ..."""
        if name.startswith("__") or name == "value":
            raise AttributeError(name)
        found = getattr(self.value, name, None)
        if found is None:
            raise AttributeError(f"'Array' object has no attribute {name!r}")
        return found

    def __len__(self) -> int:
        if not self.shape:
            raise MinijaxTypeError("len() of an array of no axes (0-d). Use .size for its number of elements.")
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        try:
            array = Array.backend.to_numpy(self.value)
        except RuntimeError:
            check_not_donated([self])
            raise
        return array if dtype is None else array.astype(dtype)

    def known(self, error: Refusal, what: str, fix: str) -> Array:
        """The array itself; of a tracer the array under it, or `error`: `what` needs one, `fix` does without."""
        return self

    def __bool__(self) -> bool:
        x = self.known(
            TracerBoolConversionError, "`if x:` (or `while`, `and`, `or`, `not`)",
            "Use minijax.numpy.where(condition, a, b), or mark the argument static with jit(..., static_argnums=...).")
        if x.size != 1:
            raise MinijaxValueError(f"The truth value of an array of {x.size} elements ({x.type}) is "
                                    f"ambiguous{at_line()}. Use (...).any() or (...).all().")
        return bool(x.__array__())

    def __index__(self) -> int:
        x = self.known(
            TracerIntegerConversionError, "An index, a size or `range(x)`",
            "Mark the argument static with jit(..., static_argnums=...), or index an array with it.")
        try:
            return x.__array__().__index__()
        except TypeError:
            raise MinijaxTypeError(f"An index, a size or `range(x)` takes an integer scalar, got {x.type}"
                                   f"{at_line()}. Convert it with int(x).") from None

    def __repr__(self) -> str:
        return "Array" + Array.backend.describe(self.value)

    def __str__(self) -> str:
        try:
            return repr(self) if is_key(self.dtype) else str(self.__array__())
        except DistributedError:
            return repr(self)

    def __jax_array__(self) -> Any:
        return self.value


def _conversion(number: type, dtype: str) -> Callable[[Array], Any]:
    def convert(self: Array) -> Any:
        x = self.known(ConcretizationTypeError, f"`{number.__name__}(x)`",
                       f"Use x.astype('{dtype}') to convert inside the traced function.")
        return number(x.__array__())

    return convert


for _number, _dtype in ((int, "int32"), (float, "float32"), (complex, "complex64")):
    Array.define(f"__{_number.__name__}__", _conversion(_number, _dtype))
for _name, _meaning in {
        "dtype": "Element dtype.", "size": "Number of elements.", "nbytes": "Size in bytes.",
        "weak_type": "Whether the array came from Python scalars and yields in promotion."}.items():
    Array.define(_name, property(operator.attrgetter(f"type.{_name}"), doc=_meaning))


class Tracer(Array):
    """A value being traced.  `trace` is the trace it belongs to; `type` its IR type."""

    __slots__ = ("trace", "type")
    trace: Trace
    type: ArrayType

    def __init__(self, trace: Trace, type: ArrayType) -> None:
        self.trace = trace
        self.type = type

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.type.shape

    def concrete(self) -> Any:
        """The value under this tracer if it is known (under `grad` and `vmap`-free traces), else None."""
        return None

    def describe(self) -> str:
        """One or two sentences on where this value came from, for error messages."""
        return f"It is a {self.type} of the trace '{self.trace.name}'."

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"Tracer<{self.type}>({self.trace.name})"

    __str__ = __repr__

    def refusal(self, error: Refusal, what: str, fix: str) -> ConcretizationTypeError:
        """The error that `what` needs a concrete value."""
        return error(f"{what} needs a concrete value, but this one is traced ({self.type}){at_line()}.\n"
                     f"{self.describe()}\n{fix}")

    def known(self, error: Refusal, what: str, fix: str) -> Array:
        """The array under this tracer, if it is known, else `error`."""
        value = self.concrete()
        if value is None:
            raise self.refusal(error, what, fix)
        return value if isinstance(value, Array) else Array(np.asarray(value))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise self.refusal(
            TracerArrayConversionError, "np.asarray(x)",
            "Call the function of minijax.numpy instead of NumPy's, or take the value out of the traced function.")

    def __jax_array__(self) -> Any:
        raise self.refusal(
            TracerArrayConversionError, "A function of JAX",
            "Use minijax's own function of the same name, or bring JAX's in with minijax.interop.")


def typeof(x: Any) -> ArrayType:
    """The IR type of an array, a tracer, a scalar, or an array of another library.

    Raises `MinijaxTypeError` for anything else.

    >>> typeof(2.0)
    ~f32[]
    """
    if isinstance(x, Array):
        return x.type
    found = scalar_type(x)
    if found is not None:
        return found
    if Array.backend.is_foreign(x):
        return Array.backend.type_of(x)
    if isinstance(x, Linear):
        raise NonlinearError(f"A value of type {x.type} is used where its transpose rule needs it to be known.")
    raise MinijaxTypeError(f"{x!r} of type {type(x).__name__} is not an array or a scalar{at_line()}.")


def check_not_donated(values: Iterable[Any]) -> None:
    """Raise `DonatedArrayError` if the memory of an array has been given away."""
    for x in values:
        if type(x) is Array and Array.backend.is_deleted(x.value):
            raise DonatedArrayError(
                f"An array of type {x.type} is used{at_line()} after its memory was donated to a compiled function, or "
                "deleted. Use the function's result instead, or leave the argument out of donate_argnums.")


def is_value(x: Any) -> bool:
    """Whether `x` can be an operand: an array, a tracer, a scalar, or another library's array.

    >>> is_value(1.0), is_value("a")
    (True, False)
    """
    return isinstance(x, Array) or scalar_type(x) is not None or Array.backend.is_foreign(x)
