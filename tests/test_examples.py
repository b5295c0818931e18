"""The examples with many devices, in short: they train as one device does, and say so by their exit status."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 300  # seconds after which a test gives a process up: a hang, however slow the machine


def output_of(name, folder, *options):
    """What an example prints, without flags of ours: it sees to its devices itself."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    done = subprocess.run([sys.executable, str(ROOT / "examples" / name), "--steps", "20", *options], cwd=folder,
                          capture_output=True, text=True, timeout=LIMIT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "largest difference from one device: " in done.stdout and "accuracy on 360 digits" in done.stdout
    return done.stdout


def test_data_parallel(tmp_path):
    text = output_of("data_parallel.py", tmp_path, "--plot", "loss.png")
    assert "8 devices" in text and "picture: loss.png" in text
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_tensor_parallel(tmp_path):
    text = output_of("tensor_parallel.py", tmp_path)
    assert text.count("shard_map[") == 1 and "f32[120,32]{data,model} = dot_general" in text
    assert "params[0]['weights']: (64, 128) cut by P(None, 'model')\n    [0:64, 0:32] on devices 0, 4\n" in text
    assert "params[1]['biases']: (10,) cut by P()\n    [0:10] on devices 0, 1, 2, 3, 4, 5, 6, 7\n" in text


@pytest.mark.parametrize("name, arguments, status, text", [
    ("data_parallel.py", ["--help"], 0, "its part of every batch"),
    ("data_parallel.py", ["--devices", "7"], 2, "divisible by the number of devices, 7"),
    ("data_parallel.py", ["--steps", "0"], 2, "at least 1"),
    ("data_parallel.py", ["--plot", "loss.txt"], 2, "ends in .png"),
    ("tensor_parallel.py", ["--help"], 0, "mesh of 2 x 4"),
    ("tensor_parallel.py", ["--steps", "few"], 2, "at least 1"),
])
def test_options(monkeypatch, capsys, name, arguments, status, text):
    main = runpy.run_path(str(ROOT / "examples" / name), run_name="example")["main"]
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == status
    assert text in " ".join("".join(capsys.readouterr()).split())


def test_a_difference_is_a_failure(monkeypatch, capsys):
    """With a tolerance that no rounding meets, the status says so."""
    example = runpy.run_path(str(ROOT / "examples/data_parallel.py"), run_name="example")
    monkeypatch.setitem(example["run"].__globals__, "TOLERANCE", -1.0)
    monkeypatch.setattr(sys, "argv", ["data_parallel.py", "--steps", "1", "--devices", "2"])
    assert example["main"]() == 1
    assert "2 devices, the first is" in capsys.readouterr().out
