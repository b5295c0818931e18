"""One call of a function with rules, and its rules on flat lists of values, checked.

    Call            the leaves of a call, its trees, and the function of leaves
    JvpRule, ...    what the op of `calls/custom.py` holds: the user's rule behind its own signature

Rules compare equal if they come from the same user's rule at the same tree and fixed arguments.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import canonical_argnums
from minijax.api.boundary import explain_call
from minijax.calls.arguments import Arguments
from minijax.calls.custom import bind_custom, in_front, packed, run
from minijax.calls.masks import nonzero, present, spread
from minijax.calls.names import argument_names, function_name, leaf_names
from minijax.custom_rules.zeros import CustomVJPPrimal, SymbolicZero, shown
from minijax.errors import MinijaxTypeError, NonlinearError, TreeError, UnexpectedTracerError
from minijax.interpreters.batch import place_axis
from minijax.interpreters.dual import jvp_flat
from minijax.ir.op import Linear, Op
from minijax.ir.types import ArrayType, zero
from minijax.ops.conversion import stop_gradient
from minijax.ops.families import moveaxis
from minijax.tracing.array import Tracer, is_value, typeof
from minijax.util import split_list


class Call:
    """One call of a function with rules: its leaves, and what maps leaves to its arguments and results.

    `fixed` are the arguments that no derivative is taken of, at the positions `numbers`.
    """

    def __init__(self, custom: Any, args: Sequence[Any]) -> None:
        self.custom = custom
        self.name = function_name(custom.fun)
        self.numbers = canonical_argnums(self.name, custom.nondiff_argnums, len(args)) if custom.nondiff_argnums else ()
        self.fixed = tuple([args[n] for n in self.numbers])
        self.moving = [n for n in range(len(args)) if n not in self.numbers]
        given = Arguments(type(custom).__name__, custom.fun, args, {}, self.moving).checked()
        self.leaves, self.in_types, self.in_tree = given.leaves, given.types(), given.tree.children()[0]
        self.linear = [n % len(args) for n in custom.linear_argnums]
        self.out_tree: Any = None
        self.out_types: Sequence[ArrayType] | None = None
        self.places: dict[str, str] = {}

    def rule_named(self, kind: str) -> str:
        """A rule as errors speak of it: its kind, its function and where it is written."""
        return f"The {kind} rule of {self.name}{self.places.get(kind, '')}"

    def take_leaves(self) -> list[Any]:
        """The leaves of the call, which rules, kept by programs, must not hold on to."""
        leaves, self.leaves = self.leaves, []
        return leaves

    def stop_fixed(self) -> None:
        """Let no derivative pass through the fixed arguments."""
        self.fixed = tuple([stop_gradient(x) if isinstance(x, Tracer) else x for x in self.fixed])

    def restore(self, leaves: Sequence[Any]) -> list[Any]:
        """The positional arguments for other leaves."""
        args = list(self.in_tree.unflatten(leaves))
        for n, x in sorted(zip(self.numbers, self.fixed, strict=True), key=lambda pair: pair[0]):
            args.insert(n, x)
        return args

    def function(self, *leaves: Any) -> list[Any]:
        """The function itself, on leaves."""
        outs, self.out_tree = pytree.flatten(self.custom.fun(*self.restore(leaves)))
        self.check_values(outs, self.out_tree, f"The function {self.name}", "returned")
        self.out_types = [typeof(x) for x in outs]
        return outs

    def unflatten(self, outs: Sequence[Any]) -> Any:
        """The result of the function, from its leaves."""
        return self.out_tree.unflatten(outs)

    def check_values(self, outs: Sequence[Any], tree: Any, who: str, did: str) -> None:
        """Raise `MinijaxTypeError` for the first leaf that is no array."""
        for number, x in enumerate(outs):
            if not is_value(x):
                raise MinijaxTypeError(f"{who} {did} {x!r} of type {type(x).__name__} at "
                                       f"{leaf_path(tree, number)}. Results are pytrees of arrays and scalars.")

    def outputs(self, out: Any, rule: str) -> list[Any]:
        """Leaves of the output that a rule returned, which must be like the function's."""
        outs, tree = pytree.flatten(out)
        if self.out_tree is not None and tree != self.out_tree:
            raise TreeError(f"{self.rule_named(rule)} returned an output of structure {tree}, the function "
                            f"returns {self.out_tree}. They must be the same.")
        self.check_values(outs, tree, self.rule_named(rule), "returned")
        types = [typeof(x) for x in outs]
        self.out_tree, self.out_types = tree, self.out_types or types
        for number, (u, t) in enumerate(zip(types, self.out_types, strict=True)):
            if (t.shape, t.dtype) != (u.shape, u.dtype):
                raise MinijaxTypeError(f"{self.rule_named(rule)} returned an output of type {u} at "
                                       f"{leaf_path(tree, number)}, where the function returns {t}. "
                                       "They must have the same shape and dtype.")
        return outs

    def pair(self, result: Any, rule: str, second: str) -> tuple[Any, Any]:
        """The pair that a rule must return."""
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise MinijaxTypeError(f"{self.rule_named(rule)} must return a pair (output, {second}), "
                                   f"got {result!r}.")
        return result[0], result[1]

    def derivative(self, found: Any, t: ArrayType, rule: str, what: str, whose: str) -> Any:
        """A derivative that a rule returned for a value of type `t`, which must have its shape and dtype."""
        if found is None or isinstance(found, SymbolicZero) or not t.differentiable:
            return zero
        if not is_value(found):
            raise MinijaxTypeError(f"{self.rule_named(rule)} returned {found!r} of type {type(found).__name__} "
                                   f"as {what} for {whose} type {t}. Derivatives are arrays.")
        u = typeof(found)
        if (t.shape, t.dtype) != (u.shape, u.dtype):
            raise MinijaxTypeError(f"{self.rule_named(rule)} returned {what} of type {u} for {whose} type "
                                   f"{t}. They must have the same shape and dtype.")
        return found

    def cotangents(self, found: Any, types: Sequence[ArrayType], rule: str) -> list[Any]:
        """Leaves of the cotangents that a rule returned, one tree for each argument; `zero` for None."""
        trees = self.in_tree.children()
        if not isinstance(found, (tuple, list)) or len(found) != len(trees):
            raise MinijaxTypeError(f"{self.rule_named(rule)} must return a tuple with {len(trees)} cotangents, "
                                   f"one for each argument, got {found!r}.")
        leaves: list[Any] = []
        pieces = split_list(types, *[tree.num_leaves for tree in trees])
        for number, ct, tree, own in zip(self.moving, found, trees, pieces, strict=False):
            leaves.extend(self.cotangent(ct, tree, own, number, rule))
        return leaves

    def cotangent(self, ct: Any, tree: Any, types: Sequence[ArrayType], number: int, rule: str) -> list[Any]:
        """Leaves of the cotangent of one argument; None stands for zeros, of a part too."""
        if ct is None:
            return [zero] * len(types)
        leaves, ct_tree = pytree.flatten(ct, lambda x: x is None)
        if ct_tree != tree and any(x is None for x in leaves):  # a None may be part of the structure
            leaves, ct_tree = pytree.flatten(ct)
        if ct_tree != tree:
            raise TreeError(f"{self.rule_named(rule)} returned a cotangent of structure {ct_tree} for argument "
                            f"{number}, which has structure {tree}.")
        names = leaf_names(argument_names(self.custom.fun, number + 1)[number], tree.unflatten(leaves))
        return [self.derivative(c, t, rule, "a cotangent", f"argument {number} ({name}), which has")
                for c, t, name in zip(leaves, types, names, strict=True)]


