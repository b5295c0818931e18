"""Elementwise arithmetic, comparison and the usual functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from minijax.ir.op import Linear
from minijax.ops.families import add_p, any_number, mul, nary, ordered, scalar_like, to_bool, unary, unbroadcast


def _neg_transpose(cts: Any, x: Any) -> Any:
    return (neg(cts[0]),)


neg_p = unary("neg", np.negative, jvp=lambda primals, tangents: (neg_p.bind(*primals), neg_p.bind(*tangents)),
              takes=any_number, transpose=_neg_transpose)
sin_p = unary("sin", np.sin, lambda y, x: cos(x))
cos_p = unary("cos", np.cos, lambda y, x: neg(sin(x)))
exp_p = unary("exp", np.exp, lambda y, x: y)
log_p = unary("log", np.log, lambda y, x: div(scalar_like(x, 1.0), x))
tanh_p = unary("tanh", np.tanh, lambda y, x: sub(scalar_like(x, 1.0), mul(y, y)))


def _sub_transpose(cts: Any, x: Any, y: Any) -> Any:
    return (unbroadcast(cts[0], x) if type(x) is Linear else None,
            unbroadcast(neg(cts[0]), y) if type(y) is Linear else None)


sub_p = nary("sub", np.subtract, (lambda t, z, x, y: t, lambda t, z, x, y: neg(t)), transpose=_sub_transpose)
div_p = nary("div", np.divide, (lambda t, z, x, y: div(t, y), lambda t, z, x, y: neg(mul(t, div(z, y)))),
             transpose=lambda cts, x, y: (unbroadcast(div(cts[0], y), x), None))
lt_p = nary("lt", np.less, takes=ordered, result=to_bool)
gt_p = nary("gt", np.greater, takes=ordered, result=to_bool)


def neg(x: Any) -> Any:
    """-x."""
    return neg_p.bind(x)[0]


def sin(x: Any) -> Any:
    """Sine of x in radians."""
    return sin_p.bind(x)[0]


def cos(x: Any) -> Any:
    """Cosine of x in radians."""
    return cos_p.bind(x)[0]


def sub(x: Any, y: Any) -> Any:
    """x - y."""
    return sub_p.bind(x, y)[0]


def div(x: Any, y: Any) -> Any:
    """x / y."""
    return div_p.bind(x, y)[0]


def add_any(x: Any, y: Any) -> Any:
    """Sum of two cotangents of one value."""
    return add_p.bind(x, y)[0]
