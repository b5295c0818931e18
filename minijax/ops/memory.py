"""Marks that `checkpoint` reads: names of values, places in memory, and the policies that decide what is saved.

    name_p        the identity; a policy may save its result by that name
    to_memory_p   the identity; its result lies in another memory of the device
    Policy        a rule (op, *types, **params) -> True, False or an `Offloadable`: what the derivative keeps

A policy is plain data (its name in `decisions`, and its arguments), so that programs which hold one can
be printed, read back and saved.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from minijax.errors import MinijaxValueError
from minijax.ir.op import Op
from minijax.ir.text import register_named
from minijax.ops.dot import dot_general_p
from minijax.ops.families import no_cost, unary

MEMORIES = ("device", "pinned_host")


def _marked(op: Op) -> Any:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        return op.bind(*primals, **params), tangents

    return jvp


name_p = unary("name", lambda x, *, name: x, takes=None)
name_p.jvp, name_p.cost = _marked(name_p), no_cost
to_memory_p = unary("to_memory", lambda x, *, memory: x, takes=None)
to_memory_p.jvp, to_memory_p.cost = _marked(to_memory_p), no_cost


def name_value(x: Any, name: str) -> Any:
    """`x`, known to policies as `name`."""
    return name_p.bind(x, name=name)[0]


def to_memory(x: Any, memory: str) -> Any:
    """`x` in another memory: 'device' or 'pinned_host'."""
    if memory not in MEMORIES:
        raise MinijaxValueError(f"{memory!r} is no memory. Choose one of {', '.join(MEMORIES)}.")
    return to_memory_p.bind(x, memory=memory)[0]


class Offloadable(NamedTuple):
    """The answer of a policy for a result that is saved in the memory `dst` and comes back to `src` when it is used."""

    src: str
    dst: str


@register_named
@dataclasses.dataclass(frozen=True)
class Policy:
    """Decides what the derivative of a checkpointed function keeps; called with an op, its types and its parameters.

    >>> Policy("save_only_these_names", ("a",))(name_p, name="a")
    True
    """

    rule: str
    args: tuple[Any, ...] = ()

    def __call__(self, op: Op, *types: Any, **params: Any) -> Any:
        return decisions[self.rule](op, params, *self.args)


def _dot(op: Op, params: dict[str, Any]) -> bool:
    return "dot" in op.traits


def _dot_without_batch(op: Op, params: dict[str, Any]) -> bool:
    return op is dot_general_p and params["dimension_numbers"][1] == ((), ())


def _named(op: Op, params: dict[str, Any], *names: str) -> bool:
    return op is name_p and params["name"] in names


def _both(op: Op, params: dict[str, Any], first: Any, second: Any) -> bool:
    answers = first(op, **params), second(op, **params)
    if not all(isinstance(answer, bool) for answer in answers):
        raise MinijaxValueError(f"save_from_both_policies combines answers that are True or False, got {answers}. "
                                "Write one policy, a function (op, *types, **params), for both.")
    return any(answers)


decisions: dict[str, Callable[..., Any]] = {
    "everything_saveable": lambda op, params: True,
    "nothing_saveable": lambda op, params: False,
    "dots_saveable": _dot,
    "dots_with_no_batch_dims_saveable": _dot_without_batch,
    "offload_dot_with_no_batch_dims": lambda op, params, src, dst: (
        Offloadable(src, dst) if _dot_without_batch(op, params) else False),
    "save_only_these_names": _named,
    "save_any_names_but_these": lambda op, params, *names: op is name_p and params["name"] not in names,
    "save_anything_except_these_names": lambda op, params, *names: not _named(op, params, *names),
    "save_from_both_policies": _both,
    "save_and_offload_only_these_names": lambda op, params, saved, offloaded, src, dst: (
        Offloadable(src, dst) if _named(op, params, *offloaded) else _named(op, params, *saved)),
}
