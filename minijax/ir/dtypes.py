"""Dtypes of the IR: NumPy's, ml_dtypes', and keys; names, x64 canonical forms, promotion.

The promotion lattice is JAX's (https://docs.jax.dev/en/latest/type_promotion.html):
Python scalars are weakly typed and sit on nodes of their own.
"""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes  # noqa: F401  (makes its dtypes known to NumPy by name)
import numpy as np

from minijax.config import state
from minijax.errors import DtypeError


class KeyDtype:
    """The dtype of typed PRNG keys: how a key is made of uint32 words.

    >>> key_dtypes["fry"]
    key<fry>
    """

    __slots__ = ("tag", "key_shape")
    itemsize = 8
    kind = "V"

    def __init__(self, tag: str, key_shape: tuple[int, ...]) -> None:
        self.tag = tag
        self.key_shape = key_shape

    @property
    def name(self) -> str:
        """The dtype's name, as JAX prints it."""
        return f"key<{self.tag}>"

    def __repr__(self) -> str:
        return self.name


key_dtypes = {"fry": KeyDtype("fry", (2,))}


def _dtypes(*names: str) -> tuple[np.dtype[Any], ...]:
    return tuple([np.dtype(name) for name in names])


bool_ = np.dtype(bool)
float0 = np.dtype([("float0", np.void, 0)])
_signed = _int2, _int4, int8, int16, int32, int64 = _dtypes("int2", "int4", "int8", "int16", "int32", "int64")
_unsigned = _uint2, _uint4, uint8, uint16, uint32, uint64 = _dtypes(
    "uint2", "uint4", "uint8", "uint16", "uint32", "uint64")
_small_floats = _dtypes("float4_e2m1fn", "float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz", "float8_e4m3fn",
                        "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu")
_wide_floats = bfloat16, float16, float32, float64 = _dtypes("bfloat16", "float16", "float32", "float64")
_wide_complexes = complex64, complex128 = _dtypes("complex64", "complex128")
_numbers = (*_signed, *_unsigned, *_small_floats, *_wide_floats, *_wide_complexes)

_integers = frozenset((*_signed, *_unsigned))
_floats = frozenset((*_small_floats, *_wide_floats))
_complexes = frozenset(_wide_complexes)

# The names that dtypes have as parameters, and the shorter ones that types print with.
dtype_names: dict[Any, str] = {d: d.name for d in (bool_, *_numbers)} | {k: k.name for k in key_dtypes.values()}
_short = {d: name.replace("float", "f").replace("complex", "c").replace("uint", "u").replace("int", "i")
          for d, name in dtype_names.items()}
dtype_names[float0] = _short[float0] = "float0"
_by_short_name = {name: dtype for dtype, name in _short.items()}


def short_name(dtype: Any) -> str:
    """The name a dtype prints with: `f32`, `bf16`, `key<fry>`.

    >>> short_name(np.dtype('uint8'))
    'u8'
    """
    return _short[dtype]


def from_short_name(name: str) -> Any:
    """Undo `short_name`; raises `KeyError` for an unknown name.

    >>> from_short_name('f32')
    dtype('float32')
    """
    return _by_short_name[name]


def is_key(dtype: Any) -> bool:
    """Whether `dtype` is a dtype of PRNG keys."""
    return isinstance(dtype, KeyDtype)