def leaf_path(tree: Any, number: int) -> str:
    """Where in a result of structure `tree` a leaf is: `result['w'][2]`."""
    return leaf_names("result", tree.unflatten(range(tree.num_leaves)))[number]


class FlatRule:
    """A user's rule for one call, on flat lists of values."""

    kind: str

    def __init__(self, call: Call, rule: Callable[..., Any]) -> None:
        self.call = call
        self.rule = rule
        self.symbolic = self.kind in call.custom.symbolic
        self.__name__ = function_name(rule)
        code = getattr(rule, "__code__", None)
        if code and not str(rule.__module__).startswith("minijax."):  # not one that the library made of a user's
            call.places[self.kind] = f" ({code.co_filename}:{code.co_firstlineno})"
        self.key: Any = (self.kind, rule, call.custom.fun, self.symbolic, call.in_tree, call.fixed,
                         tuple(map(type, call.fixed)))
        try:
            self.hash = hash(self.key)
        except TypeError:  # a fixed argument that is no key: equal to itself alone
            self.key = self
            self.hash = id(self)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other or isinstance(other, FlatRule) and self.key is not self and self.key == other.key

    def user(self, *args: Any) -> Any:
        """Run the user's rule; a value that it captured and cannot have is named."""
        try:
            return self.rule(*args)
        except TypeError:
            unfit = explain_call(self.rule, args, {})
            if unfit is None:
                raise
            raise MinijaxTypeError(f"{self.call.rule_named(self.kind)}: {unfit}") from None
        except UnexpectedTracerError as error:
            raise UnexpectedTracerError(
                f"{self.call.rule_named(self.kind)} uses a traced value that it captured instead of being given "
                "it. Pass the value to the function as an argument (minijax.closure_convert turns what a function "
                f"captures into arguments).\n{error}") from None


