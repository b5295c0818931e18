"""State as a function sees it while it is being differentiated: what it sets keeps its tangent until it is read again.

The handler around stores primal values, as all who are outside of the derivative do.  A view stands between the
function and the derivative; it passes on whatever is set, and answers by itself for what it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minijax.api import differentiate
from minijax.calls.arguments import Arguments
from minijax.effects import ops
from minijax.effects.handler import Handler, Plan, Values, current, enclosing
from minijax.effects.programs import Use, uses, uses_of
from minijax.effects.states import (STATE_OPS, Leaf, Slot, State, check_kept, found_by, lacking, read_and_set,
                                    refuse_lacking, slot_of, states_of, values_of)
from minijax.effects.store import StoreHandler
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.op import Op
from minijax.tracing.context import context, running


class StateView(Handler):
    """Answers for the states that were read or set under it."""

    __slots__ = ("states",)
    name = "state"
    effects = frozenset({"state"})

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.states: dict[Slot, State] = {}

    def scope(self) -> Any:
        """What programs read and set are their own equations."""
        return frozenset([(slot, state.types) for slot, state in self.states.items()])

    def get_state(self, *captured: Any, module: str, name: str, **params: Any) -> Sequence[Any]:
        """The leaves of a state."""
        slot = module, name
        if slot not in self.states:
            with current(self.parent):
                leaves = ops.get_state_p.bind(*captured, module=module, name=name, **params)
            self.states[slot] = State(leaves, params["tree"])
        return self.states[slot].leaves

    def set_state(self, *leaves: Any, module: str, name: str, tree: Any) -> tuple[()]:
        """Set a state, here and around."""
        self.keep((module, name), State(leaves, tree))
        return ()

    def keep(self, slot: Slot, state: State) -> None:
        """Set a state, here and around."""
        self.states[slot] = state
        with current(self.parent):
            ops.set_state_p.bind(*state.leaves, module=slot[0], name=slot[1], tree=state.tree)

    answers = {ops.get_state_p: get_state, ops.set_state_p: set_state}

    # ---- pure forms ----

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan | None:
        """State that is only read is constant, state that is set is carried; what is not known yet is read now."""
        found = [use for program in programs for use in uses(program) if use.op in STATE_OPS]
        for use in found:
            self.look_up(use)
        if any([lacking(self.states, use) for use in found]):
            return None
        if loop:
            check_kept(self.states, programs)
        read, written = read_and_set(self.states, found)
        return Plan(constant=read, carried=written)

    def look_up(self, use: Use) -> None:
        """Read a state that is not known here, if there is one around or a closed initializer of one."""
        slot = slot_of(use)
        there, init = (None, None) if slot in self.states else (known_state(slot, self.parent), use.params.get("init"))
        if there is None and init is not None and not use.inputs:
            there = found_by(use)
        if there is not None:
            self.get_state(module=slot[0], name=slot[1], tree=there.tree, types=there.leaves, init=init)

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The values that go in."""
        return Values(values_of(self.states, plan.constant), (), values_of(self.states, plan.carried))

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> Handler:
        """A handler that knows what goes in, and nobody around."""
        inner = InnerView(context.trace)
        inner.states.update(states_of((*plan.constant, *plan.carried), (*values.constant, *values.carried)))
        return inner

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """The state that was set."""
        return [], values_of(self.states, plan.carried)

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take in what was set."""
        for slot, state in states_of(plan.carried, carried).items():
            self.keep(slot, state)

    def prepare(self, programs: Sequence[Jaxpr], runs: bool = False) -> None:
        """What is not known after `plan` cannot be."""
        refuse_lacking(self.states, next(use for program in programs for use in uses(program)
                                         if use.op in STATE_OPS and lacking(self.states, use)))


class InnerView(StateView):
    """The view of a pure form: what is set comes out as a result."""

    __slots__ = ()

    def keep(self, slot: Slot, state: State) -> None:
        """Set a state."""
        self.may_change(Leaf(slot, 0, state.tree), f"sets the state '{'/'.join(slot)}'")
        self.states[slot] = state


def known_state(slot: Slot, trace: Any) -> State | None:
    """The types of a state as all has left it that runs in a trace, recorded or not; None if there is none."""
    while trace is not None and not isinstance(trace, StoreHandler):
        for eqn in reversed(getattr(trace, "eqns", ())):
            found = [use for use in uses_of(eqn) if use.op in STATE_OPS and slot_of(use) == slot]
            if found:
                return found_by(found[-1])
        if isinstance(trace, StateView) and slot in trace.states:
            return trace.states[slot].types
        trace = trace.parent
    return trace.current[slot].types if trace is not None and slot in trace.current else None


def recorded(trace: Any, *wanted: Op) -> dict[Slot, Use]:
    """The last equation by some ops about each parameter or state, in what a trace and those around it record."""
    if trace is None or isinstance(trace, StoreHandler):
        return {}
    found = recorded(trace.parent, *wanted)
    uses_here = [use for eqn in getattr(trace, "eqns", ()) for use in uses_of(eqn)]
    return {**found, **{slot_of(use): use for use in uses_here if use.op in wanted}}


def viewed(call: Arguments, leaves: Sequence[Any]) -> Any:
    """Call a function that is being differentiated; where there is state, it has a view of its own."""
    if call.transform == "vmap" or enclosing(StoreHandler) is None:
        return call.apply_leaves(leaves)
    with running(StateView(context.trace)):
        return call.apply_leaves(leaves)


differentiate.call_function = viewed
