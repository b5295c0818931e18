"""jvp, vjp and grad: derivatives of functions of pytrees."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.arguments import (canonical_argnums, check_callable, check_inexact, flatten_values, function_name,
                                   leaf_names, split_args)
from minijax.api.boundary import boundary
from minijax.api.jit import eagerly_jitted
from minijax.calls.pullback import pull_tape
from minijax.errors import MinijaxTypeError, NonScalarOutputError, TreeError
from minijax.interpreters.dual import LinearTape, instantiate, jvp_flat, linearize_flat
from minijax.ir import dtypes
from minijax.ir.types import ArrayType, zero
from minijax.ops.structural import ones_of
from minijax.tracing.array import Array, is_value, typeof


class FlatFunction:
    """A function of pytrees as one of leaves.  The output tree and auxiliary data are read after a call."""

    __slots__ = ("function", "in_tree", "has_aux", "out_tree", "aux", "transform")

    def __init__(self, transform: str, function: Callable[..., Any], in_tree: Any, has_aux: bool = False) -> None:
        self.transform = transform
        self.function = function
        self.in_tree = in_tree
        self.has_aux = has_aux
        self.aux: Any = None

    def __call__(self, *leaves: Any) -> list[Any]:
        out = self.function(*self.in_tree.unflatten(leaves))
        if self.has_aux:
            out, self.aux = split_aux(self.transform, self.function, out)
        outs, self.out_tree = pytree.flatten(out)
        for x in outs:
            if not is_value(x):
                raise_not_an_output(self.transform, self.function, outs, self.out_tree)
        return outs


def raise_not_an_output(transform: str, function: Any, outs: Sequence[Any], tree: Any) -> None:
    """Raise `MinijaxTypeError` for the first leaf of a result that is no array."""
    for path, x in pytree.leaves_with_path(tree.unflatten(outs)):
        if not is_value(x):
            fix = "Leave it out" if transform == "vmap" else "Return other data with has_aux=True"
            raise MinijaxTypeError(f"{transform}: {function_name(function)} returned {x!r} of type {type(x).__name__} "
                                   f"at result{pytree.keystr(path)}; results are pytrees of arrays. {fix}.")


def split_aux(transform: str, function: Any, out: Any) -> tuple[Any, Any]:
    """The pair (result, auxiliary data) that `has_aux=True` promises."""
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise MinijaxTypeError(f"{transform} with has_aux=True: {function_name(function)} must return a pair "
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
    leaves, in_tree = flatten_values("jvp", fun, primals)
    tangent_leaves = match_tangents("jvp", fun, primals, tangents, leaves, in_tree)
    flat = FlatFunction("jvp", fun, in_tree, has_aux)
    outs, out_tangents = jvp_flat(flat_with_aux(flat), leaves, tangent_leaves)
    return pack_duals(flat, outs, out_tangents)


def flat_with_aux(flat: FlatFunction) -> Callable[..., list[Any]]:
    """The flat function with the leaves of its auxiliary data as further outputs."""
    def call(*leaves: Any) -> list[Any]:
        outs = flat(*leaves)
        if not flat.has_aux:
            return outs
        aux_leaves, aux_tree = pytree.flatten(flat.aux)
        flat.aux = len(outs), aux_tree
        return [*outs, *aux_leaves]

    return call


def unpack_aux(flat: FlatFunction, outs: list[Any]) -> tuple[list[Any], Any]:
    """Outputs and auxiliary data of a `flat_with_aux` function."""
    if not flat.has_aux:
        return outs, None
    count, aux_tree = flat.aux
    return outs[:count], aux_tree.unflatten(outs[count:])


def linearize_with_aux(flat: FlatFunction, leaves: list[Any], linear: list[bool]) -> tuple[list[Any], LinearTape, Any]:
    """Run and linearize a flat function; its outputs, the linear program of their tangents, auxiliary data."""
    outs, tape = linearize_flat(flat_with_aux(flat), leaves, linear)
    outs, aux = unpack_aux(flat, outs)
    tape.outs = tape.outs[: len(outs)]
    return outs, tape, aux


def pack_duals(flat: FlatFunction, outs: list[Any], tangents: list[Any]) -> Any:
    """The result of `jvp` as trees."""
    outs, aux = unpack_aux(flat, outs)
    full = [as_tangent(t, x) for x, t in zip(outs, tangents, strict=False)]
    result = flat.out_tree.unflatten(map(as_result, outs)), flat.out_tree.unflatten(full)
    return (*result, aux) if flat.has_aux else result


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
    if not is_value(x):
        return False
    own = typeof(x)
    return own.shape == type.shape and own.dtype == type.dtype


def describe(x: Any) -> str:
    """A tangent or cotangent that does not fit, for a message: its type, or what it is instead of an array."""
    return f"of type {typeof(x)}" if is_value(x) else f"{x!r} of type {type(x).__name__}"


def match_tangents(transform: str, fun: Any, primals: Any, tangents: Any, leaves: list[Any], in_tree: Any) -> list[Any]:
    """Leaves of the tangents, checked against the primals'; integer ones are zero."""
    tangent_leaves, tangent_tree = pytree.flatten(tuple(tangents))
    if tangent_tree != in_tree:
        error = pytree.prefix_error(tuple(primals), tuple(tangents), name="tangents")
        raise TreeError(f"{transform} of {function_name(fun)}: tangents must have the primals' structure {in_tree}, "
                        f"got {tangent_tree}. {error or ''}")
    found = []
    for number, (x, t) in enumerate(zip(leaves, tangent_leaves, strict=True)):
        type = typeof(x)
        if not type.differentiable:
            found.append(zero)
            continue
        if not matches(t, type):
            raise MinijaxTypeError(f"{transform} of {function_name(fun)}: the tangent of argument "
                                   f"{leaf_names(fun, primals)[number]} is {describe(t)}, its primal {type}. "
                                   "They must have the same shape and dtype.")
        found.append(t)
    return found


