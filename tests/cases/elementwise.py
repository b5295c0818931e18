"""Cases of the elementwise ops: arithmetic, functions, comparisons, bits, conversions."""

import jax.numpy as jnp
import numpy as np
from jax import lax

from minijax.ops import arithmetic, bits, comparison, conversion, elementwise, families
from tests.cases import array, cases, special


def reals(low=-2.0, high=2.0):
    """Real arguments of one operand: an array, an array of rank 0, narrow floats, a Python scalar."""
    return [(array((2, 3), low=low, high=high),), (array((), low=low, high=high),),
            (array((3,), "bfloat16", low, high),), ((low + high) / 2 + 0.125,)]


def rare():
    """No elements, and half floats, for a few ops of each kind."""
    return [(array((0, 3)),), (array((3,), "float16"),)]


def complexes():
    """A complex argument."""
    return [(array((2, 3), "complex64"),)]


def integers(low=-9, high=9):
    """Integer arguments of one operand."""
    return [(array((2, 3), "int32", low, high),), (array((3,), "uint8", 0, high),), (array((), "int16", low, high),)]


def pairs(low=-2.0, high=2.0):
    """Real arguments of two operands: equal shapes, rank 0 among others, narrow dtypes, Python scalars."""
    x, y = array((2, 3), low=low, high=high), array((2, 3), low=low, high=high, seed=1)
    half = array((3,), "bfloat16", low, high), array((3,), "bfloat16", low, high, seed=1)
    return [(x, y), (x, y[0, 0]), (x[0, 0], y), (x[0, 0], y[0, 0]), (x, high / 2), half]


def complex_pairs():
    """Complex arguments of two operands."""
    return [(array((2, 3), "complex64"), array((2, 3), "complex64", seed=1)),
            (array((2, 3), "complex64"), array((), "complex64", seed=1))]


def integer_pairs(low=-9, high=9):
    """Integer arguments of two operands, zeros among them."""
    return [(array((2, 3), "int32", low, high), array((2, 3), "int32", low, high, seed=1)),
            (array((3,), "uint8", 0, high), array((), "uint8", 0, high, seed=1)),
            (array((), "int32", low, high), array((4,), "int32", low, high, seed=1))]


def booleans():
    """Boolean arguments of two operands."""
    return [(array((2, 3), "bool"), array((2, 3), "bool", seed=1)), (array((3,), "bool"), np.bool_(True))]


def kinks():
    """Pairs that tie, differ by signs of zero, or are not finite."""
    x = special()
    return [(np.repeat(x, len(x)), np.tile(x, len(x)))]


SPECIAL = [(special(),)]


def unary(op, oracle, low=-2.0, high=2.0, complex=True, smooth=True, **options):
    """Cases of a floating-point op in one operand; `low` and `high` bound where it is smooth."""
    return [*cases(op, oracle, *reals(low, high), *(complexes() if complex else []), smooth=smooth, **options),
            *cases(op, oracle, *SPECIAL, **{**options, "smooth": False})]


def binary(op, oracle, low=-2.0, high=2.0, **options):
    """Cases of a floating-point op in two operands."""
    return [*cases(op, oracle, *pairs(low, high), **options),
            *cases(op, oracle, *kinks(), **{**options, "smooth": False})]


def clamp(low, x, high):
    """lax.clamp; JAX cannot differentiate it at bounds of rank 0."""
    return lax.clamp(*jnp.broadcast_arrays(low, x, high))


ARITHMETIC = [
    *binary(families.add_p, lax.add), *cases(families.add_p, lax.add, *complex_pairs(), *integer_pairs()),
    *binary(families.mul_p, lax.mul), *cases(families.mul_p, lax.mul, *complex_pairs(), *integer_pairs()),
    *binary(arithmetic.sub_p, lax.sub), *cases(arithmetic.sub_p, lax.sub, *complex_pairs(), *integer_pairs()),
    *binary(arithmetic.div_p, lax.div, 0.5, 2), *cases(arithmetic.div_p, lax.div, *complex_pairs(), *integer_pairs()),
    *binary(arithmetic.rem_p, lax.rem, 0.7, 3), *cases(arithmetic.rem_p, lax.rem, *integer_pairs()),
    *cases(arithmetic.sub_p, lax.sub, (array((0, 3)), array((0, 3))), (array((0, 3)), np.float32(2))),
    *binary(arithmetic.max_p, lax.max), *cases(arithmetic.max_p, lax.max, *integer_pairs(), *booleans()),
    *binary(arithmetic.min_p, lax.min), *cases(arithmetic.min_p, lax.min, *integer_pairs(), *booleans()),
    *binary(arithmetic.nextafter_p, lambda x, y: lax.nextafter(*lax.stop_gradient((x, y))), smooth=False),
    *unary(arithmetic.neg_p, lax.neg), *cases(arithmetic.neg_p, lax.neg, *integers()),
    *unary(arithmetic.sign_p, lax.sign, complex=False), *cases(arithmetic.sign_p, lax.sign, *integers()),
    *cases(arithmetic.sign_p, lax.sign, *complexes(), smooth=False),
    *unary(arithmetic.floor_p, lax.floor, complex=False),
    *unary(arithmetic.ceil_p, lax.ceil, complex=False),
    *unary(arithmetic.round_p, lax.round, complex=False, rounding_method=0),
    *unary(arithmetic.round_p, lax.round, complex=False, rounding_method=1),
    *unary(arithmetic.is_finite_p, lax.is_finite, complex=False),
    *cases(arithmetic.clamp_p, clamp, (np.float32(-1), array((2, 3)), np.float32(1)), same_hlo=False),
    *cases(arithmetic.clamp_p, lax.clamp, (array((2, 3), high=0), array((2, 3)), array((2, 3), low=0)),
           (-1.0, 0.5, 1.0),
           (array((3,), "int32", -3, 0), array((3,), "int32", -9, 9), array((3,), "int32", 0, 3))),
    *cases(arithmetic.clamp_p, clamp, (np.float32(-1), special(), np.float32(1)),
           (np.float32(1), special(), np.float32(-1)), smooth=False, same_hlo=False),
]

