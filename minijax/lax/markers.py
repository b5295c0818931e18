"""What says something about a program and computes nothing: names of parts, tokens of order, shapes as values."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minijax.api.arguments import check_callable
from minijax.api.jit import jit
from minijax.errors import MinijaxTypeError
from minijax.lax.generators import optimization_barrier
from minijax.ops.operands import operand as as_operand, whole_numbers
from minijax.tracing.array import Array
from minijax.tracing.source import at_line


def composite(decomposition: Callable[..., Any], name: str, version: int = 0) -> Callable[..., Any]:
    """`decomposition` as one call with a name of its own, such as "my.layer", in programs that are printed or saved.

    Keyword arguments are static.  It differentiates, batches and compiles as its decomposition does; `version` is
    for a reader of the program.  Raises `MinijaxTypeError` for a name that is no text.

    >>> from minijax import lax, make_jaxpr
    >>> make_jaxpr(composite(lax.sin, "my.sine"))(1.0).eqns[0].params["name"]
    'my.sine'
    """
    check_callable("composite", decomposition)
    if not isinstance(name, str) or not name:
        raise MinijaxTypeError(f"composite: the name is a text such as 'my.layer', got {name!r}{at_line()}.")

    @functools.cache
    def call(attributes: tuple[str, ...]) -> Callable[..., Any]:
        def named(*args: Any, **kwargs: Any) -> Any:
            return decomposition(*args, **kwargs)

        named.__name__ = named.__qualname__ = name if version == 0 else f"{name}.v{version}"
        return jit(named, static_argnames=attributes)

    @functools.wraps(decomposition)
    def called(*args: Any, **attributes: Any) -> Any:
        return call(tuple(attributes))(*args, **attributes)

    return called


def create_token(_: Any = None) -> Array:
    """A token: a value without content, which orders what waits for it; see `after_all`.

    >>> create_token().shape
    (0,)
    """
    return as_operand("create_token", np.zeros((0,), bool))


def after_all(*operands: Any) -> Any:
    """A token that is ready when all tokens and values given are: a compiler moves no work across it.

    >>> after_all(create_token(), create_token()).shape
    (0,)
    """
    return optimization_barrier((create_token(), *operands))[0]


def shape_as_value(shape: Sequence[int]) -> Array:
    """A shape as an array of integers.

    >>> shape_as_value((2, 3))
    Array([2, 3], dtype=int32)
    """
    return as_operand("shape_as_value", np.array(whole_numbers("shape_as_value", "shape", shape, 0), np.int64))


def stage(x: Any, /) -> Any:
    """The value itself: everything traced here is a part of the program already.

    >>> stage(1.0)
    1.0
    """
    return x
