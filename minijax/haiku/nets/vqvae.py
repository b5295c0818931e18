"""Vector quantization: each vector replaced by the nearest of a learned set, with a gradient that goes straight past.

Source: van den Oord, Vinyals, Kavukcuoglu, "Neural Discrete Representation Learning", 2017 (arxiv.org/abs/1711.00937).
`VectorQuantizer` learns its vectors by a loss, `VectorQuantizerEMA` (appendix A of the paper) by moving averages.
"""

from __future__ import annotations

from typing import Any

import minijax.numpy as jnp
from minijax import lax, nn
from minijax.haiku.initializers import VarianceScaling
from minijax.haiku.module import Module
from minijax.haiku.moving_averages import ExponentialMovingAverage
from minijax.haiku.parameters import get_parameter, get_state, set_state
from minijax.haiku.refusals import refusal

__all__ = ["VectorQuantizer", "VectorQuantizerEMA"]


class _Quantizer(Module):
    """What both quantizers share; a subclass has `embeddings`, of shape [embedding_dim, num_embeddings]."""

    def __init__(self, embedding_dim: int, num_embeddings: int, commitment_cost: float, dtype: Any,
                 cross_replica_axis: str | None, name: str | None):
        super().__init__(name=name)
        self.embedding_dim = embedding_dim
        self.num_embeddings = num_embeddings
        self.commitment_cost = commitment_cost
        self.cross_replica_axis = cross_replica_axis
        self.dtype = dtype

    def quantize(self, encoding_indices: Any) -> Any:
        """The embeddings with these numbers, along a new last axis."""
        return self.embeddings.swapaxes(1, 0)[encoding_indices]


def _nearest(module: _Quantizer, inputs: Any) -> dict[str, Any]:
    """For each vector of `inputs` the number of the nearest embedding: all of it that both quantizers give."""
    if inputs.shape[-1:] != (module.embedding_dim,):
        raise refusal(module, f"the last axis of the inputs should have size embedding_dim={module.embedding_dim}, got "
                      f"shape {inputs.shape}", "Put the vectors along the last axis.")
    vectors, embeddings = inputs.reshape(-1, module.embedding_dim), module.embeddings
    distances = (jnp.sum(jnp.square(vectors), 1, keepdims=True) - 2 * jnp.matmul(vectors, embeddings)
                 + jnp.sum(jnp.square(embeddings), 0, keepdims=True))
    indices = jnp.argmax(-distances, 1)
    encodings = nn.one_hot(indices, module.num_embeddings, dtype=distances.dtype)
    shares = jnp.mean(encodings, 0)
    if module.cross_replica_axis:
        shares = lax.pmean(shares, module.cross_replica_axis)
    return {"perplexity": jnp.exp(-jnp.sum(shares * jnp.log(shares + 1e-10))), "encodings": encodings,
            "encoding_indices": indices.reshape(inputs.shape[:-1]), "distances": distances}


def _mean_square(x: Any) -> Any:
    return jnp.mean(jnp.square(x))


def _straight_through(inputs: Any, quantized: Any) -> Any:
    """The quantized vectors, with the gradient of the inputs."""
    return inputs + lax.stop_gradient(quantized - inputs)


class VectorQuantizer(_Quantizer):
    """Replaces each vector along the last axis by the nearest of `num_embeddings` vectors, which a loss teaches.

    Parameter: `embeddings`, of shape [embedding_dim, num_embeddings].

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> f = hk.transform(lambda x: hk.nets.VectorQuantizer(2, 5, commitment_cost=0.25)(x, is_training=True))
    >>> x = jnp.ones((3, 4, 2))
    >>> found = f.apply(f.init(random.key(0), x), None, x)
    >>> found["quantize"].shape, found["encoding_indices"].shape
    ((3, 4, 2), (3, 4))
    """

    def __init__(self, embedding_dim: int, num_embeddings: int, commitment_cost: float, dtype: Any = jnp.float32,
                 name: str | None = None, cross_replica_axis: str | None = None):
        """`commitment_cost` is the weight in the loss of inputs that move to their embeddings (beta in the paper).

        `cross_replica_axis` names a mapped axis over which the perplexity is that of all.
        """
        super().__init__(embedding_dim, num_embeddings, commitment_cost, dtype, cross_replica_axis, name)

    @property
    def embeddings(self) -> Any:
        """The vectors, as columns."""
        return get_parameter("embeddings", (self.embedding_dim, self.num_embeddings), self.dtype,
                             init=VarianceScaling(distribution="uniform"))

    def __call__(self, inputs: Any, is_training: bool) -> dict[str, Any]:
        """What was found for `inputs` of shape [..., embedding_dim], which count as N vectors.

        `quantize` (like the inputs, with their gradient), `loss`, `perplexity` (scalars), `encodings` (one-hot,
        [N, num_embeddings]), `encoding_indices` ([...]) and `distances` ([N, num_embeddings], squared).
        Raises `MinijaxValueError` for another last axis.
        """
        inputs = jnp.asarray(inputs)
        found = _nearest(self, inputs)
        quantized = self.quantize(found["encoding_indices"])
        commitment = _mean_square(lax.stop_gradient(quantized) - inputs)
        loss = _mean_square(quantized - lax.stop_gradient(inputs)) + self.commitment_cost * commitment
        return {"quantize": _straight_through(inputs, quantized), "loss": loss, **found}


