"""Loops over the elements of arrays: scan, map and associative_scan."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

from minijax import pytree
from minijax.api.boundary import boundary
from minijax.api.vmap import vmap
from minijax.calls.jit import Traced
from minijax.calls.masks import regrouped
from minijax.calls.scan import scan_p
from minijax.config import state
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.batch import unbatched_type
from minijax.lax.carries import (Types, apart, applied, carried, check_carry, check_function, check_trees, check_types,
                                 described, flat_values, grown_type, made_once, remembered, traced)
from minijax.ops.families import at_line, reshape
from minijax.ops.operands import axis_of, operand as as_operand
from minijax.ops.promotion import convert
from minijax.ops.slicing import slice_
from minijax.ops.structural import concatenate, expand_dims, rev, squeeze
from minijax.tracing.array import typeof
from minijax.util import split_list


# ---- scan ----

@boundary
def scan(f: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any = None, length: int | None = None,
         reverse: bool = False, unroll: int | bool = 1, _split_transpose: bool = False, *,
         checkpoint: int | None = None) -> tuple[Any, Any]:
    """Run `carry, y = f(carry, x)` over the leading axis of `xs`: the final carry, and all ys stacked.

    `init`, `xs`, the carry and y are pytrees.  The carry keeps its structure and types; a Python scalar in it
    takes the type that `f` gives it.  Without `xs`, `length` is the number of steps.  `reverse` goes from the
    last x to the first; `unroll` steps are compiled as one (True: all).  `checkpoint` bounds the number of
    carries that the gradient keeps: it computes the others again.
    Raises `MinijaxTypeError` and `TreeError` for a carry that changes, `MinijaxValueError` for lengths that differ.

    >>> import numpy as np
    >>> scan(lambda total, x: (total + x, total), 0.0, np.arange(3.0))
    (Array(3., dtype=float32), Array([0., 0., 1.], dtype=float32, weak_type=True))
    """
    check_function("scan", "f", f)
    carry, init_tree, types = flat_values("scan", "init", init)
    leaves, xs_tree, x_types = flat_values("scan", "xs", xs)
    count = _length("scan", xs, x_types, length)
    loop = {"length": count, "reverse": bool(reverse), "unroll": _unroll(unroll, count)}
    if checkpoint is not None:
        loop["checkpoint"] = _positive("scan: checkpoint, the number of carries to keep,", checkpoint)
    if state.jax_disable_jit and count:
        return _python_scan(f, init, leaves, xs_tree, count, reverse)
    types, body, y_tree = _body(f, (init, xs), init_tree, types, tuple([unbatched_type(t, 0) for t in x_types]))
    carry = [x if typeof(x) == t else convert(x, t.dtype, t.weak_type) for x, t in zip(carry, types, strict=True)]
    carry, ys = _bind(body, carry, leaves, loop)
    return init_tree.unflatten(carry), y_tree.unflatten(ys)


def _body(f: Any, args: Any, init_tree: Any, types: Types, x_types: Types) -> tuple[Types, Traced, Any]:
    """The types of the carry, the program of one step at them, and the structure of y."""
    fix = "The carry keeps its structure: return in it what init has."
    put_back = remembered()
    while True:
        found = traced(f, (*types, *x_types), args)
        carry_tree, y_tree = _pair(f, found)
        check_trees("scan", init_tree, carry_tree, "init", f"the carry that {described(f)} returns", fix)
        given = found.jaxpr.out_types[: len(types)]
        grown = tuple([grown_type(t, u) for t, u in zip(types, given, strict=True)])
        if grown == types:
            check_carry("scan", f, init_tree, "init", types, given)
            return types, found._replace(jaxpr=carried(found.jaxpr, types)), y_tree
        types = grown
        put_back()


def _pair(f: Any, found: Traced) -> tuple[Any, Any]:
    """The structures of the carry and of y that a step returns."""
    node, parts = found.out_tree.node_data(), found.out_tree.children()
    if node is None or not issubclass(node[0], (tuple, list)) or len(parts) != 2:
        result = found.out_tree.unflatten(found.jaxpr.out_types)
        raise MinijaxTypeError(f"scan: {described(f)} returned {result!r}{at_line()}, not a pair (carry, y). "
                               "Return the next carry and what to stack, or None: `return carry, None`.")
    return parts[0], parts[1]


def _bind(body: Traced, carry: list[Any], xs: list[Any], loop: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Bind `scan`.  A carry that every step returns as it came is a constant of the loop."""
    consts, jaxpr = len(body.captured), body.jaxpr
    own = jaxpr.invars[consts: consts + len(carry)]
    fixed = [i for i, v in enumerate(own) if jaxpr.outvars[i] is v]
    moving = [i for i in range(len(carry)) if i not in fixed]
    ins = *range(consts), *[consts + i for i in (*fixed, *moving)], *range(consts + len(carry), len(jaxpr.invars))
    outs = *moving, *range(len(carry), len(jaxpr.outvars))
    step, operands = apart(regrouped(jaxpr, ins, outs),
                           [*body.captured, *[carry[i] for i in (*fixed, *moving)], *xs])
    found = scan_p.bind(*operands, jaxpr=step, num_consts=consts + len(fixed), num_carry=len(moving), **loop)
    last, ys = split_list(found, len(moving))
    at = {**{i: as_operand("scan", carry[i]) for i in fixed}, **dict(zip(moving, last, strict=True))}
    return [at[i] for i in range(len(carry))], ys


