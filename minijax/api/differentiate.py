"""jvp, vjp and grad: derivatives of functions of pytrees."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import canonical_argnums, check_callable, check_inexact
from minijax.api.boundary import boundary
from minijax.api.jit import eagerly_jitted
from minijax.calls.arguments import Arguments, check_outputs
from minijax.calls.names import function_name, leaf_names
from minijax.calls.pullback import pull_tape
from minijax.errors import MinijaxTypeError, NonScalarOutputError, TreeError
from minijax.interpreters.dual import LinearTape, instantiate, jvp_flat, linearize_flat
from minijax.ir import dtypes
from minijax.ir.types import ArrayType, zero
from minijax.ops.structural import ones_of
from minijax.tracing.array import Array, is_value, typeof


call_function: Callable[[Arguments, Sequence[Any]], Any] = Arguments.apply_leaves  # `effects/views.py` has its own


class FlatFunction:
    """The function of a call as one of leaves: to those of its result, and behind them those of auxiliary data.

    The trees of both are read after a call.
    """

    __slots__ = ("call", "has_aux", "out_tree", "aux_tree")

    def __init__(self, call: Arguments, has_aux: bool = False) -> None:
        self.call = call
        self.has_aux = has_aux

    def __call__(self, *leaves: Any) -> list[Any]:
        out = call_function(self.call, leaves)
        out, aux = split_aux(self.call, out) if self.has_aux else (out, None)
        outs, self.out_tree = pytree.flatten(out)
        if not all(map(is_value, outs)):
            check_outputs(f"{self.call.transform}: {function_name(self.call.function)}", outs, self.out_tree,
                          "Leave it out; grad, jvp and vjp hand on other data with has_aux=True.")
        if not self.has_aux:
            return outs
        aux_leaves, self.aux_tree = pytree.flatten(aux)
        return [*outs, *aux_leaves]

    def split(self, outs: list[Any]) -> tuple[list[Any], Any]:
        """The leaves of the result, and the auxiliary data (None without `has_aux`)."""
        if not self.has_aux:
            return outs, None
        count = self.out_tree.num_leaves
        return outs[:count], self.aux_tree.unflatten(outs[count:])


def split_aux(call: Arguments, out: Any) -> tuple[Any, Any]:
    """The pair (result, auxiliary data) that `has_aux=True` promises."""
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise MinijaxTypeError(f"{call.transform} with has_aux=True: {function_name(call.function)} must return a pair "
                               f"(result, auxiliary data), got {type(out).__name__}. Return both, or drop has_aux.")
    return out[0], out[1]


@boundary
def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """Value and directional derivative of `fun` at `primals` along `tangents`.

    Both are tuples of equal structure, one item for each argument; tangents have the primals'
    shapes and dtypes.  Returns (outputs, output tangents), and auxiliary data if `has_aux`.

    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    check_callable("jvp", fun)
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise MinijaxTypeError("jvp takes tuples of primals and tangents, one item for each argument: "
                               f"jvp(f, (x,), (t,)). Got {type(primals).__name__} and {type(tangents).__name__}.")
    call = Arguments("jvp", fun, primals).checked()
    flat = FlatFunction(call, has_aux)
    found, found_tangents = jvp_flat(flat, call.leaves, match_tangents(call, tangents))
    outs, aux = flat.split(found)
    out_tangents = [as_tangent(t, x) for x, t in zip(outs, found_tangents, strict=False)]
    result = flat.out_tree.unflatten(map(as_result, outs)), flat.out_tree.unflatten(out_tangents)
    return (*result, aux) if has_aux else result


def as_result(x: Any) -> Any:
    """A result as an Array; Python scalars that passed through unchanged become arrays."""
    return x if isinstance(x, Array) else Array(Array.backend.put(x, None)) if is_value(x) else x


def as_tangent(t: Any, primal: Any) -> Any:
    """A tangent to hand to the user: zeros where symbolic, `float0` zeros for integers."""
    type = typeof(primal)
    if not type.differentiable:
        return np.zeros(type.shape, dtypes.float0)
    return as_result(instantiate(t, primal))


