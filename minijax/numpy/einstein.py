"""einsum: Einstein's summation over labelled axes, by pairs of operands in NumPy's optimal order."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax.errors import MinijaxValueError, ShapeError
from minijax.fusion import fused
from minijax.ir import dtypes
from minijax.lax.enums import precision_of
from minijax.numpy.operands import converted, dtype_of, operand, refuse
from minijax.ops.comparison import eq, select_n
from minijax.ops.contraction import contract
from minijax.ops.families import at_line, broadcast_in_dim, reduce_sum, scalar_like, transpose
from minijax.ops.promotion import promoted
from minijax.ops.structural import iota, squeeze
from minijax.tracing.array import typeof

_letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def einsum(subscripts: Any, /, *operands: Any, out: None = None, optimize: Any = "auto", precision: Any = None,
           preferred_element_type: Any = None) -> Any:
    """Multiply operands whose axes are labelled, and sum over the labels that the result lacks.

    `subscripts` is such as 'ij,jk->ik', with '...' for further axes; or operands alternate with lists of labels.
    Raises `MinijaxValueError` or `ShapeError` if subscripts and operands do not fit.

    >>> einsum('ij,j->i', np.ones((2, 3)), np.arange(3.0))
    Array([3., 3.], dtype=float32)
    """
    refuse("einsum", out=out)
    if not isinstance(subscripts, str):
        subscripts, operands = _as_text(subscripts, *operands)
    arrays = [operand("einsum", x) for x in operands]
    inputs, result = _parse(subscripts.replace(" ", ""), tuple([x.ndim for x in arrays]))
    _check_sizes(subscripts, inputs, [x.shape for x in arrays])
    return _einsum(*arrays, inputs=inputs, result=result, precision=precision_of(precision),
                   dtype=dtype_of("einsum", preferred_element_type))


def _as_text(*alternating: Any) -> tuple[str, list[Any]]:
    """The subscripts and operands of einsum(x, [0, 1], y, [1, 2], [0, 2])."""
    count = len(alternating) // 2

    def label(each: Any) -> str:
        return "..." if each is Ellipsis else _letters[each]

    terms = ["".join(map(label, labels)) for labels in alternating[1:2 * count:2]]
    arrow = "->" + "".join(map(label, alternating[-1])) if len(alternating) % 2 else ""
    return ",".join(terms) + arrow, list(alternating[:2 * count:2])


@functools.lru_cache(maxsize=1024)
def _parse(subscripts: str, ranks: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """The labels of each operand and of the result, with letters for what '...' stands for."""
    left, arrow, result = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise MinijaxValueError(f"einsum: '{subscripts}' names {len(terms)} operands, {len(ranks)} are given.")
    free = [letter for letter in _letters if letter not in subscripts]
    extra = [rank - len(term.replace("...", "")) for term, rank in zip(terms, ranks, strict=True)]
    for term, rank, more in zip(terms, ranks, extra, strict=True):
        if more < 0 or more and "..." not in term or not term.replace("...", "").isalpha() and term.replace("...", ""):
            raise MinijaxValueError(
                f"einsum: the labels '{term}' of '{subscripts}' do not fit an operand of {rank} axes.")
    longest = max([more for term, more in zip(terms, extra, strict=True) if "..." in term], default=0)
    dots = "".join(free[:longest])
    inputs = tuple([term.replace("...", dots[longest - more:] if more else "")
                    for term, more in zip(terms, extra, strict=True)])
    if not arrow:
        joined = "".join(inputs)
        result = dots + "".join(sorted(c for c in set(joined) - set(dots) if joined.count(c) == 1))
    else:
        result = result.replace("...", dots)
    if len(set(result)) != len(result) or not set(result) <= set("".join(inputs)):
        raise MinijaxValueError(
            f"einsum: the result's labels in '{subscripts}' must be distinct labels of the operands.")
    return inputs, result


def _check_sizes(subscripts: str, inputs: Sequence[str], shapes: Sequence[tuple[int, ...]]) -> None:
    sizes: dict[str, int] = {}
    for labels, shape in zip(inputs, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            if n != 1 and sizes.setdefault(label, n) != n:
                raise ShapeError(f"einsum: the label '{label}' of '{subscripts}' has the sizes {sizes[label]} and {n} "
                                 f"in the shapes {', '.join(map(str, shapes))}{at_line()}.")


def _einsum_of(*arrays: Any, inputs: tuple[str, ...], result: str, precision: Any, dtype: Any) -> Any:
    arrays = promoted("einsum", *arrays)
    wanted = dtype or typeof(arrays[0]).dtype
    terms = list(zip(arrays, inputs, strict=True))
    for places in _path(inputs, result, tuple([x.shape for x in arrays])):
        chosen = [terms.pop(i) for i in sorted(places, reverse=True)][::-1]
        kept = set(result).union(*[labels for _, labels in terms])
        while len(chosen) > 1:
            later = kept.union(*[labels for _, labels in chosen[2:]])
            (x, x_labels), (y, y_labels) = _narrowed(*chosen[0], chosen[1]), _narrowed(*chosen[1], chosen[0])
            x, x_labels = _reduced(x, x_labels, later | set(y_labels))
            y, y_labels = _reduced(y, y_labels, later | set(x_labels))
            chosen[:2] = [_multiply(x, x_labels, y, y_labels, later, precision, dtype)]
        terms.append(_reduced(*chosen[0], kept))
    (x, labels), = terms
    return converted(transpose(x, [labels.index(c) for c in result]), wanted)


_einsum = fused(_einsum_of, static_argnames=("inputs", "result", "precision", "dtype"))


@functools.lru_cache(maxsize=1024)
def _path(inputs: tuple[str, ...], result: str, shapes: tuple[tuple[int, ...], ...]) -> list[tuple[int, ...]]:
    """Which operands to multiply in which order; the product goes to the end of the list."""
    if len(inputs) < 3:
        return [tuple(range(len(inputs)))]
    stand_ins = [np.broadcast_to(np.float32(0), shape) for shape in shapes]
    return np.einsum_path(f"{','.join(inputs)}->{result}", *stand_ins, optimize="optimal")[0][1:]


def _narrowed(x: Any, labels: str, partner: tuple[Any, str]) -> tuple[Any, str]:
    """The operand without its axes of size 1 whose label is larger in the partner: they broadcast."""
    sizes = dict(zip(partner[1], partner[0].shape, strict=True))
    narrow = [i for i, c in enumerate(labels) if x.shape[i] == 1 and sizes.get(c, 1) != 1]
    return squeeze(x, narrow), "".join([c for i, c in enumerate(labels) if i not in narrow])


def _reduced(x: Any, labels: str, kept: set[str]) -> tuple[Any, str]:
    """The operand with diagonals of repeated labels taken and the labels that nobody needs summed."""
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            x, labels = _diagonal(x, labels, label)
    summed = [i for i, c in enumerate(labels) if c not in kept]
    return reduce_sum(x, summed), "".join([c for c in labels if c in kept])


def _diagonal(x: Any, labels: str, label: str) -> tuple[Any, str]:
    """The diagonal of the first two axes that share a label: what is off it is masked, then one axis summed."""
    i, j = labels.index(label), labels.index(label, labels.index(label) + 1)
    on = eq(iota(dtypes.int32, x.shape, i), iota(dtypes.int32, x.shape, j))
    nothing = broadcast_in_dim(scalar_like(x, 0), x.shape, ())
    return reduce_sum(select_n(on, nothing, x), (i,)), labels[:i] + labels[i + 1:]


def _multiply(x: Any, x_labels: str, y: Any, y_labels: str, kept: set[str], precision: Any, dtype: Any) -> tuple[Any,
                                                                                                                 str]:
    out = [c for c in x_labels if c in kept] + [c for c in y_labels if c in kept and c not in x_labels]
    both = [c for c in out if c in x_labels and c in y_labels]
    out = both + [c for c in out if c not in both]
    return contract(x, x_labels, y, y_labels, out, precision, dtype), "".join(out)
