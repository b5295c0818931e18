"""Functions that capture values: their captured values as arguments, and rules given by a closure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.calls.arguments import Arguments
from minijax.calls.jit import Traced, trace_function
from minijax.calls.names import function_name
from minijax.custom_rules.functions import custom_transpose, custom_vjp
from minijax.errors import MinijaxTypeError, TreeError
from minijax.interpreters.evaluate import run_program
from minijax.tracing.array import Tracer
from minijax.util import merge_lists, partition_list


def traced_at(function: Callable[..., Any], args: Sequence[Any]) -> Traced:
    """A function of positional arguments, traced at the types of examples."""
    call = Arguments("tracing", function, args).checked()
    return trace_function(call, call.types())


@boundary
def closure_convert(fun: Callable[..., Any], *example_args: Any) -> tuple[Callable[..., Any], list[Any]]:
    """(converted, captured): `fun` with the differentiable traced values that it captures as further arguments.

    converted(*args, *captured) is fun(*args), for arguments of the types of `example_args`.  A function
    with rules of its own can thus be told of what the functions passed to it capture.

    >>> converted, captured = closure_convert(lambda x: x * 2.0, 1.0)
    >>> converted(3.0, *captured)
    Array(6., dtype=float32, weak_type=True)
    """
    check_callable("closure_convert", fun)
    traced = traced_at(fun, example_args)
    types = list(traced.jaxpr.in_types[len(traced.captured):])
    hoisted = [isinstance(x, Tracer) and x.type.differentiable for x in traced.captured]
    kept, captured = partition_list(hoisted, traced.captured)
    in_tree = Arguments("closure_convert", fun, example_args).tree

    @boundary
    def converted(*args: Any) -> Any:
        count = len(args) - len(captured)
        call = Arguments("closure_convert", fun, args[:count]).checked()
        if call.tree != in_tree or any(not t.matches(u) for t, u in zip(call.types(), types, strict=False)):
            raise TreeError(f"The closure-converted function {function_name(fun)} was called with "
                            f"{list(call.types())} in the structure {call.tree}; it was converted for {types} in "
                            f"{in_tree}, followed by {len(captured)} captured values.")
        outs = run_program(traced.jaxpr, *merge_lists(hoisted, kept, args[count:]), *call.leaves)
        return traced.out_tree.unflatten(outs)

    return converted, captured


class _PullBack:
    """A traced pull-back as a pytree: its captured values are leaves, its program is the structure."""

    def __init__(self, captured: Sequence[Any], program: Any, out_tree: Any) -> None:
        self.captured, self.program, self.out_tree = captured, program, out_tree

    def __call__(self, *cts: Any) -> Any:
        outs = run_program(self.program, *self.captured, *pytree.leaves(cts))
        return self.out_tree.unflatten(outs)


pytree.register_pytree_node(_PullBack, lambda p: (tuple(p.captured), (p.program, p.out_tree)),
                            lambda data, captured: _PullBack(tuple(captured), *data))


@boundary
def custom_gradient(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function with its own reverse rule, from one that returns (output, pull_back).

    pull_back maps a cotangent of the output to the cotangents of the arguments: a tuple, or the one cotangent
    of a single argument.

    >>> square = custom_gradient(lambda x: (x * x, lambda ct: 10.0 * ct))
    >>> square(3.0)
    9.0
    """
    check_callable("custom_gradient", fun)

    def result(*args: Any) -> tuple[Any, Any]:
        found = fun(*args)
        if not isinstance(found, tuple) or len(found) != 2 or not callable(found[1]):
            raise MinijaxTypeError(f"custom_gradient: {function_name(fun)} must return a pair (output, pull_back), "
                                   f"got {found!r}.")
        return found

    def value(*args: Any) -> Any:
        return result(*args)[0]

    def fwd(*args: Any) -> tuple[Any, Any]:
        out, pull_back = result(*args)

        def listed(ct: Any) -> Any:
            found = pull_back(ct)
            return found if isinstance(found, (tuple, list)) or len(args) != 1 else (found,)

        traced = traced_at(listed, (out,))
        return out, _PullBack(traced.captured, traced.jaxpr, traced.out_tree)

    def bwd(pull_back: _PullBack, ct: Any) -> Any:
        return pull_back(ct)

    value.__name__ = fwd.__name__ = function_name(fun)
    value.__doc__ = fun.__doc__
    value.__wrapped__ = fun  # type: ignore[attr-defined]
    wrapped = custom_vjp(value)
    wrapped.defvjp(fwd, bwd)
    return wrapped


@boundary
def linear_call(fun: Callable[..., Any], fun_transpose: Callable[..., Any], residual_args: Any,
                linear_args: Any) -> Any:
    """Call fun(residual_args, linear_args), linear in the second, whose transpose is fun_transpose(residual_args, ct).

    >>> linear_call(lambda r, x: r * x, lambda r, ct: r * ct, 2.0, 3.0)
    6.0
    """
    call = custom_transpose(fun)
    call.deftranspose(fun_transpose)
    return call(residual_args, linear_args)
