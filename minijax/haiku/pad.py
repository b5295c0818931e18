"""Paddings of convolutions, as functions of the size of the kernel.

A padding function takes the number of places that the kernel spans (with the holes of a dilated one)
and returns how many zeros to add before and after a spatial axis.  Convolutions take such functions as
`padding`: `Conv1D(8, 3, padding=pad.causal)`.  As `haiku.pad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.haiku.data_format import per_axis
from minijax.tracing.source import at_line

Pair = tuple[int, int]
PadFn = Callable[[int], Pair]


def valid(effective_kernel_size: int) -> Pair:
    """No padding: every window lies inside the array.

    >>> valid(4)
    (0, 0)
    """
    return 0, 0


def same(effective_kernel_size: int) -> Pair:
    """As many windows of stride 1 as the array has places; an odd one goes to the end.

    >>> same(4)
    (1, 2)
    """
    return (effective_kernel_size - 1) // 2, effective_kernel_size // 2


def full(effective_kernel_size: int) -> Pair:
    """Every window that holds at least one place of the array.

    >>> full(4)
    (3, 3)
    """
    return effective_kernel_size - 1, effective_kernel_size - 1


def causal(effective_kernel_size: int) -> Pair:
    """Before the array only: a result depends on nothing after its place.

    >>> causal(4)
    (3, 0)
    """
    return effective_kernel_size - 1, 0


def reverse_causal(effective_kernel_size: int) -> Pair:
    """After the array only: a result depends on nothing before its place.

    >>> reverse_causal(4)
    (0, 3)
    """
    return 0, effective_kernel_size - 1


def create_from_padfn(padding: PadFn | Sequence[PadFn], kernel: int | Sequence[int], rate: int | Sequence[int],
                      n: int) -> tuple[Pair, ...]:
    """What padding functions give for `n` spatial axes, as pairs (before, after).

    Args: one function or one for each axis; sizes and dilation rates of the kernel, one number or one for each axis.
    Raises `MinijaxTypeError` for sequences of other lengths.

    >>> create_from_padfn((same, causal), kernel=3, rate=2, n=2)
    ((2, 2), (4, 0))
    """
    spans = [(size - 1) * step + 1
             for size, step in zip(per_axis("kernel", kernel, n), per_axis("rate", rate, n), strict=True)]
    return tuple([function(span) for function, span in zip(per_axis("padding", padding, n), spans, strict=True)])


create = create_from_padfn


def create_from_tuple(padding: Pair | Sequence[Pair], n: int) -> tuple[Pair, ...]:
    """`n` pairs (before, after), of one pair or a sequence of one or `n` of them.

    Raises `MinijaxValueError` for an empty padding, `MinijaxTypeError` for sequences of other lengths and what is none.

    >>> create_from_tuple((1, 2), 2)
    ((1, 2), (1, 2))
    """
    if not isinstance(padding, Sequence):
        raise MinijaxTypeError(f"padding is {padding!r}{at_line()}, and not pairs (before, after). "
                               "Give (1, 1) for one zero on each side, or 'SAME' or 'VALID'.")
    if not padding:
        raise MinijaxValueError(f"padding is empty{at_line()}. Give (0, 0) for none, or 'VALID'.")
    if isinstance(padding[0], int):
        return (tuple(padding),) * n
    if len(padding) not in (1, n):
        raise MinijaxTypeError(f"padding is {padding!r}, which has {len(padding)} pairs for {n} spatial axes"
                               f"{at_line()}. Give one pair (before, after), or {n} of them.")
    return tuple(padding) * (n if len(padding) == 1 else 1)


def is_padfn(padding: Any) -> bool:
    """Whether a padding is a function, or a sequence that begins with one.

    >>> is_padfn(same), is_padfn([causal]), is_padfn("SAME"), is_padfn((1, 1))
    (True, True, False, False)
    """
    return callable(padding[0] if isinstance(padding, Sequence) and padding else padding)
