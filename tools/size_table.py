"""The size table: lines of code for each file and floor, held against the ceilings.

    python -m tools.size_table [ROOT] [--files]

Docstrings, comments and blank lines do not count; everything else does.  A
function's lines are those from its `def` to its end, inner functions included.
Leaves with status 1, and says why, where a ceiling is broken.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FLOORS = {
    "L0 base": ("errors.py", "config.py", "pytree.py", "util.py"),
    "L1 ir": ("ir",),
    "L2 tracing": ("tracing",),
    "L3 ops": ("ops",),
    "L4 interpreters": ("interpreters",),
    "L5 calls": ("calls",),
    "L6 lowering": ("lowering",),
    "L7 api": ("api", "api.py"),
}
OPS = "L3 ops"
ABOVE = "L8 and above"
KERNEL_CEILING, OPS_CEILING, FILE_CEILING, FUNCTION_CEILING = 4_500, 5_000, 500, 40

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, *FUNCTIONS)


class Function(NamedTuple):
    """A function: its name, the line of its `def` and its lines of code."""

    name: str
    line: int
    size: int


class File(NamedTuple):
    """A source file: its path below the root, its floor, its lines of code and its functions."""

    path: str
    floor: str
    size: int
    functions: tuple[Function, ...]


def code_lines(text: str) -> list[int]:
    """Numbers of the lines of `text` that are code.

    >>> code_lines('"Header."\\n\\nx = 1  # counts\\n# does not\\n')
    [3]
    """
    documentation = {line for node in ast.walk(ast.parse(text)) for line in docstring_lines(node)}
    return [number for number, line in enumerate(text.splitlines(), 1)
            if line.strip() and not line.strip().startswith("#") and number not in documentation]


def docstring_lines(node: ast.AST) -> range:
    """Line numbers of the docstring of a module, class or function; empty for anything else."""
    first = node.body[0] if isinstance(node, DOCUMENTED) and node.body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return range(first.lineno, (first.end_lineno or first.lineno) + 1)
    return range(0)


def floor_of(parts: tuple[str, ...]) -> str:
    """The floor of the file with these path components below `minijax`."""
    return next((floor for floor, names in FLOORS.items() if parts[0] in names), ABOVE)


def measure(path: Path, root: Path) -> File:
    """Count one file."""
    text = path.read_text(encoding="utf-8")
    lines = code_lines(text)
    functions = tuple(
        Function(node.name, node.lineno, sum(node.lineno <= line <= (node.end_lineno or 0) for line in lines))
        for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))
    parts = path.relative_to(root / "minijax").parts
    return File(str(path.relative_to(root)), floor_of(parts), len(lines), functions)


def measure_all(root: Path) -> list[File]:
    """Count every Python file of `root/minijax`, in the order of their paths."""
    return [measure(path, root) for path in sorted((root / "minijax").rglob("*.py"))]


def floor_sizes(files: list[File]) -> dict[str, int]:
    """Lines of code of each floor."""
    sizes = dict.fromkeys((*FLOORS, ABOVE), 0)
    for file in files:
        sizes[file.floor] += file.size
    return sizes


def kernel_size(files: list[File]) -> int:
    """Lines of code of L0 to L7 without the ops."""
    return sum(file.size for file in files if file.floor not in (OPS, ABOVE))


def violations(files: list[File]) -> Iterator[str]:
    """A line of text for each broken ceiling."""
    for what, size, ceiling in (("the kernel", kernel_size(files), KERNEL_CEILING),
                                ("ops/", floor_sizes(files)[OPS], OPS_CEILING)):
        if size > ceiling:
            yield f"{what}: {size:,} lines of code, ceiling {ceiling:,}"
    for file in files:
        if file.size > FILE_CEILING:
            yield f"{file.path}: {file.size} lines of code, ceiling {FILE_CEILING}"
        for name, line, size in file.functions:
            if size > FUNCTION_CEILING:
                yield f"{file.path}:{line}: {name} has {size} lines of code, ceiling {FUNCTION_CEILING}"


def table(files: list[File], each_file: bool = False) -> str:
    """The table as text: floors, and under each its files if `each_file`."""
    rows = []
    for floor, size in floor_sizes(files).items():
        rows.append(f"{floor:<44}{size:>7,}")
        if each_file:
            rows += [f"    {file.path:<40}{file.size:>7,}" for file in files if file.floor == floor]
    rows.append(f"{'kernel: L0-L7 without ops':<44}{kernel_size(files):>7,}  of {KERNEL_CEILING:,}")
    rows.append(f"{'ops':<44}{floor_sizes(files)[OPS]:>7,}  of {OPS_CEILING:,}")
    rows.append(f"{'longest file':<44}{max((f.size for f in files), default=0):>7,}  of {FILE_CEILING}")
    lengths = sorted(function.size for file in files for function in file.functions)
    if lengths:
        rows.append(f"{'longest function':<44}{lengths[-1]:>7,}  of {FUNCTION_CEILING}")
        rows.append(f"{'median function':<44}{lengths[len(lengths) // 2]:>7,}")
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> int:
    """Print the table and the violations; the result is the exit status."""
    parser = argparse.ArgumentParser(description="Lines of code of minijax, held against their ceilings.")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parents[1])
    parser.add_argument("--files", action="store_true", help="a row for each file too")
    options = parser.parse_args(arguments)
    files = measure_all(options.root)
    print(table(files, options.files))
    broken = list(violations(files))
    for violation in broken:
        print(f"too long: {violation}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
