"""What the op tests run over: a `Case` is one op at one list of arguments, beside JAX's function of the same meaning.

Each module here exports `CASES`, with at least one line for every op of its family;
`tests/test_ops.py` runs all checks over all cases.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from minijax.ir.op import Op


@dataclass(frozen=True, eq=False)
class Case:
    """`op` at `args` (NumPy arrays or scalars) and `params`; `oracle(*args, **params)` is JAX's function of them.

    `smooth`: derivatives exist at `args`, so that differences must agree with them, to second order too.
    `same_hlo`: the lowering must give the very program that the oracle gives, not only its values.
    `wrt`: the arguments in which JAX has a derivative, if not all.
    `loops`: batching equals a loop over examples.
    `rtol`: relative tolerance; by default that of the widest error among the dtypes.
    """

    op: Op
    oracle: Callable[..., Any]
    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    same_hlo: bool = True
    rtol: float | None = None
    wrt: tuple[int, ...] | None = None
    loops: bool = True

    def __str__(self) -> str:
        return f"{self.op.name}-" + "-".join(f"{np.asarray(x).dtype.name}{list(np.shape(x))}" for x in self.args)


def cases(op: Op, oracle: Callable[..., Any], *arguments: tuple[Any, ...], smooth: bool = True, same_hlo: bool = True,
          rtol: float | None = None, wrt: tuple[int, ...] | None = None, loops: bool = True,
          **params: Any) -> list[Case]:
    """One case for each tuple of arguments."""
    return [Case(op, oracle, args, params, smooth, same_hlo, rtol, wrt, loops) for args in arguments]


def array(shape: tuple[int, ...], dtype: Any = "float32", low: float = -2.0, high: float = 2.0,
          seed: int = 0) -> np.ndarray:
    """Repeatable random numbers of any dtype between `low` and `high`: equal arguments give equal arrays."""
    random = np.random.default_rng(zlib.crc32(repr((shape, str(dtype), low, high, seed)).encode()))
    dtype = np.dtype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
    values = random.uniform(low, high, shape)
    if dtype.kind == "c":
        return np.asarray(values + 1j * random.uniform(low, high, shape)).astype(dtype)
    if dtype.kind == "b":
        return np.asarray(values > (low + high) / 2)
    return np.asarray(np.floor(values) if dtype.kind in "iu" else values).astype(dtype)


def special(dtype: Any = "float32") -> np.ndarray:
    """Zeros, ones, large, tiny, infinite numbers and NaN."""
    values = np.array([0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3e4, -3e4, 1e-4, np.inf, -np.inf, np.nan])
    return values.astype(getattr(ml_dtypes, dtype) if dtype == "bfloat16" else dtype)
