"""The main job as a user runs it: `python -m minijax`."""

import subprocess
import sys

import pytest

from minijax import make_jaxpr
from minijax.demo import model
from minijax.demo.main import parser
from minijax.demo.report import small_batch

HIDE = """\
import runpy, sys
sys.modules["sklearn"] = None
sys.argv = ["minijax"]
runpy.run_module("minijax", run_name="__main__")
"""


def run(*arguments, status=0):
    """The output of the main job, which must end with `status`; (stdout, stderr)."""
    done = subprocess.run([sys.executable, "-W", "error", "-m", "minijax", *map(str, arguments)],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout, done.stderr


def test_it_learns_the_digits(tmp_path):
    out, progress = run("--plot", tmp_path / "digits.png")
    assert "--- loss: " in out and "--- grad(loss): " in out
    assert "500 steps, 1437 digits" in out and "wall time: " in out
    assert 0.95 <= float(out.partition("held-out digits: ")[2].split()[0]) <= 1
    assert "500/500" in progress
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_without_jit_and_with_all_programs():
    out, error = run("--no-jit", "--steps", 3, "--print-ir", "--seed", 7, "--batch-size", 8, status=1)
    assert "without jit" in out and "(3 steps" in out
    assert "  # " in out and "<- transpose of " in out
    assert "stablehlo.dot_general" in out
    assert "below 0.95" in error


def test_source_lines_are_those_of_the_model():
    program = make_jaxpr(model.loss)(*small_batch())
    assert "# model.py:" in program.pretty_print(source=True)


def test_help():
    out, _ = run("--help")
    for option in ("--no-jit", "--print-ir", "--plot FILE.png", "--steps N", "--seed N", "--batch-size N",
                   "--learning-rate X", "0.95", "exit status"):
        assert option in " ".join(out.replace("95%", "0.95").split())


@pytest.mark.parametrize("arguments, message", [
    (["--steps", "0"], "argument --steps: a whole number of at least 1 is needed, got '0'"),
    (["--steps", "many"], "argument --steps: a whole number of at least 1 is needed, got 'many'"),
    (["--batch-size", "-1"], "argument --batch-size: a whole number of at least 1 is needed, got '-1'"),
    (["--seed", "1.5"], "argument --seed: a whole number from 0 to 4294967295 is needed, got '1.5'"),
    (["--learning-rate", "nan"], "argument --learning-rate: a positive number is needed, got 'nan'"),
    (["--learning-rate", "fast"], "argument --learning-rate: a positive number is needed, got 'fast'"),
    (["--plot", "digits.jpg"], "argument --plot: a file name that ends in .png is needed, got 'digits.jpg'"),
    (["--plot", "no/such/folder/a.png"], "there is no folder 'no/such/folder' to put 'a.png' in"),
    (["--deep"], "unrecognized arguments: --deep"),
])
def test_bad_arguments(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_package_is_named():
    done = subprocess.run([sys.executable, "-c", HIDE], capture_output=True, text=True,
                          timeout=300)
    assert done.returncode == 1
    assert done.stderr == ("python -m minijax needs scikit-learn, which is not installed. "
                           "Install what the demo needs with: pip install scikit-learn tqdm matplotlib\n")
