"""A handler: the interpreter that answers effects.

A handler is a trace without tracers of its own.  An op that it answers it answers at once, so that Python control
flow on values works; an op that holds a program with such ops it hands on with the program made pure
(`programs.py`); all else is its parent's business.  Handlers nest, and each sees to its own effects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, NamedTuple, TypeVar

from minijax.errors import MissingRuleError, UnhandledEffectError
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.tracing.context import Trace, context
from minijax.tracing.source import at_line

Answer = Callable[..., Sequence[Any]]
Form = Callable[..., Sequence[Any]]
H = TypeVar("H", bound="Handler")


class Plan(NamedTuple):
    """What a handler gives to a program and takes from it, as (name, type): the shape of its pure form.

    `constant`: values that the program reads.
    `stepwise`: values of which each step of a loop reads its own.
    `carried`: values that the program reads and changes; a loop carries them.
    `emitted`: values that the program gives out; a loop stacks them.
    """

    constant: tuple[tuple[Any, ArrayType], ...] = ()
    stepwise: tuple[tuple[Any, ArrayType], ...] = ()
    carried: tuple[tuple[Any, ArrayType], ...] = ()
    emitted: tuple[tuple[Any, ArrayType], ...] = ()


class Values(NamedTuple):
    """The values of a plan that go in."""

    constant: Sequence[Any]
    stepwise: Sequence[Any]
    carried: Sequence[Any]


class Told(NamedTuple):
    """What a handler has in which a function's rule runs: what the function reads, sets and draws, by its plan."""

    function: str
    plan: Plan

    def gives(self, name: Any) -> bool:
        """Whether something of this name comes out."""
        return any([name == known for known, _ in (*self.plan.emitted, *self.plan.carried)])


class Surroundings:
    """The handlers around, innermost first.  They are a part of the key of a program that asked for them while traced.

    What a handler's `scope` says is worked out before the function is traced, for tracing may change it.  A program
    that was tied to a handler is for this one only, whatever its scope is.
    """

    def __init__(self, trace: Trace | None) -> None:
        self.before: list[tuple[Handler, int, int]] = []
        while trace is not None:
            if isinstance(trace, Handler):
                self.before.append((trace, trace.asked, trace.tied))
            trace = trace.parent
        self.handlers = [handler for handler, _, _ in self.before]
        self.alone = any([handler.alone for handler in self.handlers])
        self.tokens = tuple([handler.token for handler in self.handlers])
        self.scopes: tuple[Any, ...] = ()

    def find(self, programs: dict[Any, Any], key: Any) -> Any:
        """A program that was traced where handlers said the same; who uses it leans on them, too."""
        found = None if self.alone else programs.get(key)
        if found is not None:
            return found
        self.scopes = tuple([handler.scope() for handler in self.handlers])
        tied = programs.get((key, self.scopes, self.tokens))
        found = tied or programs.get((key, self.scopes))
        if found is not None:
            effects = found.jaxpr.effects
            for handler in self.handlers:
                handler.asked += 1
                handler.tied += tied is not None
                if not handler.effects.isdisjoint(effects):
                    handler.met(found.jaxpr)
                    effects -= handler.effects
        return found

    def key(self, key: Any) -> Any:
        """The key of a program just traced: with the handlers' part if it asked for one."""
        if any([handler.tied != tied for handler, _, tied in self.before]):
            return key, self.scopes, self.tokens
        leans = self.alone or any([handler.asked != asked for handler, asked, _ in self.before])
        return (key, self.scopes) if leans else key

    def remember(self) -> Callable[[], None]:
        """What makes all as it is now, for a function that is traced once more: the first time did not count."""
        before = [handler.remember() for handler in self.handlers]

        def put_back() -> None:
            for each in before:
                each()

        return put_back

    def calling(self) -> Callable[[], AbstractContextManager[None]] | None:
        """The context in which the rules of a function that is called here are to be run; None if any will do."""
        for handler in self.handlers:
            found = handler.calling()
            if found is not None:
                handler.asked += 1
                return found
        return None


