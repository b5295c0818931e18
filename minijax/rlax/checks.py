"""What functions of one example take, written as types beside them, and checked when they are called.

    @typed(q_tm1="float[A]", a_tm1="int[]", lambda_="float[] | float[T]")

A name in brackets is the size of an axis: at least 1, and the same wherever it stands; `T+1` is one more.
`...` stands for any axes.  Kinds are float, int, bool, any, and probs: floats that are probabilities along
the last axis.  That none of these is negative and that they sum to one is checked while `config.check` is on, where
values are known: not inside `jit`.
"""

from __future__ import annotations

import functools
import inspect
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

import minijax.numpy as jnp
from minijax.api.boundary import boundary
from minijax.config import state
from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, ShapeError
from minijax.interpreters.batch import BatchTracer
from minijax.interpreters.dual import DualTracer
from minijax.ir import dtypes
from minijax.numpy.operands import operand
from minijax.tracing.array import Tracer, typeof
from minijax.tracing.source import at_line

IS_KIND = {"float": dtypes.is_float, "probs": dtypes.is_float, "int": dtypes.is_integer,
           "bool": lambda dtype: dtype == np.bool_, "any": lambda dtype: True}
FIX = {"float": "minijax.numpy.float32(...), or write 1.0 for 1", "int": "minijax.numpy.int32(...)",
       "bool": "mask != 0"}


class Expected(NamedTuple):
    """One type, as `float[T, A]`: its text, the kind of its dtype, its axes and whether others may come between."""

    text: str
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    open: bool

    def fits(self, rank: int) -> bool:
        """Whether an array of this rank may have this type."""
        named = len(self.before) + len(self.after)
        return rank >= named if self.open else rank == named


def read(text: str) -> Expected:
    """A type from its text.

    >>> read("float[..., A]")
    Expected(text='float[..., A]', kind='float', before=(), after=('A',), open=True)
    """
    kind, axes = re.fullmatch(r"(\w+)\[(.*)\]", text).groups()
    names = tuple(axis.strip() for axis in axes.split(",")) if axes else ()
    if "..." not in names:
        return Expected(text, kind, names, (), False)
    here = names.index("...")
    return Expected(text, kind, names[:here], names[here + 1:], True)


