"""Saving and loading: what comes back, what other libraries read, what is said of files that do not fit."""

import io
import json
import struct
import zipfile

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings, strategies as st

import minijax
import minijax.numpy as jnp
from minijax import errors, random
from minijax.haiku import saving, storage

ENDINGS = list(saving.FORMATS)
ending = pytest.mark.parametrize("ending", ENDINGS)
DTYPES = ["bool", "int8", "uint8", "int16", "int32", "uint32", "float16", "bfloat16", "float32", "complex64", "int4",
          "float8_e4m3fn", "float8_e4m3b11fnuz", "float8_e5m2"]


def same(got, expected):
    """Whether two trees are the same: structure, dtypes, bytes."""
    assert minijax.tree.structure(got) == minijax.tree.structure(expected)
    for x, y in zip(minijax.tree.leaves(got), minijax.tree.leaves(expected), strict=True):
        assert isinstance(x, minijax.Array) and minijax.typeof(x).update(weak_type=False) == minijax.typeof(y)
        assert x.__array__().tobytes() == y.__array__().tobytes()
    return True


@ending
def test_what_is_saved_comes_back(tmp_path, ending):
    path = tmp_path / f"everything{ending}"
    params = {f"module/~/{dtype}": {"w": jnp.asarray(np.arange(6).reshape(2, 3) % 2, dtype), "empty": jnp.zeros((0, 2))}
              for dtype in DTYPES}
    params["odd.names"] = {"a.b": jnp.ones(()), "[0]": jnp.zeros(1), "": jnp.ones(2), "50%\\": jnp.ones(3)}
    whole = {"params": params, "state": {"rng": {"key": random.key(3), "keys": random.split(random.key(4), 3)}},
             "__metadata__": jnp.arange(3)}
    saving.save(path, whole)
    assert same(saving.load(path), whole) and same(saving.load(path, like=whole), whole)
    types = minijax.eval_shape(lambda: params)
    saving.save(path, params)
    assert same(saving.load(path, like=types), params)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


keys = st.text(st.characters(codec="utf-8"), max_size=6)


@settings(max_examples=15)
@given(st.dictionaries(keys, st.dictionaries(keys, st.integers(0, 9), min_size=1, max_size=3), max_size=3))
def test_any_names_come_back(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    for ending in ENDINGS:
        saving.save(folder / f"names{ending}", names)
        found = saving.load(folder / f"names{ending}")
        assert minijax.tree.map(int, found) == names


@ending
def test_trees_of_all_kinds_come_back_by_an_example(tmp_path, ending):
    path = tmp_path / f"tree{ending}"
    whole = {"state": (jnp.ones(2), [jnp.zeros(()), None])}
    saving.save(path, whole)
    assert same(saving.load(path, like=whole), whole)
    with pytest.raises(errors.StoredArraysError, match=r"holds \['state'\]\[0\], which is in a tuple.*Pass like="):
        saving.load(path)
    saving.save(path, jnp.ones(2))
    assert same(saving.load(path, like=jnp.zeros(2)), jnp.ones(2))


def test_numbers_and_arrays_of_other_libraries(tmp_path):
    path = tmp_path / "numbers.npz"
    saving.save(path, {"a": {"n": 2, "x": 0.5, "t": True, "big": np.arange(2, dtype=">i4"), "s": np.float32(3)}})
    found = saving.load(path)["a"]
    assert {name: str(x.dtype) for name, x in found.items()} == {
        "n": "int32", "x": "float32", "t": "bool", "big": "int32", "s": "float32"}
    assert found["big"].tolist() == [0, 1]


# ---- other libraries ----

def test_safetensors_reads_ours_and_we_read_its(tmp_path):
    path = tmp_path / "shared.safetensors"
    dtypes = [dtype for dtype in DTYPES if hasattr(np, dtype) and dtype != 'bool']
    arrays = {f"a.{dtype}": np.arange(6).reshape(2, 3).astype(dtype) for dtype in (*dtypes, "float16", "float32")}
    arrays |= {"a.scalar": np.asarray(3, "float32"), "a.none": np.zeros((0, 3), "float32")}
    saving.save(path, {"a": {name[2:]: x for name, x in arrays.items()}})
    theirs = safetensors.numpy.load_file(path)
    assert theirs.keys() == arrays.keys()
    for name, x in arrays.items():
        np.testing.assert_array_equal(theirs[name], x, strict=True)
    brain = {"w": np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16), "v": np.ones(2, ml_dtypes.float8_e4m3fn)}
    safetensors.numpy.save_file({**arrays, **brain}, path, {"format": "np"})
    ours = saving.load(path)
    assert same({"w": ours["w"], "v": ours["v"]}, brain) and same(ours["a"]["float32"], arrays["a.float32"])
    saving.save(path, brain)
    with safetensors.safe_open(path, "np") as file:
        assert file.get_slice("w").get_dtype() == "BF16" and file.get_slice("v").get_dtype() == "F8_E4M3"


