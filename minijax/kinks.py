"""`conventions()`: what happens where mathematics leaves a choice, found by evaluating it.

Each row is a name, an expression, and a function that works it out from a set of namespaces; so the
table says what the code does, and another library's namespaces can be put through the same rows.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minijax import lax, nn
from minijax import numpy as mnp
from minijax.api import grad, jvp, vjp, vmap


class Convention(NamedTuple):
    """One row of the table: `evaluate` gives the value from namespaces such as `namespaces`."""

    topic: str
    expression: str
    evaluate: Callable[[Any], Any]


namespaces = types.SimpleNamespace(grad=grad, jvp=jvp, vjp=vjp, vmap=vmap, numpy=mnp, lax=lax, nn=nn)
_TIES = np.float32([1, 3, 3])
_X = np.float32([10, 20, 30])

CONVENTIONS = tuple(Convention(*row) for row in (
    ("abs at 0", "grad(abs)(0.)", lambda m: m.grad(m.numpy.abs)(0.0)),
    ("abs at 0", "grad(abs)(-0.)", lambda m: m.grad(m.numpy.abs)(-0.0)),
    ("abs at 0", "grad(abs)(0j)", lambda m: m.grad(m.numpy.abs)(0j)),
    ("sign", "sign(0.)", lambda m: m.numpy.sign(0.0)),
    ("sign", "grad(sign)(0.)", lambda m: m.grad(m.numpy.sign)(0.0)),
    ("relu at 0", "grad(relu)(0.)", lambda m: m.grad(m.nn.relu)(0.0)),
    ("relu6 at 6", "grad(relu6)(6.)", lambda m: m.grad(m.nn.relu6)(6.0)),
    ("ties of two", "grad(maximum)(2., 2.)", lambda m: m.grad(m.numpy.maximum)(2.0, 2.0)),
    ("ties of two", "grad(minimum)(2., 2.)", lambda m: m.grad(m.numpy.minimum)(2.0, 2.0)),
    ("ties of many", "grad(max)([1., 3., 3.])", lambda m: m.grad(m.numpy.max)(_TIES)),
    ("ties in order", "grad(x -> sort(x)[1])([1., 3., 3.])", lambda m: m.grad(lambda x: m.numpy.sort(x)[1])(_TIES)),
    ("ties in order", "argsort([1., 3., 3.])", lambda m: m.numpy.argsort(_TIES)),
    ("ties so far", "grad(x -> cummax(x)[2])([1., 3., 3.])", lambda m: m.grad(lambda x: m.lax.cummax(x)[2])(_TIES)),
    ("argmax", "grad(x -> x[argmax(x)])([1., 3., 3.])", lambda m: m.grad(lambda x: x[m.numpy.argmax(x)])(_TIES)),
    ("NaN and max", "maximum(nan, 1.)", lambda m: m.numpy.maximum(np.nan, 1.0)),
    ("NaN and argmax", "argmax([1., nan, 3.])", lambda m: m.numpy.argmax(np.float32([1, np.nan, 3]))),
    ("bounds", "grad(x -> clip(x, 0., 1.))(1.)", lambda m: m.grad(lambda x: m.numpy.clip(x, 0.0, 1.0))(1.0)),
    ("bounds", "grad(x -> clamp(0., x, 1.))(1.)", lambda m: m.grad(lambda x: m.lax.clamp(0.0, x, 1.0))(1.0)),
    ("roots at 0", "grad(sqrt)(0.)", lambda m: m.grad(m.numpy.sqrt)(0.0)),
    ("roots at 0", "grad(cbrt)(0.)", lambda m: m.grad(m.numpy.cbrt)(0.0)),
    ("roots at 0", "grad(norm)([0., 0.])", lambda m: m.grad(m.numpy.linalg.norm)(np.zeros(2, np.float32))),
    ("powers at 0", "power(0., 0.)", lambda m: m.numpy.power(0.0, 0.0)),
    ("powers at 0", "grad(power)(0., 0.)", lambda m: m.grad(m.numpy.power)(0.0, 0.0)),
    ("powers at 0", "grad(power, 1)(0., 0.)", lambda m: m.grad(m.numpy.power, 1)(0.0, 0.0)),
    ("powers at 0", "grad(power, 1)(0., 2.)", lambda m: m.grad(m.numpy.power, 1)(0.0, 2.0)),
    ("powers at 0", "grad(grad(x -> x ** 2))(0.)", lambda m: m.grad(m.grad(lambda x: x ** 2))(0.0)),
    ("products with 0", "grad(prod)([0., 2., 3.])", lambda m: m.grad(m.numpy.prod)(np.float32([0, 2, 3]))),
    ("products with 0", "grad(prod)([0., 0., 3.])", lambda m: m.grad(m.numpy.prod)(np.float32([0, 0, 3]))),
    ("angle at 0", "grad(arctan2)(0., 0.)", lambda m: m.grad(m.numpy.arctan2)(0.0, 0.0)),
    ("where and NaN", "grad(x -> where(x > 0, log(x), 0.))(0.)",
     lambda m: m.grad(lambda x: m.numpy.where(x > 0, m.numpy.log(x), 0.0))(0.0)),
    ("where and NaN", "grad(x -> log(where(x > 0, x, 1.)))(0.)",
     lambda m: m.grad(lambda x: m.numpy.log(m.numpy.where(x > 0, x, 1.0)))(0.0)),
    ("steps", "grad(floor)(1.)", lambda m: m.grad(m.numpy.floor)(1.0)),
    ("steps", "grad(x -> x % 1.)(1.)", lambda m: m.grad(lambda x: x % 1.0)(1.0)),
    ("halves", "lax.round(2.5)", lambda m: m.lax.round(2.5)),
    ("halves", "numpy.round(2.5)", lambda m: m.numpy.round(2.5)),
    ("softmax of -inf", "softmax([-inf, -inf])", lambda m: m.nn.softmax(np.float32([-np.inf, -np.inf]))),
    ("integers", "lax.div(1, 0)", lambda m: m.lax.div(np.int32(1), np.int32(0))),
    ("integers", "lax.rem(1, 0)", lambda m: m.lax.rem(np.int32(1), np.int32(0))),
    ("integers", "lax.div(-7, 2)", lambda m: m.lax.div(np.int32(-7), np.int32(2))),
    ("integers", "-7 // 2", lambda m: m.numpy.asarray(-7) // 2),
    ("conversions", "asarray(inf).astype(int32)", lambda m: m.numpy.asarray(np.inf).astype(np.int32)),
    ("conversions", "asarray(nan).astype(int32)", lambda m: m.numpy.asarray(np.nan).astype(np.int32)),
    ("indices outside", "x[i] for x = [10., 20., 30.], i = 5", lambda m: m.numpy.asarray(_X)[m.numpy.asarray(5)]),
    ("indices outside", "x.at[i].set(0.) for i = 5", lambda m: m.numpy.asarray(_X).at[m.numpy.asarray(5)].set(0.0)),
    ("indices outside", "grad(x -> x[i])(x) for i = 5",
     lambda m: m.grad(lambda x: x[m.numpy.asarray(5)])(_X)),
    ("slices outside", "dynamic_slice(x, [2], [2])", lambda m: m.lax.dynamic_slice(_X, (2,), (2,))),
    ("complex gradients", "grad(z -> abs(z) ** 2)(1+2j)", lambda m: m.grad(lambda z: m.numpy.abs(z) ** 2)(1 + 2j)),
    ("complex gradients", "grad(real)(1+2j)", lambda m: m.grad(m.numpy.real)(1 + 2j)),
    ("complex gradients", "grad(imag)(1+2j)", lambda m: m.grad(m.numpy.imag)(1 + 2j)),
    ("complex gradients", "grad(z -> z * z, holomorphic=True)(1+2j)",
     lambda m: m.grad(lambda z: z * z, holomorphic=True)(1 + 2j)),
    ("complex gradients", "vjp(conj, 1j)[1](1+2j)", lambda m: m.vjp(m.numpy.conj, 1j)[1](m.numpy.asarray(1 + 2j))[0]),
    ("complex gradients", "jvp(abs, (3+4j,), (1j,))[1]", lambda m: m.jvp(m.numpy.abs, (3 + 4j,), (1j,))[1]),
    ("psum and grad", "vmap(grad(x -> psum(x, 'i')), axis_name='i')([1., 3., 3.])",
     lambda m: m.vmap(m.grad(lambda x: m.lax.psum(x, "i")), axis_name="i")(_TIES)),
    ("pmean and grad", "vmap(grad(x -> pmean(x, 'i')), axis_name='i')([1., 3., 3.])",
     lambda m: m.vmap(m.grad(lambda x: m.lax.pmean(x, "i")), axis_name="i")(_TIES)),
))


def text_of(value: Any) -> str:
    """A value in one line."""
    array = np.asarray(value)
    return np.array2string(array, separator=", ", floatmode="unique", suppress_small=True).replace("\n", "")


def conventions() -> None:
    """Print what happens at kinks, ties, zeros, bounds and NaN, and how complex and collective gradients go.

    The values are worked out now, by minijax.
    """
    rows = [(each.topic, each.expression, text_of(each.evaluate(namespaces))) for each in CONVENTIONS]
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for topic, expression, value in rows:
        print(f"{topic:{widths[0]}}  {expression:{widths[1]}}  {value}")
