"""Calls back to Python: ops whose meaning is a function of NumPy arrays that the user wrote.

    debug_callback_p   looks on: sees primals, returns nothing           effect 'debug' or 'ordered_debug'
    pure_callback_p    computes; may be left out, repeated, reordered    no effect
    io_callback_p      acts and returns; runs as often as it is met      effect 'io' or 'ordered_io'

The parameter `callback` is called with the types of the results and with the operands.  Under vmap it is wrapped
in `EachExample`, which loops over the batch on the host: one equation, however many examples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax import pytree
from minijax.errors import DtypeError, MinijaxValueError, MissingRuleError, ShapeError, TreeError
from minijax.ir.dtypes import numpy_dtype
from minijax.ir.op import Op
from minijax.ir.types import ArrayType, scalar_type
from minijax.ops.families import broadcast_axis, moveaxis, no_cost
from minijax.tracing.source import at_line

VMAP_METHODS = ("sequential", "sequential_unrolled", "expand_dims", "broadcast_all", "legacy_vectorized", None)


class Callback:
    """A user's function as a function of flat operands.

    `in_tree` is the tree of (args, kwargs); `fixed` are its leaves that are no arrays, by position.
    `out_tree` is the tree that the function must return; None if nobody reads its result.
    """

    __slots__ = ("function", "kind", "in_tree", "fixed", "out_tree", "line", "__name__")

    def __init__(self, function: Callable[..., Any], kind: str, in_tree: Any, fixed: dict[int, Any],
                 out_tree: Any = None) -> None:
        self.function = function
        self.kind = kind
        self.in_tree = in_tree
        self.fixed = fixed
        self.out_tree = out_tree
        self.line = at_line()
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, types: Sequence[ArrayType], *arrays: np.ndarray) -> list[np.ndarray]:
        """Call the function; its results, checked against `types`."""
        given = iter(map(words, arrays))
        leaves = [self.fixed[i] if i in self.fixed else next(given) for i in range(len(arrays) + len(self.fixed))]
        args, kwargs = self.in_tree.unflatten(leaves)
        result = self.function(*args, **kwargs)
        return [] if self.out_tree is None else self.checked(result, types)

    def checked(self, result: Any, types: Sequence[ArrayType]) -> list[np.ndarray]:
        """The leaves of a result as arrays of the promised types."""
        found, tree = pytree.leaves_with_path(result), pytree.structure(result)
        if tree != self.out_tree:
            raise TreeError(f"{self} returned a tree of another structure than promised.\nexpected {self.out_tree}\n"
                            f"got      {tree}\nReturn what result_shape_dtypes describes.")
        return [self.leaf(pytree.keystr(path), x, type) for (path, x), type in zip(found, types, strict=True)]

    def leaf(self, path: str, x: Any, type: ArrayType) -> np.ndarray:
        """One result as an array; Python scalars take the promised dtype."""
        scalar = scalar_type(x)
        array = np.asarray(x, type.dtype if scalar is not None and scalar.weak_type else None)
        if array.shape != type.shape:
            raise ShapeError(f"{self} returned shape {array.shape} at result{path}; expected {type.shape} "
                             f"({type}). Correct the function, or its result_shape_dtypes.")
        if array.dtype != type.dtype:
            raise DtypeError(f"{self} returned dtype {array.dtype} at result{path}; expected {type.dtype} "
                             f"({type}). Convert the result with .astype(np.{type.dtype}).")
        return array

    def __repr__(self) -> str:
        return f"The callback {self.__name__} of {self.kind}{self.line}"


def words(x: np.ndarray) -> np.ndarray:
    """An operand as the user's function gets it: random keys as their words."""
    if x.dtype.names is None:
        return x
    return np.ascontiguousarray(x).view(np.uint32).reshape(*x.shape, *x.dtype[0].shape)


class EachExample:
    """A callback on batches: called once for each example, in order.  Batched operands have the axis in front."""

    __slots__ = ("callback", "size", "batched", "__name__")

    def __init__(self, callback: Any, size: int, batched: tuple[bool, ...]) -> None:
        self.callback = callback
        self.size = size
        self.batched = batched
        self.__name__ = callback.__name__

    def __call__(self, types: Sequence[ArrayType], *arrays: np.ndarray) -> list[np.ndarray]:
        outs = [np.empty(t.shape, numpy_dtype(t.dtype)) for t in types]
        each = [t.update(shape=t.shape[1:]) for t in types]
        for i in range(self.size):
            example = [x[i] if b else x for x, b in zip(arrays, self.batched, strict=True)]
            for out, value in zip(outs, self.callback(each, *map(np.asarray, example)), strict=True):
                out[i] = value
        return outs


