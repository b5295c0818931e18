"""What functions given to control flow must return: one tree and one type, of branches and of carries.

Here functions of pytrees are traced, their results compared, and what they capture is put together.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.boundary import explain_call
from minijax.calls.arguments import Arguments, check_leaves
from minijax.calls.jit import Traced, trace_cache
from minijax.calls.names import function_name, leaf_names
from minijax.config import state
from minijax.errors import MinijaxTypeError, TreeError
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.stage import stage
from minijax.ir.dtypes import promote
from minijax.ir.jaxpr import Jaxpr, Var, kept
from minijax.ir.types import ArrayType
from minijax.ops.conversion import convert_element_type
from minijax.ops.families import at_line
from minijax.ops.parallel import vary
from minijax.tracing.array import typeof
from minijax.tracing.context import context

Types = tuple[ArrayType, ...]


def described(function: Any) -> str:
    """A function's name and where it is written."""
    code = getattr(function, "__code__", None)
    place = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    return f"{function_name(function)}{place}"


def traced(function: Callable[..., Any], types: Types, args: Sequence[Any]) -> Traced:
    """The program of a function for arguments of the given structure and leaf types; kept with the function."""
    try:
        return trace_cache(function).get(Arguments("tracing", function, args), types)
    except TypeError as error:
        raise explained(function, args) or error from None


def explained(function: Callable[..., Any], args: Sequence[Any]) -> MinijaxTypeError | None:
    """The error of a call whose arguments do not fit the function's parameters; None if they fit."""
    error = explain_call(function, args, {})
    return error and MinijaxTypeError(f"{error} The function is {described(function)}, given{at_line()}.")


