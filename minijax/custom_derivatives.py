"""Functions with derivative rules of their own, under JAX's names."""

from minijax.calls.custom import custom_jvp_p as custom_jvp_call_p, custom_vjp_p as custom_vjp_call_p
from minijax.custom_rules import (CustomVJPPrimal, SymbolicZero, closure_convert, custom_gradient, custom_jvp,
                                  custom_vjp, custom_vjp_primal_tree_values, linear_call, zero_from_primal)

__all__ = ["CustomVJPPrimal", "SymbolicZero", "closure_convert", "custom_gradient", "custom_jvp", "custom_jvp_call_p",
           "custom_vjp", "custom_vjp_call_p", "custom_vjp_primal_tree_values", "linear_call", "zero_from_primal"]
