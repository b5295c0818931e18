"""Solutions of equations, differentiated by the equation and not through the solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.derivatives import linearize
from minijax.calls.arguments import Arguments
from minijax.calls.custom import bind_custom, custom_jvp_p
from minijax.calls.jit import Traced, trace_function
from minijax.custom_rules.linear_solve import linear_solve_p
from minijax.errors import MinijaxTypeError, TreeError
from minijax.interpreters.dual import jvp_flat
from minijax.interpreters.evaluate import run_program
from minijax.interpreters.transpose import transpose_program
from minijax.ir.jaxpr import Jaxpr, Var
from minijax.ir.types import ArrayType, zero
from minijax.lax.carries import check_function, flat_values
from minijax.ops.arithmetic import neg
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof
from minijax.util import split_list

Function = Callable[..., Any]


@boundary
def custom_linear_solve(matvec: Function, b: Any, solve: Function, transpose_solve: Function | None = None,
                        symmetric: bool = False, has_aux: bool = False) -> Any:
    """The solution x of matvec(x) = b that `solve(matvec, b)` finds; its derivatives follow from the equation.

    `matvec` is linear; x, b and matvec(x) are pytrees of one structure and one set of types.
    `transpose_solve(vecmat, b)` solves the transposed equation: reverse mode needs it, or `symmetric=True`, which
    says that matvec is its own transpose.  With `has_aux` the solvers return (x, aux).  Source: JAX.
    Raises `MinijaxTypeError` where types differ, `TreeError` where structures do, `NonlinearError` in reverse mode
    without a transposed solver.

    >>> custom_linear_solve(lambda x: 2.0 * x, 6.0, lambda matvec, b: b / matvec(1.0))
    Array(3., dtype=float32, weak_type=True)
    """
    for name, function in (("matvec", matvec), ("solve", solve), ("transpose_solve", transpose_solve or solve)):
        check_function("custom_linear_solve", name, function)
    leaves, tree, types = flat_values("custom_linear_solve", "b", b)
    if symmetric and transpose_solve is None:
        transpose_solve = solve
    forward = _trace(matvec, types, tree)
    _check_like(forward, tree, types, "custom_linear_solve", "matvec")
    backward = _transposed(forward, len(leaves)) if transpose_solve and not symmetric else forward
    found = {"matvec": forward, "vecmat": backward if transpose_solve else None,
             "solve": _solver("solve", solve, matvec, types, tree, has_aux)}
    found["transpose_solve"] = transpose_solve and _solver(
        "transpose_solve", transpose_solve, matvec if symmetric else _open(backward), types, tree, has_aux)
    programs, consts = _with_shared_consts(found)
    outs = linear_solve_p.bind(*consts, *leaves, num_consts=len(consts), has_aux=has_aux, **programs)
    return found["solve"].out_tree.unflatten(outs)


def _trace(function: Function, types: Sequence[ArrayType], tree: Any) -> Traced:
    """A function of one pytree, traced at the types of its leaves."""
    return trace_function(Arguments("tracing", function, (tree.unflatten(types),)), types)


def _open(traced: Traced) -> Function:
    """A traced function as a function of one pytree."""
    def call(x: Any) -> Any:
        return traced.out_tree.unflatten(run_program(traced.jaxpr, *traced.captured, *pytree.leaves(x)))

    return call


def _transposed(traced: Traced, count: int) -> Traced:
    """The transpose of a traced function of `count` leaves that returns as many of the same types."""
    linear, every = (False,) * len(traced.captured) + (True,) * count, (True,) * count
    program, _ = transpose_program(traced.jaxpr, linear, every, every)
    return Traced(program, traced.captured, traced.out_tree)


def _solver(name: str, function: Function, matvec: Function, types: Sequence[ArrayType], tree: Any,
            has_aux: bool) -> Traced:
    """A solver of matvec(x) = b, traced at the types of b."""
    traced = _trace(lambda b: function(matvec, b), types, tree)
    if not has_aux:
        _check_like(traced, tree, types, "custom_linear_solve", name)
        return traced
    children = traced.out_tree.children()
    if len(children) != 2:
        raise MinijaxTypeError(f"custom_linear_solve with has_aux=True: {name} must return a pair (x, aux), got the "
                               f"structure {traced.out_tree}.")
    _check_like(traced._replace(out_tree=children[0]), tree, types, "custom_linear_solve", name)
    return traced


def _check_like(traced: Traced, tree: Any, types: Sequence[ArrayType], who: str, what: str) -> None:
    """Raise unless a function returns what has the structure and the types of its argument."""
    if traced.out_tree != tree:
        raise TreeError(f"{who}: {what} returned the structure {traced.out_tree} for an argument of structure {tree}. "
                        "They must be the same.")
    paths = [pytree.keystr(path) for path, _ in pytree.leaves_with_path(tree.unflatten(range(len(types))))]
    for path, out, t in zip(paths, traced.jaxpr.out_types, types, strict=False):
        if (out.shape, out.dtype) != (t.shape, t.dtype):
            raise MinijaxTypeError(f"{who}: {what} returned {out} at result{path} for an argument of type {t} there. "
                                   "They must have the same shape and dtype.")


def _with_shared_consts(found: dict[str, Traced | None]) -> tuple[dict[str, Jaxpr | None], list[Any]]:
    """The programs, each with the captured values of all as its first inputs; and those values."""
    consts: dict[int, Any] = {id(c): c for traced in found.values() if traced for c in traced.captured}
    programs: dict[str, Jaxpr | None] = {}
    for name, traced in found.items():
        if traced is not None:
            count = len(traced.captured)
            own = {id(c): v for c, v in zip(traced.captured, traced.jaxpr.invars, strict=False)}
            shared = [own[key] if key in own else Var(typeof(c)) for key, c in consts.items()]
            programs[name] = traced.jaxpr.replace(invars=[*shared, *traced.jaxpr.invars[count:]])
        else:
            programs[name] = None
    return programs, list(consts.values())


@boundary
def custom_root(f: Function, initial_guess: Any, solve: Function, tangent_solve: Function,
                has_aux: bool = False) -> Any:
    """The root x of f(x) = 0 that `solve(f, initial_guess)` finds; its derivatives follow from the equation.

    Derivatives are with respect to what `f` captures: `tangent_solve(g, y)` returns the solution x of g(x) = y for
    the linear g = f' at the root, and is itself linear in y.  x, f(x) and the guess are pytrees of one structure and
    one set of types.  With `has_aux`, solve returns (x, aux).  Source: JAX.

    >>> root = lambda a: custom_root(lambda x: x * x - a, 1.0, lambda f, x: a ** 0.5, lambda g, y: y / g(1.0))
    >>> root(4.0)
    2.0
    """
    for name, function in (("f", f), ("solve", solve), ("tangent_solve", tangent_solve)):
        check_function("custom_root", name, function)
    leaves, tree, types = flat_values("custom_root", "initial_guess", initial_guess)
    equation = _trace(f, types, tree)
    _check_like(equation, tree, types, "custom_root", "f")
    solver = _solver_of_root(solve, f, types, tree, has_aux)

    def tangents(x: Any, y: Any) -> Any:
        return tangent_solve(linearize(f, x)[1], y)

    both = Arguments("tracing", tangents, (tree.unflatten(types), tree.unflatten(types)))
    tangent = trace_function(both, [*types, *types])
    _check_like(tangent, tree, types, "custom_root", "tangent_solve")
    counts = [len(traced.captured) for traced in (equation, solver, tangent)]
    rule = _RootRule(equation.jaxpr, solver.jaxpr, tangent.jaxpr, counts)
    outs = rule.bind([*equation.captured, *solver.captured, *tangent.captured, *leaves])
    return solver.out_tree.unflatten(outs)


def _solver_of_root(solve: Function, f: Function, types: Sequence[ArrayType], tree: Any, has_aux: bool) -> Traced:
    solver = _trace(lambda guess: solve(f, guess), types, tree)
    children = solver.out_tree.children() if has_aux else []
    if has_aux and len(children) != 2:
        raise MinijaxTypeError("custom_root with has_aux=True: solve must return a pair (x, aux), got the structure "
                               f"{solver.out_tree}.")
    _check_like(solver._replace(out_tree=children[0]) if has_aux else solver, tree, types, "custom_root", "solve")
    return solver


class _RootRule:
    """The jvp rule of a root: f(m, x(m)) = 0, so that f'(x) dx = -df/dm dm."""

    def __init__(self, equation: Jaxpr, solver: Jaxpr, tangent: Jaxpr, counts: Sequence[int]) -> None:
        self.equation, self.solver, self.tangent, self.counts = equation, solver, tangent, counts
        self.size = len(equation.outvars)
        self.__name__ = "implicit"

    def bind(self, args: Sequence[Any]) -> Sequence[Any]:
        """The solution and what else the solver returns."""
        def function(*values: Any) -> Sequence[Any]:
            _, own, _, guess = split_list(values, *self.counts)
            return run_program(self.solver, *own, *guess)

        return bind_custom(custom_jvp_p, function, (), args, name="custom_root", jvp=self)

    def __call__(self, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        params, _, inverse, _ = split_list(primals, *self.counts)
        params_dot = tangents[: self.counts[0]]
        outs = self.bind(primals)
        solution = list(outs[: self.size])
        none = [zero] * len(outs)
        if all(t is zero for t in params_dot):
            return outs, none
        values, moved = jvp_flat(lambda *ps: run_program(self.equation, *ps, *solution), params, params_dot)
        rhs = [zeros_of(typeof(x)) if t is zero else t for t, x in zip(moved, values, strict=True)]
        found = run_program(self.tangent, *inverse, *solution, *rhs)
        return outs, [*map(neg, found), *none[self.size:]]


__all__ = ["custom_linear_solve", "custom_root"]
