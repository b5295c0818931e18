"""`layer_stack`: a layer applied many times, each time with parameters of its own, as one `scan`.

    stack = hk.layer_stack(12)(lambda x: x + hk.nets.MLP([4 * d, d])(x))
    y = stack(x)              # as y = x; for _ in range(12): y = layer(y), but traced and compiled once

Parameters and state of the layers are stacked along a new first axis.  With a transparency map they are instead those
of the loop: each layer's under a name of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol

from minijax import lax, pytree, random
from minijax import numpy as jnp
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.keys import maybe_next_rng_key
from minijax.haiku.lift import lift_with_state, transparent_lift_with_state
from minijax.haiku.transforms import transform_with_state
from minijax.tracing.source import at_line

Bundles = dict[str, dict[str, Any]]


class LayerStackTransparencyMapping(Protocol):
    """How the modules of a stack are called when each layer's have names of their own."""

    def stacked_to_flat(self, stacked_module_name: str, scan_idx: int) -> str:
        """The name, in the function around, of a layer's module."""
        ...

    def flat_to_stacked(self, unstacked_module_name: str) -> tuple[str, int] | None:
        """The module's name in the layer and the number of the layer; None for a module of no layer."""
        ...


def layer_stack(num_layers: int, with_per_layer_inputs: bool = False, unroll: int = 1,
                pass_reverse_to_layer_fn: bool = False, transparent: bool = False,
                transparency_map: LayerStackTransparencyMapping | None = None,
                name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a layer: the result applies it `num_layers` times, with parameters of their own.

    Args:
        num_layers: how often.
        with_per_layer_inputs: False for a layer (*xs) -> xs, of as many results as arguments; True for
            (x, *ys) -> (x, z), which is given the entries of `ys` along their first axis, and whose `z` are stacked.
        unroll: how many layers one step of the loop computes.
        pass_reverse_to_layer_fn: whether the layer takes `reverse=`, which the call of the stack may be given: True
            runs the layers from the last to the first.
        transparent: whether the parameters are those of the loop in Python; then
        transparency_map: says how the layers' modules are called.
        name: the module name that parameters are under, if not transparent.
    Returns: a decorator; the decorated function takes what the layer takes, and `reverse=False`.
    Raises: `MinijaxValueError` for a layer with `*args`, for a transparent stack without a map, and for names that
        two modules get; `MinijaxTypeError` for another number of results, and for per-layer inputs of another length.

    >>> import minijax.haiku as hk
    >>> def layer(x):
    ...     return x + hk.get_parameter("b", (), init=jnp.ones)
    >>> f = hk.transform(lambda x: layer_stack(3, name="stack")(layer)(x))
    >>> params = f.init(None, 0.0)
    >>> params, f.apply(params, None, 0.0)
    ({'stack/~': {'b': Array([1., 1., 1.], dtype=float32)}}, Array(3., dtype=float32))
    """
    if transparent and transparency_map is None:
        raise MinijaxValueError(f"transparency_map must be provided with transparent=True{at_line()}: an object with "
                                "the methods of hk.LayerStackTransparencyMapping.")
    kind = "with_per_layer" if with_per_layer_inputs else "no_per_layer"
    options = num_layers, unroll, pass_reverse_to_layer_fn, transparency_map, name or f"__layer_stack_{kind}"

    def decorate(layer: Callable[..., Any]) -> Callable[..., Any]:
        if with_per_layer_inputs:
            stack = Stack(layer, *options)
        else:
            _refuse_varargs(layer)
            stack = Stack(_without_inputs(layer), *options)

        @functools.wraps(layer)
        def run(*args: Any, reverse: bool = False) -> Any:
            if with_per_layer_inputs:
                _check_lengths(args[1:], num_layers)
                return stack(*args, reverse=reverse)
            results, _ = stack(args, reverse=reverse)
            return results[0] if len(args) == 1 else results

        return run

    return decorate


def _without_inputs(layer: Callable[..., Any]) -> Callable[..., Any]:
    """A layer (*xs) -> xs as one (tuple) -> (tuple, None)."""
    def run(xs: tuple[Any, ...], **kwargs: Any) -> tuple[Any, None]:
        results = layer(*xs, **kwargs)
        if len(xs) == 1:
            return (results,), None
        count = len(results) if isinstance(results, (tuple, list)) else 1
        if count != len(xs):
            raise MinijaxTypeError(f"layer_stack: the layer takes {len(xs)} arguments and returned {count} result"
                                   f"{'s' * (count != 1)}{at_line()}. Return a tuple of {len(xs)}.")
        return tuple(results), None

    return run


def _refuse_varargs(layer: Callable[..., Any]) -> None:
    kinds = [parameter.kind for parameter in inspect.signature(layer).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds[:1]:
        raise MinijaxValueError("layer_stack: The function `f` should not have any `varargs` (that is *args)"
                                f"{at_line()}. Write its positional arguments one by one.")


def _check_lengths(inputs: Any, num_layers: int) -> None:
    for path, x in pytree.leaves_with_path(inputs):
        if x.shape[:1] != (num_layers,):
            raise MinijaxTypeError(f"layer_stack: the per-layer input {pytree.keystr(path)} has shape {x.shape}"
                                   f"{at_line()}; expected {num_layers} entries along its first axis, one a layer.")


@dataclasses.dataclass(frozen=True)
class Stack:
    """A layer (x, *ys) -> (x, z) and how it is repeated; called with x and ys it returns (x, zs)."""

    layer: Callable[..., Any]
    num_layers: int
    unroll: int
    pass_reverse: bool
    names: LayerStackTransparencyMapping | None
    name: str

    def __call__(self, x: Any, *ys: Any, reverse: bool = False) -> tuple[Any, Any]:
        options = {"reverse": reverse} if self.pass_reverse else {}
        init, apply = transform_with_state(functools.partial(self.layer, **options))

        def init_layer(carry: Any, y: Any) -> Any:
            x, key = carry
            key, init_key, apply_key = (None,) * 3 if key is None else random.split(key, 3)
            params, state = init(key, x, *y)
            (x, _), state = apply(params, state, apply_key, x, *y)
            return (x, init_key), (params, state)

        def init_all(x: Any, key: Any) -> tuple[Bundles, Bundles]:
            _, (params, state) = lax.scan(init_layer, (x, key), ys, length=self.num_layers)
            return self.flat(params), self.flat(state)

        find, updater = self.lifted(init_all)
        params, state = [self.stacked(bundles) for bundles in find(x, maybe_next_rng_key())]

        def apply_layer(x: Any, given: Any) -> Any:
            params, state, key, y = given
            (x, z), state = apply(params, state, key, x, *y)
            return x, (z, state)

        key = maybe_next_rng_key()
        keys = None if key is None else random.split(key, self.num_layers)
        x, (zs, state) = lax.scan(apply_layer, x, (params, state, keys, ys), length=self.num_layers,
                                  unroll=self.unroll, reverse=reverse)
        updater.update(self.flat(state))
        return x, zs

    def lifted(self, init: Callable[..., Any]) -> tuple[Callable[..., Any], Any]:
        """What makes or finds parameters and state in the function around, and what takes the state back."""
        if self.names is None:
            return lift_with_state(init, allow_reuse=True, name=self.name)
        return transparent_lift_with_state(init, allow_reuse=True)

    def flat(self, stacked: Bundles) -> Bundles:
        """Stacked parameters or state as the function around has them."""
        if self.names is None:
            return stacked
        found: Bundles = {}
        for module, bundle in stacked.items():
            for layer in range(self.num_layers):
                name = self.names.stacked_to_flat(module, layer)
                if name in found:
                    raise MinijaxValueError(f"layer_stack: Found conflicting unstacked module name for {module} at "
                                            f"{name}{at_line()}: another module or layer has it. Let "
                                            "stacked_to_flat put the number of the layer into the name.")
                found[name] = pytree.map(lambda x: x[layer], bundle)  # noqa: B023 (called at once)
        return found

    def stacked(self, flat: Bundles) -> Bundles:
        """The layers' parameters or state, stacked, from those that the function around has."""
        if self.names is None:
            return flat
        layers: list[Bundles] = [{} for _ in range(self.num_layers)]
        for name, bundle in flat.items():
            place = self.names.flat_to_stacked(name)
            if place is None:
                continue
            module, layer = place
            if module in layers[layer]:
                raise MinijaxValueError(f"layer_stack: Found conflicting values for {module} at index {layer}"
                                        f"{at_line()}; one is {name}. Let flat_to_stacked undo stacked_to_flat.")
            layers[layer][module] = bundle
        return pytree.map(lambda *xs: jnp.stack(xs), *layers)
