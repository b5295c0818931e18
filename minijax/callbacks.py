"""Calling Python from inside compiled programs: `pure_callback` and `io_callback`.

The function runs on the host, with NumPy arrays, when the program runs.  What a program cannot see it cannot
differentiate: give the function around a callback a rule with `custom_jvp`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.types import ArrayType
from minijax.ops.callbacks import VMAP_METHODS, Callback, io_callback_p, pure_callback_p
from minijax.tracing.array import is_value
from minijax.tracing.source import at_line


def split_leaves(args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], Any, dict[int, Any]]:
    """Leaves of a call that are arrays or scalars, the tree of (args, kwargs), and its other leaves by position."""
    leaves, in_tree = pytree.flatten((args, kwargs))
    fixed = {i: x for i, x in enumerate(leaves) if not is_value(x)}
    return [x for i, x in enumerate(leaves) if i not in fixed], in_tree, fixed


def promised_types(kind: str, result_shape_dtypes: Any) -> tuple[tuple[ArrayType, ...], Any]:
    """The types of the results that a callback promises, and their tree; raises what is wrong with the promise."""
    types = []
    for path, x in pytree.leaves_with_path(result_shape_dtypes):
        where = f"{kind}: result_shape_dtypes{pytree.keystr(path)}"
        if not hasattr(x, "shape") or not hasattr(x, "dtype"):
            raise MinijaxTypeError(f"{where} is {x!r}{at_line()}, which has no shape and dtype. "
                                   "Describe each result with ShapeDtypeStruct(shape, dtype).")
        dtype = dtypes.as_dtype(x.dtype)
        if dtypes.canonical_dtype(dtype) != dtype:
            raise MinijaxValueError(f"{where} is of dtype {dtype}{at_line()}, and 64-bit types are off. Use "
                                    f"{dtypes.canonical_dtype(dtype)}, or switch jax_enable_x64 on.")
        types.append(ArrayType(tuple(x.shape), dtype))
    return tuple(types), pytree.structure(result_shape_dtypes)


@boundary
def pure_callback(callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any, sharding: Any = None,
                  vmap_method: str | None = None, **kwargs: Any) -> Any:
    """Call a Python function that depends on its arguments alone, from a traced or compiled function.

    Args:
        callback: a function of NumPy arrays, in the pytrees of `args` and `kwargs`.
        result_shape_dtypes: a pytree of what it returns; leaves have `shape` and `dtype`.
        sharding: the device that calls, for programs on several.
        vmap_method: what `vmap` does: 'sequential' and 'sequential_unrolled' call once for each example,
            'expand_dims' once with a leading axis of size 1 on what has no batch axis, 'broadcast_all' once with that
            axis repeated, 'legacy_vectorized' once without it; None refuses `vmap`.

    Returns:
        The function's result as arrays.  A call whose result is not used may be left out, and equal calls shared.

    Raises:
        ShapeError, DtypeError, TreeError: the function returned something else than promised.
        MinijaxValueError: differentiation; `custom_jvp` gives the derivative.

    >>> import numpy as np
    >>> pure_callback(np.cumsum, np.zeros(3, np.float32), np.ones(3, np.float32))
    Array([1., 2., 3.], dtype=float32)
    """
    check_callable("pure_callback", callback)
    if vmap_method not in VMAP_METHODS:
        raise MinijaxValueError(f"pure_callback: vmap_method is one of {VMAP_METHODS}, got {vmap_method!r}{at_line()}.")
    types, out_tree = promised_types("pure_callback", result_shape_dtypes)
    leaves, in_tree, fixed = split_leaves(args, kwargs)
    flat = Callback(callback, "pure_callback", in_tree, fixed, out_tree)
    return out_tree.unflatten(pure_callback_p.bind(*leaves, callback=flat, result_types=types, sharding=sharding,
                                                   vmap_method=vmap_method))


@boundary
def io_callback(callback: Callable[..., Any], result_shape_dtypes: Any, *args: Any, sharding: Any = None,
                ordered: bool = False, **kwargs: Any) -> Any:
    """Call a Python function that acts on the world, from a traced or compiled function.

    The call is never left out nor shared.  With `ordered`, calls happen in the order of the program; then `vmap` is
    refused.  Otherwise `vmap` calls once for each example.

    Args:
        callback: a function of NumPy arrays, in the pytrees of `args` and `kwargs`.
        result_shape_dtypes: a pytree of what it returns; leaves have `shape` and `dtype`; None for nothing.
        sharding: the device that calls, for programs on several.
        ordered: whether this call keeps its place among the other ordered ones.

    Returns:
        The function's result as arrays.

    Raises:
        ShapeError, DtypeError, TreeError: the function returned something else than promised.
        MinijaxValueError: differentiation, or `vmap` of an ordered call.

    >>> seen = []
    >>> io_callback(lambda x: seen.append(float(x)), None, 2.0, ordered=True)
    >>> seen
    [2.0]
    """
    check_callable("io_callback", callback)
    types, out_tree = promised_types("io_callback", result_shape_dtypes)
    leaves, in_tree, fixed = split_leaves(args, kwargs)
    flat = Callback(callback, "io_callback", in_tree, fixed, out_tree)
    return out_tree.unflatten(io_callback_p.bind(*leaves, callback=flat, result_types=types, sharding=sharding,
                                                 ordered=ordered))
