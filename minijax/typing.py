"""Types for annotations: what functions accept as an array, and as a dtype."""

from __future__ import annotations

from typing import Any, Protocol, Union, runtime_checkable

import numpy as np

from minijax.tracing.array import Array


@runtime_checkable
class SupportsDType(Protocol):
    """Anything with a `dtype`."""

    @property
    def dtype(self) -> Any:
        """Its dtype."""


ArrayLike = Union[Array, np.ndarray, np.bool_, np.number, bool, int, float, complex]
DTypeLike = Union[str, type[Any], np.dtype, SupportsDType]

__all__ = ["ArrayLike", "DTypeLike", "SupportsDType"]