class JvpRule(FlatRule):
    """jvp(primals, tangents) -> (output, output tangent)"""

    kind = "jvp"

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
        call = self.call
        seen = [shown(t, typeof(x), self.symbolic) for t, x in zip(tangents, primals, strict=True)]
        result = self.user(*call.fixed, call.in_tree.unflatten(primals), call.in_tree.unflatten(seen))
        out, out_tangent = call.pair(result, "jvp", "output tangent")
        outs = call.outputs(out, "jvp")
        found, tree = pytree.flatten(out_tangent)
        if tree != call.out_tree:
            raise TreeError(f"{call.rule_named('jvp')} returned a tangent of structure {tree} for an output of "
                            f"structure {call.out_tree}. They must be the same.")
        at = (leaf_path(tree, number) for number in range(len(outs)))
        return outs, [call.derivative(t, typeof(x), "jvp", f"a tangent at {path}" if len(outs) > 1 else "a tangent",
                                      "an output of") for x, t, path in zip(outs, found, at, strict=True)]


class FwdRule(FlatRule):
    """fwd(*args) -> (output, residuals)"""

    kind = "fwd"

    def __init__(self, call: Call, rule: Callable[..., Any]) -> None:
        super().__init__(call, rule)
        self.residual_trees: dict[int, Any] = {}

    def __call__(self, primals: Sequence[Any], perturbed: Sequence[bool]) -> Any:
        call = self.call
        seen = [CustomVJPPrimal(*pair) for pair in zip(primals, perturbed, strict=True)] if self.symbolic else primals
        out, saved = call.pair(self.user(*call.restore(seen)), "fwd", "residuals")
        outs = call.outputs(out, "fwd")
        residuals, tree = pytree.flatten(saved)
        call.check_values(residuals, tree, call.rule_named("fwd"), "returned as residuals")
        self.residual_trees[len(residuals)] = tree
        return outs, residuals


class BwdRule(FlatRule):
    """bwd(residuals, cotangent) -> a tuple with the cotangent of each argument"""

    kind = "bwd"

    def __init__(self, call: Call, rule: Callable[..., Any], fwd: FwdRule) -> None:
        super().__init__(call, rule)
        self.fwd = fwd

    def __call__(self, residuals: Sequence[Any], cts: Sequence[Any]) -> list[Any]:
        call, tree = self.call, self.fwd.residual_trees[len(residuals)]
        seen = [shown(ct, t, self.symbolic) for ct, t in zip(cts, call.out_types or (), strict=True)]
        found = self.user(*call.fixed, tree.unflatten(residuals), call.unflatten(seen))
        return call.cotangents(found, call.in_types, "bwd")


class VmapRule(FlatRule):
    """vmap(size, in_batched, *args) -> (output, out_batched); batch axes are in front"""

    kind = "vmap"

    def __call__(self, size: int, axes: Sequence[int | None], args: Sequence[Any]) -> Any:
        call = self.call
        placed = [x if axis is None else moveaxis(x, axis, 0) for x, axis in zip(args, axes, strict=True)]
        in_batched = list(call.in_tree.unflatten([axis is not None for axis in axes]))
        result = self.user(size, in_batched, *call.restore(placed))
        out, out_batched = call.pair(result, "vmap", "out_batched")
        outs, tree = pytree.flatten(out)
        call.check_values(outs, tree, call.rule_named("vmap"), "returned")
        marks, mark_tree = pytree.flatten(out_batched)
        if mark_tree != tree or not all(isinstance(mark, (bool, np.bool_)) for mark in marks):
            raise TreeError(f"{call.rule_named('vmap')} returned out_batched {out_batched!r} for an output of "
                            f"structure {tree}. It says True or False for each leaf, in that structure.")
        if call.out_tree is not None and tree != call.out_tree:
            raise TreeError(f"{call.rule_named('vmap')} returned an output of structure {tree}, the function "
                            f"returns {call.out_tree}. They must be the same.")
        self.check(size, outs, tree, marks)
        call.out_tree = tree
        return outs, [0 if mark else None for mark in marks]

    def jvp(self, op: Op, function: Any, consts: Sequence[Any], args: Sequence[Any], tangents: Sequence[Any],
            name: str) -> Any:
        """Bind the derivative of the function, with the derivative of this rule as its vmap rule."""
        marks = nonzero(tangents)
        moving = [i for i, marked in enumerate(marks) if marked]
        found: list[bool] = []

        def both(*flat: Any) -> list[Any]:
            of_one = functools.partial(jvp_flat, functools.partial(run, function, *flat[: len(consts)]))
            return packed(of_one, marks, found)(*flat[len(consts):])

        derivative = BatchedDerivative(self, marks, moving, found)
        outs = bind_custom(op, both, consts, [*args, *present(tangents)], name=name, vmap=derivative)
        return outs[: len(found)], spread(found, outs[len(found):])

    def check(self, size: int, outs: Sequence[Any], tree: Any, marks: Sequence[bool]) -> None:
        """Results that are batched have the batch axis in front, and else what the function returns."""
        types = [typeof(x) for x in outs]
        examples = [t.update(shape=t.shape[1:]) if mark else t for t, mark in zip(types, marks, strict=True)]
        self.call.out_types = self.call.out_types or examples
        for number, (u, mark, t) in enumerate(zip(types, marks, self.call.out_types, strict=True)):
            shape = (size, *t.shape) if mark else t.shape
            if (u.shape, u.dtype) != (shape, t.dtype):
                raise MinijaxTypeError(f"{self.call.rule_named('vmap')} returned {u} at {leaf_path(tree, number)}, "
                                       f"expected {t.update(shape=shape)} (out_batched is {bool(mark)}).")


