"""Random keys inside a transformed function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax import numpy as np
from minijax.effects import ops
from minijax.effects.handler import enclosing
from minijax.effects.keys import KeyHandler, MissingRNGError, PRNGSequence
from minijax.errors import MinijaxValueError
from minijax.haiku.frames import changing_frame, frame_of
from minijax.haiku.module import current_name
from minijax.tracing.array import typeof
from minijax.tracing.context import context, running
from minijax.tracing.source import at_line

__all__ = ["MissingRNGError", "PRNGSequence", "maybe_get_rng_sequence_state", "maybe_next_rng_key", "next_rng_key",
           "next_rng_keys", "replace_rng_sequence_state", "reserve_rng_keys", "with_rng"]


def key_handler(who: str) -> KeyHandler:
    """Who answers for random keys here; raises `MissingRNGError` if it was given none."""
    changing_frame(who)
    handler = enclosing(KeyHandler)
    assert handler is not None, "a frame is one"
    if handler.keys is None and handler.told is not None:
        raise handler.untold("draws a random key")
    if handler.keys is None:
        own = current_name()
        place = "the function, outside of all modules" if own == "~" else f"the module '{own}'"
        raise MissingRNGError(
            f"`hk.{who}` was called in {place}{at_line()}, and there are no random keys: you must pass a "
            "non-None PRNGKey to init and/or apply, f.apply(params, minijax.random.key(0), ...).")
    return handler


def draw(who: str, num: int) -> Sequence[Any]:
    """The next keys: at once, or as an equation of the program that is being recorded."""
    handler = key_handler(who)
    if context.trace is handler:
        return handler.draw(num)
    type = typeof(handler.sequence().internal_state[0])
    return ops.next_keys_p.bind(num=num, shape=type.shape, dtype=type.dtype)


def next_rng_key() -> Any:
    """The next random key of those that come from the one passed to init or apply.

    Returns: a key, raw or typed as the one passed.
    Raises: `MissingRNGError` if none was passed, `MinijaxValueError` outside of a transform.

    >>> import minijax, minijax.haiku as hk
    >>> f = hk.transform(lambda: minijax.random.normal(hk.next_rng_key()))
    >>> f.apply({}, 42)
    Array(0.60576403, dtype=float32)
    """
    return draw("next_rng_key", 1)[0]


def next_rng_keys(num: int) -> Any:
    """The next `num` random keys in one array, from one split; otherwise as `next_rng_key`.

    After a loop or a branch that drew none they are other keys than Haiku's, which keeps one in reserve for it.
    """
    return np.stack(draw("next_rng_keys", num))


def maybe_next_rng_key() -> Any | None:
    """The next random key, or None if no key was passed to init or apply."""
    frame_of("maybe_next_rng_key")
    handler = enclosing(KeyHandler)
    return None if handler is None or handler.keys is None else next_rng_key()


def reserve_rng_keys(num: int) -> None:
    """Split off the next `num` keys now, with one split: draws after it cost nothing.

    Raises `MissingRNGError` without a key.
    """
    handler = key_handler("reserve_rng_keys")
    if context.trace is handler:
        handler.reserve(num)
    else:
        ops.reserve_keys_p.bind(num=num)


def with_rng(key: Any) -> running:
    """Context manager: random keys inside come from `key`, not from the one passed to init or apply.

    >>> import minijax, minijax.haiku as hk
    >>> def f():
    ...     with hk.with_rng(minijax.random.PRNGKey(1)):
    ...         return hk.next_rng_key()
    >>> hk.transform(f).apply({}, None)
    Array([1948878966, 4237131848], dtype=uint32)
    """
    frame_of("with_rng")
    return running(KeyHandler(context.trace, PRNGSequence(key)))


def maybe_get_rng_sequence_state() -> tuple[Any, tuple[Any, ...]] | None:
    """The state of the sequence of keys: (key, keys in reserve); None without a key.

    Raises `MinijaxValueError` inside a program that is being recorded: what it will have drawn is not known.
    """
    frame_of("maybe_get_rng_sequence_state")
    handler = enclosing(KeyHandler)
    if handler is None or handler.keys is None:
        return None
    return own_sequence("maybe_get_rng_sequence_state", handler).internal_state


def replace_rng_sequence_state(state: tuple[Any, Sequence[Any]]) -> None:
    """Go on with a state that `maybe_get_rng_sequence_state` returned.

    Raises `MissingRNGError` without a key, `MinijaxTypeError` for what is no such state.
    """
    handler = key_handler("replace_rng_sequence_state")
    own_sequence("replace_rng_sequence_state", handler).replace_internal_state(state)


def own_sequence(who: str, handler: KeyHandler) -> PRNGSequence:
    """The sequence of the handler that runs here itself."""
    if context.trace is not handler:
        raise MinijaxValueError(f"`hk.{who}` was called under {context.trace.name}{at_line()}, where the keys drawn "
                                "before it are not known yet. Call it outside of jit, vmap, grad and control flow.")
    return handler.sequence()
