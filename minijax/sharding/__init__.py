"""Arrays over many devices: meshes, specs, shardings, `pmap` and `shard_map`.

The classes are JAX's own, so that arrays placed with them work with both libraries.
"""

from minijax.interop.pieces import (make_array_from_callback, make_array_from_process_local_data,
                                    make_array_from_single_device_arrays)
from minijax.interop.sharding import (AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec, Sharding,
                                      SingleDeviceSharding, get_abstract_mesh, get_mesh, make_mesh, set_mesh)
from minijax.sharding.placement import device_put, with_sharding_constraint
from minijax.sharding.pmap import pmap
from minijax.sharding.shard_map import shard_map

P = PartitionSpec

__all__ = ["AbstractMesh", "AxisType", "Mesh", "NamedSharding", "P", "PartitionSpec", "Sharding",
           "SingleDeviceSharding", "device_put", "get_abstract_mesh", "get_mesh", "make_array_from_callback",
           "make_array_from_process_local_data", "make_array_from_single_device_arrays", "make_mesh", "pmap",
           "set_mesh", "shard_map", "with_sharding_constraint"]
