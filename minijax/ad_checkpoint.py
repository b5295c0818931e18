"""Memory of reverse mode: `checkpoint`, names for values that policies save, and what a derivative holds.

`docs/memory.md` shows them together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax import checkpoint_policies, pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.checkpoint import checkpoint_p
from minijax.calls.jit import trace_cache
from minijax.calls.names import function_name
from minijax.calls.static import JitOptions
from minijax.errors import MinijaxTypeError
from minijax.inspect.residuals import print_saved_residuals, saved_residuals
from minijax.ops.memory import Offloadable, name_value

__all__ = ["Offloadable", "checkpoint", "checkpoint_name", "checkpoint_policies", "print_saved_residuals", "remat",
           "saved_residuals"]


@boundary
def checkpoint(fun: Callable[..., Any] | None = None, *, prevent_cse: bool = True,
               policy: Callable[..., Any] | None = None, static_argnums: Any = (),
               static_argnames: Any = ()) -> Callable[..., Any]:
    """`fun`, whose derivative computes intermediate values again instead of keeping them.

    `policy` decides what is kept all the same: a member of `minijax.checkpoint_policies`, or a function
    (op, *types, **params) of each operation that answers True, False or an `Offloadable`; None keeps nothing
    but `fun`'s inputs.  `prevent_cse=False` lets the compiler merge both computations, which is safe inside
    the body of a scan.  Static arguments are Python values, as for `jit`.  Without `fun` it is a decorator:
    `@checkpoint(policy=...)`.  Raises `MinijaxTypeError` for a policy or an option of a wrong type.

    >>> from minijax import grad, numpy as np
    >>> grad(checkpoint(lambda x: np.sin(np.sin(x))))(0.0)
    Array(1., dtype=float32, weak_type=True)
    """
    options = {"prevent_cse": prevent_cse, "policy": policy, "static_argnums": static_argnums,
               "static_argnames": static_argnames}
    if fun is None:
        return functools.partial(checkpoint, **options)
    check_callable("checkpoint", fun)
    if policy is not None and not callable(policy):
        raise MinijaxTypeError(f"checkpoint of {function_name(fun)}: policy is {policy!r}, not a function. Pass one "
                               "of minijax.checkpoint_policies, or a function (op, *types, **params) -> bool.")
    if not isinstance(prevent_cse, bool):
        raise MinijaxTypeError(f"checkpoint of {function_name(fun)}: prevent_cse is a bool, got {prevent_cse!r}.")
    return _checkpointed(fun, JitOptions.of(fun, static_argnums, static_argnames), policy, prevent_cse)


def _checkpointed(fun: Callable[..., Any], options: JitOptions, policy: Any, prevent_cse: bool) -> Callable[..., Any]:
    programs = trace_cache(fun)

    @boundary
    @functools.wraps(fun)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        call = options.arguments("checkpoint", fun, args, kwargs).checked()
        traced = programs.get(call, call.types())
        outs = checkpoint_p.bind(*traced.captured, *call.leaves, jaxpr=traced.jaxpr, policy=policy,
                                 prevent_cse=prevent_cse, differentiated=False)
        return traced.out_tree.unflatten(outs)

    return checkpointed


remat = checkpoint


@boundary
def checkpoint_name(x: Any, name: str) -> Any:
    """`x` (a pytree of arrays), known to policies by `name`: see `save_only_these_names`.

    Raises `MinijaxTypeError` for a name that is no string.

    >>> float(checkpoint_name(2.0, "activations"))
    2.0
    """
    if not isinstance(name, str):
        raise MinijaxTypeError(f"checkpoint_name: the name is a string, got {name!r}.")
    return pytree.map(lambda leaf: name_value(leaf, name), x)