class CallbackOp(Op):
    """An op whose ordered equations have an effect of their own."""

    __slots__ = ()

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """The op's effects; for an ordered equation, those that keep their order."""
        return frozenset(f"ordered_{effect}" for effect in self.effects) if params["ordered"] else self.effects


def in_front(args: Sequence[Any], axes: Sequence[int | None]) -> list[Any]:
    """Operands with their batch axes in front."""
    return [x if axis is None else moveaxis(x, axis, 0) for x, axis in zip(args, axes, strict=True)]


def each_example(callback: Any, size: int, axes: Sequence[int | None]) -> EachExample:
    """The callback on batches along the first axis of those operands that have one."""
    return EachExample(callback, size, tuple([axis is not None for axis in axes]))


def batched_types(types: Sequence[ArrayType], size: int) -> tuple[ArrayType, ...]:
    """Types of batches along the first axis."""
    return tuple([t.update(shape=(size, *t.shape)) for t in types])


# ---- debug_callback: sees primals, returns nothing ----

def _debug_eval(*arrays: Any, callback: Any, **params: Any) -> tuple[()]:
    callback((), *arrays)
    return ()


def _debug_batch(size: int, args: Any, axes: Any, *, callback: Any, **params: Any) -> Any:
    return debug_callback_p.bind(*in_front(args, axes), callback=each_example(callback, size, axes), **params), ()


debug_callback_p = CallbackOp(
    "debug_callback", type=lambda *types, **params: (), eval=_debug_eval, cost=no_cost, batch=_debug_batch,
    jvp=lambda primals, tangents, **params: (debug_callback_p.bind(*primals, **params), ()),
    transpose=lambda cts, *args, **params: (None,) * len(args), effects=frozenset({"debug"}), traits={"host"})


# ---- pure_callback and io_callback: results of promised types, no derivative ----

def _promised_type(*types: ArrayType, result_types: tuple[ArrayType, ...], **params: Any) -> tuple[ArrayType, ...]:
    return result_types


def _call(*arrays: Any, callback: Any, result_types: Any, **params: Any) -> tuple[np.ndarray, ...]:
    return tuple(callback(result_types, *arrays))


def refusal(name: str, interpreter: str) -> Callable[..., Any]:
    """The rule of an op that has no derivative: an error that says where to put one."""
    def refuse(*args: Any, callback: Any, **params: Any) -> Any:
        raise MinijaxValueError(f"{name} does not support {interpreter}: nothing is known of the function "
                                f"{callback.__name__}{at_line()}. Give the function around it a rule with custom_jvp "
                                "or custom_vjp, or take its inputs out of the derivative with stop_gradient.")

    return refuse


def _pure_batch(size: int, args: Any, axes: Any, *, callback: Any, result_types: Any, vmap_method: str | None,
                **params: Any) -> Any:
    if vmap_method is None:
        raise MissingRuleError(
            f"vmap of a pure_callback whose vmap_method is None{at_line()}: how {callback.__name__} takes a batch is "
            f"not known. Choose one of {', '.join(map(repr, VMAP_METHODS[:4]))}.")
    operands = in_front(args, axes)
    if vmap_method.startswith("sequential"):
        callback = each_example(callback, size, axes)
    elif vmap_method != "legacy_vectorized":
        repeats = size if vmap_method == "broadcast_all" else 1
        operands = [x if axis is not None else broadcast_axis(x, repeats, 0)
                    for x, axis in zip(operands, axes, strict=True)]
    outs = pure_callback_p.bind(*operands, callback=callback, result_types=batched_types(result_types, size),
                                vmap_method=vmap_method, **params)
    return outs, (0,) * len(outs)


def _io_batch(size: int, args: Any, axes: Any, *, callback: Any, result_types: Any, ordered: bool,
              **params: Any) -> Any:
    if ordered:
        raise MinijaxValueError(f"vmap of an ordered io_callback{at_line()}: the examples of a batch have no order. "
                                "Use ordered=False, or a loop (scan, map) instead of vmap.")
    outs = io_callback_p.bind(*in_front(args, axes), callback=each_example(callback, size, axes),
                              result_types=batched_types(result_types, size), ordered=False, **params)
    return outs, (0,) * len(outs)


pure_callback_p = Op(
    "pure_callback", type=_promised_type, eval=_call, jvp=refusal("pure_callback", "differentiation (jvp)"),
    transpose=refusal("pure_callback", "transposition"), batch=_pure_batch, cost=no_cost, traits={"host", "opaque"})

io_callback_p = CallbackOp(
    "io_callback", type=_promised_type, eval=_call, jvp=refusal("io_callback", "differentiation (jvp)"),
    transpose=refusal("io_callback", "transposition"), batch=_io_batch, cost=no_cost, effects=frozenset({"io"}),
    traits={"host", "opaque"})
