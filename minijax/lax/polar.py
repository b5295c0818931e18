"""The polar decomposition x = u h, by the dynamically weighted Halley iteration (Nakatsukasa, Bai, Gygi 2010).

A step is u <- (b/c) u + (a - b/c) u (1 + c u^H u)^-1.  The weights a, b, c depend on a lower bound of the singular
values alone, and are known before the iteration: first large ones, where the inverse is safe by a QR
decomposition only; in the limit 3, 1, 3, with which it goes on until u no longer changes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minijax.errors import ShapeError
from minijax.ir import dtypes
from minijax.lax.control_flow import while_loop
from minijax.lax.loops import scan
from minijax.ops.arithmetic import div, sub
from minijax.ops.bits import bitwise_and, bitwise_not
from minijax.ops.comparison import eq, gt, lt, select_n
from minijax.ops.conversion import convert_element_type
from minijax.ops.elementwise import abs as magnitude
from minijax.ops.elementwise import sqrt
from minijax.ops.families import add, at_line, mul, reduce_sum, scalar_like
from minijax.ops.matrices import block, dagger, identity_like, product
from minijax.ops.operands import operand
from minijax.ops.orthogonal import qr_p
from minijax.ops.reductions import reduce_max
from minijax.ops.solving import cholesky_p, triangular_solve
from minijax.ops.structural import concatenate, iota

Weights = tuple[float, float, float]
Step = Callable[[Any, Any, Any, Any], Any]
CUTOFF = 100.0  # of c, up to which 1 + c u^H u is well enough conditioned for Cholesky


def qdwh(x: Any, *, is_hermitian: bool = False, max_iterations: int | None = None, eps: float | None = None,
         dynamic_shape: tuple[Any, Any] | None = None) -> tuple[Any, Any, Any, Any]:
    """(u, h, iterations, converged) of x = u h, with orthonormal columns in u and h Hermitian, not negative.

    x is one matrix of full rank, with at least as many rows as columns; `dynamic_shape` says that it is
    padded from that shape, which may be traced.  At most `max_iterations` (10) steps are made; u may change by
    the cube root of 5 `eps` in the last one.  `is_hermitian` is accepted, and makes no difference.
    Raises `ShapeError` for fewer rows than columns.

    >>> u, h, iterations, converged = qdwh(np.float32([[0, 2], [-3, 0]]))
    >>> bool(converged), [round(float(x)) for x in np.diag(np.asarray(h))]
    (True, [3, 2])
    """
    x = operand("qdwh", x)
    if x.ndim != 2 or x.shape[0] < x.shape[1]:
        raise ShapeError(f"qdwh takes one matrix of at least as many rows as columns, got {x.type}{at_line()}. "
                         "Decompose the transpose, or use vmap.")
    if dynamic_shape is not None:
        x = _inside(x, *dynamic_shape)
    eps = float(np.finfo(x.dtype).eps if eps is None else eps)
    limit = 10 if max_iterations is None else operator.index(max_iterations)
    tolerance = np.asarray((5 * eps) ** (1 / 3), dtypes.real_dtype(x.dtype))[()]

    def step(halley: Step) -> Callable[[Any, Any], Any]:
        def move(state: Any, weights: Any) -> Any:
            moved = halley(state[0], *weights)
            return (moved, gt(_norm(sub(moved, state[0])), tolerance)), None

        return move

    weights = list(_weights(eps, limit))
    state = _scaled(x), np.True_
    for halley, chosen in ((_by_qr, [w for w in weights if w[2] > CUTOFF]),
                           (_by_cholesky, [w for w in weights if w[2] <= CUTOFF])):
        if chosen:
            columns = np.asarray(chosen, x.dtype).T
            state, _ = scan(step(halley), state, tuple(columns))
    if weights and weights[-1][2] > CUTOFF:  # far from the end, whatever the last step changed
        state = state[0], np.True_

    def goes_on(counted: Any) -> Any:
        return bitwise_and(counted[1][1], lt(counted[0], np.int32(limit)))

    def last(counted: Any) -> Any:
        limits = [scalar_like(x, each) for each in (3.0, 1.0, 3.0)]
        return add(counted[0], np.int32(1)), step(_by_cholesky)(counted[1], limits)[0]

    count, (u, changes) = while_loop(goes_on, last, (np.int32(len(weights)), state))
    u = sub(_times(1.5, u), _times(0.5, product(u, product(dagger(u), u))))  # one step of Newton and Schulz
    h = product(dagger(u), x)
    return u, _times(0.5, add(h, dagger(h))), count, bitwise_not(changes)


def _weights(eps: float, limit: int) -> Iterator[Weights]:
    """Weights for singular values from a lower bound, `eps` at first, up to 1; they move the bound up to 1."""
    bound, count = eps, 0
    while bound + 5 * eps < 1 and count < limit:
        square = bound * bound
        d = (4 * (1 / square - 1) / square) ** (1 / 3)
        root = math.sqrt(1 + d)
        a = root + math.sqrt(2 - d + 2 * (2 - square) / (square * root))
        b = (a - 1) ** 2 / 4
        c = a + b - 1
        yield a, b, c
        bound, count = bound * (a + b * square) / (1 + c * square), count + 1


def _by_cholesky(u: Any, a: Any, b: Any, c: Any) -> Any:
    gram = product(dagger(u), u)
    factor, = cholesky_p.bind(add(identity_like(gram), mul(c, gram)))
    solved = triangular_solve(factor, dagger(u), left_side=True, lower=True)
    solved = triangular_solve(factor, solved, left_side=True, lower=True, transpose_a=True, conjugate_a=True)
    return add(mul(div(b, c), u), mul(sub(a, div(b, c)), dagger(solved)))


def _by_qr(u: Any, a: Any, b: Any, c: Any) -> Any:
    """With Q1 and Q2 of the QR decomposition of sqrt(c) u above 1: sqrt(c) u (1 + c u^H u)^-1 = Q1 Q2^H."""
    m, n = u.shape
    one, root = identity_like(block(u, slice(n), slice(None))), sqrt(c)
    q, _ = qr_p.bind(concatenate([mul(root, u), one], 0), pivoting=False, full_matrices=False, use_magma=None)
    spread = product(block(q, slice(m), slice(None)), dagger(block(q, slice(m, None), slice(None))))
    return add(mul(div(b, c), u), mul(div(sub(a, div(b, c)), root), spread))


def _times(factor: float, x: Any) -> Any:
    return mul(scalar_like(x, factor), x)


def _norm(x: Any) -> Any:
    size = magnitude(x)
    return sqrt(reduce_sum(mul(size, size), (0, 1)))


def _scaled(x: Any) -> Any:
    """x over a bound of its largest singular value: the mean of two norms; zeros stay."""
    size = magnitude(x)
    bound = mul(*[sqrt(reduce_max(reduce_sum(size, (axis,)), (0,))) for axis in (0, 1)])
    bound = select_n(eq(bound, scalar_like(bound, 0.0)), bound, scalar_like(bound, 1.0))
    return div(x, convert_element_type(bound, x.dtype))


def _inside(x: Any, rows: Any, columns: Any) -> Any:
    """x with zeros outside its first rows and columns."""
    row, column = (iota(dtypes.int32, x.shape, axis) for axis in (0, 1))
    limits = [convert_element_type(n, dtypes.int32) for n in (rows, columns)]
    return select_n(bitwise_and(lt(row, limits[0]), lt(column, limits[1])), scalar_like(x, 0.0), x)
