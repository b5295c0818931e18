"""Spectral normalization: a matrix divided by its largest singular value, found by power iteration over the calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import minijax.numpy as jnp
from minijax import lax
from minijax.haiku.initializers import RandomNormal
from minijax.haiku.module import Module
from minijax.haiku.moving_averages import map_parameters
from minijax.haiku.parameters import get_state, set_state
from minijax.haiku.refusals import refusal

__all__ = ["SNParamsTree", "SpectralNorm"]


class SpectralNorm(Module):
    """Divides a matrix by an estimate of its largest singular value.

    State: `u0` (shape [1, columns], an estimate of the right singular vector) and `sigma` (the singular value, a
    scalar).  Each call improves the estimate by `n_steps` steps of power iteration.
    Source: Miyato and others, "Spectral Normalization for Generative Adversarial Networks", 2018
    (arxiv.org/abs/1802.05957).

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> f = hk.transform_with_state(lambda x: hk.SpectralNorm(n_steps=9)(x))
    >>> params, state = f.init(random.key(0), jnp.diag(jnp.array([4.0, 1.0])))
    >>> normalized, state = f.apply(params, state, None, jnp.diag(jnp.array([4.0, 1.0])))
    >>> jnp.round(normalized, 3)
    Array([[1.  , 0.  ],
           [0.  , 0.25]], dtype=float32)
    """

    def __init__(self, eps: float = 1e-4, n_steps: int = 1, name: str | None = None):
        """`eps` keeps vectors of length 0 from dividing by 0; `n_steps` is the number of steps for each call."""
        super().__init__(name=name)
        if n_steps < 1:
            raise refusal(self, f"`n_steps` is {n_steps}, but the singular value takes at least one step",
                          "Pass n_steps=1 or more.")
        self.eps = eps
        self.n_steps = n_steps

    def __call__(self, value: Any, update_stats: bool = True, error_on_non_matrix: bool = False) -> Any:
        """`value` divided by its largest singular value; without `update_stats` the state stays as it was.

        Of more than two axes all but the last count as rows, unless `error_on_non_matrix` forbids it.
        Raises `MinijaxValueError` for scalars and vectors.
        """
        value = jnp.asarray(value)
        self._check_matrix(value, error_on_non_matrix)
        matrix = value.reshape(-1, value.shape[-1])
        right = get_state("u0", (1, matrix.shape[-1]), matrix.dtype, init=RandomNormal())
        for _ in range(self.n_steps):
            left = self._unit(jnp.matmul(right, matrix.T))
            right = self._unit(jnp.matmul(left, matrix))
        left, right = lax.stop_gradient(left), lax.stop_gradient(right)
        sigma = jnp.matmul(jnp.matmul(left, matrix), right.T)[0, 0]
        if update_stats:
            set_state("u0", right)
            set_state("sigma", sigma)
        return value / sigma

    def _unit(self, vector: Any) -> Any:
        return vector * lax.rsqrt((vector * vector).sum(keepdims=True) + self.eps)

    def _check_matrix(self, value: Any, only_matrices: bool) -> None:
        if value.ndim < 2:
            raise refusal(self, "Spectral normalization is not well defined for scalar or vector inputs, got shape "
                          f"{value.shape}", "Leave biases and scales out, by ignore_regex in SNParamsTree.")
        if value.ndim > 2 and only_matrices:
            raise refusal(self, f"Input is {value.ndim}D but error_on_non_matrix is True: shape {value.shape}",
                          "Reshape it to a matrix.")

    @property
    def u0(self) -> Any:
        """The estimate of the right singular vector, of shape [1, columns]."""
        return get_state("u0")

    @property
    def sigma(self) -> Any:
        """The estimate of the largest singular value, a scalar; 1 before the first call."""
        return get_state("sigma", (), init=jnp.ones)


class SNParamsTree(Module):
    """Spectral normalization of every parameter of a network: takes parameters, gives them in the same tree.

    State: that of a `SpectralNorm` for each parameter, under its path with `__` for `/`.

    >>> import minijax.haiku as hk
    >>> from minijax import random
    >>> f = hk.transform_with_state(lambda params: hk.SNParamsTree(ignore_regex=".*b$")(params))
    >>> _, state = f.init(random.key(0), {"linear": {"w": jnp.eye(2), "b": jnp.zeros(2)}})
    >>> sorted(state)
    ['sn_params_tree/linear__w']
    """

    def __init__(self, eps: float = 1e-4, n_steps: int = 1, ignore_regex: str = "", name: str | None = None):
        """As `SpectralNorm`; parameters whose path begins with a match of `ignore_regex` stay."""
        super().__init__(name=name)
        self.eps = eps
        self.n_steps = n_steps
        self.ignore_regex = ignore_regex

    def __call__(self, tree: Mapping[str, Mapping[str, Any]], update_stats: bool = True) -> dict[str, dict[str, Any]]:
        """The parameters normalized; without `update_stats` the state stays as it was."""
        def normalize(path: str, value: Any) -> Any:
            name = path.replace("/", "__").replace("~", "_tilde")
            return SpectralNorm(self.eps, self.n_steps, name=name)(value, update_stats=update_stats)

        return map_parameters(self, normalize, tree)
