"""Programs in a notebook: the printed text in colours, held programs folded if asked.

Colours come from one pattern over the text; there is no second printer.
"""

from __future__ import annotations

import html
import re

from minijax.ir.jaxpr import Jaxpr
from minijax.ir.text import Printer
from minijax.ir.walk import all_programs

_pattern = re.compile(r"""(?P<held>\0\d+\0)|(?P<comment>\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<type>~?\b\w+(?:<\w+>)?\[[0-9,]*\](?:\{[\w,]+\})?)|(?P<word>\b(?:lambda|let|in)\b)
    |(?P<op>(?<==\ )[\w-]+|^\ +[\w-]+(?=\[))""", re.VERBOSE | re.MULTILINE)
# JupyterLab shows `pre` in the proportional font of texts, unless told otherwise.
STYLE = ("font-family: var(--jp-code-font-family, monospace); font-size: var(--jp-code-font-size, inherit);"
         " line-height: 1.25; white-space: pre-wrap")
# Of middling lightness: they can be read on white paper and on dark themes.
_colours = {"comment": "#808080", "string": "#d13f3f", "type": "#2b83a0", "word": "#a25ac8", "op": "#2f7de1"}


def to_html(jaxpr: Jaxpr, folded: bool = False) -> str:
    """Self-contained HTML of the program's text; with `folded`, held programs open on a click.

    >>> to_html(Jaxpr((), (), (), (), ())).startswith('<pre')
    True
    """
    if not folded:
        return _pre(_coloured(str(jaxpr), []))
    held: dict[int, str] = {}
    parts: list[str] = []
    for program in all_programs(jaxpr):
        held[id(program)] = f"\0{len(parts)}\0"
        parts.append(_coloured(Printer(held).program(program), parts))
    return _pre(parts[-1])


def _pre(body: str) -> str:
    return f'<pre style="{STYLE}">{body}</pre>'


def _coloured(text: str, held: list[str]) -> str:
    pieces, end = [], 0
    for match in _pattern.finditer(text):
        pieces += [html.escape(text[end : match.start()]), _span(match, held)]
        end = match.end()
    return "".join([*pieces, html.escape(text[end:])])


def _span(match: re.Match[str], held: list[str]) -> str:
    kind = match.lastgroup or ""
    if kind != "held":
        return f'<span style="color: {_colours[kind]}">{html.escape(match[0])}</span>'
    body = held[int(match[0].strip("\0"))]
    return (f'<details style="display: inline-block; vertical-align: top"><summary>{{ ... }}</summary>{body}</details>')


setattr(Jaxpr, "_repr_html_", to_html)  # what notebooks ask for
