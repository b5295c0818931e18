"""Cases of the marks that `checkpoint` reads: identities, to every rule."""

import jax
from jax.ad_checkpoint import checkpoint_name

from minijax.ops import memory
from tests.cases import array, cases

CASES = [
    *cases(memory.name_p, lambda x, name: checkpoint_name(x, name), (array((2, 3)),), (array((3,), "int32"),),
           (array((), "complex64"),), name="a"),
    *cases(memory.to_memory_p, lambda x, memory: jax.device_put(x, jax.memory.Space.Device), (array((2, 3)),),
           (array((3,), "int32"),), memory="device"),
]
