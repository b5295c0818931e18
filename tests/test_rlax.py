"""minijax.rlax against its mathematics and against RLax: values, gradients, limits, batches, compiled.

All cases run in one program of ours, which NumPy evaluates (some are compiled too), and in one of RLax's: each the
vmap of a function of one example.  The reference goes through the batch one by one.
"""

import functools
import inspect
import types
import warnings

import jax
import jax.numpy as jjnp
import numpy as np
import pytest
import rlax_reference as reference
from error_checks import mistake
from kits import on_numpy  # noqa: F401
from rlax_cases import BATCH, CASES, T, arguments_of

import minijax
import minijax.numpy as jnp
from minijax import config, interop, rlax
from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, ShapeError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what it imports uses names of JAX that are to go
    import rlax as original

ORIGINAL_2020 = """
ArrayLike IDENTITY_PAIR SIGNED_HYPERBOLIC_PAIR SIGNED_LOGP1_PAIR Scalar TxPair add_gaussian_noise
add_ornstein_uhlenbeck_noise batched_index categorical_cross_entropy categorical_double_q_learning
categorical_importance_sampling_ratios categorical_kl_divergence categorical_q_learning categorical_td_learning
clip_gradient discounted_returns double_q_learning dpg_loss entropy_loss epsilon_greedy epsilon_softmax expected_sarsa
gaussian_diagonal general_off_policy_returns_from_action_values general_off_policy_returns_from_q_and_v greedy
huber_loss identity l2_loss lambda_returns likelihood log_loss logit one_hot persistent_q_learning
pixel_control_rewards policy_gradient_loss polynomial_schedule power q_lambda q_learning quantile_q_learning
qv_learning qv_max rank_assert sarsa sarsa_lambda sigmoid signed_expm1 signed_hyperbolic signed_logp1 signed_parabolic
softmax td_lambda td_learning transformed_general_off_policy_returns_from_action_values transformed_lambda_returns
transformed_q_lambda transformed_retrace type_assert vtrace vtrace_td_error_and_advantage
""".split()
ARGUMENTS = arguments_of()


def loss(m, numpy, library, case, flag):
    """Of the floats of one example, a sum that weighs all results differently; and the results."""
    def weighed(floats, others):
        given = {name: {**floats, **others}[name] for name in case.arguments}
        out = case.call(library, **given, **flag)
        return sum(numpy.sum(x * np.cos(np.arange(x.size, dtype=np.float32).reshape(x.shape) + i))
                   for i, x in enumerate(m.tree.leaves(out))), out

    return m.grad(weighed, has_aux=True) if case.differentiable else lambda *given: ({}, weighed(*given)[1])


def program(m, numpy, library, titles, **options):
    """One function of all arguments and the flag that stops gradients: for each case its gradients and its results."""
    def everything(arguments, stop):
        found = {}
        for title in titles:
            case, given = CASES[title], arguments[title]
            floats = {name: x for name, x in given.items() if x.dtype == np.float32 and case.differentiable}
            others = {name: x for name, x in given.items() if name not in floats}
            flag = {case.stop: stop} if case.stop else {}
            found[title] = m.vmap(loss(m, numpy, library, case, flag))(floats, others)
        return found

    return m.jit(everything, **options)


def run(compiled, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RLax's distributions are to go
        return compiled(*arguments)


@functools.cache
def our_program():
    return program(minijax, jnp, rlax, tuple(CASES), static_argnums=1)


@functools.cache
def ours():
    return [our_program()(ARGUMENTS, stop) for stop in (True, False)]


@functools.cache
def theirs():
    compiled = program(jax, jjnp, original, tuple(CASES))
    return [run(compiled, ARGUMENTS, stop) for stop in (True, False)]


def agree(found, expected, context, tolerance=2e-5):
    found, expected = minijax.tree.leaves(found), jax.tree.leaves(expected)
    assert len(found) == len(expected), context
    for x, y in zip(found, expected, strict=True):
        assert x.shape == np.shape(y), (context, x.shape, np.shape(y))
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tolerance, atol=tolerance, err_msg=str(context))


