"""The functions of minijax.rlax written from their mathematics: one number at a time, in Python, with 64-bit floats.

Returns are written as the sums and mixtures that define them, not as the recursions that the library runs.
"""

import math

import numpy as np


# ---- one step

def td_learning(v_tm1, r_t, discount_t, v_t):
    return r_t + discount_t * v_t - v_tm1


def sarsa(q_tm1, a_tm1, r_t, discount_t, q_t, a_t):
    return td_learning(q_tm1[a_tm1], r_t, discount_t, q_t[a_t])


def expected_sarsa(q_tm1, a_tm1, r_t, discount_t, q_t, probs_a_t):
    return td_learning(q_tm1[a_tm1], r_t, discount_t, sum(p * q for p, q in zip(probs_a_t, q_t)))


def q_learning(q_tm1, a_tm1, r_t, discount_t, q_t):
    return td_learning(q_tm1[a_tm1], r_t, discount_t, max(q_t))


def double_q_learning(q_tm1, a_tm1, r_t, discount_t, q_t_value, q_t_selector):
    best = max(range(len(q_t_selector)), key=lambda a: q_t_selector[a])
    return td_learning(q_tm1[a_tm1], r_t, discount_t, q_t_value[best])


def persistent_q_learning(q_tm1, a_tm1, r_t, discount_t, q_t, action_gap_scale):
    value = (1 - action_gap_scale) * max(q_t) + action_gap_scale * q_t[a_tm1]
    return td_learning(q_tm1[a_tm1], r_t, discount_t, value)


def qv_learning(q_tm1, a_tm1, r_t, discount_t, v_t):
    return td_learning(q_tm1[a_tm1], r_t, discount_t, v_t)


def qv_max(v_tm1, r_t, discount_t, q_t):
    return td_learning(v_tm1, r_t, discount_t, max(q_t))


# ---- returns

def n_steps(t, n, r_t, discount_t, v_t):
    """The rewards of n steps from time t, and the value where they end; fewer steps at the end of the trajectory."""
    total, weight = 0.0, 1.0
    for k in range(t, min(t + n, len(r_t))):
        total += weight * r_t[k]
        weight *= discount_t[k]
    return total + weight * v_t[min(t + n, len(r_t)) - 1]


def lambda_return(t, n, r_t, discount_t, v_t, lambdas):
    """A mixture of all returns of 1 to n steps: of k steps with weight lambda_1 ... lambda_{k-1} (1 - lambda_k)."""
    last = min(n, len(r_t) - t)
    total, weight = 0.0, 1.0
    for k in range(1, last):
        total += weight * (1 - lambdas[t + k - 1]) * n_steps(t, k, r_t, discount_t, v_t)
        weight *= lambdas[t + k - 1]
    return total + weight * n_steps(t, last, r_t, discount_t, v_t)


def lambda_returns(r_t, discount_t, v_t, lambda_=1.0):
    lambdas = np.broadcast_to(lambda_, len(r_t))
    return [lambda_return(t, len(r_t), r_t, discount_t, v_t, lambdas) for t in range(len(r_t))]


def n_step_bootstrapped_returns(r_t, discount_t, v_t, n, lambda_t=1.0):
    lambdas = np.broadcast_to(lambda_t, len(r_t))
    return [lambda_return(t, n, r_t, discount_t, v_t, lambdas) for t in range(len(r_t))]


def discounted_returns(r_t, discount_t, v_t):
    values = np.broadcast_to(v_t, len(r_t))
    return [n_steps(t, len(r_t), r_t, discount_t, values) for t in range(len(r_t))]


def truncated_generalized_advantage_estimation(r_t, discount_t, lambda_, values):
    lambdas = np.broadcast_to(lambda_, len(r_t))
    found = []
    for t in range(len(r_t)):
        total, weight = 0.0, 1.0
        for k in range(t, len(r_t)):
            total += weight * (r_t[k] + discount_t[k] * values[k + 1] - values[k])
            weight *= discount_t[k] * lambdas[k]
        found.append(total)
    return found


def general_off_policy_returns_from_q_and_v(q_t, v_t, r_t, discount_t, c_t):
    """Each return is q + a sum of differences; here from the states' side: r + discount v, corrected step by step."""
    length = len(r_t)
    found = []
    for t in range(length):
        total, weight = 0.0, 1.0
        for k in range(t, length):
            total += weight * (r_t[k] + discount_t[k] * v_t[k])
            if k < length - 1:
                weight *= discount_t[k] * c_t[k]
                total -= weight * q_t[k]
        found.append(total)
    return found


