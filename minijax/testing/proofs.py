"""What checks prove of an op: which of its rules ran in a check that sees them wrong; or why it has no such rule.

A rule that neither ran in such a check nor is absent by the op's nature is a hole.  The nature is read off the op's
record (its traits, the rules that it has) and its samples (their types), and is the same for all ops.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minijax import config
from minijax.errors import NonlinearError
from minijax.interpreters.dual import LinearTape, linearize_flat
from minijax.interpreters.evaluate import run_by_python
from minijax.ir.op import Linear, Op
from minijax.ir.types import zero
from minijax.lowering.table import rules as lowerings
from minijax.testing.checks import choices, is_linear, linear_map, tangent_like
from minijax.testing.samples import Sample, function_of, result_types

PROVED_BY = {
    "type": ("type",), "eval": ("backend", "effects"), "jvp": ("differences", "kinks", "inside", "effects"),
    "linearize": ("reverse", "differences", "inside", "effects"), "transpose": ("transpose", "reverse", "inside"),
    "batch": ("batch", "inside", "meaning", "effects"), "dce": ("staged",), "cost": ("type",),
    "lowering": ("backend", "effects")}
HOLE = "unproven"


@contextlib.contextmanager
def watched(op: Op) -> Iterator[set[str]]:
    """While the context lasts, note which rules of the op run."""
    ran: set[str] = set()
    right = {rule: getattr(op, rule) for rule in PROVED_BY if rule != "lowering"}

    def noting(rule: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **params: Any) -> Any:
            ran.add(rule)
            return function(*args, **params)

        return run

    lowering = lowerings.get(op)
    for rule, function in right.items():
        if function is not None and op.has(rule):
            setattr(op, rule, noting(rule, function))
    if lowering is not None:
        lowerings[op] = noting("lowering", lowering)
    try:
        yield ran
    finally:
        for rule, function in right.items():
            setattr(op, rule, function)
        if lowering is not None:
            lowerings[op] = lowering


def proved(op: Op, check: str, ran: set[str]) -> set[str]:
    """The rules that a check has proven which has passed, and in which these rules ran."""
    derived = {"linearize"} if op.linearize is None and "jvp" in ran else set()
    whole = {"dce"} if op.dce is None else set()  # an equation is left out or it is not
    found = {rule for rule in ran | derived | whole if check in PROVED_BY[rule]}
    by_itself = op in run_by_python and check == "staged"  # eager calls run the Python function, and no eval rule
    return found | ({"eval"} & ran if by_itself else set())


# ---- why an op has no such rule

def takes_nothing(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether the op has no operands, of which there could be tangents, cotangents or batches."""
    return not any(sample.args for sample in samples)


def has_no_floats(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether no operand, or no result, has a derivative, by types."""
    return not any(any(t.differentiable for t in sample.types) and any(t.differentiable for t in results)
                   for sample in samples for results in [result_types(op, sample)])


def is_not_linear(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether the op is linear in no operand, so that it is in no linear program."""
    tried = [linear_somewhere(op, sample) for sample in samples if sample.smooth and choices(sample)]
    return not op.has("transpose") and bool(tried) and not any(tried)


def linear_somewhere(op: Op, sample: Sample) -> bool:
    """Whether the op is linear in some of its operands at a sample."""
    for chosen in choices(sample) if all(t.differentiable for t in result_types(op, sample)) else ():
        vs, push = [tangent_like(sample.args[i], 3 + i) for i in chosen], linear_map(op, sample, chosen)
        if is_linear(push, vs, push(vs)):
            return True
    return False


def tapes(op: Op, samples: Sequence[Sample]) -> Iterator[LinearTape]:
    """The op's derivative at each sample, by each choice of operands."""
    for sample in samples:
        for chosen in choices(sample):
            marks = [i in chosen for i in range(len(sample.args))]
            yield linearize_flat(function_of(op, sample), sample.args, marks)[1]


def is_spelled_out(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether the derivative of an op without transpose rule is made of other ops."""
    found = list(tapes(op, samples))
    bound = {eqn.op for tape in found for eqn in tape.eqns}
    return not op.has("transpose") and bool(found) and op not in bound


def is_constant(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether the op's rule gives no tangents at any sample."""
    found = list(tapes(op, samples))
    return bool(found) and all(t is zero for tape in found for t in tape.outs)


def refuses(op: Op, samples: Sequence[Sample]) -> bool:
    """Whether the op's transpose rule says, at each sample, that there is no transpose."""
    def refused(sample: Sample, chosen: Sequence[int]) -> bool:
        args = [Linear(t) if i in chosen else x for i, (x, t) in enumerate(zip(sample.args, sample.types, strict=True))]
        try:
            op.transpose([zero] * len(result_types(op, sample)), *args, **sample.params)
        except NonlinearError:
            return True
        return False

    tried = [refused(sample, chosen) for sample in samples for chosen in choices(sample)]
    return op.has("transpose") and bool(tried) and all(tried)


def trait(word: str) -> Callable[..., bool]:
    """Whether the op's record says this word."""
    return lambda op, samples: word in op.traits


DERIVATIVES = ("jvp", "linearize", "transpose")
NATURE: tuple[tuple[tuple[str, ...], Callable[[Op, Sequence[Sample]], bool], str], ...] = (
    ((*DERIVATIVES, "batch"), trait("impure"), "draws anew"),
    ((*DERIVATIVES, "batch"), takes_nothing, "no operands"),
    (DERIVATIVES, has_no_floats, "no floats"),
    (DERIVATIVES, trait("opaque"), "unknown function"),
    (("jvp",), trait("reverse only"), "reverse only"),
    (("eval",), trait("collective"), "of batches"),
    (DERIVATIVES, lambda op, samples: "linalg" in op.traits and "jvp" in op.undeclared, "none in JAX"),
    (("jvp", "linearize"), is_constant, "zero"),
    (("cost",), trait("custom"), "Python function"),
    (("transpose",), is_not_linear, "not linear"),
    (("transpose",), is_spelled_out, "other ops"),
    (("transpose",), refuses, "refused"),
)


def standing(op: Op, samples: Sequence[Sample], proofs: dict[str, int]) -> dict[str, str]:
    """By rule: 'proven'; or why the op, by its nature, has none; or else `HOLE`."""
    with config.override("evaluator", "numpy"), config.override("jax_enable_x64", True):
        return {rule: "proven" if proofs.get(rule) else
                next((why for rules, holds, why in NATURE if rule in rules and holds(op, samples)), HOLE)
                for rule in PROVED_BY}
