"""Functions with rules of their own: `custom_jvp`, `custom_vjp` and their kin."""

from minijax.custom_rules.closures import closure_convert, custom_gradient, linear_call
from minijax.custom_rules.functions import custom, custom_jvp, custom_transpose, custom_vjp, custom_vmap
from minijax.custom_rules.zeros import CustomVJPPrimal, SymbolicZero, custom_vjp_primal_tree_values, zero_from_primal

__all__ = ["CustomVJPPrimal", "SymbolicZero", "closure_convert", "custom", "custom_gradient", "custom_jvp",
           "custom_transpose", "custom_vjp", "custom_vjp_primal_tree_values", "custom_vmap", "linear_call",
           "zero_from_primal"]
