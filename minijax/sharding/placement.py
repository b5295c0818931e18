"""`device_put` and `with_sharding_constraint`: where arrays lie, for pytrees, eager and traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.calls.shard_map import block_type
from minijax.errors import MinijaxTypeError, TreeError
from minijax.interop.pieces import placed
from minijax.interop.sharding import PartitionSpec, Sharding, from_sharding
from minijax.lowering.meshes import to_sharding
from minijax.ops.meshes import Placement
from minijax.ops.placement import device_put_p, sharding_constraint_p
from minijax.sharding.specs import placement
from minijax.tracing.array import Array, Tracer, is_value, typeof
from minijax.tracing.backend import Backend
from minijax.tracing.source import at_line


@boundary
def device_put(x: Any, device: Any = None, *, src: Any = None, donate: Any = False, may_alias: Any = None) -> Any:
    """A pytree of arrays on a device, or cut along a mesh; differentiable: cotangents go back to where `x` was.

    Args:
        x: a pytree of arrays and scalars.
        device: a device, a sharding, a `PartitionSpec` of the current mesh, or a pytree prefix of such; None leaves
            arrays where they are and puts other values on the default device.
        src: where `x` lies, if it is traced and a cotangent should go back there.
        donate, may_alias: whether the memory of `x` may be used for the result; taken as hints.

    Raises `MinijaxTypeError` and `MinijaxValueError` for what is no array, device or fitting spec.

    >>> device_put([1.0, 2.0])[1]
    Array(2., dtype=float32, weak_type=True)
    """
    def put(name: str, leaf: Any, to: Any) -> Any:
        if not is_value(leaf):
            raise MinijaxTypeError(f"device_put: {name} is {leaf!r} of type {type(leaf).__name__}, not an array or a "
                                   f"scalar{at_line()}.")
        if to is None:
            return leaf if isinstance(leaf, Tracer) else Array(Array.backend.put(leaf, None))
        where = placement("device_put", name, to, typeof(leaf).ndim)
        block_type(f"device_put: {name}", typeof(leaf), where.spec, where.mesh, False)  # names what does not fit
        if not isinstance(leaf, Tracer):
            return Array(placed(leaf, to_sharding(where)))
        source = placement("device_put", name, src, leaf.ndim) if src is not None else _place_of(leaf)
        return device_put_p.bind(leaf, placement=where, source=source)[0]

    return _mapped("device_put", put, x, device)


@boundary
def with_sharding_constraint(x: Any, shardings: Any) -> Any:
    """`x`, cut along a mesh from here on: a wish to the compiler inside `jit`, `device_put` outside.

    `shardings` is a pytree prefix of shardings, or of `PartitionSpec`s of the current mesh (`set_mesh`).
    Raises `MinijaxTypeError` and `MinijaxValueError` for those that do not fit.

    >>> import minijax, numpy as np
    >>> from minijax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(minijax.make_mesh((1,), ("x",)), P("x"))
    >>> minijax.jit(lambda x: with_sharding_constraint(x, rows) * 2)(np.ones(2, "float32"))
    Array([2., 2.], dtype=float32)
    """
    return _mapped("with_sharding_constraint", constrained, x, shardings)


def constrained(name: str, leaf: Any, to: Any) -> Any:
    """A leaf cut along a mesh from here on."""
    where = placement("with_sharding_constraint", name, to, typeof(leaf).ndim)
    if not isinstance(leaf, Tracer):  # a compiled program may pad
        block_type(f"with_sharding_constraint: {name}", typeof(leaf), where.spec, where.mesh, False)
    return sharding_constraint_p.bind(leaf, placement=where)[0]


def _mapped(who: str, put: Callable[..., Any], x: Any, to: Any) -> Any:
    """`put(name, leaf, place)` for the leaves of `x`, for a pytree prefix of places."""
    def is_place(leaf: Any) -> bool:
        return leaf is None or isinstance(leaf, (PartitionSpec, Sharding))

    leaves, tree = pytree.flatten(x)
    try:
        places = pytree.broadcast_prefix(to, x, is_leaf=is_place)
    except TreeError as error:
        raise TreeError(f"{who}: the places are no prefix of the values{at_line()}: {error} Give one place, or a tree "
                        "of places.") from None
    names = [f"x{pytree.keystr(path)}" for path, _ in pytree.leaves_with_path(x)]
    return tree.unflatten([put(*row) for row in zip(names, leaves, places, strict=True)])


def _place_of(x: Any) -> Placement | None:
    """Where a traced value lies, if that is known."""
    value = x.concrete() if isinstance(x, Tracer) else x
    return from_sharding(getattr(value, "sharding", None), typeof(x).ndim) if value is not None else None


def _as_jit_says(self: Backend, tree: Any, shardings: Any) -> Any:
    """Arguments or results of a jitted function under a trace; None leaves one as it is."""
    return _mapped("jit", lambda name, leaf, to: leaf if to is None else constrained(name, leaf, to), tree, shardings)


Backend.constrain = _as_jit_says  # type: ignore[method-assign]
