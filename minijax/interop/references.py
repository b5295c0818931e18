"""JAX's mutable references (`jax.new_ref`): a place that holds a minijax value while a program is run.

Reading and writing are indexing and `.at`; what a reference holds at the end is a value like any other.
References live in the straight line of a program, nested calls included; loops and branches cannot take them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from minijax import lax
from minijax.errors import MissingRuleError
from minijax.interop.equations import Reference, Rule, rules
from minijax.tracing.array import typeof


def _seen(x: Any, leaves: Sequence[Any], tree: Any) -> tuple[list[Any], list[int], Any]:
    """JAX's index in two steps: a window of the array (starts and sizes), and NumPy's index into the window."""
    transforms = jax.tree.unflatten(tree, leaves)
    if len(transforms) > 1 or any(not hasattr(t, "indices") for t in transforms):
        raise MissingRuleError(f"from_jax: a reference seen through {transforms} has no meaning in minijax. Index "
                               "the reference itself, once.")
    starts: list[Any] = [0] * typeof(x).ndim
    sizes = list(typeof(x).shape)
    entries = list(transforms[0].indices) if transforms else []
    for axis, entry in enumerate(entries):
        if not hasattr(entry, "stride"):
            continue
        start, length = entry.start, max((entry.size - 1) * entry.stride + 1, 0)
        if isinstance(start, int):
            entries[axis] = slice(start, start + length, entry.stride)
        else:
            starts[axis], sizes[axis], entries[axis] = start, length, slice(None, None, entry.stride)
    return starts, sizes, tuple(entries)


def _get(ref: Reference, *leaves: Any, tree: Any) -> Any:
    starts, sizes, index = _seen(ref.value, leaves, tree)
    return lax.dynamic_slice(ref.value, starts, sizes)[index]


def _write(method: str) -> Rule:
    """Write by a method of `.at`; gives what was there."""
    def write(ref: Reference, new: Any, *leaves: Any, tree: Any) -> Any:
        starts, sizes, index = _seen(ref.value, leaves, tree)
        window = lax.dynamic_slice(ref.value, starts, sizes)
        ref.value = lax.dynamic_update_slice(ref.value, getattr(window.at[index], method)(new), starts)
        return window[index]

    return write


def _add(*values: Any, tree: Any) -> tuple[()]:
    _write("add")(*values, tree=tree)
    return ()


rules.update({
    "addupdate": _add,
    "free_ref": lambda ref, **_: (),
    "freeze": lambda ref, **_: ref.value,
    "get": _get,
    "new_ref": lambda x, **_: Reference(x),
    "swap": _write("set"),
})
