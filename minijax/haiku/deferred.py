"""A module that is made at its first use, for one that depends on what another has seen by then.

As `haiku.Deferred`: the decoder of an autoencoder may ask its encoder for the size of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from minijax.haiku.frames import frame_of
from minijax.tracing.source import at_line

T = TypeVar("T")


class Deferred(Generic[T]):
    """Stands for the module that `factory()` makes at the first call, or the first call of one of `call_methods`.

    Inside a module the new one is named as if it had been made where the Deferred was, with the next free number
    there (Haiku counts where it is called, and so may give two modules one name).  Once the module is there, attributes
    are read from and written to it.  Raises `MinijaxValueError` outside of a transform.

    >>> import minijax.haiku as hk, minijax.numpy as np, minijax.random as random
    >>> def autoencoder(x):
    ...     encode = hk.Linear(2)
    ...     decode = hk.Deferred(lambda: hk.Linear(encode.input_size))
    ...     return decode(encode(x))
    >>> hk.transform(autoencoder).init(random.PRNGKey(0), np.ones((1, 5)))["linear_1"]["w"].shape
    (2, 5)
    """

    def __init__(self, factory: Callable[[], T], call_methods: Sequence[str] = ("__call__",)):
        self.__dict__.update(_factory=factory, _call_methods=frozenset(call_methods), _target=None,
                             _scope=frame_of("Deferred").scopes[-1])

    @property
    def target(self) -> T:
        """The module, made now if it was not yet."""
        own = self.__dict__
        if own["_target"] is None:
            frame, scope = frame_of("Deferred"), own["_scope"]
            frame.scopes.append(frame.scopes[-1] if scope.module is None else scope)
            try:
                own["_target"] = own["_factory"]()
            finally:
                frame.scopes.pop()
        return own["_target"]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        return self.target(*args, **kwargs)  # type: ignore[operator]

    def __repr__(self) -> str:
        return f"Deferred({self.target!r})"

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if own.get("_target") is not None:
            return getattr(own["_target"], name)
        if name in own.get("_call_methods", ()):
            return lambda *args, **kwargs: getattr(self.target, name)(*args, **kwargs)
        raise AttributeError(f"'Deferred' object has no attribute {name!r}{at_line()}: its module is not made yet. "
                             "Call it first, or read it from .target.")

    def __setattr__(self, name: str, value: Any) -> None:
        target = self._target
        if target is None:
            object.__setattr__(self, name, value)
        else:
            setattr(target, name, value)

    def __delattr__(self, name: str) -> None:
        target = self._target
        if target is None:
            object.__delattr__(self, name)
        else:
            delattr(target, name)
