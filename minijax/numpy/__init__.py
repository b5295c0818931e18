"""NumPy's API on minijax's arrays: names, arguments and results as in `jax.numpy`.

Importing it puts JAX behind the floors below, if JAX is installed, and fills in the
methods of `Array`.  Each function is in a small module named for its topic.
"""

import numpy as _np

try:
    from minijax.interop import transforms as _transforms  # noqa: F401  (what JAX's own transformations need)
    from minijax import lowering as _lowering
except ModuleNotFoundError as _error:
    if _error.name != "jax":
        raise
else:
    _lowering.install()

from minijax.numpy import linalg as linalg
from minijax.numpy.arrange import (diag, diagonal, flip, fliplr, flipud, pad, repeat, roll, rot90, tile, trace, tril,
                                   tril_indices, triu, triu_indices)
from minijax.numpy.creation import (arange, array, asarray, copy, empty, empty_like, eye, full, full_like, identity,
                                    linspace, meshgrid, ones, ones_like, tri, zeros, zeros_like)
from minijax.numpy.dtypes import (bfloat16, bool_, can_cast, cdouble, complex128, complex64, complex_,
                                  complexfloating, csingle, double, dtype, finfo, float16, float32, float64,
                                  float8_e4m3b11fnuz, float8_e4m3fn, float8_e4m3fnuz, float8_e5m2, float8_e5m2fnuz,
                                  float_, floating, generic, iinfo, inexact, int16, int2, int32, int4, int64, int8,
                                  int_, integer, isdtype, issubdtype, number, promote_types, result_type,
                                  signedinteger, single, uint, uint16, uint2, uint32, uint4, uint64, uint8,
                                  unsignedinteger)
from minijax.numpy.einstein import einsum
from minijax.numpy.elementwise import (abs, absolute, acos, acosh, add, angle, arccos, arccosh, arcsin, arcsinh,
                                       arctan, arctan2, arctanh, around, asin, asinh, atan, atan2, atanh, bitwise_and,
                                       bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or,
                                       bitwise_right_shift, bitwise_xor, cbrt, ceil, clip, conj, conjugate, copysign,
                                       cos, cosh, deg2rad, degrees, divide, divmod, equal, exp, exp2, expm1, fabs,
                                       fix, float_power, floor, floor_divide, fmod, greater, greater_equal, heaviside,
                                       hypot, imag, invert, isclose, iscomplexobj, isfinite, isinf, isnan, isneginf,
                                       isposinf, isrealobj,
                                       left_shift, less, less_equal, log, log10, log1p, log2, logaddexp, logical_and,
                                       logical_not, logical_or, logical_xor, maximum, minimum, mod, multiply,
                                       nan_to_num, negative, nextafter, not_equal, positive, pow, power, rad2deg,
                                       radians, real, reciprocal, remainder, right_shift, rint, round, sign, signbit,
                                       sin, sinh, sqrt, square, subtract, tan, tanh, true_divide, trunc)
from minijax.numpy.linear import (cross, dot, inner, kron, matmul, outer, tensordot, vdot, vecdot)
from minijax.numpy.methods import astype
from minijax.numpy.missing import pointing_to_jax as _pointing_to_jax
from minijax.numpy.reductions import (all, allclose, amax, amin, any, argmax, argmin, array_equal, array_equiv,
                                      average, count_nonzero, cumprod, cumsum, max, mean, min, nanmax, nanmean,
                                      nanmin, nanprod, nansum, prod, ptp, std, sum, var)
from minijax.numpy.selection import (argsort, argwhere, flatnonzero, lexsort, nonzero, searchsorted, select, sort,
                                     take, take_along_axis, unique, where)
from minijax.numpy.shaping import (append, array_split, atleast_1d, atleast_2d, atleast_3d, broadcast_arrays,
                                   broadcast_shapes, broadcast_to, column_stack, concat, concatenate, dsplit, dstack,
                                   expand_dims, hsplit, hstack, matrix_transpose, moveaxis, ndim, ravel, reshape,
                                   rollaxis, shape, size, split, squeeze, stack, swapaxes, transpose, unstack, vsplit,
                                   vstack)