def _python_scan(f: Any, init: Any, xs: list[Any], xs_tree: Any, length: int, reverse: bool) -> tuple[Any, Any]:
    """The loop in Python, for `jax_disable_jit`: every value is there to be looked at."""
    carry, rows, arrays = init, [], [as_operand("scan", x) for x in xs]
    for i in reversed(range(length)) if reverse else range(length):
        carry, y = f(carry, xs_tree.unflatten([squeeze(_part(x, 0, i, i + 1), (0,)) for x in arrays]))
        rows.append(pytree.map(lambda leaf: expand_dims(as_operand("scan", leaf), (0,)), y))
    if reverse:
        rows.reverse()
    return carry, pytree.map(lambda *leaves: concatenate(leaves, 0), *rows)


# ---- what loops are given ----

def _length(who: str, xs: Any, types: Types, length: Any = None) -> int:
    """The number of steps: the leading size of all leaves, and `length` if it is given."""
    names = ["xs" + pytree.keystr(path) for path, _ in pytree.leaves_with_path(xs)]
    for name, t in zip(names, types, strict=True):
        if not t.shape:
            raise MinijaxValueError(f"{who}: {name} is a scalar of type {t}{at_line()}, which has no leading axis to "
                                    "go over. Close over it, or give it an axis.")
    sizes = dict(zip(names, [t.shape[0] for t in types], strict=True))
    if length is not None:
        sizes["length"] = _positive(f"{who}: length", length, 0)
    if not sizes:
        raise MinijaxValueError(f"{who}: neither xs nor length is given{at_line()}, so the number of steps is not "
                                "known. Pass length=n.")
    if len(set(sizes.values())) > 1:
        lines = [f"  {name}: {size}" for name, size in sizes.items()]
        raise MinijaxValueError("\n".join([f"{who}: the leading sizes differ{at_line()}:", *lines,
                                           "Every leaf of xs has one element for each step: make them equal."]))
    return next(iter(sizes.values()))


def _positive(what: str, number: Any, least: int = 1) -> int:
    try:
        found = operator.index(number)
    except TypeError:
        raise MinijaxTypeError(f"{what} is {number!r}{at_line()}, not an int. Shapes and numbers of steps are known "
                               "when a program is traced: pass an int.") from None
    if found < least:
        raise MinijaxValueError(f"{what} is {found}{at_line()}. Pass {least} or more.")
    return found


def _unroll(unroll: Any, length: int) -> int:
    if isinstance(unroll, bool):
        return max(length, 1) if unroll else 1
    return _positive("scan: unroll, how many steps are compiled as one,", unroll)


# ---- map ----

