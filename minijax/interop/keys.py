"""JAX's primitives of random keys, on arrays of keys of any shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import lax, random
from minijax.api.vmap import vmap
from minijax.errors import MissingRuleError
from minijax.interop.equations import rules
from minijax.tracing.array import typeof


def each(function: Callable[..., Any], *arrays: Any) -> Any:
    """`function` of scalars (or single keys), mapped over every axis of the arrays."""
    shapes = {typeof(x).shape for x in arrays}
    shape = max(shapes, key=len)
    full = [x if typeof(x).shape == shape else lax.broadcast(x, shape) for x in arrays]
    for _ in shape:
        function = vmap(function)
    return function(*full)


def _random_bits(keys: Any, *, bit_width: int, shape: Any) -> Any:
    return each(lambda key: random.bits(key, tuple(shape), f"uint{bit_width}"), keys)


def _check_kind(impl: Any) -> None:
    """Raise `MissingRuleError` for keys of another kind than minijax's."""
    if impl.name != "threefry2x32":
        raise MissingRuleError(f"from_jax: random keys of the kind '{impl.name}' have no meaning in minijax; its own "
                               "are 'threefry2x32' keys. Make the key without impl=.")


def _random_seed(seeds: Any, *, impl: Any) -> Any:
    _check_kind(impl)
    return each(lambda seed: random.key(seed), seeds)


def _random_wrap(words: Any, *, impl: Any) -> Any:
    _check_kind(impl)
    return random.wrap_key_data(words)


rules.update({
    "random_bits": _random_bits,
    "random_clone": lambda keys, **_: keys,
    "random_fold_in": lambda keys, data: each(random.fold_in, keys, data),
    "random_seed": _random_seed,
    "random_split": lambda keys, *, shape: each(lambda key: random.split(key, tuple(shape)), keys),
    "random_unwrap": lambda keys: random.key_data(keys),
    "random_wrap": _random_wrap,
})