FUNCTIONS = [
    *unary(elementwise.exp_p, lax.exp), *cases(elementwise.exp_p, lax.exp, *rare()),
    *unary(elementwise.exp2_p, lax.exp2),
    *unary(elementwise.expm1_p, lax.expm1),
    *unary(elementwise.log_p, lax.log, 0.1, 3),
    *unary(elementwise.log1p_p, lax.log1p, -0.5, 3),
    *unary(elementwise.logistic_p, lax.logistic),
    *unary(elementwise.sin_p, lax.sin), *cases(elementwise.sin_p, lax.sin, *rare()),
    *unary(elementwise.cos_p, lax.cos),
    *unary(elementwise.tan_p, lax.tan, -1, 1),
    *unary(elementwise.asin_p, lax.asin, -0.9, 0.9),
    *unary(elementwise.acos_p, lax.acos, -0.9, 0.9),
    *unary(elementwise.atan_p, lax.atan),
    *unary(elementwise.sinh_p, lax.sinh),
    *unary(elementwise.cosh_p, lax.cosh),
    *unary(elementwise.tanh_p, lax.tanh),
    *cases(elementwise.tanh_p, lax.tanh, *rare(), (special("bfloat16"),), smooth=False),
    *unary(elementwise.asinh_p, lax.asinh),
    *unary(elementwise.acosh_p, lax.acosh, 1.2, 3, complex=False),
    *cases(elementwise.acosh_p, lax.acosh, *complexes(), smooth=False),  # JAX's derivative is on another branch
    *unary(elementwise.atanh_p, lax.atanh, -0.9, 0.9),
    *unary(elementwise.erf_p, lax.erf, complex=False),
    *unary(elementwise.erfc_p, lax.erfc, complex=False),
    *unary(elementwise.erf_inv_p, lax.erf_inv, -0.9, 0.9, complex=False),
    *unary(elementwise.sqrt_p, lax.sqrt, 0.1, 3),
    *unary(elementwise.rsqrt_p, lax.rsqrt, 0.1, 3),
    *unary(elementwise.cbrt_p, lax.cbrt, 0.1, 3, complex=False),
    *unary(elementwise.square_p, lax.square), *cases(elementwise.square_p, lax.square, *integers()),
    *unary(elementwise.abs_p, lax.abs, 0.1, 3), *cases(elementwise.abs_p, lax.abs, *integers()[::2]),
    *cases(elementwise.abs_p, lax.abs, (np.array([0, 1j, 3 - 4j], "complex64"),), smooth=False),
    *unary(arithmetic.integer_pow_p, lax.integer_pow, 0.2, 2, y=3),
    *unary(arithmetic.integer_pow_p, lax.integer_pow, 0.5, 2, y=-2),
    *unary(arithmetic.integer_pow_p, lax.integer_pow, y=2), *unary(arithmetic.integer_pow_p, lax.integer_pow, y=1),
    *cases(arithmetic.integer_pow_p, lax.integer_pow, *reals(), y=0),
    *cases(arithmetic.integer_pow_p, lax.integer_pow, *integers(), y=3),
    *binary(elementwise.pow_p, lax.pow, 0.2, 3), *cases(elementwise.pow_p, lax.pow, *complex_pairs(), rtol=1e-3),
    *cases(elementwise.pow_p, lax.pow, (array((2, 3), low=0.5), array((2, 3), "int32", -3, 3)),
           (array((2, 3), low=0.5), np.int32(3)), (array((2, 3)), 2)),
    *cases(elementwise.pow_p, lax.pow, (np.zeros(3, np.float32), np.array([0, 1, 2], np.int32)), smooth=False),
    *binary(elementwise.atan2_p, lax.atan2, 0.1, 2),
]


