"""Ops on the bits of integers and booleans; none of them has a derivative."""

from __future__ import annotations

import numpy as np

from minijax.ir import dtypes
from minijax.ops import reference, reference_special
from minijax.ops.families import binary_function, bitwise, nary, unary, unary_function

and_p = nary("and", np.bitwise_and, takes=bitwise, traits=("commutative",))
or_p = nary("or", np.bitwise_or, takes=bitwise, traits=("commutative",))
xor_p = nary("xor", np.bitwise_xor, takes=bitwise, traits=("commutative",))
not_p = unary("not", np.invert, takes=bitwise)
shift_left_p = nary("shift_left", reference.shift_left, takes=dtypes.is_integer)
shift_right_logical_p = nary("shift_right_logical", reference.shift_right_logical, takes=dtypes.is_integer)
shift_right_arithmetic_p = nary("shift_right_arithmetic", reference.shift_right_arithmetic, takes=dtypes.is_integer)
population_count_p = unary("population_count", reference.population_count, takes=dtypes.is_integer)
clz_p = unary("clz", reference.clz, takes=dtypes.is_integer)
mulhi_p = nary("mulhi", reference_special.mulhi, takes=dtypes.is_integer, traits=("commutative",))

bitwise_and = binary_function(and_p, "Bits set in both operands; of booleans, x and y.")
bitwise_or = binary_function(or_p, "Bits set in either operand; of booleans, x or y.")
bitwise_xor = binary_function(xor_p, "Bits set in just one operand; of booleans, x != y.")
bitwise_not = unary_function(not_p, "The other bits; of booleans, not x.")
shift_left = binary_function(shift_left_p, "Move the bits of x up by y; 0 where y reaches the width.")
shift_right_logical = binary_function(shift_right_logical_p, "Move the bits of x down by y; zeros come in.")
shift_right_arithmetic = binary_function(shift_right_arithmetic_p,
                                         "Move the bits of x down by y; copies of the highest bit come in.")
population_count = unary_function(population_count_p, "Number of bits set.")
clz = unary_function(clz_p, "Number of zero bits above the highest bit set.")
mulhi = binary_function(mulhi_p, "The upper half of the bits of x * y.")
