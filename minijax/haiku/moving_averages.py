"""Exponential moving averages, kept as state: of one value, or of every parameter of a network."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.errors import ShapeError
from minijax.haiku.initializers import Constant
from minijax.haiku.module import Module
from minijax.haiku.parameters import get_state, set_state
from minijax.haiku.refusals import refusal
from minijax.tracing.source import at_line

__all__ = ["EMAParamsTree", "ExponentialMovingAverage", "map_parameters"]


class ExponentialMovingAverage(Module):
    """Keeps `hidden = decay * hidden + (1 - decay) * value`, and `average`, which is that without the bias towards 0.

    State: `counter` (int32, calls so far), `hidden` and `average` (of the value's shape and dtype).
    Source of the debiasing: Kingma, Ba, "Adam", 2014, section 3 (arxiv.org/abs/1412.6980).

    >>> import minijax.haiku as hk
    >>> f = hk.transform_with_state(lambda x: hk.ExponentialMovingAverage(0.5)(x))
    >>> _, state = f.init(None, 0.0)
    >>> _, state = f.apply({}, state, None, 3.0)
    >>> f.apply({}, state, None, 0.0)[0]
    Array(1., dtype=float32)
    """

    def __init__(self, decay: Any, zero_debias: bool = True, warmup_length: int = 0, name: str | None = None):
        """`decay`, from 0 to 1, is how much of the average stays at each call.

        `zero_debias` divides by 1 - decay ** calls.  For the first `warmup_length` calls the average is the value.
        Raises `MinijaxValueError` for a decay outside, a negative length, and for both corrections at once.
        """
        super().__init__(name=name)
        if isinstance(decay, (int, float)) and not 0 <= decay <= 1:
            raise refusal(self, f"`decay` is {decay}, but should be from 0 to 1", "Slow averages use 0.99 or more.")
        if warmup_length < 0:
            raise refusal(self, f"`warmup_length` is {warmup_length}, but should be non-negative", "Pass 0 for none.")
        if warmup_length and zero_debias:
            raise refusal(self, f"Zero debiasing does not make sense with warmup_length={warmup_length}, which starts "
                          "the average at the value", "Pass zero_debias=False.")
        self.decay = decay
        self.zero_debias = zero_debias
        self.warmup_length = warmup_length

    def initialize(self, shape: Any, dtype: Any = jnp.float32) -> None:
        """Set the average to zeros of this shape and dtype, unless there is one."""
        if hasattr(shape, "shape"):
            warnings.warn("ema.initialize takes a shape and a dtype; passing a value is deprecated: "
                          "write ema.initialize(value.shape, value.dtype).", DeprecationWarning, stacklevel=2)
            shape, dtype = shape.shape, shape.dtype
        for name in ("hidden", "average"):
            get_state(name, shape, dtype, init=jnp.zeros)

    def __call__(self, value: Any, update_stats: bool = True) -> Any:
        """The average with `value` counted in; without `update_stats` the state stays as it was."""
        value = jnp.asarray(value)
        counter = get_state("counter", (), jnp.int32, init=Constant(-self.warmup_length)) + 1
        decay = lax.convert_element_type(self.decay, value.dtype)
        if self.warmup_length:
            decay = jnp.where(counter <= 0, jnp.zeros_like(decay), decay)
        hidden = get_state("hidden", value.shape, value.dtype, init=jnp.zeros)
        if hidden.shape != value.shape:
            raise ShapeError(f"ExponentialMovingAverage '{self.module_name}' averages values of shape {hidden.shape}, "
                             f"got one of shape {value.shape}{at_line()}. Make a second module for those.")
        one = jnp.ones((), value.dtype)
        hidden = hidden * decay + value * (one - decay)
        average = hidden / (one - jnp.power(decay, counter)) if self.zero_debias else hidden
        if update_stats:
            for name, new in (("counter", counter), ("hidden", hidden), ("average", average)):
                set_state(name, new)
        return average

    @property
    def average(self) -> Any:
        """The average so far; raises `MinijaxValueError` if there is none."""
        def missing(shape: Any, dtype: Any) -> Any:
            raise refusal(self, "there is no average yet", "Average a value first: BatchNorm does so in "
                          "init(..., is_training=True).")

        return get_state("average", (), init=missing)


class EMAParamsTree(Module):
    """Keeps the average of every parameter of a network: takes parameters, gives their averages in the same tree.

    State: that of an `ExponentialMovingAverage` for each parameter, under its path with `__` for `/`.

    >>> import minijax.haiku as hk
    >>> f = hk.transform_with_state(lambda params: hk.EMAParamsTree(0.5)(params))
    >>> params = {"linear": {"w": jnp.ones(2)}}
    >>> _, state = f.init(None, params)
    >>> sorted(state)
    ['ema_params_tree/linear__w']
    """

    def __init__(self, decay: Any, zero_debias: bool = True, warmup_length: int = 0, ignore_regex: str = "",
                 name: str | None = None):
        """As `ExponentialMovingAverage`; parameters whose path begins with a match of `ignore_regex` stay."""
        super().__init__(name=name)
        self.decay = decay
        self.zero_debias = zero_debias
        self.warmup_length = warmup_length
        self.ignore_regex = ignore_regex

    def __call__(self, tree: Mapping[str, Mapping[str, Any]], update_stats: bool = True) -> dict[str, dict[str, Any]]:
        """The averages with these parameters counted in; without `update_stats` the state stays as it was."""
        def average(path: str, value: Any) -> Any:
            name = path.replace("/", "__").replace("~", "_tilde_")
            ema = ExponentialMovingAverage(self.decay, self.zero_debias, self.warmup_length, name=name)
            return ema(value, update_stats=update_stats)

        return map_parameters(self, average, tree)


def map_parameters(module: Any, f: Callable[[str, Any], Any],
                   tree: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A tree of parameters with `f(path, value)` for each value whose path `module.ignore_regex` does not match.

    >>> import types
    >>> all_but_b = types.SimpleNamespace(ignore_regex=".*b$")
    >>> map_parameters(all_but_b, lambda path, value: -value, {"linear": {"w": 1, "b": 2}})
    {'linear': {'w': -1, 'b': 2}}
    """
    def one(path: str, value: Any) -> Any:
        ignored = module.ignore_regex and re.match(module.ignore_regex, path)
        return value if ignored else f(path, value)

    return {bundle: {name: one(f"{bundle}/{name}", value) for name, value in values.items()}
            for bundle, values in tree.items()}
