"""Taylor-mode derivatives: all orders along a curve in one sweep, and the Laplacian from them."""

from minijax.taylor.functions import jet, laplacian

__all__ = ["jet", "laplacian"]
