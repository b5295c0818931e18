"""`optimize_rng_use`: all random keys of a function from one split."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from minijax.api.trace import make_jaxpr
from minijax.effects import ops
from minijax.haiku.frames import frame_of
from minijax.haiku.keys import reserve_rng_keys
from minijax.haiku.stateful import eval_shape
from minijax.ir.walk import all_programs


def optimize_rng_use(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does what `fun` does, with its random keys split off at once rather than one by one.

    `fun` is traced first, to count the keys that it draws one by one, those of initializers included.  Its random
    numbers are others than without.

    Args: fun: a function that uses modules; it runs inside `transform`.
    Returns: a function of `fun`'s arguments.
    Raises: `MinijaxValueError` outside of a transform.

    >>> import minijax.haiku as hk
    >>> f = hk.transform(optimize_rng_use(lambda: [hk.next_rng_key() for _ in range(2)]))
    >>> f.apply({}, 42)[1]
    Array([2465931498,  255383827], dtype=uint32)
    """
    @functools.wraps(fun)
    def run(*args: Any, **kwargs: Any) -> Any:
        frame_of("optimize_rng_use")
        count = drawn_keys(lambda: fun(*args, **kwargs))
        if count:
            reserve_rng_keys(count)
        return fun(*args, **kwargs)

    return run


def drawn_keys(fun: Callable[[], Any]) -> int:
    """How many keys a function draws one by one, which is traced in the transformed function around, to no effect."""
    programs = []
    eval_shape(lambda: programs.append(make_jaxpr(fun)()))
    draws = [eqn for program in all_programs(programs[0]) for eqn in program.eqns if eqn.op is ops.next_keys_p]
    return len([eqn for eqn in draws if eqn.params["num"] == 1])