def matches(x: Any, type: ArrayType) -> bool:
    """Whether `x` is a value of the shape and dtype of `type`."""
    return is_value(x) and typeof(x).matches(type)


def describe(x: Any) -> str:
    """A tangent or cotangent that does not fit, for a message: its type, or what it is instead of an array."""
    return f"of type {typeof(x)}" if is_value(x) else f"{x!r} of type {type(x).__name__}"


def match_tangents(call: Arguments, tangents: Sequence[Any]) -> list[Any]:
    """Leaves of the tangents of a call, checked against its arguments'; `zero` for those without derivative."""
    tree = call.tree.children()[0]  # that of the positional arguments, the only ones
    return match(call.who, "tangent", "argument", tuple(tangents), tree, call.types(), call.names)


def match_cotangents(flat: FlatFunction, types: Sequence[ArrayType], cotangents: Any) -> list[Any]:
    """Leaves of the cotangents, checked against the results' types; `zero` for results without derivative."""
    return match(flat.call.who, "cotangent", "result", cotangents, flat.out_tree, types,
                 lambda: leaf_names("result", cotangents))


def match(who: str, kind: str, of: str, given: Any, tree: Any, types: Sequence[ArrayType],
          names: Callable[[], list[str]]) -> list[Any]:
    """Leaves of tangents or cotangents, which must have the structure, shapes and dtypes of what they belong to."""
    leaves, given_tree = pytree.flatten(given)
    if given_tree != tree:
        error = pytree.prefix_error(tree.unflatten(range(tree.num_leaves)), given, name=f"{kind}s")
        raise TreeError(f"{who}: the {kind} must have the {of}'s structure {tree}, got {given_tree}. {error or ''}")
    for number, (t, type) in enumerate(zip(leaves, types, strict=True)):
        if type.differentiable and not matches(t, type):
            raise MinijaxTypeError(f"{who}: the {kind} of {names()[number]} is {describe(t)}, the {of} of type {type}. "
                                   "They must have the same shape and dtype.")
    return [t if type.differentiable else zero for t, type in zip(leaves, types, strict=True)]


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class PullBack:
    """The function from output cotangents to input cotangents that `vjp` returns."""

    flat: FlatFunction
    linear: list[bool]
    outs: list[Any]
    tape: LinearTape

    @boundary
    def __call__(self, cotangents: Any) -> tuple[Any, ...]:
        """Cotangents of the arguments, a tuple with one item for each."""
        return self.pull(match_cotangents(self.flat, [typeof(x) for x in self.outs], cotangents))

    def pull(self, cts: list[Any]) -> tuple[Any, ...]:
        """Cotangents of the arguments for cotangents of the output leaves."""
        found = iter(pull_tape(self.tape, cts))
        call = self.flat.call
        leaves = [as_tangent(next(found) if is_linear else zero, x)
                  for x, is_linear in zip(call.leaves, self.linear, strict=True)]
        return call.tree.unflatten(leaves)[0]


def pull_back(call: Arguments, has_aux: bool) -> tuple[PullBack, Any]:
    """Run and linearize the function of a call; its pull-back and auxiliary data."""
    flat = FlatFunction(call, has_aux)
    linear = [typeof(x).differentiable for x in call.leaves]
    outs, tape = linearize_flat(flat, call.leaves, linear)
    outs, aux = flat.split(outs)
    tape.outs = tape.outs[: len(outs)]
    return PullBack(flat, linear, outs, tape), aux


