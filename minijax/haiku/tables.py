"""Tables: rows of text with a header, as text and, in notebooks, as HTML; and parameters as one.

`parameter_table(params)` prints as a table and shows as one.  After `%load_ext minijax.haiku.tables` notebooks
show params themselves so: they stay plain dicts (a subclass would be another pytree, or a leaf), and dicts
of anything else are shown as ever.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import Any

from minijax import pytree
from minijax.errors import MinijaxValueError
from minijax.haiku.data_structures import tree_bytes, tree_size, type_text

Rows = Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Table:
    """A header, rows of cells (text, perhaps of several lines), and for each column 'left' or 'right'.

    >>> print(Table(("Name", "Size"), [("w", "12"), ("b", "4")], ("left", "right")))
    +------+------+
    | Name | Size |
    +======+======+
    | w    |   12 |
    +------+------+
    | b    |    4 |
    +------+------+
    """

    headers: Sequence[str]
    rows: Rows
    align: Sequence[str]
    footer: str = ""

    def __str__(self) -> str:
        return self.text()

    def text(self, tablefmt: str = "grid") -> str:
        """The table as text: `tablefmt` is 'grid', 'plain', 'github' (Markdown) or 'html'.

        Raises `MinijaxValueError` for another one.
        """
        if tablefmt not in FORMATS:
            raise MinijaxValueError(f"a table cannot be printed as {tablefmt!r}. Choose one of {', '.join(FORMATS)}.")
        body = FORMATS[tablefmt](self)
        return f"{body}\n{self.footer}" if self.footer and tablefmt != "html" else body

    def _repr_html_(self) -> str:
        return _html(self)

    def widths(self) -> list[int]:
        """Letters of the widest line of each column."""
        columns = zip(self.headers, *self.rows, strict=True)
        return [max([len(line) for cell in column for line in cell.split("\n")]) for column in columns]


def _cell_lines(row: Sequence[str], widths: Sequence[int], align: Sequence[str]) -> list[list[str]]:
    """The lines of a row, each a list of cells filled up with spaces."""
    cells = [cell.split("\n") for cell in row]
    height = max([len(lines) for lines in cells])
    columns = []
    for lines, width, side in zip(cells, widths, align, strict=True):
        filled = lines + [""] * (height - len(lines))
        columns.append([line.rjust(width) if side == "right" else line.ljust(width) for line in filled])
    return [list(line) for line in zip(*columns, strict=True)]


def _grid(table: Table) -> str:
    widths = table.widths()
    header = [f"| {' | '.join(cells)} |" for cells in _cell_lines(table.headers, widths, table.align)]
    rows = [[f"| {' | '.join(cells)} |" for cells in _cell_lines(row, widths, table.align)] for row in table.rows]
    line, double = [f"+{'+'.join([mark * (width + 2) for width in widths])}+" for mark in "-="]
    return "\n".join([line, *header, double, *[text for row in rows for text in (*row, line)]])


def _plain(table: Table) -> str:
    widths = table.widths()
    lines = [cells for row in (table.headers, *table.rows) for cells in _cell_lines(row, widths, table.align)]
    return "\n".join(["  ".join(cells).rstrip() for cells in lines])


def _github(table: Table) -> str:
    flat = [[cell.replace("|", "\\|").replace("\n", "<br>") for cell in row] for row in (table.headers, *table.rows)]
    marks = ["---:" if side == "right" else ":---" for side in table.align]
    return "\n".join([f"| {' | '.join(row)} |" for row in (flat[0], marks, *flat[1:])])


def _html(table: Table) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        style = [f'<{tag} style="text-align: {side}; white-space: pre; vertical-align: top">' for side in table.align]
        return "".join([f"{start}{html.escape(cell)}</{tag}>" for start, cell in zip(style, row, strict=True)])

    rows = "".join([f"<tr>{cells(row, 'td')}</tr>" for row in table.rows])
    footer = f"<p>{html.escape(table.footer)}</p>" if table.footer else ""
    return f"<table><thead><tr>{cells(table.headers, 'th')}</tr></thead><tbody>{rows}</tbody></table>{footer}"


FORMATS = {"grid": _grid, "plain": _plain, "github": _github, "html": _html}


# ---- numbers in cells

def bytes_text(count: int) -> str:
    """A number of bytes for people: `1.07 MB`.

    >>> bytes_text(512), bytes_text(1_066_440)
    ('512.00 B', '1.07 MB')
    """
    return _scaled(count, ("B", "KB", "MB", "GB", "TB", "PB"))


def flops_text(count: int | None) -> str:
    """A number of floating-point operations for people: `4.26 M`; a dash if it is not known.

    >>> flops_text(17), flops_text(4_264_960), flops_text(None)
    ('17', '4.26 M', '-')
    """
    if count is None:
        return "-"
    return str(count) if count < 1000 else _scaled(count, ("", "k", "M", "G", "T", "P", "E"))


def _scaled(count: float, units: Sequence[str]) -> str:
    power = 0
    while count >= 1000 and power < len(units) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.2f} {units[power]}"


# ---- parameters

def parameter_table(params: Any) -> Table:
    """The arrays of params or state as a table: module, name, type, elements, bytes, and the share of all elements.

    `params` is any pytree of arrays (or of `ShapeDtypeStruct`s); the last key of a path is the name.

    >>> import minijax.numpy as jnp
    >>> print(parameter_table({"linear": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}}).text("plain"))
    Module  Name  Type      Elements    Bytes   Share
    linear  b     f32[3]           3  12.00 B   33.3%
    linear  w     f32[2,3]         6  24.00 B   66.7%
    Total                          9  36.00 B  100.0%
    """
    total = tree_size(params)
    rows = [(*_place(path), type_text(x), *_sizes(x, total)) for path, x in pytree.leaves_with_path(params)]
    rows.append(("Total", "", "", *_sizes(params, total)))
    headers = "Module", "Name", "Type", "Elements", "Bytes", "Share"
    return Table(headers, rows, ("left",) * 3 + ("right",) * 3)


def _place(path: Sequence[Any]) -> tuple[str, str]:
    """The module and the name that a path says."""
    keys = [str(getattr(key, "key", pytree.keystr([key]))) for key in path] or [""]
    return " ".join(keys[:-1]), keys[-1]


def _sizes(tree: Any, total: int) -> tuple[str, str, str]:
    return f"{tree_size(tree):,}", bytes_text(tree_bytes(tree)), f"{tree_size(tree) / max(total, 1):.1%}"


# ---- notebooks

def _is_structure(tree: dict[Any, Any]) -> bool:
    """Whether a dict is params or state: names of modules, names, arrays."""
    bundles = list(tree.values())
    return bool(bundles) and all([
        isinstance(module, str) and isinstance(bundle, Mapping) and len(bundle) > 0
        and all([isinstance(name, str) and hasattr(x, "shape") and hasattr(x, "dtype") for name, x in bundle.items()])
        for module, bundle in tree.items()])


def _dict_html(tree: dict[Any, Any], *unused: Any) -> str | None:
    return _html(parameter_table(tree)) if _is_structure(tree) else None


def load_ipython_extension(ipython: Any) -> None:
    """Make notebooks show dicts that are params or state as tables; IPython calls it for `%load_ext`."""
    ipython.display_formatter.formatters["text/html"].for_type(dict, _dict_html)


def unload_ipython_extension(ipython: Any) -> None:
    """Make notebooks show dicts as before; IPython calls it for `%unload_ext`."""
    ipython.display_formatter.formatters["text/html"].pop(dict, None)
