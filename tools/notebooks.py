"""Notebooks: run them and compare with the outputs that they keep, or write them anew.

    python -m tools.notebooks [--write] [FILES]

Only the text of outputs counts (what is printed, and `text/plain`).  Leaves with status 1,
and says why, where a cell fails or its text differs.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}
# Sources of cells are named alike wherever they run, and the kept outputs are the CPU's.
ENVIRONMENT = {"IPYKERNEL_CELL_NAME": "notebook", "JAX_PLATFORMS": "cpu"}


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs it has today; raises `CellExecutionError` where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = nbformat.from_dict(KERNEL)
    environment = {**os.environ, **ENVIRONMENT}
    client = NotebookClient(notebook, timeout=300, coalesce_streams=True,
                            resources={"metadata": {"path": str(path.parent)}})
    client.execute(env=environment)
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02}", nbformat.NotebookNode()
    notebook.metadata = nbformat.from_dict(KERNEL)
    return notebook


def text(cell: Any) -> str:
    """Everything that a cell says in plain text."""
    outputs = cell.get("outputs", ())
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)


def differences(kept: nbformat.NotebookNode, found: nbformat.NotebookNode) -> Iterator[str]:
    """A report for each cell whose text is not what was kept."""
    for number, (old, new) in enumerate(zip(kept.cells, found.cells, strict=True)):
        if text(old) != text(new):
            yield f"cell {number}:\n{new.source}\nkept:\n{text(old)}\nfound:\n{text(new)}"


def problems(path: Path, write: bool) -> Iterator[str]:
    """What is wrong with a notebook; with `write`, only cells that fail."""
    try:
        found = run(path)
    except CellExecutionError as error:
        yield str(error)
        return
    if write:
        nbformat.write(found, path)
    else:
        yield from differences(nbformat.read(path, as_version=4), found)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebooks",
                                     description="Run notebooks and compare with the outputs that they keep.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="notebooks (default: all)")
    parser.add_argument("--write", action="store_true", help="keep today's outputs")
    options = parser.parse_args(arguments)
    failed = 0
    for path in options.files or sorted(FOLDER.glob("*.ipynb")):
        found = list(problems(path, options.write))
        failed += len(found)
        print(f"{path.name}: {'differs' if found else 'ok'}", *found, sep="\n", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
