"""The agents of examples/: their losses fall, they learn to catch, and the parts that they share do what they say."""

import runpy
import sys
import warnings
from pathlib import Path

import dm_env
import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from benchmarks import rows_agents
from minijax import rlax, tree

FOLDER = Path(__file__).resolve().parents[1] / "examples"
AGENTS = "catch_actor_critic.py", "cartpole_dqn.py"
sys.path.append(str(FOLDER))  # as when one of them is run

import cartpole_dqn  # noqa: E402
import catch_actor_critic  # noqa: E402
import catch_q_learning  # noqa: E402
import rl_common as common  # noqa: E402


class Corridor:
    """Three steps to the right earn 1 each; the action is earned on top.  `limit` cuts the episode short."""

    def __init__(self, limit=3):
        self.limit = limit

    def reset(self):
        self.place = 0
        return dm_env.restart(np.float32([0]))

    def step(self, action):
        self.place += 1
        kind = dm_env.termination if self.place == 3 else (
            dm_env.truncation if self.place == self.limit else dm_env.transition)
        return kind(1.0 + action, np.float32([self.place]))


@pytest.fixture
def curve():
    made = common.Curve("test", 20)
    made.bar.disable = True
    yield made
    made.bar.close()


def test_an_episode_and_its_return():
    steps = common.stack(list(common.play(Corridor(), lambda observation: int(observation[0] == 1))))
    np.testing.assert_array_equal(steps.s_tm1, [[0], [1], [2]])
    np.testing.assert_array_equal(steps.s_t, [[1], [2], [3]])
    np.testing.assert_array_equal(steps.r_t, [1, 2, 1])
    np.testing.assert_array_equal(steps.discount_t, [1, 1, 0])
    assert common.average_return(Corridor(), lambda observation: 1, episodes=2) == 6.0


def test_an_episode_that_is_cut_short_could_have_gone_on():
    steps = common.stack(list(common.play(Corridor(limit=2), lambda observation: 0)))
    np.testing.assert_array_equal(steps.discount_t, [1, 1])


def test_replay_forgets_the_oldest():
    replay = common.Replay(4, seed=0)
    for number in range(6):
        replay.add(common.Transition(np.float32([number]), np.int32(0), np.float32(number), np.float32(1),
                                     np.float32([number + 1])))
    batch = replay.sample(50, 2)
    assert len(replay) == 4 and batch.s_t.shape == (50, 2, 1) and batch.a_tm1.dtype == np.int32
    assert set(batch.r_t.ravel()) == {2, 3, 4, 5}
    np.testing.assert_array_equal(batch.s_t[..., 0], batch.r_t + 1)


def test_a_curve_counts_steps_and_returns(curve):
    for number in range(7):
        assert curve.unfinished and curve.steps == 3 * number
        curve.add(list(common.play(Corridor(), lambda observation: 0)))
    assert not curve.unfinished and curve.done == 1.0 and curve.ends == [3, 6, 9, 12, 15, 18, 21]
    assert curve.recent(7) == 3.0 and curve.recent(8) == -np.inf


def test_cartpole_falls_and_is_cut_short():
    def push(limit):
        environment = cartpole_dqn.CartPole(0)
        environment.environment = type(environment.environment)(environment.environment.env, max_episode_steps=limit)
        return common.stack(list(common.play(environment, lambda observation: 1)))

    fallen, cut = push(500), push(4)
    assert fallen.discount_t[-1] == 0 and 5 < len(fallen.r_t) < 20 and fallen.s_t.dtype == np.float32
    np.testing.assert_array_equal(cut.discount_t, np.ones(4))
    np.testing.assert_array_equal(cut.s_t, fallen.s_t[:4])  # the same seed, the same episode


def falls(losses, part):
    """Whether the losses of a batch that stays the same become `part` of the first."""
    assert np.isfinite(losses).all()
    return losses[-1] < part * losses[0]


def drawn(agent, episodes):
    """Transitions of episodes that are played at random."""
    random = np.random.default_rng(0)
    return [common.stack(list(common.play(agent.AGENT.environment(0), lambda _: int(random.integers(agent.ACTIONS)))))
            for _ in range(episodes)]


def test_q_learning_fits_an_episode():
    """Repeated updates on the same transitions, of which nothing follows: the loss falls."""
    episode, state, losses = drawn(catch_q_learning, 1)[0], catch_q_learning.first_state(0), []
    assert episode.s_tm1.shape == (9, 10, 5) and list(episode.discount_t) == [1.0] * 8 + [0.0]
    episode = episode._replace(discount_t=np.zeros_like(episode.discount_t))
    for _ in range(60):
        state, value = catch_q_learning.learn(state, episode)
        losses.append(float(value))
    assert falls(losses, 0.1)