def agree_with_rlax(title, found, expected):
    """Results, their dtypes and gradients are those of RLax; where its gradients are NaN, ours are numbers."""
    (gradient, out), (their_gradient, their_out) = found[title], expected[title]
    tolerance = 1e-3 if title in ROUGH_IN_RLAX else 2e-5
    agree(out, their_out, title, tolerance)
    assert [x.dtype for x in minijax.tree.leaves(out)] == [x.dtype for x in jax.tree.leaves(their_out)], title
    assert gradient.keys() == their_gradient.keys()
    for name in gradient:
        own, their = np.asarray(gradient[name]), np.asarray(their_gradient[name])
        assert np.isfinite(own).all() and (np.isfinite(their).all() or title in INFINITE_IN_RLAX), (title, name)
        agree(np.where(np.isfinite(their), own, 0.0), np.where(np.isfinite(their), their, 0.0), (title, name),
              tolerance)


# Its signed_parabolic subtracts large numbers.
ROUGH_IN_RLAX = ("signed_parabolic", "transformed_retrace", "transformed_q_lambda", "transformed_n_step_q_learning",
                 "transformed_general_off_policy_returns_from_action_values")
# The logarithm of a target that has an atom of no probability has no derivative there.
INFINITE_IN_RLAX = ("categorical_td_learning", "categorical_q_learning", "categorical_double_q_learning")


@pytest.mark.parametrize("title", CASES)
def test_is_what_rlax_gives(title):
    for found, expected in zip(ours(), theirs(), strict=True):
        agree_with_rlax(title, found, expected)


COMPILED = ("q_learning", "n_step_bootstrapped_returns", "vtrace_td_error_and_advantage", "transformed_retrace",
            "epsilon_greedy: sample")


def test_compiled():
    with config.override("evaluator", "xla"):
        found = program(minijax, jnp, rlax, COMPILED, static_argnums=1)(ARGUMENTS, True)
    for title in COMPILED:
        agree_with_rlax(title, found, theirs()[0])


@pytest.mark.parametrize("title", [title for title, case in CASES.items() if case.expected])
def test_is_what_the_mathematics_says(title):
    out = ours()[0][title][1]
    for example in range(BATCH):
        given = {name: x[example].astype(float) if x.dtype == np.float32 else x[example]
                 for name, x in ARGUMENTS[title].items()}
        expected = CASES[title].expected(**given)
        expected = expected if isinstance(expected, tuple) else [expected]
        agree([x[example] for x in minijax.tree.leaves(out)], [np.asarray(x) for x in expected], title, 2e-4)


# ---- limits

def with_arguments(**changes):
    """The values of all cases where arguments are changed: given a value, or a function of the old one."""
    def changed(name, x):
        change = changes.get(name, x)
        return np.asarray(change(x) if callable(change) else np.full_like(x, change), x.dtype)

    given = {title: {name: changed(name, x) for name, x in args.items()} for title, args in ARGUMENTS.items()}
    return {title: out for title, (_, out) in our_program()(given, True).items()}, given


TRAJECTORIES = [title for title, case in CASES.items()
                if {"r_t", "discount_t"} <= case.arguments.keys() and ARGUMENTS[title]["r_t"].ndim == 2]
STEPS = [title for title, case in CASES.items()
         if {"r_t", "discount_t"} <= case.arguments.keys() and ARGUMENTS[title]["r_t"].ndim == 1]


def test_a_discount_of_zero_cuts_a_trajectory():
    cut = 2

    def cut_at(discount):
        return np.where(np.arange(discount.shape[-1]) == cut, 0.0, discount) if discount.ndim > 1 else discount

    def other_later(x):
        return np.concatenate([x[:, :cut + 1], np.flip(x, 0)[:, cut + 1:]], axis=1) if x.ndim > 1 else x

    before, _ = with_arguments(discount_t=cut_at)
    names = {name for title in TRAJECTORIES for name, x in ARGUMENTS[title].items() if x.ndim > 1} - {"discount_t"}
    after, given = with_arguments(discount_t=cut_at, **dict.fromkeys(names, other_later))
    assert len(TRAJECTORIES) > 20
    for title in TRAJECTORIES:
        for x, y in zip(minijax.tree.leaves(before[title]), minijax.tree.leaves(after[title]), strict=True):
            agree(x[:, :cut + 1], y[:, :cut + 1], title, 1e-6)
            assert not np.allclose(x[:, cut + 1:], y[:, cut + 1:]), title


