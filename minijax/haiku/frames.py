"""The frame of one call of `init` or `apply`: the handler of modules, and the names of the modules that it runs.

A frame's `scopes` are the module methods that are running, outermost first.  A scope counts the modules that are made
in it, so that each has a name of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from minijax.effects import ops
from minijax.effects.handler import enclosing
from minijax.effects.keys import PRNGSequence
from minijax.effects.programs import uses
from minijax.effects.states import STATE_OPS, State
from minijax.effects.store import StoreHandler
from minijax.effects.views import known_state, recorded
from minijax.errors import MinijaxValueError, UnexpectedTracerError
from minijax.interop.traces import trace_state
from minijax.ir.jaxpr import Jaxpr
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line


class JaxUsageError(UnexpectedTracerError):
    """A parameter, state or key asked for inside one of JAX's own transforms."""


@dataclasses.dataclass(slots=True, eq=False)
class Scope:
    """A running method of a module; `module` is None outside of all."""

    module: Any = None
    method: str = "__call__"
    counters: Counter[str] = dataclasses.field(default_factory=Counter)
    names: set[str] = dataclasses.field(default_factory=set)

    def copy(self) -> Scope:
        """A scope that goes on by itself."""
        return Scope(self.module, self.method, Counter(self.counters), set(self.names))


