"""How decompositions and solvers differ from `jax.lax.linalg`; all of them look at their operands first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax
from jax.lax import linalg

from minijax.ir.op import Op
from minijax.ir.types import ArrayType
from minijax.lowering.table import ops_of, rules
from minijax.ops import orthogonal, solving, spectral


def _cholesky(x: Any) -> Any:
    return linalg.cholesky(x, symmetrize_input=False)


def _cholesky_update(r: Any, w: Any) -> Any:
    """JAX's takes no stacks."""
    if r.ndim == 2:
        return linalg.cholesky_update(r, w)
    *stack, n = w.shape
    flat = r.reshape(-1, n, n), w.reshape(-1, n)
    return lax.map(lambda one: linalg.cholesky_update(*one), flat).reshape(*stack, n, n)


def _choice(enumeration: Any, name: str | None) -> Any:
    return None if name is None else enumeration[name.upper()]


def _eigh(x: Any, *, algorithm: str | None, **params: Any) -> Any:
    implementation = _choice(linalg.EighImplementation, algorithm)
    return linalg.eigh(x, symmetrize_input=False, implementation=implementation, **params)


def _eig(x: Any, *, implementation: str | None, **params: Any) -> Any:
    return linalg.eig(x, implementation=_choice(linalg.EigImplementation, implementation), **params)


def _svd(x: Any, *, algorithm: str | None, compute_uv: bool, **params: Any) -> Any:
    outs = linalg.svd(x, algorithm=_choice(linalg.SvdAlgorithm, algorithm), compute_uv=compute_uv, **params)
    return (outs[1], outs[0], outs[2]) if compute_uv else outs


def _geqrf(x: Any) -> Any:
    factors, taus = jnp.linalg.qr(x, mode="raw")
    return factors.mT, taus


def _checked(op: Op, rule: Callable[..., Any]) -> Callable[..., Any]:
    """The rule for operands of the right types only: JAX looks at fewer shapes, and LAPACK at none."""
    def lowered(*values: Any, **params: Any) -> Any:
        op.infer(tuple([ArrayType(x.shape, x.dtype) for x in values]), params)
        return rule(*values, **params)

    return lowered


rules.update({
    solving.cholesky_p: _cholesky,
    solving.cholesky_update_p: _cholesky_update,
    orthogonal.geqrf_p: _geqrf,
    spectral.eigh_p: _eigh,
    spectral.eig_p: _eig,
    spectral.svd_p: _svd,
})
for op in ops_of(solving, orthogonal, spectral):
    rules[op] = _checked(op, rules[op])
