"""The handler of modules: parameters, state and random keys.

While it initializes, a parameter that is met for the first time is made by its initializer, a program that may draw
keys; after that parameters only are read.  States are kept as they are and as they were first (`states.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.effects import custom, ops  # noqa: F401  (`custom` gives ops their forms)
from minijax.effects.handler import Plan, Values, current
from minijax.effects.keys import KeyHandler, PRNGSequence, sequence_of
from minijax.effects.programs import Use, uses
from minijax.effects.states import (STATE_OPS, Leaf, Slot, State, check_kept, lacking, placeholders, read_and_set,
                                    refuse_lacking, slot_of, states_of, values_of)
from minijax.errors import MinijaxError, MinijaxValueError
from minijax.interpreters.evaluate import run_program
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.types import ArrayType
from minijax.tracing.array import typeof
from minijax.tracing.context import context
from minijax.tracing.source import at_line
from minijax.util import partition_list, split_list


class StoreHandler(KeyHandler):
    """Answers for parameters and state too.

    `params`: (module, name) -> value.  `current` and `initial`: (module, name) -> state.  `frozen`: whether
    parameters can no longer be made.
    """

    __slots__ = ("params", "current", "initial", "frozen")
    name = "modules"
    effects = frozenset({"parameter", "state", "rng", "initial rng", "module"})

    def __init__(self, parent: Any, keys: PRNGSequence | None, frozen: bool) -> None:
        super().__init__(parent, keys)
        self.params: dict[Slot, Any] = {}
        self.current: dict[Slot, State] = {}
        self.initial: dict[Slot, State] = {}
        self.frozen = frozen

    # ---- answers ----

    def parameter(self, *captured: Any, module: str, name: str, shape: Any, dtype: Any,
                  init: Jaxpr | None) -> Sequence[Any]:
        """The value of a parameter; while initializing, it may be made now."""
        if (module, name) not in self.params:
            value, = self.initialized("parameter", module, name, captured, init)
            self.add_parameter(module, name, value)
        return (self.params[module, name],)

    def get_state(self, *captured: Any, module: str, name: str, tree: Any, types: tuple[ArrayType, ...],
                  init: Jaxpr | None) -> Sequence[Any]:
        """The leaves of a state; it may be made now."""
        slot = module, name
        if slot not in self.current:
            self.keep(slot, State(tuple(self.initialized("state", module, name, captured, init)), tree))
        return self.current[slot].leaves

    def set_state(self, *leaves: Any, module: str, name: str, tree: Any) -> tuple[()]:
        """Set a state."""
        self.keep((module, name), State(leaves, tree))
        return ()

    def declare(self, name: str) -> tuple[()]:
        """A module of this name was made: nothing to do inside a pure form."""
        return ()

    answers = {**KeyHandler.answers, ops.parameter_p: parameter, ops.get_state_p: get_state,
               ops.set_state_p: set_state, ops.module_p: lambda self, name: self.declare(name)}

    def keep(self, slot: Slot, state: State) -> None:
        """Keep a state; the first one is the initial one."""
        self.may_change(Leaf(slot, 0, state.tree), f"sets the state '{'/'.join(slot)}'")
        self.initial.setdefault(slot, state)
        self.current[slot] = state

    def initialized(self, kind: str, module: str, name: str, captured: Sequence[Any],
                    init: Jaxpr | None) -> Sequence[Any]:
        """What the initializer gives."""
        if kind == "parameter" and self.frozen:
            raise self.missing(module, name)
        if init is None:
            raise MinijaxValueError(f"The {kind} '{module}/{name}' has no value and no initializer{at_line()}. "
                                    "Pass init=, a function of shape and dtype.")
        with current(self):
            return run_program(init, *captured)

    def add_parameter(self, module: str, name: str, value: Any) -> None:
        """Keep a new parameter."""
        self.params[module, name] = value

    def missing(self, module: str, name: str) -> MinijaxError:
        """The error of a parameter that `apply` was not given."""
        if self.told is not None:
            return self.untold(f"reads the parameter '{module}/{name}'")
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
        if loop:
            check_kept(self.current, programs)
        params = {slot_of(use): None for use in found if use.op is ops.parameter_p}
        read, written = read_and_set(self.current, found)
        keys = super().plan(programs, loop)
        assert keys is not None
        return Plan(constant=(*[(slot, typeof(self.params[slot])) for slot in params], *read),
                    carried=(*written, *keys.carried))

    def lacks(self, use: Use) -> bool:
        """Whether an equation would create something."""
        if use.op is ops.parameter_p:
            return slot_of(use) not in self.params
        return use.op in STATE_OPS and lacking(self.current, use)

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The values that go in."""
        params, read, written, keys = parts_of(plan)
        return Values([*[self.params[slot] for slot, _ in params], *values_of(self.current, read)], (),
                      [*values_of(self.current, written), *(self.key_values() if keys else ())])

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> StoreHandler:
        """A handler that knows what goes in."""
        params, read, written, _ = parts_of(plan)
        own, read_values = split_list(values.constant, len(params))
        written_values, keys = split_list(values.carried, len(written))
        inner = cls(context.trace, sequence_of(keys), True)
        inner.params.update(zip([slot for slot, _ in params], own, strict=True))
        inner.current.update(states_of((*read, *written), (*read_values, *written_values)))
        return inner

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """The state that was set, and the keys that are left."""
        _, _, written, keys = parts_of(plan)
        _, left = super().results(Plan(carried=keys), loop)
        return [], [*values_of(self.current, written), *left]

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take in state and keys."""
        _, _, written, keys = parts_of(plan)
        values, left = split_list(carried, len(written))
        for slot, state in states_of(written, values).items():
            self.keep(slot, state)
        super().update(plan, emitted, left)

    def prepare(self, programs: Sequence[Jaxpr], runs: bool = False) -> None:
        """Make what the programs would make: initializers are closed, so they can run before."""
        for use in [use for program in programs for use in uses(program)]:
            if not self.lacks(use):
                continue
            if use.op is not ops.set_state_p and not use.inputs:
                use.op.bind(**use.params)
                continue
            slot = slot_of(use)
            stand_in = placeholders(use, programs) if runs and slot not in self.current else None
            if stand_in is None:
                refuse_lacking(self.current, use)
            self.current[slot] = stand_in  # and not the initial one: that is the first to be set


def parts_of(plan: Plan) -> tuple[Any, Any, Any, Any]:
    """The parameters in a plan, the leaves of state that is read, those of state that is set, and the keys."""
    (params, read), (keys, written) = [partition_list([isinstance(name, Leaf) for name, _ in part], part)
                                       for part in (plan.constant, plan.carried)]
    return params, read, written, tuple(keys)
