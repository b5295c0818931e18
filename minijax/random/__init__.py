"""Random numbers from keys, as `jax.random`, bit for bit.

    keys           making, splitting, folding and wrapping keys
    uniform        bits, uniform floats, integers in a range
    distributions  normal, bernoulli, exponential, ...
    choices        permutation, choice, categorical
    matrices       orthogonal
"""

from minijax.numpy.missing import pointing_to_jax as _pointing_to_jax
from minijax.random.choices import categorical, choice, permutation
from minijax.random.distributions import (bernoulli, cauchy, exponential, gumbel, laplace, logistic, normal, rademacher,
                                          truncated_normal)
from minijax.random.keys import (PRNGKey, clone, fold_in, key, key_data, key_dtype, key_impl, split, wrap_key_data)
from minijax.random.matrices import orthogonal
from minijax.random.uniform import bits, randint, uniform

__all__ = ["PRNGKey", "bernoulli", "bits", "categorical", "cauchy", "choice", "clone", "exponential", "fold_in",
           "gumbel", "key", "key_data", "key_dtype", "key_impl", "laplace", "logistic", "normal", "orthogonal",
           "permutation", "rademacher", "randint", "split", "truncated_normal", "uniform", "wrap_key_data"]

__getattr__ = _pointing_to_jax("random")
