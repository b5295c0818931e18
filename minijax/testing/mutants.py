"""Planted wrong rules: each rule of an op, wrong in one way, to see whether the checks and samples catch it.

A mutant spoils what a rule returns (sign, factor, zero, flipped axis, swapped operands, a forgotten operand), or one op
that the rule binds (a forgotten sum, a dropped minus, a dropped term or factor, swapped operands, a permutation read
backwards).  `planted` puts it in place and notes whether it ever changes a value: one that never does is equivalent.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minijax.interpreters.evaluate import EvalTrace
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.ops.arithmetic import neg_p
from minijax.ops.families import mul, reshape
from minijax.ops.slicing import slice_
from minijax.ops.structural import rev
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.context import Trace, context, running

Rule = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Mutant:
    """`change` makes the wrong rule of `op`'s `rule`."""

    op: Op
    rule: str
    name: str
    change: Callable[[Rule], Rule]

    def __str__(self) -> str:
        return f"{self.op}.{self.rule}: {self.name}"


class Seen:
    """Whether a planted rule has changed a value so far."""

    differs = False


@contextlib.contextmanager
def planted(mutant: Mutant) -> Iterator[Seen]:
    """While the context lasts the op has the wrong rule."""
    op, right, seen = mutant.op, getattr(mutant.op, mutant.rule), Seen()
    wrong = mutant.change(right)

    def rule(*args: Any, **params: Any) -> Any:
        found = wrong(*args, **params)
        if not seen.differs and isinstance(context.trace, EvalTrace):
            seen.differs = different(mutant.rule, found, right(*args, **params))
        return found

    setattr(op, mutant.rule, rule)
    try:
        yield seen
    finally:
        setattr(op, mutant.rule, right)


def different(rule: str, found: Any, right: Any) -> bool:
    """Whether two results of a rule differ in a concrete value, or in an axis."""
    if rule == "batch":
        found, right = [[_in_front(x, axis) for x, axis in zip(*pair, strict=True)] for pair in (found, right)]
    elif rule in ("jvp", "linearize"):
        found, right = found[1], right[1]
    return any(_unlike(x, y) for x, y in zip(found, right, strict=True))


def _in_front(x: Any, axis: int | None) -> Any:
    return x if axis is None or isinstance(x, Tracer) or axis >= np.ndim(x) else np.moveaxis(np.asarray(x), axis, 0)


def _unlike(x: Any, y: Any) -> bool:
    if isinstance(x, Tracer) or isinstance(y, Tracer):
        return False
    if x is zero or y is zero or x is None or y is None:
        other = y if x is zero or x is None else x
        return other is not zero and other is not None and bool(np.any(np.asarray(other)))
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape:
        return True
    same = (x == y) | ((x != x) & (y != y)) if x.dtype.names is None else x == y
    return not np.all(same)


# ---- spoiling what a rule returns ----

def _number(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], Any]:
    """A change of numbers, or of the words of keys."""
    def changed(x: np.ndarray) -> np.ndarray:
        if x.dtype.names is None:
            return np.asarray(change(x)).astype(x.dtype)
        words = np.asarray(change(x[x.dtype.names[0]])).astype(np.uint32)
        return np.ascontiguousarray(words).view(x.dtype).reshape(x.shape)

    return changed


def _is_float(x: np.ndarray) -> bool:
    return dtypes.is_inexact(x.dtype)


EVAL = {
    "sign": _number(lambda x: -x if _is_float(x) else ~x if x.dtype == bool else x + 1),
    "factor": _number(lambda x: x * x.dtype.type(1.25) if _is_float(x) else ~x if x.dtype == bool else x * 2 + 1),
    "zero": _number(np.zeros_like),
    "flipped axis": _number(lambda x: np.flip(x, 0) if x.ndim else x),
}


def _flip(t: Any) -> Any:
    return rev(t, (0,)) if typeof(t).shape else t


VALUE = {
    "sign": lambda t: neg_p.bind(t)[0],
    "factor": lambda t: mul(t, np.asarray(1.25, typeof(t).dtype)),
    "zero": lambda t: zero,
    "flipped axis": _flip,
}


