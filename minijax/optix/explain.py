"""One update, stage by stage: what becomes of a gradient on its way to the parameter."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minijax import tree
from minijax.errors import MinijaxValueError
from minijax.optix.checks import tree_error
from minijax.optix.hyperparameters import Injected
from minijax.optix.transformation import Chain, GradientTransformation, check_stages, run_stage
from minijax.optix.updates import apply_updates
from minijax.pytree import keystr
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

HEADER = ("stage", "type", "norm", "of parameter", "largest entry")


class Row(NamedTuple):
    """One stage's updates: type, norm, norm in units of the parameter's, the entry of largest size and its place."""

    stage: str
    type: str
    norm: float
    of_parameter: float
    largest: float | complex
    place: str

    def cells(self) -> tuple[str, ...]:
        """The row as text, under `HEADER`."""
        return (self.stage, self.type, f"{self.norm:.4g}", f"{self.of_parameter:.2g}",
                f"{self.largest:.4g} at {self.place}")


class Explanation(NamedTuple):
    """A table of rows: the parameter, the gradient, each stage of the transformation, and what was applied."""

    path: str
    rows: tuple[Row, ...]

    def __str__(self) -> str:
        table = [HEADER, *[row.cells() for row in self.rows]]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join([cell.ljust(width) for cell, width in zip(row, widths, strict=True)]) for row in table]
        return "\n".join([f"update of params{self.path}", *[line.rstrip() for line in lines]])

    def _repr_html_(self) -> str:
        head, *body = [[html.escape(cell) for cell in row] for row in (HEADER, *[row.cells() for row in self.rows])]
        left = 'style="text-align: left"'
        lines = ["".join([f"<td {left}>{cell}</td>" for cell in row]) for row in body]
        return (f"<table><caption>update of params{html.escape(self.path)}</caption>"
                f"<tr>{''.join([f'<th {left}>{cell}</th>' for cell in head])}</tr>"
                f"{''.join([f'<tr>{line}</tr>' for line in lines])}</table>")


def explain_update(transformation: GradientTransformation, gradients: Any, state: Any, params: Any, path: str = "",
                   **extra: Any) -> Explanation:
    """What one update does to a parameter: print the result, or leave it to a notebook.

    `path` names a leaf, or a subtree, of the parameters as errors do: "['linear']['w']"; all are taken together without
    it.  The state is not changed.  The last row is what the parameter really moved, in its own dtype.  Raises
    `MinijaxValueError` for a path that is not there.

    >>> import minijax.numpy as jnp
    >>> from minijax.optix import adam, chain, clip
    >>> optimizer = chain(clip(1.0), adam(0.5))
    >>> params = {"w": jnp.array([4.0, 3.0])}
    >>> print(explain_update(optimizer, {"w": jnp.array([-3.0, 0.0])}, optimizer.init(params), params, "['w']"))
    update of params['w']
    stage          type    norm  of parameter  largest entry
    parameter      f32[2]  5     1             4 at ['w'][0]
    gradient       f32[2]  3     0.6           -3 at ['w'][0]
    clip           f32[2]  1     0.2           -1 at ['w'][0]
    scale_by_adam  f32[2]  1     0.2           -1 at ['w'][0]
    scale          f32[2]  0.5   0.1           0.5 at ['w'][0]
    applied        f32[2]  0.5   0.1           0.5 at ['w'][0]
    """
    if tree.structure(gradients) != tree.structure(params):
        raise tree_error("explain_update", "params", params, "gradients", gradients)
    found = [("parameter", params), ("gradient", gradients)]
    found += [(stage.name, updates) for stage, updates, _ in stages(transformation, gradients, state, params, extra)]
    leaves = [(name, chosen(path, values)) for name, values in found]
    new = chosen(path, apply_updates(params, found[-1][1]))
    old = leaves[0][1]
    moved = [(place, wide(after) - wide(before)) for (place, before), (_, after) in zip(old, new, strict=True)]
    unit = norm(old)
    rows = [row(name, types(values), values, unit) for name, values in leaves]
    return Explanation(path, (*rows, row("applied", types(new), moved, unit)))


def stages(transformation: GradientTransformation, updates: Any, state: Any, params: Any,
           extra: dict[str, Any]) -> Iterator[tuple[GradientTransformation, Any, Any]]:
    """Each stage in turn, chains and injected transformations opened, with the updates and the state that it gives."""
    if isinstance(transformation, Injected):
        yield from stages(transformation.built(updates, state), updates, state.inner_state, params, extra)
        return
    if not isinstance(transformation, Chain):
        yield transformation, *run_stage(transformation, updates, state, params, extra)
        return
    check_stages(transformation.stages, state)
    for stage, old in zip(transformation.stages, state, strict=True):
        for inner in stages(stage, updates, old, params, extra):
            updates = inner[1]
            yield inner


def chosen(path: str, values: Any) -> list[tuple[str, Any]]:
    """(path, leaf) of the leaves at the path or below it."""
    pairs = [(keystr(keys), leaf) for keys, leaf in tree.leaves_with_path(values)]
    found = [(place, leaf) for place, leaf in pairs
             if place.startswith(path) and place[len(path):len(path) + 1] in ("", "[", ".")]
    if not found:
        raise MinijaxValueError(f"explain_update: nothing is at params{path}{at_line()}. Pass one of "
                                f"{', '.join([repr(place) for place, _ in pairs[:10]])}{', ...' * (len(pairs) > 10)}.")
    return found


def row(stage: str, type: str, values: Sequence[tuple[str, Any]], unit: float) -> Row:
    """The row of a stage whose leaves are `values`, for a parameter of the norm `unit`."""
    place, leaf = max(values, key=lambda pair: np.max(np.abs(wide(pair[1])), initial=0.0))
    array = wide(leaf)
    if not array.size:
        return Row(stage, type, 0.0, 0.0, 0.0, "no entry")
    index = np.unravel_index(np.argmax(np.abs(array)), array.shape)
    length = norm(values)
    inside = f"[{', '.join([str(i) for i in index])}]" if index else ""
    return Row(stage, type, length, length / unit if unit else np.inf, array[index].item(), place + inside)


def types(values: Sequence[tuple[str, Any]]) -> str:
    """The type of a single leaf; how many there are of several."""
    return str(typeof(values[0][1])) if len(values) == 1 else f"{len(values)} leaves"


def norm(values: Sequence[tuple[str, Any]]) -> float:
    """The length of all entries together."""
    return float(np.sqrt(sum([np.sum(np.abs(wide(leaf)) ** 2) for _, leaf in values])))


def wide(leaf: Any) -> np.ndarray:
    """A leaf in the largest dtype of NumPy, so that nothing overflows."""
    array = np.asarray(leaf)
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
