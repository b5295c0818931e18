"""The bridge: JAX functions inside minijax programs, and minijax functions inside JAX programs.

    from_jax(f)       a minijax function of any function that JAX can trace
    to_jax(f)         a JAX function that JAX can differentiate, batch, compile, shard and export
    register(p, r)    the meaning of a JAX primitive that `from_jax` does not know

The names are resolved on first use (PEP 562), since the table of JAX's primitives takes a while to import.
Other modules here are what else needs JAX itself: its rules for our programs, meshes, arrays from pieces, processes.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {"from_jax": "into_minijax", "register": "equations", "to_jax": "into_jax"}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import what holds a public name."""
    if name not in _HOMES:
        raise AttributeError(f"module 'minijax.interop' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"minijax.interop.{_HOMES[name]}"), name)
    return found
