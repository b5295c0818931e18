"""Comparisons and choices: eq, ne, lt, le, gt, ge, select_n.

Complex numbers have no order here; booleans do.  A rank-0 operand stands for an
array of equal elements, and an axis of size 1 for one of equal elements, also of a case or the
selector of `select_n`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.errors import DtypeError, ShapeError
from minijax.ir import dtypes
from minijax.ir.op import Linear
from minijax.ir.types import ArrayType, zero
from minijax.ops import reference
from minijax.ops.families import (binary_function, broadcast_tangent, elementwise_shape, nary, same_dtype,
                                  scalar_like, to_bool, unbroadcast)
from minijax.tracing.source import at_line


def not_a_key(dtype: Any) -> bool:
    """Numbers and booleans."""
    return not dtypes.is_key(dtype)


def has_order(dtype: Any) -> bool:
    """Integers, reals and booleans."""
    return not dtypes.is_key(dtype) and not dtypes.is_complex(dtype)


eq_p = nary("eq", np.equal, takes=not_a_key, result=to_bool, traits=("commutative",))
ne_p = nary("ne", np.not_equal, takes=not_a_key, result=to_bool, traits=("commutative",))
lt_p = nary("lt", np.less, takes=has_order, result=to_bool)
le_p = nary("le", np.less_equal, takes=has_order, result=to_bool)
gt_p = nary("gt", np.greater, takes=has_order, result=to_bool)
ge_p = nary("ge", np.greater_equal, takes=has_order, result=to_bool)

eq = binary_function(eq_p, "x == y, elementwise.")
ne = binary_function(ne_p, "x != y, elementwise.")
lt = binary_function(lt_p, "x < y, elementwise.")
le = binary_function(le_p, "x <= y, elementwise.")
gt = binary_function(gt_p, "x > y, elementwise.")
ge = binary_function(ge_p, "x >= y, elementwise.")


# ---- select_n ----

def _select_type(which: ArrayType, *cases: ArrayType) -> tuple[ArrayType]:
    if not cases:
        raise ShapeError(f"select_n takes a selector and at least one case{at_line()}.")
    if which.dtype != dtypes.bool_ and which.dtype != dtypes.int32 or which.dtype == dtypes.bool_ and len(cases) > 2:
        raise DtypeError(f"select_n: a selector of dtype {which.dtype} cannot choose among {len(cases)} cases"
                         f"{at_line()}. Use bool for two cases, int32 for more.")
    dtype = same_dtype("select_n", cases)
    return (ArrayType(elementwise_shape("select_n", (which, *cases)), dtype, all(t.weak_type for t in cases)),)


def _select_jvp(primals: Any, tangents: Any) -> Any:
    outs = select_n_p.bind(*primals)
    if all(t is zero for t in tangents):
        return outs, (zero,)
    filled = [scalar_like(x, 0.0) if t is zero else t for x, t in zip(primals[1:], tangents[1:], strict=True)]
    chosen, = select_n_p.bind(primals[0], *filled)
    return outs, (broadcast_tangent(chosen, outs[0]),)


def _select_transpose(cts: Any, which: Any, *cases: Any) -> Any:
    ct, none = cts[0], scalar_like(cts[0], 0.0)

    def share(number: int, case: Any) -> Any:
        if type(case) is not Linear:
            return None
        return unbroadcast(select_n(which, *[ct if i == number else none for i in range(len(cases))]), case)

    return None, *[share(number, case) for number, case in enumerate(cases)]


select_n_p = nary("select_n", reference.select_n, type=_select_type, transpose=_select_transpose)
select_n_p.jvp = _select_jvp


def select_n(which: Any, *cases: Any) -> Any:
    """Elements of the case that `which` names: False takes the first, True the second; or an int32 number."""
    return select_n_p.bind(which, *cases)[0]
