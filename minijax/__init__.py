"""minijax: JAX's API and numbers on a core that can be read in an afternoon.

Names are resolved on first use (PEP 562): `import minijax` itself imports nothing.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__version__ = "0.1.0"

_API = ("ShapeDtypeStruct", "eval_shape", "grad", "jit", "jvp", "make_jaxpr",
        "value_and_grad", "vjp", "vmap")
_CUSTOM = ("closure_convert", "custom", "custom_gradient", "custom_jvp", "custom_transpose", "custom_vjp")
_DERIVATIVES = ("hessian", "hvp", "jacfwd", "jacobian", "jacrev", "linear_transpose", "linearize")
_DEVICES = ("block_until_ready", "debug_nans", "default_backend", "device_count", "device_get", "devices",
            "disable_jit", "effects_barrier", "enable_x64", "local_device_count", "local_devices", "process_count",
            "process_index", "process_indices")
_FLOORS = ("api", "calls", "config", "errors", "interpreters", "ir", "lowering", "ops", "pytree", "tracing", "util")
_NAMESPACES = ("ad_checkpoint", "checkpoint_policies", "custom_batching", "custom_derivatives", "debug",
               "distributed", "effects", "experimental", "haiku", "inspect", "interop", "language", "lax", "nn",
               "numpy", "optimize", "optix", "random", "rlax", "sharding", "taylor", "test_util", "testing", "tree",
               "tree_util", "typing")
_MEMORY = ("checkpoint", "checkpoint_name", "print_saved_residuals", "remat", "saved_residuals")
_CALLBACKS = ("io_callback", "pure_callback")
_EFFECTS = ("collect", "perturb", "tap")
_SHARDING = ("Mesh", "NamedSharding", "P", "device_put", "make_array_from_callback",
             "make_array_from_process_local_data", "make_array_from_single_device_arrays", "make_mesh", "pmap",
             "set_mesh", "shard_map")
_HOMES = {name: home for home, names in (
    ("minijax.ad_checkpoint", _MEMORY), ("minijax.api", _API), ("minijax.callbacks", _CALLBACKS),
    ("minijax.custom_rules", _CUSTOM), ("minijax.derivatives", _DERIVATIVES), ("minijax.effects.taps", _EFFECTS),
    ("minijax.hardware", _DEVICES),
    ("minijax.ir", ("Jaxpr",)), ("minijax.language", ("parse",)),
    ("minijax.kinks", ("conventions",)), ("minijax.taylor", ("jet", "laplacian")),
    ("minijax.sharding", _SHARDING),
    ("minijax.tracing", ("Array", "typeof"))) for name in names}
__all__ = sorted({*_HOMES, *_FLOORS, *_NAMESPACES})


def __getattr__(name: str) -> Any:
    """Import what holds a public name; but for the bare floors, with the backend installed."""
    if name in _FLOORS:
        return importlib.import_module(f"minijax.{name}")
    if name not in _HOMES and name not in _NAMESPACES:
        raise AttributeError(f"module 'minijax' has no attribute {name!r}")
    with _nothing_collected():
        importlib.import_module("minijax.numpy")  # installs the backend and fills in the methods of arrays
        importlib.import_module("minijax.inspect")  # programs in notebooks, holders of leaked tracers
        found = (getattr(importlib.import_module(_HOMES[name]), name) if name in _HOMES
                 else importlib.import_module(f"minijax.{name}"))
    globals()[name] = found
    return found


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Without the garbage collector: while we are imported it would look through all of JAX, a quarter of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
