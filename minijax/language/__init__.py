"""Programs read back and compared: `parse` for text, `to_json` and `from_json` for files, `same_program`.

The kernel prints programs and never reads them, so reading stands above it; the
grammar is in `ir/README.md`, beside the printer.
"""

from minijax.language.alpha import fingerprint, same_program
from minijax.language.constants import all_consts
from minijax.language.json import SavedSource, from_json, to_json
from minijax.language.parse import parse

__all__ = ["SavedSource", "all_consts", "fingerprint", "from_json", "parse", "same_program", "to_json"]
