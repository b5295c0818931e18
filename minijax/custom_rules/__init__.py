"""Functions with rules of their own: `custom_jvp`, `custom_vjp` and their kin."""

from minijax.custom_rules.derivatives import custom_jvp, custom_vjp

__all__ = ["custom_jvp", "custom_vjp"]
