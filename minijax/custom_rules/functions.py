"""Functions with rules of their own: any of jvp, vjp, vmap, transpose and lowering.

`custom` takes them all; `custom_jvp`, `custom_vjp`, `custom_vmap` and `custom_transpose` are the same
with one kind of rule, under JAX's names where JAX has them.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.custom import (bind_custom, custom_jvp_p, custom_p, custom_transpose_p, custom_vjp_p,
                                  custom_vmap_p)
from minijax.calls.names import function_name, parameters, signature_of
from minijax.calls.static import JitOptions, as_tuple
from minijax.custom_rules.calls import BwdRule, Call, FwdRule, JvpRule, LoweringRule, TransposeRule, VmapRule
from minijax.custom_rules.zeros import zero_from_primal
from minijax.errors import ConcretizationTypeError, MinijaxTypeError, UnexpectedTracerError
from minijax.interpreters.evaluate import EvalTrace
from minijax.interpreters.stage import lift_constants, stage
from minijax.ir.op import Op
from minijax.tracing.array import Tracer
from minijax.tracing.context import context

Rule = Callable[..., Any]


class CustomFunction:
    """A function to which rules are given after it is made; `op` is what a call of it binds."""

    op: Op
    definition: str  # how to give the rules, for a message

    @boundary
    def __init__(self, fun: Rule, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = (),
                 linear_argnums: Sequence[int] = ()) -> None:
        check_callable(type(self).__name__, fun)
        functools.update_wrapper(self, fun)
        self.fun = fun
        self.nondiff_argnums = as_tuple("nondiff_argnums", nondiff_argnums, int)
        if nondiff_argnames:
            self.nondiff_argnums = JitOptions.of(fun, nondiff_argnums, nondiff_argnames).static_argnums
        self.linear_argnums = linear_argnums
        self.symbolic: set[str] = set()  # kinds of rules that are told of zeros
        self.rules: dict[str, Rule] = {}
        named = parameters(fun)
        self.arity = len(named) if all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in named) else -1

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    @boundary
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.rules:
            name = function_name(self.fun)
            raise MinijaxTypeError(f"The {type(self).__name__} function {name} has no rule yet. Give it one with "
                                   f"{name}.{self.definition}.")
        if type(context.trace) is EvalTrace:  # nothing to derive: the function itself
            return self.fun(*args, **kwargs)
        call = Call(self, self.positional(args, kwargs))
        return call.unflatten(bind_call(self.op, call, call.take_leaves(), self.flat_rules(call)))

    def positional(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Sequence[Any]:
        """The arguments by position, as rules take them; defaults filled in."""
        signature = None if len(args) == self.arity and not kwargs else signature_of(self.fun)
        if signature is None and not kwargs:
            return args
        bound = signature.bind(*args, **kwargs) if signature else None
        if bound is not None:
            bound.apply_defaults()
        if bound is None or bound.kwargs:
            names = ", ".join((bound.kwargs if bound else kwargs).keys())
            raise MinijaxTypeError(f"The {type(self).__name__} function {function_name(self.fun)} takes {names} by "
                                   "name only; rules take arguments by position. Make them positional parameters.")
        return bound.args

    def give(self, symbolic_zeros: bool = False, **rules: Rule) -> None:
        """Set rules."""
        for kind, rule in rules.items():
            check_callable(f"def{'vjp' if kind in ('fwd', 'bwd') else kind}", rule)
        self.rules |= rules
        self.symbolic = self.symbolic | {*rules} if symbolic_zeros else self.symbolic - {*rules}

    def flat_rules(self, call: Call) -> dict[str, Any]:
        """The rules on leaves, for the op."""
        given, found = self.rules, {}
        if "fwd" in given:
            self.refuse_tracers(call)
        call.stop_fixed()
        if "jvp" in given:
            found["jvp"] = JvpRule(call, given["jvp"])
        if "fwd" in given:
            found["fwd"] = FwdRule(call, given["fwd"])
            found["bwd"] = BwdRule(call, given["bwd"], found["fwd"])
        if "vmap" in given:
            found["vmap"] = VmapRule(call, given["vmap"])
        if "transpose" in given:
            found["transpose"] = TransposeRule(call, given["transpose"])
            sizes = [tree.num_leaves for tree in call.in_tree.children()]
            found["linear"] = tuple([n in call.linear for n, size in zip(call.moving, sizes, strict=True)
                                     for _ in range(size)])
        if "lowering" in given:
            found["lowering"] = LoweringRule(call, given["lowering"])
        return found

    def refuse_tracers(self, call: Call) -> None:
        """A traced value as a nondiff argument would be captured by both halves of a reverse rule."""
        for number, fixed in zip(call.numbers, call.fixed, strict=True):
            for x in pytree.leaves(fixed):
                if isinstance(x, Tracer):
                    raise UnexpectedTracerError(
                        f"Argument {number} of the {type(self).__name__} function {call.name} is among its "
                        f"nondiff_argnums, and is a traced value of type {x.type}. {x.describe()}\nRules cannot be "
                        "told of it: make it an ordinary argument and return None as its cotangent.")


def surrounded(rule: Callable[..., Any]) -> Callable[..., Any]:
    """A rule that, whenever it is run, finds what it would find here."""
    around = context.trace.around()
    calling = around and around.calling()
    if calling is None:
        return rule

    def run(*args: Any) -> Any:
        with calling():
            return rule(*args)

    return run


def bind_call(op: Op, call: Call, leaves: Sequence[Any], rules: dict[str, Any]) -> Sequence[Any]:
    """Bind a function with rules; one that captures a traced value is traced, to take the value as an input."""
    rules = {kind: surrounded(rule) if kind in ("jvp", "fwd", "bwd") else rule for kind, rule in rules.items()}
    try:
        outs = bind_custom(op, call.function, (), leaves, name=call.name, **rules)
        if context.trace.records or any(isinstance(x, Tracer) for x in leaves) or not any(
                isinstance(x, Tracer) for x in outs):
            return outs
    except UnexpectedTracerError as error:
        leak = error
    else:
        leak = None
    try:
        program, captured = lift_constants(stage(call.function, call.in_types, call.name))
    except (UnexpectedTracerError, ConcretizationTypeError) as error:
        raise leak or error from None
    if leak is not None and not any(isinstance(x, Tracer) for x in captured):
        raise leak
    return bind_custom(op, program, captured, leaves, name=call.name, **rules)


class custom_jvp(CustomFunction):
    """A function with its own rule for forward-mode derivatives (reverse mode follows from it).

    The rule, given to `defjvp`, maps (primals, tangents), tuples, to (output, output tangent); the arguments
    at `nondiff_argnums` come before them.

    >>> @custom_jvp
    ... def f(x): return x * x
    >>> @f.defjvp
    ... def f_jvp(primals, tangents): return f(*primals), 10.0 * tangents[0]
    """

    op = custom_jvp_p
    definition = "defjvp(rule)"

    @boundary
    def __init__(self, fun: Rule, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()) -> None:
        super().__init__(fun, nondiff_argnums, nondiff_argnames)

    @boundary
    def defjvp(self, jvp: Rule, symbolic_zeros: bool = False) -> Rule:
        """Set the rule; returns it, so that this can be a decorator.

        With `symbolic_zeros`, tangents that are zero are `SymbolicZero` objects.
        """
        self.give(symbolic_zeros, jvp=jvp)
        return jvp

    @boundary
    def defjvps(self, *jvps: Rule | None) -> None:
        """Set one rule for each argument: jvps[i](tangent, output, *primals); None for no dependence."""
        self.give(jvp=sum_of_jvps(self, jvps))


def sum_of_jvps(fun: CustomFunction, jvps: Sequence[Rule | None]) -> Rule:
    """The jvp rule that adds the terms of one rule for each argument."""
    if fun.nondiff_argnums:
        raise MinijaxTypeError(f"defjvps of {function_name(fun.fun)}: with nondiff_argnums, use defjvp.")

    def rule(primals: Any, tangents: Any) -> Any:
        if len(jvps) != len(primals):
            raise MinijaxTypeError(f"defjvps of {function_name(fun.fun)} was given {len(jvps)} rules for "
                                   f"{len(primals)} arguments. Give one for each; None for no dependence.")
        out = fun(*primals)
        terms = [jvp(t, out, *primals) for jvp, t in zip(jvps, tangents, strict=True) if jvp is not None]
        if not terms:
            return out, pytree.map(lambda x: zero_from_primal(x, symbolic_zeros=True), out)
        return out, functools.reduce(lambda a, b: pytree.map(operator.add, a, b), terms)

    return rule


class custom_vjp(CustomFunction):
    """A function with its own rule for reverse-mode derivatives.

    `defvjp(fwd, bwd)`: fwd(*args) returns (output, residuals); bwd(residuals, cotangent) returns a tuple
    with the cotangent of each argument (None for zero); bwd takes the arguments at `nondiff_argnums` before these.

    >>> @custom_vjp
    ... def f(x): return x * x
    >>> f.defvjp(lambda x: (f(x), x), lambda x, ct: (10.0 * ct,))
    """

    op = custom_vjp_p
    definition = "defvjp(fwd, bwd)"

    @boundary
    def __init__(self, fun: Rule, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = ()) -> None:
        super().__init__(fun, nondiff_argnums, nondiff_argnames)

    @boundary
    def defvjp(self, fwd: Rule, bwd: Rule, symbolic_zeros: bool = False, optimize_remat: bool = False) -> None:
        """Set the rule's two halves.

        With `symbolic_zeros`, arguments of fwd are `CustomVJPPrimal(value, perturbed)`, and cotangents that are
        zero are `SymbolicZero` objects.  Under `checkpoint` only what is needed of fwd is run again in any case,
        so `optimize_remat` changes nothing.
        """
        self.give(symbolic_zeros, fwd=fwd, bwd=bwd)


class custom_vmap(CustomFunction):
    """A function with its own rule for `vmap`.

    The rule, given to `def_vmap`, maps (axis_size, in_batched, *args), with batch axes in front, to
    (output, out_batched); in_batched has for each argument a tree of bools.

    >>> @custom_vmap
    ... def f(x): return x + 1.0
    >>> @f.def_vmap
    ... def f_vmap(axis_size, in_batched, x): return x + 1.0, in_batched[0]
    """

    op = custom_vmap_p
    definition = "def_vmap(rule)"

    @boundary
    def __init__(self, fun: Rule) -> None:
        super().__init__(fun)

    @boundary
    def def_vmap(self, vmap_rule: Rule) -> Rule:
        """Set the rule; returns it, so that this can be a decorator."""
        self.give(vmap=vmap_rule)
        return vmap_rule


class custom_transpose(CustomFunction):
    """A function, linear in its arguments at `linear_argnums`, with its own transpose.

    The rule, given to `deftranspose`, maps (*other_args, cotangent) to the cotangent of the linear argument, or
    to a tuple of cotangents if there are several.  Forward-mode derivatives are the function itself.

    >>> @custom_transpose
    ... def scale(factor, x): return factor * x
    >>> @scale.deftranspose
    ... def scale_transpose(factor, ct): return factor * ct
    """

    op = custom_transpose_p
    definition = "deftranspose(rule)"

    @boundary
    def __init__(self, fun: Rule, linear_argnums: int | Sequence[int] = -1) -> None:
        super().__init__(fun, linear_argnums=as_tuple("linear_argnums", linear_argnums, int))

    @boundary
    def deftranspose(self, transpose: Rule) -> Rule:
        """Set the rule; returns it, so that this can be a decorator."""
        self.give(transpose=transpose)
        return transpose


class custom(CustomFunction):
    """A function that may carry any of the rules jvp, vjp, vmap, transpose and lowering; what is missing is derived.

    With a jvp rule and no vjp rule, reverse mode is its transpose; with a vjp rule alone, forward mode is the
    transpose of bwd.  `minijax.testing.check_rules(f, *args)` finds rules that contradict each other.

    >>> @custom
    ... def f(x): return x * x
    >>> @f.defjvp
    ... def f_jvp(primals, tangents): return f(*primals), 2.0 * primals[0] * tangents[0]
    >>> @f.defvmap
    ... def f_vmap(axis_size, in_batched, x): return f(x), True
    """

    op = custom_p
    definition = "defjvp(rule), defvjp(fwd, bwd), defvmap(rule), deftranspose(rule) or deflowering(rule)"

    @boundary
    def __init__(self, fun: Rule, nondiff_argnums: Sequence[int] = (), nondiff_argnames: Sequence[str] = (),
                 linear_argnums: int | Sequence[int] = -1) -> None:
        super().__init__(fun, nondiff_argnums, nondiff_argnames, as_tuple("linear_argnums", linear_argnums, int))

    defjvp = custom_jvp.defjvp
    defjvps = custom_jvp.defjvps
    defvjp = custom_vjp.defvjp
    defvmap = custom_vmap.def_vmap
    deftranspose = custom_transpose.deftranspose

    @boundary
    def deflowering(self, lowering: Rule) -> Rule:
        """Set what the function is compiled to: a function of the compiler's (JAX's) values."""
        self.give(lowering=lowering)
        return lowering
