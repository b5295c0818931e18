"""Derivatives of a function against differences: `check_grads`, `check_jvp`, `check_vjp`, as `jax.test_util` has them.

One random direction is tried: J v against (f(x + h v) - f(x - h v)) / 2h, and <u, J v> against <transposed J u, v>.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api import jvp, vjp
from minijax.derivatives import linearize
from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.testing.compare import Mismatch, close_numbers, numbers, pairing
from minijax.testing.samples import random_array
from minijax.tracing.array import typeof

TOLERANCE = {"bfloat16": 0.1, "float16": 2e-2, "float32": 3e-3, "complex64": 3e-3, "float64": 1e-6, "complex128": 1e-6}
STEP = {"bfloat16": 0.2, "float16": 5e-2, "float32": 5e-3, "complex64": 5e-3}  # the cube root of the rounding error
MODES = ("fwd", "rev", "lin")


def check_grads(f: Callable[..., Any], args: Sequence[Any], order: int, modes: Sequence[str] = ("fwd", "rev"),
                atol: Any = None, rtol: Any = None, eps: float | None = None) -> None:
    """Check derivatives of `f` at `args` against differences, in one random direction, up to an order.

    Args:
        f: a function of pytrees of floating-point arrays.
        args: its arguments.
        order: 1 for first derivatives, 2 for derivatives of derivatives as well, ...
        modes: any of 'fwd' (jvp), 'rev' (vjp) and 'lin' (linearize); each order is checked in each mode of the last.
        atol, rtol: tolerances, or dicts from dtypes to them; by default by dtype.
        eps: the step of the differences; by default by dtype.

    Raises:
        Mismatch (an AssertionError): names the mode, the leaf and the index where they disagree.

    >>> check_grads(lambda x: x ** 3, (2.0,), order=2)
    """
    unknown = set(modes) - set(MODES)
    if unknown:
        raise MinijaxValueError(f"check_grads: there is no mode {sorted(unknown)[0]!r}. The modes are {MODES}.")
    _check(f, tuple(args), order, modes, {"atol": atol, "rtol": rtol, "eps": eps}, "")


def _check(f: Callable[..., Any], args: tuple[Any, ...], order: int, modes: Sequence[str], options: Any,
           of: str) -> None:
    for mode in modes:
        name = {"fwd": "jvp", "rev": "vjp", "lin": "linearize"}[mode] + of
        if mode == "rev":
            check_vjp(f, functools.partial(vjp, f), args, **options, err_msg=name)
        else:
            check_jvp(f, functools.partial(pushes[mode], f), args, **options, err_msg=name)
        if order > 1:
            derivative, at = (pulled(f), args) if mode == "rev" else (functools.partial(pushes[mode], f), (args, args))
            _check(derivative, at, order - 1, modes, options, f" of {name}")


def linearized(f: Callable[..., Any], primals: Any, tangents: Any) -> tuple[Any, Any]:
    """Results and tangents by linearize."""
    outs, push = linearize(f, *primals)
    return outs, push(*tangents)


pushes: dict[str, Callable[..., Any]] = {"fwd": jvp, "lin": linearized}


def pulled(f: Callable[..., Any]) -> Callable[..., Any]:
    """The function args -> cotangents of args, for the result as its own cotangent."""
    def pull(*args: Any) -> Any:
        outs, f_vjp = vjp(f, *args)
        return f_vjp(outs)

    return pull


def check_jvp(f: Callable[..., Any], f_jvp: Callable[..., Any], args: Sequence[Any], atol: Any = None, rtol: Any = None,
              eps: float | None = None, err_msg: str = "") -> None:
    """Check `f_jvp(args, tangents) -> (results, tangents)` against `f` and its differences; see `check_grads`.

    >>> check_jvp(lambda x: x * x, lambda xs, ts: (xs[0] * xs[0], 2 * xs[0] * ts[0]), (3.0,))
    """
    args = tuple(args)
    tangents = random_tree(args, 0)
    outs, out_tangents = f_jvp(args, tangents)
    compare(f"{err_msg} result", outs, f(*args), atol, rtol)
    compare(f"{err_msg} tangent", out_tangents, slopes(f, args, tangents, eps), atol, rtol)


def check_vjp(f: Callable[..., Any], f_vjp: Callable[..., Any], args: Sequence[Any], atol: Any = None, rtol: Any = None,
              eps: float | None = None, err_msg: str = "") -> None:
    """Check `f_vjp(*args) -> (results, pull)` against `f` and its differences; see `check_grads`.

    >>> check_vjp(lambda x: x * x, lambda x: (x * x, lambda ct: (2 * x * ct,)), (3.0,))
    """
    args = tuple(args)
    outs, pull = f_vjp(*args)
    compare(f"{err_msg} result", outs, f(*args), atol, rtol)
    tangents, cts = random_tree(args, 0), random_tree(outs, 50)
    pulled_cts = pull(cts)
    left, size = pairing(pytree.leaves(cts), [np.asarray(x) for x in pytree.leaves(slopes(f, args, tangents, eps))])
    right, other = pairing(pytree.leaves(pulled_cts), pytree.leaves(tangents))
    tolerance = max((tolerance_of(x, rtol) for x in pytree.leaves((args, outs))), default=0.0)
    if not abs(left - right) <= tolerance * max(size, other, 1.0):
        raise Mismatch("transpose", f"{err_msg}: <transposed J u, v>, against <u, J v> by differences", None, right,
                       left)


# ---- trees of numbers ----

def random_tree(tree: Any, seed: int) -> Any:
    """Random values of the types of a tree's leaves."""
    leaves, treedef = pytree.flatten(tree)
    found = [random_array(typeof(x).update(weak_type=False), seed + i) for i, x in enumerate(leaves)]
    return treedef.unflatten([x.item() if isinstance(leaf, (float, complex)) else x
                              for x, leaf in zip(found, leaves, strict=True)])


def slopes(f: Callable[..., Any], args: Any, tangents: Any, eps: float | None) -> Any:
    """Central differences of `f` along the tangents, as a tree of NumPy arrays of the dtypes of the results."""
    step = eps or max(STEP.get(typeof(x).dtype.name, 1e-5) for x in pytree.leaves(args))

    def moved(x: Any, t: Any, by: float) -> Any:
        array = np.asarray(np.asarray(x) + np.asarray(by * np.asarray(t)), typeof(x).dtype)
        return array.item() if isinstance(x, (float, complex)) else array

    up, down = [f(*pytree.map(lambda x, t, by=by: moved(x, t, by), args, tangents)) for by in (step, -step)]
    return pytree.map(lambda a, b: np.asarray((numbers(a) - numbers(b)) / (2 * step)), up, down)


def tolerance_of(x: Any, given: Any) -> float:
    """The tolerance for a value: what the caller gave, by dtype if a dict, or else by dtype."""
    dtype = typeof(x).dtype
    if isinstance(given, dict):
        given = {dtypes.as_dtype(key): value for key, value in given.items()}.get(dtype)
    return float(TOLERANCE.get(dtype.name, 0.0) if given is None else given)


def compare(what: str, got: Any, expected: Any, atol: Any, rtol: Any) -> None:
    """Raise `Mismatch`, with the leaf's path, unless trees agree to tolerance."""
    theirs = pytree.leaves(expected)
    for (path, x), y in zip(pytree.leaves_with_path(got), theirs, strict=True):
        tolerance = max(tolerance_of(x, atol if atol is not None and rtol is None else rtol), tolerance_of(x, atol)
                        if atol is not None else 0.0)
        close_numbers("jvp", f"{what}{pytree.keystr(path)}", numbers(x), numbers(y), tolerance)
