"""Two file formats for named arrays: `.safetensors` and `.npz`, written and read without running any code.

    write_safetensors(file, arrays), read_safetensors(file)    https://github.com/huggingface/safetensors
    write_npz(file, arrays), read_npz(file)                    NumPy's zip of .npy files

Here arrays are NumPy's; those of keys are structured (their words under their tag), and the small
floats are those of ml_dtypes.  What a format has no dtype for is stored as plain integers, and said to be:
in the header of a safetensors file, in the dtype of an .npy file.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

import numpy as np

from minijax.errors import StoredArraysError
from minijax.ir.dtypes import dtype_names, is_key, numpy_dtype
from minijax.util import size_of

Arrays = dict[str, np.ndarray]

_dtypes = {name: dtype for dtype, name in dtype_names.items()}  # those of the IR, by name: "bfloat16", "key<fry>"


# ---- safetensors: the length of a header, the header (JSON), the bytes

SAFETENSORS = {
    "bool": "BOOL", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "uint16": "U16",
    "uint32": "U32", "uint64": "U64", "float16": "F16", "float32": "F32", "float64": "F64", "bfloat16": "BF16",
    "complex64": "C64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e8m0fnu": "F8_E8M0",
    "float8_e4m3fnuz": "F8_E4M3FNUZ", "float8_e5m2fnuz": "F8_E5M2FNUZ"}
_by_safetensors = {short: _dtypes[name] for name, short in SAFETENSORS.items()}
_METADATA, _OTHERS = "__metadata__", "minijax dtypes"
_LARGEST_HEADER = 100_000_000


def write_safetensors(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays; those of keys and of dtypes that the format lacks as bytes, named in the metadata.

    >>> import io
    >>> file = io.BytesIO()
    >>> write_safetensors(file, {"linear.w": np.ones((2, 3), "float32")})
    >>> read_safetensors(io.BytesIO(file.getvalue()))["linear.w"].shape
    (2, 3)
    """
    header: dict[str, Any] = {}
    others: dict[str, str] = {}
    blocks: list[bytes] = []
    end = 0
    # The widest dtypes go first: every array then begins at a multiple of its item's size.
    for name, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        dtype = _name_of(array.dtype)
        if dtype not in SAFETENSORS:
            others[name] = dtype
            array = _as_bytes(array)
        blocks.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
        start, end = end, end + len(blocks[-1])
        short = SAFETENSORS[array.dtype.name]
        header[name] = {"dtype": short, "shape": list(array.shape), "data_offsets": [start, end]}
    if others:
        header[_METADATA] = {_OTHERS: json.dumps(others)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)))
    file.writelines([text, *blocks])