def test_numpy_reads_ours_and_we_read_its(tmp_path):
    path = tmp_path / "shared.npz"
    saving.save(path, {"linear": {"w": jnp.ones((2, 3)), "b": jnp.ones(3, "bfloat16")}})
    with np.load(path, allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["linear.w"], np.ones((2, 3), "float32"), strict=True)
        assert archive["linear.b"].dtype == np.dtype([("bfloat16", "<u2")])
    np.savez_compressed(path, **{"linear.w": np.ones((3, 2), "float32"), "n": np.arange(2, dtype="int32")})
    assert same(saving.load(path), {"linear": {"w": jnp.ones((3, 2))}, "n": jnp.arange(2)})


# ---- what does not fit ----

@ending
def test_every_difference_is_listed_by_its_path(tmp_path, ending):
    path = tmp_path / f"linear{ending}"
    saving.save(path, {"mlp/~/linear_0": {"w": jnp.ones((2, 3)), "b": jnp.zeros(3)}, "old": {"k": random.key(0)}})
    like = {"mlp/~/linear_0": {"w": jnp.ones((2, 4)), "b": jnp.zeros(3, "bfloat16")}, "new.one": (jnp.ones(2),)}
    with pytest.raises(errors.StoredArraysError) as error:
        saving.load(path, like=like)
    head, *lines = str(error.value).splitlines()
    assert "holds other arrays than `like`" in head and "test_haiku_saving.py:" in head and str(path) in head
    assert [line.strip() for line in lines[:-1]] == [
        "missing      ['new.one'][0]: expected f32[2]",
        "unexpected   ['old']['k']: got key<fry>[]",
        "wrong shape  ['mlp/~/linear_0']['w']: expected f32[2,4], got f32[2,3]",
        "wrong dtype  ['mlp/~/linear_0']['b']: expected bf16[3], got f32[3]"]


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(errors.MinijaxValueError, match="does not end in .safetensors or .npz"):
        saving.save(tmp_path / "params.pkl", {})
    path = tmp_path / "params.npz"
    saving.save(path, {"a": {"w": jnp.ones(2)}})
    with pytest.raises(errors.MinijaxTypeError, match=r"the leaf at \['a'\]\['w'\] is 'text', of type str"):
        saving.save(path, {"a": {"w": "text"}})
    with pytest.raises(errors.TracerArrayConversionError):
        minijax.jit(lambda x: saving.save(path, {"a": {"w": x}}))(1.0)
    assert same(saving.load(path), {"a": {"w": jnp.ones(2)}})  # the file is still the one before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_wide_numbers_need_wide_types(tmp_path):
    path = tmp_path / "wide.npz"
    saving.save(path, {"a": {"w": np.ones(2)}})
    with pytest.raises(errors.DtypeError, match=r"\['a'\]\['w'\].* is float64.*jax_enable_x64"):
        saving.load(path)
    with minijax.enable_x64(True):
        assert str(saving.load(path)["a"]["w"].dtype) == "float64"


