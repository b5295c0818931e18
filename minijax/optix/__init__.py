"""Optimizers as chains of gradient transformations.

    optimizer = optix.chain(optix.clip_by_global_norm(1.0), optix.adam(1e-3))
    state = optimizer.init(params)
    updates, state = optimizer.update(gradients, state, params)
    params = optix.apply_updates(params, updates)

Names, arguments and numbers are those of optax, which grew from a module of this name; `from_optax` brings the rest.

    transformation.py  what it is, and chain     moments.py   Adam, RMSProp, momentum    scaling.py  scale, clip
    optimizers.py      ready-made chains         additions.py weight decay, noise        masks.py    some parameters
    schedules.py       learning rates in time    hyperparameters.py  kept in the state   updates.py  applied
    explain.py         one update as a table     bridge.py    from optax                 checks.py   what is refused
"""

from types import ModuleType as _ModuleType

from minijax.optix.additions import AddNoiseState, WeightDecaySchedule, add_decayed_weights, add_noise
from minijax.optix.bridge import from_optax
from minijax.optix.explain import Explanation, explain_update
from minijax.optix.hyperparameters import (InjectHyperparamsState, InjectStatefulHyperparamsState,
                                           WrappedScheduleState, inject_hyperparams)
from minijax.optix.masks import MaskedNode, MaskedState, masked
from minijax.optix.moments import (ScaleByAdamState, ScaleByRmsState, ScaleByRmsWithCountState, ScaleByRStdDevState,
                                   ScaleByRStdDevWithCountState, TraceState, scale_by_adam, scale_by_rms,
                                   scale_by_stddev, trace)
from minijax.optix.optimizers import adam, adamw, noisy_sgd, rmsprop, sgd
from minijax.optix.scaling import (ApplyEvery, ClipByGlobalNormState, ClipState, ScaleByScheduleState, ScaleState,
                                   Schedule, apply_every, clip, clip_by_global_norm, global_norm, scale,
                                   scale_by_learning_rate, scale_by_schedule)
from minijax.optix.schedules import (constant_schedule, cosine_decay_schedule, exponential_decay, join_schedules,
                                     linear_schedule, piecewise_constant_schedule, polynomial_schedule,
                                     warmup_constant_schedule, warmup_cosine_decay_schedule,
                                     warmup_exponential_decay_schedule)
from minijax.optix.transformation import (Chain, EmptyState, GradientTransformation, GradientTransformationExtraArgs,
                                          InitUpdate, chain, identity, init_empty_state, set_to_zero)
from minijax.optix.updates import apply_updates, incremental_update, periodic_update

__all__ = sorted(name for name, value in globals().items()
                 if not name.startswith("_") and not isinstance(value, _ModuleType))
