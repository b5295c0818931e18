"""What the tests of error messages share: the class, the words, and whose frames are shown."""

import contextlib
import traceback

import numpy as np
import pytest

import minijax
from minijax.errors import MinijaxError

X = np.float32([1.0, 2.0, 3.0])
M = np.ones((2, 3), np.float32)


def frames_of(error, folder):
    """The files of a traceback that lie in a folder."""
    return [f.filename for f in traceback.extract_tb(error.__traceback__) if folder in f.filename]


@contextlib.contextmanager
def mistake(kind, *words, bare=False):
    """Expect our own error of a class, with all of these words, that shows the user's frames.

    At most one frame of minijax (two where a transform of a jitted function is called) and none of JAX
    is in the traceback, unless `bare`: an eager op that runs outside every transformation.
    """
    with pytest.raises(kind) as found:
        yield
    error = found.value
    assert isinstance(error, MinijaxError), f"{type(error).__name__}: {error}"
    for word in words:
        assert word in str(error), f"{word!r} is missing in: {error}"
    if not bare:
        assert len(frames_of(error, "/minijax/")) <= 2, frames_of(error, "/minijax/")
        assert not getattr(error, "__notes__", [])
        assert not frames_of(error, "/jax/_src/")
    assert minijax.jit(lambda x: x + 1)(1.0) == 2.0  # the trace state is clean


def eager(f):
    """The function itself."""
    return f


def graded(f):
    """f under grad, whatever it returns."""
    def scalar(*args):
        out = f(*args)
        return sum(minijax.numpy.sum(leaf) for leaf in minijax.tree.leaves(out))

    return lambda *args: minijax.vjp(scalar, *args)[0]


def mapped(f):
    """f under vmap, each argument a batch of four copies."""
    return lambda *args: minijax.vmap(f)(*[np.stack([a] * 4) for a in args])


TRANSFORMS = {"eager": eager, "jit": minijax.jit, "grad": graded, "vmap": mapped,
              "jit of grad": lambda f: minijax.jit(graded(f)), "vmap of jit": lambda f: mapped(minijax.jit(f)),
              "grad of vmap": lambda f: graded(mapped(f))}
