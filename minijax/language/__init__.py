"""Programs read back: `parse` for text, `to_json` and `from_json` for files.

The kernel prints programs and never reads them, so reading stands above it; the
grammar is in `ir/README.md`, beside the printer.
"""

from minijax.language.json import SavedSource, from_json, to_json
from minijax.language.parse import parse

__all__ = ["SavedSource", "from_json", "parse", "to_json"]
