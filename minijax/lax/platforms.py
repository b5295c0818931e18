"""What depends on where a program runs: a function for each platform, and constraints on placement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax.api.boundary import boundary
from minijax.errors import MinijaxValueError
from minijax.lax.carries import check_function
from minijax.ops.families import at_line
from minijax.tracing.array import Array

_NAMES = {"gpu": ("cuda", "rocm", "gpu")}  # a platform may be called by what it runs on


@boundary
def platform_dependent(*args: Any, default: Callable[..., Any] | None = None,
                       **per_platform: Callable[..., Any]) -> Any:
    """`per_platform[p](*args)` for the platform p of the default backend ('cpu', 'cuda', 'tpu'), else `default(*args)`.

    The choice is made while tracing.  Raises `MinijaxValueError` for a platform that no function is given for.

    >>> platform_dependent(2.0, cpu=lambda x: x + 1.0, default=lambda x: x + 1.0)
    3.0
    """
    for name, function in {**per_platform, **({} if default is None else {"default": default})}.items():
        check_function("platform_dependent", name, function)
    here = Array.backend.default_backend()
    chosen = next((per_platform[name] for name in _NAMES.get(here, (here,)) if name in per_platform), default)
    if chosen is None:
        raise MinijaxValueError(f"platform_dependent: there is no function for {here!r}, on which this runs, but for "
                                f"{', '.join(per_platform) or 'no platform'}{at_line()}. Give one, or a default.")
    return chosen(*args)
