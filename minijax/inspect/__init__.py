"""Looking closely: interpreters of one's own, programs in a notebook, leaked tracers, what vmap makes of cond.

The package imports this beside its first public name, which fills two slots below:
`Jaxpr._repr_html_`, and `holders` in `tracing/leaks.py`.
"""

from minijax.inspect.holders import holders
from minijax.inspect.html import to_html
from minijax.inspect.interpreter import Interpreter
from minijax.inspect import stages as _stages  # noqa: F401: fills in jit(f).trace and .lower
from minijax.inspect.selects import trace_selects

__all__ = ["Interpreter", "holders", "to_html", "trace_selects"]
