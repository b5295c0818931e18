"""L7: the transformations as users call them.  They speak to the installed backend only."""

from minijax.api.differentiate import grad, jvp, value_and_grad, vjp
from minijax.api.jit import jit
from minijax.api.trace import ShapeDtypeStruct, eval_shape, make_jaxpr
from minijax.api.vmap import vmap
from minijax.ops import operators as _operators  # noqa: F401: fills in the operators of arrays

__all__ = ["ShapeDtypeStruct", "eval_shape", "grad", "jit", "jvp", "make_jaxpr", "value_and_grad", "vjp", "vmap"]
