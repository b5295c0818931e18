"""The bridge: JAX functions inside minijax programs, and minijax functions inside JAX programs.

    from_jax(f)       a minijax function of any function that JAX can trace
    to_jax(f)         a JAX function that JAX can differentiate, batch, compile, shard and export
    register(p, r)    the meaning of a JAX primitive that `from_jax` does not know
"""

from minijax.interop.equations import register
from minijax.interop.from_jax import from_jax
from minijax.interop.to_jax import to_jax

__all__ = ["from_jax", "register", "to_jax"]