class Frame(StoreHandler):
    """What one call of `init` or `apply` knows.

    `bound`: for each module made outside of all frames, the one made of it here.
    `closing`: functions to call when the call has ended well.
    """

    __slots__ = ("scopes", "bound", "closing", "jax_state", "number")
    count = 0

    def __init__(self, parent: Any, keys: PRNGSequence | None, frozen: bool) -> None:
        super().__init__(parent, keys, frozen)
        self.scopes = [Scope()]
        self.bound: dict[int, tuple[Any, Any]] = {}
        self.closing: list[Callable[[], None]] = []
        self.jax_state = trace_state()
        Frame.count += 1
        self.number = Frame.count

    # ---- names ----

    @contextlib.contextmanager
    def running(self, module: Any, method: str) -> Iterator[None]:
        """Context manager: a method of a module runs."""
        self.scopes.append(Scope(module, method))
        try:
            yield
        finally:
            self.scopes.pop()

    def new_name(self, name: str) -> str:
        """The full name of a module that is being made with this name: that of the method that makes it in front."""
        scope = self.scopes[-2]
        if scope.module is not None:
            method = {"__call__": "", "__init__": "~/"}.get(scope.method, f"~{scope.method}/")
            name = f"{module_name(scope.module)}/{method}{name}"
        stem, number = stem_and_number(name)
        if number is None:
            number = scope.counters[stem]
            name = f"{stem}_{number}" if number else stem
        elif name in scope.names:
            raise MinijaxValueError(
                f"Module name '{name}' is not unique{at_line()}: another module has it already, and they would share "
                "their parameters. Leave out the number, or use one module twice.")
        return name

    def declare(self, name: str, level: int = -1) -> tuple[()]:
        """A module has taken this name."""
        scope = self.scopes[level]
        scope.names.add(name)
        stem, number = stem_and_number(name)
        scope.counters[stem] = max(scope.counters[stem], (number or 0) + 1)
        return ()

    def add_module(self, name: str) -> None:
        """The module that is being made takes this name; a program that is being recorded remembers."""
        self.declare(name, -2)
        if context.trace is not self:
            ops.module_p.bind(name=name)

    def met(self, program: Jaxpr) -> None:
        """Names are taken by the modules of a program that was traced earlier and is used here."""
        for use in uses(program):
            if use.op is ops.module_p:
                self.declare(use.params["name"])

    def label(self, name: str) -> str:
        """The full name of a tap: its module's in front."""
        module = self.scopes[-1].module
        return name if module is None else f"{module_name(module)}/{name}"

    def scope(self) -> Any:
        """What a program traced here depends on: names and types of what it finds, in any order, and who takes part."""
        alone = None if self.frozen else self.token  # what makes parameters is a program of this frame alone
        top = self.scopes[-1]
        path = tuple([(scope.module and module_name(scope.module), scope.method) for scope in self.scopes])
        found = frozenset([(slot, typeof(value)) for slot, value in self.params.items()])
        states = frozenset([(slot, state.types) for slot, state in self.current.items()])
        keys = None if self.keys is None else typeof(self.keys.internal_state[0])
        hooks = tuple([stack.get() for stack in hook_stacks])
        return alone, path, frozenset(top.counters.items()), found, states, keys, hooks

    def remember(self) -> Callable[[], None]:
        """What makes the names taken now, and the modules made of those outside, the only ones again."""
        before, bound = [scope.copy() for scope in self.scopes], dict(self.bound)

        def put_back() -> None:
            self.bound = dict(bound)
            for scope, was in zip(self.scopes, before, strict=True):
                scope.counters, scope.names = Counter(was.counters), set(was.names)

        return put_back

    def calling(self) -> Callable[[], contextlib.AbstractContextManager[None]]:
        """The context in which rules of a function called here make their modules: with the names it would take."""
        return functools.partial(as_called, [scope.copy() for scope in self.scopes], dict(self.bound))

    # ---- what there is ----

    def all_parameters(self) -> dict[tuple[str, str], Any]:
        """The parameters, (module, name) -> value, as they are read here."""
        made = recorded(context.trace, ops.parameter_p)
        return {slot: self.read_parameter(*slot) for slot in {**self.params, **made}}

    def read_parameter(self, module: str, name: str) -> Any:
        """A parameter that there is; a program that is being recorded reads it."""
        value = self.params.get((module, name))
        if context.trace is self:
            return value
        type = recorded(context.trace, ops.parameter_p)[module, name].types[0] if value is None else typeof(value)
        return ops.parameter_p.bind(module=module, name=name, shape=type.shape, dtype=type.dtype, init=None)[0]

    def all_states(self) -> dict[tuple[str, str], Any]:
        """The states, (module, name) -> tree, as they are read here."""
        return {slot: self.read_state(*slot) for slot in {**self.current, **recorded(context.trace, *STATE_OPS)}}

    def initial_states(self) -> dict[tuple[str, str], Any]:
        """The initial values of the states; raises `MinijaxValueError` where one is being recorded, and not known."""
        for slot in recorded(context.trace, *STATE_OPS):
            if slot not in self.initial:
                raise MinijaxValueError(f"The state '{'/'.join(slot)}' is first set in a program that is being recorded"
                                        f"{at_line()}, so its initial value is not known. Ask outside jit and loops.")
        return {slot: state.value for slot, state in self.initial.items()}

    def frames(self) -> Iterator[Frame]:
        """This frame and those around it, innermost first."""
        trace = self
        while trace is not None:
            if isinstance(trace, Frame):
                yield trace
            trace = trace.parent

    def read_state(self, module: str, name: str) -> Any:
        """A state that there is; a program that is being recorded reads its leaves."""
        if context.trace is self:
            return self.current[module, name].value
        found = known_state((module, name), context.trace)
        assert found is not None, "only a state that there is is read"
        leaves = found.leaves and ops.get_state_p.bind(module=module, name=name, tree=found.tree, types=found.leaves,
                                                       init=None)
        return State(leaves, found.tree).value

    def make_state(self, module: str, name: str, like: Any, init: Jaxpr, captured: Sequence[Any]) -> Any:
        """A new state of a program that is being recorded: `init` gives its leaves, which make a tree as `like` is."""
        tree = State.of(like).tree
        if not init.outvars:
            self.write_state(module, name, like)
        leaves = init.outvars and ops.get_state_p.bind(*captured, module=module, name=name, tree=tree,
                                                       types=init.out_types, init=init)
        return State(leaves, tree).value

    def write_state(self, module: str, name: str, value: Any) -> None:
        """Set a state, a pytree; a program that is being recorded sets its leaves."""
        leaves, tree = State.of(value)
        if context.trace is self:
            self.set_state(*leaves, module=module, name=name, tree=tree)
        else:
            ops.set_state_p.bind(*leaves, module=module, name=name, tree=tree)

    def has_state(self, module: str, name: str) -> bool:
        """Whether there is such a state, made by what is being recorded, perhaps."""
        known = known_state((module, name), context.trace) is not None
        if self.told is not None and not known:
            raise self.untold(f"reads the state '{module}/{name}'")
        return known

    outside: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # modules made outside, by id


