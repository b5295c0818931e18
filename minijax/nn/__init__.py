"""Functions of neural networks, as `jax.nn`.

    activations   relu, gelu, softplus, ..., elementwise
    normalize     softmax, logsumexp, standardize, one_hot: along axes
    initializers  how weights begin
"""

from minijax.nn import initializers
from minijax.nn.activations import (celu, elu, gelu, glu, hard_sigmoid, hard_silu, hard_swish, hard_tanh, identity,
                                    leaky_relu, log1mexp, log_sigmoid, mish, relu, relu6, selu, sigmoid, silu,
                                    soft_sign, softplus, sparse_plus, sparse_sigmoid, squareplus, swish)
from minijax.nn.normalize import log_softmax, logmeanexp, logsumexp, one_hot, softmax, standardize
from minijax.numpy import tanh
from minijax.numpy.missing import pointing_to_jax as _pointing_to_jax

__all__ = ["celu", "elu", "gelu", "glu", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "identity",
           "initializers", "leaky_relu", "log1mexp", "log_sigmoid", "log_softmax", "logmeanexp", "logsumexp", "mish",
           "one_hot", "relu", "relu6", "selu", "sigmoid", "silu", "soft_sign", "softmax", "softplus", "sparse_plus",
           "sparse_sigmoid", "squareplus", "standardize", "swish", "tanh"]

__getattr__ = _pointing_to_jax("nn")