@boundary
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Any = ()) -> Any:
    """Value of `fun` at `primals`, and the function from output cotangents to input cotangents.

    The latter returns a tuple with one item for each argument.

    >>> y, f_vjp = vjp(lambda x, y: x * y, 2.0, 3.0); f_vjp(1.0)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    check_callable("vjp", fun)
    pull, aux = pull_back(Arguments("vjp", fun, primals).checked(), has_aux)
    result = pull.flat.out_tree.unflatten(map(as_result, pull.outs))
    return (result, pull, aux) if has_aux else (result, pull)


@boundary
def value_and_grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False,
                   holomorphic: bool = False, allow_int: bool = False, reduce_axes: Any = ()) -> Callable[..., Any]:
    """A function that returns both the value of `fun` and its gradient.

    `argnums` says with respect to which positional arguments (an int: the gradient has that argument's
    structure; several: a tuple).  `fun` returns a scalar, or (scalar, auxiliary data) if `has_aux`.
    Raises `NonScalarOutputError` for other results, `MinijaxTypeError` for integer arguments.

    >>> value_and_grad(lambda x: x ** 2)(3.0)
    (Array(9., dtype=float32, weak_type=True), Array(6., dtype=float32, weak_type=True))
    """
    return _gradient("value_and_grad", fun, argnums, has_aux, holomorphic, allow_int)


@boundary
def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False,
         holomorphic: bool = False, allow_int: bool = False, reduce_axes: Any = ()) -> Callable[..., Any]:
    """The gradient of a function that returns a scalar; see `value_and_grad` for the arguments.

    With `has_aux` the result is (gradient, auxiliary data).

    >>> grad(lambda x: x ** 3)(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    return _gradient("grad", fun, argnums, has_aux, holomorphic, allow_int)


def _gradient(name: str, fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, holomorphic: bool,
              allow_int: bool) -> Callable[..., Any]:
    """The function that `grad` or `value_and_grad`, as its name says, makes of `fun`."""
    check_callable(name, fun)
    argnums = tuple(argnums) if isinstance(argnums, list) else argnums

    def transform(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def gradient(*args: Any, **kwargs: Any) -> Any:
            numbers = canonical_argnums("grad", argnums, len(args))
            call = Arguments("grad", function, args, kwargs, numbers).checked()
            value, aux, grads = _value_and_gradient(call, has_aux, holomorphic, allow_int)
            grads = grads if isinstance(argnums, tuple) else grads[0]
            first = grads if name == "grad" else as_result(value)
            result = (first, aux) if has_aux else first
            return result if name == "grad" else (result, grads)

        return gradient

    if allow_int:  # gradients of integers are float0, which no compiled program returns
        return boundary(transform(fun))
    return eagerly_jitted(fun, (name, argnums, has_aux, holomorphic), transform)


def _value_and_gradient(call: Arguments, has_aux: bool, holomorphic: bool, allow_int: bool) -> tuple[Any, Any, Any]:
    """Value, auxiliary data and gradients of the arguments that move."""
    if holomorphic or not all([dtypes.is_float(type.dtype) for type in call.types()]):
        check_inexact(call, holomorphic, allow_int)
    pull, aux = pull_back(call, has_aux)
    value = check_scalar(pull, holomorphic)
    return value, aux, pull.pull([ones_of(typeof(value))])


def check_scalar(pull: PullBack, holomorphic: bool) -> Any:
    """The one scalar result that `grad` needs."""
    name, outs, tree = function_name(pull.flat.call.function), pull.outs, pull.flat.out_tree
    if len(outs) != 1 or tree != pytree.structure(0.0):
        raise NonScalarOutputError(f"grad needs a function that returns one scalar, but {name} returned {tree} with "
                                   f"{len(outs)} leaves. Return other data with has_aux=True, or use minijax.jacrev "
                                   "or vjp.")
    type = typeof(outs[0])
    if type.shape != ():
        raise NonScalarOutputError(f"grad needs a function that returns a scalar, but {name} returned an array of "
                                   f"type {type}. Reduce it (with .sum() or .mean()), or use minijax.jacrev or vjp.")
    if holomorphic and not dtypes.is_complex(type.dtype):
        raise MinijaxTypeError(f"grad with holomorphic=True needs a complex result, but {name} returned {type}.")
    if not holomorphic and not dtypes.is_float(type.dtype):
        raise MinijaxTypeError(f"grad needs a real floating-point result, but {name} returned {type}. Convert it with "
                               ".astype('float32'), or pass holomorphic=True for a complex function.")
    return outs[0]
