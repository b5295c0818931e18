"""Series of single ops: what is linear, what is a product, and recurrences for the usual functions.

A function that satisfies a differential equation y' = D(x, y) x' with a simple D has its coefficients one
after another (Griewank and Walther, Evaluating Derivatives, chapter 13); `integral` is the step.  What is
not here is found from its jvp rule (`trace.by_derivative`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minijax.ir.op import Op
from minijax.ir.types import zero
from minijax.ops import (arithmetic, comparison, conversion, convolution, dot, elementwise, families, fourier,
                         generators, indexing, memory, parallel, ragged, reductions, scans, searching, slicing, solving,
                         sorting, structural, windows)
from minijax.ops.arithmetic import div, neg
from minijax.ops.families import mul, scalar_like
from minijax.taylor.trace import Series, plus, rules, scaled, times
from minijax.tracing.array import typeof


# ---- linear, constant and bilinear ops

def linear(*series: Series, op: Op, order: int, **params: Any) -> list[Series]:
    """An op that is linear near its operands (moves, sums, chooses): coefficient k is its derivative along x[k]."""
    values = [x[0] for x in series]
    outs = op.bind(*values, **params)
    found = [[y] for y in outs]
    for k in range(1, order + 1):
        tangents = [x[k] for x in series]
        moved = op.jvp(values, tangents, **params)[1] if any(t is not zero for t in tangents) else [zero] * len(outs)
        for each, t in zip(found, moved, strict=True):
            each.append(t)
    return found


def constant(*series: Series, op: Op, order: int, **params: Any) -> list[Series]:
    """An op whose derivative is zero wherever it has one."""
    return [[y] + [zero] * order for y in op.bind(*[x[0] for x in series], **params)]


def bilinear(x: Series, y: Series, *rest: Series, op: Op, order: int, **params: Any) -> list[Series]:
    """A product of two operands: coefficient k is the sum of the products of x[j] and y[k - j]."""
    others = [z[0] for z in rest]

    def product(a: Any, b: Any) -> Any:
        return zero if a is zero or b is zero else op.bind(a, b, *others, **params)[0]

    return [[plus(*[product(x[j], y[k - j]) for j in range(k + 1)]) for k in range(order + 1)]]


LINEAR = (
    families.add_p, families.broadcast_in_dim_p, families.reshape_p, families.transpose_p, families.reduce_sum_p,
    arithmetic.neg_p, arithmetic.sub_p, arithmetic.max_p, arithmetic.min_p, arithmetic.clamp_p, comparison.select_n_p,
    conversion.convert_element_type_p, conversion.reduce_precision_p, conversion.real_p, conversion.imag_p,
    conversion.conj_p, conversion.complex_p, conversion.copy_p, structural.squeeze_p, structural.concatenate_p,
    structural.split_p, structural.rev_p, slicing.pad_p, slicing.slice_p, slicing.dynamic_slice_p,
    slicing.dynamic_update_slice_p, indexing.gather_p, indexing.scatter_p, indexing.scatter_add_p,
    reductions.reduce_max_p, reductions.reduce_min_p, scans.cumsum_p, scans.cummax_p, scans.cummin_p, sorting.sort_p,
    searching.top_k_p, searching.approx_top_k_p, fourier.fft_p, generators.optimization_barrier_p,
    windows.reduce_window_sum_p, windows.reduce_window_max_p, windows.reduce_window_min_p,
    parallel.psum_p, parallel.pmax_p, parallel.pmin_p, parallel.all_gather_p, parallel.psum_scatter_p,
    parallel.all_to_all_p, parallel.ppermute_p, memory.name_p, memory.to_memory_p)
CONSTANT = (arithmetic.sign_p, arithmetic.floor_p, arithmetic.ceil_p, arithmetic.round_p, arithmetic.nextafter_p,
            conversion.stop_gradient_p)
BILINEAR = families.mul_p, dot.dot_general_p, convolution.conv_general_dilated_p, ragged.ragged_dot_general_p
rules.update({op: linear for op in LINEAR})
rules.update({op: constant for op in CONSTANT})
rules.update({op: bilinear for op in BILINEAR})


# ---- recurrences

def integral(slope: Series, x: Series, k: int) -> Any:
    """Coefficient k of the integral of slope(t) x'(t): the sum of j x[j] slope[k-j] / k over j = 1 .. k."""
    return plus(*[scaled(times(x[j], slope[k - j]), j / k) for j in range(1, k + 1)])


