"""Results as text, as Markdown for the README, and as JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import jax
import numpy as np

from benchmarks.rows import Result, clock_text

HEADER = ("what", "minijax", "JAX", "ratio", "target", "verdict")
WIDTHS = (58, 10, 10, 7, 10, 8)


def amount(value: float | None, unit: str) -> str:
    """A time or a number of bytes; a dash for what was not measured."""
    if value is None:
        return "-"
    return clock_text(value) if unit == "s" else f"{value:,.0f} B"


def cells(result: Result) -> tuple[str, ...]:
    """A result as the texts of its columns."""
    verdict = {True: "ok", False: "MISS", None: "-"}[result.reached]
    name = f"{result.name} ({result.note})" if result.note else result.name
    return (name, amount(result.ours, result.unit), amount(result.theirs, result.unit), f"{result.ratio:.3g}",
            result.target or "-", verdict)


def text_line(texts: Sequence[str]) -> str:
    """One line of the plain table: the first column to the left, the others to the right."""
    return " ".join([texts[0].ljust(WIDTHS[0]), *(x.rjust(n) for x, n in zip(texts[1:], WIDTHS[1:], strict=True))])


def markdown(results: Sequence[Result]) -> str:
    """The table for the README, with numbers and units that stay on one line."""
    rows = [(name, *[text.replace("<=", "≤").replace(" ", "\u00a0") for text in rest])
            for name, *rest in map(cells, results)]
    lines = [HEADER, ("---", *["---:"] * (len(HEADER) - 2), "---"), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def surroundings() -> dict[str, Any]:
    """What the numbers depend on."""
    device = jax.devices()[0]
    return {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__,
            "device": f"{device.platform}: {device.device_kind}", "machine": platform.machine(),
            "cores": os.cpu_count()}


def document(results: Sequence[Result]) -> dict[str, Any]:
    """The results and their surroundings, ready for `json.dump`."""
    return {"surroundings": surroundings(), "rows": [asdict(result) for result in results]}
