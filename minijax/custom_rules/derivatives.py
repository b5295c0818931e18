"""`custom_jvp` and `custom_vjp`: functions with derivative rules of their own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import canonical_argnums, check_callable, flatten_values, function_name
from minijax.calls.custom import bind_custom, custom_jvp_p, custom_vjp_p
from minijax.calls.static import as_tuple
from minijax.errors import MinijaxTypeError, TreeError
from minijax.interpreters.evaluate import base_trace
from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.util import split_list


class _Call:
    """One call of a function with rules: its leaves, and functions of leaves for it and its rules."""

    def __init__(self, custom: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        numbers = custom.nondiff_argnums
        self.fun = functools.partial(custom.fun, **kwargs) if kwargs else custom.fun
        self.name = function_name(custom.fun)
        self.numbers = canonical_argnums(self.name, numbers, len(args)) if numbers else ()
        self.fixed = tuple(args[n] for n in self.numbers)
        moving = [x for n, x in enumerate(args) if n not in self.numbers]
        self.leaves, self.in_tree = flatten_values(type(custom).__name__, custom.fun, moving)
        self.out_tree: Any = None

    def restore(self, leaves: Sequence[Any]) -> list[Any]:
        """The positional arguments for other leaves."""
        args = list(self.in_tree.unflatten(leaves))
        for n, x in sorted(zip(self.numbers, self.fixed, strict=True)):
            args.insert(n, x)
        return args

    def function(self, *leaves: Any) -> list[Any]:
        """The function itself, on leaves."""
        return self.flatten_out(self.fun(*self.restore(leaves)), "the function")

    def flatten_out(self, out: Any, who: str) -> list[Any]:
        """Leaves of a result, whose structure must be the same each time."""
        outs, tree = pytree.flatten(out)
        if self.out_tree is not None and tree != self.out_tree:
            raise TreeError(f"The rule of {self.name}: {who} returned the structure {tree}, expected {self.out_tree}.")
        self.out_tree = tree
        return outs

    def pair(self, result: Any, rule: str, second: str) -> tuple[Any, Any]:
        """The pair that a rule must return."""
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise MinijaxTypeError(f"The {rule} rule of {self.name} must return a pair (output, {second}), "
                                   f"got {type(result).__name__}.")
        return result[0], result[1]

    def fitting(self, rule: str, what: str, found: Any, whose: str, value: Any) -> Any:
        """A derivative that a rule returned for a value, which must have the value's shape and dtype."""
        t = typeof(value)
        if not t.differentiable:
            return zero
        u = typeof(found)
        if (t.shape, t.dtype) != (u.shape, u.dtype):
            raise MinijaxTypeError(f"The {rule} rule of {self.name} returned {what} of type {u} for {whose} type "
                                   f"{t}. They must have the same shape and dtype.")
        return found