class Handler(Trace):
    """A trace that answers some effect ops.

    A subclass names its `effects`, lists its `answers`, and says what its programs' pure forms exchange with it:
    `plan`, `values`, `inside`, `results` and `update`.
    """

    __slots__ = ("asked", "tied", "token", "told")
    name = "handler"
    effects: ClassVar[frozenset[str]] = frozenset()
    alone: ClassVar[bool] = False  # whether programs traced elsewhere, where nobody asked for it, may not be used here
    answers: ClassVar[dict[Op, Answer]] = {}

    def __init__(self, parent: Trace | None) -> None:
        super().__init__(parent)
        self.asked = 0  # how often somebody looked for it
        self.tied = 0  # how often something was used that another handler, of the same scope, may not have
        self.token: Any = object()  # stands for it in keys
        self.told: Told | None = None  # if a rule runs here

    def may_change(self, name: Any, did: str) -> None:
        """Raise `UnhandledEffectError` if a rule runs here, and what it did has no place among what it gives out."""
        if self.told is not None and not self.told.gives(name):
            raise self.untold(did)

    def untold(self, did: str) -> UnhandledEffectError:
        """The error of a rule that does what its function does not."""
        assert self.told is not None, "a rule runs here"
        return UnhandledEffectError(
            f"A rule of the function {self.told.function} {did}{at_line()}, and the function itself does not. A rule "
            "has what its function reads, sets and draws. Let the function do so too; or do it outside, and pass the "
            "value as an argument.")

    def around(self) -> Surroundings:
        """This handler and those around it."""
        return Surroundings(self)

    def remember(self) -> Callable[[], None]:
        """What makes this handler as it is now, but for the values it has."""
        return lambda: None

    def calling(self) -> Callable[[], AbstractContextManager[None]] | None:
        """The context in which the rules of a function that is called here are to be run, whenever that is."""
        return None

    def met(self, program: Jaxpr) -> None:
        """A program that was traced earlier is used here."""

    def scope(self) -> Any:
        """What tells programs that lean on it, traced here, from those traced elsewhere: hashable."""
        raise NotImplementedError

    def process(self, op: Op, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
        """Answer the op, or the effects of the programs it holds, or leave it to the parent."""
        answer = self.answers.get(op)
        if answer is not None:
            return tuple(answer(self, *args, **params))
        if "custom" in op.traits or not self.effects.isdisjoint(op.effects_of(params)):
            return tuple(self.form(op, params)(self, op, args, params))
        return self.parent.process(op, args, params)  # type: ignore[union-attr]

    def form(self, op: Op, params: dict[str, Any]) -> Form:
        """How an op passes on the effects of the programs that it holds."""
        if op not in forms:
            mine = ", ".join(sorted(op.effects_of(params) & self.effects))
            raise MissingRuleError(f"The op '{op.name}' holds a program with the effects {mine}{at_line()}, and how it "
                                   "passes them on is not known. Give it a form: "
                                   "minijax.effects.handler.form(op)(function).")
        return forms[op]

    def pass_on(self, op: Op, *args: Any, **params: Any) -> tuple[Any, ...]:
        """Bind an op in the trace around."""
        with current(self.parent):
            return op.bind(*args, **params)

    def label(self, name: str) -> str:
        """The full name of what is tapped here."""
        return name

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan | None:
        """What these programs exchange with the handler; None if they create something, so that it has no shape yet.

        `loop`: what is carried comes out like it goes in, as in the steps of a loop and in branches.
        """
        raise NotImplementedError

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The values that go in; of those read step by step the stacks, for a loop of so many `steps`."""
        raise NotImplementedError

    @classmethod
    def inside(cls: type[H], plan: Plan, values: Values) -> H:
        """The handler of a pure form; its parent is the current trace."""
        raise NotImplementedError

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """Of a handler inside: the values emitted and those carried, in the end."""
        raise NotImplementedError

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take in what a pure form gave."""
        raise NotImplementedError

    def prepare(self, programs: Sequence[Jaxpr], runs: bool = False) -> None:
        """Create what the programs would create, without running them; `runs` says that they will run, for certain."""


forms: dict[Op, Form] = {}


def form(*ops: Op) -> Callable[[Form], Form]:
    """Decorate the form of some ops that hold programs: (handler, op, args, params) -> results, effects answered.

    >>> from minijax.calls.jit import jit_p
    >>> form(jit_p)(forms[jit_p]) is forms[jit_p]
    True
    """
    def decorate(function: Form) -> Form:
        forms.update(dict.fromkeys(ops, function))
        return function

    return decorate


def handlers(kind: type[H]) -> Iterator[H]:
    """The handlers of a kind that are running here, innermost first."""
    trace: Trace | None = context.trace
    while trace is not None:
        if isinstance(trace, kind):
            trace.asked += 1
            yield trace
        trace = trace.parent


def enclosing(kind: type[H]) -> H | None:
    """The innermost handler of a kind that is running here."""
    trace: Trace | None = context.trace
    while trace is not None:
        if isinstance(trace, kind):
            trace.asked += 1
            return trace
        trace = trace.parent
    return None


class current:
    """Context manager: a trace that is running already is the current one inside."""

    __slots__ = ("trace", "before")

    def __init__(self, trace: Trace | None) -> None:
        self.trace = trace

    def __enter__(self) -> None:
        self.before = context.trace
        context.trace = self.trace  # type: ignore[assignment]

    def __exit__(self, *exception: Any) -> None:
        context.trace = self.before
