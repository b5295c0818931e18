"""Whether the rules that a function carries agree with it and with each other: `check_rules`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api import jit
from minijax.custom_rules.calls import Call, leaf_path
from minijax.custom_rules.functions import CustomFunction
from minijax.errors import MinijaxTypeError
from minijax.interpreters.dual import instantiate
from minijax.ir.op import Linear
from minijax.ir.types import zero
from minijax.testing.compare import Mismatch, agree, pairing, rounding
from minijax.testing.samples import random_array
from minijax.tracing.array import typeof

SIZE = 3


def check_rules(f: CustomFunction, *args: Any, rtol: float | None = None) -> None:
    """Check the rules of a `custom` function (or `custom_jvp` ...) at `args`, each against the function and the others.

    The outputs of jvp and fwd are the function's; jvp is linear in tangents; <u, J v> = <J^T u, v> for the J of
    jvp and the J^T of vjp; vmap equals a loop for each pattern of batched arguments; transpose is the function's;
    the lowered function gives the function's values.  A derivative may differ from the function's own on purpose,
    so that is not checked: `check_grads` does it.

    Args:
        f: the function with rules.
        args: its arguments.
        rtol: tolerance, relative to the largest value around; by default by dtype.

    Raises:
        Mismatch (an AssertionError): names the rule, the leaf and the index where they disagree.

    >>> from minijax import custom
    >>> f = custom(lambda x: x * x)
    >>> _ = f.defjvp(lambda primals, tangents: (f(*primals), 2.0 * primals[0] * tangents[0]))
    >>> f.defvjp(lambda x: (f(x), x), lambda x, ct: (3.0 * x * ct,))
    >>> check_rules(f, np.float32(1.5))
    Traceback (most recent call last):
    minijax.testing.compare.Mismatch: <u, J v> of jvp, <J^T u, v> of bwd: got -1.01..., expected -0.67...
    """
    if not isinstance(f, CustomFunction):
        raise MinijaxTypeError(f"check_rules takes a function made with minijax.custom or its kin, got {f!r}.")
    _Check(f, args, rtol).run()


class _Check:
    """One function at one set of arguments: its leaves, its flat rules, its value."""

    def __init__(self, f: CustomFunction, args: Sequence[Any], rtol: float | None) -> None:
        self.f, self.args, self.rtol = f, args, rtol
        self.call = Call(f, f.positional(args, {}))
        self.leaves = self.call.take_leaves()
        self.rules = f.flat_rules(self.call)
        self.outs = self.call.function(*self.leaves)
        self.seeds = itertools.count()
        self.smooth = [typeof(x).differentiable for x in self.leaves]

    def run(self) -> None:
        """Every check that the rules at hand allow."""
        checks = {"jvp": self.jvp, "fwd": self.vjp, "vmap": self.vmap, "transpose": self.transpose,
                  "lowering": self.lowering}
        for kind, check in checks.items():
            if kind in self.rules:
                check()

    def random(self, x: Any) -> Any:
        """A tangent or cotangent for a value; `zero` if it has none."""
        type = typeof(x)
        return random_array(type, next(self.seeds)) if type.differentiable else zero

    def agree(self, rule: str, what: str, outs: Sequence[Any], expected: Sequence[Any]) -> None:
        """Each leaf of an output is as expected."""
        for number, (x, y) in enumerate(zip(outs, expected, strict=True)):
            agree(rule, f"{what} at {leaf_path(self.call.out_tree, number)}", x, y, self.rtol)

    def paired(self, what: str, rule: str, us: Any, images: Any, pulled: Any, vs: Any) -> None:
        """<us, images> = <pulled, vs>, up to the rounding of the terms."""
        (left, size), (right, other) = pairing(us, images), pairing(pulled, vs)
        tolerance = self.rtol or max([rounding(x) for x in (*self.outs, *self.leaves)])
        if abs(left - right) > 4 * tolerance * max(size, other, 1e-30):
            raise Mismatch(rule, what, None, right, left)

    def jvp(self) -> None:
        """Outputs are the function's; tangents are linear."""
        tangents = [self.random(x) for x in self.leaves]
        outs, found = self.rules["jvp"](self.leaves, tangents)
        self.agree("jvp", "the output of the jvp rule", outs, self.outs)
        twice = [t if t is zero else t + t for t in tangents]
        images = self.rules["jvp"](self.leaves, twice)[1]
        expected = [t if t is zero else t + t for t in found]
        self.agree("jvp", "the jvp rule at twice the tangents",
                   *[list(map(instantiate, ts, outs)) for ts in (images, expected)])

    def vjp(self) -> None:
        """Outputs are the function's; cotangents fit the jvp rule, if there is one."""
        outs, residuals = self.rules["fwd"](self.leaves, self.smooth)
        self.agree("fwd", "the output of the fwd rule", outs, self.outs)
        cts = [self.random(x) for x in outs]
        pulled = self.rules["bwd"](residuals, cts)
        if "jvp" in self.rules:
            tangents = [self.random(x) for x in self.leaves]
            images = self.rules["jvp"](self.leaves, tangents)[1]
            self.paired("<u, J v> of jvp, <J^T u, v> of bwd", "bwd", cts, images, pulled, tangents)

    def transpose(self) -> None:
        """<u, f(v)> = <f^T u, v>."""
        linear = self.rules["linear"]
        tangents = [self.random(x) if is_linear else zero for x, is_linear in zip(self.leaves, linear, strict=True)]
        images = self.call.function(*[x if t is zero else t for x, t in zip(self.leaves, tangents, strict=True)])
        cts = [self.random(x) for x in self.outs]
        args = [Linear(typeof(x)) if is_linear else x for x, is_linear in zip(self.leaves, linear, strict=True)]
        pulled = [zero if ct is None else ct for ct in self.rules["transpose"](cts, args)]
        self.paired("<u, f v> of the function, <f^T u, v> of the transpose rule", "transpose", cts, images, pulled,
                    tangents)

    def vmap(self) -> None:
        """The rule equals a loop, with all leaves batched and with each alone."""
        count = len(self.leaves)
        patterns = {(True,) * count, *[tuple(i == j for i in range(count)) for j in range(count)]}
        for pattern in sorted(patterns, reverse=True):
            examples = [[self.example(x, i) if mark else x for x, mark in zip(self.leaves, pattern, strict=True)]
                        for i in range(SIZE)]
            batch = [np.stack([np.asarray(each[n]) for each in examples]) if mark else x
                     for n, (x, mark) in enumerate(zip(self.leaves, pattern, strict=True))]
            outs, axes = self.rules["vmap"](SIZE, [0 if mark else None for mark in pattern], batch)
            for number, each in enumerate(examples):
                own = [x if axis is None else np.asarray(x)[number] for x, axis in zip(outs, axes, strict=True)]
                self.agree("vmap", f"example {number} of the vmap rule, batched arguments {pattern},", own,
                           [np.asarray(x) for x in self.call.function(*each)])

    def example(self, x: Any, number: int) -> Any:
        """One of several arguments of one type."""
        array = np.asarray(x)
        return array * array.dtype.type(1 - number / 16) if typeof(x).differentiable else np.roll(array, number)

    def lowering(self) -> None:
        """The compiled function gives the function's values."""
        outs = pytree.leaves(jit(lambda: self.f(*self.args))())
        self.agree("lowering", "the lowered function", outs, self.outs)