def test_catch_is_learned_and_drawn(monkeypatch, capsys, tmp_path):
    """A short training is far better than chance, which earns -0.6 on average; table and picture are there."""
    monkeypatch.setattr(sys, "argv", ["catch_q_learning.py", "--steps", "5000", "--plot", str(tmp_path / "curve.png")])
    status = common.main(catch_q_learning.AGENT)
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("0 "))
    assert float(line.split()[1]) > 0.0 and int(line.split()[3].replace(",", "")) >= 5000
    assert f"{1 - status} of 1 solve it: at least 0.95" in text
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_evaluation_knows_a_policy_that_wins():
    """The paddle that goes where the ball is earns 1 in every episode, one that stands still does not."""
    follow = lambda board: 1 + int(np.sign(np.argmax(board[:-1].any(0)) - np.argmax(board[-1])))
    assert common.average_return(catch_q_learning.Catch(seed=1), follow, 20) == 1.0
    assert common.average_return(catch_q_learning.Catch(seed=1), lambda board: 1, 20) < 0.5


def test_dqn_fits_a_batch():
    batch = common.stack(list(common.play(cartpole_dqn.CartPole(0), lambda observation: int(observation[2] > 0))))
    batches = tree.map(lambda x: np.broadcast_to(x, (200, *x.shape)), batch)
    state = cartpole_dqn.first_state(0)
    learned, losses = cartpole_dqn.learn(state, batches, 1e-3)
    assert falls(np.asarray(losses), 0.5)
    still, _ = cartpole_dqn.learn(state, batches, 0.0)  # the rate is an argument
    tree.map(np.testing.assert_array_equal, still.params, state.params)
    moved = [(np.abs(t - p).max(), np.abs(n - p).max()) for t, n, p in zip(
        *map(tree.leaves, (learned.target, learned.params, state.params)), strict=True)]
    assert all(0 < target < network for target, network in moved)  # the target follows


def test_actor_and_critic_without_a_difference_of_actors():
    """Played by the actor itself, V-trace's ratios are 1: the losses are those of lambda returns."""
    agent, state = catch_actor_critic, catch_actor_critic.first_state(1)
    episode = common.stack(list(common.play(agent.Catch(seed=0), lambda observation: 2)))
    played = agent.log_probabilities(state.params, episode)

    def expected(params):
        logits, v_tm1 = minijax.vmap(agent.network.apply, (None, 0))(params, episode.s_tm1)
        _, v_t = minijax.vmap(agent.network.apply, (None, 0))(params, episode.s_t)
        discount_t = agent.DISCOUNT * episode.discount_t
        returns = rlax.lambda_returns(episode.r_t, discount_t, v_t, agent.LAMBDA)
        following = jnp.append(returns[1:], v_t[-1])
        target = episode.r_t + discount_t * (agent.LAMBDA * following + (1 - agent.LAMBDA) * v_t)
        advantages = minijax.lax.stop_gradient(target - v_tm1)
        errors = minijax.lax.stop_gradient(returns) - v_tm1
        policy, weights = minijax.nn.log_softmax(logits), jnp.ones(9)
        return (-jnp.mean(advantages * policy[jnp.arange(9), episode.a_tm1])
                + agent.CRITIC * jnp.mean(errors ** 2) / 2
                + agent.ENTROPY * rlax.entropy_loss(logits, weights))

    ours = minijax.jit(minijax.value_and_grad(agent.loss_of_episode))(state.params, episode, played)
    tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), ours,
             minijax.jit(minijax.value_and_grad(expected))(state.params))


@pytest.mark.parametrize("name", AGENTS)
def test_table_picture_and_status(tmp_path, monkeypatch, capsys, name):
    """Too short a training to solve anything, with two seeds."""
    example = runpy.run_path(str(FOLDER / name), run_name="example")
    monkeypatch.setattr(sys, "argv", [name, "--seed", "3", "--seeds", "2", "--steps", "90", "--plot",
                                      str(tmp_path / "curves.png")])
    monkeypatch.setattr(common, "EVALUATION_EPISODES", 2)
    agent = example["AGENT"]._replace(goal=1000.0)
    assert common.main(agent) == 1
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()[2:4]] == ["3", "4"]
    assert "0 of 2 solve it" in printed.out and "seed 4" in printed.err
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("arguments, status, text", [
    (["--help"], 0, "how many seeds"), (["--seeds", "0"], 2, "at least 1"), (["--seed", "-1"], 2, "from 0 to"),
    (["--plot", "a.txt"], 2, "ends in .png")])
def test_options(monkeypatch, capsys, arguments, status, text):
    monkeypatch.setattr(sys, "argv", ["catch_q_learning.py", *arguments])
    with pytest.raises(SystemExit) as end:
        common.main(catch_q_learning.AGENT)
    assert end.value.code == status
    assert text in " ".join("".join(capsys.readouterr()).split())


def test_the_agents_that_are_raced_are_one(monkeypatch):
    """In both libraries the same parameter after some episodes."""
    monkeypatch.setattr(rows_agents, "EPISODES", 5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RLax's distributions are to go
        ours, theirs = (rows_agents.catch_training(lib)() for lib in (minijax, jax))
    assert ours == pytest.approx(theirs, rel=1e-3) and ours != 0.0
