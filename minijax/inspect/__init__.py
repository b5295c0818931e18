"""Looking closely: programs in a notebook, who holds a leaked tracer.

The package imports this beside its first public name, which fills two slots below:
`Jaxpr._repr_html_`, and `holders` in `tracing/leaks.py`.
"""

from minijax.inspect.holders import holders
from minijax.inspect.html import to_html

__all__ = ["holders", "to_html"]