from minijax.numpy.protocols import fill as _fill
from minijax.tracing.array import Array as ndarray

bool = bool_
newaxis = None
pi, e, inf, nan, euler_gamma = _np.pi, _np.e, _np.inf, _np.nan, _np.euler_gamma
index_exp, s_ = _np.index_exp, _np.s_
permute_dims = transpose

__all__ = ["abs", "absolute", "acos", "acosh", "add", "all", "allclose", "amax", "amin", "angle", "any", "append",
           "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax", "argmin",
           "argsort", "argwhere", "around", "array", "array_equal", "array_equiv", "array_split", "asarray", "asin",
           "asinh", "astype", "atan", "atan2", "atanh", "atleast_1d", "atleast_2d", "atleast_3d", "average",
           "bfloat16", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
           "bitwise_right_shift", "bitwise_xor", "bool", "bool_", "broadcast_arrays", "broadcast_shapes",
           "broadcast_to", "can_cast", "cbrt", "cdouble", "ceil", "clip", "column_stack", "complex128", "complex64",
           "complex_", "complexfloating", "concat", "concatenate", "conj", "conjugate", "copy", "copysign", "cos",
           "cosh", "count_nonzero", "cross", "csingle", "cumprod", "cumsum", "deg2rad", "degrees", "diag", "diagonal",
           "divide", "divmod", "dot", "double", "dsplit", "dstack", "dtype", "e", "einsum", "empty", "empty_like",
           "equal", "euler_gamma", "exp", "exp2", "expand_dims", "expm1", "eye", "fabs", "finfo", "fix",
           "flatnonzero", "flip", "fliplr", "flipud", "float16", "float32", "float64", "float8_e4m3b11fnuz",
           "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float_", "float_power", "floating",
           "floor", "floor_divide", "fmod", "full", "full_like", "generic", "greater", "greater_equal", "heaviside",
           "hsplit", "hstack", "hypot", "identity", "iinfo", "imag", "index_exp", "inexact", "inf", "inner", "int16",
           "int2", "int32", "int4", "int64", "int8", "int_", "integer", "invert", "isclose", "iscomplexobj", "isdtype",
           "isfinite",
           "isinf", "isnan", "isneginf", "isposinf", "isrealobj", "issubdtype", "kron", "left_shift", "less",
           "less_equal",
           "lexsort", "linalg", "linspace", "log", "log10", "log1p", "log2", "logaddexp", "logical_and",
           "logical_not", "logical_or", "logical_xor", "matmul", "matrix_transpose", "max", "maximum", "mean",
           "meshgrid", "min", "minimum", "mod", "moveaxis", "multiply", "nan", "nan_to_num", "nanmax", "nanmean",
           "nanmin", "nanprod", "nansum", "ndarray", "ndim", "negative", "newaxis", "nextafter", "nonzero",
           "not_equal", "number", "ones", "ones_like", "outer", "pad", "permute_dims", "pi", "positive", "pow",
           "power", "prod", "promote_types", "ptp", "rad2deg", "radians", "ravel", "real", "reciprocal", "remainder",
           "repeat", "reshape", "result_type", "right_shift", "rint", "roll", "rollaxis", "rot90", "round", "s_",
           "searchsorted", "select", "shape", "sign", "signbit", "signedinteger", "sin", "single", "sinh", "size",
           "sort", "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take",
           "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace", "transpose", "tri", "tril", "tril_indices",
           "triu", "triu_indices", "true_divide", "trunc", "uint", "uint16", "uint2", "uint32", "uint4", "uint64",
           "uint8", "unique", "unsignedinteger", "unstack", "var", "vdot", "vecdot", "vsplit", "vstack", "where",
           "zeros", "zeros_like"]

__getattr__ = _pointing_to_jax("numpy")
_fill({name: globals()[name] for name in __all__})
