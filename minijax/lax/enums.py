"""Choices by name: precision of products, rounding, accuracy."""

from __future__ import annotations

import enum
from typing import Any

from minijax.errors import MinijaxValueError


class Precision(enum.Enum):
    """How exactly an accelerator multiplies float32 numbers: DEFAULT (fastest), HIGH, HIGHEST."""

    DEFAULT = "default"
    HIGH = "high"
    HIGHEST = "highest"


PrecisionLike = None | str | Precision | tuple[str, str] | tuple[Precision, Precision]
_synonyms = {"bfloat16": "default", "fastest": "default", "tensorfloat32": "high", "float32": "highest"}


def precision_of(precision: Any) -> Any:
    """A precision as a parameter of `dot_general`: None, a name, or a pair of names.

    >>> precision_of(Precision.HIGHEST), precision_of("float32")
    ('highest', 'highest')
    """
    if precision is None:
        return None
    if isinstance(precision, (tuple, list)):
        return tuple([precision_of(each) for each in precision])
    name = str(getattr(precision, "name", precision)).lower()
    found = _synonyms.get(name, name)
    if found not in ("default", "high", "highest"):
        raise MinijaxValueError(f"{precision!r} is not a precision. Choose 'default', 'high' or 'highest'.")
    return found


class RoundingMethod(enum.IntEnum):
    """Where halves go: away from zero, or to the even number."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class AccuracyMode(enum.Enum):
    """Accepted where JAX takes it; the functions here have one accuracy."""

    HIGHEST = 1
    DEFAULT = 2
