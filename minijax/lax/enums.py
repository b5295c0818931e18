"""Choices by name: precision of products, rounding, accuracy."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, NamedTuple

from minijax.errors import MinijaxValueError
from minijax.ir import dtypes
from minijax.ir.text import register_named


class Precision(enum.Enum):
    """How exactly an accelerator multiplies float32 numbers: DEFAULT (fastest), HIGH, HIGHEST."""

    DEFAULT = "default"
    HIGH = "high"
    HIGHEST = "highest"


@register_named
class DotAlgorithm(NamedTuple):
    """An algorithm of a product: the dtypes that operands are rounded to and sums are kept in, and into how many
    parts operands are split to make up for narrow dtypes."""

    lhs_precision_type: Any
    rhs_precision_type: Any
    accumulation_type: Any
    lhs_component_count: int = 1
    rhs_component_count: int = 1
    num_primitive_operations: int = 1
    allow_imprecise_accumulation: bool = False


@register_named
class DotAlgorithmPreset(enum.Enum):
    """Algorithms that accelerators have: (type of the left operand)_(right operand)_(sums), Xn in n passes."""

    DEFAULT = "DEFAULT"
    ANY_F8_ANY_F8_F32 = "ANY_F8_ANY_F8_F32"
    ANY_F8_ANY_F8_F32_FAST_ACCUM = "ANY_F8_ANY_F8_F32_FAST_ACCUM"
    ANY_F8_ANY_F8_ANY = "ANY_F8_ANY_F8_ANY"
    ANY_F8_ANY_F8_ANY_FAST_ACCUM = "ANY_F8_ANY_F8_ANY_FAST_ACCUM"
    F16_F16_F16 = "F16_F16_F16"
    F16_F16_F32 = "F16_F16_F32"
    BF16_BF16_BF16 = "BF16_BF16_BF16"
    BF16_BF16_F32 = "BF16_BF16_F32"
    BF16_BF16_F32_X3 = "BF16_BF16_F32_X3"
    BF16_BF16_F32_X6 = "BF16_BF16_F32_X6"
    BF16_BF16_F32_X9 = "BF16_BF16_F32_X9"
    TF32_TF32_F32 = "TF32_TF32_F32"
    TF32_TF32_F32_X3 = "TF32_TF32_F32_X3"
    F32_F32_F32 = "F32_F32_F32"
    F64_F64_F64 = "F64_F64_F64"


PrecisionLike = (None | str | Precision | tuple[str, str] | tuple[Precision, Precision] | DotAlgorithm
                 | DotAlgorithmPreset)
_synonyms = {"bfloat16": "default", "fastest": "default", "tensorfloat32": "high", "bfloat16_3x": "high",
             "float32": "highest"}


def precision_of(precision: Any) -> Any:
    """A precision as a parameter of products: None, a name, a pair of names, or an algorithm.

    >>> precision_of(Precision.HIGHEST), precision_of("float32"), precision_of("BF16_BF16_F32").name
    ('highest', 'highest', 'BF16_BF16_F32')
    """
    if precision is None:
        return None
    if hasattr(precision, "accumulation_type") and isinstance(precision, tuple):
        return DotAlgorithm(*[dtypes.as_dtype(each) for each in precision[:3]], *precision[3:])
    if isinstance(precision, (tuple, list)) and len(precision) == 2:
        return tuple([precision_of(each) for each in precision])
    given = str(getattr(precision, "name", precision))
    name = given.lower()
    found = _synonyms.get(name, name)
    if found in ("default", "high", "highest"):
        return found
    if given in DotAlgorithmPreset.__members__:
        return DotAlgorithmPreset[given]
    raise MinijaxValueError(f"{precision!r} is not a precision. Choose 'default', 'high' or 'highest', a pair of "
                            "them, a DotAlgorithmPreset or a DotAlgorithm.")


class RoundingMethod(enum.IntEnum):
    """Where halves go: away from zero, or to the even number."""

    AWAY_FROM_ZERO = 0
    TO_NEAREST_EVEN = 1


class AccuracyMode(enum.Enum):
    """Accepted where JAX takes it; the functions here have one accuracy."""

    HIGHEST = 1
    DEFAULT = 2


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """An accuracy by its errors, accepted as AccuracyMode is."""

    atol: float = 0.0
    rtol: float = 0.0
    ulps: int = 0


class FftType(enum.IntEnum):
    """Kinds of Fourier transforms: forward, inverse, of real signals, and back to them."""

    FFT = 0
    IFFT = 1
    RFFT = 2
    IRFFT = 3


class RandomAlgorithm(enum.IntEnum):
    """Bit generators: the backend's choice, ThreeFry, Philox."""

    RNG_DEFAULT = 0
    RNG_THREE_FRY = 1
    RNG_PHILOX = 2
