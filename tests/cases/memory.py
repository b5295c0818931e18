"""Cases of the marks that `checkpoint` reads: identities, to every rule."""

import jax
from jax.ad_checkpoint import checkpoint_name

from minijax.ops import memory
from minijax.ops.meshes import DeviceMesh, Placement
from minijax.ops.placement import device_put_p, sharding_constraint_p
from tests.cases import array, cases

FIRST = Placement(DeviceMesh((), (0,), "cpu"), ((), ()))
ROWS = Placement(DeviceMesh((("rows", 2),)), (("rows",), ()))


def by_rows(x, placement):
    """JAX's constraint: rows on two devices."""
    mesh = jax.make_mesh((2,), ("rows",), (jax.sharding.AxisType.Auto,), devices=jax.devices()[:2])
    return jax.lax.with_sharding_constraint(x, jax.sharding.NamedSharding(mesh, jax.P("rows")))


CASES = [
    *cases(memory.name_p, lambda x, name: checkpoint_name(x, name), (array((2, 3)),), (array((3,), "int32"),),
           (array((), "complex64"),), name="a"),
    *cases(memory.to_memory_p, lambda x, memory: jax.device_put(x, jax.memory.Space.Device), (array((2, 3)),),
           (array((3,), "int32"),), memory="device"),
    *cases(device_put_p, lambda x, placement, source: jax.device_put(x, jax.devices()[0]), (array((2, 3)),),
           (array((2, 3), "int32"),), placement=FIRST, source=None),
    *cases(sharding_constraint_p, by_rows, (array((2, 3)),), placement=ROWS),
]
