"""`jet` where JAX has it; see `minijax.taylor`."""

import functools

from minijax.taylor import jet

jet2 = functools.partial(jet, factorial_scaled=False)

__all__ = ["jet", "jet2"]
