"""Which call of which module made an equation: a function of modules, traced while its calls are noted.

    recorded = record(function, args, kwargs)      recorded.program, recorded.calls
    recorded.owner(equation)                       the innermost call that made it

Nothing is added to the program.  An equation is known by itself while it lives; one that an interpreter or a pass
made of it later is known by what every equation remembers, its origin and its source line.  So the equations of a
gradient have owners too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minijax import pytree, random
from minijax.api.trace import eval_shape, make_jaxpr
from minijax.effects.handler import current, enclosing
from minijax.haiku.data_structures import type_text
from minijax.haiku.frames import Frame, frame_of
from minijax.haiku.module import MethodContext, Module, intercept_methods
from minijax.haiku.transforms import transform_with_state
from minijax.interpreters.stage import StageTrace, StageTracer
from minijax.ir.jaxpr import Equation, Jaxpr, Var
from minijax.ir.op import Op
from minijax.tracing.array import Array, Tracer, typeof
from minijax.tracing.context import Trace, context, running
from minijax.util import size_of


# ---- what is noted of a call

@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """Shape and dtype of an array; prints as types do.

    >>> ArraySpec((2, 3), np.dtype("float32"))
    f32[2,3]
    """

    shape: Sequence[int]
    dtype: Any

    @property
    def size(self) -> int:
        """Number of elements."""
        return size_of(self.shape)

    @classmethod
    def from_array(cls, array: Any) -> ArraySpec:
        """The shape and dtype of an array."""
        return cls(tuple(array.shape), array.dtype)

    def __repr__(self) -> str:
        return type_text(self)


@dataclasses.dataclass(frozen=True)
class ModuleDetails:
    """A module, one of its methods, and its parameters and state by full name (those of its submodules too)."""

    module: Module
    method_name: str
    params: dict[str, ArraySpec]
    state: dict[str, ArraySpec]

    @classmethod
    def of(cls, module: Module, method_name: str) -> ModuleDetails:
        """The details of a module in the transformed function that runs."""
        params, state = specs_of(frame_of("ModuleDetails.of"))
        return cls(module, method_name, module._values("params", params), module._values("state", state))


def specs_of(frame: Frame) -> tuple[dict[tuple[str, str], ArraySpec], dict[tuple[str, str], ArraySpec]]:
    """The types of all parameters, and of all leaves of state, by module and name."""
    params = {slot: ArraySpec.from_array(typeof(value)) for slot, value in frame.params.items()}
    state = {(module, f"{name}[{number}]" if tree.node_data() else name): ArraySpec.from_array(typeof(x))
             for (module, name), (leaves, tree) in frame.current.items() for number, x in enumerate(leaves)}
    return params, state


@dataclasses.dataclass(eq=False)
class Call:
    """One call of a method: what went in and came out, and the call around it."""

    context: MethodContext
    parent: Call | None
    args_spec: tuple[Any, ...]
    kwargs_spec: dict[str, Any]
    output_spec: Any = None
    details: ModuleDetails | None = None

    def chain(self) -> Iterator[Call]:
        """This call and those around it, innermost first."""
        call: Call | None = self
        while call is not None:
            yield call
            call = call.parent

    @property
    def title(self) -> str:
        """The module's full name, and the method unless it is `__call__`."""
        name = self.context.module.__dict__.get("module_name", type(self.context.module).__name__)
        method = self.context.method_name
        return name if method == "__call__" else f"{name} ({method})"


def to_spec(tree: Any) -> Any:
    """A pytree with its arrays replaced by `ArraySpec`s."""
    return pytree.map(lambda x: ArraySpec.from_array(x) if isinstance(x, Array | np.ndarray) else x, tree)


# ---- the record