def applied(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, a function given to control flow; raises `MinijaxTypeError` for arguments that do not fit."""
    try:
        return function(*args)
    except TypeError as error:
        raise explained(function, args) or error from None


# function -> what was made of it, by kind; held as long as the function.
_made: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()


def made_once(function: Callable[..., Any], kind: str, make: Callable[[Callable[[], Any]], Any]) -> Any:
    """`make(reference)`, a function that runs `function`, which is reference(): one for each, so traced once."""
    try:
        made, reference = _made.setdefault(function, {}), weakref.ref(function)
    except TypeError:  # cannot be held weakly
        made, reference = {}, lambda: function
    if kind not in made:
        made[kind] = make(reference)
        made[kind].__name__ = function_name(function)
    return made[kind]


def check_function(who: str, name: str, function: Any) -> None:
    """Raise `MinijaxTypeError` unless an argument can be called."""
    if not callable(function):
        raise MinijaxTypeError(f"{who}: {name} is {function!r} of type {type(function).__name__}, not a function"
                               f"{at_line()}. Pass the function itself, not its result.")


def flat_values(who: str, name: str, tree: Any) -> tuple[list[Any], Any, Types]:
    """Leaves, structure and types of a pytree of values; raises `MinijaxTypeError` for leaves that are none."""
    leaves, treedef = pytree.flatten(tree)
    check_leaves(who, lambda: leaf_names(name, tree), leaves)
    return leaves, treedef, tuple([typeof(x) for x in leaves])


# ---- comparing results ----

def check_trees(who: str, wanted: Any, found: Any, first: str, second: str, fix: str) -> None:
    """Raise `TreeError` unless two results, given as treedefs, have one structure."""
    if wanted == found:
        return
    one, other = (tree.unflatten(range(tree.num_leaves)) for tree in (wanted, found))
    error = pytree.prefix_error(one, other, name="result")
    if error:
        difference = str(error).replace("a leaf of type int", "a leaf")
    else:
        leaves = [path for path, _ in pytree.leaves_with_path(other)]
        lone = next(path for path, _ in pytree.leaves_with_path(one) if path not in leaves)
        difference = f"result{pytree.keystr(lone)} is one leaf in the first, but not in the second."
    raise TreeError(f"{who}{at_line()}: {first} has the structure {wanted}, {second} {found}. {difference} {fix}")


def check_types(who: str, tree: Any, name: str, wanted: Types, found: Types, first: str, second: str,
                rule: str) -> None:
    """Raise `MinijaxTypeError` for the first leaf whose types differ by more than weakness."""
    names = leaf_names(name, tree.unflatten(range(tree.num_leaves)))
    for leaf, t, u in zip(names, wanted, found, strict=True):
        if not t.matches(u):
            what, fix = (("shapes", "Reshape, slice or pad one of them.") if t.shape != u.shape else
                         ("dtypes", "Convert one of them with .astype(...)."))
            raise MinijaxTypeError(f"{who}{at_line()}: {leaf} is {t} {first} and {u} {second}; "
                                   f"the {what} differ. {rule} {fix}")


@kept
def retyped(jaxpr: Jaxpr, types: Types) -> Jaxpr:
    """The program with results of other types, to which they are converted."""
    if jaxpr.out_types == types:
        return jaxpr
    return stage(lambda *xs: [of_type(x, t) for x, t in zip(run_program(jaxpr, *xs), types, strict=True)],
                 jaxpr.in_types, jaxpr.debug_name)


def of_type(x: Any, type: ArrayType) -> Any:
    """`x` converted to a type, which varies over the mesh axes that the type does."""
    same = typeof(x).dtype == type.dtype and typeof(x).weak_type == type.weak_type
    return vary(x if same else convert_element_type(x, type.dtype, type.weak_type), type.varying)


def carried(jaxpr: Jaxpr, types: Types) -> Jaxpr:
    """The body of a loop with its first results varying over the mesh axes that its carry does."""
    outs = jaxpr.out_types
    varying = [u.update(varying=t.varying) for t, u in zip(types, outs, strict=False)]
    return retyped(jaxpr, (*varying, *outs[len(types):]))


def apart(jaxpr: Jaxpr, operands: Sequence[Any]) -> tuple[Jaxpr, list[Any]]:
    """A program and its operands; along mesh axes over which all results vary, the operands vary too.

    So the cotangents of values that all devices share are added up once, behind the program, and not inside,
    where devices may do different things, or the same many times.
    """
    axes = frozenset.intersection(*[t.varying for t in jaxpr.out_types]) if jaxpr.outvars else frozenset()
    if not axes:
        return jaxpr, list(operands)
    types = [t.update(varying=t.varying | axes) if t.differentiable else t for t in jaxpr.in_types]
    return restaged(jaxpr, tuple(types)), [vary(x, t.varying) for x, t in zip(operands, types, strict=True)]


@kept
def restaged(jaxpr: Jaxpr, types: Types) -> Jaxpr:
    """The program for inputs of types that vary otherwise."""
    return stage(lambda *xs: run_program(jaxpr, *xs), types, jaxpr.debug_name)


# ---- captured values ----

def with_common_captures(programs: Sequence[Traced]) -> tuple[list[Jaxpr], list[Any]]:
    """Closed programs that all take, first, what any of them captured; and those values."""
    captured = list({id(x): x for each in programs for x in each.captured}.values())
    number = {id(x): i for i, x in enumerate(captured)}
    types = tuple([typeof(x) for x in captured])
    return [placed(each.jaxpr, tuple([number[id(x)] for x in each.captured]), types) for each in programs], captured


@kept
def placed(jaxpr: Jaxpr, places: tuple[int, ...], types: Types) -> Jaxpr:
    """The program with first inputs of the given types; `places` are its own ones among them."""
    if places == tuple(range(len(types))):
        return jaxpr
    captured = [Var(t) for t in types]
    for place, var in zip(places, jaxpr.invars, strict=False):
        captured[place] = var
    return jaxpr.replace(invars=[*captured, *jaxpr.invars[len(places):]])


# ---- carries ----

def remembered() -> Callable[[], None]:
    """What makes all as it is now, for a body that is traced once more: the first time did not count."""
    around = context.trace.around()
    return around.remember() if around else lambda: None  # type: ignore[no-any-return]


def settled(who: str, body: Callable[..., Any], types: Types, trace: Callable[[Types], tuple[Any, Types]],
            tree: Any, name: str) -> tuple[Types, Any]:
    """The types that a carry keeps, and the body traced at them: `trace(types)` is (program, types it gives back).

    A weakly typed leaf, such as a Python scalar, takes the dtype that the body gives it.
    """
    put_back = remembered()
    while True:
        found, given = trace(types)
        grown = tuple(map(grown_type, types, given))
        if grown == types:
            break
        types = grown
        put_back()
    check_carry(who, body, tree, name, types, given)
    return types, found


def check_carry(who: str, body: Callable[..., Any], tree: Any, name: str, before: Types, after: Types) -> None:
    """Raise `MinijaxTypeError` for a carry whose type the body of a loop changes."""
    check_types(who, tree, name, before, after, "when it goes into the loop", f"when it comes out of {described(body)}",
                "A carry keeps its type.")


def grown_type(before: ArrayType, after: ArrayType) -> ArrayType:
    """The type of a carry that is `before` first and `after` after one step: weak ones give way."""
    varying = before.varying | after.varying
    if not before.weak_type or before.matches(after) or before.shape != after.shape:
        return before if varying == before.varying else before.update(varying=varying)
    dtype, _ = promote((before.dtype, after.dtype), (True, after.weak_type), state.jax_enable_x64)
    return ArrayType(before.shape, dtype, False, varying)
