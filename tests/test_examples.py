"""The examples, in short: many devices train as one does, losses fall, what is written is text, pictures are there."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from minijax.demo.text import load

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 300  # seconds after which a test gives a process up: a hang, however slow the machine


def example(name):
    """The names of an example that runs in this process."""
    return runpy.run_path(str(ROOT / "examples" / name), run_name="example")


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
    ("haiku_mlp.py", ["--help"], 0, "a perceptron of three layers"),
    ("vae.py", ["--help"], 0, "a variational auto-encoder"),
    ("text_lstm.py", ["--help"], 0, "an LSTM of 256 units"),
    ("text_transformer.py", ["--seed", "-1"], 2, "from 0 to 4294967295"),
    ("resnet.py", ["--devices", "7"], 2, "divisible by the number of devices, 7"),
])
def test_options(monkeypatch, capsys, name, arguments, status, text):
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as end:
        example(name)["main"]()
    assert end.value.code == status
    assert text in " ".join("".join(capsys.readouterr()).split())


def test_a_difference_is_a_failure(monkeypatch, capsys):
    """With a tolerance that no rounding meets, the status says so."""
    names = example("data_parallel.py")
    monkeypatch.setitem(names["run"].__globals__, "TOLERANCE", -1.0)
    monkeypatch.setattr(sys, "argv", ["data_parallel.py", "--steps", "1", "--devices", "2"])
    assert names["main"]() == 1
    assert "2 devices, the first is" in capsys.readouterr().out


# ---- modules: the examples run in this process, with small networks ----

def printed(monkeypatch, capsys, tmp_path, name, steps, *options, **smaller):
    """What an example prints; its loss falls, and its picture is a PNG of the size that it should have."""
    names, path = example(name), tmp_path / "picture.png"
    for constant, value in smaller.items():
        assert constant in names
        monkeypatch.setitem(names["main"].__globals__, constant, value)
    monkeypatch.setattr(sys, "argv", [name, "--steps", str(steps), "--plot", str(path), *options])
    assert not names["main"]()
    text = capsys.readouterr().out
    before, after = map(float, re.search(r"(\d+\.\d+)(?: nats)? at the start, (\d+\.\d+) at the end", text).groups())
    assert after < 0.99 * before and f"picture: {path}" in text
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = np.frombuffer(data[16:24], ">u4")
    assert (width, height) == ((1560, 552) if name == "vae.py" else (1440, 540))
    return text


def test_haiku_mlp(monkeypatch, capsys, tmp_path):
    text = printed(monkeypatch, capsys, tmp_path, "haiku_mlp.py", 60)
    assert "| linear_1 | w    | f32[300,100] |" in text
    assert float(re.search(r"before: (\d+\.\d)%", text)[1]) > 80


def test_vae(monkeypatch, capsys, tmp_path):
    text = printed(monkeypatch, capsys, tmp_path, "vae.py", 60, HIDDEN=64)
    assert -400 < float(re.search(r"not seen before: (-\d+\.\d) nats", text)[1]) < -100


def test_the_text_is_what_python_ships():
    text = load()
    assert len(text.codes) + len(text.held_out) > 300_000 and text.alphabet == "".join(sorted(set(text.alphabet)))
    assert text.decode(text.codes[:2000]) in "\n\n".join(topics[name] for name in sorted(topics))


@pytest.mark.parametrize("name, smaller, told", [
    ("text_lstm.py", {"UNITS": 32, "EMBEDDING": 16}, "The Python "),
    ("text_transformer.py", {"LAYERS": 2, "HEADS": 2, "HEAD_SIZE": 8, "WIDTH": 16}, "it writes:\n"),
])
def test_texts(monkeypatch, capsys, tmp_path, name, smaller, told):
    text = printed(monkeypatch, capsys, tmp_path, name, 10, BATCH=8, LENGTH=16, WRITTEN=20, **smaller)
    written = text[text.index(told) + len(told):text.index("\nbits per character")]
    assert len(written) == 20 and set(written) <= set(load().alphabet)


def test_resnet(monkeypatch, capsys, tmp_path):
    text = printed(monkeypatch, capsys, tmp_path, "resnet.py", 12, "--devices", "2", BATCH=16)
    assert "0 of 119 parameters and averages differ between 2 devices\n" in text
    assert re.search(r"accuracy on 360 digits not seen before: \d+", text)


def test_devices_that_differ_are_found():
    held = {"norm": {"scale": np.ones((2, 3)), "offset": np.array([[1.0], [2.0]])}}, {"ema": {"average": np.zeros(2)}}
    assert example("resnet.py")["differing"](held) == ["norm/offset"]
