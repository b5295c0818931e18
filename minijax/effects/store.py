"""The handler of modules: parameters, state and random keys.

While it initializes, a parameter that is met for the first time is made by its initializer, a program that may draw
keys; after that parameters only are read.  State is kept as its leaves, with the initial value of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from minijax import pytree
from minijax.effects import custom, ops  # noqa: F401  (`custom` gives ops their forms)
from minijax.effects.handler import Plan, Values, current
from minijax.effects.keys import KeyHandler, PRNGSequence, sequence_of
from minijax.effects.programs import Use, uses
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.interpreters.evaluate import run_program
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.types import ArrayType
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line

Slot = tuple[str, str]  # module and name
Leaf = tuple[str, str, int]


class StoreHandler(KeyHandler):
    """Answers for parameters and state too.

    `params`: (module, name) -> value.  `current` and `initial`: (module, name, leaf) -> value, and `trees` the
    structure of each state that is no single array.  `frozen`: whether parameters can no longer be made.
    """

    __slots__ = ("params", "current", "initial", "trees", "frozen")
    name = "modules"
    effects = frozenset({"parameter", "state", "rng", "initial rng", "module"})

    def __init__(self, parent: Any, keys: PRNGSequence | None, frozen: bool) -> None:
        super().__init__(parent, keys)
        self.params: dict[Slot, Any] = {}
        self.current: dict[Leaf, Any] = {}
        self.initial: dict[Leaf, Any] = {}
        self.trees: dict[Slot, Any] = {}
        self.frozen = frozen

    # ---- answers ----

    def parameter(self, *captured: Any, module: str, name: str, shape: Any, dtype: Any,
                  init: Jaxpr | None) -> Sequence[Any]:
        """The value of a parameter; while initializing, it may be made now."""
        if (module, name) not in self.params:
            self.add_parameter(module, name, self.initialized("parameter", module, name, captured, init))
        return (self.params[module, name],)

    def get_state(self, *captured: Any, module: str, name: str, leaf: int, shape: Any, dtype: Any,
                  init: Jaxpr | None) -> Sequence[Any]:
        """The value of a leaf of state; it may be made now."""
        if (module, name, leaf) not in self.current:
            self.set_leaf((module, name, leaf), self.initialized("state", module, name, captured, init))
        value = self.current[module, name, leaf]
        if not typeof(value).matches(ArrayType(shape, dtype)):
            raise MinijaxTypeError(
                f"The state '{module}/{name}' has become {typeof(value)} where the program reads "
                f"{ArrayType(shape, dtype)}{at_line()}. Keep its shape and dtype, or set it outside jit and loops.")
        return (value,)

    def set_state(self, value: Any, *, module: str, name: str, leaf: int, tree: Any = None) -> tuple[()]:
        """Set a leaf of state."""
        if tree is not None:
            self.trees[module, name] = tree
        self.set_leaf((module, name, leaf), value)
        return ()

    def declare(self, name: str) -> tuple[()]:
        """A module of this name was made: nothing to do inside a pure form."""
        return ()

    answers = {**KeyHandler.answers, ops.parameter_p: parameter, ops.get_state_p: get_state,
               ops.set_state_p: set_state, ops.module_p: lambda self, name: self.declare(name)}

    def set_leaf(self, leaf: Leaf, value: Any) -> None:
        """Set a leaf of state; the first value is the initial one."""
        self.initial.setdefault(leaf, value)
        self.current[leaf] = value

    def initialized(self, kind: str, module: str, name: str, captured: Sequence[Any], init: Jaxpr | None) -> Any:
        """What the initializer gives."""
        if kind == "parameter" and self.frozen:
            raise self.missing(module, name)
        if init is None:
            raise MinijaxValueError(f"The {kind} '{module}/{name}' has no value and no initializer{at_line()}. "
                                    "Pass init=, a function of shape and dtype.")
        with current(self):
            value, = run_program(init, *captured)
        return value

    def add_parameter(self, module: str, name: str, value: Any) -> None:
        """Keep a new parameter."""
        self.params[module, name] = value

    def missing(self, module: str, name: str) -> MinijaxValueError:
        """The error of a parameter that `apply` was not given."""
        mine = sorted(own for of, own in self.params if of == module)
        known = sorted({of for of, _ in self.params})
        if mine:
            there = f"Its parameters there are {', '.join(map(repr, mine))}."
        elif known:
            there = f"The modules there are {', '.join(map(repr, known[:8]))}{', ...' if len(known) > 8 else ''}."
        else:
            there = "They are empty."
        return MinijaxValueError(
            f"Unable to retrieve parameter '{name}' for module '{module}'{at_line()}: it is not in the params that "
            f"apply was given. {there} All parameters must be created as part of `init`: call init with the same "
            "function, or load the params that belong to it.")

    # ---- pure forms ----

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan | None:
        """Parameters and state that is only read are constant; state that is set, and keys, are carried."""
        found = [use for program in programs for use in uses(program)]
        if any(map(self.lacks, found)):
            return None
        written = {leaf_of(use): None for use in found if use.op is ops.set_state_p}
        read = {leaf_of(use): None for use in found if use.op is ops.get_state_p}
        params = {slot_of(use): None for use in found if use.op is ops.parameter_p}
        keys = super().plan(programs, loop)
        assert keys is not None
        return Plan(constant=(*[(slot, typeof(self.params[slot])) for slot in params],
                              *[(leaf, typeof(self.current[leaf])) for leaf in read if leaf not in written]),
                    carried=(*[(leaf, typeof(self.current[leaf])) for leaf in written], *keys.carried))

    def lacks(self, use: Use) -> bool:
        """Whether an equation would create something."""
        if use.op is ops.parameter_p:
            return slot_of(use) not in self.params
        return use.op in (ops.get_state_p, ops.set_state_p) and leaf_of(use) not in self.current

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The values that go in."""
        states = [name for name, _ in plan.carried if isinstance(name, tuple)]
        keys = self.key_values() if len(states) < len(plan.carried) else []
        return Values([self.params[name] if len(name) == 2 else self.current[name] for name, _ in plan.constant], (),
                      [*[self.current[leaf] for leaf in states], *keys])

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> StoreHandler:
        """A handler that knows what goes in."""
        states = [name for name, _ in plan.carried if isinstance(name, tuple)]
        inner = cls(context.trace, sequence_of(values.carried[len(states):]), True)
        for (name, _), value in zip(plan.constant, values.constant, strict=True):
            (inner.params if len(name) == 2 else inner.current)[name] = value
        inner.current.update(zip(states, values.carried, strict=False))
        return inner

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """The state that was set, and the keys that are left."""
        states = [(name, type) for name, type in plan.carried if isinstance(name, tuple)]
        if loop:
            for leaf, type in states:
                check_kept(leaf, type, typeof(self.current[leaf]))
        _, keys = super().results(Plan(carried=plan.carried[len(states):]), loop)
        return [], [*[self.current[name] for name, _ in states], *keys]

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take in state and keys."""
        states = [name for name, _ in plan.carried if isinstance(name, tuple)]
        self.current.update(zip(states, carried, strict=False))
        super().update(plan, emitted, carried[len(states):])

    def prepare(self, programs: Sequence[Jaxpr]) -> None:
        """Make what the programs would make: initializers are closed, so they can run before."""
        for use in [use for program in programs for use in uses(program) if self.lacks(use)]:
            if not self.lacks(use):  # by now
                continue
            if use.op is ops.set_state_p or use.inputs:
                refuse_first_set(use)
            use.op.bind(**use.params)

    # ---- trees ----

    def tree_of(self, module: str, name: str, values: Mapping[Leaf, Any]) -> Any:
        """A state, from its leaves among `values`."""
        tree = self.trees.get((module, name))
        if tree is None:
            return values[module, name, 0]
        return tree.unflatten([values[module, name, i] for i in range(tree.num_leaves)])

    def state_names(self) -> dict[Slot, None]:
        """The states that there are, in the order of their creation."""
        return {(module, name): None for module, name, _ in self.current} | dict.fromkeys(self.trees)


def check_kept(leaf: Leaf, before: ArrayType, after: ArrayType) -> None:
    """Raise `MinijaxTypeError` for a state whose type the steps of a loop, or branches, change."""
    if not after.matches(before):
        raise MinijaxTypeError(
            f"The state '{leaf[0]}/{leaf[1]}' is {before} before a loop or a branch and {after} after it{at_line()}. "
            "Set it to a value of the same shape and dtype.")


def refuse_first_set(use: Use) -> NoReturn:
    """Raise the error of what is made in a loop or a branch, and whose initial value is not known before."""
    what = "is set for the first time" if use.op is ops.set_state_p else "starts from a value computed"
    raise MinijaxValueError(
        f"'{use.params['module']}/{use.params['name']}' {what} inside a branch of cond, or a loop that may not run"
        f"{at_line()}, so its initial value is not known without running it. Create it before, with get_state or "
        "get_parameter and an initializer of its own.")


def leaves_of(value: Any) -> Iterator[tuple[int, Any, Any]]:
    """(number, leaf, structure) of each leaf of a state; an array by itself has no structure."""
    leaves, tree = pytree.flatten(value)
    alone = len(leaves) == 1 and leaves[0] is value
    for i, x in enumerate(leaves):
        yield i, x, None if alone else tree


def slot_of(use: Use) -> Slot:
    """The parameter that an equation is about."""
    return use.params["module"], use.params["name"]


def leaf_of(use: Use) -> Leaf:
    """The leaf of state that an equation is about."""
    return use.params["module"], use.params["name"], use.params["leaf"]
