"""From functions with modules to pure functions: `transform` and its relatives.

    init(rng, *args) -> params                      apply(params, rng, *args) -> result
    init(rng, *args) -> (params, state)             apply(params, state, rng, *args) -> (result, state)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.effects import states
from minijax.effects.keys import PRNGSequence
from minijax.errors import MinijaxError, MinijaxTypeError, MinijaxValueError
from minijax.haiku.frames import Frame
from minijax.haiku.module import Module
from minijax.haiku.parameters import nested
from minijax.tracing.array import is_value
from minijax.tracing.context import context, running
from minijax.tracing.source import at_line

Params = State = Mapping[str, Mapping[str, Any]]
MutableParams = MutableState = dict[str, dict[str, Any]]


class NonEmptyStateError(MinijaxValueError):
    """State in a function that was transformed without it."""


class Transformed(NamedTuple):
    """A pair of pure functions: init(rng, *args) -> params, apply(params, rng, *args) -> result."""

    init: Callable[..., MutableParams]
    apply: Callable[..., Any]


class TransformedWithState(NamedTuple):
    """Pure functions: init(rng, *args) -> (params, state), apply(params, state, rng, *args) -> (result, state)."""

    init: Callable[..., tuple[MutableParams, MutableState]]
    apply: Callable[..., tuple[Any, MutableState]]


class MultiTransformed(NamedTuple):
    """As `Transformed`; `apply` is a tree of functions that share their parameters."""

    init: Callable[..., MutableParams]
    apply: Any


class MultiTransformedWithState(NamedTuple):
    """As `TransformedWithState`; `apply` is a tree of functions that share parameters and state."""

    init: Callable[..., tuple[MutableParams, MutableState]]
    apply: Any


# ---- calls ----

def new_frame(who: str, params: Any, state: Any, rng: Any) -> Frame:
    """The frame of one call; `params` is None for one that makes them."""
    frame = Frame(context.trace, as_sequence(who, rng), params is not None)
    for (module, name), value in entries("params", params):
        frame.params[module, name] = value
    for (module, name), value in entries("state", state):
        frame.keep((module, name), states.State.of(value))
    return frame


def as_sequence(who: str, rng: Any) -> PRNGSequence | None:
    """The sequence of keys that comes from an argument; raises `MinijaxTypeError` for what is no key."""
    if rng is None or isinstance(rng, PRNGSequence):
        return rng
    try:
        return PRNGSequence(rng)
    except MinijaxError:
        signature = {"init": "init(rng, *args)", "apply": "apply(params, rng, *args)"}.get(
            who, "apply(params, state, rng, *args)")
        raise MinijaxTypeError(f"{who.split()[0]} must be called with a random key{at_line()}: the signature is "
                               f"`{signature}`, and rng is {rng!r:.100} of type "
                               f"{type(rng).__name__}. Pass minijax.random.key(0), a seed, or None where no random "
                               "numbers are used.") from None


def entries(what: str, given: Any) -> list[tuple[tuple[str, str], Any]]:
    """The entries of params or state, a mapping of mappings; raises `MinijaxTypeError` for what is none."""
    found = []
    for module, bundle in checked_mapping(what, "", {} if given is None else given).items():
        for name, value in checked_mapping(what, f"[{module!r}]", bundle).items():
            if what == "params" and not is_value(value):
                raise MinijaxTypeError(f"params[{module!r}][{name!r}] is {value!r:.200} of type {type(value).__name__}"
                                       f"{at_line()}, no array. Pass what init returned.")
            found.append(((module, name), value))
    return found


def checked_mapping(what: str, path: str, given: Any) -> Mapping[str, Any]:
    """`given`, if it is a mapping."""
    if not isinstance(given, Mapping):
        raise MinijaxTypeError(
            f"{what}{path} is {given!r:.200} of type {type(given).__name__}{at_line()}; expected a mapping from names. "
            "The arguments are apply(params, rng, ...) for hk.transform, and apply(params, state, rng, ...) for "
            "hk.transform_with_state.")
    return given


def called(frame: Frame, f: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The result of `f` in a frame."""
    with running(frame):
        result = f(*args, **kwargs)
        for finish in frame.closing:
            finish()
    return result