@dataclasses.dataclass(slots=True, eq=False, repr=False)
class PullBack:
    """The function from output cotangents to input cotangents that `vjp` returns."""

    flat: FlatFunction
    leaves: list[Any]
    linear: list[bool]
    outs: list[Any]
    tape: LinearTape

    @boundary
    def __call__(self, cotangents: Any) -> tuple[Any, ...]:
        """Cotangents of the arguments, a tuple with one item for each."""
        types = [typeof(x) for x in self.outs]
        return self.flat.in_tree.unflatten(self.pull(match_cotangents(self.flat, types, cotangents)))

    def pull(self, cts: list[Any]) -> list[Any]:
        """Cotangents of the leaves for cotangents of the output leaves."""
        found = iter(pull_tape(self.tape, cts))
        return [as_tangent(next(found) if is_linear else zero, x)
                for x, is_linear in zip(self.leaves, self.linear, strict=True)]


def match_cotangents(flat: FlatFunction, types: Sequence[ArrayType], cotangents: Any) -> list[Any]:
    """Leaves of the cotangents, checked against the outputs' types; `zero` for outputs without derivative."""
    name = f"{flat.transform} of {function_name(flat.function)}"
    leaves, tree = pytree.flatten(cotangents)
    if tree != flat.out_tree:
        raise TreeError(f"{name}: the cotangent must have the output's structure {flat.out_tree}, got {tree}.")
    for number, (ct, type) in enumerate(zip(leaves, types, strict=True)):
        if type.differentiable and not matches(ct, type):
            path = pytree.keystr(pytree.leaves_with_path(cotangents)[number][0])
            raise MinijaxTypeError(f"{name}: the cotangent of result{path} is {describe(ct)}, the result of type "
                                   f"{type}. They must have the same shape and dtype.")
    return [ct if type.differentiable else zero for ct, type in zip(leaves, types, strict=True)]


