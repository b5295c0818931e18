"""The command line of the main job."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import minijax
from minijax import random
from minijax.demo import model, plot, report
from minijax.demo.digits import load
from minijax.demo.train import train

GOAL = 0.95
DESCRIPTION = f"""\
Train a classifier of handwritten digits through minijax alone: print the loss as a program (its jaxpr) and
the program of its gradient, train a network of 64, 128 and 10 units with Adam, and test it on digits
that it has not seen. The exit status is 0 if it knows at least {GOAL:.0%} of them, 1 if fewer, 2 for wrong
arguments."""


def parser() -> argparse.ArgumentParser:
    """The options, and what they mean."""
    options = argparse.ArgumentParser(prog="python -m minijax", description=DESCRIPTION)
    options.add_argument("--steps", type=count, metavar="N", help="training steps (default: 500; 200 with --no-jit)")
    options.add_argument("--batch-size", type=count, default=128, metavar="N",
                         help="digits in each step (default: 128)")
    options.add_argument("--learning-rate", type=rate, default=0.003, metavar="X",
                         help="Adam's step size (default: 0.003)")
    options.add_argument("--seed", type=seed, default=0, metavar="N",
                         help="fixes the split, the first weights and the batches (default: 0)")
    options.add_argument("--no-jit", action="store_true",
                         help="run every operation by itself, without compiling the step: slower")
    options.add_argument("--print-ir", action="store_true",
                         help="print more of the programs: sources and origins of the lines, and StableHLO")
    options.add_argument("--plot", type=picture, metavar="FILE.png",
                         help="draw the loss and some held-out digits with the network's answers")
    return options


def count(text: str) -> int:
    """A positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number of 32 bits, not negative."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to {2**32 - 1} is needed, got {text!r}")
    return int(text)


def rate(text: str) -> float:
    """A positive finite number."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"a positive number is needed, got {text!r}")
    return value


def picture(text: str) -> Path:
    """A path of a PNG file in a folder that exists."""
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"a file name that ends in .png is needed, got {text!r}")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r} to put {path.name!r} in")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the main job; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        with minijax.disable_jit(options.no_jit):
            return run(options)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """Print, train, test, draw."""
    start = time.perf_counter()
    steps = options.steps or (200 if options.no_jit else 500)
    report.print_programs(options.print_ir)
    data_key, train_key = random.split(random.key(options.seed))
    digits = load(data_key)
    print(f"--- training on {minijax.devices()[0]}{', without jit' * options.no_jit}", flush=True)
    trained = train(train_key, digits, steps, options.batch_size, options.learning_rate)
    report.print_training(digits, trained)
    accuracy = report.held_out_accuracy(digits, trained.params)
    if options.plot:
        plot.save(options.plot, digits, trained.losses, model.predict(trained.params, digits.test_images))
        print(f"picture: {options.plot}")
    print(f"accuracy on {len(digits.test_labels)} held-out digits: {accuracy:.4f} (goal: {GOAL})")
    print(f"wall time: {time.perf_counter() - start:.1f} s")
    if accuracy < GOAL:
        print(f"The accuracy is below {GOAL}: try more --steps or another --learning-rate.", file=sys.stderr)
    return int(accuracy < GOAL)
