"""The notebooks run, and say what they say on the page."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import notebooks

NOTEBOOKS = sorted(notebooks.FOLDER.glob("*.ipynb"))
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_says_what_it_keeps(path):
    done = subprocess.run([sys.executable, "-m", "tools.notebooks", str(path)], cwd=ROOT, capture_output=True,
                          text=True, timeout=600, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_executed_and_free_of_machines(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    text = json.dumps(notebook)
    assert "/home/" not in text and "/tmp/" not in text and "0x7f" not in text


def notebook_of(tmp_path, source, kept):
    cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.v4.new_output("stream", name="stdout", text=kept)])
    path = tmp_path / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    return path


def test_differences_are_reported(tmp_path):
    kept = nbformat.read(notebook_of(tmp_path, "print(1)", "2\n"), as_version=4)
    found = nbformat.read(notebook_of(tmp_path, "print(1)", "1\n"), as_version=4)
    assert list(notebooks.differences(kept, kept)) == []
    assert list(notebooks.differences(kept, found)) == ["cell 0:\nprint(1)\nkept:\n2\n\nfound:\n1\n"]