def general_off_policy_returns_from_action_values(q_t, a_t, r_t, discount_t, c_t, pi_t):
    taken = [q_t[t][a_t[t]] for t in range(len(r_t) - 1)]
    expected = [sum(p * q for p, q in zip(pi_t[t], q_t[t])) for t in range(len(r_t))]
    return general_off_policy_returns_from_q_and_v(taken, expected, r_t, discount_t, c_t[:-1])


# ---- errors of trajectories

def minus_taken(targets, q_tm1, a_tm1):
    return [target - q_tm1[t][a_tm1[t]] for t, target in enumerate(targets)]


def td_lambda(v_tm1, r_t, discount_t, v_t, lambda_):
    return np.array(lambda_returns(r_t, discount_t, v_t, lambda_)) - v_tm1


def sarsa_lambda(q_tm1, a_tm1, r_t, discount_t, q_t, a_t, lambda_):
    values = [q_t[t][a_t[t]] for t in range(len(r_t))]
    return minus_taken(lambda_returns(r_t, discount_t, values, lambda_), q_tm1, a_tm1)


def q_lambda(q_tm1, a_tm1, r_t, discount_t, q_t, lambda_):
    return minus_taken(lambda_returns(r_t, discount_t, [max(q) for q in q_t], lambda_), q_tm1, a_tm1)


def retrace_weights(a_t, pi_t, mu_t, lambda_, eps):
    return [min(1.0, pi_t[t][a] / (mu_t[t] + eps)) * np.broadcast_to(lambda_, len(a_t))[t] for t, a in enumerate(a_t)]


def retrace(q_tm1, q_t, a_tm1, a_t, r_t, discount_t, pi_t, mu_t, lambda_, eps):
    weights = retrace_weights(a_t, pi_t, mu_t, lambda_, eps)
    targets = general_off_policy_returns_from_action_values(q_t, a_t, r_t, discount_t, weights, pi_t)
    return minus_taken(targets, q_tm1, a_tm1)


def retrace_continuous(q_tm1, q_t, v_t, r_t, discount_t, log_rhos, lambda_):
    weights = [min(1.0, math.exp(x)) * lambda_ for x in log_rhos]
    return np.array(general_off_policy_returns_from_q_and_v(q_t, v_t, r_t, discount_t, weights)) - q_tm1


# ---- V-trace

def leaky_vtrace(v_tm1, v_t, r_t, discount_t, rho_tm1, alpha_=1.0, lambda_=1.0, clip_rho_threshold=1.0,
                 sample_mask=None):
    """The sum of weighted differences that defines the target, over the steps that the mask leaves."""
    length = len(r_t)
    lambdas, mask = np.broadcast_to(lambda_, length), np.ones(length, bool) if sample_mask is None else sample_mask

    def leaky(rho, threshold):
        return (1 - alpha_) * rho + alpha_ * min(rho, threshold)

    found = []
    for t in range(length):
        total, weight = 0.0, 1.0
        for k in (k for k in range(t, length) if mask[k]):
            total += weight * leaky(rho_tm1[k], clip_rho_threshold) * (r_t[k] + discount_t[k] * v_t[k] - v_tm1[k])
            weight *= discount_t[k] * lambdas[k] * leaky(rho_tm1[k], 1.0)
        found.append(total)
    return np.array(found)


def vtrace(*args, **kwargs):
    return leaky_vtrace(*args, **kwargs)


def leaky_vtrace_td_error_and_advantage(v_tm1, v_t, r_t, discount_t, rho_tm1, alpha=1.0, lambda_=1.0,
                                        clip_rho_threshold=1.0, clip_pg_rho_threshold=1.0, sample_mask=None):
    errors = leaky_vtrace(v_tm1, v_t, r_t, discount_t, rho_tm1, alpha, lambda_, clip_rho_threshold, sample_mask)
    lambdas, values, advantages = np.broadcast_to(lambda_, len(r_t)), [], []
    for t in range(len(r_t)):
        following = v_t[t]
        if t < len(r_t) - 1:
            following = lambdas[t] * (errors[t + 1] + v_tm1[t + 1]) + (1 - lambdas[t]) * v_tm1[t + 1]
        values.append(r_t[t] + discount_t[t] * following)
        ratio = (1 - alpha) * rho_tm1[t] + alpha * min(rho_tm1[t], clip_pg_rho_threshold)
        advantages.append(ratio * (values[t] - v_tm1[t]))
    return errors, advantages, values


def vtrace_td_error_and_advantage(**kwargs):
    return leaky_vtrace_td_error_and_advantage(**kwargs)


# ---- distributions over lists

def softmax(logits):
    exps = [math.exp(x - max(logits)) for x in logits]
    return [x / sum(exps) for x in exps]


