"""What helps with modules: summaries, graphs, stacks of layers; and names that Haiku keeps here too.

    summary.py       eval_summary, tabulate          calls.py   which module made an equation
    dot.py           to_dot, abstract_to_dot         costs.py   operations by module
    jaxpr_info.py    programs as trees of modules    layer_stack.py, keys.py, shapes.py, settings.py
"""

from minijax.haiku.experimental import jaxpr_info
from minijax.haiku.experimental.calls import ArraySpec, ModuleDetails
from minijax.haiku.experimental.dot import abstract_to_dot, to_dot
from minijax.haiku.experimental.keys import optimize_rng_use
from minijax.haiku.experimental.layer_stack import LayerStackTransparencyMapping, layer_stack
from minijax.haiku.experimental.settings import check_jax_usage, module_auto_repr, rng_reserve_size
from minijax.haiku.experimental.shapes import fast_eval_shape
from minijax.haiku.experimental.summary import MethodInvocation, eval_summary, tabulate
from minijax.haiku.keys import maybe_get_rng_sequence_state, replace_rng_sequence_state
from minijax.haiku.lift import (LiftWithStateUpdater, lift, lift_with_state, transparent_lift,
                                transparent_lift_with_state)
from minijax.haiku.module import MethodContext, current_name, force_name, intercept_methods, name_like, name_scope
from minijax.haiku.parameters import (DO_NOT_STORE, GetterContext, custom_creator, custom_getter, get_current_state,
                                      get_initial_state, get_params)
from minijax.haiku.tables import parameter_table

ParamContext = GetterContext

__all__ = ["ArraySpec", "DO_NOT_STORE", "GetterContext", "LayerStackTransparencyMapping", "LiftWithStateUpdater",
           "MethodContext", "MethodInvocation", "ModuleDetails", "ParamContext", "abstract_to_dot", "check_jax_usage",
           "current_name", "custom_creator", "custom_getter", "eval_summary", "fast_eval_shape", "force_name",
           "get_current_state", "get_initial_state", "get_params", "intercept_methods", "jaxpr_info", "layer_stack",
           "lift", "lift_with_state", "maybe_get_rng_sequence_state", "module_auto_repr", "name_like", "name_scope",
           "optimize_rng_use", "parameter_table", "replace_rng_sequence_state", "rng_reserve_size", "tabulate",
           "to_dot", "transparent_lift", "transparent_lift_with_state"]
