"""Parameters and state to and from files: `save(path, tree)` and `load(path, like=tree)`.

The ending of the path chooses the format: `.safetensors`, or NumPy's `.npz`.  Arrays are stored by name, the keys on
the way to them joined by dots: `mlp/~/linear_0.w`, or `params.mlp/~/linear_0.w` of a dict of params and state.  Any
dtype comes back as it was, bfloat16 and random keys included.  With `like`, names, shapes and dtypes are checked, and
the result has its structure; without, it is a dict of dicts.  No code of a file is run.
"""

from __future__ import annotations

import os
import pathlib
import re
import urllib.parse
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, NamedTuple

import numpy as np

import minijax.numpy as jnp
from minijax import pytree, random
from minijax.api.trace import as_type
from minijax.errors import DtypeError, MinijaxTypeError, MinijaxValueError, StoredArraysError
from minijax.haiku.storage import Arrays, read_npz, read_safetensors, write_npz, write_safetensors
from minijax.ir.dtypes import as_dtype, canonical_dtype, float0, is_key
from minijax.ir.types import ArrayType
from minijax.tracing.array import is_value, typeof
from minijax.tracing.source import at_line


class Format(NamedTuple):
    """How the files of one ending are written and read."""

    write: Callable[[BinaryIO, Arrays], None]
    read: Callable[[BinaryIO], Arrays]


FORMATS = {".safetensors": Format(write_safetensors, read_safetensors), ".npz": Format(write_npz, read_npz)}


