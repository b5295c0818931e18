"""Names that JAX keeps under `jax.experimental`."""

from minijax.callbacks import io_callback
from minijax.experimental import multihost_utils

__all__ = ["io_callback", "multihost_utils"]
