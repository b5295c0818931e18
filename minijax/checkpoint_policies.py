"""What a checkpointed function's derivative may keep: policies for `checkpoint`, by JAX's names.

Each is called with an op, the types of its operands and its parameters, and answers whether the results are
saved.  They are plain data: a program that holds one prints and saves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.ops.memory import MEMORIES, Policy

everything_saveable = Policy("everything_saveable")
nothing_saveable = Policy("nothing_saveable")
dots_saveable = checkpoint_dots = Policy("dots_saveable")
dots_with_no_batch_dims_saveable = checkpoint_dots_with_no_batch_dims = Policy("dots_with_no_batch_dims_saveable")


def save_only_these_names(*names_which_can_be_saved: str) -> Policy:
    """Save what `checkpoint_name` gave one of these names, and nothing else.

    >>> save_only_these_names("a", "b")
    Policy(rule='save_only_these_names', args=('a', 'b'))
    """
    return Policy("save_only_these_names", _names(names_which_can_be_saved))


def save_any_names_but_these(*names_not_to_save: str) -> Policy:
    """Save what has a name, but for these names."""
    return Policy("save_any_names_but_these", _names(names_not_to_save))


def save_anything_except_these_names(*names_not_to_save: str) -> Policy:
    """Save every result but what has one of these names."""
    return Policy("save_anything_except_these_names", _names(names_not_to_save))


def save_from_both_policies(policy_1: Callable[..., bool], policy_2: Callable[..., bool]) -> Policy:
    """Save what either policy saves; both answer True or False."""
    for policy in (policy_1, policy_2):
        if not callable(policy):
            raise MinijaxTypeError(f"save_from_both_policies takes two policies, got {policy!r}. "
                                   "A policy is a function (op, *types, **params) -> bool.")
    return Policy("save_from_both_policies", (policy_1, policy_2))


def offload_dot_with_no_batch_dims(offload_src: str, offload_dst: str) -> Policy:
    """Save products without batch axes in the memory `offload_dst`, 'pinned_host', until they are needed.

    They come back to `offload_src`, 'device', before their use.
    """
    return Policy("offload_dot_with_no_batch_dims", (_memory(offload_src), _memory(offload_dst)))


def save_and_offload_only_these_names(*, names_which_can_be_saved: Sequence[str],
                                      names_which_can_be_offloaded: Sequence[str], offload_src: str,
                                      offload_dst: str) -> Policy:
    """Save what has one of the first names as it is, what has one of the second in another memory."""
    saved, offloaded = _names(names_which_can_be_saved), _names(names_which_can_be_offloaded)
    if set(saved) & set(offloaded):
        raise MinijaxValueError(f"The names {sorted(set(saved) & set(offloaded))} are to be saved and to be offloaded. "
                                "Give each name one place.")
    return Policy("save_and_offload_only_these_names", (saved, offloaded, _memory(offload_src), _memory(offload_dst)))


def _names(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if isinstance(names, str) or not isinstance(name, str):
            raise MinijaxTypeError(f"Names of values are strings, as given to checkpoint_name; got {names!r}.")
    return tuple(names)


def _memory(name: str) -> str:
    if name not in MEMORIES:
        raise MinijaxValueError(f"{name!r} is no memory that values are moved to. Choose {' or '.join(MEMORIES)}.")
    return name