class _Custom:
    """A function to which rules are given after it is made; `op` is what a call of it binds."""

    op: Op
    definition: str  # how to give the rules, for a message

    def __init__(self, fun: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        check_callable(type(self).__name__, fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = as_tuple("nondiff_argnums", nondiff_argnums, int)
        self.rules: tuple[Callable[..., Any], ...] = ()

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.rules:
            name = function_name(self.fun)
            raise MinijaxTypeError(f"The {type(self).__name__} function {name} has no rule yet. Give it one with "
                                   f"{name}.{self.definition}.")
        if context.trace is base_trace:
            return self.fun(*args, **kwargs)
        call = _Call(self, args, kwargs)
        outs = bind_custom(self.op, call.function, call.leaves, **self.flat_rules(call))
        return call.out_tree.unflatten(outs)


class custom_jvp(_Custom):
    """A function with its own rule for forward-mode derivatives (reverse mode follows from it).

    The rule, given to `defjvp`, maps (primals, tangents), tuples, to (output, output tangent).

    >>> @custom_jvp
    ... def f(x): return x * x
    >>> @f.defjvp
    ... def f_jvp(primals, tangents): return f(*primals), 10.0 * tangents[0]
    """

    op = custom_jvp_p
    definition = "defjvp(rule)"

    def defjvp(self, jvp: Callable[..., Any], symbolic_zeros: bool = False) -> Callable[..., Any]:
        """Set the rule; returns it, so that this can be a decorator."""
        check_callable("defjvp", jvp)
        self.rules = (jvp,)
        return jvp

    def defjvps(self, *jvps: Callable[..., Any] | None) -> None:
        """Set one rule for each argument: jvps[i](tangent, output, *primals); None for no dependence."""
        def rule(primals: Any, tangents: Any) -> Any:
            out = self(*primals)
            terms = [jvp(t, out, *primals) for jvp, t in zip(jvps, tangents, strict=True) if jvp is not None]
            return out, functools.reduce(lambda a, b: pytree.map(lambda x, y: x + y, a, b), terms)

        self.rules = (rule,)

    def flat_rules(self, call: _Call) -> dict[str, Callable[..., Any]]:
        """The rule on leaves."""
        def rule(primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
            trees = call.in_tree.unflatten(primals), call.in_tree.unflatten(tangents)
            out, out_tangent = call.pair(self.rules[0](*call.fixed, *trees), "jvp", "output tangent")
            outs = call.flatten_out(out, "the rule's output")
            out_tangents, tree = pytree.flatten(out_tangent)
            if tree != call.out_tree:
                raise TreeError(f"The jvp rule of {call.name} returned a tangent of structure {tree} for an output of "
                                f"structure {call.out_tree}. They must be the same.")
            return outs, [call.fitting("jvp", "a tangent", t, "an output of", x)
                          for x, t in zip(outs, out_tangents, strict=True)]

        return {"rule": rule}


class custom_vjp(_Custom):
    """A function with its own rule for reverse-mode derivatives.

    `defvjp(fwd, bwd)`: fwd(*args) returns (output, residuals); bwd(residuals, cotangent) returns a tuple
    with the cotangent of each argument (None for zero).

    >>> @custom_vjp
    ... def f(x): return x * x
    >>> f.defvjp(lambda x: (f(x), x), lambda x, ct: (10.0 * ct,))
    """

    op = custom_vjp_p
    definition = "defvjp(fwd, bwd)"

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any], symbolic_zeros: bool = False,
               optimize_remat: bool = False) -> None:
        """Set the rule's two halves."""
        check_callable("defvjp", fwd)
        check_callable("defvjp", bwd)
        self.rules = fwd, bwd

    def flat_rules(self, call: _Call) -> dict[str, Callable[..., Any]]:
        """The two halves on leaves."""
        user_fwd, user_bwd = self.rules
        residual_trees: dict[int, Any] = {}

        def fwd(*leaves: Any) -> Any:
            out, saved = call.pair(user_fwd(*call.restore(leaves)), "fwd", "residuals")
            outs = call.flatten_out(out, "the fwd rule's output")
            residuals, tree = pytree.flatten(saved)
            residual_trees[len(residuals)] = tree
            return outs, residuals

        def bwd(residuals: Sequence[Any], cts: Sequence[Any]) -> Any:
            tree = residual_trees[len(residuals)]
            found = user_bwd(*call.fixed, tree.unflatten(residuals), call.out_tree.unflatten(cts))
            return flatten_cotangents(call, found)

        return {"fwd": fwd, "bwd": bwd}


def flatten_cotangents(call: _Call, found: Any) -> list[Any]:
    """Leaves of what a bwd rule returned, `zero` for None; checked against the arguments."""
    trees = call.in_tree.children()
    if not isinstance(found, (tuple, list)) or len(found) != len(trees):
        raise MinijaxTypeError(f"The bwd rule of {call.name} must return a tuple with {len(trees)} cotangents, one for "
                               f"each argument, got {found!r}.")
    leaves: list[Any] = []
    pieces = split_list(call.leaves, *[tree.num_leaves for tree in trees])
    for number, (ct, tree, primals) in enumerate(zip(found, trees, pieces, strict=False)):
        if ct is None:
            leaves.extend([zero] * tree.num_leaves)
            continue
        ct_leaves, ct_tree = pytree.flatten(ct)
        if ct_tree != tree:
            raise TreeError(f"The bwd rule of {call.name} returned a cotangent of structure {ct_tree} for argument "
                            f"{number}, which has structure {tree}.")
        leaves.extend(call.fitting("bwd", "a cotangent", c, f"argument {number}, which has", x)
                      for x, c in zip(primals, ct_leaves, strict=True))
    return leaves
