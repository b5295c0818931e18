"""Vectors for tokens: Embed, with two ways to look them up.

As `haiku.Embed`; indices select rows of one matrix, by a gather or by a product with one-hot vectors.
"""

from __future__ import annotations

import enum
from typing import Any

import minijax.numpy as jnp
from minijax import nn
from minijax.errors import MinijaxValueError
from minijax.haiku.initializers import Initializer, TruncatedNormal
from minijax.haiku.module import Module
from minijax.haiku.parameters import get_parameter
from minijax.lax import Precision
from minijax.tracing.source import at_line


class EmbedLookupStyle(enum.Enum):
    """How rows of the matrix are found: by indexing, or as a product with one-hot vectors (fast on TPUs if small).

    >>> EmbedLookupStyle["ONE_HOT"]
    <EmbedLookupStyle.ONE_HOT: 2>
    """

    ARRAY_INDEX = 1
    ONE_HOT = 2


class Embed(Module):
    """A vector for each of `vocab_size` tokens: a row of the parameter `embeddings`.

    Args: the number of tokens and the size of the vectors, or a matrix of that shape to begin with; how the matrix
    begins otherwise, by default from a truncated normal; the style of the look-up; the precision of its product.
    Raises `MinijaxValueError` if sizes are missing or do not fit the matrix.

    >>> from minijax import haiku as hk, random
    >>> model = hk.transform(lambda ids: hk.Embed(100, 8)(ids))
    >>> params = model.init(random.PRNGKey(0), jnp.array([3, 1, 4]))
    >>> params["embed"]["embeddings"].shape, model.apply(params, None, jnp.array([3, 1, 4])).shape
    ((100, 8), (3, 8))
    """

    def __init__(self, vocab_size: int | None = None, embed_dim: int | None = None, embedding_matrix: Any = None,
                 w_init: Initializer | None = None, lookup_style: str | EmbedLookupStyle = "ARRAY_INDEX",
                 name: str | None = None, precision: Any = Precision.HIGHEST):
        super().__init__(name)
        if embedding_matrix is not None:
            matrix = jnp.asarray(embedding_matrix)
            vocab_size, embed_dim = _sizes(self.module_name, matrix.shape, vocab_size, embed_dim)
            w_init = lambda shape, dtype: matrix
        if not vocab_size or not embed_dim:
            raise MinijaxValueError(f"Embed {self.module_name!r}: vocab_size={vocab_size} and embed_dim={embed_dim}"
                                    f"{at_line()}. Give both, or an embedding_matrix.")
        self.vocab_size = vocab_size
        self.embed_dim = embed_dim
        self.lookup_style = lookup_style
        self.precision = precision
        self.w_init = w_init or TruncatedNormal()

    @property
    def embeddings(self) -> Any:
        """The matrix, of shape (vocab_size, embed_dim) and dtype float32."""
        return get_parameter("embeddings", (self.vocab_size, self.embed_dim), init=self.w_init)

    def __call__(self, ids: Any, lookup_style: str | EmbedLookupStyle | None = None, precision: Any = None) -> Any:
        """Integers of any shape, in [0, vocab_size), to vectors along a new last axis.

        `lookup_style` and `precision` replace the module's.  Raises `MinijaxValueError` for ids that are not integers
        and for an unknown style.  Of ids out of range, indexing counts negative ones from the end and takes the
        nearest row for the others, without a word; one-hot vectors give zeros for all.
        """
        ids = jnp.asarray(ids)
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise MinijaxValueError(f"Embed {self.module_name!r} takes integers, got ids of dtype {ids.dtype}"
                                    f"{at_line()}. Convert them with .astype(int).")
        if _style(self.module_name, lookup_style or self.lookup_style) is EmbedLookupStyle.ARRAY_INDEX:
            return self.embeddings[ids]
        vectors = nn.one_hot(ids, self.vocab_size)
        return jnp.dot(vectors, self.embeddings, precision=self.precision if precision is None else precision)


def _sizes(module_name: str, shape: tuple[int, ...], vocab_size: int | None, embed_dim: int | None) -> tuple[int, int]:
    """The sizes of an embedding matrix, which those given must agree with."""
    if len(shape) != 2 or vocab_size not in (None, 0, shape[0]) or embed_dim not in (None, 0, shape[1]):
        raise MinijaxValueError(f"Embed {module_name!r}: embedding_matrix has shape {shape}, for vocab_size="
                                f"{vocab_size} and embed_dim={embed_dim}{at_line()}. "
                                "Give a matrix, and leave out the two sizes.")
    return shape


def _style(module_name: str, style: str | EmbedLookupStyle) -> EmbedLookupStyle:
    """A style by its name, in any case, or as it is."""
    name = style.upper() if isinstance(style, str) else getattr(style, "name", style)
    if name not in EmbedLookupStyle.__members__:
        raise MinijaxValueError(f"Embed {module_name!r}: lookup_style is {style!r}{at_line()}. "
                                f"Choose {' or '.join(EmbedLookupStyle.__members__)}.")
    return EmbedLookupStyle[name]
