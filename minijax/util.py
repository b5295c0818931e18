"""The small vocabulary of list handling used on every floor.

`map` and `zip` here are strict: they fail on unequal lengths and return lists.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
U = TypeVar("U")


def zip(*lists: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Zip lists of equal length into a list of tuples.

    >>> zip([1, 2], [3, 4])
    [(1, 3), (2, 4)]
    """
    return list(builtins.zip(*lists, strict=True))


def map(function: Callable[..., T], *lists: Iterable[Any]) -> list[T]:
    """Map `function` over lists of equal length, eagerly.

    >>> map(max, [1, 5], [4, 2])
    [4, 5]
    """
    return [function(*items) for items in builtins.zip(*lists, strict=True)]


def unzip2(pairs: Iterable[tuple[T, U]]) -> tuple[list[T], list[U]]:
    """Turn a list of pairs into a pair of lists.

    >>> unzip2([(1, 'a'), (2, 'b')])
    ([1, 2], ['a', 'b'])
    """
    firsts: list[T] = []
    seconds: list[U] = []
    for first, second in pairs:
        firsts.append(first)
        seconds.append(second)
    return firsts, seconds


def partition_list(mask: Sequence[bool], items: Sequence[T]) -> tuple[list[T], list[T]]:
    """Split `items` into those whose mask is False and those whose mask is True.

    >>> partition_list([True, False, True], 'abc')
    (['b'], ['a', 'c'])
    """
    parts: tuple[list[T], list[T]] = ([], [])
    for flag, item in builtins.zip(mask, items, strict=True):
        parts[bool(flag)].append(item)
    return parts


def merge_lists(mask: Sequence[bool], false_items: Sequence[T], true_items: Sequence[T]) -> list[T]:
    """Undo `partition_list`.

    >>> merge_lists([True, False, True], ['b'], ['a', 'c'])
    ['a', 'b', 'c']
    """
    iterators = iter(false_items), iter(true_items)
    return [next(iterators[bool(flag)]) for flag in mask]


def split_list(items: Sequence[T], *sizes: int) -> list[list[T]]:
    """Cut `items` into pieces of the given sizes and one last piece with the rest.

    >>> split_list([1, 2, 3, 4], 1, 2)
    [[1], [2, 3], [4]]
    """
    pieces, start = [], 0
    for size in sizes:
        pieces.append(list(items[start : start + size]))
        start += size
    return [*pieces, list(items[start:])]


def canonical_axis(axis: int, ndim: int) -> int:
    """Turn a possibly negative axis into one in `range(ndim)`; the caller checks the range.

    >>> canonical_axis(-1, 3)
    2
    """
    return axis + ndim if axis < 0 else axis


def size_of(shape: Iterable[int]) -> int:
    """Number of elements of an array of this shape.

    >>> size_of((2, 3))
    6
    """
    return math.prod(shape)


def bounded(cache: dict[Any, T], key: Any, value: T, limit: int = 4096) -> T:
    """Store `value` in a cache that starts afresh once it holds `limit` entries.

    >>> bounded({}, 'k', 3)
    3
    """
    if len(cache) >= limit:
        cache.clear()
    return cache.setdefault(key, value)
