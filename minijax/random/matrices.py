"""Random matrices."""

from __future__ import annotations

import operator
from typing import Any

from minijax.errors import MinijaxValueError
from minijax.lax import linalg
from minijax.ops.elementwise import sign
from minijax.ops.families import at_line, mul
from minijax.ops.matrices import diagonal, flipped, in_rows
from minijax.random.distributions import normal
from minijax.random.keys import as_float, as_shape, check_key, refuse_sharding


def orthogonal(key: Any, n: int, shape: Any = (), dtype: Any = None, m: int | None = None, *,
               out_sharding: Any = None) -> Any:
    """Orthogonal matrices with n rows, uniform among all; unitary ones for a complex dtype.

    With m columns, the rows are orthonormal if m > n, and the columns if m < n.  `shape` is that of the stack.
    Raises `MinijaxValueError` for negative sizes.  (Mezzadri, arXiv:math-ph/0609050.)

    >>> import numpy as np
    >>> q = orthogonal(np.array([0, 7], np.uint32), 3)
    >>> bool(np.allclose(q @ q.T, np.eye(3), atol=1e-5))
    True
    """
    check_key("orthogonal", key)
    refuse_sharding("orthogonal", out_sharding)
    rows = operator.index(n)
    columns = rows if m is None else operator.index(m)
    if rows < 0 or columns < 0:
        raise MinijaxValueError(f"random.orthogonal: {rows} rows and {columns} columns are not sizes{at_line()}.")
    small = min(rows, columns)
    draws = normal(key, (*as_shape("orthogonal", shape), max(rows, columns), small),
                   as_float("orthogonal", dtype, complex_too=True))
    q, r = linalg.qr(draws, full_matrices=False)
    q = mul(q, in_rows(sign(diagonal(r)), q.shape[-2]))
    return q if rows >= columns else flipped(q)
