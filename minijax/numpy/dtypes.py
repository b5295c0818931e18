"""Dtypes by name, and questions about them.

A scalar type such as `float32` names a dtype and is called to make an array: `float32(3)`.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from minijax.config import state
from minijax.ir import dtypes
from minijax.numpy.creation import asarray
from minijax.tracing.array import Array, is_value, typeof

bool_base, dtype = np.dtype, np.dtype
generic, number, inexact, integer = np.generic, np.number, np.inexact, np.integer
floating, complexfloating = np.floating, np.complexfloating
signedinteger, unsignedinteger = np.signedinteger, np.unsignedinteger


class ScalarType(type):
    """The class of scalar types: each names a `dtype` and makes arrays of it."""

    dtype: Any

    def __call__(cls, x: Any) -> Any:
        return asarray(x, dtype=cls.dtype)

    def __eq__(cls, other: object) -> bool:
        return cls is other or bool(cls.dtype.type == other)

    def __hash__(cls) -> int:
        return hash(cls.dtype.type)

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, cls.dtype.type)

    def __repr__(cls) -> str:
        return f"<class 'minijax.numpy.{cls.__name__}'>"


def _scalar(name: str, dtype: Any) -> ScalarType:
    return ScalarType(name, (), {"dtype": dtype, "__doc__": f"The dtype {dtype}; call it to make an array."})


bool_ = _scalar("bool_", dtypes.bool_)
int2, int4, uint2, uint4 = (_scalar(n, np.dtype(getattr(ml_dtypes, n))) for n in ("int2", "int4", "uint2", "uint4"))
int8, int16, int32, int64 = (_scalar(n, np.dtype(n)) for n in ("int8", "int16", "int32", "int64"))
uint8, uint16, uint32, uint64 = (_scalar(n, np.dtype(n)) for n in ("uint8", "uint16", "uint32", "uint64"))
float16, float32, float64 = (_scalar(n, np.dtype(n)) for n in ("float16", "float32", "float64"))
bfloat16 = _scalar("bfloat16", dtypes.bfloat16)
float8_e4m3fn, float8_e5m2, float8_e4m3b11fnuz, float8_e4m3fnuz, float8_e5m2fnuz = (
    _scalar(n, np.dtype(getattr(ml_dtypes, n)))
    for n in ("float8_e4m3fn", "float8_e5m2", "float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz"))
complex64, complex128 = _scalar("complex64", dtypes.complex64), _scalar("complex128", dtypes.complex128)
single, double, csingle, cdouble = float32, float64, complex64, complex128
float_, int_, uint, complex_ = float64, int64, uint64, complex128

finfo = ml_dtypes.finfo


def iinfo(int_type: Any) -> Any:
    """Limits of an integer dtype: `.min`, `.max`, `.bits`.

    >>> iinfo(int8).max
    127
    """
    dtype = dtypes.as_dtype(int_type)
    return ml_dtypes.iinfo(dtype) if dtype.itemsize == 1 and dtype.kind == "V" else np.iinfo(dtype)


def _numpy_kind(dtype: Any) -> Any:
    """NumPy's class of a dtype; one of NumPy's abstract classes as it is."""
    if isinstance(dtype, type) and issubclass(dtype, np.generic) and not isinstance(dtype, ScalarType):
        if dtype in (np.generic, np.number, np.inexact, np.floating, np.complexfloating, np.integer, np.signedinteger,
                     np.unsignedinteger, np.flexible, np.character):
            return dtype
    found = dtypes.as_dtype(dtype)
    if dtypes.is_key(found):
        return None
    if found.kind == "V" or found == dtypes.bfloat16 or "float" in found.name and found.itemsize < 2:
        return np.floating if dtypes.is_float(found) else np.unsignedinteger if dtypes.is_unsigned(found) else (
            np.signedinteger if dtypes.is_integer(found) else found.type)
    return found.type


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is, or belongs to, another or a class of them such as `floating`.

    >>> issubdtype(bfloat16, floating), issubdtype('int32', np.inexact)
    (True, False)
    """
    kind, of = _numpy_kind(arg1), _numpy_kind(arg2)
    if of in (np.generic, np.number, np.inexact, np.floating, np.complexfloating, np.integer, np.signedinteger,
              np.unsignedinteger, np.flexible, np.character):
        return kind is not None and issubclass(kind, of)
    return bool(dtypes.as_dtype(arg1) == dtypes.as_dtype(arg2)) if not isinstance(arg1, type) or (
        not issubclass(arg1, np.generic)) or arg1 is not kind or kind is of else kind is of


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a name such as 'real floating', a dtype, or several of them.

    >>> isdtype(float32, ('integral', 'real floating'))
    True
    """
    kinds = {"bool": bool_, "signed integer": np.signedinteger, "unsigned integer": np.unsignedinteger,
             "integral": np.integer, "real floating": np.floating, "complex floating": np.complexfloating,
             "numeric": np.number}
    return any(issubdtype(dtype, kinds.get(k, k) if isinstance(k, str) else k)
               for k in (kind if isinstance(kind, tuple) else (kind,)))


def _node(x: Any) -> tuple[Any, bool]:
    """Dtype and weakness of a value or of what names a dtype."""
    if x in (int, float, complex) if isinstance(x, type) else False:
        return dtypes.canonical_dtype(x), True
    if isinstance(x, Array) or not isinstance(x, (str, np.dtype, type, dtypes.KeyDtype)) and is_value(x):
        return typeof(x).dtype, typeof(x).weak_type
    return dtypes.as_dtype(x), False


def result_type(*args: Any) -> Any:
    """The dtype that values and dtypes promote to by JAX's rules.

    >>> result_type(np.int8(1), 2.0)
    dtype('float32')
    """
    nodes = [_node(x) for x in args]
    found, _ = dtypes.promote(tuple([dtypes.canonical_dtype(d) for d, _ in nodes]), tuple([w for _, w in nodes]),
                              state.jax_enable_x64)
    return dtypes.canonical_dtype(found)


def promote_types(a: Any, b: Any) -> Any:
    """The dtype that two dtypes promote to.

    >>> promote_types('bfloat16', 'float16')
    dtype('float32')
    """
    (x, x_weak), (y, y_weak) = _node(a), _node(b)
    return dtypes.promote((x, y), (x_weak, y_weak), True)[0]


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """NumPy's answer to whether a cast is allowed."""
    return np.can_cast(dtypes.as_dtype(from_), dtypes.as_dtype(to), casting)  # type: ignore[arg-type]