class VectorQuantizerEMA(_Quantizer):
    """Replaces each vector along the last axis by the nearest of `num_embeddings` vectors, which are moving averages.

    An embedding is the average of the inputs that were nearest to it, so no optimizer has to teach it.
    State: `embeddings`, of shape [embedding_dim, num_embeddings], and the averages `~/ema_cluster_size` and `~/ema_dw`.

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> def f(x):
    ...     return hk.nets.VectorQuantizerEMA(2, 5, commitment_cost=0.25, decay=0.9)(x, is_training=True)
    >>> params, state = hk.transform_with_state(f).init(random.key(0), jnp.ones((3, 2)))
    >>> state["vector_quantizer_ema"]["embeddings"].shape
    (2, 5)
    """

    def __init__(self, embedding_dim: int, num_embeddings: int, commitment_cost: float, decay: float,
                 epsilon: float = 1e-5, dtype: Any = jnp.float32, cross_replica_axis: str | None = None,
                 name: str | None = None):
        """As `VectorQuantizer`; `decay` is that of the averages, `epsilon` keeps unused embeddings from dividing by 0.

        `cross_replica_axis` names a mapped axis whose examples share the averages too.
        """
        super().__init__(embedding_dim, num_embeddings, commitment_cost, dtype, cross_replica_axis, name)
        if not 0 <= decay <= 1:
            raise refusal(self, f"decay must be in range [0, 1], got {decay}", "Slow averages use 0.99 or more.")
        self.decay = decay
        self.epsilon = epsilon
        self._ema_cluster_size = ExponentialMovingAverage(decay, name="ema_cluster_size")
        self._ema_dw = ExponentialMovingAverage(decay, name="ema_dw")

    @property
    def embeddings(self) -> Any:
        """The vectors, as columns."""
        return get_state("embeddings", (self.embedding_dim, self.num_embeddings), self.dtype,
                         init=VarianceScaling(distribution="uniform"))

    @property
    def ema_cluster_size(self) -> ExponentialMovingAverage:
        """The average number of inputs at each embedding."""
        self._ema_cluster_size.initialize((self.num_embeddings,), self.dtype)
        return self._ema_cluster_size

    @property
    def ema_dw(self) -> ExponentialMovingAverage:
        """The average sum of the inputs at each embedding."""
        self._ema_dw.initialize((self.embedding_dim, self.num_embeddings), self.dtype)
        return self._ema_dw

    def __call__(self, inputs: Any, is_training: bool) -> dict[str, Any]:
        """As `VectorQuantizer` gives it; the loss has only the commitment.  `is_training` updates the averages."""
        inputs = jnp.asarray(inputs)
        found = _nearest(self, inputs)
        quantized = self.quantize(found["encoding_indices"])
        loss = self.commitment_cost * _mean_square(lax.stop_gradient(quantized) - inputs)
        if is_training:
            self._update(inputs.reshape(-1, self.embedding_dim), found["encodings"])
        return {"quantize": _straight_through(inputs, quantized), "loss": loss, **found}

    def _update(self, vectors: Any, encodings: Any) -> None:
        """Count in a batch of vectors [N, embedding_dim] and where they belong [N, num_embeddings]."""
        sizes, sums = jnp.sum(encodings, axis=0), jnp.matmul(vectors.T, encodings)
        if self.cross_replica_axis:
            sizes, sums = lax.psum((sizes, sums), self.cross_replica_axis)
        sizes, sums = self.ema_cluster_size(sizes), self.ema_dw(sums)
        total = jnp.sum(sizes)
        sizes = (sizes + self.epsilon) / (total + self.num_embeddings * self.epsilon) * total
        set_state("embeddings", sums / sizes.reshape(1, -1))
