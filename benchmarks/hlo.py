"""Whether two compiled programs are the same, but for names and where they came from."""

from __future__ import annotations

import re
from itertools import count

_TABLES = re.compile(r"^(FileNames|FunctionNames|FileLocations|StackFrames)\n(?:.+\n)*", re.MULTILINE)
_METADATA = re.compile(r",? *(?:metadata|frontend_attributes|origin)=\{(?:[^{}\"]|\"(?:[^\"\\]|\\.)*\"|\{[^{}]*\})*\}")
_CHOICES = re.compile(r", allow_spmd_sharding_propagation_to_\w+=\{[^}]*\}")  # made already in an optimized program
_NAME = re.compile(r"%[\w.\-]+")
_WORD = re.compile(r"^(HloModule )[\w.\-]+", re.MULTILINE)
_PARAMETER = re.compile(r"([(,] ?)[\w.\-]+: ")


def normal_form(text: str) -> str:
    """Optimized HLO text with names numbered in order of appearance, without metadata.

    >>> normal_form("%a.1 = f32[] add(%x, %x), metadata={op_name=\\"jit(f)/add\\"}")
    '%0 = f32[] add(%1, %1)'
    """
    numbers: dict[str, str] = {}
    fresh = count()

    def numbered(match: re.Match[str]) -> str:
        name = match.group()
        if name not in numbers:
            numbers[name] = f"%{next(fresh)}"
        return numbers[name]

    text = _CHOICES.sub("", _METADATA.sub("", _TABLES.sub("", text)))
    text = _PARAMETER.sub(r"\1", _WORD.sub(r"\1program", text))
    lines = (line.rstrip() for line in _NAME.sub(numbered, text).splitlines())
    return "\n".join(line for line in lines if line)


def same(ours: str, theirs: str) -> bool:
    """Whether two HLO texts are one program."""
    return normal_form(ours) == normal_form(theirs)
