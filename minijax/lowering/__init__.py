"""L6: one table from ops to `jax.lax`, eager kernels, compiling, dispatch.

`install()` fills the slots that the lower floors left open: the evaluator, the backend,
the pytree registry and the settings that JAX shares.
"""

from __future__ import annotations

import threading
from typing import Any

import jax

from minijax import config, pytree
from minijax.interpreters.evaluate import evaluators, switch_evaluator
from minijax.lowering import (table_callbacks, table_calls, table_compute, table_linalg,  # noqa: F401  (fill the table)
                              table_parallel, table_structural, table_windows)
from minijax.lowering.backend import XlaBackend
from minijax.lowering.eager import evaluate_xla, evaluate_xla_checked
from minijax.lowering.table import lower
from minijax.lowering.trees import JaxTrees, register
from minijax.tracing.array import Array
from minijax.tracing.source import hide_frames

__all__ = ["install", "lower"]

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
        register()
        trees = JaxTrees()
        pytree.forward_registrations(trees)
        pytree.install(trees)
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
