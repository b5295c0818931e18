"""Building blocks of reinforcement learning, as `rlax`: pure functions of one example or one trajectory.

    value_learning        errors of one step: TD, Sarsa, Q-learning and their kin
    trajectory_learning   errors of a trajectory: the lambda forms and Retrace
    distributional        losses of distributions of returns: categorical and quantile
    multistep, vtrace     returns of trajectories, and V-trace
    bellman, transforms   values in a squashed form
    policy_gradients      losses of policies
    distributions         policies: softmax, greedy, epsilon-greedy, Gaussian; categorical: their arithmetic
    losses, clipping, exploration, indexing, pixel_control, schedules, asserts

Names end in _tm1 for time t-1 and in _t for time t.  Batches are for `minijax.vmap`.  Other functions of RLax come in
by `minijax.interop.from_jax`.
"""

from types import ModuleType as _ModuleType

from minijax.rlax.asserts import rank_assert, type_assert
from minijax.rlax.bellman import (HYPERBOLIC_SIN_PAIR, IDENTITY_PAIR, SIGNED_HYPERBOLIC_PAIR, SIGNED_LOGP1_PAIR,
                                  TxPair, compose_tx, transformed_general_off_policy_returns_from_action_values,
                                  transformed_lambda_returns, transformed_n_step_q_learning,
                                  transformed_n_step_returns, transformed_q_lambda, transformed_retrace)
from minijax.rlax.categorical import (categorical_cross_entropy, categorical_importance_sampling_ratios,
                                      categorical_kl_divergence, categorical_sample)
from minijax.rlax.clipping import clip_gradient, huber_loss
from minijax.rlax.distributional import (categorical_double_q_learning, categorical_l2_project, categorical_q_learning,
                                         categorical_td_learning, quantile_expected_sarsa, quantile_q_learning,
                                         quantile_regression_loss)
from minijax.rlax.distributions import (ContinuousDistribution, DiscreteDistribution, clipped_entropy_softmax,
                                        epsilon_greedy, epsilon_softmax, gaussian_diagonal, greedy,
                                        multivariate_normal_kl_divergence, softmax)
from minijax.rlax.exploration import add_gaussian_noise, add_ornstein_uhlenbeck_noise
from minijax.rlax.indexing import batched_index, one_hot
from minijax.rlax.losses import l2_loss, likelihood, log_loss
from minijax.rlax.multistep import (discounted_returns, general_off_policy_returns_from_action_values,
                                    general_off_policy_returns_from_q_and_v, lambda_returns,
                                    n_step_bootstrapped_returns, truncated_generalized_advantage_estimation)
from minijax.rlax.pixel_control import pixel_control_loss, pixel_control_rewards
from minijax.rlax.policy_gradients import (clipped_surrogate_pg_loss, dpg_loss, entropy_loss, policy_gradient_loss,
                                           qpg_loss, rm_loss, rpg_loss)
from minijax.rlax.schedules import polynomial_schedule
from minijax.rlax.trajectory_learning import q_lambda, retrace, retrace_continuous, sarsa_lambda, td_lambda
from minijax.rlax.transforms import (identity, logit, power, sigmoid, signed_expm1, signed_hyperbolic, signed_logp1,
                                     signed_parabolic)
from minijax.rlax.value_learning import (double_q_learning, expected_sarsa, persistent_q_learning, q_learning,
                                         qv_learning, qv_max, sarsa, td_learning)
from minijax.rlax.vtrace import (VTraceOutput, leaky_vtrace, leaky_vtrace_td_error_and_advantage, vtrace,
                                 vtrace_td_error_and_advantage)
from minijax.typing import ArrayLike

Scalar = float | int

__all__ = sorted(name for name, value in globals().items()
                 if not name.startswith("_") and not isinstance(value, _ModuleType))