def save(path: str | os.PathLike[str], tree: Any) -> None:
    """Write the arrays of a pytree to a file, by name; a file that is there already is replaced once all is written.

    `tree` is params, state, a dict of both, or any other pytree of arrays and numbers, of any dtypes.  `path` ends in
    `.safetensors` or `.npz`.  Raises `MinijaxTypeError` naming a leaf that is no array.

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "params.safetensors"
    >>> save(path, {"linear": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3, "bfloat16")}})
    >>> load(path)["linear"]["b"]
    Array([0, 0, 0], dtype=bfloat16)
    """
    path = pathlib.Path(path)
    chosen = _format("save", path)
    arrays = {name_of(keys): _stored(keys, leaf) for keys, leaf in pytree.leaves_with_path(tree)}
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("wb") as file:
            chosen.write(file, arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load(path: str | os.PathLike[str], like: Any = None) -> Any:
    """The arrays of a file that `save` wrote, or of any file of its format.

    With `like`, a pytree of arrays or `ShapeDtypeStruct`s (as `minijax.eval_shape(net.init, ...)` returns it), the
    result has its structure, and names, shapes and dtypes must be its.  Without, it is a dict of dicts.
    Raises `StoredArraysError` for a damaged file, and where the file differs from `like`: each difference by its path.

    >>> import tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "params.npz"
    >>> save(path, {"linear": {"w": jnp.ones((2, 3))}})
    >>> load(path, like={"linear": {"w": jnp.zeros((2, 4)), "b": jnp.zeros(3)}})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    minijax.errors.StoredArraysError: load: the file holds other arrays than `like`:
        missing      ['linear']['b']: expected f32[3]
        wrong shape  ['linear']['w']: expected f32[2,4], got f32[2,3]
    """
    path = pathlib.Path(path)
    chosen = _format("load", path)
    try:
        with path.open("rb") as file:
            arrays = chosen.read(file)
    except StoredArraysError as error:
        raise StoredArraysError(f"load: {path} cannot be read{at_line()}: {error}") from None
    return _nested(path, arrays) if like is None else _as_like(path, arrays, like)


def _format(who: str, path: pathlib.Path) -> Format:
    if path.suffix not in FORMATS:
        raise MinijaxValueError(f"{who}: the path {str(path)!r} does not end in {' or '.join(FORMATS)}{at_line()}. "
                                "The ending chooses the format; add one of them.")
    return FORMATS[path.suffix]


# ---- names

def name_of(path: Sequence[Any]) -> str:
    """The name under which the leaf at a path is stored: its keys, joined by dots.

    Letters that would be mistaken for something else are written as in addresses: `.` in a key as `%2E`.
    Positions and attributes stand in brackets.

    >>> [name_of(path) for path, _ in pytree.leaves_with_path({"mlp/~/linear_0": {"w": 1.0, "b.2": [0.0]}})]
    ['mlp/~/linear_0.b%2E2.[0]', 'mlp/~/linear_0.w']
    """
    name = ".".join([_part(key) for key in path]) if path else "[]"
    return name if name != "__metadata__" else "%5F_metadata__"  # safetensors keeps this name to itself


def _part(key: Any) -> str:
    _, dict_key, _, _ = pytree.backend.key_classes
    if isinstance(key, dict_key) and isinstance(key.key, str):
        return _quoted(key.key)
    return f"[{_quoted(str(key).strip('[]'))}]"


def _quoted(text: str) -> str:
    return re.sub(r"[%.\[\\\0]", lambda match: f"%{ord(match[0]):02X}", text)


def _shown(name: str) -> str:
    """The path that a name stands for, as Python writes it."""
    parts = [part if part.startswith("[") else f"[{part!r}]" for part in name.split(".")]
    return urllib.parse.unquote("".join(parts)).replace("[.", ".") if name != "[]" else "(the tree itself)"


# ---- leaves

def _stored(path: Sequence[Any], leaf: Any) -> np.ndarray:
    """The NumPy array of a leaf, in the machine's byte order."""
    if not is_value(leaf) or typeof(leaf).dtype == float0:
        raise MinijaxTypeError(f"save: the leaf at {pytree.keystr(path) or 'the root'} is {leaf!r}, of type "
                               f"{type(leaf).__name__}{at_line()}. Arrays and numbers can be saved; leave it out.")
    if not hasattr(leaf, "dtype"):
        return np.asarray(leaf, typeof(leaf).dtype)
    array = leaf if isinstance(leaf, np.ndarray | np.generic) else leaf.__array__()
    return np.asarray(array, array.dtype.newbyteorder("="))


def _type(array: np.ndarray) -> ArrayType:
    return ArrayType(array.shape, as_dtype(array.dtype))


def _loaded(path: pathlib.Path, name: str, array: np.ndarray) -> Any:
    """The minijax array of a stored one."""
    dtype = as_dtype(array.dtype)
    if is_key(dtype):
        return random.wrap_key_data(array[dtype.tag])
    if canonical_dtype(dtype) != dtype:
        raise DtypeError(f"load: {_shown(name)} in {path} is {dtype.name}{at_line()}, and 64-bit types are off. "
                         "Switch them on with minijax.config.update('jax_enable_x64', True).")
    return jnp.asarray(array)


# ---- trees

def _nested(path: pathlib.Path, arrays: Arrays) -> dict[str, Any]:
    """A dict of dicts from names."""
    tree: dict[str, Any] = {}
    for name, array in sorted(arrays.items()):
        *modules, last = [urllib.parse.unquote(part) for part in name.split(".")]
        if "[" in name:
            raise StoredArraysError(f"load: {path} holds {_shown(name)}, which is in a tuple, a list or an object"
                                    f"{at_line()}. Pass like=, a tree of the same structure.")
        inner = tree
        for module in modules:
            inner = inner.setdefault(module, {})
            if not isinstance(inner, dict):
                raise StoredArraysError(f"load: {path} holds {_shown(name)} and an array on the way to it{at_line()}. "
                                        "It was not written by save; rename one of them.")
        inner[last] = _loaded(path, name, array)
    return tree


def _as_like(path: pathlib.Path, arrays: Arrays, like: Any) -> Any:
    """The tree of a structure; raises `StoredArraysError` that lists all differences."""
    pairs, treedef = pytree.flatten_with_path(like)
    expected = {name_of(keys): as_type(leaf) for keys, leaf in pairs}
    found = {name: _type(array) for name, array in arrays.items()}
    differences = list(_differences(expected, found))
    if differences:
        listed = "\n".join([f"    {kind:12} {where}: {what}" for kind, where, what in differences])
        raise StoredArraysError(
            f"load: {path} holds other arrays than `like`{at_line()}:\n{listed}\n"
            "Load it without `like` and change it with hk.data_structures, or pass the tree that was saved.")
    return treedef.unflatten([_loaded(path, name, arrays[name]) for name in expected])


def _differences(expected: dict[str, ArrayType], found: dict[str, ArrayType]) -> list[tuple[str, str, str]]:
    """(what is wrong, path, details) of every difference: missing, unexpected, of wrong shape, of wrong dtype."""
    missing = [("missing", _shown(name), f"expected {_text(t)}") for name, t in expected.items() if name not in found]
    extra = [("unexpected", _shown(name), f"got {_text(t)}") for name, t in found.items() if name not in expected]
    both = [(_shown(name), t, found[name]) for name, t in expected.items() if name in found]
    details = "expected {}, got {}"
    shapes = [("wrong shape", name, details.format(_text(t), _text(u))) for name, t, u in both if t.shape != u.shape]
    dtypes = [("wrong dtype", name, details.format(_text(t), _text(u))) for name, t, u in both if t.dtype != u.dtype]
    return missing + extra + shapes + dtypes


def _text(type: ArrayType) -> str:
    return repr(ArrayType(type.shape, type.dtype))
