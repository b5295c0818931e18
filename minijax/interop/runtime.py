"""JAX's runtime as it is: devices, processes, waiting."""

from __future__ import annotations

from typing import Any

import jax

from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.tracing.array import Array

devices = jax.devices
local_devices = jax.local_devices
process_index = jax.process_index
process_count = jax.process_count
process_indices = jax.process_indices
effects_barrier = jax.effects_barrier
wait = jax.block_until_ready


def abstract(x: Any) -> Any:
    """A bare value, or JAX's own stand-in for one of ours."""
    if isinstance(x, Array):
        return x.value
    if isinstance(x, ArrayType):
        dtype = jax.random.key(0).dtype if dtypes.is_key(x.dtype) else x.dtype
        return jax.ShapeDtypeStruct(x.shape, dtype, weak_type=x.weak_type, sharding=getattr(x, "sharding", None))
    return x
