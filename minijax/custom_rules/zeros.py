"""What rules with `symbolic_zeros=True` are told: which arguments take part, which derivatives are zero."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from minijax import pytree
from minijax.api.trace import ShapeDtypeStruct
from minijax.ir import dtypes
from minijax.ir.types import ArrayType, zero
from minijax.ops.structural import zeros_of
from minijax.tracing.array import typeof


class SymbolicZero:
    """A derivative that is known to be zero; `aval` has its shape and dtype, as the object itself does.

    >>> SymbolicZero(ShapeDtypeStruct((3,), "float32")).shape
    (3,)
    """

    __slots__ = ("aval",)

    def __init__(self, aval: Any) -> None:
        self.aval = aval

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the zeros."""
        return tuple(self.aval.shape)

    @property
    def dtype(self) -> Any:
        """Dtype of the zeros."""
        return self.aval.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the zeros."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"SymbolicZero({self.aval!r})"


@dataclasses.dataclass(frozen=True)
class CustomVJPPrimal:
    """An argument of a fwd rule with `symbolic_zeros=True`: its value, and whether it is differentiated."""

    value: Any
    perturbed: bool


def custom_vjp_primal_tree_values(tree: Any) -> Any:
    """The values in a tree of `CustomVJPPrimal`s.

    >>> custom_vjp_primal_tree_values([CustomVJPPrimal(1.0, True)])
    [1.0]
    """
    return pytree.map(lambda x: x.value if isinstance(x, CustomVJPPrimal) else x, tree)


def zero_from_primal(val: Any, symbolic_zeros: bool = False) -> Any:
    """The zero derivative of a value: zeros (of dtype `float0` for integers), or a `SymbolicZero`.

    >>> zero_from_primal(2.0)
    0.0
    """
    return shown_zero(typeof(val), symbolic_zeros)


def shown_zero(type: ArrayType, symbolic: bool) -> Any:
    """A zero derivative of a value of an IR type, as a rule is to see it."""
    if symbolic:
        return SymbolicZero(ShapeDtypeStruct(type.shape, type.dtype, weak_type=type.weak_type))
    return zeros_of(type) if type.differentiable else np.zeros(type.shape, dtypes.float0)


def shown(t: Any, type: ArrayType, symbolic: bool) -> Any:
    """A tangent or cotangent as a rule is to see it."""
    return shown_zero(type, symbolic) if t is zero or not type.differentiable else t
