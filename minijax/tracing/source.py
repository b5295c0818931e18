"""Where the user's code is: the innermost frame that is not minijax's or jax's own."""

from __future__ import annotations

import pathlib
import sys
from types import FrameType, TracebackType

import minijax.errors
from minijax.ir.jaxpr import Source

_package = str(pathlib.Path(minijax.errors.__file__).parent)
_hidden = [_package]
_shown = tuple(str(pathlib.Path(_package) / name) for name in ("__main__.py", "demo"))
_internal: dict[str, bool] = {}


def hide_frames(path: str) -> None:
    """Leave frames of files under `path` out of source lines; library authors call this.

    >>> hide_frames("/nowhere/mylib")
    """
    _hidden.append(path)
    _internal.clear()


def is_internal(filename: str) -> bool:
    """Whether code of this file is not the user's."""
    found = _internal.get(filename)
    if found is None:
        found = _internal[filename] = not filename.startswith(_shown) and filename.startswith(tuple(_hidden))
    return found


def user_source() -> Source | None:
    """The source of the innermost user frame; None if there is none."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        internal = _internal.get(code.co_filename)
        if internal is False or (internal is None and not is_internal(code.co_filename)):
            return Source(code, frame.f_lasti)
        frame = frame.f_back
    return None


def at_line(source: Source | None = None) -> str:
    """' (file:line)' of the user's code that is running, or of a source that is known, for error messages."""
    source = source or user_source()
    return f" ({source.file}:{source.line})" if source else ""


def user_traceback(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames that are not the user's."""
    frames = []
    while traceback is not None:
        if not is_internal(traceback.tb_frame.f_code.co_filename):
            frames.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for frame in reversed(frames):
        kept = TracebackType(kept, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return kept
