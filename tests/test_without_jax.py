"""L0 to L5 and L7 do their work on NumPy in a process that cannot import jax.

The program below runs in a subprocess: it first puts a finder in front of Python's
own that refuses jax and jaxlib, then traces, differentiates, batches, prints and
evaluates, and at the end finds neither among the loaded modules.
"""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("errors", "config", "pytree", "util", "ir", "tracing", "ops", "interpreters", "calls", "api")

BLOCK = """
import sys

class NoJax:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jax", "jaxlib"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, NoJax())
"""

SETUP = """
import numpy as np
from minijax import api
from minijax.ops.elementwise import sin

def f(x):
    return sin(x) * x + 2.0

x = np.float32(0.5)
slope = np.cos(x) * x + np.sin(x)
"""


def run_without_jax(program):
    """Run a program with jax blocked; its output, or a failed test that shows its error."""
    found = "assert not {'jax', 'jaxlib'} & sys.modules.keys()"
    source = "\n".join((BLOCK, textwrap.dedent(program), found))
    done = subprocess.run([sys.executable, "-W", "error", "-c", source], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    return done.stdout


def modules():
    paths = (path for name in FLOORS for path in (*ROOT.glob(f"minijax/{name}.py"), *ROOT.glob(f"minijax/{name}/*.py")))
    return sorted(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)


def test_the_block_blocks():
    for name in ("jax", "jax.numpy", "jaxlib"):
        program = f"try:\n    import {name}\nexcept ImportError as error:\n    print(error)"
        assert "is blocked" in run_without_jax(program)


def test_every_module_imports():
    run_without_jax("\n".join(f"import {name}" for name in modules()))


@pytest.mark.parametrize("program, printed", [
    ("print(api.make_jaxpr(f)(x))", "sin"),
    ("print(api.make_jaxpr(api.grad(f))(x))", "cos"),
    ("assert np.allclose(f(x), np.sin(x) * x + 2)", ""),
    ("assert np.allclose(api.grad(f)(x), slope)", ""),
    ("assert np.allclose(api.jvp(f, (x,), (np.float32(1),))[1], slope)", ""),
    ("assert np.allclose(api.vjp(f, x)[1](np.float32(1))[0], slope)", ""),
    ("assert np.allclose(api.grad(api.grad(f))(x), 2 * np.cos(x) - x * np.sin(x))", ""),
    ("xs = np.arange(3, dtype=np.float32); assert np.allclose(api.vmap(f)(xs), np.sin(xs) * xs + 2)", ""),
    ("xs = np.arange(3, dtype=np.float32)\n"
     "assert np.allclose(api.vmap(api.grad(f))(xs), np.cos(xs) * xs + np.sin(xs))", ""),
    ("assert np.allclose(api.jit(f)(x), np.sin(x) * x + 2)", ""),
    ("assert np.allclose(api.grad(api.jit(f))(x), slope)", ""),
    ("assert np.allclose(api.jit(api.grad(f))(x), slope)", ""),
    ("assert 'f32[]' in repr(api.make_jaxpr(api.jit(f))(x))", ""),
    ("print(api.grad(f)(x))", "."),
])
def test_works_on_numpy(program, printed):
    assert printed in run_without_jax(SETUP + program)
