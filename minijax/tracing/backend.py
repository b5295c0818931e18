"""The slot for what evaluates, compiles and holds device values.

`Backend` is the one that needs nothing but NumPy; `lowering.install()` puts JAX's in
its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.types import ArrayType


class Weak(np.ndarray):
    """The NumPy evaluator's arrays of weak type."""


class Backend:
    """What is installed below the API; this one has NumPy alone.  The slot is `Array.backend`."""

    def type_of(self, value: Any) -> ArrayType:
        """The IR type of a device value."""
        return ArrayType(value.shape, dtypes.canonical_dtype(dtypes.as_dtype(value.dtype)), isinstance(value, Weak))

    def to_numpy(self, value: Any) -> np.ndarray:
        """The value as a NumPy array; keys as structured arrays of their words."""
        return np.asarray(value)

    def is_foreign(self, value: Any) -> bool:
        """Whether `value` is an array of a library that the backend can take in."""
        return isinstance(value, np.ndarray)

    def is_deleted(self, value: Any) -> bool:
        """Whether the memory of `value` has been given away."""
        return False

    def describe(self, value: Any) -> str:
        """Repr of a value without its class name, `([1., 2.], dtype=float32)`."""
        array = self.to_numpy(value)
        text = np.array2string(array, prefix="Array(", separator=", ")
        return f"({text}, dtype={array.dtype.name})"

    def compile(self, function: Any, options: Any) -> Any:
        """A compiled form of a Python function for eager calls; None to trace and evaluate each call.

        It returns Arrays, but for a single one, which comes bare.
        """
        return None

    def array_classes(self) -> tuple[type, ...]:
        """The classes of the backend's own arrays, but for stand-ins of a tracer of its own."""
        return (np.ndarray,)

    def put(self, x: Any, device: Any) -> Any:
        """The device value of a concrete one, moved to a device."""
        return x.__array__() if hasattr(x, "__array__") else np.asarray(x).view(Weak)

    def constrain(self, tree: Any, shardings: Any) -> Any:
        """The values of a pytree cut along a mesh; sharding/ fills this in."""
        return tree

    def default_backend(self) -> str:
        """The name of the platform."""
        return "numpy"
