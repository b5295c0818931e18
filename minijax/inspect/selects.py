"""Where `vmap` turns a cond into a select: on which line, and at what cost."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from minijax.calls.cond import select_hooks
from minijax.ir.jaxpr import Source


def print_select(source: Source | None, costs: tuple[int, ...]) -> None:
    """The hook that prints every report."""
    print(f"# the cond or switch at {source} has a batched predicate: all {len(costs)} branches run for every example, "
          f"{sum(costs):,} floating-point operations where at most {max(costs):,} are needed")


@contextlib.contextmanager
def trace_selects(hook: Callable[[Source | None, tuple[int, ...]], None] = print_select) -> Iterator[None]:
    """While the context lasts, call `hook(source, costs)` for each cond or switch whose predicate `vmap` batches.

    Such a predicate differs among the examples of a batch, so every branch runs on all of them and the results
    are selected.  `source` is the user's line, `costs` the floating-point operations of each branch for one
    example.  A compiled function reports when it is traced.  Prints by default.

    >>> import minijax
    >>> with trace_selects(lambda source, costs: print(costs)):
    ...     y = minijax.vmap(lambda x: minijax.lax.cond(x > 0, lambda: x * x, lambda: x))(minijax.numpy.ones(3))
    (0, 1)
    """
    token = select_hooks.set((*select_hooks.get(), hook))
    try:
        yield
    finally:
        select_hooks.reset(token)
