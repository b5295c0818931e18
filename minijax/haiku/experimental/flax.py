"""Modules of flax among ours, and ours among those of flax; to be imported by itself, as it needs flax.

    from minijax.haiku.experimental import flax as hk_flax
    hk_flax.lift(nn.Dense(10), name="dense")          a function to be used inside hk.transform
    hk_flax.Module.create(hk.Linear, 10)              a flax module

Flax's nested variables are modules by their paths: of `{"a": {"b": {"w": x}}}` the module `a/b` has `w`; what lies at
the top is in the module `~`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from minijax import interop, pytree
from minijax.haiku.data_structures import traverse
from minijax.haiku.keys import maybe_next_rng_key
from minijax.haiku.lift import LiftingModule, LiftWithStateUpdater
from minijax.haiku.parameters import running_init
from minijax.haiku.transforms import Transformed, TransformedWithState, transform_with_state, with_empty_state

Bundles = dict[str, dict[str, Any]]


# ---- names

def flatten_flax_to_haiku(collection: Mapping[str, Any]) -> Bundles:
    """A collection of flax, dicts in dicts, as module names and names.

    >>> flatten_flax_to_haiku({"mlp": {"dense": {"kernel": 1.0}}, "scale": 2.0})
    {'mlp/dense': {'kernel': 1.0}, '~': {'scale': 2.0}}
    """
    found: Bundles = {}

    def visit(inner: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for name, value in inner.items():
            if isinstance(value, Mapping):
                visit(value, (*path, name))
            else:
                found.setdefault("/".join(path) or "~", {})[name] = value

    visit(collection, ())
    return found


def nested(bundles: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Undo `flatten_flax_to_haiku`.

    >>> nested({"mlp/dense": {"kernel": 1.0}, "~": {"scale": 2.0}})
    {'mlp': {'dense': {'kernel': 1.0}}, 'scale': 2.0}
    """
    collection: dict[str, Any] = {}
    for module, name, value in traverse(bundles):
        inner = collection
        for part in [part for part in module.split("/") if part != "~"]:
            inner = inner.setdefault(part, {})
        inner[name] = value
    return collection


# ---- between the libraries

def bridged(bridge: Callable[..., Any], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of one library from the other: arrays pass the bridge, all other arguments stay as they are."""
    leaves, tree = pytree.flatten((args, kwargs))
    is_array = [hasattr(x, "shape") and hasattr(x, "dtype") for x in leaves]

    def call(*arrays: Any) -> Any:
        given = iter(arrays)
        filled = [next(given) if mine else x for mine, x in zip(is_array, leaves, strict=True)]
        inner_args, inner_kwargs = tree.unflatten(filled)
        return function(*inner_args, **inner_kwargs)

    return bridge(call)(*[x for mine, x in zip(is_array, leaves, strict=True) if mine])


def lift(mod: nn.Module, *, name: str) -> Callable[..., Any]:
    """A function that calls a flax module inside a transformed function, where its variables are parameters and state.

    Args: mod: a flax module.  name: of the module that parameters and state are under.
    Returns: a function of the module's arguments, and `rngs`, a dict of keys by flax's names.

    >>> import minijax, minijax.haiku as hk, minijax.numpy as jnp
    >>> f = hk.transform(lambda x: lift(nn.Dense(3), name="dense")(x))
    >>> minijax.tree.map(jnp.shape, f.init(minijax.random.PRNGKey(0), jnp.ones((1, 2))))
    {'dense/~': {'bias': (3,), 'kernel': (2, 3)}}
    """
    def init(rngs: Any, *args: Any, **kwargs: Any) -> tuple[Bundles, Bundles]:
        variables = dict(bridged(interop.from_jax, mod.init, rngs, *args, **kwargs))
        return flatten_flax_to_haiku(variables.pop("params", {})), state_of(variables)

    lifted = LiftingModule(init, allow_reuse=True, name=name)

    def call(*args: Any, rngs: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        init_rngs = dict(rngs or {})
        if running_init() and "params" not in init_rngs:
            init_rngs["params"] = maybe_next_rng_key()
        params, state = lifted(init_rngs, *args, **kwargs)
        variables = {"params": nested(params), **nested(state)}
        options = {"mutable": [key for key in variables if key != "params"], **kwargs}
        if rngs is not None:
            options["rngs"] = dict(rngs)
        out, changed = bridged(interop.from_jax, mod.apply, variables, *args, **options)
        LiftWithStateUpdater(lifted.prefix_name).update(state_of(changed))
        return out

    return call


def state_of(variables: Mapping[str, Any]) -> Bundles:
    """The collections of flax but for params as a state: the collection's name is the first part of a module's."""
    flat = {collection: flatten_flax_to_haiku(variables[collection]) for collection in variables}
    return {f"{collection}/{module}": bundle for collection in flat for module, bundle in flat[collection].items()}


class Module(nn.Module):  # type: ignore[misc]
    """A flax module that runs a function transformed here; parameters and state are its collections `params`, `state`.

    Random keys of `apply` are flax's `rngs={"apply": key}`.

    >>> import jax, minijax.haiku as hk
    >>> net = Module.create(hk.Linear, 3)
    >>> variables = net.init(jax.random.PRNGKey(0), jax.numpy.ones((1, 2)))
    >>> jax.tree.map(jax.numpy.shape, variables), net.apply(variables, jax.numpy.ones((1, 2))).shape
    ({'params': {'linear': {'b': (3,), 'w': (2, 3)}}}, (1, 3))
    """

    transformed: Transformed | TransformedWithState

    @classmethod
    def create(cls, hk_cls: Callable[..., Any], *init_args: Any, **init_kwargs: Any) -> Module:
        """The flax module of a class of modules and the arguments of its constructor."""
        return cls(transform_with_state(lambda *args, **kwargs: hk_cls(*init_args, **init_kwargs)(*args, **kwargs)))

    @nn.compact
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run `init` while flax initializes, and `apply`."""
        both = self.transformed
        both = with_empty_state(both) if isinstance(both, Transformed) else both
        if self.is_initializing():
            params, state = bridged(interop.to_jax, both.init, self.make_rng("params"), *args, **kwargs)
            self._store(params=params, state=state)
        else:
            params, state = [flatten_flax_to_haiku(self.variables.get(kind, {})) for kind in ("params", "state")]
        key = self.make_rng("apply") if self.has_rng("apply") else None

        def apply(params: Bundles, state: Bundles, *given: Any, **options: Any) -> Any:
            out, after = both.apply(params, state, *given, **options)
            changed = [(module, name, x) for module, name, x in traverse(after) if state[module][name] is not x]
            return out, {module: {name: x for of, name, x in changed if of == module} for module, _, _ in changed}

        out, changed = bridged(interop.to_jax, apply, params, state, key, *args, **kwargs)
        if not self.is_initializing():
            self._store(state=changed)
        return out

    def _store(self, **collections: Bundles) -> None:
        """Keep parameters or state as flax does."""
        for kind, bundles in collections.items():
            for module, name, value in traverse(bundles):
                scope = self.scope
                for part in module.split("/"):
                    scope = scope.push(part, reuse=True)
                scope.put_variable(kind, name, value)
