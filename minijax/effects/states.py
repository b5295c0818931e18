"""States: trees of values that a program reads and changes, and how a handler plans for those of a program.

A state has a structure besides its leaves.  Programs exchange leaves alone, so one that gives a state another
structure is met as one that creates something: it is run equation by equation, or refused where that is no way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from minijax import pytree
from minijax.effects import ops
from minijax.effects.programs import Use, uses
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ir.jaxpr import Jaxpr
from minijax.ir.types import ArrayType
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof
from minijax.tracing.source import at_line

Slot = tuple[str, str]  # module and name
STATE_OPS = (ops.get_state_p, ops.set_state_p)


class State(NamedTuple):
    """The leaves of a state, or their types, and its structure."""

    leaves: tuple[Any, ...]
    tree: Any

    @classmethod
    def of(cls, value: Any) -> State:
        """The state of a pytree."""
        leaves, tree = pytree.flatten(value)
        return cls(tuple(leaves), tree)

    @property
    def value(self) -> Any:
        """The pytree."""
        return self.tree.unflatten(self.leaves)

    @property
    def types(self) -> State:
        """The same state with types for leaves."""
        return State(tuple(map(typeof, self.leaves)), self.tree)

    def matches(self, other: State) -> bool:
        """Whether two states of types have one structure, and leaves of the same shapes and dtypes."""
        return self.tree == other.tree and all([t.matches(u) for t, u in zip(self.leaves, other.leaves, strict=True)])

    def __str__(self) -> str:
        return str(self.value)


class Leaf(NamedTuple):
    """One leaf of a state, as a plan names it."""

    slot: Slot
    number: int
    tree: Any

    def __str__(self) -> str:
        return f"the state '{'/'.join(self.slot)}'"


def slot_of(use: Use) -> Slot:
    """The parameter or the state that an equation is about."""
    return use.params["module"], use.params["name"]


def found_by(use: Use) -> State:
    """The types and the structure of the state that an equation reads or sets."""
    return State(use.types, use.params["tree"])


# ---- plans ----

def leaves_of(states: Mapping[Slot, State], slots: Iterable[Slot]) -> tuple[tuple[Leaf, ArrayType], ...]:
    """The leaves of some states, as a plan has them."""
    return tuple([(Leaf(slot, number, states[slot].tree), typeof(x))
                  for slot in slots for number, x in enumerate(states[slot].leaves)])


def values_of(states: Mapping[Slot, State], leaves: Iterable[tuple[Leaf, ArrayType]]) -> list[Any]:
    """The values that some states have now for the leaves in a plan."""
    return [states[leaf.slot].leaves[leaf.number] for leaf, _ in leaves]


def states_of(leaves: Iterable[tuple[Leaf, ArrayType]], values: Iterable[Any]) -> dict[Slot, State]:
    """The states that have these values for the leaves in a plan."""
    found: dict[Slot, State] = {}
    for (leaf, _), value in zip(leaves, values, strict=True):
        before = found.get(leaf.slot, State((), leaf.tree))
        found[leaf.slot] = State((*before.leaves, value), leaf.tree)
    return found


def lacking(states: Mapping[Slot, State], use: Use) -> bool:
    """Whether an equation would create a state, or give it another structure."""
    known = states.get(slot_of(use))
    return known is None or use.op is ops.set_state_p and use.params["tree"] != known.tree


def read_and_set(states: Mapping[Slot, State], found: Sequence[Use]) -> tuple[Any, Any]:
    """What a plan has of states: the leaves of those that are only read, and of those that are set."""
    written = {slot_of(use): None for use in found if use.op is ops.set_state_p}
    read = {slot_of(use): None for use in found if use.op is ops.get_state_p and slot_of(use) not in written}
    return leaves_of(states, read), leaves_of(states, written)


def placeholders(first: Use, programs: Sequence[Jaxpr]) -> State | None:
    """What a state is before programs run that set it before they read it: zeros.

    `first` is the first equation about it.  None if that does not set it, for good and for certain.
    """
    sets = [use for program in programs for use in uses(program)
            if use.op is ops.set_state_p and slot_of(use) == slot_of(first)]
    certain = [eqn.params for program in programs for eqn in program.eqns if eqn.op is ops.set_state_p]
    if sets != [first] or first.params not in certain:
        return None
    return State(tuple([zeros_of(t.update(varying=frozenset())) for t in first.types]), first.params["tree"])


# ---- what is refused ----

def check_kept(states: Mapping[Slot, State], programs: Sequence[Jaxpr]) -> None:
    """Raise `MinijaxTypeError` for a state whose form the steps of a loop, or branches, change in the end.

    So has the first step, if it was run by itself, where a step does not find what it was recorded with.
    """
    for found in [[use for use in uses(program) if use.op in STATE_OPS] for program in programs]:
        first = {slot_of(use): use for use in reversed(found)}
        last = {slot_of(use): use for use in found if use.op is ops.set_state_p}
        for slot, use in first.items():
            if use.op is ops.get_state_p and not found_by(use).matches(states[slot].types):
                raise MinijaxTypeError(
                    f"The state '{'/'.join(slot)}' is {states[slot].types} where a step of a loop reads it"
                    f"{at_line(use.source)}, and was {found_by(use)} for the step before. Steps keep a state's "
                    "structure, shapes and dtypes: give it the final ones before the loop.")
        for slot, use in last.items():
            if not found_by(use).matches(states[slot].types):
                refuse_change(states[slot].types, use)


def refuse_change(before: State, use: Use) -> NoReturn:
    """Raise the error of a state that a loop or a branch would leave in another form."""
    raise MinijaxTypeError(
        f"The state '{'/'.join(slot_of(use))}' is {before} before a loop or a branch, which sets it to "
        f"{found_by(use)}{at_line(use.source)}. Loops and branches keep a state's structure, shapes and dtypes: give "
        "it the final ones before, or set it outside.")


def refuse_lacking(states: Mapping[Slot, State], use: Use) -> NoReturn:
    """Raise the error of what is made in a loop or a branch, and whose initial value is not known before."""
    slot = slot_of(use)
    if use.op is ops.set_state_p and slot in states:
        refuse_change(states[slot].types, use)
    what = "is set for the first time" if use.op is ops.set_state_p else "starts from a value computed"
    raise MinijaxValueError(
        f"'{'/'.join(slot)}' {what} inside a branch of cond, a loop that may not run, or shard_map"
        f"{at_line(use.source)}, so its initial value is not known without running it. Create it before, with "
        "get_state or get_parameter and an initializer of its own.")