def rows(function, *arrays, **options):
    """A function of rows along the last axis, for each row."""
    arrays = [np.asarray(array) for array in arrays]
    if arrays[0].ndim == 1:
        return function(*arrays, **options)
    return np.array([rows(function, *row, **options) for row in zip(*arrays, strict=True)])


def entropy(probs):
    return -sum(p * math.log(p) for p in probs if p > 0)


def explore(probs, epsilon):
    return [(1 - epsilon) * p + epsilon / len(probs) for p in probs]


def best(preferences):
    ties = sum(p == max(preferences) for p in preferences)
    return [1.0 / ties if p == max(preferences) else 0.0 for p in preferences]


def categorical_cross_entropy(labels, logits):
    return rows(lambda p, q: -sum(x * math.log(y) for x, y in zip(p, softmax(q))), labels, logits)


def categorical_kl_divergence(p_logits, q_logits, temperature=1.0):
    def divergence(p, q):
        p, q = softmax(p / temperature), softmax(q / temperature)
        return sum(x * math.log(x / y) for x, y in zip(p, q))

    return rows(divergence, p_logits, q_logits)


def categorical_importance_sampling_ratios(pi_logits_t, mu_logits_t, a_t):
    return [softmax(pi)[a] / softmax(mu)[a] for pi, mu, a in zip(pi_logits_t, mu_logits_t, a_t)]


def normal_log_density(x, mu, sigma):
    return sum(-0.5 * ((a - m) / s) ** 2 - math.log(s * math.sqrt(2 * math.pi)) for a, m, s in zip(x, mu, sigma))


def normal_entropy(mu, sigma):
    return sum(0.5 * math.log(2 * math.pi * math.e * s * s) for s in sigma)


def multivariate_normal_kl_divergence(mu_0, sigma_0, mu_1, sigma_1):
    return sum(math.log(t / s) + (s * s + (m - n) ** 2) / (2 * t * t) - 0.5
               for m, s, n, t in zip(mu_0, sigma_0, mu_1, sigma_1))


# ---- distributional learning

def categorical_l2_project(z_p, probs, z_q):
    """Each atom's probability goes to the two atoms around it, the nearer one gets more."""
    found = [0.0] * len(z_q)
    for z, p in zip(z_p, probs):
        z = min(max(z, z_q[0]), z_q[-1])
        above = next(i for i, q in enumerate(z_q) if q >= z)
        if z_q[above] == z:
            found[above] += p
        else:
            part = (z - z_q[above - 1]) / (z_q[above] - z_q[above - 1])
            found[above] += p * part
            found[above - 1] += p * (1 - part)
    return found


def categorical_td_learning(v_atoms_tm1, v_logits_tm1, r_t, discount_t, v_atoms_t, v_logits_t):
    target = categorical_l2_project(r_t + discount_t * v_atoms_t, softmax(v_logits_t), v_atoms_tm1)
    return categorical_cross_entropy(target, v_logits_tm1)


def categorical_double_q_learning(q_atoms_tm1, q_logits_tm1, a_tm1, r_t, discount_t, q_atoms_t, q_logits_t,
                                  q_t_selector):
    chosen = q_logits_t[int(np.argmax(q_t_selector))]
    return categorical_td_learning(q_atoms_tm1, q_logits_tm1[a_tm1], r_t, discount_t, q_atoms_t, chosen)


def categorical_q_learning(q_atoms_tm1, q_logits_tm1, a_tm1, r_t, discount_t, q_atoms_t, q_logits_t):
    means = [sum(p * z for p, z in zip(softmax(logits), q_atoms_t)) for logits in q_logits_t]
    return categorical_double_q_learning(q_atoms_tm1, q_logits_tm1, a_tm1, r_t, discount_t, q_atoms_t, q_logits_t,
                                         means)


def quantile_regression_loss(dist_src, tau_src, dist_target, huber_param=0.0):
    total = 0.0
    for source, tau in zip(dist_src, tau_src):
        for target in dist_target:
            error = target - source
            size = huber_loss(error, huber_param) if huber_param else abs(error)
            total += ((1 - tau) if error < 0 else tau) * size / len(dist_target)
    return total


def quantile_q_learning(dist_q_tm1, tau_q_tm1, a_tm1, r_t, discount_t, dist_q_t_selector, dist_q_t, huber_param=0.0):
    chosen = int(np.argmax([sum(column) for column in dist_q_t_selector.T]))
    return quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, r_t + discount_t * dist_q_t[:, chosen],
                                    huber_param)


