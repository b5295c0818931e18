"""When two programs are the same: equal up to the names of variables.

Both questions go through one canonical text: the printed program, in which
names are given in order of binding, with each held program replaced by its
fingerprint, then the types and bytes of the constants.  Hence -0.0 is not 0.0,
and 1, True and 1.0 differ.  Source lines, origins and debug names do not count.
"""

from __future__ import annotations

import hashlib
from typing import Any

from minijax.ir.jaxpr import Jaxpr
from minijax.ir.text import Printer, opaque_text
from minijax.ir.types import const_type
from minijax.ir.walk import all_programs
from minijax.language.constants import const_bytes


def same_program(p: Jaxpr, q: Jaxpr) -> bool:
    """Whether two programs differ in the names of their variables at most.

    >>> p = Jaxpr((), (), (), (), ())
    >>> same_program(p, p.replace(debug_name="f"))
    True
    """
    return p is q or fingerprint(p) == fingerprint(q)


def fingerprint(jaxpr: Jaxpr) -> str:
    """A SHA-256 hex digest that two programs share exactly when `same_program` holds.

    It is the same in every process, unless parameters hold callables: those count
    by identity.
    """
    digests: dict[int, str] = {}
    for program in all_programs(jaxpr):
        if "fingerprint" not in program.cache:
            program.cache["fingerprint"] = _digest(program, digests)
        digests[id(program)] = program.cache["fingerprint"]
    return digests[id(jaxpr)]


def by_identity(value: Any) -> str:
    """What stands for a value without notation where programs are compared."""
    return f"{opaque_text(value)}@{id(value)}"


def _digest(program: Jaxpr, digests: dict[int, str]) -> str:
    digest = hashlib.sha256(Printer(digests, opaque=by_identity).program(program).encode())
    for const in program.consts:
        digest.update(f"\n{const_type(const)!r} ".encode() + const_bytes(const))
    return digest.hexdigest()
