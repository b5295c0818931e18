"""Devices, waiting, and switches that hold for a while."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from minijax import config, pytree
from minijax.api.boundary import boundary
from minijax.interop import runtime
from minijax.tracing.array import Array


def devices(backend: str | None = None) -> list[Any]:
    """The devices of all processes.

    >>> len(devices()) >= 1
    True
    """
    return runtime.devices(backend)


def local_devices(process_index: int | None = None, backend: str | None = None) -> list[Any]:
    """The devices of a process, by default this one."""
    return runtime.local_devices(process_index, backend)


def device_count(backend: str | None = None) -> int:
    """How many devices all processes have."""
    return len(devices(backend))


def local_device_count(backend: str | None = None) -> int:
    """How many devices this process has."""
    return len(local_devices(backend=backend))


def default_backend() -> str:
    """The platform of the default device: 'cpu', 'gpu', 'tpu'."""
    return Array.backend.default_backend()


def process_index(backend: str | None = None) -> int:
    """Which of the processes this is, from 0."""
    return runtime.process_index(backend)


def process_count(backend: str | None = None) -> int:
    """How many processes run the program together."""
    return runtime.process_count(backend)


def process_indices(backend: str | None = None) -> list[int]:
    """The numbers of the processes.

    >>> process_indices()
    [0]
    """
    return runtime.process_indices(backend)


def effects_barrier() -> None:
    """Wait until running programs have printed and called back all that they will.

    >>> effects_barrier()
    """
    runtime.effects_barrier()


@boundary
def device_get(x: Any) -> Any:
    """A pytree of NumPy arrays with the values of `x`.

    >>> from minijax.numpy import array
    >>> device_get(array(2.0))
    array(2., dtype=float32)
    """
    return pytree.map(lambda leaf: leaf.__array__() if isinstance(leaf, Array) else leaf, x)


def block_until_ready(x: Any) -> Any:
    """Wait until every array of a pytree is computed; returns the pytree."""
    runtime.wait([leaf.value for leaf in pytree.leaves(x) if type(leaf) is Array])
    return x


def disable_jit(disable: bool = True) -> AbstractContextManager[None]:
    """Context manager: `jit` calls the Python function itself, for debugging.

    >>> with disable_jit(): pass
    """
    return config.override("jax_disable_jit", disable)


def enable_x64(new_val: bool = True) -> AbstractContextManager[None]:
    """Context manager: 64-bit dtypes in this thread."""
    return config.override("jax_enable_x64", new_val)


def debug_nans(new_val: bool = True) -> AbstractContextManager[None]:
    """Context manager: a NaN result is an error that names the op and the line."""
    return config.override("jax_debug_nans", new_val)