def numpy_dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of NumPy arrays of this dtype; that of keys is structured: their words, under their tag.

    >>> numpy_dtype(key_dtypes["fry"])
    dtype([('fry', '<u4', (2,))])
    """
    return np.dtype([(dtype.tag, uint32, dtype.key_shape)]) if is_key(dtype) else dtype


def is_float(dtype: Any) -> bool:
    """Whether `dtype` is a real floating-point dtype, bfloat16 and smaller ones included."""
    return dtype in _floats


def is_complex(dtype: Any) -> bool:
    """Whether `dtype` is complex64 or complex128."""
    return dtype in _complexes


def is_inexact(dtype: Any) -> bool:
    """Whether `dtype` is real floating-point or complex: whether it has derivatives."""
    return dtype in _floats or dtype in _complexes


def is_integer(dtype: Any) -> bool:
    """Whether `dtype` is a signed or unsigned integer; bool is not."""
    return dtype in _integers


def is_unsigned(dtype: Any) -> bool:
    """Whether `dtype` is an unsigned integer."""
    return dtype in _unsigned


def real_dtype(dtype: Any) -> Any:
    """The real dtype of a complex one's parts; a real one is returned as it is.

    >>> real_dtype(np.dtype('complex64'))
    dtype('float32')
    """
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def complex_dtype(dtype: Any) -> Any:
    """The complex dtype whose parts are `dtype`."""
    return {float64: complex128, complex128: complex128}.get(dtype, complex64)


_keys_in_numpy: dict[Any, Any] = {numpy_dtype(key): key for key in key_dtypes.values()}
_narrow = {int64: int32, uint64: uint32, float64: float32, complex128: complex64}


def canonical_dtype(dtype: Any) -> Any:
    """The dtype that arrays have: 64-bit ones become 32-bit unless x64 is enabled.

    >>> canonical_dtype(float)
    dtype('float32')
    """
    if not isinstance(dtype, (np.dtype, KeyDtype)):
        dtype = as_dtype(dtype)
    return dtype if state.jax_enable_x64 else _narrow.get(dtype, dtype)


def as_dtype(dtype: Any) -> Any:
    """Read anything that names a dtype (a string, a NumPy type, a Python type, a key dtype).

    Raises `DtypeError` for what does not name one.
    """
    if isinstance(dtype, (np.dtype, KeyDtype)):
        return _keys_in_numpy.get(dtype, dtype)
    tag = getattr(dtype, "_impl", None)  # a JAX key dtype
    if tag is not None and getattr(tag, "tag", None) in key_dtypes:
        return key_dtypes[tag.tag]
    if isinstance(dtype, str) and dtype in _by_short_name:
        return _by_short_name[dtype]
    if hasattr(dtype, "dtype") and isinstance(dtype.dtype, (np.dtype, KeyDtype)):
        return dtype.dtype
    try:
        return np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"{dtype!r} does not name a dtype. Pass one such as 'float32' or jnp.int32.") from error


# The lattice: each node lists what it promotes to at once. `i*`, `f*`, `c*` are the weak Python scalars.
_lattice: dict[Any, list[Any]] = {
    bool_: ["i*"],
    "i*": [uint8, int8, _uint2, _uint4, _int2, _int4],
    uint8: [int16, uint16], uint16: [int32, uint32], uint32: [int64, uint64],
    int8: [int16], int16: [int32], int32: [int64], int64: ["f*"], uint64: ["f*"],
    "f*": [*_small_floats, bfloat16, float16, "c*"],
    bfloat16: [float32], float16: [float32], float32: [float64, complex64],
    float64: [complex128], complex64: [complex128], complex128: [], "c*": [complex64],
    **{d: [] for d in (*_small_floats, _uint2, _uint4, _int2, _int4)},
}
_weak_nodes = {int32: "i*", int64: "i*", float32: "f*", float64: "f*", complex64: "c*", complex128: "c*"}
_weak_defaults = {"i*": int64, "f*": float64, "c*": complex128}


def _reachable(node: Any) -> set[Any]:
    seen = {node}
    for up in _lattice[node]:
        seen |= _reachable(up)
    return seen


_above = {node: _reachable(node) for node in _lattice}


@functools.lru_cache(maxsize=4096)
def _join(nodes: frozenset[Any]) -> Any:
    common = set.intersection(*(_above[node] for node in nodes))
    least = [node for node in common if common <= _above[node]]
    if len(least) == 1:
        return least[0]
    names = ", ".join(sorted(n if isinstance(n, str) else n.name for n in nodes))
    raise DtypeError(f"The dtypes {names} have no implicit promotion path. Convert one of them with .astype(...).")


@functools.lru_cache(maxsize=4096)
def promote(dtypes: tuple[Any, ...], weak_types: tuple[bool, ...], x64: bool) -> tuple[Any, bool]:
    """The common dtype of operands, and whether it is weak, by JAX's lattice.

    >>> promote((np.dtype('int32'), np.dtype('float32')), (False, True), False)
    (dtype('float32'), True)
    """
    if len(set(dtypes)) == 1:
        return dtypes[0], all(weak_types)
    if any(is_key(d) or d == float0 for d in dtypes):
        names = ", ".join(str(d) for d in dtypes)
        raise DtypeError(f"The dtypes {names} have no common dtype. Keys take no part in arithmetic.")
    nodes = frozenset(_weak_nodes.get(d, d) if weak else d for d, weak in zip(dtypes, weak_types, strict=True))
    if state.jax_numpy_dtype_promotion == "strict" and len({n for n in nodes if not isinstance(n, str)}) > 1:
        names = ", ".join(sorted(str(d) for d in set(dtypes)))
        raise DtypeError(f"Implicit promotion of {names} is refused: jax_numpy_dtype_promotion is 'strict'. "
                         "Convert one operand with .astype(...).")
    node = _join(nodes)
    weak = isinstance(node, str)
    dtype = _weak_defaults[node] if weak else node
    return (dtype if x64 else _narrow.get(dtype, dtype)), weak or (node is bool_ and all(weak_types))
