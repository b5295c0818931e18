"""Ops that say where a value lies, and change nothing else.

    device_put           the value on other devices; its cotangent goes back to where it came from, if that is known
    sharding_constraint  the value cut along a mesh from here on, inside a compiled program; its cotangent is cut so too
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from minijax.errors import ShapeError
from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.ops.families import no_cost
from minijax.ops.meshes import Placement, uncut
from minijax.tracing.source import at_line


def _type(x: ArrayType, *, placement: Placement, **params: Any) -> tuple[ArrayType]:
    if len(placement.spec) != x.ndim:
        raise ShapeError(f"{x} has {x.ndim} axes, and the spec {placement.spec} {len(placement.spec)}{at_line()}.")
    return (x,)


def _with_axis(placement: Placement | None, axis: int | None) -> Placement | None:
    return placement and dataclasses.replace(placement, spec=uncut(placement.spec, axis))


def _placing(name: str, transpose: Callable[..., Any]) -> Op:
    def jvp(primals: Any, tangents: Any, **params: Any) -> Any:
        return op.bind(*primals, **params), op.bind(*tangents, **params)

    def batch(size: int, args: Any, axes: Any, **placements: Placement | None) -> Any:
        return op.bind(*args, **{k: _with_axis(v, axes[0]) for k, v in placements.items()}), axes

    op = Op(name, type=_type, eval=lambda x, **params: (x,), jvp=jvp, transpose=transpose, batch=batch, cost=no_cost,
            traits={"devices"})
    return op


def _put_back(cts: Any, x: Any, *, placement: Placement, source: Placement | None) -> Any:
    return device_put_p.bind(*cts, placement=source, source=placement) if source is not None else cts


device_put_p = _placing("device_put", _put_back)
sharding_constraint_p = _placing("sharding_constraint",
                                 lambda cts, x, **params: sharding_constraint_p.bind(*cts, **params))