def test_a_discount_of_zero_leaves_the_reward_of_a_step():
    later = ("v_t", "q_t", "q_t_value", "q_t_selector", "q_logits_t", "q_atoms_t", "v_logits_t", "v_atoms_t",
             "dist_q_t", "dist_q_t_selector", "probs_a_t")
    before, _ = with_arguments(discount_t=0.0)
    after, _ = with_arguments(discount_t=0.0, **dict.fromkeys(later, lambda x: np.flip(x, 0)))
    assert len(STEPS) > 10
    for title in STEPS:
        agree(after[title], before[title], title, 1e-6)


def test_lambda_zero_looks_one_step_ahead():
    found, given = with_arguments(lambda_=0.0, lambda_t=0.0)
    for title, steps in (("lambda_returns", 0), ("lambda_returns: one lambda", 0), ("n_step_bootstrapped_returns", 0),
                         ("td_lambda", "v_tm1"), ("truncated_generalized_advantage_estimation", "values"),
                         ("vtrace", "v_tm1")):
        x = given[title]
        v_t = x["values"][:, 1:] if steps == "values" else x["v_t"]
        v_tm1 = x["values"][:, :-1] if steps == "values" else x[steps] if steps else 0.0
        weight = np.minimum(x["rho_tm1"], 1.5) if title == "vtrace" else 1.0
        agree(found[title], weight * (x["r_t"] + x["discount_t"] * v_t - v_tm1), title)
    for title, of_step in (("sarsa_lambda", reference.sarsa), ("q_lambda", reference.q_learning),
                           ("retrace", reference.expected_sarsa)):
        x = given[title] | ({"probs_a_t": given[title]["pi_t"]} if title == "retrace" else {})
        names = inspect.signature(of_step).parameters
        expected = [[of_step(**{name: x[name][b, t] for name in names}) for t in range(T)] for b in range(BATCH)]
        agree(found[title], np.array(expected), title)


def test_lambda_one_goes_to_the_end():
    found, given = with_arguments(lambda_=1.0, lambda_t=1.0)

    def taken(q, a):
        return np.take_along_axis(q, a[..., None], -1)[..., 0]

    for title, values, prediction in (
            ("lambda_returns", lambda x: x["v_t"], lambda x: 0.0),
            ("lambda_returns: one lambda", lambda x: x["v_t"], lambda x: 0.0),
            ("discounted_returns", lambda x: x["v_t"], lambda x: 0.0),
            ("td_lambda", lambda x: x["v_t"], lambda x: x["v_tm1"]),
            ("truncated_generalized_advantage_estimation", lambda x: x["values"], lambda x: x["values"][:, :-1]),
            ("q_lambda", lambda x: x["q_t"].max(-1), lambda x: taken(x["q_tm1"], x["a_tm1"])),
            ("sarsa_lambda", lambda x: taken(x["q_t"], x["a_t"]), lambda x: taken(x["q_tm1"], x["a_tm1"]))):
        x = given[title]
        returns = [reference.discounted_returns(r, discount, v[-1])
                   for r, discount, v in zip(x["r_t"], x["discount_t"], values(x), strict=True)]
        agree(found[title], np.array(returns) - prediction(x), title)


def test_v_trace_on_policy_is_the_return():
    rng = np.random.default_rng(3)
    v, r, discount = rng.normal(size=T + 1), rng.normal(size=T), rng.uniform(size=T)
    found = rlax.vtrace_td_error_and_advantage(*(jnp.asarray(x, jnp.float32) for x in (
        v[:-1], v[1:], r, discount, np.ones(T))))
    expected = np.array(reference.discounted_returns(r, discount, v[-1])) - v[:-1]
    agree(found, (expected, expected, expected + v[:-1]), "on policy")


def test_one_number_stands_for_a_sequence_of_it():
    numbers = {"lambda_", "lambda_t", "discount_factor"}
    found = [(title, name) for title, case in CASES.items() for name in case.arguments.keys() & numbers]
    assert len(found) > 15
    for title, name in found:
        given, length = {key: x[0] for key, x in ARGUMENTS[title].items()}, T - (title == "retrace_continuous")
        flag = {CASES[title].stop: True} if CASES[title].stop else {}
        one, many = (CASES[title].call(rlax, **{**given, name: x}, **flag)
                     for x in (np.float32(0.6), np.full(length, 0.6, np.float32)))
        agree(one, many, title, 1e-6)


# ---- the stopped gradients

