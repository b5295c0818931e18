"""NumPy's own functions on our arrays: `np.sin(x)`, `np.sum(x)` find ours of the same name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minijax.numpy import linalg
from minijax.tracing.array import Array


def fill(names: dict[str, Any]) -> None:
    """Fill the tables behind `__array_ufunc__` and `__array_function__` from a namespace of ours."""
    pairs = [(getattr(np, name, None), ours) for name, ours in names.items() if callable(ours) and
             not name.startswith("_")]
    pairs += [(getattr(np.linalg, name, None), getattr(linalg, name)) for name in linalg.__all__]
    for theirs, ours in pairs:
        table: dict[Any, Callable[..., Any]] = Array.ufuncs if isinstance(theirs, np.ufunc) else Array.functions
        if isinstance(theirs, np.ufunc) or hasattr(theirs, "_implementation"):
            table[theirs] = ours