class BatchedDerivative:
    """The derivative of a vmap rule: a vmap rule for functions of primals and of the tangents of some, `moving`."""

    def __init__(self, rule: Callable[..., Any], marks: Sequence[bool], moving: Sequence[int],
                 found: list[bool]) -> None:
        self.rule, self.marks, self.moving, self.found = rule, marks, moving, found
        self.__name__ = function_name(rule)

    def __call__(self, size: int, axes: Sequence[int | None], flat: Sequence[Any]) -> Any:
        count = len(self.marks)
        wide = [axis is not None for axis in axes[:count]]  # an argument is batched where its tangent is, too
        for i, axis in zip(self.moving, axes[count:], strict=True):
            wide[i] = wide[i] or axis is not None
        full = [*wide, *[wide[i] for i in self.moving]]
        placed = [place_axis(x, size, a, 0) if w else x for x, a, w in zip(flat, axes, full, strict=True)]
        own_axes = tuple([0 if w else None for w in wide])
        of_batch = functools.partial(jvp_flat, lambda *xs: in_front(size, *self.rule(size, own_axes, xs)))
        outs = packed(of_batch, self.marks, self.found)(*placed)
        return outs, (0,) * len(outs)

    jvp = VmapRule.jvp


class TransposeRule(FlatRule):
    """transpose(*other_args, cotangent) -> the cotangent of the linear argument, or a tuple of those of several"""

    kind = "transpose"

    def __call__(self, cts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        call, numbers = self.call, self.call.linear
        trees = call.in_tree.children()
        pieces = split_list(args, *[tree.num_leaves for tree in trees])
        others = [tree.unflatten(piece) for n, tree, piece in zip(call.moving, trees, pieces, strict=False)
                  if n not in numbers]
        if any(type(x) is Linear for x in pytree.leaves(others)):
            raise NonlinearError(f"{call.name} is being transposed with respect to an argument that is not among its "
                                 f"linear ones ({', '.join(map(str, numbers))}).")
        seen = [shown(ct, t, False) for ct, t in zip(cts, call.out_types or (), strict=True)]
        found = self.user(*call.fixed, *others, call.unflatten(seen))
        if len(numbers) == 1:
            found = (found,)
        if not isinstance(found, (tuple, list)) or len(found) != len(numbers):
            raise MinijaxTypeError(f"{call.rule_named('transpose')} must return a tuple with {len(numbers)} "
                                   f"cotangents, one for each linear argument, got {found!r}.")
        given = dict(zip(numbers, found, strict=True))
        full = call.cotangents([given.get(n) for n in call.moving], call.in_types, "transpose")
        return [ct if type(x) is Linear else None for ct, x in zip(full, args, strict=True)]


class LoweringRule(FlatRule):
    """lowering(*values) -> output, on the values of the compiler; it cannot be saved, nor run by NumPy"""

    kind = "lowering"

    def __call__(self, *values: Any) -> list[Any]:
        outs, tree = pytree.flatten(self.user(*self.call.restore(values)))
        if tree != self.call.out_tree:
            raise TreeError(f"{self.call.rule_named('lowering')} returned the structure {tree}, the function "
                            f"returns {self.call.out_tree}. They must be the same.")
        for number, (x, t) in enumerate(zip(outs, self.call.out_types or (), strict=True)):
            if (tuple(x.shape), x.dtype) != (t.shape, t.dtype):
                raise MinijaxTypeError(f"{self.call.rule_named('lowering')} returned an array of shape {x.shape} "
                                       f"and dtype {x.dtype} at {leaf_path(tree, number)}, expected {t}.")
        return outs
