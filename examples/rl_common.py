"""What the agents share: episodes, replay, evaluation over several seeds, the table and the learning curves.

An environment is one of dm_env: `reset()` and `step(action)` give a `TimeStep`.  An agent is a function `train(seed,
curve)` that plays until the curve is full and returns its policy, a function observation -> action.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from minijax import tree
from minijax.demo.main import count, picture, seed

EVALUATION_EPISODES = 100
SEEDS = 2**32
EVALUATION_SEED = 2**31  # added to the seed of training: other starts than those learned from
WINDOW = 20  # episodes over which a learning curve is averaged

Policy = Callable[[np.ndarray], int]


class Transition(NamedTuple):
    """One step: observation, action, what it earned, how much what follows counts (0 at the end), observation."""

    s_tm1: Any
    a_tm1: Any
    r_t: Any
    discount_t: Any
    s_t: Any


def play(environment: Any, policy: Policy) -> Iterator[Transition]:
    """The transitions of one episode, each as soon as it happened."""
    timestep = environment.reset()
    while not timestep.last():
        s_tm1, a_tm1 = timestep.observation, policy(timestep.observation)
        timestep = environment.step(a_tm1)
        yield Transition(s_tm1, np.int32(a_tm1), np.float32(timestep.reward), np.float32(timestep.discount),
                         timestep.observation)


def stack(examples: Sequence[Any]) -> Any:
    """One tree whose arrays have the examples along their first axis."""
    return tree.map(lambda *arrays: np.stack(arrays), *examples)


def average_return(environment: Any, policy: Policy, episodes: int) -> float:
    """The mean over episodes of the sum of rewards."""
    return float(np.mean([sum(step.r_t for step in play(environment, policy)) for _ in range(episodes)]))


class Replay:
    """The last `capacity` transitions, from which batches are drawn at random."""

    def __init__(self, capacity: int, seed: int) -> None:
        self.capacity, self.added = capacity, 0
        self.random = np.random.default_rng(seed)
        self.columns: Any = None

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, transition: Transition) -> None:
        """Keep a transition, in the place of the oldest if there is no other."""
        if self.columns is None:
            self.columns = Transition(*(np.zeros((self.capacity, *np.shape(x)), np.asarray(x).dtype)
                                        for x in transition))
        for column, value in zip(self.columns, transition, strict=True):
            column[self.added % self.capacity] = value
        self.added += 1

    def sample(self, *shape: int) -> Transition:
        """Transitions drawn with replacement, as many as fill the shape, along its axes."""
        rows = self.random.integers(len(self), size=shape)
        return Transition(*(column[rows] for column in self.columns))


class Curve:
    """The learning curve of one training, with its progress bar: the return of every episode, and when it ended."""

    def __init__(self, title: str, steps: int) -> None:
        self.returns: list[float] = []
        self.ends: list[int] = []
        self.bar = tqdm(total=steps, desc=title, unit=" steps", mininterval=0.2)

    @property
    def steps(self) -> int:
        """Steps of the environment so far."""
        return self.ends[-1] if self.ends else 0

    @property
    def done(self) -> float:
        """The part of the steps that are taken, from 0 to 1."""
        return min(self.steps / self.bar.total, 1.0)

    @property
    def unfinished(self) -> bool:
        """Whether there are steps left."""
        return self.done < 1.0

    def recent(self, episodes: int) -> float:
        """The mean return of so many episodes; minus infinity before there are as many."""
        return float(np.mean(self.returns[-episodes:])) if len(self.returns) >= episodes else -np.inf

    def add(self, episode: Sequence[Transition]) -> None:
        """Note an episode."""
        self.returns.append(float(sum(step.r_t for step in episode)))
        self.ends.append(self.steps + len(episode))
        self.bar.set_postfix({"return": f"{np.mean(self.returns[-WINDOW:]):.2f}"}, refresh=False)
        self.bar.update(min(len(episode), self.bar.total - self.bar.n))


class Trained(NamedTuple):
    """What one seed gave: its curve, the average return of its policy afterwards, and the seconds of training."""

    seed: int
    curve: Curve
    average: float
    seconds: float


class Agent(NamedTuple):
    """An agent and the task that it solves: a policy solves it if its average return is at least `goal`."""

    description: str
    environment: Callable[[int], Any]
    train: Callable[[int, Curve], Policy]
    goal: float
    steps: int


def trained(agent: Agent, seed: int, steps: int) -> Trained:
    """Train with one seed, then evaluate in an environment of another seed."""
    curve, start = Curve(f"seed {seed}", steps), time.perf_counter()
    with curve.bar:
        policy = agent.train(seed, curve)
    seconds = time.perf_counter() - start
    average = average_return(agent.environment((seed + EVALUATION_SEED) % SEEDS), policy, EVALUATION_EPISODES)
    return Trained(seed, curve, average, seconds)


def table(runs: Sequence[Trained]) -> str:
    """The seeds, a line each."""
    head = "seed  average return  episodes    steps  seconds\n----  --------------  --------  -------  -------\n"
    return head + "\n".join(f"{run.seed:<4}  {run.average:14.2f}  {len(run.curve.returns):8,}  {run.curve.steps:7,}"
                            f"  {run.seconds:7.1f}" for run in runs)


def draw(path: Path, agent: Agent, runs: Sequence[Trained]) -> None:
    """Write a picture of the learning curves: mean returns of the last episodes, over steps."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        width = min(WINDOW, len(run.curve.returns))
        means = np.convolve(run.curve.returns, np.full(width, 1 / width), "valid")
        axes.plot(run.curve.ends[width - 1:], means, label=f"seed {run.seed}")
    axes.axhline(agent.goal, color="0.6", linestyle="--", label=f"solved: {agent.goal:g}")
    axes.set(xlabel="steps", ylabel=f"return, mean of {WINDOW} episodes", title=agent.description.partition(":")[0])
    axes.legend()
    figure.savefig(path, dpi=120)


def main(agent: Agent) -> int:
    """Read the options, train, evaluate, print and draw; returns the exit status: 0 if every seed solved the task."""
    parser = argparse.ArgumentParser(description=agent.description)
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="the first seed (default: 0)")
    parser.add_argument("--seeds", type=count, default=1, metavar="N", help="how many seeds (default: 1)")
    parser.add_argument("--steps", type=count, default=agent.steps, metavar="N",
                        help=f"steps of the environment, for each seed (default: {agent.steps})")
    parser.add_argument("--plot", type=picture, metavar="FILE.png", help="draw the learning curves")
    options = parser.parse_args()
    runs = [trained(agent, (options.seed + i) % SEEDS, options.steps) for i in range(options.seeds)]
    print(table(runs))
    if options.plot:
        draw(options.plot, agent, runs)
        print(f"picture: {options.plot}")
    solved = sum(run.average >= agent.goal for run in runs)
    print(f"{solved} of {len(runs)} solve it: at least {agent.goal:g} over {EVALUATION_EPISODES} episodes", flush=True)
    return 0 if solved == len(runs) else 1


if __name__ == "__main__":
    sys.exit("This file has what the agents share: run one of them.")
