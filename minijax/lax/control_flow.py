"""Branches and open loops: cond, switch, while_loop, fori_loop."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.calls.arguments import check_outputs
from minijax.calls.cond import cond_p, taken_branch
from minijax.calls.names import function_name
from minijax.calls.while_loop import while_p
from minijax.config import state
from minijax.errors import ConcretizationTypeError, MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.lax.carries import (Types, apart, applied, carried, check_carry, check_function, check_trees, check_types,
                                 described, flat_values, made_once, retyped, settled, traced, with_common_captures)
from minijax.lax.loops import scan
from minijax.lax.reverse_loop import SLOTS
from minijax.ops.comparison import lt, ne
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import add, at_line
from minijax.ops.promotion import convert
from minijax.tracing.array import Tracer, is_value, typeof
from minijax.tracing.context import context

_missing = object()


# ---- branches ----

@boundary
def cond(pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any,
         operand: Any = _missing) -> Any:
    """`true_fun(*operands)` if `pred`, else `false_fun(*operands)`; only the chosen one runs.

    `pred` is a scalar: a bool, or a number that is true unless 0.  Both functions return the same pytree
    of the same types.  Under vmap with a batch of predicates both run and their results are selected.
    Raises `TreeError` and `MinijaxTypeError` for functions whose results differ.  `operand` is one operand;
    the form cond(pred, true_operand, true_fun, false_operand, false_fun) is understood too.

    >>> cond(True, lambda x: x + 1.0, lambda x: x * 2.0, 3.0)
    Array(4., dtype=float32, weak_type=True)
    """
    if len(operands) == 2 and not callable(true_fun) and callable(false_fun) and callable(operands[1]):
        on_true, on_false = false_fun, operands[1]
        pairs = true_fun, operands[0]
        return cond(pred, lambda x, y: on_true(x), lambda x, y: on_false(y), *pairs)
    functions = {"false_fun": false_fun, "true_fun": true_fun}
    return _run_one("cond", _predicate(pred), functions, _operands("cond", operands, operand), written=(1, 0))


@boundary
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any, operand: Any = _missing) -> Any:
    """`branches[index](*operands)`; an index out of range takes the first or the last branch.

    `index` is an integer scalar.  The branches return the same pytree of the same types; see `cond`.

    >>> switch(5, [lambda x: x + 1.0, lambda x: x * 3.0], 2.0)
    Array(6., dtype=float32, weak_type=True)
    """
    try:
        functions = {f"branches[{number}]": function for number, function in enumerate(branches)}
    except TypeError:
        raise MinijaxTypeError(f"switch: branches is a list of functions, got {branches!r}{at_line()}.") from None
    if not functions:
        raise MinijaxValueError(f"switch: there are no branches{at_line()}. Give at least one function.")
    number = _scalar("switch", "index", index)
    if not dtypes.is_integer(number.dtype):
        raise MinijaxTypeError(f"switch: the index is of type {number}, not an integer{at_line()}. Convert it with "
                               ".astype('int32'), or use cond for a bool.")
    index = convert_element_type(index, dtypes.int32)
    return _run_one("switch", index, functions, _operands("switch", operands, operand))


def _scalar(who: str, what: str, x: Any) -> ArrayType:
    """The type of a scalar; raises `MinijaxTypeError` for anything else."""
    if not is_value(x) or typeof(x).shape:
        found = f"of type {typeof(x)}" if is_value(x) else f"{x!r} of type {type(x).__name__}"
        raise MinijaxTypeError(f"{who}: the {what} is {found}, not a scalar{at_line()}. "
                               "Pass one number, or apply the function to each element with vmap.")
    return typeof(x)


def _predicate(pred: Any) -> Any:
    type = _scalar("cond", "predicate", pred)
    if type.dtype == dtypes.bool_:
        return pred
    if not dtypes.is_integer(type.dtype) and not dtypes.is_float(type.dtype):
        raise MinijaxTypeError(f"cond: the predicate is of type {type}, neither bool nor a real number{at_line()}. "
                               "Compare it with something.")
    return ne(pred, convert(0, type.dtype))


def _operands(who: str, operands: tuple[Any, ...], operand: Any) -> tuple[Any, ...]:
    if operand is _missing:
        return operands
    if operands:
        raise MinijaxTypeError(f"{who}: operands are given by position and as operand={operand!r}{at_line()}. "
                               "Give all of them by position.")
    return (operand,)


def _run_one(who: str, index: Any, functions: dict[str, Callable[..., Any]], operands: tuple[Any, ...],
             written: Sequence[int] = ()) -> Any:
    """Bind `cond` to functions, named as the user knows them, and traced in the order in which they were `written`."""
    for name, function in functions.items():
        check_function(who, name, function)
    choices = tuple(functions.values())
    if len(choices) == 1:
        return choices[0](*operands)
    if state.jax_disable_jit:
        taken: Any = taken_branch(index, choices)
        if taken is not None:
            return taken(*operands)
    leaves, _, types = flat_values(who, "operands", operands)
    programs_of = {n: traced(choices[n], types, operands) for n in written or range(len(choices))}
    found = [programs_of[n] for n in range(len(choices))]
    first, *others = [f"{name}, {described(function)}," for name, function in functions.items()]
    for label, other in zip(others, found[1:], strict=True):
        check_trees(who, found[0].out_tree, other.out_tree, f"the result of {first}", f"that of {label}",
                    "All branches return the same structure.")
        check_types(who, other.out_tree, "result", found[0].jaxpr.out_types, other.jaxpr.out_types, f"from {first}",
                    f"from {label}", "All branches return the same types.")
    columns = zip(*[each.jaxpr.out_types for each in found], strict=True)
    varying = typeof(index).varying
    out_types = tuple([column[0].update(varying=varying.union(*[t.varying for t in column]))
                       for column in columns])  # the others differ in weakness at most
    programs, captured = with_common_captures(found)
    parts = [apart(retyped(each, out_types), [*captured, *leaves]) for each in programs]
    outs = cond_p.bind(index, *parts[0][1], branches=tuple([program for program, _ in parts]))
    return found[0].out_tree.unflatten(outs)


# ---- loops ----

@boundary
def while_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any, *,
               checkpoint: int = SLOTS) -> Any:
    """Run `val = body_fun(val)` from `init_val` on, as long as `cond_fun(val)` is true; the last `val`.

    `val` is a pytree that keeps its structure and types; a Python scalar takes the type that the body gives it.
    `cond_fun` returns a bool scalar.  Under vmap the loop runs until the last example is done; those that
    are done stand still.  The gradient keeps `val` before at most `checkpoint` of the steps and computes the
    others again.  Raises `TreeError` and `MinijaxTypeError` for a carry that changes, `MinijaxValueError` for
    a `checkpoint` below 1.

    >>> while_loop(lambda x: x < 100.0, lambda x: x * 2.0, 3.0)
    Array(192., dtype=float32, weak_type=True)
    """
    check_function("while_loop", "cond_fun", cond_fun)
    check_function("while_loop", "body_fun", body_fun)
    if state.jax_disable_jit:
        try:
            return _python_loop(cond_fun, body_fun, init_val)
        except ConcretizationTypeError:  # the predicate is traced, by vmap for one
            pass
    leaves, tree, types = flat_values("while_loop", "init_val", init_val)

    def trace_body(types: Types) -> Any:
        body = traced(body_fun, types, (init_val,))
        check_trees("while_loop", tree, body.out_tree, "init_val", f"the result of body_fun, {described(body_fun)},",
                    "The body returns the structure that it is given.")
        outs = body.jaxpr.out_types
        if any([axis.tracked for axis in context.trace.axes()]):  # devices that stop apart carry values apart
            apart = frozenset().union(*[t.varying for t in traced(cond_fun, types, (init_val,)).jaxpr.out_types])
            outs = tuple([t.update(varying=t.varying | apart) for t in outs])
        return body._replace(jaxpr=carried(body.jaxpr, types)), outs

    types, body = settled("while_loop", body_fun, types, trace_body, tree, "init_val")
    test = traced(cond_fun, types, (init_val,))
    bool_type = ArrayType((), dtypes.bool_)
    if test.out_tree != pytree.structure(0) or not test.jaxpr.out_types[0].matches(bool_type):
        raise MinijaxTypeError(f"while_loop: cond_fun, {described(cond_fun)}, returned "
                               f"{test.out_tree.unflatten(test.jaxpr.out_types)}{at_line()}. It returns one bool "
                               "scalar: compare something, and reduce an array with .any() or .all().")
    init = [x if typeof(x) == t else convert_element_type(x, t.dtype, t.weak_type)
            for x, t in zip(leaves, types, strict=True)]
    step, operands = apart(body.jaxpr, [*body.captured, *init])
    outs = while_p.bind(*test.captured, *operands, cond_jaxpr=test.jaxpr, cond_nconsts=len(test.captured),
                        body_jaxpr=step, body_nconsts=len(body.captured),
                        **kept_states("while_loop", checkpoint))
    return tree.unflatten(outs)


def kept_states(name: str, checkpoint: Any) -> dict[str, int]:
    """The parameter of a loop that bounds the number of states its gradient keeps; none for the default."""
    if isinstance(checkpoint, bool) or not isinstance(checkpoint, int):
        raise MinijaxTypeError(f"{name}: checkpoint is {checkpoint!r}, not a number of states to keep. "
                               "Pass an int, or leave it out.")
    if checkpoint < 1:
        raise MinijaxValueError(f"{name}: checkpoint={checkpoint} keeps no state to start from{at_line()}. "
                                "Pass 1 or more.")
    return {"checkpoint": checkpoint} if checkpoint != SLOTS else {}


def _python_loop(cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], val: Any) -> Any:
    while cond_fun(val):
        val = body_fun(val)
    return val


@boundary
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any, *,
              unroll: int | bool | None = None) -> Any:
    """Run `val = body_fun(i, val)` for i = lower, ..., upper - 1; the last `val`, `init_val` if there is no such i.

    Bounds that are known while tracing make it a `scan`, others a `while_loop`.  `unroll` steps of a scan are
    compiled as one (True: all).  Raises `MinijaxTypeError` for a carry that changes, `MinijaxValueError` for
    `unroll` with bounds that are not known.

    >>> fori_loop(0, 5, lambda i, total: total + i, 0)
    Array(10, dtype=int32, weak_type=True)
    """
    check_function("fori_loop", "body_fun", body_fun)
    for name, bound in (("lower", lower), ("upper", upper)):
        if not dtypes.is_integer(_scalar("fori_loop", f"bound {name}", bound).dtype):
            raise MinijaxTypeError(f"fori_loop: the bound {name} is of type {typeof(bound)}, not an integer{at_line()}."
                                   " Convert it with int(...) or .astype('int32').")
    first, last = _known(lower), _known(upper)
    if first is not None and last is not None:
        if state.jax_disable_jit:
            for i in range(first, last):
                init_val = body_fun(i, init_val)
            return init_val
        dtype = _common_bound(lower, upper)
        start = convert(first, dtype, typeof(lower).weak_type and typeof(lower).dtype == dtype)
        (_, val), _ = scan(_steps(body_fun, "scan"), (start, init_val), None, max(last - first, 0),
                           unroll=1 if unroll is None else unroll)
        return val
    if unroll is not None and unroll is not False:
        raise MinijaxValueError(f"fori_loop: unroll={unroll!r} with bounds that are not known while tracing{at_line()}."
                                " Leave unroll out, or mark the bounds static.")
    dtype = _common_bound(lower, upper)
    bounds = [convert(x, dtype, typeof(x).weak_type and typeof(x).dtype == dtype) for x in (lower, upper)]
    return while_loop(_below, _steps(body_fun, "while"), (*bounds, init_val))[2]


def _known(bound: Any) -> int | None:
    """A bound as an int, if it is known."""
    value = bound.concrete() if isinstance(bound, Tracer) else bound
    try:
        return None if value is None else operator.index(value)
    except TypeError:  # JAX is tracing it
        return None


def _common_bound(lower: Any, upper: Any) -> Any:
    """The dtype of both bounds; that of a weakly typed one gives way."""
    t, u = typeof(lower), typeof(upper)
    if t.dtype != u.dtype and not t.weak_type and not u.weak_type:
        raise MinijaxTypeError(f"fori_loop: the bounds have different types, {t} and {u}{at_line()}. "
                               "Convert one of them with .astype(...).")
    return t.dtype if u.weak_type else u.dtype


def _below(carry: tuple[Any, Any, Any]) -> Any:
    return lt(carry[0], carry[1])


def _checked(body_fun: Callable[[Any, Any], Any], i: Any, val: Any) -> Any:
    """The next `val`; raises for one of another structure or type, in the words of `fori_loop`."""
    found = applied(body_fun, i, val)
    (leaves, tree), (outs, out_tree) = pytree.flatten(val), pytree.flatten(found)
    check_trees("fori_loop", tree, out_tree, "init_val", f"the result of body_fun, {described(body_fun)},",
                "The body returns the structure that it is given.")
    check_outputs(f"The function {function_name(body_fun)}", outs, out_tree)
    after = tuple([typeof(x) for x in outs])
    before = tuple([u if t.weak_type and t.shape == u.shape else t  # it gives way
                    for t, u in zip([typeof(x) for x in leaves], after, strict=True)])
    check_carry("fori_loop", body_fun, tree, "init_val", before, after)
    return found


def _steps(body_fun: Callable[[Any, Any], Any], kind: str) -> Callable[..., Any]:
    """What scan or while_loop runs for the body of a fori_loop."""
    def make(body: Callable[[], Any]) -> Callable[..., Any]:
        def scan_step(carry: tuple[Any, Any], _: None) -> Any:
            i, val = carry
            return (add(i, convert(1, i.dtype, i.weak_type)), _checked(body(), i, val)), None

        def while_step(carry: tuple[Any, Any, Any]) -> Any:
            i, upper, val = carry
            return add(i, convert(1, i.dtype, i.weak_type)), upper, _checked(body(), i, val)

        return scan_step if kind == "scan" else while_step

    return made_once(body_fun, f"fori_loop by {kind}", make)
