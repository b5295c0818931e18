"""Functions with a vmap rule of their own, under JAX's names."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.custom_rules import custom_vmap
from minijax.lax.loops import scan

__all__ = ["custom_vmap", "sequential_vmap"]


def sequential_vmap(f: Callable[..., Any]) -> custom_vmap:
    """A function whose `vmap` runs one example after the other, in a loop.

    >>> from minijax import vmap
    >>> import numpy as np
    >>> vmap(sequential_vmap(lambda x: x + 1))(np.float32([1., 2.]))
    Array([2., 3.], dtype=float32)
    """
    check_callable("sequential_vmap", f)
    call = custom_vmap(f)

    @call.def_vmap
    @functools.wraps(f)
    def rule(axis_size: int, in_batched: Sequence[Any], *args: Any) -> tuple[Any, Any]:
        leaves, tree = pytree.flatten(args)
        marks = pytree.leaves(list(in_batched))

        def one(_: Any, batched: Sequence[Any]) -> Any:
            given = iter(batched)
            args = tree.unflatten([next(given) if mark else x for x, mark in zip(leaves, marks, strict=True)])
            return None, f(*args)

        _, outs = scan(one, None, [x for x, mark in zip(leaves, marks, strict=True) if mark])
        return outs, pytree.map(lambda x: True, outs)

    return call
