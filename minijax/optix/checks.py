"""What transformations are given, checked where it is given: numbers, schedules, states, trees of one structure.

Numbers are checked by value if they are Python's or NumPy's; an array is a scalar, and may be traced.  Every error
names the function, the argument or the path of the leaf, and the user's line.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from minijax import pytree
from minijax.errors import MinijaxTypeError, MinijaxValueError, ShapeError, TreeError
from minijax.tracing.source import at_line


def number(who: str, name: str, value: Any, least: float | None = None, below: float | None = None) -> Any:
    """The value, if it is a number, or a scalar array; a number lies in [least, below).

    Raises `MinijaxTypeError` for other types, `ShapeError` for an array that is no scalar, and `MinijaxValueError`
    for a number outside the range.

    >>> number("scale", "step_size", 0.1)
    0.1
    """
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(value, numbers.Number) and (shape is None or dtype is None):
        raise MinijaxTypeError(f"{who}: {name} is a number or a scalar array, got {value!r} of type "
                               f"{type(value).__name__}{at_line()}. Pass a float such as 0.1.")
    if shape:
        raise ShapeError(f"{who}: {name} is a scalar, got an array of shape {shape}{at_line()}. To try several values, "
                         "map over them with minijax.vmap.")
    if isinstance(value, (int, float, np.number)) and not isinstance(value, np.complexfloating):
        check_range(who, name, value, least, below)
    return value


def check_range(who: str, name: str, value: Any, least: float | None, below: float | None) -> None:
    """Raise `MinijaxValueError` for a number outside [least, below); NaN is outside of every range.

    >>> check_range("adam", "b1", 0.9, least=0, below=1)
    """
    if value == value and (least is None or value >= least) and (below is None or value < below):
        return
    needed = [text for text, bound in ((f"at least {least}", least), (f"below {below}", below)) if bound is not None]
    raise MinijaxValueError(f"{who}: {name} is a number{' ' * bool(needed)}{' and '.join(needed)}, got {value!r}"
                            f"{at_line()}. Pass one in that range.")


def not_negative(who: str, **values: Any) -> None:
    """Check that each value is a number of at least zero.

    >>> not_negative("adam", eps=1e-8, eps_root=0.0)
    """
    for name, value in values.items():
        number(who, name, value, least=0)


def decays(who: str, **values: Any) -> None:
    """Check that each value is the part of a mean that a step keeps: at least zero, below one.

    >>> decays("adam", b1=0.9, b2=0.999)
    """
    for name, value in values.items():
        number(who, name, value, least=0, below=1)


def count_of(who: str, name: str, value: Any, least: int = 0) -> Any:
    """The value, if it is a whole number of at least `least`, such as 1e4, or a scalar array of integers.

    >>> count_of("apply_every", "k", 4, least=1)
    4
    """
    number(who, name, value, least=least)
    whole = value.is_integer() if isinstance(value, float) else isinstance(value, numbers.Integral)
    if not whole and np.dtype(getattr(value, "dtype", float)).kind not in "iu":
        raise MinijaxTypeError(f"{who}: {name} is a number of steps, got {value!r}{at_line()}. Pass an int.")
    return value


def schedule_value(who: str, schedule: Callable[[Any], Any], count: Any) -> Any:
    """What the schedule says for this count of steps; it must be a scalar.

    >>> schedule_value("scale_by_schedule", lambda count: 0.5, 3)
    0.5
    """
    return number(who, f"the value of the schedule {getattr(schedule, '__qualname__', schedule)}", schedule(count))


def check_schedule(who: str, name: str, schedule: Any) -> None:
    """Raise `MinijaxTypeError` for what is no function of the count of steps.

    >>> check_schedule("scale_by_schedule", "step_size_fn", lambda count: 0.5)
    """
    if not callable(schedule):
        raise MinijaxTypeError(f"{who}: {name} is a function from the count of steps to a number, got {schedule!r} of "
                               f"type {type(schedule).__name__}{at_line()}. Pass a schedule such as "
                               "optix.cosine_decay_schedule(0.1, 1000).")


def scalar_or_schedule(who: str, name: str, value: Any, least: float | None = None) -> None:
    """Check a hyper-parameter that may be a number, a scalar array or a schedule.

    >>> scalar_or_schedule("sgd", "learning_rate", 0.1, least=0)
    """
    if not callable(value):
        number(who, name, value, least)


def fields(who: str, state: Any, kind: Any) -> Any:
    """The state, if it has the fields of the named tuple `kind`: optax's own states do, too.

    Raises `MinijaxTypeError` for any other.
    """
    if getattr(state, "_fields", None) != kind._fields:
        raise MinijaxTypeError(f"{who}: the state is a {kind.__name__}({', '.join(kind._fields)}), got "
                               f"{state_name(state)}{at_line()}. Call `updates, state = update(gradients, state)` with "
                               "the state that this transformation's init or update returned.")
    return state


def state_name(state: Any) -> str:
    """A few words for what was given as a state.

    >>> state_name({"w": 1.0})
    "a dict with ['w']"
    """
    inside = getattr(state, "_fields", None) or (list(state) if isinstance(state, dict) else None)
    return f"a {type(state).__name__}" + (f" with {inside}" if inside else "")


def needs_params(who: str, params: Any) -> None:
    """Raise `MinijaxTypeError` if the parameters were left out.

    >>> needs_params("add_decayed_weights", {"w": 1.0})
    """
    if params is None:
        raise MinijaxTypeError(f"{who} needs the parameters, got None{at_line()}. "
                               "Call `update(gradients, state, params)`.")


def map_trees(who: str, function: Callable[..., Any], **trees: Any) -> Any:
    """`function` of the leaves of trees of one structure and of equal shapes; the first tree says which.

    Raises `TreeError` naming the path at which another tree differs, and `ShapeError` for leaves of unlike shapes,
    which would be broadcast without a word.

    >>> map_trees("sum", lambda x, y: x + y, updates={"w": 1}, params={"w": 2})
    {'w': 3}
    """
    first = next(iter(trees.values()))
    leaves, treedef = pytree.flatten(first)
    columns = [leaves]
    for name, other in trees.items():
        if other is not first:
            other_leaves, other_treedef = pytree.flatten(other)
            if other_treedef != treedef:
                raise tree_error(who, next(iter(trees)), first, name, other)
            columns.append(other_leaves)
    rows = list(zip(*columns, strict=True))
    for number, row in enumerate(rows):
        shape = getattr(row[0], "shape", ())
        for leaf in row:
            if getattr(leaf, "shape", ()) != shape:
                raise shape_error(who, trees, number)
    return treedef.unflatten([function(*row) for row in rows])


def tree_error(who: str, first_name: str, first: Any, name: str, other: Any) -> TreeError:
    """The error of two trees of unlike structures; the second is to be like the first, or the other way round."""
    found = (pytree.prefix_error(first, other, name=name) or pytree.prefix_error(other, first, name=first_name)
             or "pytrees differ.")
    return TreeError(f"{who}: {first_name} and {name} are unlike trees{at_line()}: {found} Gradients, state and "
                     "parameters belong together: call init again for parameters of another structure.")


def shape_error(who: str, trees: dict[str, Any], number: int) -> ShapeError:
    """The error of leaves of unlike shapes at the position `number`."""
    found = []
    for name, each in trees.items():
        path, leaf = pytree.leaves_with_path(each)[number]
        found.append(f"{name}{pytree.keystr(path)} has shape {getattr(leaf, 'shape', ())}")
    return ShapeError(f"{who}: {', '.join(found)}{at_line()}. Gradients, state and parameters have the same shapes: "
                      "call init again for other parameters, or reduce the gradients of a batch to their mean.")
