"""L7: the transformations as users call them.  They speak to the installed backend only."""

from minijax.api.custom import custom_jvp, custom_vjp
from minijax.api.devices import (block_until_ready, debug_nans, default_backend, device_count, device_get, device_put,
                                 devices, disable_jit, enable_x64, local_device_count, local_devices, process_count,
                                 process_index)
from minijax.api.differentiate import grad, jvp, linear_transpose, linearize, value_and_grad, vjp
from minijax.api.jit import jit
from minijax.api.trace import ShapeDtypeStruct, eval_shape, make_jaxpr
from minijax.api.vmap import vmap
from minijax.ops import operators as _operators  # noqa: F401: fills in the operators of arrays

__all__ = [
    "ShapeDtypeStruct", "block_until_ready", "custom_jvp", "custom_vjp", "debug_nans", "default_backend",
    "device_count", "device_get", "device_put", "devices", "disable_jit", "enable_x64", "eval_shape", "grad", "jit",
    "jvp", "linear_transpose", "linearize", "local_device_count", "local_devices", "make_jaxpr", "process_count",
    "process_index", "value_and_grad", "vjp", "vmap"]
