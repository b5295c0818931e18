"""Sequences of random keys, and the handler that draws from one.

A draw splits the sequence's key: (key, subkey) = split(key, 2).  Keys may be reserved, several from one split.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from minijax import random
from minijax.effects import ops
from minijax.effects.handler import Handler, Plan, Values, current
from minijax.effects.programs import uses
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.jaxpr import Jaxpr
from minijax.random.keys import check_key
from minijax.tracing.array import is_value, typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line

reserve_size: ContextVar[int] = ContextVar("reserve_size", default=1)


class MissingRNGError(MinijaxValueError):
    """A random key was asked for where none was given."""


class PRNGSequence(Iterator[Any]):
    """An iterator of random keys.

    `key_or_seed` is a key (raw or typed), an int, or the `internal_state` of another sequence.
    Raises `MinijaxTypeError` for anything else.

    >>> keys = PRNGSequence(42)
    >>> first, second = next(keys), next(keys)
    >>> first.shape, bool((first == second).all())
    ((2,), False)
    """

    def __init__(self, key_or_seed: Any) -> None:
        if isinstance(key_or_seed, tuple):
            self.replace_internal_state(key_or_seed)
            return
        if isinstance(key_or_seed, int) or is_value(key_or_seed) and typeof(key_or_seed).dtype == dtypes.int32:
            key_or_seed = random.PRNGKey(key_or_seed)
        check_key("PRNGSequence", key_or_seed)
        self._key, self._subkeys = key_or_seed, deque[Any]()

    def reserve(self, num: int) -> None:
        """Split off `num` keys now, with one split; they are the next ones."""
        if num > 0:
            keys = random.split(self._key, num + 1)
            self._key, *subkeys = [keys[i] for i in range(num + 1)]
            self._subkeys.extend(subkeys)

    def reserve_up_to_full(self) -> None:
        """Have as many keys in reserve as one draw reserves: no fewer, no more."""
        missing = reserve_size.get() - len(self._subkeys)
        self.reserve(missing)
        for _ in range(-missing):
            self._subkeys.pop()

    @property
    def internal_state(self) -> tuple[Any, tuple[Any, ...]]:
        """The key, and the keys in reserve."""
        return self._key, tuple(self._subkeys)

    def replace_internal_state(self, state: tuple[Any, Sequence[Any]]) -> None:
        """Go on from the `internal_state` of a sequence; raises `MinijaxTypeError` for what is none."""
        try:
            key, subkeys = state
        except (TypeError, ValueError):
            raise MinijaxTypeError(f"PRNGSequence{at_line()}: a state is a pair (key, keys in reserve), got {state!r}. "
                                   "Pass the internal_state of a sequence, a key or a seed.") from None
        for each in (key, *subkeys):
            check_key("PRNGSequence", each)
        self._key, self._subkeys = key, deque(subkeys)

    def __next__(self) -> Any:
        if not self._subkeys:
            self.reserve(reserve_size.get())
        return self._subkeys.popleft()

    next = __next__

    def take(self, num: int) -> tuple[Any, ...]:
        """The next `num` keys; those not in reserve come from one split."""
        self.reserve(num - len(self._subkeys))
        return tuple([next(self) for _ in range(num)])


@contextlib.contextmanager
def reserving(size: int) -> Iterator[None]:
    """Context manager: a draw that finds nothing in reserve splits off `size` keys."""
    token = reserve_size.set(size)
    try:
        yield
    finally:
        reserve_size.reset(token)


class KeyHandler(Handler):
    """Answers draws of random keys from a sequence; None is no sequence, and a draw an error."""

    __slots__ = ("keys",)
    name = "random keys"
    effects = frozenset({"rng", "initial rng"})

    def __init__(self, parent: Any, keys: PRNGSequence | None) -> None:
        super().__init__(parent)
        self.keys = keys

    def sequence(self) -> PRNGSequence:
        """The sequence; raises `MissingRNGError` if there is none."""
        if self.keys is None and self.told is not None:
            raise self.untold("draws a random key")
        if self.keys is None:
            raise MissingRNGError(f"A random key was asked for{at_line()}, and no key was passed. "
                                  "Pass one to init or apply: f.apply(params, minijax.random.key(0), ...).")
        return self.keys

    def draw(self, num: int, **type: Any) -> tuple[Any, ...]:
        """The next keys."""
        with current(self.parent):
            return self.sequence().take(num) if num != 1 else (next(self.sequence()),)

    def reserve(self, num: int) -> tuple[()]:
        """Reserve keys."""
        with current(self.parent):
            self.sequence().reserve(num)
        return ()

    answers = {ops.next_keys_p: draw, ops.reserve_keys_p: reserve}

    def scope(self) -> Any:
        """What tells programs traced here from those traced elsewhere."""
        return self.token

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan | None:
        """Keys are carried, if any are drawn."""
        if not any(use.op in (ops.next_keys_p, ops.reserve_keys_p) for program in programs for use in uses(program)):
            return Plan()
        keys, size = self.sequence(), reserve_size.get()
        name = "random keys" if size == 1 else f"random keys, {size} at a time"
        with current(self.parent):
            if loop:
                keys.reserve_up_to_full()
            key, subkeys = keys.internal_state
            return Plan(carried=tuple([(name, typeof(each)) for each in (key, *subkeys)]))

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The key and those in reserve."""
        return Values((), (), self.key_values() if plan.carried else ())

    def key_values(self) -> list[Any]:
        """The sequence as a list of keys."""
        key, subkeys = self.sequence().internal_state
        return [key, *subkeys]

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> KeyHandler:
        """A handler with the keys that are carried."""
        return cls(context.trace, sequence_of(values.carried))

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """Nothing, and the keys that are left."""
        if not plan.carried:
            return [], []
        if loop:
            self.sequence().reserve_up_to_full()
        return [], self.key_values()

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Go on with the keys that are left."""
        if carried:
            self.sequence().replace_internal_state((carried[0], carried[1:]))


def sequence_of(keys: Sequence[Any]) -> PRNGSequence | None:
    """The sequence with this key and these in reserve; None for no keys."""
    return PRNGSequence((keys[0], tuple(keys[1:]))) if keys else None
