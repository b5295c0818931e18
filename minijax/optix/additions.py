"""Transformations that add something to the updates: weight decay and noise; and some that see a part of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import minijax.numpy as jnp
from minijax import Array, random, tree
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir.dtypes import is_key
from minijax.optix.checks import fields, map_trees, needs_params, not_negative, scalar_or_schedule, schedule_value
from minijax.optix.counting import first_count, next_count
from minijax.optix.masks import masked
from minijax.optix.transformation import EmptyState, GradientTransformation
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line


class AddNoiseState(NamedTuple):
    """The number of steps i32[], and the random key for the next."""

    count: Array
    rng_key: Array


class WeightDecaySchedule(NamedTuple):
    """The number of steps, i32[]."""

    count: Array


def add_decayed_weights(weight_decay: Any = 0.0, mask: Any = None) -> GradientTransformation:
    """The parameters times `weight_decay`, a number or a schedule, added to the updates (Loshchilov and Hutter, 2019).

    `mask`, a tree of booleans or a function from parameters to one, says which parameters decay.  The update needs the
    parameters: `MinijaxTypeError` without.

    >>> print(add_decayed_weights(0.5).update(jnp.float32(1.0), EmptyState(), jnp.float32(4.0))[0])
    3.0
    """
    scalar_or_schedule("add_decayed_weights", "weight_decay", weight_decay, least=0)
    scheduled = callable(weight_decay)

    def init(params: Any) -> Any:
        return WeightDecaySchedule(first_count()) if scheduled else EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        needs_params("add_decayed_weights", params)
        factor, new = weight_decay, state
        if scheduled:
            count = fields("add_decayed_weights", state, WeightDecaySchedule).count
            factor = schedule_value("add_decayed_weights", weight_decay, count)
            new = WeightDecaySchedule(next_count(count))
        return map_trees("add_decayed_weights", lambda g, p: g + factor * p, updates=updates, params=params), new

    decay = GradientTransformation(init, update)
    return decay if mask is None else masked(decay, mask)


def add_noise(eta: Any, gamma: Any, key: Any = None, *, seed: int | None = None) -> GradientTransformation:
    """Normal noise of variance eta / t^gamma added in step t (Neelakantan et al., 2015).

    `key` is a random key or the integer to make one of; `seed` is its older name; 0 without either.

    >>> noisy = add_noise(0.01, 0.55, key=1)
    >>> noisy.update({"w": jnp.zeros(3)}, noisy.init(None))[0]["w"].shape
    (3,)
    """
    not_negative("add_noise", eta=eta, gamma=gamma)
    source = one_key(key, seed)

    def init(params: Any) -> AddNoiseState:
        return AddNoiseState(first_count(), random.key(source) if is_seed(source) else source)

    def update(updates: Any, state: AddNoiseState, params: Any = None) -> tuple[Any, AddNoiseState]:
        state = fields("add_noise", state, AddNoiseState)
        count = next_count(state.count)
        deviation = jnp.sqrt(eta / count ** gamma)
        next_key, used = random.split(state.rng_key)
        leaves, treedef = tree.flatten(tree.map(jnp.asarray, updates))
        keys = random.split(used, len(leaves))
        noisy = [g + deviation * random.normal(k, g.shape, g.dtype) for g, k in zip(leaves, keys, strict=True)]
        return treedef.unflatten(noisy), AddNoiseState(count, next_key)

    return GradientTransformation(init, update)


def is_seed(key: Any) -> bool:
    """Whether a random key is still to be made of this integer.

    >>> is_seed(3), is_seed(random.key(3))
    (True, False)
    """
    return not is_key(typeof(key).dtype)


def one_key(key: Any, seed: Any) -> Any:
    """Which of the two was given, or 0; raises if both were, or if it is neither a key nor an integer."""
    if key is not None and seed is not None:
        raise MinijaxValueError(f"add_noise: got key and seed{at_line()}. Pass the key alone.")
    chosen = 0 if key is None and seed is None else seed if key is None else key
    if is_seed(chosen) and not jnp.issubdtype(typeof(chosen).dtype, jnp.integer):
        raise MinijaxTypeError(f"add_noise: key is a random key or an integer, got {chosen!r}{at_line()}. "
                               "Pass minijax.random.key(0).")
    return chosen
