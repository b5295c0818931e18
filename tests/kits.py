"""What tests of functions written for either library share: both libraries, the NumPy evaluator, comparing trees."""

import jax
import jax.numpy as jjnp
import numpy as np
import pytest

import minijax as mj
import minijax.numpy as jnp
from minijax import config

KITS = ((mj, jnp), (jax, jjnp))


@pytest.fixture(autouse=True)
def on_numpy():
    """The NumPy evaluator compiles nothing; tests of compiled programs say so.  Applies to modules that import it."""
    with config.override("evaluator", "numpy"):
        yield


def close(ours, theirs, rtol=1e-5, atol=1e-5):
    """Two trees of arrays agree."""
    ours, theirs = mj.tree.leaves(ours), jax.tree.leaves(theirs)
    assert len(ours) == len(theirs)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=atol)
