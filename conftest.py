"""What all tests and doctests share: programs are checked, examples are repeatable, processes are few."""

import os

import hypothesis
import jax
import pytest

import minijax.inspect  # noqa: F401
import minijax.numpy  # noqa: F401  (installs the backend: examples print the same alone and together)
from minijax import config

# Compiling is most of the tests' time, and what they ask is which program XLA gets, and its values: so it compiles
# the same programs with as little work as it can.  Read when devices are first asked for; a process that a test starts
# has them too, unless the test says otherwise.
XLA_FLAGS = ["--xla_force_host_platform_device_count=8", "--xla_backend_optimization_level=0",
             "--xla_llvm_disable_expensive_passes=true"]
if jax.__version_info__ < (0, 11):
    XLA_FLAGS.append("--xla_cpu_use_fusion_emitters=false")  # which newer ones end the process for
os.environ.setdefault("XLA_FLAGS", " ".join(XLA_FLAGS))

collect_ignore = ["tests/process_worker.py"]  # a script, which tests start

hypothesis.settings.register_profile("minijax", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("minijax")


def pytest_xdist_auto_num_workers(config):
    """A process for each core for the whole suite; none beside pytest's own for a part of it."""
    whole_suite = config.args_source is not pytest.Config.ArgsSource.ARGS
    return min(os.cpu_count() or 1, 8) if whole_suite else 0


# Where JAX 0.12 differs from 0.10, whose numbers these are; a case that agrees again fails as unexpected.
CHANGED_IN_0_12 = {
    "test_case[max-float32[2, 3]-float64[]]": "JAX's own jvp of a NumPy scalar raises",
    "test_case[min-float32[2, 3]-float64[]]": "JAX's own jvp of a NumPy scalar raises",
    "test_case[asinh-float64[]]": "JAX's own jvp of a NumPy scalar raises",
    "test_case[sign-complex64[2, 3]]": "the sign of a complex number has a derivative",
    "test_case[acosh-float32[12]]": "the derivative outside the domain is NaN",
    "test_case[acosh-complex64[2, 3]]": "the derivative is on the other branch in the left half-plane",
    "test_case[convert_element_type-float32[12]0]": "floats out of range convert to other integers",
    "test_case[convert_element_type-float32[12]1]": "floats out of range convert to other integers",
    "test_unary[log2]": "log2 of a Python integer is weakly typed",
}


def pytest_collection_modifyitems(items):
    """Expect the known differences of the newest JAX, each by its name."""
    if jax.__version_info__ >= (0, 12):
        for item in items:
            if item.name in CHANGED_IN_0_12:
                item.add_marker(pytest.mark.xfail(reason=CHANGED_IN_0_12[item.name], strict=True))


@pytest.fixture(autouse=True)
def checked_programs():
    """Run the checker on every program that a transform or a pass makes."""
    config.update("check", True)