@boundary
def transform_with_state(f: Callable[..., Any]) -> TransformedWithState:
    """Make a function that uses parameters, state and random keys a pair of pure functions.

    Args: f: any function that makes modules, or a module.
    Returns: `init(rng, *args) -> (params, state)` and `apply(params, state, rng, *args) -> (result, state)`.
        `rng` is a key, a seed or None.
    Raises: `MinijaxTypeError` if `f` is no function.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> f = hk.transform_with_state(lambda x: hk.BatchNorm(True, True, 0.9)(x, is_training=True))
    >>> params, state = f.init(minijax.random.key(0), np.ones((4, 2)))
    >>> sorted(params), sorted(state)
    (['batch_norm'], ['batch_norm/~/mean_ema', 'batch_norm/~/var_ema'])
    """
    if not callable(f):
        raise MinijaxTypeError(f"hk.transform: expected a function, got {f!r}{at_line()}.")

    @boundary
    def init(rng: Any, *args: Any, **kwargs: Any) -> tuple[MutableParams, MutableState]:
        frame = new_frame("init", None, None, rng)
        called(frame, f, args, kwargs)
        return nested(frame.params), nested(frame.initial_states())

    @boundary
    def apply(params: Any, state: Any, rng: Any, *args: Any, **kwargs: Any) -> tuple[Any, MutableState]:
        who = "apply" if state is None else "apply with state"
        frame = new_frame(who, {} if params is None else params, state, rng)
        result = called(frame, f, args, kwargs)
        return result, nested({slot: state.value for slot, state in frame.current.items()})

    return TransformedWithState(described(init, f, "rng"), described(apply, f, "params", "state", "rng"))


@boundary
def transform(f: Callable[..., Any], *, apply_rng: bool = True) -> Transformed:
    """Make a function that uses parameters and random keys a pair of pure functions.

    Args:
        f: any function that makes modules, or a module.
        apply_rng: True; for an `apply` without a key use `without_apply_rng`.
    Returns: `init(rng, *args) -> params` and `apply(params, rng, *args) -> result`.
    Raises: `NonEmptyStateError` when `init` or `apply` meets state.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> f = hk.transform(lambda x: hk.Linear(2, w_init=np.ones)(x))
    >>> params = f.init(minijax.random.key(0), np.ones((1, 3)))
    >>> f.apply(params, None, np.ones((1, 3)))
    Array([[3., 3.]], dtype=float32)
    """
    if not apply_rng:
        raise MinijaxValueError("hk.transform: apply always takes a random key, which may be None"
                                f"{at_line()}. Write hk.without_apply_rng(hk.transform(f)) for one without.")
    return without_state(transform_with_state(f))  # type: ignore[return-value]


def described(function: Callable[..., Any], f: Any, *leading: str) -> Callable[..., Any]:
    """`function` with a signature, `leading` and then the parameters of `f`, and with `f` as its origin."""
    function._original_fn = original = getattr(f, "_original_fn", f)  # type: ignore[attr-defined]
    front = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in leading]
    try:
        own = inspect.signature(original).parameters.values()
        function.__signature__ = inspect.Signature([*front, *own])  # type: ignore[attr-defined]
    except (TypeError, ValueError):  # it has none, or parameters of the same names
        pass
    return function


def get_original_fn(f: Any) -> Callable[..., Any]:
    """The function that was transformed."""
    return getattr(f.init if hasattr(f, "init") else f, "_original_fn")  # type: ignore[no-any-return]


# ---- pairs of other shapes ----

def each(function: Callable[..., Any], applies: Any) -> Any:
    """A tree of apply functions with `function` applied to each; one function is a tree."""
    return pytree.map(function, applies)


def named_arguments(kwargs: dict[str, Any], *names: str) -> None:
    """Raise `MinijaxTypeError` for an argument by keyword that the pair does not take so."""
    for name in names:
        if name in kwargs:
            raise MinijaxTypeError(f"apply has no argument '{name}' any more{at_line()}: pass the function's own of "
                                   f"that name by position, apply(..., my_{name}).")


def refuse_state(state: Any) -> None:
    """Raise `NonEmptyStateError` if there is state."""
    if state:
        names = ", ".join([f"'{module}/{name}'" for module, bundle in state.items() for name in bundle])
        raise NonEmptyStateError(f"The function has the state {names}{at_line()}. If your transformed function uses "
                                 "`hk.{get,set}_state` then use `hk.transform_with_state`.")


def without_state(f: Any) -> Any:
    """The pair of a function that turns out to have no state: without the arguments and results for it.

    Args: f: a `TransformedWithState` or `MultiTransformedWithState`.
    Returns: a `Transformed` or `MultiTransformed`; its functions raise `NonEmptyStateError` when they meet state.
    """
    def init(*args: Any, **kwargs: Any) -> MutableParams:
        params, state = f.init(*args, **kwargs)
        refuse_state(state)
        return params  # type: ignore[no-any-return]

    def less(apply: Callable[..., Any]) -> Callable[..., Any]:
        def apply_fn(params: Any, *args: Any, **kwargs: Any) -> Any:
            named_arguments(kwargs, "state")
            result, state = apply(params, None, *args, **kwargs)
            refuse_state(state)
            return result

        return described(boundary(apply_fn), apply, "params", "rng")

    made = MultiTransformed if isinstance(f, MultiTransformedWithState) else Transformed
    return made(described(boundary(init), f.init, "rng"), each(less, f.apply))


