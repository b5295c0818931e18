"""Cases of the cipher and of typed keys; the numbers made from them are in test_random_bits.py."""

import jax
import jax.extend.random
import numpy as np

from minijax.ops import random
from tests.cases import cases

WORDS = np.arange(24, dtype=np.uint32).reshape(4, 6) * np.uint32(2654435761)


def cipher(*operands, unroll):
    """JAX's cipher, which is a loop on CPUs."""
    return jax.extend.random.threefry2x32_p.bind(*operands)


CASES = [
    *[case for unroll in (False, True)
      for case in cases(random.threefry2x32_p, cipher, tuple(WORDS), (WORDS[0, 0], WORDS[0, 1], WORDS[2], WORDS[3]),
                        same_hlo=False, unroll=unroll)],
]
