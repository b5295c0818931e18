"""The agents of the examples, in short: losses fall on a fixed batch, Catch is learned, options and pictures work."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


@pytest.fixture
def example(monkeypatch):
    """The names of an agent's file, which finds what the agents share beside it."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return lambda name: runpy.run_path(str(EXAMPLES / name), run_name="example")


def drawn(names, episodes):
    """Transitions of episodes that are played at random."""
    random, shared = np.random.default_rng(0), sys.modules["rl_common"]
    environment = names["AGENT"].environment(0)
    return [shared.stack(list(shared.play(environment, lambda _: int(random.integers(names["ACTIONS"])))))
            for _ in range(episodes)]


def test_q_learning_fits_an_episode(example):
    """Repeated updates on the same transitions, of which nothing follows: the loss falls."""
    names = example("catch_q_learning.py")
    episode, state, losses = drawn(names, 1)[0], names["first_state"](0), []
    assert episode.s_tm1.shape == (9, 10, 5) and list(episode.discount_t) == [1.0] * 8 + [0.0]
    episode = episode._replace(discount_t=np.zeros_like(episode.discount_t))
    for _ in range(60):
        state, loss = names["learn"](state, episode)
        losses.append(float(loss))
    assert losses[-1] < 0.1 * losses[0]


def test_catch_is_learned_and_drawn(example, monkeypatch, capsys, tmp_path):
    """A short training is far better than chance, which earns -0.6 on average; table and picture are there."""
    names = example("catch_q_learning.py")
    monkeypatch.setattr(sys, "argv", ["catch_q_learning.py", "--steps", "5000", "--plot", str(tmp_path / "curve.png")])
    status = sys.modules["rl_common"].main(names["AGENT"])
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("0 "))
    assert float(line.split()[1]) > 0.0 and int(line.split()[3].replace(",", "")) >= 5000
    assert f"{1 - status} of 1 solve it: at least 0.95" in text
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_evaluation_knows_a_policy_that_wins(example):
    """The paddle that goes where the ball is earns 1 in every episode, one that stands still does not."""
    example("catch_q_learning.py")
    from bsuite.environments.catch import Catch
    follow = lambda board: 1 + int(np.sign(np.argmax(board[:-1].any(0)) - np.argmax(board[-1])))
    shared = sys.modules["rl_common"]
    assert shared.average_return(Catch(seed=1), follow, 20) == 1.0
    assert shared.average_return(Catch(seed=1), lambda board: 1, 20) < 0.5