def convolution_at(x: Series, y: Series, k: int) -> Any:
    """Coefficient k of x(t) y(t)."""
    return plus(*[times(x[j], y[k - j]) for j in range(k + 1)])


def unary(function: Callable[[Series, int], Series]) -> Callable[..., list[Series]]:
    """A rule from a function of one series and the order."""
    return lambda x, *, op, order: [function(x, order)]


def solution(op: Op, slope: Callable[[Series, int], Any], rate: float = 1.0) -> None:
    """The rule of y = op(x) with y' = rate * D(y) x', where `slope(y, k)` is coefficient k of D(y)."""
    def rule(x: Series, *, op: Op, order: int) -> list[Series]:
        y, = op.bind(x[0])
        found, slopes = [y], []
        for k in range(1, order + 1):
            slopes.append(slope(found, k - 1))
            found.append(scaled(integral(slopes, x, k), rate))
        return [found]

    rules[op] = rule


def _one(y: Series, k: int) -> Any:
    return scalar_like(y[0], 1.0) if k == 0 else zero


solution(elementwise.exp_p, lambda y, k: y[k])
solution(elementwise.exp2_p, lambda y, k: y[k], math.log(2))
solution(elementwise.expm1_p, lambda y, k: plus(y[k], _one(y, k)))
solution(elementwise.tan_p, lambda y, k: plus(convolution_at(y, y, k), _one(y, k)))
solution(elementwise.tanh_p, lambda y, k: plus(_one(y, k), scaled(convolution_at(y, y, k), -1.0)))
solution(elementwise.logistic_p, lambda y, k: plus(y[k], scaled(convolution_at(y, y, k), -1.0)))


def couple(first: Op, second: Op, sign: float) -> None:
    """The rules of sine and cosine, which are each other's derivatives: s' = c x' and c' = sign * s x'."""
    def both(x: Series, order: int) -> tuple[Series, Series]:
        s, c = [first.bind(x[0])[0]], [second.bind(x[0])[0]]
        for k in range(1, order + 1):
            s_k, c_k = integral(c, x, k), scaled(integral(s, x, k), sign)
            s.append(s_k)
            c.append(c_k)
        return s, c

    rules[first] = unary(lambda x, order: both(x, order)[0])
    rules[second] = unary(lambda x, order: both(x, order)[1])


couple(elementwise.sin_p, elementwise.cos_p, -1.0)
couple(elementwise.sinh_p, elementwise.cosh_p, 1.0)


def quotient(x: Series, y: Series, order: int) -> Series:
    """x / y: from x = z y, coefficient by coefficient."""
    z = [div(x[0], y[0])]
    for k in range(1, order + 1):
        rest = plus(x[k], *[scaled(times(z[k - j], y[j]), -1.0) for j in range(1, k + 1)])
        z.append(zero if rest is zero else div(rest, y[0]))
    return z


def _logarithm(op: Op, shift: float) -> None:
    """log(x + shift): y' (x + shift) = x'."""
    def rule(x: Series, *, op: Op, order: int) -> list[Series]:
        y, base = list(op.bind(x[0])), plus(x[0], scalar_like(x[0], 1.0) if shift else zero)
        for k in range(1, order + 1):
            rest = plus(x[k], *[scaled(times(y[j], x[k - j]), -j / k) for j in range(1, k)])
            y.append(zero if rest is zero else div(rest, base))
        return [y]

    rules[op] = rule


def _power(x: Series, exponent: float, y: Any, order: int) -> Series:
    """x to a constant power, whose value is y: x y' = exponent y x'."""
    found = [y]
    for k in range(1, order + 1):
        terms = [scaled(times(x[j], found[k - j]), (exponent + 1) * j / k - 1) for j in range(1, k + 1)
                 if (exponent + 1) * j != k]
        rest = plus(*terms)
        found.append(zero if rest is zero else div(rest, x[0]))
    return found