def quantile_expected_sarsa(dist_q_tm1, tau_q_tm1, a_tm1, r_t, discount_t, dist_q_t, probs_a_t, huber_param=0.0):
    return sum(p * quantile_regression_loss(dist_q_tm1[:, a_tm1], tau_q_tm1, r_t + discount_t * dist_q_t[:, a],
                                            huber_param) for a, p in enumerate(probs_a_t))


# ---- policies

def dpg_loss(a_t, dqda_t, dqda_clipping=None):
    norm = math.sqrt(sum(x * x for x in dqda_t))
    scale = 1.0 if dqda_clipping is None or norm <= dqda_clipping else dqda_clipping / norm
    return [0.5 * (scale * x) ** 2 for x in dqda_t]


def policy_gradient_loss(logits_t, a_t, adv_t, w_t):
    terms = [w * adv * math.log(softmax(logits)[a]) for logits, a, adv, w in zip(logits_t, a_t, adv_t, w_t)]
    return -sum(terms) / len(terms)


def entropy_loss(logits_t, w_t):
    return -sum(w * entropy(softmax(logits)) for logits, w in zip(logits_t, w_t)) / len(w_t)


def advantages_of(logits, values):
    mean = sum(p * q for p, q in zip(softmax(logits), values))
    return [q - mean for q in values]


def qpg_loss(logits_t, q_t):
    return -sum(p * adv for logits, q in zip(logits_t, q_t)
                for p, adv in zip(softmax(logits), advantages_of(logits, q))) / len(q_t)


def rm_loss(logits_t, q_t):
    return -sum(p * max(adv, 0.0) for logits, q in zip(logits_t, q_t)
                for p, adv in zip(softmax(logits), advantages_of(logits, q))) / len(q_t)


def rpg_loss(logits_t, q_t):
    return sum(max(adv, 0.0) for logits, q in zip(logits_t, q_t) for adv in advantages_of(logits, q)) / len(q_t)


def clipped_surrogate_pg_loss(prob_ratios_t, adv_t, epsilon):
    return -sum(min(ratio * adv, min(max(ratio, 1 - epsilon), 1 + epsilon) * adv)
                for ratio, adv in zip(prob_ratios_t, adv_t)) / len(adv_t)


# ---- each element

each = np.vectorize


@each
def huber_loss(x, delta=1.0):
    return 0.5 * x * x if abs(x) <= delta else delta * (abs(x) - 0.5 * delta)


def l2_loss(predictions, targets=0.0):
    return 0.5 * (predictions - targets) ** 2


@each
def likelihood(predictions, targets):
    return predictions ** targets * (1 - predictions) ** (1 - targets)


def log_loss(predictions, targets):
    return -np.log(likelihood(predictions, targets))


identity = each(lambda x: x)
sigmoid = each(lambda x: 1 / (1 + math.exp(-x)))
logit = each(lambda x: math.log(x / (1 - x)))
signed_logp1 = each(lambda x: math.copysign(math.log(1 + abs(x)), x))
signed_expm1 = each(lambda x: math.copysign(math.exp(abs(x)) - 1, x))
signed_hyperbolic = each(lambda x, eps=1e-3: math.copysign(math.sqrt(abs(x) + 1) - 1, x) + eps * x)


@each
def signed_parabolic(x, eps=1e-3):
    """The inverse of signed_hyperbolic, found by halving an interval."""
    low, high = -1e4, 1e4
    for _ in range(200):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if signed_hyperbolic(middle, eps) < x else (low, middle)
    return low


@each
def power(x, p):
    q = math.sqrt(p)
    return math.copysign(((abs(x) / q + 1) ** p - 1) / q, x)


# ---- pictures

def pixel_control_rewards(observations, cell_size):
    steps, height, width, channels = np.subtract(observations.shape, (1, 0, 0, 0))
    found = np.zeros((steps, height // cell_size, width // cell_size))
    for t in range(steps):
        for i in range(height):
            for j in range(width):
                for c in range(channels):
                    change = abs(observations[t + 1, i, j, c] - observations[t, i, j, c])
                    found[t, i // cell_size, j // cell_size] += change / (cell_size * cell_size * channels)
    return found


def pixel_control_loss(observations, actions, action_values, discount_factor, cell_size):
    rewards = pixel_control_rewards(observations, cell_size)
    found = np.zeros_like(rewards)
    for i in range(rewards.shape[1]):
        for j in range(rewards.shape[2]):
            errors = q_lambda(action_values[:-1, i, j], actions, rewards[:, i, j],
                              np.broadcast_to(discount_factor, len(actions)), action_values[1:, i, j], 1.0)
            found[:, i, j] = [0.5 * error ** 2 for error in errors]
    return found