@pytest.mark.parametrize("title", [title for title, case in CASES.items() if case.stop])
def test_no_gradient_enters_a_stopped_target(title):
    gradient = ours()[0][title][0]
    predictions = {"v_tm1", "q_tm1", "v_logits_tm1", "q_logits_tm1", "dist_q_tm1", "tau_q_tm1", "logits_t", "w_t",
                   "prob_ratios_t", "q_atoms_tm1", "v_atoms_tm1", "dist_src", "tau_src", "dist_target", "a_t"}
    for name in gradient.keys() - predictions:
        if "advantage" not in title:  # the policy's advantages are the user's to stop
            assert not np.asarray(gradient[name]).any(), (title, name)


def test_the_flag_may_be_traced():
    def gradient(stop):
        return minijax.grad(lambda v: rlax.lambda_returns(jnp.ones(2), jnp.ones(2), v, 1.0, stop).sum())(jnp.ones(2))

    assert minijax.jit(gradient)(True).tolist() == [0.0, 0.0] and minijax.jit(gradient)(False).tolist() == [0.0, 2.0]


# ---- the test itself

def forgets_to_stop(q_tm1, a_tm1, r_t, discount_t, q_t, lambda_, stop_target_gradients=True):
    return rlax.q_lambda(q_tm1, a_tm1, r_t, discount_t, q_t, lambda_, False)


def mixes_the_wrong_way(q_tm1, a_tm1, r_t, discount_t, q_t, lambda_, stop_target_gradients=True):
    return rlax.q_lambda(q_tm1, a_tm1, r_t, discount_t, q_t, 1 - lambda_, stop_target_gradients)


@pytest.mark.parametrize("mutant", [forgets_to_stop, mixes_the_wrong_way])
def test_a_planted_error_is_caught(mutant):
    library = types.SimpleNamespace(q_lambda=mutant)
    found = program(minijax, jnp, library, ("q_lambda",), static_argnums=1)(ARGUMENTS, True)
    with pytest.raises(AssertionError, match="q_lambda"):
        agree_with_rlax("q_lambda", found, theirs()[0])


# ---- names and signatures

def test_all_names_of_the_original_are_there():
    assert set(ORIGINAL_2020) <= set(rlax.__all__)
    untested = {name for name in rlax.__all__ if inspect.isfunction(getattr(rlax, name))}
    untested -= {title.split(":")[0] for title in CASES}
    assert untested == {"compose_tx", "epsilon_softmax", "polynomial_schedule", "rank_assert", "type_assert"}


@pytest.mark.parametrize("name", sorted(set(rlax.__all__) & set(dir(original)) - {"TxPair", "clip_gradient"}))
def test_signature(name):
    function = getattr(rlax, name)
    if not callable(function):
        assert function._fields == getattr(original, name)._fields
        return
    own, their = (inspect.signature(f).parameters for f in (function, getattr(original, name)))
    extra = ["tx_pair"] if name.startswith("transformed") and next(iter(own)) == "tx_pair" else []
    assert list(own) == extra + list(their)
    for parameter in their:
        default = rlax.IDENTITY_PAIR if parameter == "tx_pair" else their[parameter].default
        assert own[parameter].default == default or isinstance(default, type), parameter


@pytest.mark.parametrize("name, parameters", {
    "clip_gradient": "x, gradient_min, gradient_max", "epsilon_softmax": "epsilon, temperature",
    "polynomial_schedule": "init_value, end_value, power, transition_steps, transition_begin=0",
    "rank_assert": "inputs, expected_ranks", "type_assert": "inputs, expected_types"}.items())
def test_signature_of_2020(name, parameters):
    """What RLax has no more, or hides behind a decorator."""
    found = inspect.signature(getattr(rlax, name)).parameters.values()
    assert ", ".join(str(each.replace(annotation=each.empty)) for each in found) == parameters


def test_distributions_have_the_functions_of_rlax():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = [(getattr(rlax, name)(), getattr(original, name)())
                 for name in ("softmax", "clipped_entropy_softmax", "greedy", "epsilon_greedy", "gaussian_diagonal")]
    for own, their in pairs:
        assert own._fields == their._fields
        for field, function, other in zip(own._fields, own, their, strict=True):
            assert (function is None) == (other is None), field
            if function is not None and field != "kl":
                assert list(inspect.signature(function).parameters) == list(inspect.signature(other).parameters), field


# ---- what RLax does not have, or not well

