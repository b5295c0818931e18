"""Switches of the module layer, each as a function that sets one and returns what it was; see `hk.config`."""

from __future__ import annotations

from minijax.haiku.config import switched


def module_auto_repr(enabled: bool) -> bool:
    """Whether modules print with the arguments they were made with; returns the setting before.

    >>> before = module_auto_repr(True)
    """
    return bool(switched("module_auto_repr", enabled))


def check_jax_usage(enabled: bool = True) -> bool:
    """Accepted for scripts, since modules inside JAX's own transforms are always an error; returns the setting before.

    >>> before = check_jax_usage()
    """
    return bool(switched("check_jax_usage", enabled))


def rng_reserve_size(size: int) -> int:
    """How many keys a draw splits off that finds none in reserve; returns the setting before.

    Raises `MinijaxValueError` unless `size` is a positive int.

    >>> rng_reserve_size(rng_reserve_size(4))
    4
    """
    return int(switched("rng_reserve_size", size))
