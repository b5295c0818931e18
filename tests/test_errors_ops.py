"""Shapes and dtypes that do not fit, in every family of ops, under every transformation.

Each mistake is made through public functions; the message names the function or op, shows
one example's shapes under `vmap`, and the line of this file.
"""

import numpy as np
import pytest
from error_checks import TRANSFORMS, mistake

import minijax as mj
import minijax.numpy as jnp
from minijax.errors import MinijaxError

A = np.ones((2, 3), np.float32)
B = np.ones((4, 5), np.float32)
I = np.ones((2, 3), np.int32)  # noqa: E741

# name: (function of A and B, words of the message)
SHAPES = {
    "add": (lambda a, b: a + b, "(2, 3), (4, 5)"),
    "multiply": (lambda a, b: jnp.multiply(a, b), "(2, 3), (4, 5)"),
    "power": (lambda a, b: a ** b, "(2, 3), (4, 5)"),
    "compare": (lambda a, b: a < b, "(2, 3), (4, 5)"),
    "maximum": (lambda a, b: jnp.maximum(a, b), "(2, 3), (4, 5)"),
    "where": (lambda a, b: jnp.where(a > 0, a, b), "(2, 3)"),
    "arctan2": (lambda a, b: jnp.arctan2(a, b), "(2, 3), (4, 5)"),
    "matmul": (lambda a, b: a @ b, "(2, 3) and (4, 5)"),
    "dot": (lambda a, b: jnp.dot(a, b), "(4, 5)"),
    "tensordot": (lambda a, b: jnp.tensordot(a, b, 1), ""),
    "einsum": (lambda a, b: jnp.einsum("ij,jk->ik", a, b), ""),
    "reshape": (lambda a, b: a.reshape(7), "7"),
    "reshape -1": (lambda a, b: a.reshape(4, -1), "4"),
    "broadcast_to": (lambda a, b: jnp.broadcast_to(a, (4, 5)), "(4, 5)"),
    "transpose": (lambda a, b: jnp.transpose(a, (0, 0)), ""),
    "transpose axes": (lambda a, b: jnp.transpose(a, (0, 1, 2)), ""),
    "squeeze": (lambda a, b: jnp.squeeze(a, 0), ""),
    "expand_dims": (lambda a, b: jnp.expand_dims(a, 5), "5"),
    "concatenate": (lambda a, b: jnp.concatenate([a, b]), ""),
    "concatenate axis": (lambda a, b: jnp.concatenate([a, a], axis=3), "3"),
    "stack": (lambda a, b: jnp.stack([a, b]), ""),
    "split": (lambda a, b: jnp.split(a, 2, axis=1), ""),
    "pad": (lambda a, b: jnp.pad(a, ((1, 1), (1, 1), (1, 1))), ""),
    "flip": (lambda a, b: jnp.flip(a, 4), "4"),
    "sum axis": (lambda a, b: jnp.sum(a, axis=2), "2"),
    "sum axis twice": (lambda a, b: jnp.sum(a, axis=(0, 0)), ""),
    "max axis": (lambda a, b: jnp.max(a, axis=-3), "-3"),
    "max of nothing": (lambda a, b: jnp.max(a[:0]), ""),
    "argmax": (lambda a, b: jnp.argmax(a, axis=2), "2"),
    "cumsum": (lambda a, b: jnp.cumsum(a, axis=2), "2"),
    "sort": (lambda a, b: jnp.sort(a, axis=2), "2"),
    "moveaxis": (lambda a, b: jnp.moveaxis(a, 0, 5), "5"),
    "index": (lambda a, b: a[2], "2"),
    "index of axis 1": (lambda a, b: a[0, -4], "-4"),
    "indices": (lambda a, b: a[0, 0, 0], ""),
    "two ellipses": (lambda a, b: a[..., ...], ""),
    "mask": (lambda a, b: a[np.ones(5, bool)], ""),
    "set": (lambda a, b: a.at[0].set(b), ""),
    "add at": (lambda a, b: a.at[:, 0].add(b[0]), ""),
}
DTYPES = {
    "bitwise": (lambda a, i: a & i, "float32"),
    "shift": (lambda a, i: a << i, "float32"),
    "invert": (lambda a, i: ~a, "float32"),
    "float index": (lambda a, i: i[a], ""),
    "negative of bool": (lambda a, i: -(a > 0), "bool"),
    "subtract bools": (lambda a, i: (a > 0) - (a > 1), "bool"),
    "astype": (lambda a, i: a.astype("float33"), "'float33'"),
    "string": (lambda a, i: jnp.sin("abc"), "'abc'"),
    "None": (lambda a, i: jnp.add(a, None), "None"),
    "list": (lambda a, i: jnp.add(a, [1, 2, 3]), ""),
    "object": (lambda a, i: jnp.exp(object()), "object"),
}


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("name", list(SHAPES))
def test_shapes(name, transform):
    function, words = SHAPES[name]
    with mistake(MinijaxError, words, bare=transform == "eager"):
        TRANSFORMS[transform](lambda a, b: function(jnp.asarray(a), jnp.asarray(b)))(A, B)


@pytest.mark.parametrize("transform", [t for t in TRANSFORMS if "grad" not in t])
@pytest.mark.parametrize("name", list(DTYPES))
def test_dtypes(name, transform):
    function, words = DTYPES[name]
    with mistake((TypeError, MinijaxError), words, bare=transform == "eager"):
        TRANSFORMS[transform](lambda a, i: function(jnp.asarray(a), jnp.asarray(i)))(A, I)


@pytest.mark.parametrize("transform", list(TRANSFORMS))
@pytest.mark.parametrize("name", ["add", "multiply", "matmul", "maximum"])
def test_the_line_is_named(name, transform):
    function, _ = SHAPES[name]
    with mistake(MinijaxError, f"{__file__}:{function.__code__.co_firstlineno}", bare=transform == "eager"):
        TRANSFORMS[transform](function)(*([A, B] if transform != "eager" else map(jnp.asarray, [A, B])))


def test_raw_ops_show_one_example_under_vmap():
    with mistake(MinijaxError, "(2, 3), (4, 5)", "test_errors_ops.py"):
        mj.vmap(lambda a, b: mj.lax.add(a, b))(np.stack([A] * 7), np.stack([B] * 7))
    with mistake(MinijaxError, "(3,), (2, 3)"):
        mj.vmap(lambda a, b: mj.lax.add(a, b), in_axes=(0, None))(A, A)
    with mistake(MinijaxError, "float32, int32"):
        mj.vmap(lambda a, b: mj.lax.add(a, b))(A, I)