def test_values_may_be_narrower_than_rewards():
    """Returns of bfloat16 values and f32 rewards, which RLax refuses, are f32."""
    x = {name: given[0] for name, given in ARGUMENTS["vtrace"].items()}
    narrow, wide = jnp.asarray(x["v_t"], "bfloat16"), np.asarray(jnp.asarray(x["v_t"], "bfloat16"), np.float32)
    for returns in (lambda v: rlax.lambda_returns(x["r_t"], x["discount_t"], v, x["lambda_"]),
                    lambda v: rlax.n_step_bootstrapped_returns(x["r_t"], x["discount_t"], v, 3),
                    lambda v: rlax.vtrace(x["v_tm1"], v, x["r_t"], x["discount_t"], x["rho_tm1"])):
        assert returns(narrow).dtype == np.float32
        agree(returns(narrow), returns(wide), "narrow values", 0.02)
    cells = {name: given[0] for name, given in ARGUMENTS["pixel_control_loss"].items()}
    halves = {name: jnp.asarray(cells[name], "bfloat16") for name in ("observations", "action_values")}
    assert rlax.pixel_control_loss(**{**cells, **halves, "discount_factor": 0.9}, cell_size=2).dtype == jnp.bfloat16


@pytest.mark.parametrize("p, t, slope", [(0.0, 0.0, -1.0), (1.0, 1.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, -1.0)])
def test_likelihood_of_what_is_certain_has_a_derivative(p, t, slope):
    assert rlax.likelihood(p, t) == float(p == t)
    assert minijax.grad(rlax.likelihood)(p, t) == slope
    assert p != t or minijax.grad(rlax.log_loss)(p, t) == -slope


@pytest.mark.parametrize("function, slope", [
    (rlax.signed_logp1, 1.0), (rlax.signed_expm1, 1.0), (lambda x: rlax.signed_hyperbolic(x, 0.1), 0.6),
    (lambda x: rlax.signed_parabolic(x, 0.1), 1 / 0.6), (lambda x: rlax.power(x, 2.5), 1.0)])
def test_signed_functions_have_a_derivative_at_zero(function, slope):
    found = minijax.vmap(minijax.grad(function))(np.float32([0.0, 1e-6, -1e-6]))
    agree(found, np.float32([slope] * 3), "at zero", 1e-5)


def test_a_lambda_may_be_an_integer_where_rlax_takes_one():
    r_t, values = np.ones(2, np.float32), np.zeros(3, np.float32)
    assert rlax.truncated_generalized_advantage_estimation(r_t, r_t, 1, values).tolist() == [2.0, 1.0]


def test_a_ratio_without_bound_costs_nothing_without_an_advantage():
    ratios, advantages = np.float32([np.inf, 1.0]), np.float32([0.0, 1.0])
    assert rlax.clipped_surrogate_pg_loss(ratios, advantages, 0.2) == -0.5
    assert minijax.grad(rlax.clipped_surrogate_pg_loss)(ratios, advantages, 0.2).tolist() == [0.0, -0.5]


def test_epsilon_softmax():
    logits, policy = np.float32([1.0, 2.0, 0.5]), rlax.epsilon_softmax(0.3, 0.7)
    expected = np.array(reference.explore(reference.softmax(logits / 0.7), 0.3))
    agree((policy.probs(logits), policy.logprob(2, logits), policy.entropy(logits)),
          (expected, np.log(expected[2]), reference.entropy(expected)), "epsilon_softmax")
    drawn = minijax.vmap(policy.sample, in_axes=(0, None))(minijax.random.split(minijax.random.key(0), 4000), logits)
    agree(np.bincount(np.asarray(drawn)) / 4000, expected, "samples", 0.03)


def test_clipped_entropy_softmax_is_softmax_but_for_the_entropy():
    clipped, plain = rlax.clipped_entropy_softmax(0.7), rlax.softmax(0.7)
    key, logits, other = minijax.random.key(0), np.float32([[1.0, 2.0, 0.5]] * 50), np.float32([[0.0, 2.0, 1.0]] * 50)
    agree((clipped.sample(key, logits, None), clipped.probs(logits, None), clipped.kl(logits, other)),
          (plain.sample(key, logits), plain.probs(logits), plain.kl(logits, other)), "clipped", 0.0)