def comparison_cases(op, oracle, *more):
    """Cases of a comparison."""
    return cases(op, oracle, *pairs(), *kinks(), *integer_pairs(), *booleans(), *more)


COMPARISONS = [
    *comparison_cases(comparison.eq_p, lax.eq, *complex_pairs()),
    *comparison_cases(comparison.ne_p, lax.ne, *complex_pairs()),
    *comparison_cases(comparison.lt_p, lax.lt),
    *comparison_cases(comparison.le_p, lax.le),
    *comparison_cases(comparison.gt_p, lax.gt),
    *comparison_cases(comparison.ge_p, lax.ge),
    *cases(comparison.select_n_p, lax.select_n,
           (array((2, 3), "bool"), array((2, 3)), array((2, 3), seed=1)),
           (np.bool_(True), array((2, 3)), array((2, 3), seed=1)),
           (array((4,), "int32", 0, 3), array((4,)), array((4,), seed=1), array((4,), seed=2)),
           (array((4,), "bool"), array((4,), "complex64"), array((4,), "complex64", seed=1)),
           (array((4,), "bool"), array((4,), "int8"), array((4,), "int8", seed=1))),
    *cases(comparison.select_n_p, lambda which, x, y: jnp.where(which, y, x),
           (array((2, 3), "bool"), np.float32(0), array((2, 3))), (array((2, 3), "bool"), np.float32(0), np.float32(1)),
           (np.bool_(True), array((2, 3)), np.float32(0)), same_hlo=False),
]

BITS = [
    *cases(bits.and_p, lax.bitwise_and, *integer_pairs(), *booleans()),
    *cases(bits.or_p, lax.bitwise_or, *integer_pairs(), *booleans()),
    *cases(bits.xor_p, lax.bitwise_xor, *integer_pairs(), *booleans()),
    *cases(bits.not_p, lax.bitwise_not, *integers(), (array((3,), "bool"),)),
    *cases(bits.shift_left_p, lax.shift_left, *integer_pairs(), *integer_pairs(0, 40)),
    *cases(bits.shift_right_logical_p, lax.shift_right_logical, *integer_pairs(), *integer_pairs(0, 40)),
    *cases(bits.shift_right_arithmetic_p, lax.shift_right_arithmetic, *integer_pairs(), *integer_pairs(0, 40)),
    *cases(bits.population_count_p, lax.population_count, *integers()),
    *cases(bits.clz_p, lax.clz, *integers()),
]


def convert(x, new_dtype, weak_type):
    """JAX's conversion; the imaginary part is dropped without its warning."""
    return lax.convert_element_type(lax.real(x) if jnp.iscomplexobj(x) and new_dtype.kind != "c" else x, new_dtype)


def conversions(new_dtype, *arguments):
    """Cases of a conversion to one dtype; numbers lose digits, so differences cannot be taken."""
    return cases(conversion.convert_element_type_p, convert, *arguments, smooth=False, new_dtype=np.dtype(new_dtype),
                 weak_type=False)


CONVERSIONS = [
    *conversions("float32", *reals(), *rare(), *integers(), *complexes(), (array((3,), "bool"),)),
    *conversions(families.dtypes.bfloat16, *reals(), *integers()),
    *conversions("int32", *reals(-90, 90), *complexes(), (array((3,), "bool"),), (special(),)),
    *conversions("uint8", *integers(), (special(),)),
    *conversions("complex64", *reals(), *complexes(), *integers()),
    *conversions("bool", *reals(), *integers(), *complexes()),
    *cases(conversion.bitcast_convert_type_p, lax.bitcast_convert_type, *SPECIAL, (array((2, 3)),),
           new_dtype=np.dtype("int32")),
    *cases(conversion.bitcast_convert_type_p, lax.bitcast_convert_type, (array((2, 3)),), new_dtype=np.dtype("uint8")),
    *cases(conversion.bitcast_convert_type_p, lax.bitcast_convert_type, (array((3, 2), "uint16", 0, 999),),
           new_dtype=np.dtype("float32")),
    *cases(conversion.reduce_precision_p, lax.reduce_precision, *reals(), *SPECIAL, smooth=False,
           exponent_bits=5, mantissa_bits=7),
    *cases(conversion.real_p, lax.real, *complexes()),
    *cases(conversion.imag_p, lax.imag, *complexes()),
    *cases(conversion.conj_p, lax.conj, *complexes()),
    *cases(conversion.complex_p, lax.complex, pairs()[0], pairs()[3]),
    *cases(conversion.complex_p, lambda x, y: lax.complex(*jnp.broadcast_arrays(x, y)), *pairs()[1:3], same_hlo=False),
    *cases(conversion.copy_p, jnp.copy, *reals(), *complexes(), *integers()),
    *cases(conversion.stop_gradient_p, lax.stop_gradient, *reals(), *complexes(), *integers(), smooth=False),
]

CASES = [*ARITHMETIC, *FUNCTIONS, *COMPARISONS, *BITS, *CONVERSIONS]