class Record:
    """The calls of a function, in order, its program, and whose each equation is.

    `program`'s inputs are named by `names`; the first `num_params` of them are the parameters.  `params` and `state`
    are trees of the types of all that there are.
    """

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.running: list[Call] = []
        self._made: dict[int, tuple[Equation, Call]] = {}  # the equation is kept, so that its id stays its own
        self._at: dict[Any, Call] = {}
        self.program: Jaxpr
        self.names: list[str] = []
        self.out_names: list[str] = []
        self.num_params = 0
        self.params: Any = {}
        self.state: Any = {}

    def noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function that notes the calls that it makes."""
        def noted(*args: Any) -> Any:
            with intercept_methods(self.intercept):
                return function(*args)

        return noted

    def intercept(self, next_f: Callable[..., Any], args: Any, kwargs: Any, context: MethodContext) -> Any:
        """Note a call, and the equations that it makes: an interceptor of methods."""
        call = Call(context, self.running[-1] if self.running else None, *to_spec((args, kwargs)))
        self.calls.append(call)
        self.running.append(call)
        before = [(trace.eqns, len(trace.eqns)) for trace in recorders()]
        try:
            result = next_f(*args, **kwargs)
        finally:
            self.running.pop()
        for eqn in [eqn for eqns, count in before for eqn in eqns[count:]]:  # calls inside have claimed theirs
            self._made.setdefault(id(eqn), (eqn, call))
            self._at.setdefault(eqn.source, call)
        call.output_spec = to_spec(result)
        if context.method_name != "__init__":
            call.details = ModuleDetails.of(context.module, context.method_name)
        return result

    def owner(self, eqn: Equation, around: Call | None = None) -> Call | None:
        """The call that made an equation, or one that it derives from; None if no module did.

        `around` is the owner of the equation whose program this one is in: the result is it, or a call inside it.
        Programs may be shared, so a call elsewhere says nothing.
        """
        history = list(_history(eqn))
        found = [self._made[id(each)][1] for each in history if id(each) in self._made]
        found += [self._at[each.source] for each in history if each.source in self._at]
        call = found[0] if found else None
        return call if call is not None and (around is None or around in call.chain()) else around


def _history(eqn: Equation) -> Iterator[Equation]:
    """An equation, and the earlier ones that it was made from."""
    yield eqn
    origin = eqn.origin
    while origin is not None:
        if origin.equation is not None:
            yield origin.equation
        origin = origin.parent


def recorders() -> list[StageTrace]:
    """The traces that record equations here: programs, and the tapes of gradients."""
    found: list[Any] = []
    trace: Trace | None = context.trace
    while trace is not None:
        found += [trace, trace.rules_on]
        trace = trace.parent
    return [each for each in found if isinstance(each, StageTrace)]


# ---- recording

def record(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
           concrete: bool = False) -> Record:
    """The record of a function of modules at these arguments.

    Arrays and `ShapeDtypeStruct`s are traced; numbers, flags and all else are passed as they are, so that `if training`
    works; with `concrete` the values of arrays are known too.  The program's inputs are the parameters, the state, a
    key, and the arrays.  Inside a transformed function that runs already they are the arrays alone.
    """
    leaves, tree = pytree.flatten((args, kwargs))
    traced = [hasattr(x, "shape") and hasattr(x, "dtype") for x in leaves]

    def call(*arrays: Any) -> Any:
        given = iter(arrays)
        filled = [next(given) if is_array else x for is_array, x in zip(traced, leaves, strict=True)]
        inner_args, inner_kwargs = tree.unflatten(filled)
        return function(*inner_args, **inner_kwargs)

    paths = [path for path, _ in pytree.leaves_with_path((args, kwargs))]
    names = [_argument(pytree.keystr(path)) for path, is_array in zip(paths, traced, strict=True) if is_array]
    arrays = [x for is_array, x in zip(traced, leaves, strict=True) if is_array]
    found = Record()
    trace = _watched if concrete else _staged
    if enclosing(Frame) is not None:
        found.program, out = trace(found.noting(call), *arrays)
        found.names, (found.params, found.state) = names, specs_of(frame_of("record"))
    else:
        run = (lambda f, *xs: f(*xs)) if concrete else eval_shape
        given = (*run(transform_with_state(call).init, random.PRNGKey(42), *arrays), random.PRNGKey(42))
        found.program, (out, _) = trace(transform_with_state(found.noting(call)).apply, *given, *arrays)
        front = [f"{what}{pytree.keystr(path)}" for what, tree in zip(("params", "state", "rng"), given, strict=True)
                 for path, _ in pytree.leaves_with_path(tree)]
        found.names, found.num_params = [*front, *names], len(pytree.leaves(given[0]))
        found.params, found.state = given[0], given[1]
    found.out_names = [f"output{pytree.keystr(path)}" for path, _ in pytree.leaves_with_path(out)]
    return found


def _staged(function: Callable[..., Any], *args: Any) -> tuple[Jaxpr, Any]:
    """The program of a function and a tree like its result."""
    return make_jaxpr(function, return_shape=True)(*args)


def _watched(function: Callable[..., Any], *args: Any) -> tuple[Jaxpr, Any]:
    """The program of a function, recorded while it is evaluated, and its result."""
    leaves, tree = pytree.flatten(args)
    with running(WatchTrace(context.trace)) as trace:
        result = function(*tree.unflatten([trace.watched(x) for x in leaves]))
        outs, out_tree = pytree.flatten(result)
        program = trace.finish([trace.stand_in(x) for x in outs])
    return program, out_tree.unflatten(outs)


def _argument(path: str) -> str:
    """The name of an argument from its path in (args, kwargs): `args[0]`, `kwargs['x']`."""
    return f"args{path[3:]}" if path.startswith("[0]") else f"kwargs{path[3:]}"


# ---- recording and evaluating at once

class WatchTracer(StageTracer):
    """A variable of the program being recorded, and its value."""

    __slots__ = ("value",)

    def __init__(self, trace: WatchTrace, var: Var, value: Any) -> None:
        super().__init__(trace, var)
        self.value = value

    def concrete(self) -> Any:
        """The value, if the trace around knows it."""
        return self.value.concrete() if isinstance(self.value, Tracer) else self.value


class WatchTrace(StageTrace):
    """Records equations and evaluates them in the trace around, so that Python's control flow on values works."""

    __slots__ = ()
    name = "watching"

    def watched(self, x: Any) -> WatchTracer:
        """A new input of the program, with its value."""
        return WatchTracer(self, self.new_input(typeof(x)).var, x)

    def stand_in(self, x: Any) -> Any:
        """What staging knows a value by."""
        return StageTracer(self, x.var) if isinstance(x, WatchTracer) and x.trace is self else x

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Record an equation and evaluate it."""
        values = [x.value if isinstance(x, WatchTracer) and x.trace is self else x for x in args]
        recorded = super().process(op, tuple([self.stand_in(x) for x in args]), params)
        with current(self.parent):
            outs = op.bind(*values, **params)
        return tuple([WatchTracer(self, x.var, value) for x, value in zip(recorded, outs, strict=True)])