@contextlib.contextmanager
def as_called(scopes: list[Scope], bound: dict[int, tuple[Any, Any]]) -> Iterator[None]:
    """Context manager: the modules that are running are those of an earlier moment."""
    frame = enclosing(Frame)
    if frame is None:
        token = outside_of_frames.set(True)
        try:
            yield
        finally:
            outside_of_frames.reset(token)
        return
    before, frame.scopes = frame.scopes, [scope.copy() for scope in scopes]
    frame.bound = {**bound, **frame.bound}
    try:
        yield
    finally:
        made, frame.scopes = frame.scopes[-1], before
        before[-1].names |= made.names
        before[-1].counters |= made.counters


outside_of_frames: ContextVar[bool] = ContextVar("outside_of_frames", default=False)  # of a rule that runs there


hook_stacks: list[ContextVar[tuple[Any, ...]]] = []


def hook_stack(name: str) -> ContextVar[tuple[Any, ...]]:
    """A stack of users' functions that take part in what modules do, outermost first."""
    hook_stacks.append(ContextVar(name, default=()))
    return hook_stacks[-1]


@contextlib.contextmanager
def pushed(*pairs: tuple[ContextVar[tuple[Any, ...]], Any]) -> Iterator[None]:
    """Context manager: each function is on its stack."""
    tokens = [(stack, stack.set((*stack.get(), function))) for stack, function in pairs]
    try:
        yield
    finally:
        for stack, token in tokens:
            stack.reset(token)


def through(stack: ContextVar[tuple[Any, ...]], last: Callable[..., Any], *context: Any) -> Callable[..., Any]:
    """`last` behind the functions of a stack: each is called with the next one, its arguments and the context."""
    def chain(functions: tuple[Any, ...]) -> Callable[..., Any]:
        if not functions:
            return last
        return lambda *args: functions[0](chain(functions[1:]), *args, *context)

    return chain(stack.get())


def inside_transform() -> bool:
    """Whether a transformed function is running here."""
    return enclosing(Frame) is not None


def frame_of(who: str) -> Frame:
    """The frame that is running; raises `MinijaxValueError` outside of all."""
    frame = enclosing(Frame)
    if frame is None and outside_of_frames.get():
        raise MinijaxValueError(f"`hk.{who}` was called by a rule for derivatives{at_line()} which has no parameters, "
                                "state and keys: a bwd rule never has, any other has those that its function uses. Use "
                                "them in the function too; fwd hands them on to bwd among the residuals.")
    if frame is None:
        raise MinijaxValueError(f"`hk.{who}` must be used as part of an `hk.transform`{at_line()}. Wrap the function "
                                "that calls it: f = hk.transform(function), then f.init and f.apply.")
    return frame


def changing_frame(who: str) -> Frame:
    """The frame that is running, to which something is done; raises `JaxUsageError` inside JAX's own transforms."""
    frame = frame_of(who)
    if frame.jax_state != trace_state():
        raise JaxUsageError(f"`hk.{who}` was called inside one of JAX's own transforms{at_line()}, which knows nothing "
                            "of parameters, state and keys: they would leak. Use minijax's jit, grad, vmap, scan, ... "
                            "there; they may be used inside modules as anywhere.")
    return frame


def module_name(module: Any) -> str:
    """A module's full name; raises `MinijaxValueError` before its constructor has run."""
    name: str | None = getattr(module, "module_name", None)
    if name is None:
        raise MinijaxValueError(f"{type(module).__name__}{at_line()}: the super constructor must be called before you "
                                "create parameters or submodules. Put super().__init__(name=name) first.")
    boundary = closure_boundary.get()
    if boundary is not None and module.created_in < boundary:
        raise MinijaxValueError(f"The module '{name}' was made outside of the function wrapped in hk.transparent_lift"
                                f"{at_line()}, and its parameters would not be found there. "
                                "Make it inside that function.")
    return name


closure_boundary: ContextVar[int | None] = ContextVar("closure_boundary", default=None)


@functools.lru_cache(4096)
def stem_and_number(name: str) -> tuple[str, int | None]:
    """A name without its number, and the number.

    >>> stem_and_number("linear_12"), stem_and_number("conv2_d"), stem_and_number("a_01")
    (('linear', 12), ('conv2_d', None), ('a_01', None))
    """
    found = re.fullmatch(r"(.*)_(0|[1-9]\d*)", name, re.DOTALL)
    return (found[1], int(found[2])) if found else (name, None)