@boundary
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` applied to each element of `xs` along the leading axis, one after the other; the results stacked.

    With `batch_size`, so many elements at a time are done by vmap, and the last ones that remain.
    Raises `MinijaxValueError` for leaves whose leading sizes differ.

    >>> import numpy as np
    >>> map(lambda x: x ** 2, np.arange(3.0))
    Array([0., 1., 4.], dtype=float32)
    """
    check_function("map", "f", f)
    leaves, tree, types = flat_values("map", "xs", xs)
    length = _length("map", xs, types)
    size = length if batch_size is None else _positive("map: batch_size", batch_size)

    if batch_size is None:
        return scan(made_once(f, "map", lambda f: lambda carry, x: (carry, applied(f(), x))), (), xs)[1]
    arrays, whole = [as_operand("map", x) for x in leaves], length - length % size
    batches = [reshape(_part(x, 0, 0, whole), (whole // size, size, *x.shape[1:])) for x in arrays]
    step = made_once(f, "map of batches", lambda f: lambda carry, x: (carry, vmap(functools.partial(applied, f()))(x)))
    done = scan(step, (), tree.unflatten(batches))[1]
    done = pytree.map(lambda y: reshape(y, (whole, *y.shape[2:])), done)
    if whole == length:
        return done
    rest = vmap(f)(tree.unflatten([_part(x, 0, whole, length) for x in arrays]))
    return pytree.map(lambda y, z: concatenate([y, z], 0), done, rest)


def _part(x: Any, axis: int, start: int, stop: int, stride: int = 1) -> Any:
    """Elements start, start + stride, ... up to stop along one axis."""
    starts, stops, strides = [0] * x.ndim, list(x.shape), [1] * x.ndim
    starts[axis], stops[axis], strides[axis] = min(start, stop), stop, stride
    return slice_(x, starts, stops, strides)


# ---- associative_scan ----

@boundary
def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    """All partial results of an associative function: e0, fn(e0, e1), fn(fn(e0, e1), e2), ... in a parallel way.

    `elems` is a pytree of arrays of equal size n along `axis`; `fn` takes two such trees with any number of
    elements and combines them element by element.  It takes about 2 n applications in 2 log n rounds.
    `reverse` starts from the end.  Raises `MinijaxValueError` for sizes that differ.

    >>> import numpy as np
    >>> associative_scan(lambda x, y: x * y, np.arange(1.0, 6.0))
    Array([  1.,   2.,   6.,  24., 120.], dtype=float32)
    """
    check_function("associative_scan", "fn", fn)
    leaves, tree, types = flat_values("associative_scan", "elems", elems)
    arrays = [as_operand("associative_scan", x) for x in leaves]
    if not arrays:
        raise MinijaxValueError(f"associative_scan: elems has no leaves{at_line()}. Pass at least one array.")
    place = axis_of("associative_scan", axis, arrays[0].ndim)
    sizes = [t.shape[place] if place < t.ndim else None for t in types]
    if len(set(sizes)) > 1:
        lines = [f"  elems{pytree.keystr(path)}: {size} (of {t})" for (path, _), size, t in
                 zip(pytree.leaves_with_path(elems), sizes, types, strict=True)]
        raise MinijaxValueError("\n".join([f"associative_scan: the sizes of axis {place} differ{at_line()}:", *lines,
                                           "Every leaf has one part of each element: make them equal."]))

    def combine(left: list[Any], right: list[Any]) -> list[Any]:
        found = applied(fn, tree.unflatten(left), tree.unflatten(right))
        outs, out_tree = pytree.flatten(found)
        check_trees("associative_scan", tree, out_tree, "elems", f"the result of {described(fn)}",
                    "It combines two elements into one of the same structure.")
        wanted = tuple([typeof(x) for x in left])
        check_types("associative_scan", tree, "elems", wanted, tuple([typeof(x) for x in outs]),
                    "before", f"after {described(fn)}", "It combines two elements into one of the same type.")
        return [as_operand("associative_scan", x) for x in outs]

    if reverse:
        return tree.unflatten([rev(x, (place,)) for x in _prefixes(
            combine, [rev(x, (place,)) for x in arrays], place)])
    return tree.unflatten(_prefixes(combine, arrays, place))


def _prefixes(combine: Callable[..., list[Any]], xs: Sequence[Any], axis: int) -> list[Any]:
    """Prefixes of odd length come from those of the pairs, prefixes of even index from these and one element more."""
    n = xs[0].shape[axis]
    if n < 2:
        return list(xs)
    pairs = combine([_part(x, axis, 0, n - 1, 2) for x in xs], [_part(x, axis, 1, n, 2) for x in xs])
    odd = _prefixes(combine, pairs, axis)  # elements 1, 3, 5, ... of the result
    even = [_part(x, axis, 0, 1) for x in xs]
    if n > 2:
        before = [_part(y, axis, 0, (n - 1) // 2) for y in odd]
        after = combine(before, [_part(x, axis, 2, n, 2) for x in xs])
        even = [concatenate([first, rest], axis) for first, rest in zip(even, after, strict=True)]
    return [_interleaved(x, y, axis) for x, y in zip(even, odd, strict=True)]


def _interleaved(even: Any, odd: Any, axis: int) -> Any:
    """even[0], odd[0], even[1], odd[1], ... along an axis; `even` may have one element more."""
    n, shape = odd.shape[axis], list(odd.shape)
    both = concatenate([expand_dims(x, (axis + 1,)) for x in (_part(even, axis, 0, n), odd)], axis + 1)
    shape[axis] = 2 * n
    both = reshape(both, shape)
    return both if even.shape[axis] == n else concatenate([both, _part(even, axis, n, n + 1)], axis)
