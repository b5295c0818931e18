"""How modules print: as the call that made them."""

from __future__ import annotations

import inspect
import pprint
import textwrap
from typing import Any


def auto_repr(cls: type, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The call that makes an object, without arguments that have their default.

    >>> class Line:
    ...     def __init__(self, slope, offset=0.0): pass
    >>> auto_repr(Line, (2.0,), {"offset": 0.0})
    'Line(slope=2.0)'
    """
    bound = inspect.signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]
    shown = []
    for name, value in list(bound.arguments.items())[1:]:
        kind, default = (getattr(bound.signature.parameters[name], what) for what in ("kind", "default"))
        if kind is inspect.Parameter.VAR_POSITIONAL:
            shown += [("", each) for each in value]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            shown += [(f"{own}=", each) for own, each in value.items()]
        elif default is inspect.Parameter.empty or not same(value, default):
            shown.append((f"{name}=", value))
    line = f"{cls.__name__}({', '.join([name + repr(value) for name, value in shown])})"
    if len(line) <= 80:
        return line
    rows = [f"    {name}{textwrap.indent(pprint.pformat(value), ' ' * (4 + len(name))).lstrip()},\n"
            for name, value in shown]
    return f"{cls.__name__}(\n{''.join(rows)})"


def same(value: Any, default: Any) -> bool:
    """Whether two values are equal; no for what cannot be compared."""
    try:
        return bool(value == default)
    except Exception:  # arrays, and whatever users compare by
        return False
