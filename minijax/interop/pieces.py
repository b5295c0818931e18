"""Arrays over many devices, made from pieces: one for each device, each process, or each place asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils

from minijax.interop.processes import asked, values
from minijax.lowering.values import bare
from minijax.tracing.array import Array


def make_array_from_process_local_data(sharding: Any, local_data: Any,
                                       global_shape: Sequence[int | None] | None = None) -> Array:
    """An array over the devices of all processes, each of which passes what lies with it.

    Args:
        sharding: where the array is to lie.
        local_data: an array with the blocks of this process's devices.
        global_shape: the shape of the whole; by default each axis that is cut over processes is as long as all
            their parts together.

    Raises `MinijaxValueError` for data that do not fit.  JAX's function of the same name.

    >>> import minijax, numpy as np
    >>> from minijax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(minijax.make_mesh((1,), ("x",)), P("x"))
    >>> make_array_from_process_local_data(rows, np.arange(3))
    Array([0, 1, 2], dtype=int32)
    """
    name = "make_array_from_process_local_data"
    return Array(asked(name, jax.make_array_from_process_local_data, sharding, values(name, local_data), global_shape))


def make_array_from_callback(shape: Sequence[int], sharding: Any, data_callback: Callable[[Any], Any],
                             dtype: Any = None) -> Array:
    """An array whose blocks a function gives: it is asked for those of this process's devices alone.

    Args:
        shape: the shape of the whole.
        sharding: where the array is to lie.
        data_callback: takes the place of a block, a tuple of slices of the whole, and returns its values.
        dtype: of the array; needed if this process has none of the devices.

    JAX's function of the same name.

    >>> import minijax, numpy as np
    >>> from minijax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(minijax.make_mesh((1,), ("x",)), P("x"))
    >>> make_array_from_callback((3,), rows, lambda index: np.arange(3)[index])
    Array([0, 1, 2], dtype=int32)
    """
    def block(index: Any) -> Any:
        return values("make_array_from_callback", data_callback(index))

    return Array(jax.make_array_from_callback(tuple(shape), sharding, block, dtype))


def make_array_from_single_device_arrays(shape: Sequence[int], sharding: Any, arrays: Sequence[Any], *,
                                         dtype: Any = None) -> Array:
    """An array of blocks that lie on their devices already.

    Args:
        shape: the shape of the whole.
        sharding: how the blocks make up the whole.
        arrays: a block on each of this process's devices, in the order of the sharding's.
        dtype: of the array; needed if this process has none of the devices.

    JAX's function of the same name.

    >>> import minijax, numpy as np
    >>> from minijax.sharding import NamedSharding, PartitionSpec as P
    >>> rows = NamedSharding(minijax.make_mesh((1,), ("x",)), P("x"))
    >>> make_array_from_single_device_arrays((3,), rows, [minijax.numpy.arange(3)])
    Array([0, 1, 2], dtype=int32)
    """
    name = "make_array_from_single_device_arrays"
    return Array(asked(name, jax.make_array_from_single_device_arrays, tuple(shape), sharding,
                       values(name, list(arrays)), dtype=dtype))


def placed(x: Any, sharding: jax.sharding.NamedSharding) -> Any:
    """The device value of a concrete operand, moved to where it is to lie."""
    return jax.device_put(bare(x), sharding)


def whole_of_parts(x: Any, sharding: jax.sharding.NamedSharding) -> Any:
    """The device value over the devices of several processes, of which a concrete operand is this one's part."""
    value = bare(x)
    if not hasattr(value, "shape"):  # a Python scalar, the same for all
        return value
    return multihost_utils.host_local_array_to_global_array(value, sharding.mesh, sharding.spec)


def own_part(x: Array) -> Array:
    """The part of an array that lies with this process."""
    sharding = x.value.sharding
    return Array(multihost_utils.global_array_to_host_local_array(x.value, sharding.mesh, sharding.spec))
