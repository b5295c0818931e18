"""What all tests and doctests share: programs are checked, examples are repeatable, processes are few."""

import os

import hypothesis
import pytest

import minijax.inspect  # noqa: F401
import minijax.numpy  # noqa: F401  (installs the backend: examples print the same alone and together)
from minijax import config

hypothesis.settings.register_profile("minijax", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("minijax")


def pytest_xdist_auto_num_workers(config):
    """A process for each core for the whole suite; none beside pytest's own for a part of it."""
    whole_suite = config.args_source is not pytest.Config.ArgsSource.ARGS
    return min(os.cpu_count() or 1, 8) if whole_suite else 0


@pytest.fixture(autouse=True)
def checked_programs():
    """Run the checker on every program that a transform or a pass makes."""
    config.config.update("check", True)