def typed(**types: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator: the arguments named become arrays, checked against their types; one whose default is None may be it.

    Raises `ShapeError` and `DtypeError`, `MinijaxTypeError` for what is no array, and `MinijaxValueError` for
    probabilities that are none.

    >>> half = typed(x="float[T]")(lambda x: 0.5 * x)
    >>> half(np.float32([1, 2]))
    Array([0.5, 1. ], dtype=float32)
    """
    expected = {name: [read(each) for each in text.split(" | ")] for name, text in types.items()}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        names = tuple(signature.parameters)
        title = "rlax." + function.__qualname__.replace(".<locals>", "()")
        optional = {name for name in expected if signature.parameters[name].default is None}

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)  # which says what is wrong with the call
            given = bound.arguments
            for name in expected.keys() & given.keys():
                if given[name] is not None or name not in optional:
                    given[name] = operand(f"{title}: {name}", given[name])
            last = names.index(next(reversed(given)))
            check(title, {name: x for name, x in given.items() if name in expected and x is not None}, expected,
                  {name: name in given for name in names[:last + 1]})
            return function(*bound.args, **bound.kwargs)

        return boundary(checked)

    return decorate


def check(title: str, given: Mapping[str, Any], expected: Mapping[str, list[Expected]],
          order: Mapping[str, bool]) -> None:
    """Raise unless every array given has one of its types; `order` has the parameters up to the last one of the call,
    and whether the call has them.
    """
    found = check_ranks(title, given, expected, order)
    sizes: dict[str, tuple[int, str]] = {}
    for name, type in found.items():
        check_dtype(title, name, given[name], type)
        check_sizes(title, name, given[name], type, sizes)
        if type.kind == "probs" and state.check:
            check_probabilities(title, name, given[name])


def check_ranks(title: str, given: Mapping[str, Any], expected: Mapping[str, list[Expected]],
                order: Mapping[str, bool]) -> dict[str, Expected]:
    """For each array the type of its rank; raises `ShapeError`, which shows how to batch if a batch was given."""
    ranks = {name: typeof(x).ndim for name, x in given.items()}
    found = {name: next((type for type in expected[name] if type.fits(rank)), None) for name, rank in ranks.items()}
    wrong = next((name for name, type in found.items() if type is None), None)
    if wrong is not None:
        options = " or ".join(type.text for type in expected[wrong])
        raise ShapeError(f"{title} takes {wrong}: {options}, got {typeof(given[wrong])}, of rank {ranks[wrong]}"
                         f"{at_line()}. " + (batch_hint(title, given, expected, order, wrong)
                                             or f"Give it the axes of {options}."))
    return found


def batch_hint(title: str, given: Mapping[str, Any], expected: Mapping[str, list[Expected]],
               order: Mapping[str, bool], wrong: str) -> str:
    """How `vmap` would read these arguments, if those of one rank too many share their leading size; else ''."""
    def is_batched(name: str) -> bool:
        rank = typeof(given[name]).ndim if name in given else 0
        return bool(rank) and any(type.fits(rank - 1) and not type.open for type in expected[name])

    fits = {name for name, x in given.items() if any(type.fits(typeof(x).ndim) for type in expected[name])}
    lengths = {typeof(given[name]).shape[0] for name in given if name not in fits and is_batched(name)}
    if not is_batched(wrong) or len(lengths) != 1:
        return ""
    size, = lengths
    axes = {name: 0 if is_batched(name) and name not in fits else None for name in order}
    whole = all(axes[name] == 0 for name, passed in order.items() if passed)  # so vmap takes it, by keyword too
    rest = "" if whole else f", in_axes={tuple(axes.values())}"
    return f"It takes one example; for a batch of {size}: minijax.vmap({title}{rest})(...)."


def check_dtype(title: str, name: str, x: Any, type: Expected) -> None:
    """Raise `DtypeError` unless the dtype of `x` is of the kind."""
    if not IS_KIND[type.kind](typeof(x).dtype):
        kind = "float" if type.kind == "probs" else type.kind
        raise DtypeError(f"{title} takes {name}: {type.text}, got {typeof(x)}{at_line()}. "
                         f"Convert it, as by {FIX[kind]}.")


def check_sizes(title: str, name: str, x: Any, type: Expected, sizes: dict[str, tuple[int, str]]) -> None:
    """Raise `ShapeError` unless the axes have the sizes that their names have already; learn the new ones."""
    shape = typeof(x).shape
    for text, size in (*zip(type.before, shape), *zip(reversed(type.after), reversed(shape))):
        letter, more = re.fullmatch(r"(\w+?)([+-]\d+)?", text).groups()
        own = size - int(more or 0)
        known, source = sizes.setdefault(letter, (own, name))
        if own != known:
            raise ShapeError(f"{title} takes {name}: {type.text}, got {typeof(x)}; {letter} is {known} in {source}"
                             f"{at_line()}. Give both the same {letter}.")
        if own < 1:
            raise ShapeError(f"{title} takes {name}: {type.text}, got {typeof(x)}, which leaves nothing along {letter}"
                             f"{at_line()}. {letter} is at least 1.")


def check_probabilities(title: str, name: str, x: Any) -> None:
    """Raise `MinijaxValueError` for a negative one, or a sum along the last axis that is not one, to rounding."""
    values = known(x)
    if values is None:
        return
    tolerance = float(jnp.finfo(typeof(x).dtype).eps) ** 0.5
    sums = values.sum(-1)
    if not (np.abs(sums - 1.0) <= tolerance).all():
        worst = sums.flat[np.argmax(np.where(np.isnan(sums), np.inf, np.abs(sums - 1.0)))]
        raise MinijaxValueError(f"{title}: {name} holds probabilities that sum to {worst:.6g}, not to 1, along "
                                f"the last axis{at_line()}. Take the softmax of preferences, or divide by the sum.")
    if (values < 0).any():
        raise MinijaxValueError(f"{title}: {name} holds the probability {values.min():.6g}{at_line()}. "
                                "Probabilities are not negative.")


def known(x: Any) -> np.ndarray | None:
    """The values of `x` in float64, under `grad` and, for all examples, under `vmap`; None while a program is traced.

    >>> known(np.float32([0.5, 0.5]))
    array([0.5, 0.5])
    """
    if isinstance(x, BatchTracer):
        batch = known(x.inner)
        return None if batch is None else np.moveaxis(batch, x.companion - typeof(x.inner).ndim, 0)
    if isinstance(x, DualTracer):
        return known(x.inner)
    return None if isinstance(x, Tracer) else np.asarray(x).astype(np.float64)


def count_of(function: str, name: str, value: Any) -> int:
    """A number of steps or pixels, as an int.

    Raises `MinijaxTypeError` for what is no whole number, `MinijaxValueError` for one below 1.

    >>> count_of("pixel_control_rewards", "cell_size", np.int32(4))
    4
    """
    try:
        count = operator.index(value)
    except TypeError as error:
        if isinstance(value, Tracer):
            raise  # which says how to make it static
        raise MinijaxTypeError(f"rlax.{function} takes {name}: a whole number, got {value!r}{at_line()}. "
                               "Pass an int.") from error
    if count < 1:
        raise MinijaxValueError(f"rlax.{function}: {name}={count}{at_line()}. It is at least 1.")
    return count
