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
from minijax.effects.programs import Use, uses
from minijax.effects.store import Leaf, Slot, StoreHandler, check_kept, leaf_of, refuse_first_set
from minijax.ir.jaxpr import Jaxpr
from minijax.tracing.array import typeof
from minijax.tracing.context import context, running


class StateView(Handler):
    """Answers for the state that was read or set under it; `leaves` are its values, `trees` the structures."""

    __slots__ = ("leaves", "trees")
    name = "state"
    effects = frozenset({"state"})

    def __init__(self, parent: Any) -> None:
        super().__init__(parent)
        self.leaves: dict[Leaf, Any] = {}
        self.trees: dict[Slot, Any] = {}

    def scope(self) -> Any:
        """What programs read and set are their own equations."""
        return tuple([(leaf, typeof(value)) for leaf, value in self.leaves.items()])

    def get_state(self, *captured: Any, module: str, name: str, leaf: int, **params: Any) -> Sequence[Any]:
        """The value of a leaf."""
        if (module, name, leaf) not in self.leaves:
            with current(self.parent):
                self.leaves[module, name, leaf], = ops.get_state_p.bind(
                    *captured, module=module, name=name, leaf=leaf, **params)
        return (self.leaves[module, name, leaf],)

    def set_state(self, value: Any, *, module: str, name: str, leaf: int, **tree: Any) -> tuple[()]:
        """Set a leaf, here and around."""
        if leaf == 0:
            self.trees[module, name] = tree.get("tree")
        self.keep((module, name, leaf), value, **tree)
        return ()

    def keep(self, leaf: Leaf, value: Any, **tree: Any) -> None:
        """Set a leaf, here and around."""
        self.leaves[leaf] = value
        module, name, number = leaf
        with current(self.parent):
            ops.set_state_p.bind(value, module=module, name=name, leaf=number, **tree)

    answers = {ops.get_state_p: get_state, ops.set_state_p: set_state}

    # ---- pure forms ----

    def plan(self, programs: Sequence[Jaxpr], loop: bool) -> Plan | None:
        """State that is only read is constant, state that is set is carried; what is not known yet is read now."""
        found = [use for program in programs for use in uses(program)
                 if use.op in (ops.get_state_p, ops.set_state_p)]
        for use in found:
            if self.lacks(use) and self.readable(use):
                self.read(use)
        if any(map(self.lacks, found)):
            return None
        written = {leaf_of(use): None for use in found if use.op is ops.set_state_p}
        read = {leaf_of(use): None for use in found}
        return Plan(constant=tuple([(leaf, typeof(self.leaves[leaf])) for leaf in read if leaf not in written]),
                    carried=tuple([(leaf, typeof(self.leaves[leaf])) for leaf in written]))

    def lacks(self, use: Use) -> bool:
        """Whether an equation is about a leaf that is not known here."""
        return leaf_of(use) not in self.leaves

    def readable(self, use: Use) -> bool:
        """Whether there is such a state around, or a closed initializer of one."""
        store = enclosing(StoreHandler)
        return (store is not None and leaf_of(use) in store.current or
                use.op is ops.get_state_p and not use.inputs and use.params["init"] is not None)

    def read(self, use: Use) -> None:
        """Read a leaf from around, or make it there."""
        module, name, leaf = leaf_of(use)
        assert use.type is not None, "a state has a value"
        self.get_state(module=module, name=name, leaf=leaf, shape=use.type.shape, dtype=use.type.dtype,
                       init=use.params.get("init"))

    def values(self, plan: Plan, steps: tuple[int, ...] = ()) -> Values:
        """The values that go in."""
        constant, carried = [[self.leaves[leaf] for leaf, _ in part] for part in (plan.constant, plan.carried)]
        return Values(constant, (), carried)

    @classmethod
    def inside(cls, plan: Plan, values: Values) -> Handler:
        """A handler that knows what goes in, and nobody around."""
        inner = InnerView(context.trace)
        for part, given in ((plan.constant, values.constant), (plan.carried, values.carried)):
            inner.leaves.update(zip([leaf for leaf, _ in part], given, strict=True))
        return inner

    def results(self, plan: Plan, loop: bool) -> tuple[list[Any], list[Any]]:
        """The state that was set."""
        if loop:
            for leaf, type in plan.carried:
                check_kept(leaf, type, typeof(self.leaves[leaf]))
        return [], [self.leaves[leaf] for leaf, _ in plan.carried]

    def update(self, plan: Plan, emitted: Sequence[Any], carried: Sequence[Any]) -> None:
        """Take in what was set."""
        for (leaf, _), value in zip(plan.carried, carried, strict=True):
            tree = self.trees.get(leaf[:2])
            self.keep(leaf, value, **({} if tree is None else {"tree": tree}))

    def prepare(self, programs: Sequence[Jaxpr]) -> None:
        """What is not known after `plan` cannot be."""
        refuse_first_set(next(use for program in programs for use in uses(program)
                              if use.op in (ops.get_state_p, ops.set_state_p) and self.lacks(use)))


class InnerView(StateView):
    """The view of a pure form: what is set comes out as a result."""

    __slots__ = ()

    def keep(self, leaf: Leaf, value: Any, **tree: Any) -> None:
        """Set a leaf."""
        self.leaves[leaf] = value


def viewed(call: Arguments, leaves: Sequence[Any]) -> Any:
    """Call a function that is being differentiated; where there is state, it has a view of its own."""
    if call.transform == "vmap" or enclosing(StoreHandler) is None:
        return call.apply_leaves(leaves)
    with running(StateView(context.trace)):
        return call.apply_leaves(leaves)


differentiate.call_function = viewed
