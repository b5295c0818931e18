"""Lifting: the parameters of a function that is pure already become those of the function around.

    inner = hk.transform(...)
    params = hk.lift(inner.init, name="inner")(hk.next_rng_key(), x)
    y = inner.apply(params, None, x)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from minijax.effects import ops
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.frames import Frame, closure_boundary, frame_of
from minijax.haiku.module import Module, current_module, current_name
from minijax.haiku.parameters import nested, with_constants
from minijax.haiku.transforms import NonEmptyStateError
from minijax.interpreters.stage import stage
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line

Init = Callable[..., Any]


class LiftingModule(Module):
    """The module under whose name the lifted parameters are; transparent, under that of the module around."""

    def __init__(self, init_fn: Init, transparent: bool = False, allow_reuse: bool = False,
                 name: str = "lifted") -> None:
        super().__init__(name=name)
        self.init_fn, self.allow_reuse = init_fn, allow_reuse
        self.prefix_name = self.module_name.rpartition("/")[0] if transparent else self.module_name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        frame = frame_of("lift")
        prefix = self.prefix_name + "/" if self.prefix_name else ""
        if not frame.frozen:
            params, state = self.init_fn(*args, **kwargs)
            self.store(frame, prefix, params, state)
            return params, state
        own = [{(module[len(prefix):], name): value for (module, name), value in found.items()
                if module.startswith(prefix)} for found in (frame.all_parameters(), frame.all_states())]
        return nested(own[0]), nested(own[1])

    def store(self, frame: Frame, prefix: str, params: Any, state: Any) -> None:
        """Make parameters and state of what the inner function made."""
        for what, there, new in (("params", frame.params, params), ("state", frame.initial_states(), state)):
            taken = {module for module, _ in there} & {prefix + module for module in new}
            if taken and not self.allow_reuse:
                raise MinijaxValueError(
                    f"Key '{min(taken)}' already exists in the destination {what}{at_line()}. To prevent "
                    "accidental re-use during lift, you can't re-use what is already defined in the outer scope; "
                    "give the lifted function another name, or allow_reuse=True.")
        for module, bundle in params.items():
            for name, value in bundle.items():
                keep_parameter(frame, prefix + module, name, value)
        for module, bundle in state.items():
            for name, value in bundle.items():
                frame.write_state(prefix + module, name, value)


def keep_parameter(frame: Frame, module: str, name: str, value: Any) -> None:
    """Make a parameter of a value; a program that is being recorded makes it."""
    if context.trace is frame:
        frame.add_parameter(module, name, value)
        return
    type = typeof(value)
    program, captured = with_constants(stage(lambda: [value], (), name))
    ops.parameter_p.bind(*captured, module=module, name=name, shape=type.shape, dtype=type.dtype, init=program)


def with_no_state(init_fn: Init) -> Init:
    """An initializer of params as one of params and state, which is empty."""
    def init(*args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        params = init_fn(*args, **kwargs)
        if not isinstance(params, Mapping):
            raise NonEmptyStateError(f"hk.lift: the function returned {type(params).__name__}, not params{at_line()}. "
                                     "For stateful lifted functions use `hk.lift_with_state`.")
        return params, {}

    return init


class LiftWithStateUpdater:
    """Takes the state back that a lifted function has changed: call `update` or `ignore_update`, once."""

    def __init__(self, name: str | None) -> None:
        self._used, self._name, self._frame = False, name, frame_of("lift_with_state")
        self._frame.closing.append(self.assert_used)

    def assert_used(self) -> None:
        """Raise `MinijaxValueError` if nothing has been called."""
        if not self._used:
            raise MinijaxValueError("LiftWithStateUpdater (from `lift_with_state`) must be used: call `.update(state)` "
                                    "or `.ignore_update()` before the function returns.")

    def _use(self) -> None:
        if self._used:
            raise MinijaxValueError(f"State updater must only be used once{at_line()}.")
        if frame_of("lift_with_state updater") is not self._frame:
            raise MinijaxValueError(f"State updater must be used within the same call to init/apply{at_line()}.")
        self._used = True

    def ignore_update(self) -> None:
        """Leave the state as it is."""
        self._use()

    def update(self, state: Any) -> None:
        """Set the lifted function's state; raises `MinijaxTypeError` for what is no mapping."""
        self._use()
        if not isinstance(state, Mapping):
            raise MinijaxTypeError(f"update: the state is a mapping from module names, got {type(state).__name__}"
                                   f"{at_line()}.")
        prefix = "" if self._name is None else f"{self._name}/"
        for module, bundle in state.items():
            for name, value in bundle.items():
                self._frame.write_state(prefix + module, name, value)


def lift(init_fn: Init, *, allow_reuse: bool = False, name: str = "lifted") -> Init:
    """Register the parameters of a pure function with the function around.

    Args:
        init_fn: a function (*args) -> params, as `hk.transform(f).init`, perhaps under vmap.
        allow_reuse: whether there may be modules of these names already.  name: the module name they are under.
    Returns: a function (*args) -> params: in `init` it calls `init_fn`, in `apply` it finds what was made.
    Raises: `MinijaxValueError` outside of a transform and for parameters that exist; `NonEmptyStateError` if
        `init_fn` returns state.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> inner = hk.transform(lambda x: x * hk.get_parameter("w", (), init=np.ones))
    >>> outer = hk.transform(lambda x: inner.apply(hk.lift(inner.init, name="inner")(None, x), None, x))
    >>> outer.init(None, 2.0)
    {'inner/~': {'w': Array(1., dtype=float32)}}
    """
    frame_of("lift")
    lifted = LiftingModule(with_no_state(init_fn), allow_reuse=allow_reuse, name=name)
    return lambda *args, **kwargs: lifted(*args, **kwargs)[0]


def transparent_lift(init_fn: Init, *, allow_reuse: bool = False) -> Init:
    """As `lift`, with the parameters under the name of the module that is running, as if it had made them itself."""
    frame = frame_of("transparent_lift")
    lifted = LiftingModule(with_no_state(init_fn), transparent=True, allow_reuse=allow_reuse)

    def find(*args: Any, **kwargs: Any) -> Any:
        token = closure_boundary.set(frame.number + 1)
        try:
            return lifted(*args, **kwargs)[0]
        finally:
            closure_boundary.reset(token)

    return find


def lift_with_state(init_fn: Init, *, allow_reuse: bool = False,
                    name: str = "lifted") -> tuple[Init, LiftWithStateUpdater]:
    """As `lift`, for a function with state: (function (*args) -> (params, state), updater of the state)."""
    frame_of("lift_with_state")
    lifted = LiftingModule(init_fn, allow_reuse=allow_reuse, name=name)
    return (lambda *args, **kwargs: lifted(*args, **kwargs)), LiftWithStateUpdater(lifted.prefix_name)


def transparent_lift_with_state(init_fn: Init, *, allow_reuse: bool = False) -> tuple[Init, LiftWithStateUpdater]:
    """As `lift_with_state`, under the name of the module that is running."""
    frame_of("transparent_lift_with_state")
    lifted = LiftingModule(init_fn, transparent=True, allow_reuse=allow_reuse)
    own = current_name() if current_module() is not None else None
    return (lambda *args, **kwargs: lifted(*args, **kwargs)), LiftWithStateUpdater(own)
