"""Pictures of where arrays lie: blocks, devices that share one, captions, and what cannot be drawn."""

import jax
import numpy as np
import pytest

import minijax
import minijax.numpy as jnp
from minijax import debug
from minijax.errors import MinijaxTypeError, MinijaxValueError
from minijax.sharding import NamedSharding, P

MESH = minijax.make_mesh((4, 2), ("x", "y"))

CUT_TWICE = """\
┌───┬───┐
│ 0 │ 1 │
├───┼───┤
│ 2 │ 3 │
├───┼───┤
│ 4 │ 5 │
├───┼───┤
│ 6 │ 7 │
└───┴───┘
[8,6] in 8 blocks of [2,3], on the 8 cpu devices
"""
ROWS_SHARED = """\
┌─────┐
│ 0,1 │
├─────┤
│ 2,3 │
├─────┤
│ 4,5 │
├─────┤
│ 6,7 │
└─────┘
[8,6] in 4 blocks of [2,6], on the 8 cpu devices
"""
COLUMNS_SHARED = """\
┌─────────┬─────────┐
│ 0,2,4,6 │ 1,3,5,7 │
└─────────┴─────────┘
[8,6] in 2 blocks of [8,3], on the 8 cpu devices
"""
EVERYWHERE = """\
┌─────────────────┐
│ 0,1,2,3,4,5,6,7 │
└─────────────────┘
[8,6] in one block, on the 8 cpu devices
"""


@pytest.mark.parametrize("spec, picture", [(P("x", "y"), CUT_TWICE), (P("x"), ROWS_SHARED),
                                           (P(None, "y"), COLUMNS_SHARED), (P(), EVERYWHERE)])
def test_blocks_and_the_devices_that_hold_them(spec, picture, capsys):
    sharding = NamedSharding(MESH, spec)
    debug.visualize_sharding((8, 6), sharding)
    assert capsys.readouterr().out == picture
    debug.visualize_array_sharding(minijax.device_put(np.zeros((8, 6)), sharding))
    assert capsys.readouterr().out == picture


def test_one_axis_is_a_row(capsys):
    debug.visualize_sharding((16,), NamedSharding(MESH, P(("x", "y"))))
    assert capsys.readouterr().out == """\
┌───┬───┬───┬───┬───┬───┬───┬───┐
│ 0 │ 1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │
└───┴───┴───┴───┴───┴───┴───┴───┘
[16] in 8 blocks of [2], on the 8 cpu devices
"""


def test_results_of_pmap_and_arrays_of_jax(capsys):
    debug.visualize_array_sharding(minijax.pmap(lambda x: x + 1)(np.zeros((2, 3), "float32")))
    ours = capsys.readouterr().out
    debug.visualize_array_sharding(jax.pmap(lambda x: x + 1)(np.zeros((2, 3), "float32")))
    assert ours == capsys.readouterr().out == """\
┌───┐
│ 0 │
├───┤
│ 1 │
└───┘
[2,3] in 2 blocks of [1,3], on the 2 cpu devices
"""


def test_a_scalar_is_one_block(capsys):
    debug.visualize_array_sharding(jnp.float32(1.0))
    assert capsys.readouterr().out.endswith("[] in one block, on the cpu device 0\n")


def test_every_element_lies_where_the_picture_says():
    sharding = NamedSharding(MESH, P("y", "x"))
    x = minijax.device_put(np.arange(64).reshape(8, 8), sharding)
    blocks = debug.blocks_of(x.shape, sharding)
    for shard in x.value.addressable_shards:
        (((top, bottom), (left, right)),) = [block for block, devices in blocks.items() if shard.device in devices]
        np.testing.assert_array_equal(np.asarray(shard.data), np.asarray(x)[top:bottom, left:right])


def test_a_traced_array_is_refused_with_its_type():
    with pytest.raises(MinijaxTypeError, match=r"the array is traced \(f32\[3\]\)(.|\n)*compiled program runs"):
        minijax.jit(lambda x: debug.visualize_array_sharding(x))(np.zeros(3, "float32"))


@pytest.mark.parametrize("draw, error, message", [
    (lambda: debug.visualize_array_sharding(np.zeros(3)), MinijaxTypeError, "type ndarray lies on no device"),
    (lambda: debug.visualize_sharding((8, 6), P("x")), MinijaxTypeError, "is no sharding"),
    (lambda: debug.visualize_sharding((8, 6, 2), NamedSharding(MESH, P("x"))), MinijaxValueError, "has 3 axes"),
    (lambda: debug.visualize_sharding((7, 6), NamedSharding(MESH, P("x"))), MinijaxValueError, "cannot lie in"),
    (lambda: debug.visualize_sharding((8,), NamedSharding(MESH, P("x", "y"))), MinijaxValueError, "cannot lie in")])
def test_what_cannot_be_drawn_says_why(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