def read_safetensors(file: BinaryIO) -> Arrays:
    """The named arrays of a file; raises `StoredArraysError` if it is damaged or is none."""
    data = file.read()
    header, start = _header(data)
    others = _others(header.pop(_METADATA, {}))
    arrays: Arrays = {}
    end = 0
    for name, entry in sorted(header.items(), key=lambda item: _offsets(*item)):
        first, last = _offsets(name, entry)
        if first != end:
            raise StoredArraysError(f"{name!r} begins at byte {first} of the data, where {end} is expected: the file "
                                    "has holes or overlaps. Save it again.")
        arrays[name] = _array(name, entry, data[start + first : start + last])
        end = last
    if start + end != len(data):
        raise StoredArraysError(f"it has {len(data) - start} bytes of data, where its header says {end}: it was cut "
                                "off, or written on. Save or download it again.")
    return arrays | {name: _from_bytes(name, arrays[name], dtype) for name, dtype in others.items() if name in arrays}


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header of a file and where its data begin."""
    length = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else _LARGEST_HEADER + 1
    if length > min(_LARGEST_HEADER, len(data) - 8):
        raise StoredArraysError("it does not begin with the length of its header. Is it a whole .safetensors file?")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=_once)
    except ValueError as error:
        raise StoredArraysError(f"its header cannot be read ({error}). Save or download it again.") from None
    if not isinstance(header, dict):
        raise StoredArraysError("its header is not a table of names. Is it a .safetensors file?")
    return header, 8 + length


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} is there twice")
        found[name] = value
    return found


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    match entry:
        case {"data_offsets": [int(first), int(last)]} if 0 <= first <= last:
            return first, last
    raise StoredArraysError(f"the entry of {name!r} in its header is damaged: it has no data_offsets.")


def _array(name: str, entry: dict[str, Any], data: bytes) -> np.ndarray:
    shape, dtype = entry.get("shape"), _by_safetensors.get(str(entry.get("dtype")))
    if dtype is None:
        raise StoredArraysError(f"{name!r} is of dtype {entry.get('dtype')!r}, which minijax does not have. "
                                f"It has {', '.join(_by_safetensors)}.")
    if not isinstance(shape, list) or not all([type(n) is int and n >= 0 for n in shape]):
        raise StoredArraysError(f"the entry of {name!r} in its header is damaged: its shape is {shape!r}.")
    if len(data) != size_of(shape) * dtype.itemsize:
        raise StoredArraysError(f"{name!r} has {len(data)} bytes, but {size_of(shape) * dtype.itemsize} are expected "
                                f"of {dtype}{shape}: the file was cut off, or is damaged.")
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)


def _others(metadata: Any) -> dict[str, str]:
    """Which arrays are stored as bytes, and of which dtypes they are."""
    try:
        found = json.loads(metadata.get(_OTHERS, "{}"))
        return {name: str(dtype) for name, dtype in found.items()}
    except (AttributeError, TypeError, ValueError):
        raise StoredArraysError(f"the metadata in its header cannot be read: {metadata!r}.") from None


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """uint8[..., itemsize] of an array of any dtype."""
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).reshape(*array.shape, array.dtype.itemsize)


def _from_bytes(name: str, array: np.ndarray, dtype_name: str) -> np.ndarray:
    dtype = _dtype(name, dtype_name)
    if array.dtype != np.uint8 or array.shape[-1:] != (dtype.itemsize,):
        raise StoredArraysError(f"{name!r} is said to be {dtype_name}, but is stored as {array.dtype}{array.shape}.")
    return np.ascontiguousarray(array).reshape(-1).view(dtype).reshape(array.shape[:-1])


def _dtype(name: str, dtype_name: str) -> np.dtype[Any]:
    """The NumPy dtype of a dtype's name; `name` is the array's, for the error."""
    if dtype_name not in _dtypes:
        raise StoredArraysError(f"{name!r} is of dtype {dtype_name!r}, which minijax does not have.")
    return numpy_dtype(_dtypes[dtype_name])


def _name_of(dtype: np.dtype[Any]) -> str:
    """The name that the IR gives to a NumPy dtype; that of keys is structured."""
    if dtype.names is None:
        return dtype.name
    return next(name for name, found in _dtypes.items() if is_key(found) and found.tag == dtype.names[0])


# ---- npz: a zip file of .npy files

def write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays; one of a dtype that NumPy has no letter for as a structured array of integers.

    The structured dtype has one field, called as the dtype: `[('bfloat16', '<u2')]`.  So any NumPy reads it.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, _with_plain_dtype(array), allow_pickle=False)


def read_npz(file: BinaryIO) -> Arrays:
    """The named arrays of a file; raises `StoredArraysError` if it is damaged or is none."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, TypeError, AttributeError, RuntimeError, zipfile.BadZipFile,
            zlib.error) as error:
        raise StoredArraysError(f"it is not an .npz file of arrays, or is damaged ({error}).") from None
    return {name: _with_own_dtype(name, array) for name, array in stored.items()}


def _with_plain_dtype(array: np.ndarray) -> np.ndarray:
    if array.dtype.type.__module__ == "numpy":  # not one of ml_dtypes; those of keys are structured
        return array
    return array.view(np.dtype([(array.dtype.name, f"<u{array.dtype.itemsize}")]))


def _with_own_dtype(name: str, array: np.ndarray) -> np.ndarray:
    if not isinstance(array, np.ndarray):
        raise StoredArraysError(f"{name!r} in it is no array.")
    if array.dtype.names is None:
        _dtype(name, array.dtype.name)
        return array
    tag = array.dtype.names[0]
    dtype = _dtype(name, tag if tag in _dtypes else f"key<{tag}>")
    if dtype.itemsize != array.dtype.itemsize:
        raise StoredArraysError(f"{name!r} is stored as {array.dtype}, which is not {dtype}.")
    return array.view(dtype)
