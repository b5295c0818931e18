"""Haiku for minijax: modules, and the transforms that make pure functions of what they do.

    frames.py       the frame of one call: the handler of modules, and the names
    module.py       Module, names, interceptors
    parameters.py   get_parameter, get_state, set_state; creators, getters, setters
    keys.py         random keys
    transforms.py   transform and its relatives
    lift.py         parameters of pure functions, lifted
    stateful.py     minijax's transforms under Haiku's names

    initializers.py, pad.py                    how parameters begin; paddings
    linear.py, embedding.py, attention.py      layers of matrices
    conv.py, conv_transpose.py, depthwise.py   convolutions (kernels.py, data_format.py: what they share)
    pool.py, reshape.py, functions.py          layers without parameters
    combine.py, deferred.py                    layers made of others
    batch_norm.py, layer_norm.py, ...          norms and moving averages
    recurrent*.py                              recurrent cores, what wraps them, unrolls
    nets/                                      whole networks

    data_structures.py, saving.py, tables.py   parameters as data, in files, as tables (storage.py: file formats)
    mixed_precision.py, testing.py             policies of dtypes; trying a function at once
    experimental/                              summaries, graphs, stacks of layers
"""

from types import ModuleType

from minijax.effects.taps import collect, perturb, tap
from minijax.haiku import config, data_structures, experimental, initializers, mixed_precision, nets, pad, testing
from minijax.haiku.attention import MultiHeadAttention
from minijax.haiku.batch_norm import BatchNorm
from minijax.haiku.combine import BatchApply, Sequential, expand_apply, to_module
from minijax.haiku.conv import Conv1D, Conv2D, Conv3D, ConvND
from minijax.haiku.conv_transpose import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose, ConvNDTranspose
from minijax.haiku.data_format import get_channel_index
from minijax.haiku.deferred import Deferred
from minijax.haiku.depthwise import DepthwiseConv1D, DepthwiseConv2D, DepthwiseConv3D, SeparableDepthwiseConv2D
from minijax.haiku.embedding import Embed, EmbedLookupStyle
from minijax.haiku.experimental.dot import to_dot
from minijax.haiku.experimental.layer_stack import LayerStackTransparencyMapping, layer_stack
from minijax.haiku.functions import dropout, multinomial, one_hot
from minijax.haiku.keys import (MissingRNGError, PRNGSequence, maybe_get_rng_sequence_state, maybe_next_rng_key,
                                next_rng_key, next_rng_keys, replace_rng_sequence_state, reserve_rng_keys, with_rng)
from minijax.haiku.layer_norm import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from minijax.haiku.lift import (LiftWithStateUpdater, lift, lift_with_state, transparent_lift,
                                transparent_lift_with_state)
from minijax.haiku.linear import Bias, Linear
from minijax.haiku.module import (MethodContext, Module, ModuleProtocol, SupportsCall, current_name, force_name,
                                  intercept_methods, name_like, name_scope, transparent)
from minijax.haiku.moving_averages import EMAParamsTree, ExponentialMovingAverage
from minijax.haiku.parameters import (DO_NOT_STORE, GetterContext, SetterContext, custom_creator, custom_getter,
                                      custom_setter, get_current_state, get_initial_state, get_parameter, get_params,
                                      get_state, running_init, set_state)
from minijax.haiku.pool import AvgPool, MaxPool, avg_pool, max_pool
from minijax.haiku.recurrent import RNNCore, dynamic_unroll, static_unroll
from minijax.haiku.recurrent_cores import GRU, LSTM, Conv1DLSTM, Conv2DLSTM, Conv3DLSTM, LSTMState, VanillaRNN
from minijax.haiku.recurrent_wrappers import DeepRNN, IdentityCore, ResetCore, deep_rnn_with_skip_connections
from minijax.haiku.reshape import Flatten, Reshape
from minijax.haiku.saving import load, save
from minijax.haiku.spectral_norm import SNParamsTree, SpectralNorm
from minijax.haiku.stateful import (cond, eval_shape, fori_loop, grad, jit, map, remat, scan, switch, value_and_grad,
                                    vmap, while_loop)
from minijax.haiku.transforms import (MultiTransformed, MultiTransformedWithState, MutableParams, MutableState,
                                      NonEmptyStateError, Params, State, Transformed, TransformedWithState,
                                      multi_transform, multi_transform_with_state, transform, transform_with_state,
                                      with_empty_state, without_apply_rng, without_state)

_MODULES = config, data_structures, experimental, initializers, mixed_precision, nets, pad, testing
__all__ = [name for name, value in globals().items() if not name.startswith("_") and (
    not isinstance(value, ModuleType) or value in _MODULES) and name != "ModuleType"]
