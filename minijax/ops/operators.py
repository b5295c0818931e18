"""The operators of Python on arrays: NumPy's functions behind them, and their table.

Operands are promoted and broadcast by JAX's rules.  `Array` and `Tracer` get their
operators at the end, in one visible loop; an operand that is no value makes an operator
answer NotImplemented, so that other classes' reflected operators have their turn.

A function of several ops is `Fusible`: `numpy/` makes it one compiled kernel when eager.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from minijax.errors import DtypeError
from minijax.ir import dtypes
from minijax.ir.op import Op
from minijax.ops import arithmetic, bits, comparison, elementwise
from minijax.ops.contraction import matmul
from minijax.ops.conversion import convert_element_type, imag, real
from minijax.ops.families import add_p, any_number, mul_p, scalar_like
from minijax.ops.promotion import (INEXACT, NUMBERS, broadcast_operands, broadcast_shapes, broadcast_to, convert,
                                   harmonize, matched, promoted, promoted_inexact, promoted_numeric)
from minijax.tracing.array import Array, is_value, typeof
from minijax.tracing.source import at_line

__all__ = ["Fusible", "absolute", "add", "bitwise_and", "bitwise_or", "bitwise_xor", "broadcast_operands",
           "broadcast_shapes", "broadcast_to", "convert", "divmod", "equal", "floor_divide", "greater", "greater_equal",
           "harmonize", "invert", "left_shift", "less", "less_equal", "matmul", "maximum", "minimum", "multiply",
           "negative", "not_equal", "positive", "power", "promoted", "promoted_inexact", "promoted_numeric",
           "remainder", "right_shift", "subtract", "true_divide"]


class Fusible:
    """A function of several ops.  `run` is the function; `numpy/` puts a fused form of it there."""

    every: list[Fusible] = []

    def __init__(self, function: Callable[..., Any]) -> None:
        self.run = function
        Fusible.every.append(self)


def binary(name: str, op: Op, kinds: Collection[Any] | None, meaning: str,
           mixed: Callable[[Any, Any], Any] | None = None) -> Callable[..., Any]:
    """NumPy's function of an elementwise op.

    Operands of other dtypes than `kinds`, or that need conversion, go to the function `mixed`.
    """
    def harmonized(x: Any, y: Any) -> Any:
        return op.bind(*harmonize(name, x, y))[0]

    slow = Fusible(mixed or harmonized)

    def function(x: Any, y: Any, /) -> Any:
        pair = matched(x, y, kinds)
        return slow.run(x, y) if pair is None else op.bind(*pair)[0]

    return _named(function, name, meaning)


def _named(function: Callable[..., Any], name: str, meaning: str) -> Callable[..., Any]:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (f"{meaning}\n\n    Operands are promoted to a common dtype and broadcast to a common shape;\n"
                        "    raises `ShapeError` or `DtypeError` if they have none.\n    ")
    return function


def _compiled(name: str, meaning: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a binary function of several ops."""
    def decorate(run: Callable[[Any, Any], Any]) -> Callable[..., Any]:
        slow = Fusible(run)

        def function(x: Any, y: Any, /) -> Any:
            return slow.run(x, y)

        return _named(function, name, meaning)

    return decorate


# ---- arithmetic ----

def _or_of_bool(name: str, op: Op, of_bool: Op) -> Callable[[Any, Any], Any]:
    def mixed(x: Any, y: Any) -> Any:
        x, y = harmonize(name, x, y)
        return (of_bool if typeof(x).dtype == dtypes.bool_ else op).bind(x, y)[0]

    return mixed


def _numeric(name: str, x: Any, y: Any) -> list[Any]:
    return broadcast_operands(name, *promoted_numeric(name, x, y))


def _divide(x: Any, y: Any) -> Any:
    return arithmetic.div(*broadcast_operands("true_divide", *promoted_inexact("true_divide", x, y)))


add = binary("add", add_p, NUMBERS, "x + y, elementwise; of booleans, x or y.", _or_of_bool("add", add_p, bits.or_p))
subtract = binary("subtract", arithmetic.sub_p, NUMBERS, "x - y, elementwise.")
multiply = binary("multiply", mul_p, NUMBERS, "x * y, elementwise; of booleans, x and y.",
                  _or_of_bool("multiply", mul_p, bits.and_p))
true_divide = binary("true_divide", arithmetic.div_p, INEXACT, "x / y, elementwise, in floating point.", _divide)
maximum = binary("maximum", arithmetic.max_p, None, "The larger of x and y, elementwise; NaN if one is.")
minimum = binary("minimum", arithmetic.min_p, None, "The smaller of x and y, elementwise; NaN if one is.")