def test_one_hot_has_the_dtype_asked_for():
    marked = rlax.one_hot(np.int32([2, 5]), 3, dtype=np.int32)
    assert marked.dtype == np.int32 and marked.tolist() == [[0, 0, 1], [0, 0, 0]]


def test_polynomial_schedule():
    schedule = minijax.jit(rlax.polynomial_schedule(2.0, 0.5, power=2.0, transition_steps=10, transition_begin=5))
    for count, passed in ((0, 0), (5, 0), (8, 3), (15, 10), (99, 10)):
        np.testing.assert_allclose(schedule(count), 1.5 * (1 - passed / 10) ** 2 + 0.5, rtol=1e-6)


def test_compose_tx():
    pair = rlax.compose_tx(rlax.SIGNED_LOGP1_PAIR, rlax.SIGNED_HYPERBOLIC_PAIR)
    x = np.float32([-3.0, 0.0, 2.0])
    agree(pair.apply(x), original.compose_tx(original.SIGNED_LOGP1_PAIR, original.SIGNED_HYPERBOLIC_PAIR).apply(x), "")
    agree(pair.apply_inv(pair.apply(x)), x, "there and back", 1e-3)


def test_gradients_are_finite_where_probabilities_are_zero():
    labels, logits = np.float32([0.0, 1.0]), np.float32([-np.inf, 0.0])
    gradients = minijax.grad(rlax.categorical_cross_entropy, (0, 1))(labels, np.float32([1.0, 2.0]))
    assert all(np.isfinite(np.asarray(g)).all() for g in gradients)
    assert rlax.categorical_cross_entropy(labels, logits) == 0.0
    assert np.isfinite(np.asarray(minijax.grad(rlax.softmax().entropy)(np.float32([-200.0, 0.0])))).all()
    assert rlax.greedy().entropy(np.float32([1.0, 0.0])) == 0.0


def test_invalid_choices():
    with config.override("check", False):
        assert rlax.categorical_sample(minijax.random.PRNGKey(0), np.float32([np.nan, 1.0])) == -1
    assert rlax.softmax().logprob(5, np.float32([0.0, 1.0])) == -np.inf
    assert rlax.softmax().logprob(-1, np.float32([0.0, 1.0])) == -np.inf


def test_a_gradient_within_the_norm_is_not_clipped():
    small = np.float32([0.3, -0.4, 0.0])
    agree(rlax.dpg_loss(Q, small, 1.5), np.array(reference.dpg_loss(Q, small, 1.5)), "small")
    assert not minijax.grad(lambda dqda: rlax.dpg_loss(Q, dqda, 1.5, False).sum())(Q).any()  # nor NaN


def test_atoms_without_bound_count_as_the_ends():
    projected = rlax.categorical_l2_project(np.float32([-np.inf, np.inf]), np.float32([0.25, 0.75]), np.arange(3.0))
    assert projected.tolist() == [0.25, 0.0, 0.75]


