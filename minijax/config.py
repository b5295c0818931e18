"""Settings, with JAX's names: global by `update`, per thread by a context manager.

Every setting is an attribute of `state`, a thread-local object.  The global
value is the *class* attribute and a thread's own override is the *instance*
attribute, so that reading a setting on a hot path is one attribute access.
`state.token` is another object whenever a setting that changes what a program
means has another value; caches put it in their keys.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from minijax.errors import MinijaxValueError


class State(threading.local):
    """The settings in force for this thread."""

    jax_enable_x64 = False
    jax_debug_nans = False
    jax_disable_jit = False
    jax_numpy_dtype_promotion = "standard"
    jax_numpy_rank_promotion = "allow"
    jax_default_matmul_precision: str | None = None
    evaluator = "numpy"
    check = False
    mesh: Any = None  # the current one of devices, of `set_mesh`
    token: object = ("numpy", False, False, "standard", "allow", None, False, None)


state = State()

# Settings that change what a traced or compiled program is.
_MEANING = ("evaluator", "jax_enable_x64", "jax_disable_jit", "jax_numpy_dtype_promotion",
            "jax_numpy_rank_promotion", "jax_default_matmul_precision", "jax_debug_nans", "mesh")
_NAMES = (*_MEANING[:-1], "check")
_CHOICES = {
    "jax_numpy_dtype_promotion": ("standard", "strict"),
    "jax_numpy_rank_promotion": ("allow", "warn", "raise"),
    "evaluator": ("numpy", "xla"),
}
_ACCEPTED_BUT_UNUSED = ("jax_platforms", "jax_platform_name", "jax_log_compiles", "jax_traceback_filtering",
                        "jax_threefry_partitionable", "jax_default_prng_impl")


_listeners: list[Callable[[str, Any], None]] = []
_tokens: dict[tuple[Any, ...], tuple[Any, ...]] = {}


def __getattr__(name: str) -> Any:
    """The settings in force are attributes of this module."""
    try:
        return getattr(state, _full_name(name))
    except MinijaxValueError as error:
        raise AttributeError(str(error)) from None


def update(name: str, value: Any) -> None:
    """Set a setting for all threads.

    `name` is JAX's (`jax_enable_x64`, `jax_debug_nans`, ...) or ours (`check`, `evaluator`).
    Raises `MinijaxValueError` for an unknown name or value.

    >>> update("check", True); state.check
    True
    >>> update("check", False)
    """
    name = _full_name(name)
    setattr(State, name, _checked(name, value))
    _changed(State, name)


@contextlib.contextmanager
def override(name: str, value: Any) -> Iterator[None]:
    """Set a setting for this thread while the context lasts.

    >>> with override("check", True): state.check
    True
    """
    name = _full_name(name)
    missing = object()
    before = state.__dict__.get(name, missing)
    setattr(state, name, _checked(name, value))
    _changed(state, name)
    try:
        yield
    finally:
        delattr(state, name) if before is missing else setattr(state, name, before)
        _changed(state, name)


def use_mesh(mesh: Any) -> None:
    """Make a mesh the current one of this thread; None makes it none."""
    state.mesh = mesh
    _changed(state, "mesh")


def on_change(listener: Callable[[str, Any], None]) -> None:
    """Call `listener(name, value)` after every change."""
    _listeners.append(listener)


def _changed(where: Any, name: str) -> None:
    token = tuple(getattr(state, each) for each in _MEANING)
    where.token = _tokens.setdefault(token, token)
    for listener in _listeners:
        listener(name, getattr(state, name))


def _full_name(name: str) -> str:
    for candidate in (name, f"jax_{name}"):
        if candidate in _NAMES or candidate in _ACCEPTED_BUT_UNUSED:
            return candidate
    raise MinijaxValueError(f"config: no setting named {name!r}. The settings are {', '.join(_NAMES)}.")


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES and value not in _CHOICES[name]:
        raise MinijaxValueError(f"config: {name} is one of {_CHOICES[name]}, got {value!r}.")
    if not isinstance(getattr(State, name, None), bool):
        return value
    if not isinstance(value, int):
        raise MinijaxValueError(f"config: {name} is True or False, got {value!r}.")
    return bool(value)


for _name in _NAMES:
    _text = os.environ.get(_name.upper())
    if _text is not None and isinstance(getattr(State, _name), bool):
        update(_name, _text.lower() in ("1", "true", "yes", "on"))
