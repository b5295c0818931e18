"""The backend that JAX is: what its values are, where they live, how functions compile."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from minijax.errors import DistributedError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.lowering.compile import compile_function
from minijax.lowering.values import bare
from minijax.tracing.backend import Backend
from minijax.tracing.source import at_line


class XlaBackend(Backend):
    """Answers for `jax.Array`, JAX's tracers, and NumPy arrays."""

    default_backend = staticmethod(jax.default_backend)
    compile = staticmethod(compile_function)

    def __init__(self) -> None:
        self.types: dict[Any, ArrayType] = {}  # by JAX's own type; one entry for each type ever seen

    def type_of(self, value: Any) -> ArrayType:
        """The IR type of a device value."""
        try:
            return self.types[value.aval]
        except (KeyError, AttributeError):
            return self.new_type(value)

    def new_type(self, value: Any) -> ArrayType:
        """The IR type of a value of a type not met before."""
        if not hasattr(value, "aval"):
            return Backend.type_of(self, value)
        aval = value.aval
        type = ArrayType(tuple(aval.shape), dtypes.as_dtype(aval.dtype), bool(aval.weak_type))
        return self.types.setdefault(aval, type)

    def to_numpy(self, value: Any) -> np.ndarray:
        """The value as a NumPy array; keys as structured arrays of their words."""
        if isinstance(value, jax.Array) and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
            words = np.ascontiguousarray(self.to_numpy(jax.random.key_data(value)))
            return words.view(dtypes.numpy_dtype(dtypes.as_dtype(value.dtype))).reshape(value.shape)
        try:
            return np.asarray(value)
        except RuntimeError:
            if self.holders(value):
                raise DistributedError(
                    f"The values of this array of type {self.type_of(value)} lie with {self.holders(value)} processes, "
                    f"and are not all here{at_line()}. Gather them with multihost_utils.process_allgather(x, tiled="
                    "True), which every process calls, or look at this one's own in x.addressable_shards.") from None
            raise

    def holders(self, value: Any) -> int:
        """How many processes have values of an array that is not all here; 0 for one that is."""
        here = (type(value) not in self.array_classes() or self.is_deleted(value)
                or value.is_fully_addressable or value.is_fully_replicated)
        return 0 if here else len({d.process_index for d in value.sharding.device_set})

    def is_foreign(self, value: Any) -> bool:
        """Whether `value` is an array that JAX takes in."""
        return isinstance(value, (np.ndarray, jax.Array))

    def is_deleted(self, value: Any) -> bool:
        """Whether the memory of `value` has been given away."""
        try:
            return isinstance(value, jax.Array) and value.is_deleted()
        except jax.errors.ConcretizationTypeError:  # inside somebody's jax.jit: nothing is deleted yet
            return False

    def describe(self, value: Any) -> str:
        """Repr of a value without its class name, as JAX's arrays print."""
        if not isinstance(value, jax.Array):
            return Backend.describe(self, value)
        if self.is_deleted(value):
            return f"(<deleted>, shape={value.shape}, dtype={value.dtype})"
        if self.holders(value):
            return f"(<with {self.holders(value)} processes>, shape={value.shape}, dtype={value.dtype})"
        text = repr(value)
        return text[text.index("("):] if "(" in text else f"({text})"

    @functools.cache
    def array_classes(self) -> tuple[type, ...]:
        """JAX's classes of concrete arrays: of numbers, and of keys."""
        with jax.ensure_compile_time_eval():  # it may be asked for first where JAX is tracing
            return type(jax.device_put(0)), type(jax.random.key(0))

    def put(self, x: Any, device: Any) -> Any:
        """The device value of a concrete one, moved to a device or a sharding.

        It is moved now, even where JAX is tracing: programs that are kept must hold no value of a trace of JAX's.
        """
        value = bare(x)
        if isinstance(value, jax.Array) and not isinstance(value, self.array_classes()):  # a tracer of JAX's
            return jax.device_put(value, device)
        with jax.ensure_compile_time_eval():
            return jax.device_put(value, device)
