"""Haiku for minijax: modules, and the transforms that make pure functions of what they do.

    frames.py       the frame of one call: the handler of modules, and the names
    module.py       Module, names, interceptors
    parameters.py   get_parameter, get_state, set_state; creators, getters, setters
    keys.py         random keys
    transforms.py   transform and its relatives
    lift.py         parameters of pure functions, lifted
    stateful.py     minijax's transforms under Haiku's names
"""

from types import ModuleType

from minijax.effects.taps import collect, perturb, tap
from minijax.haiku import config
from minijax.haiku.keys import (MissingRNGError, PRNGSequence, maybe_get_rng_sequence_state, maybe_next_rng_key,
                                next_rng_key, next_rng_keys, replace_rng_sequence_state, reserve_rng_keys, with_rng)
from minijax.haiku.lift import (LiftWithStateUpdater, lift, lift_with_state, transparent_lift,
                                transparent_lift_with_state)
from minijax.haiku.module import (MethodContext, Module, ModuleProtocol, SupportsCall, current_name, force_name,
                                  intercept_methods, name_like, name_scope, transparent)
from minijax.haiku.parameters import (DO_NOT_STORE, GetterContext, SetterContext, custom_creator, custom_getter,
                                      custom_setter, get_current_state, get_initial_state, get_parameter, get_params,
                                      get_state, running_init, set_state)
from minijax.haiku.stateful import (cond, eval_shape, fori_loop, grad, map, remat, scan, switch, value_and_grad, vmap,
                                    while_loop)
from minijax.haiku.transforms import (MultiTransformed, MultiTransformedWithState, MutableParams, MutableState,
                                      NonEmptyStateError, Params, State, Transformed, TransformedWithState,
                                      multi_transform, multi_transform_with_state, transform, transform_with_state,
                                      with_empty_state, without_apply_rng, without_state)

__all__ = [name for name, value in globals().items() if not name.startswith("_") and (
    not isinstance(value, ModuleType) or value is config) and name != "ModuleType"]
