"""`x.at[index]`: updates of an array at an index, as new arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.errors import MinijaxTypeError
from minijax.fusion import fused
from minijax.numpy.elementwise import negative, power, true_divide
from minijax.numpy.indexing import apply_at, factors_at, getitem, normalize_static_index, scatter_at
from minijax.tracing.source import at_line

_HINTS = ("mode", "indices_are_sorted", "unique_indices", "wrap_negative_indices")
_OPTIONS = ("kind", *_HINTS)
_write_static = fused(lambda x, values, index, **options: scatter_at(x, index, values, **options),
                      static_argnames=("index", *_OPTIONS))
_write_array = fused(lambda x, index, values, **options: scatter_at(x, index, values, **options),
                     static_argnames=_OPTIONS)


class AtIndexer:
    """`x.at`: index it to name the elements to update."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __getitem__(self, index: Any) -> IndexUpdate:
        return IndexUpdate(self.array, index)

    def __repr__(self) -> str:
        return f"{self.array!r}.at"


class IndexUpdate:
    """`x.at[index]`: `set`, `add`, ... return a new array with the elements at the index updated.

    All take `mode` ('drop', the default of updates, leaves out what lies outside of the array; 'clip', that of
    `get`, moves it inside; 'promise_in_bounds' says that it does not happen), `wrap_negative_indices` (False: they
    lie outside) and the hints `indices_are_sorted` and `unique_indices`.
    """

    __slots__ = ("array", "index")

    def __init__(self, array: Any, index: Any) -> None:
        self.array = array
        self.index = index

    def __repr__(self) -> str:
        return f"{self.array!r}.at[{self.index!r}]"

    def _write(self, kind: str, values: Any, options: dict[str, Any]) -> Any:
        options = _known(options)
        spec = normalize_static_index(self.index)
        if spec is not None:
            return _write_static(self.array, values, index=spec, kind=kind, **options)
        return scatter_at(self.array, self.index, values, kind, **options)

    def set(self, values: Any, **options: Any) -> Any:
        """The array with `values` there.

        >>> import minijax.numpy as jnp
        >>> jnp.zeros(3).at[1].set(5)
        Array([0., 5., 0.], dtype=float32)
        """
        return self._write("set", values, options)

    def add(self, values: Any, **options: Any) -> Any:
        """The array with `values` added; an element named twice receives both."""
        return self._write("add", values, options)

    def subtract(self, values: Any, **options: Any) -> Any:
        """The array with `values` subtracted."""
        return self._write("add", negative(values), options)

    def multiply(self, values: Any, **options: Any) -> Any:
        """The array with elements multiplied by `values`."""
        return self._write("multiply", values, options)

    mul = multiply

    def divide(self, values: Any, **options: Any) -> Any:
        """The array with elements divided by `values`."""
        return true_divide(self.array, factors_at(self.array, self.index, values, **_known(options)))

    def power(self, values: Any, **options: Any) -> Any:
        """The array with elements raised to the powers `values`."""
        return power(self.array, factors_at(self.array, self.index, values, **_known(options)))

    def min(self, values: Any, **options: Any) -> Any:
        """The array with the smaller of each element and `values`."""
        return self._write("min", values, options)

    def max(self, values: Any, **options: Any) -> Any:
        """The array with the larger of each element and `values`."""
        return self._write("max", values, options)

    def apply(self, func: Callable[[Any], Any], **options: Any) -> Any:
        """The array with `func`, a function of one element, of the elements there; twice of one named twice."""
        return apply_at(self.array, self.index, func, **_known(options))

    def get(self, *, fill_value: Any = None, **options: Any) -> Any:
        """The elements there; with mode 'fill', `fill_value` (or NaN) for what lies outside of the array.

        >>> import minijax.numpy as jnp
        >>> jnp.arange(3).at[5].get(mode='fill', fill_value=-1)
        Array(-1, dtype=int32)
        """
        options = {"mode": "promise_in_bounds", **_known(options)}
        return getitem(self.array, self.index, fill_value=fill_value, **options)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    """The options that say something here; raises `MinijaxTypeError` for a name that is none."""
    for name in options:
        if name not in (*_HINTS, "out_sharding"):
            raise MinijaxTypeError(f"x.at[...]: {name!r} is no option{at_line()}. There are {', '.join(_HINTS)}.")
    return {name: value for name, value in options.items() if name != "out_sharding" and value is not None}