def _each(change: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    return [x if x is zero or x is None or not typeof(x).differentiable else change(x) for x in values]


def _swapped(values: Sequence[Any]) -> list[Any]:
    """The first two values of one type, swapped; all as they are if there are none."""
    out = list(values)
    for i, x in enumerate(out[:-1]):
        y = out[i + 1]
        if all(v is not zero and v is not None for v in (x, y)) and _type_of(x) == _type_of(y):
            out[i], out[i + 1] = y, x
            break
    return out


def _type_of(x: Any) -> Any:
    known = x.type if hasattr(x, "type") and not isinstance(x, np.ndarray) else typeof(x)
    return known.shape, known.dtype


def _eval_mutants() -> Iterator[tuple[str, Callable[[Rule], Rule]]]:
    for name, change in EVAL.items():
        yield name, lambda rule, change=change: lambda *xs, **params: tuple(
            [change(np.asarray(x)) for x in rule(*xs, **params)])
    yield "swapped operands", lambda rule: lambda *xs, **params: rule(*_swapped(xs), **params)


def _jvp_mutants(count: int) -> Iterator[tuple[str, Callable[[Rule], Rule]]]:
    for name, change in VALUE.items():
        def changed(rule: Rule, change: Any = change) -> Rule:
            def wrong(primals: Any, tangents: Any, **params: Any) -> Any:
                outs, found = rule(primals, tangents, **params)
                return outs, _each(change, found)

            return wrong

        yield name, changed
    yield "swapped tangents", lambda rule: lambda xs, ts, **params: rule(xs, _swapped(ts), **params)
    for i in range(count if count > 1 else 0):
        yield f"operand {i} forgotten", lambda rule, i=i: lambda xs, ts, **params: rule(xs, _without(ts, i), **params)


def _without(ts: Sequence[Any], i: int) -> list[Any]:
    """The tangents without that of operand i, unless no other is left."""
    left = [zero if i == j else t for j, t in enumerate(ts)]
    return list(ts) if all(t is zero for t in left) else left


def _transpose_mutants() -> Iterator[tuple[str, Callable[[Rule], Rule]]]:
    for name, change in VALUE.items():
        yield name, lambda rule, change=change: lambda cts, *args, **params: _each(change, rule(cts, *args, **params))
    yield "swapped cotangents", lambda rule: lambda cts, *args, **params: _swapped(rule(cts, *args, **params))


def _batch_mutants() -> Iterator[tuple[str, Callable[[Rule], Rule]]]:
    def changed(change: Callable[[int, list[Any], list[Any]], Any]) -> Callable[[Rule], Rule]:
        def make(rule: Rule) -> Rule:
            def wrong(size: int, args: Any, axes: Any, **params: Any) -> Any:
                outs, places = rule(size, args, axes, **params)
                return change(size, list(outs), list(places))

            return wrong

        return make

    yield "wrong axis", changed(lambda size, outs, places: (outs, [
        a if a is None else (a + 1) % len(typeof(x).shape) for x, a in zip(outs, places, strict=True)]))
    yield "examples in reverse", changed(lambda size, outs, places: (
        [x if a is None or dtypes.is_key(typeof(x).dtype) else rev(x, (a,)) for x, a in zip(outs, places, strict=True)],
        places))
    yield "batch axis forgotten", changed(lambda size, outs, places: (outs, [None] * len(places)))
    yield "swapped operands", lambda rule: lambda size, args, axes, **params: rule(
        size, *_swap_both(args, axes), **params)


def _swap_both(args: Any, axes: Any) -> tuple[list[Any], list[Any]]:
    order = [i for i, _ in _swapped_pairs(args)]
    return [args[i] for i in order], [axes[i] for i in order]


def _swapped_pairs(args: Any) -> list[tuple[int, Any]]:
    pairs = list(enumerate(args))
    for i in range(len(pairs) - 1):
        if _type_of(args[i]) == _type_of(args[i + 1]):
            pairs[i], pairs[i + 1] = pairs[i + 1], pairs[i]
            break
    return pairs


# ---- spoiling one op that a rule binds ----

class SpoilTrace(Trace):
    """Hands every op on to the trace around it, and does one of them wrongly; it lists what it has met."""

    __slots__ = ("at", "met", "count")
    name = "mutation"

    def __init__(self, parent: Trace, at: tuple[str, int] | None, met: set[tuple[str, int]] | None = None) -> None:
        super().__init__(parent)
        self.records = parent.records
        self.at = at
        self.met = met
        self.count: dict[str, int] = {}

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """The op's results in the trace around, spoiled if it is the op to do wrongly."""
        place = op.name, self.count.get(op.name, 0)
        self.count[op.name] = place[1] + 1
        if self.met is not None and spoil_of(op) is not None:
            self.met.add(place)
        before = context.trace
        context.trace = self.parent  # type: ignore[assignment]
        try:
            outs = self.parent.process(op, args, params)  # type: ignore[union-attr]
            return spoil_of(op)(outs, args, params) if place == self.at else outs  # type: ignore[misc]
        finally:
            context.trace = before


def _first_instead_of_sum(outs: Any, args: Any, params: Any) -> Any:
    x, axes = args[0], params["axes"]
    shape = typeof(x).shape
    if any(shape[a] == 0 for a in axes):
        return outs
    limits = [1 if i in axes else n for i, n in enumerate(shape)]
    return (reshape(slice_(x, [0] * len(shape), limits), typeof(outs[0]).shape),)


def _operand(number: int) -> Callable[..., Any]:
    """The op's result is one of its operands, where that has the type of the result."""
    def spoil(outs: Any, args: Any, params: Any) -> Any:
        for x in (args[number], args[1 - number] if len(args) == 2 else args[number]):
            if _type_of(x) == _type_of(outs[0]):
                return (x,)
        return outs

    return spoil


def _operands_swapped(op: Op, first: int) -> Callable[..., Any]:
    def spoil(outs: Any, args: Any, params: Any) -> Any:
        if _type_of(args[first]) != _type_of(args[first + 1]):
            return outs
        order = [*args[:first], args[first + 1], args[first], *args[first + 2:]]
        return op.bind(*order, **params)

    return spoil


def _backwards(op: Op) -> Callable[..., Any]:
    def spoil(outs: Any, args: Any, params: Any) -> Any:
        found = op.bind(*args, permutation=tuple(int(i) for i in np.argsort(params["permutation"])))
        return found if _type_of(found[0]) == _type_of(outs[0]) else outs

    return spoil


def _negated(outs: Any, args: Any, params: Any) -> Any:
    return [neg_p.bind(x)[0] if typeof(x).differentiable else x for x in outs]


def spoil_of(op: Op) -> Callable[..., Any] | None:
    """How an op is done wrongly inside a rule; None if it is left alone."""
    named: dict[str, Callable[..., Any]] = {
        "reduce_sum": _first_instead_of_sum, "neg": _operand(0), "mul": _operand(0), "add": _operand(0),
        "add_any": _operand(1), "sub": _operands_swapped(op, 0), "div": _operand(0),
        "select_n": _operands_swapped(op, 1), "transpose": _backwards(op)}
    return named.get(op.name, _operand(0) if "elementwise" in op.traits else _negated)


def _spoiled(rule: Rule, at: tuple[str, int] | None, met: set[tuple[str, int]] | None = None) -> Rule:
    def wrong(*args: Any, **params: Any) -> Any:
        with running(SpoilTrace(context.trace, at, met)):
            return rule(*args, **params)

    return wrong


# ---- all mutants of an op ----

OUTPUTS: dict[str, Callable[..., Any]] = {"eval": _eval_mutants, "transpose": _transpose_mutants,
                                          "batch": _batch_mutants}


def mutants(op: Op, operands: int, run: Callable[[], Any]) -> list[Mutant]:
    """The mutants of an op of so many operands; `run` uses its rules, so that it is known what they do.

    Rules that give nothing but zeros when they run have none; nor is it a mutation to swap one operand, or those of a
    commutative op.

    >>> from minijax.ops.elementwise import sin_p
    >>> [m.name for m in mutants(sin_p, 1, lambda: None) if m.rule == "eval"]
    ['sign', 'factor', 'zero', 'flipped axis']
    """
    found = []
    for rule in ("eval", "jvp", "linearize", "transpose", "batch"):
        if getattr(op, rule) is None or not op.has(rule):
            continue
        use = Use()
        if rule != "eval":
            with planted(Mutant(op, rule, "as it is", lambda right, use=use, rule=rule: use.watch(rule, right))):
                run()
        made = OUTPUTS[rule]() if rule in OUTPUTS else _jvp_mutants(operands)
        if rule == "eval" or use.gives:
            swaps = operands > 1 and not (rule in ("eval", "batch") and "commutative" in op.traits)
            found += [Mutant(op, rule, name, change) for name, change in made if swaps or "swapped" not in name]
            found += [Mutant(op, rule, f"{at[0]} number {at[1]} done wrongly", lambda right, at=at: _spoiled(right, at))
                      for at in sorted(use.met) if at[1] < 2]
    return found


class Use:
    """What a rule did while it ran: the ops it bound, and whether it gave anything but zeros."""

    def __init__(self) -> None:
        self.met: set[tuple[str, int]] = set()
        self.gives = False

    def watch(self, name: str, rule: Rule) -> Rule:
        """The rule, watched."""
        watched = _spoiled(rule, None, self.met)

        def run(*args: Any, **params: Any) -> Any:
            found = watched(*args, **params)
            values = found[0] if name == "batch" else found if name == "transpose" else found[1]
            self.gives = self.gives or any(x is not zero and x is not None for x in values)
            return found

        return run
