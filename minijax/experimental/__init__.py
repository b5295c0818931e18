"""Names that JAX keeps under `jax.experimental`."""

from minijax.callbacks import io_callback

__all__ = ["io_callback"]