def _float_divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Quotient and remainder of real numbers; the remainder has the sign of y."""
    remainder = arithmetic.rem(x, y)
    quotient = arithmetic.div(arithmetic.sub(x, remainder), y)
    other_sign = bits.bitwise_and(comparison.ne(remainder, scalar_like(x, 0.0)),
                                  comparison.ne(arithmetic.sign(y), arithmetic.sign(remainder)))
    down = comparison.select_n(other_sign, quotient, arithmetic.sub(quotient, scalar_like(x, 1.0)))
    whole = comparison.select_n(comparison.eq(y, scalar_like(y, 0.0)), arithmetic.round(down), arithmetic.div(x, y))
    return whole, comparison.select_n(other_sign, remainder, add(remainder, y))


@_compiled("floor_divide", "x / y rounded down, elementwise.")
def floor_divide(x: Any, y: Any) -> Any:
    x, y = _numeric("floor_divide", x, y)
    dtype = typeof(x).dtype
    if dtypes.is_complex(dtype):
        raise DtypeError(f"floor_divide: complex numbers are not rounded down{at_line()}. Divide with /.")
    if dtypes.is_unsigned(dtype):
        return arithmetic.div(x, y)
    if dtypes.is_float(dtype):
        return _float_divmod(x, y)[0]
    quotient = arithmetic.div(x, y)
    inexact = comparison.ne(arithmetic.rem(x, y), scalar_like(x, 0))
    below_zero = bits.bitwise_and(comparison.ne(arithmetic.sign(x), arithmetic.sign(y)), inexact)
    return comparison.select_n(below_zero, quotient, arithmetic.sub(quotient, scalar_like(x, 1)))


@_compiled("remainder", "x - y * floor(x / y), elementwise: with the sign of y.")
def remainder(x: Any, y: Any) -> Any:
    x, y = _numeric("remainder", x, y)
    nothing = scalar_like(x, 0)
    if dtypes.is_integer(typeof(x).dtype):
        y = comparison.select_n(comparison.eq(y, nothing), y, scalar_like(x, 1))
    truncated = arithmetic.rem(x, y)
    other_sign = comparison.ne(comparison.lt(truncated, nothing), comparison.lt(y, nothing))
    plus = bits.bitwise_and(other_sign, comparison.ne(truncated, nothing))
    return comparison.select_n(plus, truncated, add(truncated, y))


@_compiled("divmod", "The pair of floor_divide and remainder, elementwise.")
def divmod(x: Any, y: Any) -> Any:
    x, y = _numeric("divmod", x, y)
    return _float_divmod(x, y) if dtypes.is_float(typeof(x).dtype) else (floor_divide(x, y), remainder(x, y))


# ---- powers ----

def _integer_to_integer(x: Any, y: Any) -> Any:
    """Repeated squaring, for exponents of up to six bits."""
    one, nothing = scalar_like(y, 1), scalar_like(y, 0)
    vanishes = bits.bitwise_and(comparison.eq(x, scalar_like(x, 0)), comparison.ne(y, nothing))
    power = comparison.select_n(vanishes, scalar_like(x, 1), scalar_like(x, 0))
    for _ in range(6):
        odd = comparison.ne(bits.bitwise_and(y, one), nothing)
        power = comparison.select_n(odd, power, multiply(power, x))
        x, y = multiply(x, x), bits.shift_right_logical(y, one)
    return power


def _power(x: Any, y: Any) -> Any:
    x_same, y_same = promoted_numeric("power", x, y)
    if dtypes.is_integer(typeof(x_same).dtype):
        return _integer_to_integer(*broadcast_operands("power", x_same, y_same))
    if dtypes.is_inexact(typeof(x).dtype) and dtypes.is_integer(typeof(y).dtype):
        return elementwise.pow(*broadcast_operands("power", x, y))
    return elementwise.pow(*broadcast_operands("power", x_same, y_same))


_mixed_power = Fusible(_power)


def power(x: Any, y: Any, /) -> Any:
    """x to the power y, elementwise; a whole number known while tracing is a parameter of the op.

    Raises `ShapeError` or `DtypeError` if the operands do not fit.
    """
    whole = _whole(y)
    if whole is not None and is_value(x):
        return elementwise.integer_pow(promoted_numeric("power", x)[0], whole)
    pair = matched(x, y, INEXACT)
    return _mixed_power.run(x, y) if pair is None else elementwise.pow(*pair)


def _whole(y: Any) -> int | None:
    """An exponent that is one known whole number, else None."""
    if isinstance(y, (int, np.integer)):
        return int(y)
    concrete = type(y) is Array and not y.shape and dtypes.is_integer(y.dtype)
    return int(y) if concrete else None


# ---- bits ----

def _shift(name: str, signed: Op, unsigned: Op, meaning: str) -> Callable[..., Any]:
    def mixed(x: Any, y: Any) -> Any:
        x, y = _numeric(name, x, y)
        return (unsigned if dtypes.is_unsigned(typeof(x).dtype) else signed).bind(x, y)[0]

    return _compiled(name, meaning)(mixed)


bitwise_and = binary("bitwise_and", bits.and_p, None, "Bits set in both x and y; of booleans, x and y.")
bitwise_or = binary("bitwise_or", bits.or_p, None, "Bits set in x or in y; of booleans, x or y.")
bitwise_xor = binary("bitwise_xor", bits.xor_p, None, "Bits set in just one of x and y; of booleans, x != y.")
left_shift = _shift("left_shift", bits.shift_left_p, bits.shift_left_p, "The bits of x moved up by y places.")
right_shift = _shift("right_shift", bits.shift_right_arithmetic_p, bits.shift_right_logical_p,
                     "The bits of x moved down by y places; the sign stays.")


# ---- comparisons ----

_in_order = frozenset((*NUMBERS, dtypes.bool_)) - {d for d in NUMBERS if dtypes.is_complex(d)}


def _order(name: str, op: Op, meaning: str) -> Callable[..., Any]:
    """A comparison; complex numbers are ordered by their real, then their imaginary parts."""
    def mixed(x: Any, y: Any) -> Any:
        x, y = harmonize(name, x, y)
        if not dtypes.is_complex(typeof(x).dtype):
            return op.bind(x, y)[0]
        first, second = op.bind(real(x), real(y))[0], op.bind(imag(x), imag(y))[0]
        return comparison.select_n(comparison.eq(real(x), real(y)), first, second)

    return binary(name, op, _in_order, meaning, mixed)


equal = binary("equal", comparison.eq_p, None, "Whether x == y, elementwise.")
not_equal = binary("not_equal", comparison.ne_p, None, "Whether x != y, elementwise.")
less = _order("less", comparison.lt_p, "Whether x < y, elementwise.")
less_equal = _order("less_equal", comparison.le_p, "Whether x <= y, elementwise.")
greater = _order("greater", comparison.gt_p, "Whether x > y, elementwise.")
greater_equal = _order("greater_equal", comparison.ge_p, "Whether x >= y, elementwise.")


# ---- one operand ----

def negative(x: Any, /) -> Any:
    """-x, elementwise; raises `DtypeError` for booleans."""
    return arithmetic.neg(*promoted("negative", x))


def positive(x: Any, /) -> Any:
    """x itself."""
    return x if isinstance(x, Array) else convert_element_type(x, typeof(x).dtype, typeof(x).weak_type)


def absolute(x: Any, /) -> Any:
    """|x|, elementwise; the modulus of complex numbers, which is real."""
    x, = promoted("absolute", x)
    dtype = typeof(x).dtype
    return elementwise.abs(x) if any_number(dtype) and not dtypes.is_unsigned(dtype) else positive(x)


def invert(x: Any, /) -> Any:
    """The other bits of x, elementwise; of booleans, not x."""
    return bits.bitwise_not(*promoted("invert", x))


# ---- the table ----

_operands = (Array, int, float, complex, np.ndarray, np.generic)


def _infix(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return function(self, other) if isinstance(other, _operands) or is_value(other) else NotImplemented

    return method


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        return function(other, self) if isinstance(other, _operands) or is_value(other) else NotImplemented

    return method


_arithmetic = {"add": add, "sub": subtract, "mul": multiply, "matmul": matmul, "truediv": true_divide,
               "floordiv": floor_divide, "mod": remainder, "divmod": divmod, "pow": power, "and": bitwise_and,
               "or": bitwise_or, "xor": bitwise_xor, "lshift": left_shift, "rshift": right_shift}
_comparisons = {"eq": equal, "ne": not_equal, "lt": less, "le": less_equal, "gt": greater, "ge": greater_equal}
_prefixes = {"neg": negative, "pos": positive, "abs": absolute, "invert": invert}

for _name, _function in (_arithmetic | _comparisons).items():
    Array.define(f"__{_name}__", _infix(_function))
for _name, _function in _arithmetic.items():
    Array.define(f"__r{_name}__", _reflected(_function))
for _name, _function in _prefixes.items():
    Array.define(f"__{_name}__", _function)
