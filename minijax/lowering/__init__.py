"""L6: one table from ops to `jax.lax`, eager kernels, compiling, dispatch.

`install()` fills the slots that the lower floors left open: the evaluator, the backend,
the pytree registry and the settings that JAX shares.
"""

from __future__ import annotations

import threading
from typing import Any

import jax

from minijax import config, pytree
from minijax.calls.jit import jit_p
from minijax.calls.shard_map import shard_map_p
from minijax.interpreters.evaluate import evaluators, switch_evaluator
from minijax.lowering import meshes, table_callbacks, table_control, table_custom, table_memory, table_reduce, table_scan
from minijax.lowering.backend import XlaBackend
from minijax.lowering.eager import evaluate_xla, evaluate_xla_checked, program_evaluators
from minijax.lowering.emit import lower_call
from minijax.lowering.table import lower, rules
from minijax.lowering.trees import JaxTrees, register_array
from minijax.ops.placement import device_put_p, sharding_constraint_p
from minijax.tracing.array import Array
from minijax.tracing.source import hide_frames

__all__ = ["install", "lower", "lower_call"]

_lock = threading.Lock()
_installed = False
_SHARED = ("jax_enable_x64", "jax_default_matmul_precision")


def install() -> None:
    """Put JAX behind the floors below.  Idempotent; the package calls it before its first public name."""
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
        register_array()
        trees = JaxTrees()
        pytree.forward_registrations(trees)
        pytree.install(trees)
        lower_call(jit_p)
        program_evaluators.update(table_callbacks.evaluators | table_memory.evaluators | table_custom.evaluators)
        rules[shard_map_p] = meshes.shard_map
        rules[device_put_p], rules[sharding_constraint_p] = meshes.device_put, meshes.sharding_constraint
        program_evaluators[shard_map_p] = meshes.evaluate
        program_evaluators[device_put_p] = program_evaluators[sharding_constraint_p] = meshes.evaluate_placing
        for table in (table_control, table_custom, table_reduce, table_scan, table_memory):  # ops that hold programs
            rules.update(table.rules)
        evaluators["xla"] = evaluate_xla
        Array.backend = XlaBackend()
        hide_frames(jax.__file__.rpartition("/")[0])
        config.on_change(_share)
        for name in _SHARED:
            config.update(name, getattr(jax.config, name))
        config.update("evaluator", "xla")


def _share(name: str, value: Any) -> None:
    """Settings that JAX has too are set there as well."""
    if name in _SHARED and getattr(jax.config, name) != value:
        jax.config.update(name, value)
    if name == "jax_debug_nans":
        evaluators["xla"] = evaluate_xla_checked if value else evaluate_xla
        switch_evaluator()
