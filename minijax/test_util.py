"""JAX's path to the checks of derivatives."""

from minijax.testing.gradients import check_grads, check_jvp, check_vjp

__all__ = ["check_grads", "check_jvp", "check_vjp"]
