"""Looking closely: interpreters of one's own, programs in a notebook, who holds a leaked tracer.

The package imports this beside its first public name, which fills two slots below:
`Jaxpr._repr_html_`, and `holders` in `tracing/leaks.py`.
"""

from minijax.inspect.holders import holders
from minijax.inspect.html import to_html
from minijax.inspect.interpreter import Interpreter

__all__ = ["Interpreter", "holders", "to_html"]