@boundary
def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False, reduce_axes: Any = ()) -> Any:
    """Value of `fun` at `primals`, and the function from output cotangents to input cotangents.

    The latter returns a tuple with one item for each argument.

    >>> y, f_vjp = vjp(lambda x, y: x * y, 2.0, 3.0); f_vjp(1.0)
    (Array(3., dtype=float32, weak_type=True), Array(2., dtype=float32, weak_type=True))
    """
    check_callable("vjp", fun)
    leaves, in_tree = flatten_values("vjp", fun, primals)
    flat = FlatFunction("vjp", fun, in_tree, has_aux)
    pull, aux = pull_back(flat, leaves, [typeof(x).differentiable for x in leaves])
    result = flat.out_tree.unflatten(map(as_result, pull.outs))
    return (result, pull, aux) if has_aux else (result, pull)


def pull_back(flat: FlatFunction, leaves: list[Any], linear: list[bool]) -> tuple[PullBack, Any]:
    """Run and linearize a flat function; its pull-back and auxiliary data."""
    outs, tape, aux = linearize_with_aux(flat, leaves, linear)
    return PullBack(flat, leaves, linear, outs, tape), aux


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
    check_callable("value_and_grad", fun)
    options = tuple(argnums) if isinstance(argnums, list) else argnums, has_aux, holomorphic
    if allow_int:  # gradients of integers are float0, which no compiled program returns
        return boundary(_value_and_grad(fun, *options, allow_int))
    return eagerly_jitted(fun, ("value_and_grad", *options), lambda f: _value_and_grad(f, *options, False))


def _value_and_grad(fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, holomorphic: bool,
                    allow_int: bool) -> Callable[..., Any]:
    @functools.wraps(fun)
    def value_and_grad_fun(*args: Any, **kwargs: Any) -> Any:
        numbers = canonical_argnums("grad", argnums, len(args))
        chosen, restore = split_args(args, numbers)
        leaves, in_tree = flatten_values("grad", fun, chosen, positions=numbers)
        types = [typeof(x) for x in leaves]
        if holomorphic or not all([dtypes.is_float(t.dtype) for t in types]):
            check_inexact("grad", fun, args, numbers, holomorphic, allow_int)
        flat = FlatFunction("grad", lambda *xs: fun(*restore(xs), **kwargs), in_tree, has_aux)
        pull, aux = pull_back(flat, leaves, [t.differentiable for t in types])
        value = check_scalar(fun, flat, pull.outs, holomorphic)
        grads = in_tree.unflatten(pull.pull([ones_of(typeof(value))]))
        grads = grads if isinstance(argnums, (tuple, list)) else grads[0]
        return ((as_result(value), aux) if has_aux else as_result(value)), grads

    return value_and_grad_fun


def check_scalar(fun: Any, flat: FlatFunction, outs: list[Any], holomorphic: bool) -> Any:
    """The one scalar result that `grad` needs."""
    name = function_name(fun)
    if len(outs) != 1 or flat.out_tree != pytree.structure(0.0):
        raise NonScalarOutputError(f"grad needs a function that returns one scalar, but {name} returned "
                                   f"{flat.out_tree} with {len(outs)} leaves. Return other data with has_aux=True, "
                                   "or use minijax.jacrev or vjp.")
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


@boundary
def grad(fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False,
         holomorphic: bool = False, allow_int: bool = False, reduce_axes: Any = ()) -> Callable[..., Any]:
    """The gradient of a function that returns a scalar; see `value_and_grad` for the arguments.

    With `has_aux` the result is (gradient, auxiliary data).

    >>> grad(lambda x: x ** 3)(2.0)
    Array(12., dtype=float32, weak_type=True)
    """
    check_callable("grad", fun)
    options = tuple(argnums) if isinstance(argnums, list) else argnums, has_aux, holomorphic
    if allow_int:
        return boundary(_grad(fun, *options, allow_int))
    return eagerly_jitted(fun, ("grad", *options), lambda f: _grad(f, *options, False))


def _grad(fun: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, holomorphic: bool,
          allow_int: bool) -> Callable[..., Any]:
    both = _value_and_grad(fun, argnums, has_aux, holomorphic, allow_int)

    @functools.wraps(fun)
    def grad_fun(*args: Any, **kwargs: Any) -> Any:
        value, grads = both(*args, **kwargs)
        return (grads, value[1]) if has_aux else grads

    return grad_fun