def _root(x: Series, *, op: Op, order: int) -> list[Series]:
    """sqrt: y y = x."""
    y = list(op.bind(x[0]))
    for k in range(1, order + 1):
        rest = plus(x[k], *[scaled(times(y[j], y[k - j]), -1.0) for j in range(1, k)])
        y.append(zero if rest is zero else div(rest, scaled(y[0], 2.0)))
    return [y]


def _square(x: Series, order: int) -> Series:
    return [convolution_at(x, x, k) for k in range(order + 1)]


def _whole_power(x: Series, *, op: Op, order: int, y: int) -> list[Series]:
    """x to a whole power by repeated squaring, which is exact where x is zero."""
    value, = op.bind(x[0], y=y)
    one = [scalar_like(x[0], 1.0)] + [zero] * order
    result, base, left = None, x, abs(y)
    while left:
        if left % 2:
            result = base if result is None else [convolution_at(result, base, k) for k in range(order + 1)]
        base, left = _square(base, order) if left > 1 else base, left // 2
    power = result if result is not None else one
    return [[value, *(quotient(one, power, order) if y < 0 else power)[1:]]]


def _pow(x: Series, y: Series, *, op: Op, order: int) -> list[Series]:
    """x^y = exp(y log x); for a constant y the binomial series around x[0], which holds at whole powers of zero too."""
    value, = op.bind(x[0], y[0])
    if any(c is not zero for c in y[1:]):
        exponent = rules[families.mul_p](y, rules[elementwise.log_p](x, op=elementwise.log_p, order=order)[0],
                                         op=families.mul_p, order=order)[0]
        found = [value]
        for k in range(1, order + 1):
            found.append(integral(found, exponent, k))
        return [found]
    a = conversion.convert_element_type(y[0], typeof(x[0]).dtype)
    factors, factor, power = [], scalar_like(a, 1.0), a
    for k in range(1, order + 1):  # binomial(a, k) x[0]^(a - k), 0 where the binomial is
        factor = mul(factor, div(power, scalar_like(a, float(k))))
        power = families.add(power, scalar_like(a, -1.0))
        nothing = comparison.eq(factor, scalar_like(a, 0.0))
        safe = comparison.select_n(nothing, power, scalar_like(a, 0.0))
        factors.append(mul(factor, elementwise.pow(x[0], safe)))
    return [_composed(value, factors, x, order)]


def _composed(value: Any, factors: list[Any], x: Series, order: int) -> Series:
    """The series of value + the sum of factors[i] u^(i+1), for u(t) = x(t) - x[0], by Horner's scheme."""
    u = [zero, *x[1:]]
    total = [zero] * (order + 1)
    for factor in reversed(factors):
        total = [convolution_at(total, u, k) for k in range(order + 1)]
        total = [plus(total[k], times(u[k], factor)) for k in range(order + 1)]
    return [value, *total[1:]]


_logarithm(elementwise.log_p, 0.0)
_logarithm(elementwise.log1p_p, 1.0)
rules[arithmetic.div_p] = lambda x, y, *, op, order: [quotient(x, y, order)]
rules[arithmetic.integer_pow_p] = _whole_power
rules[elementwise.pow_p] = _pow
rules[elementwise.square_p] = unary(_square)
rules[elementwise.sqrt_p] = _root
rules[elementwise.rsqrt_p] = lambda x, *, op, order: [_power(x, -0.5, op.bind(x[0])[0], order)]
rules[elementwise.cbrt_p] = lambda x, *, op, order: [_power(x, 1 / 3, op.bind(x[0])[0], order)]


# ---- solving

def _triangular(a: Series, b: Series, *, op: Op, order: int, **params: Any) -> list[Series]:
    """a x = b: a[0] x[k] is b[k] less the sum of a[j] x[k - j] over j = 1 .. k."""
    found = list(op.bind(a[0], b[0], **params))
    for k in range(1, order + 1):
        rest = plus(b[k], *[neg(solving.triangular_product(a[j], found[k - j], **params)) for j in range(1, k + 1)
                            if a[j] is not zero and found[k - j] is not zero])
        found.append(zero if rest is zero else op.bind(a[0], rest, **params)[0])
    return [found]


rules[solving.triangular_solve_p] = _triangular
