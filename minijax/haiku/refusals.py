"""How a module refuses its arguments: what was wrong, in which module, on which line of the user's code, and a fix."""

from __future__ import annotations

from typing import Any

from minijax.errors import MinijaxValueError
from minijax.tracing.source import at_line

__all__ = ["refusal"]


def refusal(module: Any, problem: str, fix: str) -> MinijaxValueError:
    """The error for arguments that a module cannot work with; the caller raises it.

    `problem` is a sentence without its full stop that says what was expected and what came; `fix` one that says
    what to write instead.

    >>> import types
    >>> class Doubler(types.SimpleNamespace):
    ...     "Stands for a module: it has a path."
    >>> print(refusal(Doubler(module_name="net/doubler"), "Doubler takes vectors, got shape ()", "Add an axis."))
    Doubler takes vectors, got shape (), in Doubler 'net/doubler'...). Add an axis.
    """
    return MinijaxValueError(f"{problem}, in {type(module).__name__} '{module.module_name}'{at_line()}. {fix}")
