"""Taps: looking at values inside a function, and at the cotangents that arrive there.

    def f(x):
        h = minijax.tap("h", sin(x))         # h is sin(x), as without the tap
        return h * h

    collect(f)(x)                            -> (f(x), {'h': sin(x)})
    grad(perturb(f))({'h': 0.0}, x)          -> {'h': 2 sin(x)}, the cotangent of h

A tap that nobody collects leaves no trace in a program.  In a loop its values are stacked, under vmap they are
batches; a branch of cond that is not taken gives zeros, and of a while loop the last round counts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minijax import pytree
from minijax.api.arguments import check_callable
from minijax.api.boundary import boundary
from minijax.effects import custom, ops  # noqa: F401  (`custom` gives ops their forms)
from minijax.effects.handler import Handler, Plan, Values, current, enclosing, handlers
from minijax.effects.programs import uses
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir.jaxpr import Jaxpr
from minijax.ops.conversion import convert_element_type
from minijax.ops.elementwise import add_any
from minijax.ops.structural import zeros_of
from minijax.tracing.array import is_value, typeof
from minijax.tracing.context import context, running
from minijax.tracing.source import at_line


class Collector(Handler):
    """Takes what is tapped; adds the shift of each tap that has one."""

    __slots__ = ("taps", "shifts")
    name = "collect"
    effects = frozenset({"tap"})
    alone = True  # elsewhere a tap is nothing

    def __init__(self, parent: Any, shifts: dict[str, Any] | None = None) -> None:
        super().__init__(parent)
        self.taps: dict[str, Any] = {}
        self.shifts = shifts

    def tap(self, value: Any, *, name: str) -> tuple[Any]:
        """Take a value."""
        if name in self.taps:
            raise twice(name)
        self.may_change(name, f"taps '{name}'")
        if self.shifts is not None:
            with current(self.parent):
                value = shifted(name, value, self.shifts)
        self.taps[name] = value
        return (value,)

    answers = {ops.tap_p: tap}

    def scope(self) -> Any:
        """Programs traced where values are collected have their taps."""
        return "taps"

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan:
        """Taps are emitted, and their shifts are read step by step."""
        found: dict[str, Any] = {}
        for program in programs:
            here = [use for use in uses(program) if use.op is ops.tap_p]
            for use in here:
                name = use.params["name"]
                if name in self.taps or [u.params["name"] for u in here].count(name) > 1:
                    raise twice(name)
                type, = use.types
                if found.setdefault(name, type) != type:
                    raise MinijaxTypeError(f"tap: '{name}' is {found[name]} in one branch and {type} in another"
                                           f"{at_line()}. Give them different names.")
        taps = tuple(found.items())
        return Plan(stepwise=taps if self.shifts is not None else (), emitted=taps)

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The shifts."""
        return Values((), [shift_of(name, type.update(shape=steps + type.shape), self.shifts)
                           for name, type in plan.stepwise], ())

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> Collector:
        """A collector with the shifts that go in."""
        names = [name for name, _ in plan.stepwise]
        return cls(context.trace, dict(zip(names, values.stepwise, strict=True)) if names else None)

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """What was tapped; zeros for what was not."""
        return [self.taps[name] if name in self.taps else zeros_of(type) for name, type in plan.emitted], []

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take what was emitted."""
        self.taps.update(zip([name for name, _ in plan.emitted], emitted, strict=True))


def twice(name: str) -> MinijaxValueError:
    """The error of two taps of one name."""
    return MinijaxValueError(f"tap: the name '{name}' is used twice{at_line()}, so one value would be lost. "
                             "Give each tap a name of its own, for instance with the number of the layer.")


def shift_of(name: str, type: Any, shifts: Mapping[str, Any] | None) -> Any:
    """The shift of a tap, of its type; raises for one that is missing or does not fit."""
    if shifts is None or name not in shifts:
        raise MinijaxValueError(f"perturb: no shift for the tap '{name}'{at_line()}; there are shifts for "
                                f"{', '.join(sorted(shifts or ())) or 'none'}. Give one of type {type} for each tap: "
                                "zeros_like of what collect(f) returns.")
    shift = shifts[name]
    found = typeof(shift) if is_value(shift) else None
    if found is None or found.shape != type.shape or not (found.weak_type or found.dtype == type.dtype):
        raise MinijaxTypeError(f"perturb: the shift of the tap '{name}' is {found or repr(shift)}{at_line()}; expected "
                               f"{type}, the type of what is tapped.")
    return shift if found.dtype == type.dtype else convert_element_type(shift, type.dtype)


def shifted(name: str, value: Any, shifts: Mapping[str, Any]) -> Any:
    """A tapped value and its shift, added up."""
    return add_any(value, shift_of(name, typeof(value), shifts))


@boundary
def tap(name: str, value: Any) -> Any:
    """`value`, known by name to `collect` and `perturb` around; elsewhere just `value`.

    Args:
        name: a name that no other tap in the function has; inside a module its path is put in front.
        value: an array, or a pytree of arrays: each leaf is tapped, its path behind the name.
    Returns: `value`; under `perturb` plus its shift.
    Raises: `MinijaxTypeError` for a name that is no string, `MinijaxValueError` for a name used twice.

    >>> from minijax import numpy as np
    >>> collect(lambda x: np.sum(tap("squares", x * x)))(np.arange(3.0))
    (Array(5., dtype=float32), {'squares': Array([0., 1., 4.], dtype=float32)})
    """
    if not isinstance(name, str):
        raise MinijaxTypeError(f"tap: the name is a string, got {name!r}{at_line()}. Write tap('name', value).")
    if enclosing(Collector) is None:
        return value
    for handler in handlers(Handler):
        name = handler.label(name)
    leaves = [ops.tap_p.bind(x, name=name + pytree.keystr(path))[0] for path, x in pytree.leaves_with_path(value)]
    return pytree.structure(value).unflatten(leaves)


@boundary
def collect(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns `fun`'s result and a dict of what was tapped while it ran.

    Args:
        fun: any function; taps inside jit, grad, vmap, scan, cond and checkpoint count.
    Returns: a function with `fun`'s arguments and result (result, {name: value}).
    Raises: `MinijaxTypeError` if `fun` is no function.

    >>> from minijax import lax, numpy as np
    >>> def step(total, x):
    ...     return tap("total", total + x), None
    >>> collect(lambda xs: lax.scan(step, 0.0, xs)[0])(np.arange(4.0))
    (Array(6., dtype=float32), {'total': Array([0., 1., 3., 6.], dtype=float32)})
    """
    check_callable("collect", fun)

    @boundary
    @functools.wraps(fun)
    def collected(*args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        with running(Collector(context.trace)) as collector:
            result = fun(*args, **kwargs)
        return result, dict(collector.taps)  # type: ignore[attr-defined]

    return collected


@boundary
def perturb(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function that adds a shift to each tapped value: its gradient with respect to the shifts is the taps'.

    Args:
        fun: any function with taps.
    Returns: a function (shifts, *args) -> fun's result; `shifts` is a dict like the one of `collect`, with zeros
        or what is to be added.
    Raises: `MinijaxValueError` for a tap without a shift, `MinijaxTypeError` for one of another shape or dtype.

    >>> from minijax import grad, numpy as np
    >>> def f(x):
    ...     return tap("h", np.sin(x)) ** 2
    >>> grad(perturb(f))({"h": 0.0}, 0.5)
    {'h': Array(0.9588511, dtype=float32, weak_type=True)}
    """
    check_callable("perturb", fun)

    @boundary
    def perturbed(shifts: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if not isinstance(shifts, Mapping):
            raise MinijaxTypeError(f"perturb: the shifts are a dict of arrays by the names of taps, got {shifts!r:.100}"
                                   f"{at_line()}. Pass them first, then the function's arguments.")
        with running(Collector(context.trace, dict(shifts))):
            return fun(*args, **kwargs)

    perturbed.__name__ = getattr(fun, "__name__", "perturbed")
    return perturbed
