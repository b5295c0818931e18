"""Optimizers: chains that end with the learning rate."""

from __future__ import annotations

from typing import Any

from minijax.optix.additions import add_decayed_weights, add_noise
from minijax.optix.checks import scalar_or_schedule
from minijax.optix.moments import scale_by_adam, scale_by_rms, scale_by_stddev, trace
from minijax.optix.scaling import scale_by_learning_rate
from minijax.optix.transformation import Chain, GradientTransformation, chain, identity


def sgd(learning_rate: Any, momentum: Any = None, nesterov: bool = False, accumulator_dtype: Any = None) -> Chain:
    """Steps down the gradient, with momentum if asked for.

    `learning_rate` is a number, a scalar array or a schedule; the others are `trace`'s.

    >>> import minijax.numpy as jnp
    >>> descent = sgd(0.5)
    >>> print(descent.update(jnp.float32(3.0), descent.init(jnp.float32(0.0)))[0])
    -1.5
    """
    return chain(optional_trace(momentum, nesterov, accumulator_dtype), step_of("sgd", learning_rate))


def noisy_sgd(learning_rate: Any, eta: Any = 0.01, gamma: Any = 0.55, key: Any = None, *,
              seed: int | None = None) -> Chain:
    """Steps down a gradient with noise added; the arguments are `add_noise`'s.

    >>> noisy_sgd(0.1, key=1)
    chain(add_noise, scale)
    """
    return chain(add_noise(eta, gamma, key, seed=seed), step_of("noisy_sgd", learning_rate))


def adam(learning_rate: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0,
         mu_dtype: Any = None, *, nesterov: bool = False) -> Chain:
    """Adam (Kingma and Ba, 2015): `learning_rate` is a number, a scalar array or a schedule; for the rest see
    `scale_by_adam`.

    >>> adam(0.001)
    chain(scale_by_adam, scale)
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov), step_of("adam", learning_rate))


def adamw(learning_rate: Any, b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, eps_root: Any = 0.0,
          mu_dtype: Any = None, weight_decay: Any = 1e-4, mask: Any = None, *, nesterov: bool = False) -> Chain:
    """Adam with weight decay beside the gradient (Loshchilov and Hutter, 2019); its update needs the parameters.

    For the arguments see `adam` and `add_decayed_weights`.

    >>> adamw(0.001)
    chain(scale_by_adam, add_decayed_weights, scale)
    """
    return chain(scale_by_adam(b1, b2, eps, eps_root, mu_dtype, nesterov=nesterov),
                 add_decayed_weights(weight_decay, mask), step_of("adamw", learning_rate))


def rmsprop(learning_rate: Any, decay: Any = 0.9, eps: Any = 1e-8, initial_scale: Any = 0.0, eps_in_sqrt: bool = True,
            centered: bool = False, momentum: Any = None, nesterov: bool = False,
            bias_correction: bool = False) -> Chain:
    """RMSProp (Hinton, 2012), or its centred form (Graves, 2013), with momentum on the steps if asked for.

    `learning_rate` is a number, a scalar array or a schedule; for the rest see `scale_by_rms` and `trace`.

    >>> rmsprop(0.001, centered=True, momentum=0.9)
    chain(scale_by_stddev, scale, trace)
    """
    scaled = scale_by_stddev if centered else scale_by_rms
    return chain(scaled(decay, eps, initial_scale, eps_in_sqrt, bias_correction), step_of("rmsprop", learning_rate),
                 optional_trace(momentum, nesterov))


def optional_trace(momentum: Any, nesterov: bool, accumulator_dtype: Any = None) -> GradientTransformation:
    """`trace`, or the identity for a momentum of None.

    >>> optional_trace(None, False)
    identity
    """
    return identity() if momentum is None else trace(momentum, nesterov, accumulator_dtype)


def step_of(who: str, learning_rate: Any) -> GradientTransformation:
    """The last stage of an optimizer; its errors name the optimizer.

    >>> step_of("sgd", 0.1)
    scale
    """
    scalar_or_schedule(who, "learning_rate", learning_rate, least=0)
    return scale_by_learning_rate(learning_rate)