def with_empty_state(f: Transformed) -> TransformedWithState:
    """A pair without state with the arguments and results for it, which are empty.

    >>> import minijax.haiku as hk
    >>> hk.with_empty_state(hk.transform(lambda: 1)).apply({}, {}, None)
    (1, {})
    """
    def init(*args: Any, **kwargs: Any) -> tuple[MutableParams, MutableState]:
        return f.init(*args, **kwargs), {}

    def apply(params: Any, state: Any, *args: Any, **kwargs: Any) -> tuple[Any, MutableState]:
        return f.apply(params, *args, **kwargs), {}

    return TransformedWithState(described(boundary(init), f.init, "rng"),
                                described(boundary(apply), f.apply, "params", "state", "rng"))


def without_apply_rng(f: Any) -> Any:
    """The pair of a function that draws no random keys in `apply`: without the argument for one.

    Args: f: what `transform`, `transform_with_state` or their multi forms returned.
    Returns: the same kind of pair.

    >>> import minijax.haiku as hk
    >>> hk.without_apply_rng(hk.transform(lambda x: x + 1)).apply({}, 1)
    2
    """
    with_state = isinstance(f, (TransformedWithState, MultiTransformedWithState))

    def less(apply: Callable[..., Any]) -> Callable[..., Any]:
        def stateful(params: Any, state: Any, *args: Any, **kwargs: Any) -> Any:
            named_arguments(kwargs, "rng")
            return apply(params, state, None, *args, **kwargs)

        def stateless(params: Any, *args: Any, **kwargs: Any) -> Any:
            named_arguments(kwargs, "rng")
            return apply(params, None, *args, **kwargs)

        return (described(boundary(stateful), apply, "params", "state") if with_state else
                described(boundary(stateless), apply, "params"))

    return type(f)(f.init, each(less, f.apply))


@boundary
def multi_transform_with_state(f: Callable[[], tuple[Callable[..., Any], Any]]) -> MultiTransformedWithState:
    """Make several functions that share parameters and state pure.

    Args: f: a function () -> (template, tree of functions); `template(*args)` makes all parameters in `init`.
    Returns: `init(rng, *args) -> (params, state)`, and a tree of `apply(params, state, rng, *args)`.
    Raises: `MinijaxTypeError` if `f` returns something else.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as np
    >>> def f():
    ...     encoder, decoder = hk.Linear(2), hk.Linear(3)
    ...     return lambda x: decoder(encoder(x)), {"encode": encoder, "decode": decoder}
    >>> autoencoder = hk.multi_transform(f)
    >>> params = autoencoder.init(minijax.random.key(0), np.ones((1, 3)))
    >>> autoencoder.apply["encode"](params, None, np.ones((1, 3))).shape
    (1, 2)
    """
    def parts() -> tuple[Callable[..., Any], Any]:
        found = f()
        if not isinstance(found, tuple) or len(found) != 2 or not callable(found[0]):
            raise MinijaxTypeError("hk.multi_transform: the function returns a pair (template function, tree of "
                                   f"functions), got {found!r:.200}{at_line()}.")
        return found

    def apply_of(number: int) -> Callable[..., Any]:
        return transform_with_state(lambda *args, **kwargs: pytree.leaves(parts()[1])[number](*args, **kwargs)).apply

    with running(new_frame("init", None, None, 0)):
        tree = pytree.structure(parts()[1])
    init = transform_with_state(lambda *args, **kwargs: parts()[0](*args, **kwargs)).init
    return MultiTransformedWithState(init, tree.unflatten([apply_of(number) for number in range(tree.num_leaves)]))


def multi_transform(f: Callable[[], tuple[Callable[..., Any], Any]]) -> MultiTransformed:
    """As `multi_transform_with_state`, without state: `init(rng, *args) -> params`, `apply(params, rng, *args)`s."""
    return without_state(multi_transform_with_state(f))  # type: ignore[no-any-return]


# ---- methods of modules ----

class PureMethod:
    """A function of a module's transformed pair as its method.

    It is there for objects alone: to dataclasses, an attribute of the class would be the default of a field.
    """

    def __init__(self, pair: Callable[[Any], Any], name: str) -> None:
        self.pair, self.name = pair, name

    def __get__(self, module: Any, owner: type) -> Callable[..., Any]:
        if module is None:
            raise AttributeError(f"{owner.__name__}.{self.name} is a method of modules, not of their class{at_line()}: "
                                 f"{owner.__name__}(...).{self.name}(...).")
        return getattr(self.pair(module), self.name.removesuffix("_with_state"))  # type: ignore[no-any-return]


for _pair, _suffix in ((transform, ""), (transform_with_state, "_with_state")):
    for _name in ("init", "apply"):
        setattr(Module, _name + _suffix, PureMethod(_pair, _name + _suffix))
