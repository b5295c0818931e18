"""Cases of the cipher and of typed keys; the numbers made from them are in test_random_bits.py."""

import jax
import jax.extend.random
import numpy as np

from minijax.ops import random
from tests.cases import cases

WORDS = np.arange(24, dtype=np.uint32).reshape(4, 6) * np.uint32(2654435761)


def cipher(*operands):
    """JAX's cipher."""
    return jax.extend.random.threefry2x32_p.bind(*operands)


CASES = [
    *cases(random.threefry2x32_p, cipher, tuple(WORDS), (WORDS[0, 0], WORDS[0, 1], WORDS[2], WORDS[3])),
]
