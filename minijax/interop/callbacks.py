"""JAX's calls back to Python, made through minijax's, and what JAX decides by platform."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jax import ShapeDtypeStruct

from minijax import debug
from minijax.callbacks import io_callback, pure_callback
from minijax.interop.equations import rules
from minijax.tracing.array import Array


def _listed(callback: Callable[..., Any]) -> Callable[..., tuple[Any, ...]]:
    return lambda *arrays: tuple(callback(*arrays))


def _promise(avals: Sequence[Any]) -> tuple[Any, ...]:
    return tuple([ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals])


def _debug_callback(*values: Any, callback: Any, effect: Any, partitioned: bool = False, **_: Any) -> tuple[()]:
    debug.callback(callback, *values, ordered=type(effect).__name__.startswith("Ordered"), partitioned=partitioned)
    return ()


def _debug_print(*values: Any, fmt: str, ordered: bool, in_tree: Any, static_args: Any, partitioned: bool = False,
                 logging_record: Any = None, **_: Any) -> tuple[()]:
    leaves = list(values)
    for position, value in static_args:
        leaves.insert(position, value)
    args, kwargs = in_tree.unflatten(leaves)
    show = debug.print if logging_record is None else debug.log
    show(fmt, *args, ordered=ordered, partitioned=partitioned, skip_format_check=True, **kwargs)
    return ()


def _pure_callback(*values: Any, callback: Any, result_avals: Any, vmap_method: Any, sharding: Any = None,
                   **_: Any) -> Any:
    return pure_callback(_listed(callback), _promise(result_avals), *values, vmap_method=vmap_method)


def _io_callback(*values: Any, callback: Any, result_avals: Any, ordered: bool, **_: Any) -> Any:
    return io_callback(_listed(callback), _promise(result_avals), *values, ordered=ordered)


def _platform_index(*, platforms: Sequence[Any]) -> Any:
    """The branch of the platform at hand: minijax programs are traced for one."""
    here = Array.backend.default_backend()
    found = [i for i, names in enumerate(platforms) if names is None or here in names]
    return np.int32(found[0])


rules.update({
    "debug_callback": _debug_callback,
    "debug_print": _debug_print,
    "io_callback": _io_callback,
    "platform_index": _platform_index,
    "pure_callback": _pure_callback,
})
