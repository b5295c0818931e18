"""Switches of the module layer, for this thread and task.

    rng_reserve_size     how many keys a draw that finds none in reserve splits off
    module_auto_repr     whether modules print with the arguments they were made with
    check_jax_usage      accepted for scripts: misuse of JAX's own transforms is always an error here
    restore_flatmap      accepted for scripts: parameters are dicts
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from minijax.effects.keys import reserve_size
from minijax.errors import MinijaxValueError

module_repr: ContextVar[bool] = ContextVar("module_repr", default=True)
_SWITCHES: dict[str, ContextVar[Any]] = {
    "rng_reserve_size": reserve_size, "module_auto_repr": module_repr,
    "check_jax_usage": ContextVar("check_jax_usage", default=True),
    "restore_flatmap": ContextVar("restore_flatmap", default=False)}


def switched(name: str, value: Any) -> Any:
    """Set a switch and return its value before; raises `MinijaxValueError` for an unknown name or a bad value."""
    if name not in _SWITCHES:
        raise MinijaxValueError(f"haiku.config: no switch named {name!r}. There are {', '.join(_SWITCHES)}.")
    if name == "rng_reserve_size" and (not isinstance(value, int) or value < 1):
        raise MinijaxValueError(f"haiku.config: rng_reserve_size is a positive int, got {value!r}.")
    before = _SWITCHES[name].get()
    _SWITCHES[name].set(value)
    return before


@contextlib.contextmanager
def context(**values: Any) -> Iterator[None]:
    """Set switches while the context lasts; one that is None stays as it is.

    >>> with context(rng_reserve_size=4): reserve_size.get()
    4
    """
    before = {name: switch.get() for name, switch in _SWITCHES.items() if values.get(name) is not None}
    try:
        set(**values)
        yield
    finally:
        set(**before)


def set(**values: Any) -> None:
    """Set switches from here on; one that is None stays as it is.

    >>> set(module_auto_repr=True)
    """
    for name, value in values.items():
        if value is not None:
            switched(name, value)
