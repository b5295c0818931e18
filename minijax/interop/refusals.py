"""Why some of JAX's primitives have no meaning in minijax, in the words of the error that a user gets."""
from minijax.interop.equations import refused
