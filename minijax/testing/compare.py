"""Comparing values: to rounding where they are floats, exactly elsewhere; a difference is a `Mismatch`."""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir import dtypes
from minijax.ir.types import zero
from minijax.tracing.array import typeof

TOLERANCE = {"bfloat16": 3e-2, "float16": 6e-3, "float32": 5e-5, "complex64": 2e-4, "float64": 1e-9,
             "complex128": 1e-8}


class Mismatch(AssertionError):
    """Two values that must agree and do not: the rule to blame, where, what it gives and what was expected."""

    def __init__(self, rule: str, what: str, index: tuple[int, ...] | None = None, got: Any = None,
                 expected: Any = None) -> None:
        self.rule = rule
        self.what = what
        self.index = index
        self.got = got
        self.expected = expected
        at = f" at index {index}" if index is not None else ""
        values = "" if got is None and expected is None else f": got {got}, expected {expected}"
        super().__init__(f"{what}{at}{values}")


def numbers(x: Any) -> np.ndarray:
    """A concrete value as NumPy numbers wide enough to compare."""
    array = np.asarray(x, typeof(x).dtype) if not dtypes.is_key(typeof(x).dtype) else np.asarray(x)
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array.astype(np.float64) if dtypes.is_inexact(array.dtype) else array


def rounding(x: Any) -> float:
    """The tolerance of values of the dtype of `x`: 0 for what is not rounded."""
    return TOLERANCE.get(getattr(typeof(x).dtype, "name", ""), 0.0)


def agree(rule: str, what: str, got: Any, expected: Any, rtol: float | None = None) -> None:
    """Raise `Mismatch` at the first element where the values differ by more than rounding, or for unlike types."""
    types = [(typeof(x).shape, typeof(x).dtype) for x in (got, expected)]
    if types[0] != types[1]:
        raise Mismatch(rule, f"{what}, type", None, *[f"{dtype}{list(shape)}" for shape, dtype in types])
    close_numbers(rule, what, numbers(got), numbers(expected), rounding(expected) if rtol is None else rtol)


def close_numbers(rule: str, what: str, got: np.ndarray, expected: np.ndarray, rtol: float) -> None:
    """Raise `Mismatch` at the first element that differs by more than `rtol` of the largest value around."""
    if got.shape != expected.shape:
        raise Mismatch(rule, f"{what}, shape", None, got.shape, expected.shape)
    if got.dtype.names is not None:
        got, expected = [np.ascontiguousarray(x).view(np.uint32) for x in (got, expected)]
    if got.dtype.kind not in "fc":
        wrong = got != expected
    else:
        scale = np.max(np.abs(expected), where=np.isfinite(expected), initial=1.0)
        both_nan = np.isnan(got) & np.isnan(expected)
        wrong = ~(both_nan | (got == expected) | (np.abs(got - expected) <= rtol * scale))
    if np.any(wrong):
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise Mismatch(rule, what, index, got[index], expected[index])


def pairing(us: Any, vs: Any) -> tuple[float, float]:
    """The real part of the sum of u * v over all leaves, and the sum of its terms' sizes; `zero` counts as zero."""
    terms = [numbers(u) * numbers(v) for u, v in zip(us, vs, strict=True) if u is not zero and v is not zero]
    return (float(sum(np.sum(term.real) for term in terms)), float(sum(np.sum(np.abs(term)) for term in terms)))
