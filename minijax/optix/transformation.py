"""What a gradient transformation is, and how several make one: `chain`.

A transformation is a pair of pure functions.  `init(params)` gives its first state, a pytree whose nodes are named;
`update(updates, state, params)` gives the updates to use instead, and the next state.  A chain hands the updates from
stage to stage; its state is the tuple of the states of its stages, which can be asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import tree
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.tracing.source import at_line


class GradientTransformation(NamedTuple):
    """A first state for parameters, and a function from updates and a state to updates and a state.

    >>> GradientTransformation(lambda params: EmptyState(), lambda updates, state, params=None: (updates, state)).name
    '<lambda>'
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]

    @property
    def name(self) -> str:
        """The name of the function that made the transformation."""
        return getattr(self.update, "__qualname__", type(self.update).__name__).partition(".")[0]

    def __repr__(self) -> str:
        return self.name


class GradientTransformationExtraArgs(GradientTransformation):
    """A transformation whose `update` takes further keywords, such as the value of the loss."""


class Chain(GradientTransformationExtraArgs):
    """Transformations one after the other: the tuple `stages`.

    >>> chain(identity(), set_to_zero())
    chain(identity, set_to_zero)
    """

    stages: tuple[GradientTransformation, ...] = ()

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(map(repr, self.stages))})"


class EmptyState(NamedTuple):
    """The state of a transformation that remembers nothing."""


InitUpdate = GradientTransformation  # its name of February 2020


def init_empty_state(params: Any) -> EmptyState:
    """The `init` of a transformation without a state.

    >>> init_empty_state({"w": 1.0})
    EmptyState()
    """
    return EmptyState()


def identity() -> GradientTransformation:
    """The transformation that changes nothing.

    >>> identity().update({"w": 1.0}, EmptyState())
    ({'w': 1.0}, EmptyState())
    """
    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        return updates, state

    return GradientTransformation(init_empty_state, update)


def set_to_zero() -> GradientTransformation:
    """The transformation that makes every update zero: with `masked`, it freezes parameters.

    >>> set_to_zero().update({"w": jnp.ones(2)}, EmptyState())[0]
    {'w': Array([0., 0.], dtype=float32)}
    """
    def update(updates: Any, state: EmptyState, params: Any = None) -> tuple[Any, EmptyState]:
        return tree.map(jnp.zeros_like, updates), state

    return GradientTransformation(init_empty_state, update)


def chain(*args: GradientTransformation) -> Chain:
    """The transformations `args`, each working on the updates that the one before it gives.

    Keywords of `update` go to those stages that take some.  Raises `MinijaxTypeError` for what is no transformation,
    and `MinijaxValueError` for a state of another number of stages.

    >>> shrink = chain(identity(), set_to_zero())
    >>> shrink.init({"w": 1.0}), shrink.stages[1]
    ((EmptyState(), EmptyState()), set_to_zero)
    """
    for number, stage in enumerate(args):
        check_transformation(f"chain: stage {number}", stage)

    def init(params: Any) -> tuple[Any, ...]:
        return tuple([stage.init(params) for stage in args])

    def update(updates: Any, state: tuple[Any, ...], params: Any = None, **extra: Any) -> tuple[Any, tuple[Any, ...]]:
        check_stages(args, state)
        states = []
        for stage, old in zip(args, state, strict=True):
            updates, new = run_stage(stage, updates, old, params, extra)
            states.append(new)
        return updates, tuple(states)

    chained = Chain(init, update)
    chained.stages = args
    return chained


def run_stage(stage: GradientTransformation, updates: Any, state: Any, params: Any,
              extra: dict[str, Any]) -> tuple[Any, Any]:
    """`stage.update`, with the keywords `extra` if it takes some.

    >>> run_stage(identity(), {"w": 1.0}, EmptyState(), None, {"value": 2.0})
    ({'w': 1.0}, EmptyState())
    """
    return stage.update(updates, state, params, **(extra if takes_extra(stage) else {}))


def takes_extra(stage: GradientTransformation) -> bool:
    """Whether `stage.update` takes further keywords.

    >>> takes_extra(identity()), takes_extra(chain())
    (False, True)
    """
    return isinstance(stage, GradientTransformationExtraArgs)


def check_transformation(who: str, stage: Any) -> None:
    """Raise `MinijaxTypeError` for what is no transformation of ours: optax's come in by `from_optax`.

    >>> check_transformation("chain: stage 0", identity())
    """
    if isinstance(stage, GradientTransformation):
        return
    fix = ("Bring it in: optix.from_optax(transformation)." if hasattr(stage, "init") and hasattr(stage, "update")
           else "Pass what a function such as optix.scale(-0.1) returns.")
    raise MinijaxTypeError(f"{who} is {stage!r} of type {type(stage).__name__}, not an optix.GradientTransformation"
                           f"{at_line()}. {fix}")


def check_stages(stages: tuple[GradientTransformation, ...], state: Any) -> None:
    """Raise `MinijaxValueError` unless `state` is a tuple of a state for each stage.

    >>> check_stages((identity(),), (EmptyState(),))
    """
    if not isinstance(state, (tuple, list)) or len(state) != len(stages):
        got = f"a tuple of {len(state)}" if type(state) is tuple else f"a {type(state).__name__}"
        raise MinijaxValueError(f"chain of {len(stages)} stages ({', '.join(stage.name for stage in stages)}): the "
                                f"state is {got}{at_line()}. Call `updates, state = update(gradients, state, params)` "
                                "with the state that this chain's init or update returned.")