def test_clip_gradient_of_a_tree():
    def weighed(tree):
        clipped = rlax.clip_gradient(tree, -1.0, 1.0)
        return (5.0 * clipped["a"] - 0.5 * clipped["b"]).sum()

    gradient = minijax.grad(weighed)({"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)})
    assert gradient["a"].tolist() == [1.0, 1.0] and gradient["b"].tolist() == [-0.5, -0.5]
    with mistake(DtypeError, "x['b']", "i32[]", bare=True):
        rlax.clip_gradient({"a": 1.0, "b": np.int32(1)}, -1.0, 1.0)


# ---- the rest of RLax, over the bridge

PENALTY = original.LagrangePenalty(np.float32(1.0), 0.1)
POPART = original.PopArtState(np.zeros(3, np.float32), np.ones(3, np.float32), np.ones(3, np.float32))
BRIDGED = {
    "expectile_loss": (lambda p, t: original.expectile_loss(p, t, 0.7), ((4,), (4,))),
    "feature_control_rewards": (original.feature_control_rewards, ((4, 3),)),
    "transform_to_2hot": (lambda x: original.transform_to_2hot(x, -2.0, 2.0, 9), ((4,),)),
    "muzero_pair": (lambda p: original.muzero_pair(-2.0, 2.0, 9, original.SIGNED_HYPERBOLIC_PAIR).apply_inv(p),
                    ((4, 9),)),
    "embed_oar": (lambda f, r: original.embed_oar(f, np.array([1, 0]), r, 3), ((2, 4), (2,))),
    "squashed_gaussian": (lambda m, s: original.squashed_gaussian().entropy(m, s), ((3,), (3,))),
    "mpo": (lambda q: original.mpo_compute_weights_and_temperature_loss(q, PENALTY, lambda x: x)[0], ((6, 2),)),
    "vmpo_loss": (lambda p, a: original.vmpo_loss(p, a, PENALTY, [(p ** 2, PENALTY)])[0], ((6, 2), (6, 2))),
    "popart": (lambda w, y: original.popart(3, 0.1, 1e-4, 1e6)[1]({"w": w, "b": w[0]}, POPART, y, np.arange(3))[0]["w"],
               ((2, 3), (3,))),
    "knn_query": (lambda data, points: original.knn_query(data, points, 2).neighbor_neg_distances, ((6, 2), (3, 2))),
}


def test_the_rest_rides_over_the_bridge():
    rng = np.random.default_rng(1)
    given = {name: [rng.normal(size=shape).astype(np.float32) for shape in shapes]
             for name, (_, shapes) in BRIDGED.items()}

    def derived(m, wrap):
        def everything(given):
            return {name: (wrap(f)(*given[name]),
                           m.grad(lambda *x, f=f: (wrap(f)(*x) ** 2).sum(), tuple(range(len(shapes))))(*given[name]))
                    for name, (f, shapes) in BRIDGED.items()}

        return run(m.jit(everything), given)

    expected = derived(jax, lambda f: f)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(expected))
    agree(derived(minijax, interop.from_jax), expected, "bridge")


# ---- mistakes

Q = np.zeros(3, np.float32)
ONE = np.float32(1)


def test_a_batch_is_told_of_vmap():
    with mistake(ShapeError, "rlax.q_learning takes q_tm1: float[A], got f32[8,3], of rank 2", "test_rlax.py:",
                 "a batch of 8: minijax.vmap(rlax.q_learning)(...)"):
        rlax.q_learning(np.zeros((8, 3), np.float32), np.zeros(8, int), np.zeros(8), np.zeros(8), np.zeros((8, 3)))
    with mistake(ShapeError, "r_t: float[], got f32[8]", "minijax.vmap(rlax.q_learning, in_axes=(None, None, 0, None, "
                 "None))"):
        rlax.q_learning(Q, 0, np.zeros(8, np.float32), ONE, Q)
    with mistake(ShapeError, "lambda_: float[] or float[T], got f32[8,2], of rank 2", "in_axes=(None, None, None, 0)"):
        rlax.lambda_returns(Q, Q, Q, np.zeros((8, 2), np.float32))
    with mistake(ShapeError, "in_axes=(0, 0, 0, None, None))"):  # a flag by keyword: what lies between counts, too
        rlax.lambda_returns(*[np.zeros((8, 3), np.float32)] * 3, stop_target_gradients=True)
    with mistake(ShapeError, "minijax.vmap(rlax.lambda_returns)(...)"):
        rlax.lambda_returns(*[np.zeros((8, 3), np.float32)] * 2, v_t=np.zeros((8, 3), np.float32))
    with mistake(ShapeError, "q_t: float[A], got f32[], of rank 0", "Give it the axes of float[A]"):
        rlax.q_learning(Q, 0, ONE, ONE, ONE)


def test_the_hint_of_vmap_works():
    batch = {name: x for name, x in ARGUMENTS["q_learning"].items()}
    agree(minijax.vmap(rlax.q_learning)(*batch.values()), ours()[0]["q_learning"][1], "the hint", 1e-6)


@pytest.mark.parametrize("call, kind, words", [
    (lambda: rlax.sarsa(Q, 1.0, ONE, ONE, Q, 0), DtypeError, ("a_tm1: int[], got ~f32[]", "int32")),
    (lambda: rlax.td_learning(1, ONE, ONE, ONE), DtypeError, ("v_tm1: float[], got ~i32[]", "1.0")),
    (lambda: rlax.vtrace(Q, Q, Q, Q, Q, sample_mask=Q), DtypeError, ("sample_mask: bool[T], got f32[3]",)),
    (lambda: rlax.q_learning(Q, 0, ONE, ONE, Q[:2]), ShapeError, ("q_t: float[A], got f32[2]; A is 3 in q_tm1",)),
    (lambda: rlax.truncated_generalized_advantage_estimation(Q, Q, 1.0, Q), ShapeError,
     ("values: float[T+1], got f32[3]; T is 3 in r_t",)),
    (lambda: rlax.lambda_returns(Q[:0], Q[:0], Q[:0]), ShapeError, ("got f32[0]", "T is at least 1")),
    (lambda: rlax.td_lambda([1.0], Q, Q, Q, 1.0), MinijaxTypeError, ("rlax.td_lambda: v_tm1", "asarray")),
    (lambda: rlax.n_step_bootstrapped_returns(Q, Q, Q, 0), MinijaxValueError, ("n=0", "at least 1")),
    (lambda: rlax.n_step_bootstrapped_returns(Q, Q, Q, 2.0), MinijaxTypeError, ("n: a whole number, got 2.0",)),
    (lambda: rlax.pixel_control_rewards(np.zeros((2, 4, 4, 1), np.float32), 0), MinijaxValueError, ("cell_size=0",)),
    (lambda: rlax.epsilon_greedy().probs(Q), MinijaxTypeError, ("no epsilon", "epsilon_greedy(0.05)")),
    (lambda: rlax.softmax().probs(np.arange(3)), DtypeError, ("rlax.softmax().probs takes logits: float[..., A]",)),
    (lambda: rlax.polynomial_schedule(1.0, 0.0, 1.0, 0), MinijaxValueError, ("transition_steps=0",)),
    (lambda: rlax.pixel_control_rewards(np.zeros((2, 5, 4, 1), np.float32), 2), ShapeError, ("5 x 4", "Crop")),
    (lambda: rlax.pixel_control_loss(np.zeros((2, 4, 4, 1), np.float32), np.zeros(1, int), np.zeros(
        (2, 1, 2, 3), np.float32), 0.9, 2), ShapeError, ("(2, 2)", "(1, 2)")),
    (lambda: rlax.rank_assert([ONE, Q], [0, {0, 2}]), ShapeError, ("input 1", "f32[3]", "0 or 2")),
    (lambda: rlax.type_assert([1.0, Q], [float, int]), DtypeError, ("input 1", "f32[3]", "expected int")),
    (lambda: rlax.rank_assert([ONE], [0, 1]), MinijaxValueError, ("1 inputs", "2 expected_ranks")),
    (lambda: rlax.q_learning(Q, 0, ONE), MinijaxTypeError, ("q_learning", "discount_t")),
])
def test_mistakes(call, kind, words):
    with mistake(kind, *words, bare=True):
        call()


PROBABILITIES = [
    ("probs_a_t", lambda p: rlax.expected_sarsa(Q[:2], 0, ONE, ONE, Q[:2], p)),
    ("labels", lambda p: rlax.categorical_cross_entropy(p, Q[:2])),
    ("probs", lambda p: rlax.categorical_l2_project(Q[:2], p, Q[:2])),
    ("pi_t", lambda p: rlax.general_off_policy_returns_from_action_values(
        np.zeros((1, 2), np.float32), np.zeros(1, int), Q[:1], Q[:1], Q[:1], p[None])),
]


@pytest.mark.parametrize("name, call", PROBABILITIES)
def test_probabilities_that_are_none(name, call):
    with mistake(MinijaxValueError, name, "sum to 1.2", "test_rlax.py:", "softmax"):
        call(np.float32([0.5, 0.7]))
    with mistake(MinijaxValueError, name, "the probability -0.5", "not negative"):
        call(np.float32([-0.5, 1.5]))
    with mistake(MinijaxValueError, name, "sum to nan"):
        call(np.float32([np.nan, 1.0]))
    right, wrong = np.float32([0.25, 0.75]), np.float32([0.5, 0.7])
    call(right)
    minijax.jit(call)(wrong)  # not known while tracing
    with mistake(MinijaxValueError, name, "sum to 1.2", bare=True):
        minijax.vmap(call, in_axes=1)(np.stack([right, wrong], axis=1))
    with mistake(MinijaxValueError, name, "sum to 1.2", bare=True):
        minijax.vmap(minijax.grad(lambda p: jnp.sum(call(p))))(np.stack([right, wrong]))
    minijax.vmap(minijax.vmap(call, in_axes=1))(np.stack([[right, right]] * 3).swapaxes(1, 2))
    with config.override("check", False):
        call(np.float32([0.5, 0.7]))
