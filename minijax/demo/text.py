"""A text that comes with every Python: the chapters of the language reference that `help()` shows, as characters."""

from __future__ import annotations

from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np

import minijax.numpy as jnp
from minijax import Array, random

HELD_OUT = 0.1


class Text(NamedTuple):
    """The characters there are, and the text as their places in it `i32[n]`: to train with, and the end, held out."""

    alphabet: str
    codes: Array
    held_out: Array

    def encode(self, characters: str) -> Array:
        """The places `i32[n]` of characters in the alphabet."""
        return jnp.asarray([self.alphabet.index(character) for character in characters], jnp.int32)

    def decode(self, codes: Array) -> str:
        """The characters of places `i32[n]`."""
        return "".join(self.alphabet[code] for code in codes.tolist())


def load() -> Text:
    """The text, without its few characters that are not ASCII.

    >>> text = load()
    >>> text.decode(text.encode("while True: pass"))
    'while True: pass'
    """
    characters = "\n\n".join(topics[name] for name in sorted(topics)).encode("ascii", "ignore")
    alphabet, codes = np.unique(np.frombuffer(characters, np.uint8), return_inverse=True)
    codes, end = codes.astype(np.int32), int(len(codes) * (1 - HELD_OUT))
    return Text(bytes(alphabet).decode("ascii"), jnp.asarray(codes[:end]), jnp.asarray(codes[end:]))


def pieces(key: Array, codes: Array, size: int, length: int) -> Array:
    """So many pieces of a text, of this length, from random places: `i32[size, length]`.

    >>> pieces(random.key(0), jnp.arange(100), 2, 5).shape
    (2, 5)
    """
    return codes[random.randint(key, (size, 1), 0, len(codes) - length) + jnp.arange(length)]
