"""Calls of minijax.rlax with random arguments, each with the same call of its reference.

A case calls a function of any library that has RLax's names: ours, RLax, or a mutant of ours.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import rlax_reference as reference

BATCH, T, A, K, L, D = 3, 5, 4, 6, 5, 3


def floats(*shape):
    return lambda rng: rng.normal(size=(BATCH, *shape)).astype(np.float32)


def probs(*shape):
    return lambda rng: rng.dirichlet(np.ones(shape[-1]), size=(BATCH, *shape[:-1])).astype(np.float32)


def between(low, high, *shape):
    return lambda rng: rng.uniform(low, high, size=(BATCH, *shape)).astype(np.float32)


def choices(*shape, below=A):
    return lambda rng: rng.integers(0, below, size=(BATCH, *shape)).astype(np.int32)


def ascending(*shape):
    return lambda rng: np.sort(rng.normal(size=(BATCH, *shape)), axis=-1).astype(np.float32)


def mask(*shape):
    return lambda rng: rng.random(size=(BATCH, *shape)) < 0.7


def keys(rng):
    return rng.integers(0, 2**32, size=(BATCH, 2), dtype=np.uint32)


class Case(NamedTuple):
    """What to call, with what, and what it should give; `stop` names the flag that stops gradients."""

    name: str
    arguments: dict[str, Callable[[Any], Any]]
    call: Callable[..., Any]
    expected: Callable[..., Any] | None
    stop: str | None = None
    differentiable: bool = True


CASES: dict[str, Case] = {}
STOP, USE = "stop_target_gradients", "use_stop_gradient"


def case(title, arguments, stop=None, call=None, expected=None, differentiable=True, **options):
    """Add the function that the title begins with; `call` and `expected` for other forms than keyword arguments."""
    name = title.split(":")[0]
    call = call or (lambda library, **given: getattr(library, name)(**given, **options))
    expected = expected or functools.partial(getattr(reference, name), **options)
    CASES[title] = Case(name, arguments, call, expected, stop, differentiable)


STEP = {"a_tm1": choices(), "r_t": floats(), "discount_t": between(0, 1)}
Q_STEP = {"q_tm1": floats(A), **STEP}
case("td_learning", {"v_tm1": floats(), "r_t": floats(), "discount_t": between(0, 1), "v_t": floats()}, STOP)
case("sarsa", {**Q_STEP, "q_t": floats(A), "a_t": choices()}, STOP)
case("expected_sarsa", {**Q_STEP, "q_t": floats(A), "probs_a_t": probs(A)}, STOP)
case("q_learning", {**Q_STEP, "q_t": floats(A)}, STOP)
case("double_q_learning", {**Q_STEP, "q_t_value": floats(A), "q_t_selector": floats(A)}, STOP)
case("persistent_q_learning", {**Q_STEP, "q_t": floats(A), "action_gap_scale": between(0, 1)}, STOP)
case("qv_learning", {**Q_STEP, "v_t": floats()}, STOP)
case("qv_max", {"v_tm1": floats(), "r_t": floats(), "discount_t": between(0, 1), "q_t": floats(A)}, STOP)

EARNED = {"r_t": floats(T), "discount_t": between(0, 1, T)}
V_STEPS = {**EARNED, "v_t": floats(T)}
LAMBDA = {"lambda_": between(0, 1, T)}
Q_STEPS = {"q_tm1": floats(T, A), "a_tm1": choices(T), **EARNED, "q_t": floats(T, A)}
OFF_POLICY = {"q_t": floats(T, A), "a_t": choices(T), **EARNED, "pi_t": probs(T, A)}
RETRACE = {**Q_STEPS, **OFF_POLICY, "mu_t": between(0.1, 1, T)}
case("lambda_returns", {**V_STEPS, **LAMBDA}, STOP)
case("lambda_returns: one lambda", {**V_STEPS, "lambda_": between(0, 1)}, STOP)
case("n_step_bootstrapped_returns", {**V_STEPS, "lambda_t": between(0, 1, T)}, STOP, n=3)
case("n_step_bootstrapped_returns: more than there are", V_STEPS, STOP, n=T + 2)
case("discounted_returns", V_STEPS, STOP)
case("discounted_returns: one value", {**EARNED, "v_t": floats()}, STOP)
case("truncated_generalized_advantage_estimation", {**EARNED, **LAMBDA, "values": floats(T + 1)}, STOP)
case("general_off_policy_returns_from_action_values", {**OFF_POLICY, "c_t": between(0, 2, T)}, STOP)
case("general_off_policy_returns_from_q_and_v", {**V_STEPS, "q_t": floats(T - 1), "c_t": between(0, 2, T - 1)}, STOP)
case("td_lambda", {**V_STEPS, **LAMBDA, "v_tm1": floats(T)}, STOP)
case("sarsa_lambda", {**Q_STEPS, "a_t": choices(T), **LAMBDA}, STOP)
case("q_lambda", {**Q_STEPS, **LAMBDA}, STOP)
case("retrace", {**RETRACE, "lambda_": between(0, 1)}, STOP, eps=0.1)
case("retrace_continuous", {**V_STEPS, "q_tm1": floats(T), "q_t": floats(T - 1), "log_rhos": floats(T - 1),
                            "lambda_": between(0, 1)}, STOP)

V_TRACE = {"v_tm1": floats(T), **V_STEPS, "rho_tm1": between(0, 2, T), **LAMBDA}
case("vtrace", V_TRACE, STOP, clip_rho_threshold=1.5)
case("vtrace: masked", {**V_TRACE, "sample_mask": mask(T)}, STOP)
case("leaky_vtrace", {**V_TRACE, "alpha_": between(0, 1), "sample_mask": mask(T)}, STOP, clip_rho_threshold=1.5)
case("vtrace_td_error_and_advantage", {**V_TRACE, "sample_mask": mask(T)}, STOP, clip_pg_rho_threshold=1.5)
case("leaky_vtrace_td_error_and_advantage", {**V_TRACE, "alpha": between(0, 1)}, STOP, clip_pg_rho_threshold=1.5)


def transformed(title, arguments, pair, apply, apply_inv, squashed, **options):
    """A function of values that the pair squashes: its reference is squashed around the plain one."""
    plain = getattr(reference, {"transformed_n_step_returns": "n_step_bootstrapped_returns"}.get(
        title, title.removeprefix("transformed_")))
    order = list(arguments)

    def call(library, **given):
        flag = given.pop(STOP)
        return getattr(library, title)(getattr(library, pair), *[given[name] for name in order], **options,
                                       **{STOP: flag})

    def expected(**given):
        return apply(np.array(plain(**{**given, squashed: apply_inv(given[squashed])}, **options)))

    case(title, arguments, STOP, call, expected)


def transformed_error(title, arguments, targets, **options):
    """An error of squashed values: the target's reference minus the action's value."""
    def call(library, **given):
        return getattr(library, title)(**given, **options, tx_pair=library.SIGNED_HYPERBOLIC_PAIR)

    def expected(q_tm1, a_tm1, **given):
        found = reference.signed_hyperbolic(np.array(targets(**given, **options)))
        return reference.minus_taken(found, q_tm1, a_tm1)

    case(title, arguments, STOP, call, expected)


def retrace_targets(q_t, a_t, r_t, discount_t, pi_t, mu_t, lambda_, eps):
    weights = reference.retrace_weights(a_t, pi_t, mu_t, lambda_, eps)
    return reference.general_off_policy_returns_from_action_values(
        reference.signed_parabolic(q_t), a_t, r_t, discount_t, weights, pi_t)


def q_lambda_targets(r_t, discount_t, q_t, lambda_):
    return reference.lambda_returns(r_t, discount_t, reference.signed_parabolic(q_t.max(axis=1)), lambda_)


def n_step_targets(target_q_t, a_t, r_t, discount_t, n):
    values = reference.signed_parabolic([q[a] for q, a in zip(target_q_t, a_t)])
    return reference.n_step_bootstrapped_returns(r_t, discount_t, values, n)


transformed("transformed_lambda_returns", {**V_STEPS, **LAMBDA}, "SIGNED_LOGP1_PAIR", reference.signed_logp1,
            reference.signed_expm1, "v_t")
transformed("transformed_n_step_returns", V_STEPS, "HYPERBOLIC_SIN_PAIR", np.arcsinh, np.sinh, "v_t", n=2)
transformed("transformed_general_off_policy_returns_from_action_values",
            {name: {**OFF_POLICY, "c_t": between(0, 2, T)}[name]
             for name in ("q_t", "a_t", "r_t", "discount_t", "c_t", "pi_t")},
            "SIGNED_HYPERBOLIC_PAIR", reference.signed_hyperbolic, reference.signed_parabolic, "q_t")
transformed_error("transformed_q_lambda", {**Q_STEPS, **LAMBDA}, q_lambda_targets)
transformed_error("transformed_retrace", {**RETRACE, "lambda_": between(0, 1)}, retrace_targets, eps=0.1)
transformed_error("transformed_n_step_q_learning",
                  {"q_tm1": floats(T, A), "a_tm1": choices(T), **EARNED, "target_q_t": floats(T, A), "a_t": choices(T)},
                  n_step_targets, n=2)

ATOMS = {"q_atoms_tm1": ascending(K), "q_logits_tm1": floats(A, K), **STEP, "q_atoms_t": ascending(L),
         "q_logits_t": floats(A, L)}
QUANTILES = {"dist_q_tm1": floats(K, A), "tau_q_tm1": between(0, 1, K), **STEP, "dist_q_t": floats(L, A)}
SAMPLES = {"dist_src": floats(K), "tau_src": between(0, 1, K), "dist_target": floats(L)}
case("categorical_l2_project", {"z_p": floats(L), "probs": probs(L), "z_q": ascending(K)})
case("categorical_td_learning", {"v_atoms_tm1": ascending(K), "v_logits_tm1": floats(K), "r_t": floats(),
                                 "discount_t": between(0, 1), "v_atoms_t": ascending(L), "v_logits_t": floats(L)}, STOP)
case("categorical_q_learning", ATOMS, STOP)
case("categorical_double_q_learning", {**ATOMS, "q_t_selector": floats(A)}, STOP)
case("quantile_regression_loss", SAMPLES, STOP)
case("quantile_regression_loss: Huber", SAMPLES, STOP, huber_param=0.7)
case("quantile_q_learning", {**QUANTILES, "dist_q_t_selector": floats(K, A)}, STOP, huber_param=0.7)
case("quantile_expected_sarsa", {**QUANTILES, "probs_a_t": probs(A)}, STOP, huber_param=0.7)

POLICY = {"logits_t": floats(T, A)}
case("dpg_loss", {"a_t": floats(A), "dqda_t": floats(A)}, USE)
case("dpg_loss: clipped", {"a_t": floats(A), "dqda_t": floats(A)}, USE, dqda_clipping=1.5)
case("policy_gradient_loss", {**POLICY, "a_t": choices(T), "adv_t": floats(T), "w_t": between(0, 1, T)}, USE)
case("entropy_loss", {**POLICY, "w_t": between(0, 1, T)})
case("qpg_loss", {**POLICY, "q_t": floats(T, A)}, USE)
case("rm_loss", {**POLICY, "q_t": floats(T, A)}, USE)
case("rpg_loss", {**POLICY, "q_t": floats(T, A)}, USE)
case("clipped_surrogate_pg_loss", {"prob_ratios_t": between(0.5, 1.5, T), "adv_t": floats(T)}, USE, epsilon=0.2)

PAIR = {"p_logits": floats(T, A), "q_logits": floats(T, A)}
case("categorical_cross_entropy", {"labels": probs(T, A), "logits": floats(T, A)})
case("categorical_kl_divergence", PAIR, temperature=0.7)
case("categorical_importance_sampling_ratios",
     {"pi_logits_t": floats(T, A), "mu_logits_t": floats(T, A), "a_t": choices(T)})
case("multivariate_normal_kl_divergence",
     {"mu_0": floats(D), "sigma_0": between(0.5, 2, D), "mu_1": floats(D), "sigma_1": between(0.5, 2, D)})


def policy(title, build, method, arguments, expected=None, differentiable=True):
    """A function of a distribution, whose arguments are given by place; samples have RLax alone to agree with."""
    CASES[title] = Case(title, arguments, lambda library, **given: getattr(build(library), method)(*given.values()),
                        expected and (lambda **given: expected(*given.values())), None, differentiable)


PREFERENCES = {"preferences": floats(T, A)}
EPSILON = {**PREFERENCES, "epsilon": between(0.1, 0.9)}
SAMPLE, KEY = {"sample": choices(T)}, {"key": keys}
NORMAL = {"mu": floats(D), "sigma": between(0.5, 2, D)}


def policies(title, build, arguments, probs_of, differentiable=True):
    """All that a distribution over a list can do, given the probabilities for one row."""
    def of_rows(function):
        return lambda preferences, *rest: [function(probs_of(row, *rest)) for row in preferences]

    def logprob(sample, preferences, *rest):
        with np.errstate(divide="ignore"):
            return [np.log(probs_of(row, *rest)[a]) for row, a in zip(preferences, sample)]

    policy(f"{title}: sample", build, "sample", {**KEY, **arguments}, differentiable=False)
    policy(f"{title}: probs", build, "probs", arguments, of_rows(np.array), differentiable)
    policy(f"{title}: logprob", build, "logprob", {**SAMPLE, **arguments}, logprob, differentiable)
    policy(f"{title}: entropy", build, "entropy", arguments, of_rows(reference.entropy), differentiable)


policies("softmax", lambda library: library.softmax(0.7), PREFERENCES, lambda row: reference.softmax(row / 0.7))
policies("greedy", lambda library: library.greedy(), PREFERENCES, reference.best, differentiable=False)
policies("epsilon_greedy", lambda library: library.epsilon_greedy(), EPSILON,
         lambda row, epsilon: reference.explore(reference.best(row), epsilon))
policy("softmax: kl", lambda library: library.softmax(0.7), "kl", PAIR,
       lambda p, q: reference.categorical_kl_divergence(p, q, 0.7))
policy("clipped_entropy_softmax: entropy", lambda library: library.clipped_entropy_softmax(0.7, 0.6), "entropy",
       PREFERENCES, lambda x: [min(reference.entropy(reference.softmax(row / 0.7)), 0.6 * np.log(A)) for row in x])
policy("clipped_entropy_softmax: logprob", lambda library: library.clipped_entropy_softmax(0.7, 0.6), "logprob",
       {**SAMPLE, **PREFERENCES}, lambda a, x: [np.log(reference.softmax(row / 0.7)[i]) for i, row in zip(a, x)])
policy("gaussian_diagonal: sample", lambda library: library.gaussian_diagonal(), "sample", {**KEY, **NORMAL})
policy("gaussian_diagonal: prob", lambda library: library.gaussian_diagonal(), "prob", {"sample": floats(D), **NORMAL},
       lambda *given: np.exp(reference.normal_log_density(*given)))
policy("gaussian_diagonal: logprob", lambda library: library.gaussian_diagonal(), "logprob",
       {"sample": floats(D), **NORMAL}, reference.normal_log_density)
policy("gaussian_diagonal: one sigma", lambda library: library.gaussian_diagonal(0.5), "logprob",
       {"sample": floats(D), "mu": floats(D)}, lambda x, mu: reference.normal_log_density(x, mu, [0.5] * D))
policy("gaussian_diagonal: entropy", lambda library: library.gaussian_diagonal(), "entropy", NORMAL,
       reference.normal_entropy)
policy("gaussian_diagonal: kl", lambda library: library.gaussian_diagonal(), "kl",
       {"mu_0": floats(D), "sigma_0": between(0.5, 2, D), "mu_1": floats(D), "sigma_1": between(0.5, 2, D)},
       reference.multivariate_normal_kl_divergence)
policy("gaussian_diagonal: kl_to_standard_normal", lambda library: library.gaussian_diagonal(),
       "kl_to_standard_normal", NORMAL,
       lambda mu, sigma: reference.multivariate_normal_kl_divergence(mu, sigma, [0.0] * D, [1.0] * D))


def samples(title, arguments, differentiable=True, **options):
    """A function that draws: RLax alone says what."""
    CASES[title] = Case(title, arguments, lambda library, **given: getattr(library, title)(**given, **options), None,
                        None, differentiable)


samples("categorical_sample", {**KEY, "probs": probs(T, A)}, differentiable=False)
samples("add_gaussian_noise", {**KEY, "action": floats(A), "stddev": between(0, 1)})
samples("add_ornstein_uhlenbeck_noise", {**KEY, "action": floats(A), "noise_tm1": floats(A), "damping": between(0, 1),
                                         "stddev": between(0, 1)})

for name in ("identity", "sigmoid", "signed_logp1", "signed_expm1", "signed_hyperbolic", "signed_parabolic"):
    case(name, {"x": floats(T)})
case("logit", {"x": between(0.1, 0.9, T)})
case("power", {"x": floats(T), "p": between(0.3, 3)}, call=lambda library, x, p: library.power(x, p),
     expected=lambda x, p: reference.power(x, p))
case("huber_loss", {"x": floats(T), "delta": between(0.2, 1)}, expected=lambda x, delta: reference.huber_loss(x, delta))
case("l2_loss", {"predictions": floats(T), "targets": floats(T)})
case("l2_loss: no targets", {"predictions": floats(T)})
for name in ("likelihood", "log_loss"):
    case(name, {"predictions": between(0.1, 0.9, T), "targets": between(0, 1, T)})
case("clip_gradient", {"x": floats(T)}, call=lambda library, x: library.clip_gradient(x, -0.3, 0.5),
     expected=lambda x: x)
case("batched_index", {"values": floats(T, A), "indices": choices(T)},
     expected=lambda values, indices: [row[i] for row, i in zip(values, indices)])
case("batched_index: keepdims", {"values": floats(T, A), "indices": choices(T)}, keepdims=True,
     expected=lambda values, indices: [[row[i]] for row, i in zip(values, indices)])
case("one_hot", {"indices": choices(T, below=A + 2)}, num_classes=A, differentiable=False,
     expected=lambda indices: [[float(i == k) for k in range(A)] for i in indices])
PICTURES = {"observations": between(0, 1, T + 1, 4, 6, 2)}
case("pixel_control_rewards", PICTURES, cell_size=2)
CELLS = {**PICTURES, "actions": choices(T), "action_values": floats(T + 1, 2, 3, A)}
case("pixel_control_loss", {**CELLS, "discount_factor": between(0, 1, T)}, cell_size=2)


def arguments_of(seed=0):
    """Random arguments for every case, each a batch."""
    rng = np.random.default_rng(seed)
    return {title: {name: make(rng) for name, make in each.arguments.items()} for title, each in CASES.items()}