# ---- what is damaged ----

def header(entries, data=b""):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


DAMAGED = {
    b"": "begin with the length", b"1234567": "begin with the length",
    struct.pack("<Q", 1 << 60): "begin with the length",
    header(b"{not json"): "header cannot be read", header(b"\xff\xfe"): "header cannot be read",
    header([1]): "not a table of names", header({"w": 3}): "'w' in its header is damaged",
    header(b'{"w": 1, "w": 1}'): "'w' is there twice",
    header({"w": entry("F99")}, bytes(8)): "'F99', which minijax does not have",
    header({"w": entry(shape=(-2,))}, bytes(8)): r"its shape is \[-2\]",
    header({"w": entry(shape=(3,))}, bytes(8)): "has 8 bytes, but 12 are expected",
    header({"w": entry()}, bytes(7)): "has 7 bytes, but 8 are expected",
    header({"w": entry()}, bytes(9)): "9 bytes of data, where its header says 8",
    header({"w": entry(offsets=(8, 0))}, bytes(8)): "no data_offsets",
    header({"w": entry(offsets=(4, 12))}, bytes(12)): "where 0 is expected: the file has holes",
    header({"w": entry(), "v": entry(offsets=(4, 12))}, bytes(12)): "where 8 is expected: the file has holes",
    header({"w": entry(), "__metadata__": {"minijax dtypes": '{"w": "key<fry>"}'}}, bytes(8)): "is stored as float32",
    header({"w": entry("U8", (8,)), "__metadata__": {"minijax dtypes": '{"w": "f1"}'}}, bytes(8)): "dtype 'f1', which",
    header({"w": entry(), "__metadata__": {"minijax dtypes": "[]"}}, bytes(8)): "metadata in its header cannot be read",
}


@pytest.mark.parametrize("data, message", DAMAGED.items(), ids=range(len(DAMAGED)))
def test_damaged_safetensors(tmp_path, data, message):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(data)
    with pytest.raises(errors.StoredArraysError, match=f"damaged.safetensors cannot be read.*{message}"):
        saving.load(path)


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def npy(array, **options):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize("data", [
    b"", b"PK", zipped(w=b"junk"), zipped(w=npy(np.ones(3))[:-1]), zipped(w=npy(np.array([{}]), allow_pickle=True)),
    npy(np.ones(3)), npy(np.array([{}]), allow_pickle=True), zipped(w=npy(np.array(["text"]))),
    zipped(w=npy(np.zeros(2, [("bfloat16", "<u4")]))), zipped(w=npy(np.zeros(2, [("x", "<u2")])))], ids=range(10))
def test_damaged_npz(tmp_path, data):
    path = tmp_path / "damaged.npz"
    path.write_bytes(data)
    with pytest.raises(errors.StoredArraysError, match="damaged.npz cannot be read"):
        saving.load(path)


def test_a_compressed_file_is_read_and_refused_if_it_is_damaged():
    """One of NumPy's, with each of its bytes changed; some do not matter."""
    file = io.BytesIO()
    np.savez_compressed(file, w=np.arange(64.0))
    data, refusals = file.getvalue(), 0
    assert storage.read_npz(io.BytesIO(data))["w"].sum() == 2016
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1:]
        try:
            storage.read_npz(io.BytesIO(changed))
        except errors.StoredArraysError:
            refusals += 1
    assert refusals > len(data) // 2


@ending
def test_a_file_cut_anywhere_is_refused(tmp_path, ending):
    path = tmp_path / f"cut{ending}"
    saving.save(path, {"a": {"w": jnp.arange(5), "b": jnp.ones(3, "bfloat16")}})
    data = path.read_bytes()
    for length in range(0, len(data), 7):
        path.write_bytes(data[:length])
        with pytest.raises(errors.StoredArraysError):
            saving.load(path)
