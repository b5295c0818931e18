"""The small vocabulary of list handling used on every floor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def partition_list(mask: Sequence[bool], items: Sequence[T]) -> tuple[list[T], list[T]]:
    """Split `items` into those whose mask is False and those whose mask is True.

    >>> partition_list([True, False, True], 'abc')
    (['b'], ['a', 'c'])
    """
    parts: tuple[list[T], list[T]] = ([], [])
    for flag, item in zip(mask, items, strict=True):
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
