"""Tiny ops and random programs over them, for the tests of the IR: no floor above `ir` is needed."""

from __future__ import annotations

import enum
import itertools
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minijax.inspect import Interpreter
from minijax.ir import ArrayType, Equation, Jaxpr, Literal, Op, Var, dtypes, register_named

f32, i32 = dtypes.float32, dtypes.int32


def elementwise(x, *others, **params):
    """The type of an elementwise op: that of its first input, which is weak only if all are."""
    weak = all(t.weak_type for t in (x, *others))
    shape = max((t.shape for t in (x, *others)), key=len)
    return (ArrayType(shape, x.dtype, weak),)


def program_types(*types, jaxpr, **params):
    """The type of an op that calls a program."""
    return jaxpr.out_types


class CallOp(Op):
    """An op that runs the program it holds."""

    __slots__ = ()

    def effects_of(self, params: dict[str, Any]) -> frozenset[str]:
        """Those of the held program."""
        return params["jaxpr"].effects


t_add = Op("t_add", type=elementwise, eval=lambda x, y: (np.asarray(x + y),), traits={"commutative"},
           cost=lambda x, y: max(x.size, y.size))
t_sub = Op("t_sub", type=elementwise, eval=lambda x, y: (np.asarray(x - y),), cost=lambda x, y: max(x.size, y.size))
t_neg = Op("t_neg", type=elementwise, eval=lambda x: (np.asarray(-x),), cost=lambda x: x.size)
t_two = Op("t_two", type=lambda x: (x, x), eval=lambda x: (x, np.asarray(-x)))
t_copy = Op("t_copy", type=elementwise, eval=lambda x: (x,), traits={"identity"})
t_tag = Op("t_tag", type=elementwise, eval=lambda x, **params: (x,))
t_fill = Op("t_fill", type=lambda *, value, size: (ArrayType((size,), f32),),
            eval=lambda *, value, size: (np.full(size, value, f32),))
t_sum = Op("t-sum", type=lambda x, *, axes: (ArrayType((), x.dtype),), eval=lambda x, *, axes: (x.sum(dtype=x.dtype),))
t_print = Op("t_print", type=lambda x: (), eval=lambda x: (), effects=frozenset({"print"}))
t_call = CallOp("t_call", type=program_types, traits={"call"})
t_hold = Op("t_hold", type=lambda x, *, jaxpr: (x,), eval=lambda x, *, jaxpr: Interpreter().run(jaxpr, x))


@register_named
class Mode(enum.Enum):
    """A registered enumeration."""

    clip = 1
    fill = 2


@register_named
class Window(NamedTuple):
    """A registered record."""

    size: int
    mode: Mode


def array(*shape: int, dtype: Any = f32, weak: bool = False) -> ArrayType:
    """A type."""
    return ArrayType(shape, dtype, weak)


def equation(op: Op, *inputs: Any, **params: Any) -> Equation:
    """An equation with new result variables."""
    types = op.infer(tuple(x.type for x in inputs), params)
    return Equation(op, inputs, tuple(Var(t) for t in types), params)


def chain(length: int) -> Jaxpr:
    """A program of `length` equations, each reading the one before; one in four repeats another and is dead."""
    x = Var(array(3))
    eqns, last = [], x
    for number in range(length):
        inputs = eqns[-1].inputs if number % 4 == 3 else [last, last] if number % 4 < 2 else [last]
        eqns.append(equation((t_add, t_sub, t_neg, t_neg)[number % 4], *inputs))
        last = last if number % 4 == 3 else eqns[-1].outvars[0]
    return Jaxpr((), (), (x,), eqns, (last,))


def nest(depth: int) -> Jaxpr:
    """A program that calls a program that calls a program..."""
    x = Var(array(3))
    program = Jaxpr((), (), (x,), (), (x,))
    for _ in range(depth):
        x = Var(array(3))
        eqn = equation(t_call, x, jaxpr=program)
        program = Jaxpr((), (), (x,), (eqn,), eqn.outvars)
    return program


floats = st.floats(width=32) | st.sampled_from([0.0, -0.0, float("nan"), float("inf"), -1e-45])
words = st.text(max_size=5) | st.sampled_from(["clip", "a-b", "True", "nan", "float32", "<lambda>", "in", 'q"\\\n'])
params = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | words
    | st.sampled_from([*dtypes.dtype_names, *Mode, Window(3, Mode.clip), array(2, 3), slice(None, 3), np.float32(2),
                       np.bool_(True), dtypes.bfloat16.type(1.5), np.complex64(1 - 0j)]),
    lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)


@st.composite
def programs(draw: Any, depth: int = 2) -> Jaxpr:
    """Random programs of one to a dozen equations, with constants, literals, effects and held programs."""
    type = array(3)
    constvars = [Var(type) for _ in range(draw(st.integers(0, 2)))]
    consts = [np.array(draw(st.lists(floats, min_size=3, max_size=3)), f32) for _ in constvars]
    invars = [Var(type) for _ in range(draw(st.integers(1, 3)))]
    pool = [*constvars, *invars]
    eqns = []
    for _ in range(draw(st.integers(0, 8))):
        eqns.append(draw(equations(pool, depth)))
        pool += [v for v in eqns[-1].outvars if v.type == type]
    outvars = draw(st.lists(st.sampled_from(pool), max_size=3))
    return Jaxpr(constvars, consts, invars, eqns, outvars)


@st.composite
def equations(draw: Any, pool: list[Var], depth: int) -> Equation:
    """A random equation that reads variables of `pool`."""
    x, y = draw(st.sampled_from(pool)), draw(st.sampled_from(pool))
    op = draw(st.sampled_from(
        [t_add, t_add, t_sub, t_neg, t_two, t_copy, t_tag, t_fill, t_sum, t_print, t_call, t_hold]))
    if op in (t_add, t_sub):
        number = draw(st.sampled_from([y, Literal(np.float32(draw(floats))), Literal(float(draw(floats)))]))
        return equation(op, x, number)
    if op is t_tag:
        return equation(op, x, tag=draw(params))
    if op is t_fill:
        return equation(op, value=draw(st.sampled_from([0.0, -0.0, 1.5])), size=3)
    if op is t_sum:
        return equation(op, x, axes=(0,))
    if op is t_call or op is t_hold:
        return draw(holders(pool, depth)) if depth and op is t_call else equation(t_hold, x, jaxpr=nest(0))
    return equation(op, x)


@st.composite
def holders(draw: Any, pool: list[Var], depth: int) -> Equation:
    """A call of a random program."""
    body = draw(programs(depth=depth - 1))
    return equation(t_call, *(draw(st.sampled_from(pool)) for _ in body.invars), jaxpr=body, name="f")


def evaluate(jaxpr: Jaxpr) -> list[bytes]:
    """The bytes of the results on fixed inputs."""
    args = [np.linspace(-1, number, 3, dtype=f32) for number, _ in enumerate(jaxpr.invars)]
    with np.errstate(all="ignore"):
        results = Interpreter().run(jaxpr, *args)
    return list(itertools.starmap(lambda r: np.asarray(r).tobytes(), zip(results)))
